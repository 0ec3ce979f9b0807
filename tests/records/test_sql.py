"""sql: reading that cannot write, one transaction, parameters that bind and nothing else."""

import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import inspect, select, text
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from conftest import DRIVERS, Database
from dbtasks import Project, guards, own_tables
from dbtasks.engines import Backend, backend_class
from dbtasks.errors import DbtasksError, PartlyApplied, Refused, Rejected, UsageError
from dbtasks.records import is_limited, sql

BAD = (Refused, Rejected)


def opened(company: Path, database: Database) -> Project:
    """Return a project with a table `t` of three rows."""
    project = Project.configure(company, url=database.url)
    if database.kind == "sqlite":
        Path(database.url.partition(":///")[2]).touch()
    run(project, "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(50))", write=True)
    run(project, "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL)", write=True)
    return project


@pytest.fixture
def shop(company: Path, database: Database) -> Iterator[Project]:
    with opened(company, database) as project:
        yield project


@pytest.fixture
def shops(company: Path, drivers: Database) -> Iterator[Project]:
    with opened(company, drivers) as project:
        yield project


def run(project: Project, statement: str, **options: object) -> list[object]:
    """Return the rows of each result, or the number of rows that it changed."""
    with sql(project, statement, **options) as results:  # type: ignore[arg-type]
        return [list(one.rows) if one.columns else one.changed for one in results]


def names(project: Project) -> list[object]:
    with project.connect() as connection:
        return list(connection.scalars(text("SELECT name FROM t ORDER BY id")))


def untouched(project: Project) -> bool:
    with project.connect() as connection:
        tables = [one for one in inspect(connection).get_table_names() if one != "dbtasks_lease"]
    return tables == ["t"] and names(project) == ["a", "b", None]


# -- nothing is written without leave ---------------------------------------------------------

EVERYWHERE = [
    "INSERT INTO t VALUES (4, 'x')",
    "UPDATE t SET name = 'x'",
    "DELETE FROM t",
    "DROP TABLE t",
    "CREATE TABLE u (id INTEGER)",
    "CREATE TEMPORARY TABLE u (id INTEGER)",
    "ALTER TABLE t ADD COLUMN x INTEGER",
    "COMMIT",
    "COMMIT; DROP TABLE t",
    "ROLLBACK; DELETE FROM t",
    "SELECT 1; COMMIT; DROP TABLE t",
    "/* a */ COMMIT -- b",
    "BEGIN; DELETE FROM t",
    "END; DROP TABLE t",
    "SAVEPOINT a",
    "RELEASE SAVEPOINT a",
    "START TRANSACTION; DELETE FROM t",
    "START TRANSACTION READ WRITE; DELETE FROM t",
    "SET TRANSACTION READ WRITE; DROP TABLE t",
    "( DELETE FROM t )",
]

ESCAPES = {
    "sqlite": [
        "PRAGMA query_only=OFF; DELETE FROM t",
        "PRAGMA query_only(0)",
        "PRAGMA user_version=5",
        "PRAGMA writable_schema=ON",
        "PRAGMA journal_mode=DELETE",
        "ATTACH '{file}' AS other",
        "ATTACH '{file}' AS other; CREATE TABLE other.u (id INTEGER)",
        "VACUUM INTO '{file}'",
        "VACUUM",
        "REINDEX",
        "ANALYZE",
        "REPLACE INTO t VALUES (1, 'x')",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT 9, 'x'",
        "EXPLAIN DELETE FROM t",
        "UPDATE sqlite_master SET sql = ''",
        "PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql = ''",
        "SELECT load_extension('{file}')",
    ],
    "postgresql": [
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; DELETE FROM t",
        "SET default_transaction_read_only = off; DELETE FROM t",
        "RESET default_transaction_read_only",
        "RESET ALL; DELETE FROM t",
        "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "WITH x AS (INSERT INTO t VALUES (9, 'x') RETURNING *) SELECT * FROM x",
        "SELECT * INTO u FROM t",
        "EXPLAIN ANALYZE DELETE FROM t",
        "EXPLAIN (ANALYZE) UPDATE t SET name = 'x'",
        "COPY t TO '{file}'",
        "COPY t TO PROGRAM 'cat > {file}'",
        "COPY (SELECT 1) TO PROGRAM 'touch {file}'",
        "DO $$ BEGIN DELETE FROM t; END $$",
        "DO $$ BEGIN COMMIT; DELETE FROM t; END $$",
        "SELECT set_config('transaction_read_only', 'off', true); DELETE FROM t",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "PREPARE x AS DELETE FROM t",
        "PREPARE TRANSACTION 'x'",
        "CALL x()",
        "LOCK TABLE t",
        "VACUUM t",
        "TRUNCATE t",
        "SELECT 1 FROM t FOR UPDATE",
    ],
    "mariadb": [
        "SELECT * INTO OUTFILE '{file}' FROM t",
        "SELECT 1 INTO DUMPFILE '{file}'",
        "SELECT 1 /*! INTO OUTFILE '{file}' */",
        "SELECT 1 /*M!100000 INTO OUTFILE '{file}' */",
        "SELECT '\\\\' INTO OUTFILE '{file}'",
        "SELECT '\\' INTO OUTFILE '{file}'",
        "SELECT 1 INTO/**/OUTFILE '{file}'",
        "/*! DROP TABLE t */",
        "SELECT 1 /*!999999 ' */ INTO OUTFILE '{file}' -- '",
        "SELECT 1 /*!50701 ' */ INTO OUTFILE '{file}' -- '",
        "/*!999999 SELECT */ COMMIT",
        "/*!999999 SELECT */ DELETE FROM t",
        "SET autocommit=1; DELETE FROM t",
        "SET @@session.autocommit=1",
        "SET SESSION TRANSACTION READ WRITE; DELETE FROM t",
        "SET STATEMENT max_statement_time=1 FOR DELETE FROM t",
        "WITH x AS (SELECT 1) SELECT 1 FROM t; LOCK TABLES t WRITE",
        "LOCK TABLES t WRITE",
        "UNLOCK TABLES",
        "TRUNCATE t",
        "LOAD DATA INFILE '{file}' INTO TABLE t",
        "ANALYZE TABLE t",
        "ANALYZE DELETE FROM t",
        "FLUSH TABLES",
        "CALL x()",
        "HANDLER t OPEN",
        "REPLACE INTO t VALUES (1, 'x')",
        "PREPARE x FROM 'DELETE FROM t'",
        "EXECUTE IMMEDIATE 'DELETE FROM t'",
        "BEGIN NOT ATOMIC DELETE FROM t; END",
        "XA START 'x'",
        "RENAME TABLE t TO u",
        "GRANT ALL ON t TO root",
        "DO SLEEP(0)",
    ],
}


def test_no_escape_writes(shops: Project, drivers: Database, tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)  # a server runs as another user
    for statement in [*EVERYWHERE, *ESCAPES[drivers.kind]]:
        file = folder / "written"
        with pytest.raises(Refused):
            run(shops, statement.replace("{file}", str(file)), several=True)
            pytest.fail(f"{statement} was run")
        assert not file.exists(), statement
        assert untouched(shops), statement


PAST_THE_FIRST_WORD = {
    "sqlite": ["DELETE FROM t", "COMMIT", "PRAGMA query_only=OFF", "ATTACH ':memory:' AS x"],
    "postgresql": [
        "DELETE FROM t",
        "SET TRANSACTION READ WRITE",
        "DO $$ BEGIN PERFORM set_config('transaction_read_only', 'off', true); END $$",
        "DO $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM t; END $$",
        "COMMIT",
        "ROLLBACK",
    ],
    "mariadb": ["DELETE FROM t", "REPLACE INTO t VALUES (1, 'x')"],
}


def test_database_holds_without_the_first_line(
    shops: Project, drivers: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text is not read here at all: what refuses is the engine, or its state after it."""
    monkeypatch.setattr(type(shops.backend), "check_statement", lambda *a, **k: None)
    for statement in PAST_THE_FIRST_WORD[drivers.kind]:
        with pytest.raises(BAD):
            run(shops, statement)
        assert untouched(shops), statement


SEVERAL_AS_ONE = ["SELECT 1; COMMIT; DROP TABLE t", "SELECT 1; DELETE FROM t"]


# psycopg2 only has the simple protocol, which takes several; the docs say so.
ONE_A_CALL = [driver for driver in DRIVERS if driver != "postgresql+psycopg2"]


@pytest.mark.parametrize("drivers", ONE_A_CALL, indirect=True)
def test_driver_takes_one_statement_a_call(
    shops: Project, drivers: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(shops.backend), "check_statement", lambda *a, **k: None)
    monkeypatch.setattr(type(shops.backend.syntax), "split", lambda self, one: [one])
    for write in (False, True):
        for statement in SEVERAL_AS_ONE:
            with pytest.raises(Rejected):
                run(shops, statement, write=write)
            assert untouched(shops), statement


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_reading_transaction_stays_one(shop: Project) -> None:
    with pytest.raises(Rejected, match="must be set before any query"):
        with shop.connect() as connection, shop.backend.guarded(connection, writes=False):
            connection.execute(text("SET TRANSACTION READ WRITE"))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_functions_that_write_are_stopped(shop: Project) -> None:
    create = (
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN DELETE FROM t; RETURN 1; END $$"
    )
    run(shop, create, write=True)
    run(shop, "CREATE SEQUENCE s", write=True)
    for statement in ("SELECT f()", "SELECT nextval('s')", "SELECT setval('s', 9)"):
        with pytest.raises(Refused, match="read-only") as raised:
            run(shop, statement)
        assert "--write" in str(raised.value.hint)
    assert untouched(shop)


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_routines_that_write_are_stopped(shop: Project) -> None:
    create = "CREATE FUNCTION f() RETURNS int BEGIN DELETE FROM t; RETURN 1; END"
    run(shop, create, write=True)
    with pytest.raises(Refused, match="READ ONLY"):
        run(shop, "SELECT f()")
    assert untouched(shop)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_the_server_lets_pass_is_rolled_back(shop: Project) -> None:
    run(shop, "EXPLAIN (ANALYZE) CREATE TABLE u AS SELECT 1")
    assert untouched(shop)


CONTROL = ["COMMIT", "ROLLBACK", "SAVEPOINT a", "BEGIN", "START TRANSACTION"]


def test_transaction_is_ours_with_write_too(shops: Project, drivers: Database) -> None:
    more = {"sqlite": ["ATTACH ':memory:' AS x", "DETACH x"], "mariadb": ["SET autocommit=1"]}
    for statement in [*CONTROL, *more.get(drivers.kind, [])]:
        with pytest.raises(Refused):
            run(shops, f"DELETE FROM t; {statement}", write=True, several=True)
        assert untouched(shops), statement


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_transaction_that_ended_is_noticed(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(shop.backend), "check_statement", lambda *a, **k: None)
    with pytest.raises(Refused, match="ended the transaction"):
        run(shop, "SELECT 1; COMMIT; DELETE FROM t", several=True)
    assert untouched(shop)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_unknown_database_is_not_read(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(shop.backend), "guarded", Backend.guarded)
    with pytest.raises(Refused, match="nothing holds SQLite to reading"):
        run(shop, "SELECT 1")
    assert run(shop, "DELETE FROM t", write=True) == [3]


def test_write_works_after_read(shop: Project) -> None:
    """What the guard set on a connection of the pool is gone after it."""
    run(shop, "SELECT 1")
    with pytest.raises(BAD):
        run(shop, "DELETE FROM t")
    assert run(shop, "DELETE FROM t WHERE id = 1", write=True) == [1]
    with shop.connect(writes=True) as connection:
        connection.execute(text("DELETE FROM t"))
    assert names(shop) == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sqlite_reads_what_it_may(shop: Project) -> None:
    assert run(shop, "PRAGMA table_info(t)")[0][0][1] == "id"  # type: ignore[index]
    assert run(shop, "PRAGMA user_version") == [[(0,)]]
    assert run(shop, "SELECT name FROM pragma_table_info('t') WHERE pk") == [[("id",)]]
    assert run(shop, "SELECT value FROM json_each('[7]')") == [[(7,)]]
    assert run(shop, "EXPLAIN QUERY PLAN SELECT * FROM t")
    assert run(shop, "SELECT upper(name) FROM t WHERE id = 1") == [[("A",)]]


# -- results ----------------------------------------------------------------------------------


def test_rows_and_counts(shops: Project) -> None:
    assert run(shops, "SELECT id, name FROM t ORDER BY id") == [[(1, "a"), (2, "b"), (3, None)]]
    assert run(shops, "VALUES (1), (2)") == [[(1,), (2,)]]
    assert run(shops, "UPDATE t SET name = 'x' WHERE id > 1;", write=True) == [2]
    assert names(shops) == ["a", "x", "x"]
    assert run(shops, "SELECT '50%', '%s', '%(a)s', '%%'") == [[("50%", "%s", "%(a)s", "%%")]]


def test_equal_names_are_numbered(shop: Project) -> None:
    with sql(shop, "SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a") as results:
        assert next(results).columns == ("a", "a_2", "a_2_2", "a_3")


def test_what_is_not_read_is_run_all_the_same(shop: Project) -> None:
    statements = "SELECT * FROM t; DELETE FROM t WHERE id = 1; DELETE FROM t WHERE id = 2"
    with sql(shop, statements, write=True, several=True) as results:
        next(results)
    assert names(shop) == [None]


SERIES = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000) "
    "SELECT i, 'some text' FROM n",
    "postgresql": "SELECT i, 'some text' FROM generate_series(1, 120000) AS i",
    "mariadb": "SELECT seq, 'some text' FROM seq_1_to_120000",
}


def test_many_rows_are_streamed(shops: Project, drivers: Database) -> None:
    run(shops, "SELECT 1")
    tracemalloc.start()
    start = time.perf_counter()
    with sql(shops, SERIES[drivers.kind]) as results:
        rows = next(results).rows
        assert next(rows) == (1, "some text")
        first = time.perf_counter() - start
        for _ in range(40_000):
            next(rows)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sum(1 for _ in rows) == 79_999
    assert first < 1
    assert peak < 3_000_000


# -- one transaction --------------------------------------------------------------------------


def test_a_failing_statement_rolls_all_back(shops: Project) -> None:
    with pytest.raises(Rejected) as raised:
        run(shops, "DELETE FROM t; INSERT INTO nope VALUES (1)", write=True, several=True)
    assert raised.value.state == "rolled back"
    assert untouched(shops)


def test_an_error_in_the_block_rolls_back(shop: Project) -> None:
    with pytest.raises(ZeroDivisionError):
        with sql(shop, "DELETE FROM t", write=True) as results:
            next(results)
            1 / 0  # noqa: B018 - it is to raise
    assert untouched(shop)


def test_an_error_while_streaming_is_told(shop: Project, database: Database) -> None:
    late = {
        "sqlite": "SELECT abs(CASE id WHEN 3 THEN -9223372036854775808 ELSE 1 END) FROM t",
        "postgresql": "SELECT 1 / (900000 - i) FROM generate_series(1, 900000) AS i",
        "mariadb": "SELECT (SELECT id FROM t AS u WHERE t.id = 3 OR u.id = 1) FROM t",
    }
    with pytest.raises(Rejected):
        run(shop, late[database.kind])


def test_expect(shops: Project) -> None:
    for number in (0, 2, 4):
        with pytest.raises(Refused, match="3 rows") as raised:
            run(shops, "UPDATE t SET name = 'x'", write=True, expect=number)
        assert raised.value.state == "rolled back"
        assert untouched(shops)
    assert run(shops, "SELECT * FROM t", expect=3)
    with pytest.raises(Refused):
        run(shops, "SELECT * FROM t", expect=2)
    both = "SELECT * FROM t; DELETE FROM t WHERE id = 1; DELETE FROM t WHERE id = 2"
    with pytest.raises(Refused, match="2 rows"):
        run(shops, both, write=True, several=True, expect=5)
    run(shops, both, write=True, several=True, expect=2)
    assert names(shops) == [None]


def test_expect_counts_what_nobody_read(shop: Project) -> None:
    with pytest.raises(Refused, match="3 rows"):
        with sql(shop, "SELECT * FROM t", expect=1) as results:
            next(next(results).rows)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_expect_counts_returned_rows(shop: Project) -> None:
    both = "DELETE FROM t WHERE id = 1 RETURNING id; SELECT * FROM t"
    run(shop, both, write=True, several=True, expect=1)
    assert names(shop) == ["b", None]


NOT_COUNTED = {
    "sqlite": [
        "WITH x AS (SELECT 1 AS k) DELETE FROM t WHERE id > (SELECT k FROM x)",
        "REPLACE INTO t VALUES (1, 'x')",
        "INSERT OR REPLACE INTO t VALUES (1, 'x')",
        "UPDATE OR REPLACE t SET id = 2 WHERE id = 1",
    ],
    "postgresql": [
        "WITH x AS (DELETE FROM t RETURNING id) SELECT count(*) FROM x",
        "EXPLAIN ANALYZE DELETE FROM t WHERE id = 1",
    ],
}


@pytest.mark.parametrize("database", NOT_COUNTED, indirect=True)
def test_expect_is_refused_for_what_is_not_counted(shop: Project, database: Database) -> None:
    for statement in NOT_COUNTED[database.kind]:
        for number in range(10):
            with pytest.raises(Refused, match="does not say how many rows") as raised:
                run(shop, statement, write=True, expect=number)
            assert raised.value.state == "rolled back"
        assert untouched(shop)
        run(shop, statement, write=True, dry_run=True)


def test_a_text_that_is_replaced_is_counted(shop: Project) -> None:
    run(shop, "UPDATE t SET name = REPLACE(name, 'a', 'b') WHERE id = 1", write=True, expect=1)


GUARDS = {
    "sqlite": [
        "UPDATE dbtasks_environment SET name = 'test'",
        'DELETE FROM "dbtasks_ENVIRONMENT"',
        "INSERT INTO [dbtasks_journal] (os_user, host, command, row_count) VALUES ('','','',1)",
        "CREATE TRIGGER x AFTER UPDATE ON t BEGIN DELETE FROM dbtasks_environment; END; ",
        "DROP TABLE dbtasks_journal",
        "ALTER TABLE dbtasks_environment RENAME TO x",
        "PRAGMA writable_schema = 1",
    ],
    "postgresql": [
        "UPDATE dbtasks.dbtasks_environment SET name = 'test'",
        """UPDATE U&"dbtasks".U&"dbtasks\\005Fenvironment" SET name = 'test'""",
        "DO $$ BEGIN EXECUTE 'UPDATE dbtasks.dbtasks_' || 'environment SET id = 2'; END $$",
        "DELETE FROM dbtasks.dbtasks_journal",
        "TRUNCATE dbtasks.dbtasks_journal",
        "DROP SCHEMA dbtasks CASCADE",
        "ALTER SCHEMA dbtasks RENAME TO x",
    ],
    "mariadb": [
        "UPDATE `dbtasks_environment` SET name = 'test'",
        "UPDATE DBTASKS_environment, t SET dbtasks_environment.name = 'x'",
        "DELETE FROM dbtasks_journal",
        "DROP TABLE dbtasks_environment",
        "RENAME TABLE t TO u, `dbtasks_environment` TO x",
        "ALTER TABLE dbtasks_environment ADD COLUMN x INT",
        "TRUNCATE dbtasks_journal",
        "CREATE TRIGGER x AFTER UPDATE ON t FOR EACH ROW DELETE FROM dbtasks_environment",
    ],
}


CATALOGUES = {
    "postgresql": [
        "UPDATE pg_class SET reltuples = reltuples WHERE oid = 't'::regclass",
        """update U&"pg\\005Fclass" set reltuples = reltuples where relname = 't'""",
        "DELETE FROM ONLY pg_catalog.pg_class WHERE oid = 't'::regclass",
        "INSERT INTO pg_description VALUES ('t'::regclass, 'pg_class'::regclass, 0, 'x')",
        "/* a view */ UPDATE v SET relpages = 0 WHERE oid = 't'::regclass",
        "WITH x AS (SELECT 't'::regclass AS oid) DELETE FROM pg_class USING x "
        "WHERE pg_class.oid = x.oid",
    ],
    "mariadb": [
        "DELETE FROM mysql.global_priv WHERE user = 'nobody'",
        "UPDATE `mysql` . `help_topic` SET url = url LIMIT 1",
        "INSERT INTO MySQL.func (name, ret, dl, type) VALUES ('x', 0, 'x', 'function')",
    ],
}


@pytest.mark.parametrize("database", CATALOGUES, indirect=True)
def test_expect_is_refused_for_what_the_server_keeps(shop: Project, database: Database) -> None:
    """The number of rows of pg_class says nothing of what changes with them."""
    if database.kind == "postgresql":
        view = "CREATE VIEW v AS SELECT oid, relpages FROM pg_class"
        run(shop, view, write=True)
    for statement in CATALOGUES[database.kind]:
        for number in (0, 1):
            with pytest.raises(Refused, match="tables that the server keeps") as caught:
                run(shop, statement, write=True, expect=number)
            assert caught.value.state == "rolled back"
            assert "leave out --expect" in str(caught.value.hint)
    assert names(shop) == ["a", "b", None]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_expect_counts_what_only_reads_the_catalogue(shop: Project) -> None:
    named = "(SELECT relname FROM pg_class WHERE oid = 't'::regclass)"
    run(shop, f"UPDATE t SET name = {named} WHERE id = 1", write=True, expect=1)
    assert names(shop) == ["t", "b", None]
    bound = "UPDATE t SET name = :name WHERE id = CAST(:id AS INTEGER)"
    run(shop, bound, write=True, expect=1, params={"name": "pg_class", "id": "1"})
    with pytest.raises(Rejected, match="nope"):
        run(shop, "UPDATE nope SET name = 'x'", write=True, expect=1)


def test_guards_are_not_for_sql(shop: Project, database: Database) -> None:
    guards.mark(shop, "production")
    run(shop, "UPDATE t SET name = name", write=True)  # a line in the journal
    before = stored_guards(shop)
    for statement in GUARDS[database.kind]:
        if "DBTASKS" in statement and not folds_names(shop):
            continue
        with pytest.raises(BAD) as caught:
            run(shop, statement.replace("\\\\", "\\"), write=True)
            run(shop, "UPDATE t SET name = name", write=True)  # what fires the trigger
        assert caught.value.exit_code == 3, (statement, caught.value)
        assert stored_guards(shop)[0] == before[0], statement
    run(shop, "DROP TRIGGER IF EXISTS x", write=True) if database.kind == "sqlite" else None
    run(shop, "UPDATE t SET name = name", write=True, expect=3)


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_a_guard_that_is_gone_is_not_called_rolled_back(shop: Project) -> None:
    guards.mark(shop, "production")
    with pytest.raises(PartlyApplied, match="the guards of the database") as raised:
        run(shop, "EXECUTE IMMEDIATE CONCAT('DROP TABLE dbtasks_', 'environment')", write=True)
    assert raised.value.state == "unknown: MySQL commits such a statement by itself"


def folds_names(shop: Project) -> bool:
    with shop.connect() as connection:
        return bool(connection.scalar(text("SELECT @@lower_case_table_names")))


def stored_guards(shop: Project) -> list[object]:
    schema = shop.backend.own_schema
    with shop.connect() as connection:
        return [
            connection.execute(select(table)).all()
            for table in (own_tables.environment(schema), own_tables.journal(schema))
        ]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "statement", ["SELECT * INTO copied FROM t", "TABLE t", "SELECT emptied() FROM t"]
)
def test_expect_of_what_reads_changes_nothing(shop: Project, statement: str) -> None:
    """A number of rows that are read says nothing of a new table, or of what a function does."""
    run(
        shop,
        "CREATE FUNCTION emptied() RETURNS int LANGUAGE sql AS 'DELETE FROM t RETURNING 1'",
        write=True,
    )
    if statement == "TABLE t":
        assert len(run(shop, statement, write=True, expect=3)) == 1
        return
    with pytest.raises(Refused, match="read-only transaction") as caught:
        run(shop, statement, write=True, expect=3)
    assert "leave out --expect" in str(caught.value.hint)
    assert untouched(shop)
    assert is_limited(shop, statement)
    assert not is_limited(shop, f"{statement}; DELETE FROM t")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_expect_counts_a_change_after_with(shop: Project) -> None:
    change = "WITH x AS (SELECT 2 AS k) DELETE FROM t WHERE id IN (SELECT k FROM x)"
    run(shop, change, write=True, expect=1)
    assert names(shop) == ["a", None]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "limited"),
    [
        ("DELETE FROM t WHERE id = 1; SELECT 1", False),
        ("(SELECT 1)", True),
        ("WITH x AS (SELECT ')') UPDATE t SET id = 2", True),
        ("INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2", True),
        ("WITH x AS (DELETE FROM t RETURNING (id)) INSERT INTO u SELECT * FROM x", False),
        ("WITH x AS (DELETE FROM t RETURNING id) SELECT * FROM x", False),
        ("SELECT 1; DROP TABLE t", False),
        ("TRUNCATE t", False),
        ("DO $$ BEGIN DELETE FROM t; END $$", False),
        ("UPDATE dbtasks.dbtasks_environment SET name = 'test'", False),
        ('DELETE FROM "DBTASKS_ENVIRONMENT"', False),
    ],
)
def test_what_a_number_limits(shop: Project, statement: str, limited: bool) -> None:
    assert is_limited(shop, statement) == limited


def test_dry_run(shops: Project) -> None:
    assert run(shops, "DELETE FROM t", write=True, dry_run=True) == [3]
    assert untouched(shops)
    with pytest.raises(Refused):
        run(shops, "DELETE FROM t", dry_run=True)


def test_ddl_is_rolled_back_or_refused(shops: Project, drivers: Database) -> None:
    if drivers.kind != "mariadb":
        run(shops, "DROP TABLE t", write=True, dry_run=True)
    else:
        options = ({"dry_run": True}, {"expect": 0}, {"several": True})
        for given_ in options:
            statement = "DROP TABLE t" + ("; SELECT 1" if "several" in given_ else "")
            with pytest.raises(Refused, match="DROP cannot be rolled back"):
                run(shops, statement, write=True, **given_)
    assert untouched(shops)


IRREVOCABLE = {
    "postgresql": ["COPY t TO '{file}'", "COPY t TO PROGRAM 'touch {file}'"],
    "mariadb": ["SELECT 1 INTO OUTFILE '{file}'", "CALL x()", "SET PASSWORD = ''", "LOCK TABLES t"],
}


@pytest.mark.parametrize("database", IRREVOCABLE, indirect=True)
def test_what_cannot_be_rolled_back_is_not_rehearsed(
    shop: Project, database: Database, tmp_path: Path
) -> None:
    for statement in IRREVOCABLE[database.kind]:
        with pytest.raises(Refused, match="cannot be rolled back"):
            run(shop, statement.replace("{file}", str(tmp_path / "x")), write=True, dry_run=True)


# -- parameters -------------------------------------------------------------------------------


def test_parameters_bind_as_text(shops: Project) -> None:
    assert run(shops, "SELECT name FROM t WHERE id = :id", params={"id": "2"}) == [[("b",)]]
    nasty = "' OR 1=1 --\\%s :id"
    insert = "INSERT INTO t VALUES (:id, :name)"
    assert run(shops, insert, params={"id": "4", "name": nasty}, write=True) == [1]
    assert run(shops, "SELECT id FROM t WHERE name=:name", params={"name": nasty}) == [[(4,)]]
    doubled = "SELECT id FROM t WHERE id = :n OR id = :n"
    assert run(shops, doubled, params={"n": "1"}) == [[(1,)]]


COLONS = {
    "sqlite": [("SELECT '12:30', ':id', \":id\" FROM t WHERE id = :id -- :id", None)],
    "postgresql": [
        ("SELECT '12:30'::time::text, ':id' /* :id */ FROM t WHERE id = :id", ("12:30:00", ":id")),
        ("SELECT (ARRAY[1,2])[1:2], $$:id$$ FROM t WHERE id=:id", ([1, 2], ":id")),
        ("SELECT E'\\':id', '\\:id' FROM t WHERE id=:id", ("':id", "\\:id")),
        ("SELECT :id::integer + 1, '{}'::jsonb FROM t WHERE id=:id::int", (2, {})),
    ],
    "mariadb": [
        ("SELECT '12:30', ':id', \":id\" FROM t WHERE id = :id # :id", ("12:30", ":id", ":id")),
        ("SELECT '\\':id' FROM t WHERE id = :id -- :id", ("':id",)),
    ],
}


def test_other_colons_stand_as_they_are(shops: Project, drivers: Database) -> None:
    for statement, row in COLONS[drivers.kind]:
        if row is None:  # SQLite reads a quoted name that is none as text
            row = ("12:30", ":id", ":id")
        assert run(shops, statement, params={"id": "1"}) == [[row]]
        assert run(shops, "SELECT '12:30', ':x'") == [[("12:30", ":x")]]


def test_parameter_that_is_not_there_is_refused(shop: Project) -> None:
    for statement in ("SELECT ':n'", "SELECT 1 -- :n", "SELECT 1 /* :n */", "SELECT :name"):
        with pytest.raises(UsageError, match="no :n is in the statement"):
            run(shop, statement, params={"n": "1"})


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_bad_texts_are_refused(shop: Project) -> None:
    for statement in ("", " ; ", "-- nothing", "SELECT '\0'", "SELECT '\ud800'"):
        with pytest.raises(UsageError):
            run(shop, statement)
    with pytest.raises(UsageError, match="parameter n"):
        run(shop, "SELECT :n", params={"n": "\0"})
    with pytest.raises(UsageError, match="2 statements"):
        run(shop, "SELECT 1; SELECT 2")


ALPHABET = st.text(alphabet="\\:'\"`-/*#$nx;[] \n%eE(é", max_size=30)
DIALECTS = {
    "sqlite": sqlite.dialect(),
    "postgresql": postgresql.dialect(paramstyle="named"),
    "mysql": mysql.dialect(paramstyle="named"),
}


@settings(max_examples=300, suppress_health_check=[HealthCheck.differing_executors])
@given(ALPHABET)
@pytest.mark.parametrize("name", DIALECTS)
def test_any_text_reaches_the_database_as_it_stands(name: str, statement: str) -> None:
    syntax = backend_class(name).syntax
    code = syntax.code(statement)
    assert len(code) == len(statement)
    compiled = text(syntax.bindable(statement, ())).compile(dialect=DIALECTS[name])
    assert not compiled.bind_names
    assert str(compiled).replace("%%", "%") == statement.replace("%%", "%")


# -- splitting --------------------------------------------------------------------------------

SPLITS = {
    "sqlite": [
        "SELECT ';' AS \"a;b\", 1 AS [c;d], 2 AS `e;f`",
        "SELECT 1 -- a ; b\n",
        "SELECT 1 /* a ; b */",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET name = "
        "CASE WHEN 1 THEN 'x' END; DELETE FROM t; END",
        "CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
    ],
    "postgresql": [
        "SELECT 'it''s; fine', 'C:\\'",
        "SELECT E'a\\'; b', U&'c;d', e'\\\\'",
        "SELECT E'a'\n  '\\'; b'",
        f"SELECT E'a' {'-- ' * 40}end",
        "SELECT 1 /* a /* ; */ ; */",
        "SELECT 1 -- ; '",
        "SELECT $$ ; ' $$, $a$ ; $b$ ; $a$",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $x$ BEGIN RETURN 1; END; $x$",
        "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; "
        "SELECT CASE WHEN true THEN 1 END; END",
        'CREATE TABLE trigger_ ("a;b" int)',
    ],
    "mysql": [
        "SELECT `a;b`, 'x\\'; y', \"z\\\"; w\"",
        "SELECT 1 # ; a\n",
        "SELECT 1 -- ; a\n",
        "SELECT 5--1",
        "CREATE DEFINER=`a`@`b` PROCEDURE p() BEGIN IF 1 THEN SELECT 1; END IF; "
        "WHILE 0 DO SELECT 2; END WHILE; CASE WHEN 1 THEN SELECT 3; END CASE; END",
    ],
}


@pytest.mark.parametrize("name", SPLITS)
def test_splitting(name: str) -> None:
    syntax = backend_class(name).syntax
    for statement in SPLITS[name]:
        following = "SELECT 'after'"
        text_ = f"{following};\n{statement}\n; {following} ;; -- end"
        assert syntax.split(text_) == [following, statement.strip(), following], statement


def test_split_statements_are_what_the_database_takes(shop: Project, database: Database) -> None:
    """Each sample that needs no more than `t` runs, alone and between two others."""
    kind = "mysql" if database.kind == "mariadb" else database.kind
    for statement in SPLITS[kind]:
        if statement.startswith("SELECT") and "`a;b`," not in statement:
            text_ = f"SELECT 1; {statement.replace(' AS `e;f`', '')}\n; SELECT 2"
            done = run(shop, text_, several=True)
            assert [len(done), done[0], done[2]] == [3, [(1,)], [(2,)]], statement


def test_our_errors_are_all_that_leaves(shop: Project) -> None:
    for statement in ("SELEC 1", "SELECT * FROM nope", "EXPLAIN nope"):
        with pytest.raises(DbtasksError) as raised:
            run(shop, statement)
        assert not isinstance(raised.value, DBAPIError)


def test_write_on_a_marked_database_is_noted(shop: Project) -> None:
    guards.mark(shop, "development")
    run(shop, "UPDATE t SET id = id + 100", write=True)
    run(shop, "SELECT 1")
    journal = own_tables.journal(shop.backend.own_schema)
    with shop.connect() as connection:
        noted = connection.execute(select(journal.c.command, journal.c.row_count)).all()
    assert [(command, rows > 0) for command, rows in noted] == [("sql", True)]


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_what_commits_by_itself_is_not_called_rolled_back(shop: Project) -> None:
    with pytest.raises(PartlyApplied) as caught:
        run(shop, "DROP TABLE t, no_such_table", write=True)
    assert caught.value.state.startswith("unknown: MySQL commits")
