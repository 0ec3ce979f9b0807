"""Our tables are invisible to a project's history: not reflected, not dropped, made again."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Inspector, Integer, MetaData, NullPool, Table, create_engine, inspect

import warm
from conftest import KINDS, ROOT, Database, Result, clean_environment
from dbtasks.reflection import MULTIPLE, NAMES, SCHEMAS, hidden
from races import make_plain
from trees import FIRST, add_revision

Inv = Callable[..., Result]

SEEN = """
bind = op.get_bind()
inspector = sa.inspect(bind)
seen = {*inspector.get_table_names(), *inspector.get_view_names()}
for schema in inspector.get_schema_names():
    if schema in ("public", "dbtasks"):
        seen.update(inspector.get_table_names(schema), inspector.get_sequence_names(schema))
metadata = sa.MetaData()
metadata.reflect(bind)
metadata.reflect(bind.engine)
seen.update(table.name for table in metadata.tables.values())
seen.update(name for _, name in inspector.get_multi_columns())
assert not [name for name in seen if name.startswith("dbtasks_")], seen
assert {"department", "employee", "alembic_version"} <= seen
"""
"""All ways to list tables that a revision has."""

RESET = """
metadata = sa.MetaData()
metadata.reflect(op.get_bind())
metadata.remove(metadata.tables["alembic_version"])
metadata.drop_all(op.get_bind())
op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True))
"""
"""A revision that begins again: what the project has made is dropped."""


@pytest.fixture
def run(inv: Inv, database: Database) -> Inv:
    """Return `inv` on the database, which has to end with the code."""

    def run(*arguments: str, code: int = 0) -> Result:
        done = inv(*arguments, env={"DATABASE_URL": database.url})
        assert (done.code, "Traceback" in done.err) == (code, False), done.err
        return done

    return run


def ask(database: Database, statement: str) -> list[tuple[Any, ...]]:
    engine = create_engine(database.url, poolclass=NullPool)
    with engine.begin() as connection:
        result = connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []


def own(database: Database, table: str) -> str:
    return f"dbtasks.{table}" if database.kind == "postgresql" else table


def journal(database: Database) -> list[tuple[Any, ...]]:
    table = own(database, "dbtasks_migration")
    return ask(database, f"SELECT revision, state FROM {table} ORDER BY id")


def alembic(company: Path, database: Database, *arguments: str, path: str = "") -> Any:
    told = clean_environment() | {"DATABASE_URL": database.url, "PYTHONPATH": path}
    return warm.run("alembic", *arguments, cwd=company, env=told)


@pytest.mark.parametrize("body", [SEEN, RESET])
def test_a_revision_does_not_see_our_tables(
    run: Inv, company: Path, database: Database, body: str
) -> None:
    run("migrate")
    add_revision(company, "0002_loop", body)
    run("migrate")
    assert journal(database) == [(FIRST, "applied"), ("0002_loop", "applied")]


def test_a_revision_of_plain_alembic_does_not_see_our_tables(
    run: Inv, company: Path, database: Database
) -> None:
    run("migrate")
    add_revision(company, "0002_loop", SEEN)
    done = alembic(company, database, "upgrade", "head")
    assert done.returncode == 0, done.stderr
    assert journal(database) == [(FIRST, "applied")]


def test_our_tables_are_seen_again_after_the_revisions(run: Inv, database: Database) -> None:
    run("migrate")
    engine = create_engine(database.url, poolclass=NullPool)
    schema = "dbtasks" if database.kind == "postgresql" else None
    with engine.connect() as connection:
        with hidden(connection), hidden(connection):
            hiding = inspect(connection)
            assert "dbtasks_migration" not in hiding.get_table_names(schema)
            assert hiding.has_table("dbtasks_migration", schema)
            assert hiding.get_columns("dbtasks_migration", schema)
            assert isinstance(hiding, getattr(type(connection.dialect), "inspector", Inspector))
        assert "inspector" not in vars(connection.dialect)
        assert "dbtasks_migration" in inspect(connection).get_table_names(schema)
        metadata = MetaData()
        metadata.reflect(connection, schema=schema)
        assert any(table.name == "dbtasks_migration" for table in metadata.tables.values())


def test_alembic_compares_more_tables_than_it_names(database: Database) -> None:
    """Above a hundred it asks for all of a schema, where the dialect has a way for that."""
    metadata = MetaData()
    for number in range(101):
        Table(f"t{number}", metadata, Column("id", Integer, primary_key=True))
    engine = create_engine(database.url, poolclass=NullPool)
    with engine.connect() as connection, hidden(connection):
        metadata.create_all(connection)
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_each_method_that_lists_is_known() -> None:
    """One that SQLAlchemy adds would show our tables."""
    listing = {name for name in dir(Inspector) if name.startswith("get_")}
    names = {
        name
        for name in listing
        if name.startswith("get_multi_") or (name.endswith("_names") and "temp" not in name)
    }
    # Ours are no views, and the sorted names are those of the keys.
    names -= {"get_materialized_view_names", "get_sorted_table_and_fkc_names"}
    assert names == {*SCHEMAS, *NAMES, *MULTIPLE}


DROPS = {
    "drop_table": 'op.drop_table("dbtasks_migration", schema={schema!r})',
    "raw": 'op.execute("DROP TABLE IF EXISTS nothing, {own}")',
    "quoted": "op.execute('drop table -- all\\n {quoted}')",
    "rename": 'op.rename_table("dbtasks_migration", "old", schema={schema!r})',
    "second": 'op.execute("CREATE TABLE a (id INTEGER); DROP TABLE {own}")',
    "after": 'op.execute("SELECT 1; DROP TABLE {own}")',
    "column": 'op.drop_column("dbtasks_migration", "what", schema={schema!r})',
    "schema": 'op.execute("DROP SCHEMA IF EXISTS dbtasks CASCADE")',
}
KNOWN = [
    *(("sqlite", drop) for drop in ("drop_table", "quoted", "rename", "column")),
    *(("postgresql", drop) for drop in DROPS),
    *(("mariadb", drop) for drop in DROPS if drop not in ("second", "after", "schema")),
]
"""The statements that each database knows."""


@pytest.mark.parametrize(("database", "drop"), KNOWN, indirect=["database"])
def test_a_revision_may_not_drop_our_tables(
    run: Inv, company: Path, database: Database, drop: str
) -> None:
    run("migrate")
    table = own(database, "dbtasks_migration")
    quote = "`" if database.kind == "mariadb" else '"'
    written = DROPS[drop].format(
        schema="dbtasks" if database.kind == "postgresql" else None,
        own=table,
        quoted=".".join(f"{quote}{part}{quote}" for part in table.split(".")),
    )
    place = 'op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True))'
    add_revision(company, "0002_drop", f"{place}\n{written}")
    refused = run("migrate", code=3)
    assert "0002_drop would drop or alter dbtasks_" in refused.err
    again = "inv migrate --resume" if database.kind == "mariadb" else "inv migrate\n"
    assert f"hint: leave it out in 0002_drop.py, then: {again}" in refused.err
    add_revision(company, "0002_drop", place)
    run(*again.split()[1:])
    assert journal(database) == [(FIRST, "applied"), ("0002_drop", "applied")]


UNSEEN = {
    "sqlite": "DROP TABLE dbtasks_migration",
    "postgresql": "DROP SCHEMA dbtasks CASCADE",
    "mariadb": "DROP TABLE dbtasks_migration",
}


def unseen(database: Database) -> str:
    """Return code that drops the journal where no listener sees it."""
    return f'op.get_bind().connection.cursor().execute("{UNSEEN[database.kind]}")'


def test_a_journal_that_is_gone_is_made_again(run: Inv, company: Path, database: Database) -> None:
    run("migrate")
    add = 'op.add_column("department", sa.Column("{}", sa.Integer()))'
    add_revision(
        company, "0002_gone", "\n".join([add.format("a"), unseen(database), add.format("b")])
    )
    run("migrate")
    assert journal(database) == [("0002_gone", "applied")]
    assert "0002_gone" in run("showmigrations").out
    run("rollback", "--no-input", code=0)


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_a_revision_that_stopped_after_its_journal_was_gone_is_resumed(
    run: Inv, company: Path, database: Database
) -> None:
    run("migrate")
    add = 'op.add_column("{}", sa.Column("{}", sa.Integer()))'
    first, last = add.format("department", "a"), add.format("nowhere", "b")
    add_revision(
        company,
        "0002_gone",
        "\n".join([first, unseen(database), add.format("department", "c"), last]),
    )
    stopped = run("migrate", code=6)
    assert "operations 1-2 are applied" in stopped.err
    assert journal(database) == [("0002_gone", "failed")]
    rest = [first, add.format("department", "c"), add.format("department", "b")]
    add_revision(company, "0002_gone", "\n".join(rest))
    run("migrate", "--resume")
    assert journal(database) == [("0002_gone", "applied")]


def test_a_reset_between_two_runs_begins_again(run: Inv, company: Path, database: Database) -> None:
    """DROP DATABASE takes the journal along; PostgreSQL's schema of the project leaves it."""
    run("migrate")
    if database.kind == "postgresql":
        ask(
            database,
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA dbtasks CASCADE",
        )
    elif database.kind == "mariadb":
        name = database.url.rpartition("/")[2]
        ask(database, f"DROP DATABASE {name}")
        ask(Database("mariadb", database.url.rpartition("/")[0]), f"CREATE DATABASE {name}")
    else:
        Path(database.url.removeprefix("sqlite:///")).unlink()
    run("migrate")
    assert journal(database) == [(FIRST, "applied")]


@pytest.fixture
def plugged(tmp_path: Path) -> Path:
    """Return a folder with dbtasks' entry points as they are installed."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    folder = tmp_path / "plugged" / "dbtasks-0.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: dbtasks\nVersion: 0.1.0\n")
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder.parent


OPTION = "target_metadata=Base.metadata"
OPTIONS = [
    *((kind, OPTION) for kind in KINDS),
    # Elsewhere the schemas are all databases of the server.
    ("postgresql", f"{OPTION}, include_schemas=True"),
]


@pytest.mark.parametrize(("database", "option"), OPTIONS, indirect=["database"])
def test_plain_alembic_does_not_see_our_tables(
    run: Inv, company: Path, database: Database, plugged: Path, option: str
) -> None:
    """By its own env.py, which knows nothing of dbtasks."""
    run("migrate", "protect", "--as", "development")
    make_plain(company)
    env = company / "migrations" / "env.py"
    env.write_text(env.read_text().replace(OPTION, option))
    path = f"{plugged}:{company / 'src'}"
    done = alembic(company, database, "check", path=path)
    assert (done.returncode, "dbtasks_" in done.stdout + done.stderr) == (0, False), done
    made = alembic(company, database, "revision", "--autogenerate", "-m", "nothing", path=path)
    assert (made.returncode, "dbtasks_" in made.stdout + made.stderr) == (0, False), made
    versions = [*(company / "migrations" / "versions").glob("*.py")]
    assert len(versions) == 2
    assert not any('drop_table("dbtasks' in path.read_text() for path in versions)
