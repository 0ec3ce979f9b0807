"""Indexes and constraints: what goes and comes back with a column, and what is renamed."""

import re
from collections.abc import Collection, Sequence
from typing import ClassVar, NamedTuple

from sqlalchemy import Connection, text

INDEXES_AND_CONSTRAINTS = text(
    """
    SELECT c.conname, format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname),
           format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname,
                  pg_get_constraintdef(c.oid, true)), c.contype = 'f' AS refers
    FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY(c.conkey)
        OR a.attrelid = c.confrelid AND a.attnum = ANY(c.confkey)
    WHERE a.attrelid = CAST(:table AS regclass) AND a.attname = ANY(:columns) AND c.contype <> 'n'
    UNION
    SELECT i.relname, format('DROP INDEX %s', i.oid::regclass), pg_get_indexdef(i.oid, 0, true),
           false
    FROM pg_depend d JOIN pg_class i ON i.oid = d.objid AND i.relkind IN ('i', 'I')
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
        AND a.attrelid = CAST(:table AS regclass) AND a.attname = ANY(:columns)
        AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.oid
                        AND c.conrelid = a.attrelid)
    ORDER BY refers DESC, 1
    """
)


TOLD = re.compile(
    r"""
    ^\ \ (?P<create>
        (?: (?P<kind> (?:UNIQUE\ |FULLTEXT\ |SPATIAL\ )? KEY) |
            CONSTRAINT (?= \ `(?:[^`]|``)+`\ (?P<constraint> CHECK | FOREIGN\ KEY) ) )
        \ `(?P<name> (?:[^`]|``)+ )` (?P<rest> .*? )
    ) ,? $
    """,
    re.MULTILINE | re.VERBOSE,
)
"""An index or a constraint in what MySQL tells of a table."""

CHECK, FOREIGN_KEY, INDEX, UNIQUE = "check", "foreign key", "index", "unique"
UNIQUE_INDEX = "unique that an index is"
"""The kinds of things that may be renamed; of the last one was an index, and is a constraint."""

DROPS = {"CHECK": "CONSTRAINT", "FOREIGN KEY": "FOREIGN KEY"}


class Tied(NamedTuple):
    """Name an index or a constraint, and hold the statements that drop it and make it."""

    name: str
    drop: str
    create: str


class Attached:
    """Let SQLAlchemy's reflection be all that is known of it."""

    computed_hold_types: ClassVar[bool] = False
    """Whether a column gets another type only while no computed column reads it."""

    def tied_to(self, connection: Connection, table: str, columns: Sequence[str]) -> Sequence[Tied]:
        """Return the indexes and constraints about columns, in the order in which they can go.

        The table is as it stands in SQL.
        """
        return ()

    def renamed(self, kind: str, table: str, old: str, new: str, within: str) -> str | None:
        """Return the statement that renames a thing of a table; None where there is none.

        All are as they stand in SQL; `within` is the schema, with a point behind it, if there is
        one.
        """
        return None


class PostgreSQLAttached(Attached):
    """Ask PostgreSQL for the statements."""

    computed_hold_types = True

    def tied_to(self, connection: Connection, table: str, columns: Sequence[str]) -> Sequence[Tied]:
        """Return them; foreign keys come first."""
        found = connection.execute(INDEXES_AND_CONSTRAINTS, {"table": table, "columns": [*columns]})
        return [Tied(str(name), str(drop), str(create)) for name, drop, create, _ in found]

    def renamed(self, kind: str, table: str, old: str, new: str, within: str) -> str | None:
        """Return it, but for what turns from an index to a constraint."""
        if kind == UNIQUE_INDEX:
            return None
        if kind != INDEX:
            return f"ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}"
        return f"ALTER INDEX {within}{old} RENAME TO {new}"


class MySQLAttached(Attached):
    """Take the statements from that of the table."""

    def tied_to(self, connection: Connection, table: str, columns: Sequence[str]) -> Sequence[Tied]:
        """Return them; foreign keys come first, also those that need one of the indexes."""
        told = connection.exec_driver_sql(
            f"SHOW CREATE TABLE {table}", execution_options={"no_parameters": True}
        ).one()[1]
        quote = connection.dialect.identifier_preparer.quote_identifier
        names = [quote(one) for one in columns]
        parts = [*TOLD.finditer(told)]
        keys = [one for one in parts if one["constraint"] == "FOREIGN KEY"]
        others = [one for one in parts if one not in keys and _has(one["rest"], names)]
        indexes = [_columns(one) for one in others if one["kind"]]
        keys = [
            one
            for one in keys
            if _has(_columns(one), names) or any(each.startswith(_columns(one)) for each in indexes)
        ]
        return [_tied(table, one) for one in (*keys, *others)]

    def renamed(self, kind: str, table: str, old: str, new: str, within: str) -> str | None:
        """Return it for indexes, one of which is what is unique."""
        if kind not in (INDEX, UNIQUE, UNIQUE_INDEX):
            return None
        return f"ALTER TABLE {table} RENAME INDEX {old} TO {new}"


def _has(told: str, names: Collection[str]) -> bool:
    return any(one in told for one in names)


def _columns(part: re.Match[str]) -> str:
    """Return the columns of an index or of a foreign key, as they stand in SQL."""
    return part["rest"].partition("(")[2].partition(")")[0]


def _tied(table: str, part: re.Match[str]) -> Tied:
    what = DROPS.get(part["constraint"] or "", "INDEX")
    return Tied(
        part["name"].replace("``", "`"),
        f"ALTER TABLE {table} DROP {what} `{part['name']}`",
        f"ALTER TABLE {table} ADD {part['create']}",
    )
