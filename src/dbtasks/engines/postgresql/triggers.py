"""Triggers of PostgreSQL: disabled for a load, and counted."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import text

from dbtasks.engines.base.triggers import Change, Trigger, Triggers
from dbtasks.engines.sql.quoting import quoted

POSTGRESQL = text(
    "WITH RECURSIVE found AS (SELECT unnest(CAST(:tables AS oid[])) AS oid UNION "
    "SELECT i.inhrelid FROM pg_inherits i JOIN found f ON f.oid = i.inhparent "
    "JOIN pg_class p ON p.oid = i.inhrelid WHERE p.relispartition) "
    "SELECT t.tgname, c.relname, c.oid::regclass::text, quote_ident(t.tgname), t.tgenabled, "
    "pg_has_role(c.relowner, 'USAGE'), t.tgconstraint <> 0 OR (t.tgtype & 7 = 7 AND EXISTS "
    "(SELECT FROM pg_inherits h WHERE h.inhparent = c.oid AND c.relkind = 'r')), p.prosrc "
    "FROM found f JOIN pg_class c ON c.oid = f.oid JOIN pg_trigger t ON t.tgrelid = c.oid "
    "JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' ORDER BY 2, 1"
)
"""The last but one says whether a trigger stays on: one that is a constraint, as foreign keys are,
and one that may put the rows of a table into tables that inherit from it: before, a row, an insert.
"""

STATES = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}
"""What brings a trigger into each state of pg_trigger.tgenabled that is not off."""

WRITTEN = text(
    "SELECT relid::bigint, schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del "
    "FROM pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 "
    "AND schemaname !~ '^pg_temp' AND current_setting('track_counts')::bool"
)
TABLES = text(
    "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'f') "
    "AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)' ORDER BY 1"
)
HEIRS = text("SELECT inhparent::bigint, inhrelid::bigint FROM pg_inherits")


class PostgreSQLTriggers(Triggers):
    """Disable triggers of tables that the role owns; partitions have triggers of their own.

    The server counts what a transaction writes into each table, triggers included.
    """

    counts_all = True
    why = "only the owner of a table can turn its triggers off"

    @property
    def remaining(self) -> Sequence[Trigger]:
        """Return those of tables that the role does not own."""
        rows = [row for row in self._rows if not row.owned and not row.stays]
        return [Trigger(one.name, one.table) for one in rows if self._runs(one.state)]

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Give each trigger its own state back: some run always, or for replication only."""
        chosen = [one for one in self._rows if one.owned and not one.stays]
        for one in chosen:
            self._run(f"ALTER TABLE ONLY {one.relation} DISABLE TRIGGER {one.quoted}")
        runs = [one for one in chosen if self._runs(one.state)]
        self.off = [Trigger(one.name, one.table, one.body) for one in runs]
        before, self.running = self.running, self._names(set(self._rows) - set(chosen))
        yield
        if chosen:  # a table with deferred checks that wait cannot be altered
            self._run("SET CONSTRAINTS ALL IMMEDIATE")
        for one in chosen:
            state = STATES[one.state]
            self._run(f"ALTER TABLE ONLY {one.relation} {state} TRIGGER {one.quoted}")
        self.running = before

    def changes(self) -> dict[str, Change]:
        """Let the triggers run that wait for the commit."""
        if self.running:
            self._run("SET CONSTRAINTS ALL IMMEDIATE")
        return super().changes()

    def _read(self) -> Sequence[Trigger]:
        oids = [one for one in self._numbers if one]
        self._rows = [_Row(*row) for row in self.connection.execute(POSTGRESQL, {"tables": oids})]
        self._role = self._run("SHOW session_replication_role").scalar()
        return self._names(self._rows)

    def _names(self, rows: Collection["_Row"]) -> Sequence[Trigger]:
        found = {Trigger(one.name, one.table) for one in rows if self._runs(one.state)}
        return sorted(found)

    def _runs(self, state: str) -> bool:
        return state in ("AR" if self._role == "replica" else "AO")

    @property
    def _numbers(self) -> Mapping[int, str]:
        asked = text("SELECT to_regclass(:name)::bigint")
        names = {one.fullname: quoted(self.connection, one) for one in self.tables}
        return {
            self.connection.scalar(asked, {"name": sql}) or 0: name for name, sql in names.items()
        }

    def _table_names(self) -> Collection[str]:
        return self.connection.scalars(TABLES).all()

    def _written(self) -> Mapping[str, Change]:
        """Count a table's heirs and partitions with it, unless they are among the tables."""
        parents = {heir: parent for parent, heir in self.connection.execute(HEIRS)}
        known, found = self._numbers, dict[str, Change]()
        here = self.connection.dialect.default_schema_name
        for number, schema, name, *counts in self.connection.execute(WRITTEN):
            while number not in known and number in parents:
                number = parents[number]
            named = known.get(number, name if schema == here else f"{schema}.{name}")
            before = found.get(named, Change())
            found[named] = before.plus(Change(*counts))
        return found


class _Row(NamedTuple):
    """Hold a trigger of PostgreSQL: its table as statements name it, and its state."""

    name: str
    table: str
    relation: str
    quoted: str
    state: str
    owned: bool
    stays: bool
    body: str
