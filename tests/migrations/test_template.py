"""A new revision's file: the message as text in whatever template, and never half a file."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Result
from dbtasks.errors import DbtasksError, UsageError
from dbtasks.migrations.autogenerate import makemigrations
from dbtasks.migrations.history import template
from dbtasks.project import Project
from trees import FIRST, add_revision, part, revisions

Inv = Callable[..., Result]

CODE = '""" + str(__import__("pathlib").Path("ran").touch()) + """'
QUOTES = ('"""', "'''", 'ends with "', 'it\'s "both"', '"', "'", '""')
BACKSLASHES = ("\\", "path \\x", "a\\", "\\N{DASH}\\u0041", '\\"')
MAKO = ("${1 + 1} {1 + 1} %s %(x)s", "<%! import os %>", "## x", "% if x:")
OTHERS = ("# x", "é ✓ 😀", "../../x", "....", "x" * 300, "-*- coding: latin-1 -*-")
MESSAGES = (*QUOTES, *BACKSLASHES, *MAKO, *OTHERS, CODE, CODE.replace('"', "'"))
TEMPLATES = ['"""${message}"""', "'''${message}'''", '"${message}"', "'${message}'"]


def read(path: Path) -> str | None:
    return ast.get_docstring(ast.parse(path.read_text()), clean=False)


def remade(company: Path, docstring: str) -> None:
    """Let the project's template begin otherwise."""
    mako = company / "migrations" / "script.py.mako"
    rest = mako.read_text().partition('"""\n\nfrom')[2]
    mako.write_text(f"{docstring}\n\nfrom{rest}")


@pytest.mark.parametrize("docstring", TEMPLATES)
def test_a_message_is_text(company: Path, docstring: str) -> None:
    remade(company, docstring)
    with Project.configure(company, metadata="company.models:Base", url="sqlite://") as project:
        for message in MESSAGES:
            made = makemigrations.makemigrations(project, name=message, empty=True)
            assert made.revision is not None
            assert read(made.revision.path) == message.replace("_", " "), made.revision.path
            compile(made.revision.path.read_text(), "revision", "exec", dont_inherit=True)
    assert not (company / "ran").exists()
    assert len(revisions(company)) == len(MESSAGES) + 1


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("# ${message}", None),
        ("message = ${repr(message)}", None),
        ('"""A revision."""\nmessage = "${message}"', "A revision."),
    ],
)
def test_a_message_elsewhere_is_text(
    inv: Inv, company: Path, docstring: str, expected: str | None
) -> None:
    remade(company, docstring)
    assert inv("makemigrations", "--empty", "--name", CODE).code == 0
    assert read(next(company.rglob("0002*.py"))) == expected
    assert inv("showmigrations").code == 0
    assert not (company / "ran").exists()


@pytest.mark.parametrize(
    ("docstring", "name", "words"),
    [
        ('f"""${message}"""', "{1 + 1}", "cannot render the message '{1 + 1}'"),
        ('r"""${message}"""', '"""', "cannot render the message"),
        ("${message}", "import os", "cannot render the message"),
        ('"""${message}', "x", "no valid Python"),
    ],
)
def test_a_template_that_cannot_have_it_as_text(
    inv: Inv, company: Path, docstring: str, name: str, words: str
) -> None:
    remade(company, docstring)
    before = revisions(company)
    done = inv("makemigrations", "--empty", "--name", name)
    assert (done.code, words in done.err) == (2, True), done
    assert revisions(company) == before


@pytest.mark.parametrize("name", ["a\nb", "a\r", "a\tb", "\x1b[31m", "u\u2028v", "\u202e", "\x7f"])
def test_a_message_is_one_line(inv: Inv, company: Path, name: str) -> None:
    part(company)
    before = revisions(company)
    for options in (("--empty",), ("--merge",)):
        done = inv("makemigrations", *options, "--name", name)
        assert (done.code, "control character" in done.err) == (2, True), done
    squash = ("squashmigrations", "--from", FIRST, "--to", "0002_floor", "--name", name)
    done = inv(*squash)
    assert (done.code, "control character" in done.err) == (2, True), done
    assert revisions(company) == before


def test_a_file_that_alembic_does_not_find_is_not_written(inv: Inv, company: Path) -> None:
    ini = company / "alembic.ini"
    ini.write_text(ini.read_text().replace("%%(rev)s", "__init__%%(rev)s"))
    before = revisions(company)
    done = inv("makemigrations", "--empty")
    assert (done.code, "file_template" in done.err) == (2, True), done
    assert revisions(company) == before


def test_a_file_that_is_no_revision_is_named(inv: Inv, company: Path) -> None:
    theirs = company / "migrations" / "versions" / "mine.py"
    theirs.write_text("")  # as a kill left it, when files were written in place
    for command in (("showmigrations",), ("migrate",), ("makemigrations", "--empty")):
        done = inv(*command)
        assert (done.code, "mine.py" in done.err, "bug" in done.err) == (2, True, False), done


@pytest.mark.parametrize("text", [*MESSAGES, "a\nb", "\x1b"])
def test_docstring(text: str) -> None:
    literal = template.docstring(text)
    assert ast.get_docstring(ast.parse(literal), clean=False) == text
    assert "\\" not in literal or {*text} & {*'\\"\x1b'}


def test_a_squash_has_its_message_as_text(inv: Inv, company: Path) -> None:
    for revision, after in (("0002_a", FIRST), ("0003_b", "0002_a")):
        add_revision(company, revision, after=after)
    squash = ("squashmigrations", "--from", "0002_a", "--to", "0003_b", "--name", CODE[1:-1] + '"')
    done = inv(*squash)
    assert done.code == 0, done
    shown = json.loads(inv("showmigrations", "--format", "json").out)
    assert shown[-1]["message"] == (CODE[1:-1] + '"').replace("_", " ")
    assert not (company / "ran").exists()


def test_a_merge_has_its_message_as_text(inv: Inv, company: Path) -> None:
    part(company)
    done = inv("makemigrations", "--merge", "--name", CODE)
    assert done.code == 0, done
    shown = json.loads(inv("showmigrations", "--format", "json").out)
    assert CODE.replace("_", " ") in [one["message"] for one in shown]
    assert not (company / "ran").exists()


def test_a_revision_appears_whole(company: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alembic writes through ours: what stops the write leaves no file."""
    before = revisions(company)

    def stop(*_: object, **__: object) -> None:
        raise DbtasksError("stopped")

    monkeypatch.setattr(template.files, "write", stop)
    with (
        Project.configure(company, metadata="company.models:Base", url="sqlite://") as project,
        pytest.raises(DbtasksError, match="stopped"),
    ):
        makemigrations.makemigrations(project, empty=True)
    assert revisions(company) == before
    with (
        Project.configure(company, metadata="company.models:Base", url="sqlite://") as project,
        pytest.raises(UsageError, match="control"),
    ):
        makemigrations.makemigrations(project, name="\n", empty=True)
