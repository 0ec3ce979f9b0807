"""The verdict that the models equal the history: kept, and not used after any change."""

import py_compile
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Database, statements_sent
from foreign import Inv
from office import add_column, execute, on_sqlite
from trees import add_revision

Check = Callable[..., tuple[str, bool]]
CLEAN = "No changes.\n"

MODELS, ENV = "src/company/models.py", "migrations/env.py"
NICK = "nick: Mapped[str | None] = mapped_column(String(50))"

COMPILED = """
import os
from sqlalchemy import Index, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable, DDL

@compiles(CreateTable, "sqlite")
def _create(create, compiler, **keywords):
    return compiler.visit_create_table(create, **keywords) + os.environ.get("ENDING", "")
"""
INDEX = """
import os
from sqlalchemy import Index

Index("ix_name", Employee.name).ddl_if(callable_=lambda *given, **more: "INDEXED" in os.environ)
"""
LISTENER = """
import os
from sqlalchemy import DDL, event

event.listen(
    Base.metadata, "after_create", DDL("CREATE TABLE extra (id INTEGER)").execute_if(
        callable_=lambda *given, **more: "EXTRA" in os.environ
    )
)
"""
QUERY = """
from sqlalchemy import event, text

@event.listens_for(Base.metadata, "before_create")
def _look(target, connection, **keywords):
    assert connection.execute(text("SELECT 1")).scalar() == 1
"""
COMPARATOR = """
from alembic.autogenerate import comparators

@comparators.dispatch_for("schema")
def _compare(context, operations, schemas):
    pass
"""
OPERATION = """
from alembic.operations import MigrateOperation, Operations

@Operations.register_operation("make_odd")
class MakeOdd(MigrateOperation):
    @classmethod
    def make_odd(cls, operations):
        return operations.invoke(cls())

@Operations.implementation_for(MakeOdd)
def _make(operations, operation):
    operations.execute("CREATE TABLE odd (id INTEGER)")
"""


@pytest.fixture
def check(office: Inv) -> Check:
    """Return a function that checks the models: what it says, and whether it has compared."""

    def run(*more: str, **env: str) -> tuple[str, bool]:
        with statements_sent() as sent:
            done = office("makemigrations", "--check", *more, env=env)
        assert done.code == (done.out != CLEAN), done
        return done.out, any("CREATE TABLE employee" in one for one in sent)

    return run


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def replace(root: Path, old: str, new: str, *, file: str = MODELS) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))


def test_the_verdict_is_kept(check: Check) -> None:
    assert [check() for _ in range(3)] == [(CLEAN, True), (CLEAN, False), (CLEAN, False)]
    assert check("--from-database") == (CLEAN, True)


def test_a_difference_is_computed_each_time(check: Check, company: Path) -> None:
    check()
    add_column(company, NICK)
    assert [check() for _ in range(2)] == [("add column employee.nick\n", True)] * 2


CHANGES: dict[str, Callable[[Path], object]] = {
    "a revision": lambda root: append(next(root.glob("migrations/versions/*.py")), "# later\n"),
    "a new revision": lambda root: add_revision(root, "0002_later"),
    "env.py": lambda root: append(root / ENV, "# later\n"),
    "an option in env.py": lambda root: replace(
        root, "Base.metadata)", "Base.metadata, compare_type=False)", file=ENV
    ),
    "alembic.ini": lambda root: append(root / "alembic.ini", "# later\n"),
    "pyproject.toml": lambda root: append_new(root / "pyproject.toml"),
    "the models": lambda root: append(root / MODELS, "# later\n"),
    "tasks.py": lambda root: append(root / "tasks.py", "# later\n"),
    "a module beside the models": lambda root: append_new(root / "src/company/more.py", root),
    "a package": lambda root: (root / "another-1.0.dist-info").mkdir(),
}


def append_new(path: Path, root: Path | None = None) -> None:
    path.write_text("# new\n")
    if root is not None:
        append(root / "src/company/__init__.py", "from company import more as more\n")


@on_sqlite
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_compared(check: Check, company: Path, name: str) -> None:
    check()
    assert check() == (CLEAN, False)
    CHANGES[name](company)
    assert check() == (CLEAN, True)
    assert check() == (CLEAN, False)


@on_sqlite
def test_another_environment_is_compared(check: Check) -> None:
    check()
    assert check(DBTASKS_ENV="test") == (CLEAN, True)


ENVIRONMENTS = {
    "compiled": (COMPILED, {"ENDING": " WITHOUT ROWID"}, CLEAN),
    "ddl_if": (INDEX, {"INDEXED": "yes"}, "create index ix_name\n"),
    "listener": (LISTENER, {"EXTRA": "yes"}, "add table extra\n"),
}


@pytest.mark.every_value
@on_sqlite
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_what_models_take_from_elsewhere_is_compared(
    check: Check, company: Path, name: str
) -> None:
    text, env, told = ENVIRONMENTS[name]
    append(company / MODELS, text)
    check()
    assert check() == (CLEAN, False)
    out, compared = check(**env)
    assert compared
    assert out == told
    assert check() == (CLEAN, out == CLEAN)  # the last one is kept


@on_sqlite
def test_a_default_of_the_moment_is_compared(check: Check, company: Path) -> None:
    add_revision(
        company,
        "0002_nick",
        'op.add_column("employee", sa.Column("nick", sa.Text, server_default="a"))',
    )
    append(company / MODELS, "\nimport os\nfrom sqlalchemy import Column, Text\n")
    append(
        company / MODELS,
        "Employee.nick = Column(Text, server_default=os.environ.get('NICK', 'a'))\n",
    )
    check()
    assert check() == (CLEAN, False)
    assert check(NICK="b")[0] == "alter column employee.nick\n"


NEVER: dict[str, Callable[[Path], object]] = {
    "a filter in env.py": lambda root: replace(
        root, "Base.metadata)", "Base.metadata, include_name=lambda *given: True)", file=ENV
    ),
    "code in env.py": lambda root: replace(
        root, "environment.run", "import os\nos.getenv('A')\nenvironment.run", file=ENV
    ),
    "an import of what nobody else imports": lambda root: (
        (root / "src" / "company" / "apart.py").write_text("APART = True\n"),
        replace(root, "environment.run", "import company.apart\nenvironment.run", file=ENV),
    ),
    "a comparator": lambda root: append(root / MODELS, COMPARATOR),
    "a listener that asks the database": lambda root: append(root / MODELS, QUERY),
    "a revision that imports the models": lambda root: add_revision(
        root, "0002_later", "import company.models"
    ),
    "an import beside another": lambda root: add_revision(
        root, "0002_later", "import re, company.models"
    ),
    "an import after another": lambda root: add_revision(
        root, "0002_later", "import re; import company.models"
    ),
    "a revision that reads the environment": lambda root: add_revision(
        root, "0002_later", "import os"
    ),
    "a revision that reads a file": lambda root: add_revision(
        root, "0002_later", "open(__file__).close()"
    ),
    "a revision that goes by the models": lambda root: add_revision(
        root, "0002_later", 'op.get_context().opts["target_metadata"]'
    ),
    "bootstrap": lambda root: (
        append(root / MODELS, "\n\ndef begin(connection):\n    pass\n"),
        replace(
            root, "collection(", 'collection(bootstrap="company.models:begin",', file="tasks.py"
        ),
    ),
}


@pytest.mark.every_value
@on_sqlite
@pytest.mark.parametrize("name", NEVER)
def test_what_may_depend_on_more_is_compared_each_time(
    check: Check, company: Path, name: str, forget: None
) -> None:
    NEVER[name](company)
    assert [check() for _ in range(2)] == [(CLEAN, True)] * 2


@on_sqlite
def test_a_file_that_a_revision_reads_is_replayed_again(check: Check, company: Path) -> None:
    sql = company / "odd.sql"
    sql.write_text("CREATE TABLE odd (id INTEGER)")
    add_revision(company, "0002_odd", f"op.execute(open({str(sql)!r}).read())")
    assert check()[0] == "drop table odd\n"
    sql.write_text("CREATE TABLE even (id INTEGER)")
    assert check()[0] == "drop table even\n"


@on_sqlite
def test_a_revision_without_a_source_is_replayed_again(check: Check, company: Path) -> None:
    replace(company, "[alembic]", "[alembic]\nsourceless = true", file="alembic.ini")
    assert [check()[0] for _ in range(2)] == [CLEAN] * 2
    source = add_revision(company, "0002_odd", 'op.execute("CREATE TABLE odd (id INTEGER)")')
    py_compile.compile(str(source), cfile=str(source.with_suffix(".pyc")), doraise=True)
    source.unlink()
    assert check()[0] == "drop table odd\n"


@on_sqlite
def test_an_operation_of_the_project_is_replayed_again(check: Check, company: Path) -> None:
    append(company / MODELS, OPERATION)
    add_revision(company, "0002_odd", "op.make_odd()")
    assert check()[0] == "drop table odd\n"
    replace(company, "TABLE odd", "TABLE even")
    assert check()[0] == "drop table even\n"


@on_sqlite
def test_a_broken_record_is_no_verdict(check: Check, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert check(XDG_CACHE_HOME=str(cache)) == (CLEAN, True)
    (record,) = cache.rglob("*.equal")
    text = record.read_text()
    for wrong in ("", text[:-5], "a b\n", "\0"):
        record.write_text(wrong)
        assert check(XDG_CACHE_HOME=str(cache)) == (CLEAN, True)
        assert record.read_text() == text
    (tmp_path / "file").touch()
    assert check(XDG_CACHE_HOME=str(tmp_path / "file")) == (CLEAN, True)


@on_sqlite
def test_an_unfinished_move_is_refused(office: Inv, check: Check, company: Path) -> None:
    check()
    (company / "migrations" / ".unfinished.json").write_text("{")
    assert office("makemigrations", "--check").code == 3


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_another_setting_of_the_server_is_compared(check: Check, database: Database) -> None:
    check()
    assert check() == (CLEAN, False)
    name = database.url.rpartition("/")[2]
    execute(database, f"ALTER DATABASE {name} SET default_toast_compression = 'pglz'")
    execute(database, f"ALTER DATABASE {name} SET backslash_quote = 'off'")
    assert check() == (CLEAN, True)
