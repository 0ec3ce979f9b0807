"""What a PostgreSQL database has: a dozen queries, whatever the number of its tables.

Expressions, types and whole definitions are taken as the server writes them (pg_get_expr,
format_type, pg_get_constraintdef, pg_get_indexdef), so that no knowledge of SQL is needed to
compare two of them.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Row

from dbtasks.engines.base.definitions import (
    CHECK,
    COLUMN,
    DOMAIN,
    EXCLUDE,
    FOREIGN_KEY,
    FUNCTION,
    INDEX,
    PRIMARY_KEY,
    SCHEMA,
    SEQUENCE,
    TABLE,
    TRIGGER,
    TYPE,
    UNIQUE,
    VIEW,
    Definition,
    Key,
    Place,
    Reference,
    given,
)
from dbtasks.engines.postgresql import queries
from dbtasks.engines.postgresql.expressions import PostgreSQLRetelling
from dbtasks.engines.sql.quoting import identifier

PLAIN = re.compile(
    r"""
    PRIMARY\ KEY\ \([^()]*\)
    | (?: UNIQUE\ \([^()]*\)
        | FOREIGN\ KEY\ \([^()]*\)\ REFERENCES\ [^()]*\([^()]*\) (?:\ MATCH\ FULL)?
          (?:\ ON\ (?:DELETE|UPDATE)\ (?:CASCADE|SET\ NULL|SET\ DEFAULT|RESTRICT))*
      ) (?:\ DEFERRABLE (?:\ INITIALLY\ DEFERRED)?)?
    | CHECK\ \(.*\)
    """,
    re.DOTALL | re.VERBOSE,
)
"""A constraint that Alembic's operations can make; any other is made by what the server tells."""

KINDS = {"p": PRIMARY_KEY, "u": UNIQUE, "f": FOREIGN_KEY, "c": CHECK, "x": EXCLUDE}
ACTIONS = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT", "r": "RESTRICT"}
PERSISTENCE = {"u": "UNLOGGED", "t": "TEMPORARY"}


def definitions(connection: Connection) -> Iterator[tuple[Key, Definition]]:
    """Yield all that a database has, those of extensions and of the server left out."""
    return _Reader(connection).read()


class _Reader:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.own = connection.dialect.default_schema_name
        self.quote = partial(identifier, connection.dialect)
        self.retold = PostgreSQLRetelling().retold

    def read(self) -> Iterator[tuple[Key, Definition]]:
        for row in self._ask(queries.SCHEMAS):
            yield Key(SCHEMA, self._schema(row.schema), ""), Definition()
        for kind, query, define in (
            (TYPE, queries.ENUMS, _enum),
            (TYPE, queries.COMPOSITES, _composite),
            (DOMAIN, queries.DOMAINS, self._domain),
            (SEQUENCE, queries.SEQUENCES, _sequence),
            (TABLE, queries.TABLES, _table),
            (COLUMN, queries.COLUMNS, self._column),
            ("", queries.CONSTRAINTS, self._constraint),
            (INDEX, queries.INDEXES, self._index),
            (VIEW, queries.VIEWS, _view),
            (TRIGGER, queries.TRIGGERS, _trigger),
            (FUNCTION, queries.FUNCTIONS, _function),
        ):
            for row in self._ask(query):
                yield self._key(kind or KINDS[row.kind], row), define(row)

    def _ask(self, sql: str) -> Sequence[Row[Any]]:
        return self.connection.exec_driver_sql(sql, execution_options={"no_parameters": True}).all()

    def _schema(self, name: str) -> str | None:
        return None if name == self.own else name

    def _key(self, kind: str, row: Any) -> Key:
        schema = self._schema(row.schema)
        if kind in (TABLE, VIEW):
            return Key(kind, schema, row.name)
        return Key(kind, schema, getattr(row, "table", ""), row.name)

    def _domain(self, row: Any) -> Definition:
        checks = ", ".join(map(self.retold, row.checks or ()))
        clauses = given(
            COLLATE=row.collation,
            DEFAULT=row.default,
            NOT="NULL" if row.required else "",
        )
        words = (row.type, *chain(*clauses.items()), *(row.checks or ()))
        return Definition(
            given(
                type=row.type,
                collation=row.collation,
                default=self.retold(row.default or ""),
                required="yes" if row.required else "",
                checks=checks,
                comment=row.comment,
            ),
            sql=" ".join(words),
            parts={"default": row.default, "checks": tuple(row.checks or ())},
        )

    def _column(self, row: Any) -> Definition:
        attributes = given(
            type=row.type,
            null="no" if row.required else "yes",
            comment=row.comment,
            collation=row.collation,
            storage=row.storage,
            compression=row.compression,
            inherited="" if row.is_local else "yes",
        )
        parts: dict[str, object] = {}
        collation = {"collation": row.collation.strip('"')} if row.collation else {}
        if row.generated:
            stored = row.generated == "s"
            attributes["computed"] = self.retold(row.expression) + ("" if stored else " VIRTUAL")
            parts = {"computed": row.expression, "persisted": stored}
        elif row.identity:
            always = "ALWAYS" if row.identity == "a" else "BY DEFAULT"
            attributes["identity"] = f"{always} {row.counts}"
            parts = {"sequence": row.sequence}
        elif row.sequence and (row.expression or "").startswith("nextval("):
            attributes |= {"default": "serial", "sequence": row.counts}
            parts = {
                "default": row.expression,
                "sequence": row.sequence,
                "sequence_type": row.sequence_type,
            }
        elif row.expression:
            attributes["default"] = self.retold(row.expression)
            parts = {"default": row.expression}
        return Definition(attributes, frozenset(row.uses or ()), parts=parts | collation)

    def _constraint(self, row: Any) -> Definition:
        columns = tuple(row.columns or ())
        refers = None
        parts: dict[str, object] = {}
        if row.kind == "f":
            to = Place(self._schema(row.to_schema), row.to_table)
            refers = Reference(to, tuple(row.to_columns))
            actions = {"ondelete": row.ondelete, "onupdate": row.onupdate}
            parts = {name: ACTIONS[code] for name, code in actions.items() if code in ACTIONS}
            parts |= {"match": "FULL"} if row.match == "f" else {}
        if row.deferrable:
            parts |= {
                "deferrable": True,
                "initially": "DEFERRED" if row.deferred else "IMMEDIATE",
            }
        if not PLAIN.fullmatch(row.sql):
            parts["statement"] = row.sql
        return Definition(
            given(
                sql=self.retold(row.sql),
                options=_options(row),
                tablespace=row.tablespace,
                comment=row.comment,
            ),
            frozenset(columns),
            columns,
            row.expression if row.kind == "c" else row.sql,
            refers,
            parts,
        )

    def _index(self, row: Any) -> Definition:
        how = row.sql.partition(" USING ")[2]
        columns = tuple(row.columns or ())
        is_plain = how == f"btree ({', '.join(map(self.quote, columns))})" and not row.tablespace
        return Definition(
            given(
                unique="yes" if row.is_unique else "no",
                sql=self.retold(how),
                valid="" if row.is_valid else "no",
                tablespace=row.tablespace,
                comment=row.comment,
            ),
            frozenset(row.uses or columns),
            columns if is_plain else None,
            row.sql,
        )


def _enum(row: Any) -> Definition:
    labels = tuple(row.labels)
    listed = ", ".join("'" + label.replace("'", "''") + "'" for label in labels)
    attributes = given(labels=repr(labels), comment=row.comment)
    return Definition(attributes, sql=f"ENUM ({listed})", parts={"labels": labels})


def _composite(row: Any) -> Definition:
    attributes = given(fields=row.sql, comment=row.comment)
    return Definition(attributes, sql=f"({row.sql or ''})")


def _sequence(row: Any) -> Definition:
    persistence = PERSISTENCE.get(row.persistence)
    attributes = given(counts=row.counts, persistence=persistence, comment=row.comment)
    return Definition(attributes, sql=row.counts)


def _function(row: Any) -> Definition:
    return Definition({"sql": row.sql}, sql=row.sql)


def _trigger(row: Any) -> Definition:
    return Definition(given(sql=row.sql, enabled="" if row.enabled == "O" else row.enabled))


def _table(row: Any) -> Definition:
    parts = given(postgresql_partition_by=row.partitioned)
    parents = tuple(parent.strip('"') for parent in row.parents or ())
    return Definition(
        given(
            comment=row.comment,
            persistence=PERSISTENCE.get(row.persistence),
            partitioned=row.partitioned,
            bound=row.bound,
            parents=", ".join(row.parents or ()),
            options=_options(row),
            tablespace=row.tablespace,
            method=row.method,
        ),
        parts=parts | ({"postgresql_inherits": parents} if parents and not row.bound else {}),
    )


def _view(row: Any) -> Definition:
    return Definition(
        given(
            sql=row.sql,
            materialized="yes" if row.is_materialized else "",
            options=_options(row),
            comment=row.comment,
        ),
        sql=row.sql,
    )


def _options(row: Any) -> str:
    return ", ".join(sorted(row.options or ()))
