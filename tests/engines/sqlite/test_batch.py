"""Each operation of Alembic's batch keeps what it does not change of a table of SQLite."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.operations.batch import BatchOperationsImpl
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import StaticPool

from dbtasks.engines.sqlite.schema import _flush_by_alembic
from dbtasks.errors import Refused
from sqlite_rebuilds import CHANGES, Rebuilds, check


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_tables_at_random_keep_all_else(change: Callable[[Rebuilds], None]) -> None:
    @settings(max_examples=20, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        check(data, change)

    run()


@contextmanager
def batching(*statements: str, **options: Any) -> Iterator[tuple[Operations, Connection]]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        yield Operations(MigrationContext.configure(connection, **options)), connection
    engine.dispose()


def statement(connection: Connection, name: str = "t", schema: str = "main") -> str:
    """Return the statement of a table or an index, on one line."""
    asked = f"SELECT sql FROM {schema}.sqlite_master WHERE name = ?"
    sql = str(connection.exec_driver_sql(asked, (name,)).scalar())
    return " ".join(sql.replace('TABLE "t"', "TABLE t").split())


T = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE /* a */, b INT CHECK (b > 0))"


def test_alembic_still_reflects_before_it_asks() -> None:
    """Where this fails, `recreate="always"` may need no place of ours in Alembic's batch."""
    source = inspect.getsource(_flush_by_alembic)
    assert "autoload_with" in source
    assert source.index("autoload_with") < source.index("ApplyBatchImpl(")
    assert BatchOperationsImpl.flush is not _flush_by_alembic


@pytest.mark.parametrize("recreate", ["auto", "always"])
def test_a_column_is_added_and_altered_in_one_batch(recreate: Any) -> None:
    with batching(T, "INSERT INTO t VALUES (1, 'x', 2)") as (op, connection):
        with op.batch_alter_table("t", recreate=recreate) as batch:
            batch.add_column(sa.Column("n", sa.Integer, server_default="7"))
            batch.alter_column("n", type_=sa.String(9), nullable=False, new_column_name="m")
            batch.create_index("ix", ["m"])
        assert statement(connection) == T.replace("0))", "0), m VARCHAR(9) DEFAULT '7' NOT NULL)")
        assert connection.exec_driver_sql("SELECT * FROM t").all() == [(1, "x", 2, "7")]
        assert statement(connection, "ix") == "CREATE INDEX ix ON t (m)"


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        (None, sa.String(9), "VARCHAR(9) COLLATE NOCASE"),
        (sa.Text(), sa.String(9), "VARCHAR(9) COLLATE NOCASE"),
        (sa.Text(), sa.String(9, collation="RTRIM"), 'VARCHAR(9) COLLATE "RTRIM"'),
        (sa.Text(collation="NOCASE"), sa.String(9), "VARCHAR(9)"),
        (None, sa.Integer(), "INTEGER"),
    ],
)
def test_a_collation_that_no_type_names_is_kept(old: Any, new: Any, kept: str) -> None:
    with batching(T) as (op, connection):
        with op.batch_alter_table("t") as batch:
            batch.alter_column("a", type_=new, existing_type=old)
        assert statement(connection) == T.replace("TEXT COLLATE NOCASE", kept)


def test_columns_swap_their_names() -> None:
    with batching(T, "INSERT INTO t VALUES (1, 'x', 2)") as (op, connection):
        with op.batch_alter_table("t") as batch:
            batch.alter_column("a", new_column_name="b")
            batch.alter_column("b", new_column_name="a")
        assert "CHECK (a > 0)" in statement(connection)
        assert connection.exec_driver_sql("SELECT b, a FROM t").all() == [("x", 2)]


def test_a_column_takes_the_name_of_a_dropped_one() -> None:
    with batching(T, "INSERT INTO t VALUES (1, 'x', 2)") as (op, connection):
        with op.batch_alter_table("t") as batch:
            batch.drop_column("b")
            batch.alter_column("a", new_column_name="b")
            batch.add_column(sa.Column("a", sa.Integer))
            batch.alter_column("a", server_default="3")
        assert connection.exec_driver_sql("SELECT id, b, a FROM t").all() == [(1, "x", 3)]
        assert "b TEXT COLLATE NOCASE" in statement(connection)
        assert "a INTEGER DEFAULT '3'" in statement(connection)


def test_a_rename_follows_into_views_triggers_and_other_tables() -> None:
    beside = (
        "CREATE TABLE c (a REFERENCES t (a))",
        "CREATE VIEW v AS SELECT a FROM t",
        "CREATE TRIGGER g AFTER DELETE ON c BEGIN UPDATE t SET a = 1; END",
    )
    with batching(T, *beside) as (op, connection):
        with op.batch_alter_table("t", recreate="always") as batch:
            batch.alter_column("a", new_column_name="z")
            batch.create_unique_constraint("uq", ["a"])
        assert statement(connection, "c") == "CREATE TABLE c (a REFERENCES t (z))"
        assert statement(connection, "v") == "CREATE VIEW v AS SELECT z FROM t"
        assert "SET z = 1" in statement(connection, "g")
        assert "CONSTRAINT uq UNIQUE (z)" in statement(connection)


ATTACHED = (
    "ATTACH ':memory:' AS other",
    T.replace("TABLE t", "TABLE other.t"),
    "CREATE INDEX other.ix ON t (a DESC)",
    "CREATE TRIGGER other.g AFTER DELETE ON t BEGIN DELETE FROM t; END",
    "INSERT INTO other.t VALUES (1, 'x', 2)",
)


def test_a_table_of_an_attached_database_keeps_all() -> None:
    with batching(T, *ATTACHED) as (op, connection):
        before = [statement(connection, name, "other") for name in ("ix", "g")]
        with op.batch_alter_table("t", schema="other") as batch:
            batch.alter_column("b", type_=sa.Text())
            batch.create_index("by_b", ["b"])
        assert [statement(connection, name, "other") for name in ("ix", "g")] == before
        assert statement(connection, "t", "other") == T.replace("b INT", "b TEXT")
        assert statement(connection, "by_b", "other") == "CREATE INDEX by_b ON t (b)"
        assert connection.exec_driver_sql("SELECT * FROM other.t").all() == [(1, "x", "2")]
        assert statement(connection) == T


def test_copy_from_says_what_a_table_is() -> None:
    stated = sa.Table(
        "t",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("a", sa.Boolean(create_constraint=True, name="flag")),
        sa.Column("b", sa.Integer, sa.ForeignKey("p.id", ondelete="CASCADE")),
        sa.Index("by_b", "b"),
    )
    index = "CREATE INDEX by_a ON t (abs(a) DESC)"
    with batching(T, index, "INSERT INTO t VALUES (1, 1, 2)") as (op, connection):
        with op.batch_alter_table("t", copy_from=stated) as batch:
            batch.alter_column("a", new_column_name="z")
            batch.drop_constraint("flag")
        assert "REFERENCES p (id) ON DELETE CASCADE" in statement(connection)
        assert "CHECK" not in statement(connection)
        assert statement(connection, "by_a") == "CREATE INDEX by_a ON t (abs(z) DESC)"
        assert statement(connection, "by_b") == "CREATE INDEX by_b ON t (b)"
        assert connection.exec_driver_sql("SELECT * FROM t").all() == [(1, 1, 2)]


def test_table_args_are_what_there_is_to_be() -> None:
    with batching(T.replace("0))", "0), CHECK (a <> 'q'))")) as (op, connection):
        items = (
            sa.CheckConstraint("a <> 'q'"),
            sa.UniqueConstraint("a", "b", name="both"),
            sa.ForeignKeyConstraint(["b"], ["p.id"]),
        )
        with op.batch_alter_table("t", table_args=items, recreate="always"):
            pass
        assert statement(connection) == (
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE /* a */, b INT, "
            "CHECK (a <> 'q'), CONSTRAINT both UNIQUE (a, b), FOREIGN KEY(b) REFERENCES p (id))"
        )


def test_listeners_of_a_reflection_say_a_type() -> None:
    def listen(inspector: Any, table: Any, column: Any) -> None:
        if column["name"] == "b":
            column["type"] = sa.Boolean(create_constraint=True)

    with batching(T) as (op, connection):
        keywords = {"listeners": [("column_reflect", listen)]}
        with op.batch_alter_table("t", reflect_kwargs=keywords, recreate="always") as batch:
            batch.alter_column("a", nullable=False)
        assert "b BOOLEAN CHECK (b > 0), CHECK (b IN (0, 1))" in statement(connection)


OPTIONS = [
    ({"sqlite_autoincrement": True}, "PRIMARY KEY AUTOINCREMENT"),
    ({"sqlite_strict": True}, ") STRICT"),
    ({"sqlite_strict": True, "sqlite_with_rowid": False}, ") STRICT, WITHOUT ROWID"),
]


@pytest.mark.parametrize(("options", "said"), OPTIONS)
def test_table_kwargs_are_options_that_come_and_go(options: dict[str, bool], said: str) -> None:
    with batching(T, "INSERT INTO t VALUES (5, 'x', 2)") as (op, connection):
        with op.batch_alter_table("t", recreate="always", table_kwargs=options):
            pass
        assert said in statement(connection)
        other = {name: not on for name, on in options.items()}
        with op.batch_alter_table("t", recreate="always", table_kwargs=other):
            pass
        assert statement(connection) == T
        assert connection.exec_driver_sql("SELECT * FROM t").all() == [(5, "x", 2)]


def test_numbers_are_not_given_again() -> None:
    numbered = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT)"
    rows = ("INSERT INTO t VALUES (9, 'x')", "DELETE FROM t")
    with batching(numbered, *rows) as (op, connection):
        for kind in (sa.String(9), sa.Text()):
            with op.batch_alter_table("t") as batch:
                batch.alter_column("a", type_=kind)
        connection.exec_driver_sql("INSERT INTO t (a) VALUES ('y')")
        assert connection.exec_driver_sql("SELECT id FROM t").scalars().all() == [10]
        assert statement(connection) == numbered


def test_rows_that_a_new_constraint_refuses_are_not_lost() -> None:
    """ON CONFLICT REPLACE would delete them while they are copied."""
    rows = "INSERT INTO t VALUES (1, 'x', 1), (2, 'X', 2)"
    with batching(T, rows) as (op, connection):
        item = sa.UniqueConstraint("a", sqlite_on_conflict="REPLACE")
        with (
            pytest.raises(IntegrityError, match="UNIQUE"),
            op.batch_alter_table("t", table_args=[item], recreate="always"),
        ):
            pass
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 2


def test_a_trigger_is_created_again_by_a_revision_for_alembic() -> None:
    trigger = "CREATE TRIGGER g AFTER DELETE ON t BEGIN DELETE FROM t; END"
    with batching(T, trigger) as (op, connection):
        with op.batch_alter_table("t") as batch:
            batch.alter_column("b", nullable=False)
        op.execute(trigger)
        assert statement(connection, "g") == trigger


def test_a_missing_name_in_quotes_is_no_text() -> None:
    """SQLite would take "b" for the text b, and create the index on it."""
    index = 'CREATE INDEX ix ON t ("b")'
    with batching(T, index) as (op, _):
        with (
            pytest.raises(Refused, match=r"index ix .* no such column: b"),
            op.batch_alter_table("t") as batch,
        ):
            batch.drop_column("b")


UNKNOWN = [
    ("drop_constraint", "No such constraint: 'x'"),
    ("drop_index", "No such index: 'x'"),
    ("drop_column", "No such column: 'x'"),
]


@pytest.mark.parametrize(("operation", "message"), UNKNOWN)
def test_what_there_is_not_is_named(operation: str, message: str) -> None:
    with batching(T) as (op, _):
        with (
            pytest.raises(ValueError, match=message),
            op.batch_alter_table("t", recreate="always") as batch,
        ):
            getattr(batch, operation)("x")


def test_an_index_on_an_expression_is_created_in_a_batch() -> None:
    with batching(T) as (op, connection):
        with op.batch_alter_table("t", recreate="always") as batch:
            batch.alter_column("a", new_column_name="z")
            batch.create_index("ix", [sa.text("lower(z)"), "a"])
        assert statement(connection, "ix") == "CREATE INDEX ix ON t (lower(z), z)"


def test_an_index_is_dropped_by_its_name_in_another_case() -> None:
    with batching(T, "CREATE INDEX IX ON t (a)") as (op, connection):
        with op.batch_alter_table("t", recreate="always") as batch:
            batch.drop_index("ix")
            batch.create_index("by_b", ["b"])
            batch.drop_index("BY_B")
        asked = "SELECT name FROM sqlite_master WHERE type = 'index'"
        assert connection.exec_driver_sql(asked).all() == []


def test_copy_from_may_name_an_index_in_another_case() -> None:
    column, index = sa.Column("a", sa.Text), sa.Index("ix", "a")
    stated = sa.Table("t", sa.MetaData(), column, index)
    with batching("CREATE TABLE t (a TEXT)", "CREATE INDEX IX ON t (a)") as (op, connection):
        with op.batch_alter_table("t", copy_from=stated) as batch:
            batch.alter_column("a", nullable=False)
        assert statement(connection, "IX") == "CREATE INDEX IX ON t (a)"


BROKEN = ("SELECT gone FROM t", "SELECT * FROM t WHERE gone", "SELECT * FROM nowhere, t")


@pytest.mark.parametrize("query", BROKEN)
def test_a_view_that_is_broken_before_is_no_hindrance(query: str) -> None:
    view = f"CREATE VIEW v AS {query}"
    with batching(T, view) as (op, connection):
        with op.batch_alter_table("t") as batch:
            batch.alter_column("b", nullable=False)
        assert statement(connection, "v") == view
        assert "CHECK (b > 0) NOT NULL" in statement(connection)
