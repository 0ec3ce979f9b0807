"""The command lines in messages: each can be typed as it is printed, in the project at hand."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.exceptions import ParseError
from invoke.parser import Parser
from invoke.parser.context import ParserContext
from invoke.program import Program

import runner
from conftest import clean_environment
from dbtasks import collection
from dbtasks.hints import command_line
from test_layers import FILES, SOURCE, tree_of, trees

CONTEXTS: dict[str, ParserContext] = {one.name: one for one in collection().to_contexts()}
INVOKE = ParserContext(args=Program().core_args())
DJANGO = {"--natural-primary", "--natural-foreign"}
MOUNTED = """
from invoke import Collection
from dbtasks import collection

ns = Collection()
ns.add_collection(
    collection(
        metadata="company.models:Base",
        default_model="Employee",
        default_url="sqlite:///app.db",
        databases={"archive": {"default_url": "sqlite:///archive.db"}},
    ),
    name="db",
)
"""


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield each call of `command_line` in dbtasks, and where it is."""
    for path in FILES:
        if "command_line" not in path.read_text():  # the tests are collected faster
            continue
        for node in ast.walk(tree_of(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and (node.func.id == "command_line")
            ):
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", node


def strings() -> Iterator[tuple[str, str]]:
    """Yield each text of dbtasks that may be shown, and where it is."""
    for path, module in trees().items():
        documentation = {
            id(node.value)
            for node in ast.walk(module)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(module):
            if isinstance(text := getattr(node, "value", None), str) and (
                id(node) not in documentation
            ):
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", text


def check(line: str) -> None:
    """Read a command line as Invoke does. Raises ParseError for what no command takes."""
    words = shlex.split(line)
    assert words[0] == "inv"
    Parser(initial=INVOKE, contexts=CONTEXTS.values()).parse_argv(words[1:])


def value_of(command: str, option: str, node: ast.expr) -> object:
    """Return the value that an option has in the source, or one of the kind that it takes."""
    if isinstance(node, ast.Constant):
        return node.value
    flag = "--" + option.strip("_").replace("_", "-")
    known = CONTEXTS[command].flags.get(flag)
    return known is None or not known.takes_value or "VALUE"


CALLS = dict(calls())


@pytest.mark.parametrize("place", CALLS)
def test_command_line_can_be_typed(place: str) -> None:
    call = CALLS[place]
    (name,) = (ast.literal_eval(one) for one in call.args)
    assert name in CONTEXTS
    options = {str(one.arg): value_of(name, str(one.arg), one.value) for one in call.keywords}
    check(command_line(name, **options))


def test_unknown_task_and_option_are_noticed() -> None:
    for line in (command_line("migrat"), command_line("migrate", too="0002")):
        with pytest.raises(ParseError):
            check(line)


def test_command_lines_are_written_by_one_function() -> None:
    """Text cannot know where a command is mounted; `init` works where there is no tasks.py."""
    typed = re.compile(rf"\b(inv|dbtasks) (?!init\b)({'|'.join(CONTEXTS)})\b")
    assert [(place, text) for place, text in strings() if typed.search(text)] == []


def test_options_in_texts_exist() -> None:
    known = {flag for one in (INVOKE, *CONTEXTS.values()) for flag in one.flag_names()}
    unknown = {
        (place, option)
        for place, text in strings()
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)
        if option not in known | DJANGO
    }
    assert unknown == set()


def test_values_are_quoted() -> None:
    assert command_line("migrate", to="-1") == "inv migrate --to=-1"
    written = command_line("query", model="Order Line", where=["a=1", "b=2"], count=True, pk=None)
    assert written == "inv query --model 'Order Line' --where a=1 --where b=2 --count"


@pytest.mark.parametrize(
    ("program", "database", "environment", "expected"),
    [
        ("inv", None, {}, "inv db.migrate"),
        ("dbtasks", None, {}, "dbtasks db.migrate"),
        ("inv", "default", {}, "inv db.migrate"),
        ("inv", "archive", {}, "inv db.migrate --database archive"),
        ("dbtasks", "archive", {}, "dbtasks db.migrate --database archive"),
        ("inv", None, {"DBTASKS_DATABASE": "archive"}, "inv db.migrate"),
        (
            *("inv", "default", {"DBTASKS_DATABASE": "archive"}),
            "inv db.migrate --database default",
        ),
    ],
)
def test_hint_can_be_typed_where_commands_are_mounted(
    company: Path, program: str, database: str | None, environment: dict[str, str], expected: str
) -> None:
    (company / "tasks.py").write_text(MOUNTED)
    env = clean_environment() | environment
    named = () if database is None else ("--database", database)
    failed = runner.run("db.query", *named, cwd=company, env=env, program=program)
    assert failed.returncode == 5
    (advised,) = re.findall(r"hint: (.*) makes it", failed.stderr)
    assert advised == expected
    typed = shlex.split(advised)[1:]
    assert runner.run(*typed, cwd=company, env=env, program=program).returncode == 0
    again = runner.run("db.query", *named, cwd=company, env=env, program=program)
    assert (again.returncode, again.stderr) == (0, "0 records\n")


def test_hint_names_the_other_task_file(company: Path) -> None:
    (company / "tasks.py").rename(company / "jobs.py")
    failed = runner.run("-c", "jobs", "query", cwd=company, env=clean_environment())
    assert "hint: inv --collection jobs migrate makes it" in failed.stderr


def test_one_of_two_collections_is_advised(company: Path) -> None:
    two = MOUNTED.partition("ns.add_collection")[2].replace("app.db", "two.db")
    (company / "tasks.py").write_text(
        MOUNTED.replace('"db"', '"one"') + "ns.add_collection" + two.replace('"db"', '"two"')
    )
    failed = runner.run("two.query", cwd=company, env=clean_environment())
    assert "hint: inv two.migrate makes it" in failed.stderr


MODELS = "src/company/models.py"
AGE = ("class Employee(Base):\n", "class Employee(Base):\n    age: Mapped[int | None]\n")
TAG = (
    "class Employee(Base):\n",
    'class Tag(Base):\n    __tablename__ = "tag"\n    id: Mapped[int] = mapped_column('
    "primary_key=True)\n\n\nclass Employee(Base):\n",
)
MAKE = "no migration makes it: inv makemigrations\n"
MAKE_TAG = "hint: all migrations are applied; none makes tag: inv makemigrations"
LEAVE_OUT = f"{MAKE_TAG}; or leave it out: --exclude tag\n"


@pytest.mark.parametrize(
    ("edit", "command", "hint"),
    [
        (AGE, ["query"], MAKE),
        (AGE, ["get", "--pk", "1"], MAKE),
        (AGE, ["add", "-s", "name=x", "-s", "dept_id=1"], MAKE),
        (AGE, ["update", "--all", "-s", "age=1", "-y"], MAKE),
        (AGE, ["dumpdata"], MAKE),
        (TAG, ["query", "-m", "Tag"], MAKE),
        (TAG, ["seed", "--model", "Tag", "--count", "2"], f"{MAKE_TAG}\n"),
        (TAG, ["flush", "--no-input"], LEAVE_OUT),
        (TAG, ["flush", "--no-input", "-m", "Tag"], f"{MAKE_TAG}\n"),
        (TAG, ["dumpdata"], LEAVE_OUT),
    ],
)
def test_what_no_migration_makes(
    company: Path, edit: tuple[str, str], command: list[str], hint: str
) -> None:
    env = clean_environment()
    assert runner.run("migrate", "seed", cwd=company, env=env).returncode == 0
    path = company / MODELS
    path.write_text(path.read_text().replace(*edit))
    failed = runner.run(*command, cwd=company, env=env)
    assert (failed.returncode, hint in failed.stderr) == (8, True), failed
    runner.run("migrate", "--to", "base", "--no-input", cwd=company, env=env)
    behind = runner.run(*command, cwd=company, env=env)
    assert "bring the database up to date with: inv migrate" in behind.stderr, behind


def test_table_is_left_out(company: Path) -> None:
    env = clean_environment()
    runner.run("migrate", "seed", cwd=company, env=env)
    path = company / MODELS
    path.write_text(path.read_text().replace(*TAG))
    dumped = runner.run("dumpdata", "--exclude", "tag", cwd=company, env=env)
    assert (dumped.returncode, '"Alice"' in dumped.stdout) == (0, True)
    arguments = ("flush", "--no-input", "--exclude", "tag", "--exclude")
    done = runner.run(*arguments, "Department", cwd=company, env=env)
    assert (done.returncode, done.stdout) == (0, "Emptied employee: 2 rows.\n")
    nothing = runner.run(*arguments, "Employee", "--exclude", "Department", cwd=company, env=env)
    assert nothing.returncode == 2
    assert "--exclude leaves out all tables" in nothing.stderr


def test_copy_names_the_database_that_is_behind(company: Path) -> None:
    (company / "tasks.py").write_text(MOUNTED)
    env = clean_environment()
    copy = ("db.copydata", "--from", "archive", "--to", "default", "--no-input")
    runner.run("db.migrate", "--database", "all", cwd=company, env=env)
    runner.run(
        *("db.migrate", "--to", "base", "--no-input", "--database", "archive"), cwd=company, env=env
    )
    failed = runner.run(*copy, cwd=company, env=env)
    assert "up to date with: inv db.migrate --database archive; or leave" in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--statement", "selec 1"], "did you mean SELECT?"),
        (["--statement", "insrt into t values (1)"], "did you mean INSERT? It needs --write"),
        (["--statement", "drop table t"], "add --write if it is meant"),
        (["--statement", "select :x"], "a :name in a statement needs a value: --param x=VALUE"),
        (
            ["--statement", "select :x, :y", "--param", "y=1"],
            "a :name in a statement needs a value: --param x=VALUE",
        ),
        (["--statement", "select 1 from nowhere where 'a' = ':x'"], MAKE.rstrip()),
    ],
)
def test_statement_that_is_not_run(company: Path, arguments: list[str], hint: str) -> None:
    env = clean_environment()
    runner.run("migrate", cwd=company, env=env)
    failed = runner.run("sql", *arguments, cwd=company, env=env)
    assert failed.stderr.splitlines()[1].endswith(hint), failed.stderr


@pytest.mark.parametrize("url", ["sqlite:/app.db", "sqlite:app.db", "sqlite", "SQLite:/app.db"])
def test_url_of_a_file(company: Path, url: str) -> None:
    failed = runner.run("query", cwd=company, env=clean_environment() | {"DATABASE_URL": url})
    assert (failed.returncode, "sqlite:///app.db" in failed.stderr) == (2, True)
    assert "postgresql" not in failed.stderr
