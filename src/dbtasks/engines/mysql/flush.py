"""Empty tables on MySQL and MariaDB, which look at foreign keys row by row."""

from collections.abc import Iterator
from functools import cached_property
from itertools import groupby

from sqlalchemy import MetaData, Table, bindparam, inspect, text

from dbtasks.engines.base.flush import Emptying, Reference, Step
from dbtasks.interrupts import ending

COLUMNS = (
    "SELECT table_schema, table_name, constraint_name, referenced_table_schema, "
    "referenced_table_name, column_name FROM information_schema.key_column_usage "
    "WHERE referenced_table_name IS NOT NULL "
    "ORDER BY table_schema, table_name, constraint_name, ordinal_position"
)
CHECKS = "SET SESSION foreign_key_checks = {}"
RULES = (
    "SELECT constraint_schema, table_name, constraint_name, delete_rule "
    "FROM information_schema.referential_constraints"
)


class MySQLEmptying(Emptying):
    """Look away from foreign keys only where tables refer to themselves, and look again after."""

    _has_run = False

    def steps(self) -> list[Step]:
        """Switch the checks off for as long; restart no keys here, as ALTER commits."""
        deletes = list(self._deletes())
        if not self._cyclic():
            return deletes
        return [Step(CHECKS.format(0)), *deletes, Step(CHECKS.format(self._checks_before))]

    def run(self) -> dict[Table, int]:
        """Leave the checks as they were, whatever happens."""
        checks = CHECKS.format(self._checks_before)
        steps = [lambda: self.connection.exec_driver_sql(checks)] if self._cyclic() else []
        with ending(*steps):
            self._has_run = True
            return super().run()

    def after_commit(self) -> list[str]:
        """Start AUTO_INCREMENT again, and the sequences of MariaDB."""
        asked = text(
            "SELECT table_schema, table_name FROM information_schema.columns "
            "WHERE extra LIKE :counts AND table_schema IN :schemas"
        ).bindparams(bindparam("schemas", expanding=True))
        schemas = [self._key(one.schema, one.name)[0] for one in self.tables]
        given = {"counts": "%auto_increment%", "schemas": [*dict.fromkeys(schemas)]}
        rows = self.connection.execute(asked, given)
        counting = {self._key(schema, name) for schema, name in rows}
        return [
            f"ALTER TABLE {self.name(one)} AUTO_INCREMENT = 1"
            for one in self.tables
            if self._key(one.schema, one.name) in counting
        ] + self._restarted_sequences()

    def _restarted_sequences(self) -> list[str]:
        if not self.connection.dialect.supports_sequences:
            return []
        known = set(inspect(self.connection).get_sequence_names())
        return [
            f"ALTER SEQUENCE {self.quote.format_sequence(one)} RESTART"
            for one in self.sequences
            if one.name in known
        ]

    def _order(self) -> list[Table]:
        """Put tables without transactions last: what fails before them is rolled back."""
        found = super()._order()
        return sorted(found, key=lambda one: not self.backend.can_roll_back(self.connection, one))

    @cached_property
    def _checks_before(self) -> int:
        return self._scalar("SELECT @@SESSION.foreign_key_checks")

    def _count_referring(self, reference: Reference) -> int:
        """See what others have committed since we began, and let no more come."""
        asked = f"SELECT count(*) FROM {reference.child} WHERE {reference.rows}"
        return self._scalar(asked + (" LOCK IN SHARE MODE" if self._has_run else ""))

    def _read_references(self) -> Iterator[Reference]:
        """Ask for those of all databases of the server; joined there, it takes minutes."""
        found = {self._key(one.schema, one.name): one for one in self.tables}
        rules = {(row[0], row[1], row[2]): row[3] for row in self.connection.exec_driver_sql(RULES)}
        rows = self.connection.exec_driver_sql(COLUMNS)
        for (*child, key, schema, name), columns in groupby(rows, lambda row: row[:5]):
            parent = found.get(self._key(schema, name))
            if parent is not None:
                table = found.get(self._key(*child))
                quoted = tuple(self.quote.quote(row[5]) for row in columns)
                shown = self.name(self._other(*child) if table is None else table)
                yield Reference(shown, quoted, parent, rules.get((*child, key), ""), key, table)

    def _other(self, schema: str, name: str) -> Table:
        here = self.connection.dialect.default_schema_name
        return Table(name, MetaData(), schema=None if schema == here else schema)

    def _key(self, schema: str | None, name: str) -> tuple[str, str]:
        """Ignore the case where the server does."""
        key = super()._key(schema, name)
        return (key[0].lower(), key[1].lower()) if self._ignores_case else key

    @cached_property
    def _ignores_case(self) -> bool:
        return bool(self._scalar("SELECT @@lower_case_table_names"))
