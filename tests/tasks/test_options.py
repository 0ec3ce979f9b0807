"""An option that wants a value and gets none is refused, on every command, before any runs."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from invoke.parser import Parser, ParserContext
from invoke.parser.parser import ParseMachine

import runner
from conftest import Result, clean_environment
from dbtasks import collection
from dbtasks.tasks import FAMILIES
from dbtasks.tasks.edge import Command
from dbtasks.tasks.options import Misuse, Option

Inv = Callable[..., Result]

COMMANDS: list[Command] = [one for family in FAMILIES for one in family.COMMANDS]
OPTIONS = [
    pytest.param(command.name, option, id=f"{command.name} --{option.names[0]}")
    for command in COMMANDS
    for option in command.get_arguments()
    if option.takes_value
]
UTF_8 = "\udcff"


@pytest.fixture(scope="module")
def contexts() -> Mapping[str, ParserContext]:
    """Return what Invoke's own parser needs of each command."""
    return {one.name: one for one in collection(root=Path.cwd()).to_contexts()}


@pytest.fixture
def parser(contexts: Mapping[str, ParserContext], command: str) -> Parser:
    """Return Invoke's own parser of a command, and of another that may follow."""
    return Parser([contexts[name] for name in {command, "migrate"}])


def lines(option: Option) -> Iterator[list[str]]:
    """Yield the ways to give an option without a value, in all its forms."""
    for name in option.names:
        flag = f"-{name}" if len(name) == 1 else f"--{name}"
        yield from ([flag], [flag, "--traceback"], [flag, "--traceback", "migrate"], [flag, "--"])
        yield from ([f"{flag}="], [f"{flag}=  "], [flag, ""], [flag, " \t"], [flag, "\n"])
        yield from ([flag, "--traceback=x"], [flag, "--no-such-option"], [flag, "--dry"])
        yield from ([flag, UTF_8], [flag, "a\0b"])
        yield from (
            [flag, "a=1", flag],
            [flag, "a=1", flag, "--traceback"],
            [flag, "a=1", flag, ""],
        )


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_option_without_a_value(parser: Parser, command: str, option: Option) -> None:
    for line in lines(option):
        with pytest.raises((Misuse, SystemExit)) as caught:
            parser.parse_argv([command, *line])
        assert isinstance(caught.value, Misuse), line
        assert caught.value.code == 2
        assert str(caught.value).startswith(f"error: --{option.names[0]} "), line


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_option_with_a_value(parser: Parser, command: str, option: Option) -> None:
    """The name of a command is a value as any other; a list takes several."""
    for value in ("a=1", "migrate", "-1", "-", "a=", "-- a comment"):
        (context,) = parser.parse_argv([command, f"--{option.names[0]}", value])
        assert context.as_kwargs[option.name] in (value, [value])
    if option.kind is list:
        twice = 2 * [f"--{option.names[0]}", "a=1"]
        (context,) = parser.parse_argv([command, *twice])
        assert context.as_kwargs[option.name] == ["a=1", "a=1"]


def test_lists_are_what_the_annotations_say() -> None:
    lists = {
        f"{command.name} {option.names[0]}"
        for command in COMMANDS
        for option in command.get_arguments()
        if option.kind is list
    }
    assert {"flush model", "dumpdata mask", "copydata exclude", "update where"} <= lists
    assert not {"query model", "update expect", "makemigrations name"} & lists


UNSET = [
    ["flush", "--no-input", "--model"],
    ["flush", "-m", "--no-input"],
    ["delete", "-w", "name=x1", "--no-input", "-w"],
    ["delete", "--all", "--no-input", "--where"],
    ["update", "--all", "--no-input", "-s", "name=x", "--where"],
    ["dumpdata", "-o", "f.jsonl", "--mask"],
    ["dumpdata", "-o", "--format=csv"],
    ["dumpdata", "--exclude", "--output", "f.jsonl"],
    ["copydata", "--from", "default", "--to", "default", "--truncate", "--no-input", "-m"],
    ["query", "--order-by"],
    ["query", "--columns", "id,"],
    ["loaddata", "--input", "f.csv", "--columns", ",name"],
    ["seed", "flush", "--no-input", "--model="],
    ["sql", "--write", "--statement", "DELETE FROM employee", "--param"],
    ["makemigrations", "--rename", "--drop", "employee.name"],
    ["query", "--name", "A", "--name", "flush"],
]


@pytest.mark.parametrize("arguments", UNSET, ids=" ".join)
def test_variable_that_is_unset(company: Path, arguments: list[str]) -> None:
    """What the shell leaves of `--model $X` never means all, and no command of the line runs."""
    env = clean_environment()
    database = filled(company)
    before = dump(database)
    files = sorted(company.rglob("*"))
    done = runner.run(*arguments, cwd=company, env=env)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert "error: --" in done.stderr
    assert done.stderr.endswith("state: nothing was changed\n")
    assert (dump(database), sorted(company.rglob("*"))) == (before, files)


EMPTY = [
    ["delete", "--no-input", "-w", "name__contains="],
    ["delete", "--no-input", "-w", "name=Alice", "-w", "name__ne="],
    ["update", "--no-input", "-s", "name=x", "--where", "department.name__startswith="],
    ["query", "--count", "-w", "name__gte="],
    ["query", "-o", "f.jsonl", "-w", "name__range=B,"],
    ["dumpdata", "-o", "f.jsonl", "-w", "Employee.name__regex="],
    ["add", "-s", "name=x", "-s", "department.name__icontains="],
    ["delete", "--no-input", "-w", "name__in=Alice,"],
]


@pytest.mark.parametrize("arguments", EMPTY, ids=" ".join)
def test_condition_on_a_variable_that_is_unset(company: Path, arguments: list[str]) -> None:
    """What the shell leaves of `--where name__contains=$X` never means nearly all records."""
    database = filled(company)
    before = dump(database)
    files = sorted(company.rglob("*"))
    done = runner.run(*arguments, cwd=company, env=clean_environment())
    assert (done.returncode, done.stdout) == (2, ""), done
    assert arguments[-1].split(".")[-1].partition("=")[0] in done.stderr
    assert done.stderr.endswith("state: nothing was changed\n")
    assert (dump(database), sorted(company.rglob("*"))) == (before, files)


def filled(company: Path) -> Path:
    done = runner.run("migrate", "seed", cwd=company, env=clean_environment())
    assert done.returncode == 0, done
    for folder in company.rglob("__pycache__"):
        shutil.rmtree(folder)
    return company / "app.db"


def dump(database: Path) -> list[str]:
    connection = sqlite3.connect(database)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_process_refuses_it_too(inv: Inv, company: Path) -> None:
    done = inv("migrate", "flush", "--no-input", "--model")
    assert done.err == (
        "error: --model needs a value\n"
        "hint: give --model a value, or leave it out: is a variable unset?\n"
        "state: nothing was changed\n"
    )
    assert (done.code, done.out, list(company.glob("*.db"))) == (2, "", [])


def test_completion_goes_on(company: Path) -> None:
    """A line that is being typed may end with an option that has no value yet."""
    for typed, shown in (("flush --model", ""), ("flush --mod", "--model")):
        done = runner.run(
            "--complete", "--", "inv", *typed.split(), cwd=company, env=clean_environment()
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert (shown in done.stdout.splitlines()) if shown else done.stdout == ""


def test_invoke_is_as_the_patch_expects() -> None:
    """Invoke still asks each option when it is done with it, and keeps what we read."""
    assert {"complete_flag", "switch_to_flag", "see_value"} <= set(vars(ParseMachine))
    assert ParseMachine.complete_flag.__module__ == "dbtasks.tasks.options"
    machine = ParseMachine(initial=None, contexts={}, ignore_unknown=True)
    assert (machine.flag, machine.flag_got_value) == (None, False)
