"""Our own tables: a format that is upgraded in place, refused where it is newer, made by others."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, inspect, make_url

from conftest import Database, Result
from dbtasks import Project, migrations, own_tables
from trees import add_revision

Inv = Callable[..., Result]

DUMPS = Path(__file__).parent / "own_tables"
"""Databases that the version before the first number has left."""

PLACE = """with op.get_context().autocommit_block():
    op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_table("visit", sa.Column("id", sa.Integer(), primary_key=True))
"""
STREET = 'op.add_column("{}", sa.Column("street", sa.String(50)))'
PEOPLE = "id,name,dept_id\n" + "".join(f"{n},Person {n},1\n" for n in range(3, 11))
"""The file of which the dumped load has six rows, and its command."""

NEWER = own_tables.FORMAT + 1
TEST = {"DBTASKS_ENV": "test"}


def own(database: Database, table: str) -> str:
    return f"dbtasks.{table}" if database.kind == "postgresql" else table


def ask(database: Database, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements, and return the rows of the last."""
    engine = create_engine(database.url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            result = connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []


def names(database: Database) -> set[str]:
    """Return the names of our tables that exist."""
    engine = create_engine(database.url, poolclass=NullPool)
    schema = "dbtasks" if database.kind == "postgresql" else None
    with engine.connect() as connection:
        found = inspect(connection).get_table_names(schema=schema)
    return {name for name in found if name.startswith("dbtasks_")}


def formats(database: Database) -> list[str]:
    """Return the formats that the database has been in, from the first with a number on."""
    engine = create_engine(database.url, poolclass=NullPool)
    schema = "dbtasks" if database.kind == "postgresql" else None
    with engine.connect() as connection:
        columns = inspect(connection).get_columns("dbtasks_format", schema=schema)
    return [column["name"] for column in columns]


def make_newer(database: Database) -> None:
    ask(database, f"ALTER TABLE {own(database, 'dbtasks_format')} ADD format_{NEWER} INTEGER")


@pytest.fixture
def run(inv: Inv, database: Database) -> Inv:
    """Return `inv` on the database, which has to end with the code."""

    def run(*arguments: str, code: int = 0, **variables: str) -> Result:
        done = inv(*arguments, env={"DATABASE_URL": database.url, **TEST, **variables})
        assert (done.code, "Traceback" in done.err) == (code, False), done.err
        return done

    return run


@pytest.fixture
def dumped(company: Path, database: Database, tmp_path: Path) -> Path:
    """Restore a dump of format 1, and return the file whose load it has in progress.

    It has a revision that stopped at its third operation, a load that stopped after six rows, a
    marker, a journal of writes, and where sessions have locks a lease that expired.
    """
    people = tmp_path / "people.csv"
    people.write_text(PEOPLE)
    dump = (DUMPS / f"{database.kind}.sql").read_text()
    ask(database, *dump.replace("/srv/shop/people.csv", str(people)).split(";\n")[:-1])
    add_revision(company, "0002_place", PLACE + STREET.format("place"))
    return people


def test_an_older_format_is_taken_over(run: Inv, dumped: Path, database: Database) -> None:
    """Also what the older version has left unfinished: a revision, a load, a lease."""
    before = names(database)
    shown = run("showmigrations")
    assert "0001_department_employee" in shown.out
    assert "deploy@web" in shown.out
    refused = run("migrate", code=3)
    assert "0002_place stopped at operation 3 of 3" in refused.err
    assert names(database) == before | {"dbtasks_format"}
    assert formats(database) == [f"format_{own_tables.FORMAT}"]
    run("migrate", "--resume")
    load = ("loaddata", "--input", str(dumped), "--model", "Employee", "--batch-size", "2")
    run(*load, "--resume")
    assert ask(database, "SELECT count(*) FROM employee WHERE dept_id = 1") == [(10,)]
    assert ask(database, f"SELECT * FROM {own(database, 'dbtasks_load')}") == []
    migration, columns = own(database, "dbtasks_migration"), "revision, state, done"
    rows = ask(database, f"SELECT {columns}, holder FROM {migration} ORDER BY id")
    assert [(*row[:3], row[3] == "deploy@web:4711") for row in rows] == [
        ("0001_department_employee", "applied", 2, True),
        ("0002_place", "applied", 3, True),
    ]
    written = ask(database, f"SELECT command FROM {own(database, 'dbtasks_journal')} ORDER BY id")
    assert [row[0].split()[0] for row in written] == ["add"] + ["loaddata"] * 4
    assert "test" in run("protect").out


def test_what_only_reads_leaves_an_older_format(run: Inv, dumped: Path, database: Database) -> None:
    before = names(database)
    for line in ("showmigrations", "protect", "query", "migrate --plan", "settings"):
        run(*line.split())
    assert names(database) == before


def test_an_upgrade_that_was_killed_is_done_again(
    run: Inv, dumped: Path, database: Database
) -> None:
    """Where DDL commits, the column may exist before the number."""
    ask(database, f"ALTER TABLE {own(database, 'dbtasks_migration')} ADD checksum VARCHAR(64)")
    run("migrate", "--resume")
    assert formats(database) == [f"format_{own_tables.FORMAT}"]


@pytest.mark.parametrize(
    "line",
    [
        "migrate",
        "rollback --no-input",
        "showmigrations",
        "protect --as production --no-input",
        "flush --no-input",
        "seed",
        "add -m Department -s name=Law",
        "delete -m Employee --pk 1 --no-input",
    ],
)
def test_a_newer_format_is_refused(run: Inv, database: Database, line: str) -> None:
    run("migrate", "seed")
    make_newer(database)
    migration = f"SELECT * FROM {own(database, 'dbtasks_migration')}"
    before = ask(database, migration), names(database)
    refused = run(*line.split(), code=3)
    assert f"have format {NEWER}" in refused.err
    assert f"up to {own_tables.FORMAT}" in refused.err
    assert "hint: " in refused.err
    assert "state: nothing was changed" in refused.err
    assert (ask(database, migration), names(database)) == before
    assert ask(database, "SELECT count(*) FROM employee") == [(2,)]


def test_tables_are_made_when_they_are_needed(inv: Inv, database: Database) -> None:
    environment = {"DATABASE_URL": database.url}
    assert inv("showmigrations", env=environment).code == 0
    if database.kind != "sqlite":
        assert names(database) == set()
    assert inv("migrate", env=environment).code == 0
    lease = {"dbtasks_lease"} if database.kind == "mariadb" else set()
    assert names(database) == {"dbtasks_format", "dbtasks_migration"} | lease
    assert formats(database) == [f"format_{own_tables.FORMAT}"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_format_that_somebody_made_without_a_number_gets_it(run: Inv, database: Database) -> None:
    ask(database, "CREATE TABLE dbtasks_format (note TEXT)")
    run("migrate")
    assert formats(database) == ["note", f"format_{own_tables.FORMAT}"]


def test_the_lock_of_an_upgrade_is_the_same_in_each_format() -> None:
    columns = "id owner holder started beat connection_id"
    assert [column.name for column in own_tables.lease(None).columns] == columns.split()


SQL = ("settings", "--own-tables-sql")


def test_the_sql_makes_all_tables(run: Inv, database: Database) -> None:
    """Then no command makes any more."""
    if database.kind == "sqlite":
        ask(database, "CREATE TABLE other (id INTEGER)")
    ask(database, *run(*SQL).out.split(";\n")[:-1])
    every = {table.name for table in own_tables.all_tables(None)}
    assert names(database) == every
    assert run(*SQL).out == f"-- All tables of dbtasks exist, in format {own_tables.FORMAT}.\n"
    run("migrate", "seed")
    assert (names(database), formats(database)) == (every, [f"format_{own_tables.FORMAT}"])


def test_the_sql_upgrades_an_older_format(run: Inv, dumped: Path, database: Database) -> None:
    shown = run(*SQL).out
    assert f"ALTER TABLE {own(database, 'dbtasks_migration')} ADD checksum" in shown
    ask(database, *shown.split(";\n")[:-1])
    assert run(*SQL).out.startswith("-- All tables")
    run("migrate", "--resume")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "postgresql+psycopg://app:secret@127.0.0.1:1/shop",
            "GRANT USAGE ON SCHEMA dbtasks TO app",
        ),
        ("mysql+pymysql://app:secret@127.0.0.1:1/shop", "id INTEGER NOT NULL AUTO_INCREMENT"),
        ("sqlite:///missing.db", "CREATE TABLE dbtasks_lease"),
    ],
)
def test_the_sql_without_a_database(inv: Inv, company: Path, url: str, words: str) -> None:
    done = inv(*SQL, env={"DATABASE_URL": url})
    assert done.code == 0, done.err
    assert done.out.startswith("-- The database cannot be reached")
    assert words in done.out
    assert "secret" not in done.out
    assert not (company / "missing.db").exists()


@pytest.fixture
def limited(database: Database) -> Iterator[str]:
    """Return the URL of a role that may change rows, and make nothing."""
    url = make_url(database.url)
    role = f"r_{url.database}"
    if database.kind == "postgresql":
        ask(
            database,
            f"CREATE ROLE {role} LOGIN PASSWORD 'x'",
            f"GRANT USAGE ON SCHEMA public TO {role}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        )
    else:
        ask(
            database,
            f"CREATE USER {role} IDENTIFIED BY 'x'",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {url.database}.* TO {role}",
        )
    yield url.set(username=role, password="x").render_as_string(hide_password=False)
    if database.kind == "postgresql":
        ask(database, f"DROP OWNED BY {role}")
    ask(database, f"DROP {'ROLE' if database.kind == 'postgresql' else 'USER'} {role}")


ROLES = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)


@ROLES
def test_a_role_that_may_make_no_table_is_shown_the_sql(
    run: Inv, database: Database, limited: str
) -> None:
    protect = ("protect", "--as", "test")
    refused = run(*protect, code=8, DATABASE_URL=limited)
    assert "error: dbtasks cannot make its own tables: " in refused.err
    assert "hint: let a role that may make tables run the SQL that this shows: inv settings" in (
        refused.err
    )
    assert "state: nothing was changed" in refused.err
    ask(database, *run(*SQL, DATABASE_URL=limited).out.split(";\n")[:-1])
    run(*protect, DATABASE_URL=limited)


@ROLES
def test_a_role_that_may_not_upgrade_is_shown_the_sql(
    run: Inv, dumped: Path, database: Database, limited: str
) -> None:
    """What does not need the newer format goes on."""
    if database.kind == "postgresql":
        role = make_url(limited).username
        ask(
            database,
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
            f"GRANT USAGE ON SCHEMA dbtasks TO {role}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA dbtasks TO {role}",
            f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}",
        )
    run("seed", DATABASE_URL=limited)
    refused = run("migrate", "--resume", code=8, DATABASE_URL=limited)
    assert "inv settings --own-tables-sql" in refused.err
    assert "dbtasks_format" not in names(database)
    ask(database, *run(*SQL, DATABASE_URL=limited).out.split(";\n")[:-1])
    assert run(*SQL, DATABASE_URL=limited).out.startswith("-- All tables")


def test_a_file_that_changed_after_it_was_applied_is_named(
    project: Project, run: Inv, company: Path, database: Database
) -> None:
    def changed() -> list[str]:
        return [entry.revision.id for entry in migrations.changed(project)]

    add_revision(company, "0002_place", STREET.format("department"))
    drop = 'op.drop_column("employee", "street")'
    add, after = STREET.format("employee"), "0002_place"
    second = add_revision(company, "0003_pin", add, downgrade=drop, after=after)
    run("migrate")
    rows = ask(database, f"SELECT checksum FROM {own(database, 'dbtasks_migration')}")
    assert {len(checksum) for (checksum,) in rows} == {64}
    assert changed() == []
    text = second.read_text()
    moved = text.replace('"""pin"""', '"""Another message.\n\nRevises: base"""')
    moved = moved.replace("\n\n\ndef", '\nreplaces = (\n    "a",\n    "b",\n)\n\n\n\ndef')
    second.write_bytes(moved.replace("\n", "  \r\n").encode())
    assert changed() == []
    second.write_text(text.replace("String(50)", "String(60)"))
    assert changed() == ["0003_pin"]
    lines = run("showmigrations").out.splitlines()
    assert ["(its file has changed since)" in line for line in lines] == [False, False, True]
    records = json.loads(run("showmigrations", "--format", "json").out)
    assert [record["changed"] for record in records] == [False, False, True]
    run("redo", "--no-input")
    assert changed() == []
    run("rollback", "--no-input")
    second.write_text(text)
    assert changed() == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_squash_of_what_was_applied_is_no_change(
    project: Project, run: Inv, company: Path, database: Database
) -> None:
    add_revision(company, "0002_place", STREET.format("department"))
    run("migrate")
    done = run("squashmigrations", "--from", "base", "--to", "0002_place")
    assert done.code == 0, done
    assert migrations.changed(project) == []
    path = company / "migrations" / "versions" / "0002_place.py"
    text = path.read_text()
    run("migrate", "--to", "base", "--no-input")
    ask(database, "DELETE FROM dbtasks_migration")  # as on a database that is new
    run("migrate")
    assert migrations.changed(project) == []
    path.write_text(text.replace("String(length=50)", "String(length=60)"))
    assert [entry.revision.id for entry in migrations.changed(project)] == ["0002_place"]


def test_no_checksum_is_no_change(project: Project, run: Inv, dumped: Path, company: Path) -> None:
    """Neither in an older format, nor of what was applied in it."""
    first = company / "migrations" / "versions" / "0001_department_employee.py"
    first.write_text(first.read_text() + "\nNUMBER = 1\n")
    assert migrations.changed(project) == []
    run("migrate", "--resume")
    assert migrations.changed(project) == []
