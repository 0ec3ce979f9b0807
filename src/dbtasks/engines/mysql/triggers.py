"""Triggers of MySQL and MariaDB."""

from collections.abc import Collection, Sequence

from sqlalchemy import text

from dbtasks.engines.base.triggers import Trigger, Triggers

MYSQL = text(
    "SELECT trigger_name, event_object_table, action_statement FROM information_schema.triggers "
    "WHERE trigger_schema = database() ORDER BY event_object_table, action_order"
)


class MySQLTriggers(Triggers):
    """Let triggers run: to drop one would commit. All rows are read as they were at one moment."""

    why = "MySQL and MariaDB cannot turn a trigger off inside a transaction"

    def _read(self) -> Sequence[Trigger]:
        names = {one.name.lower() for one in self.tables}
        return [one for one in self._all() if one.table.lower() in names]

    def _all(self) -> Sequence[Trigger]:
        return [Trigger(*row) for row in self.connection.execute(MYSQL)]

    def _table_names(self) -> Collection[str]:
        asked = "SHOW FULL TABLES WHERE table_type = 'BASE TABLE'"
        return [row[0] for row in self._run(asked)]
