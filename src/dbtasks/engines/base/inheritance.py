"""Tables that show the rows of other tables: on PostgreSQL their children, or their parts."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, Table


class Inheritance:
    """Tell whose a row is that several of some tables show: elsewhere none do."""

    def __init__(self, connection: Connection, tables: Collection[Table]) -> None:
        self.connection = connection
        self.tables = tables

    def heirs(self, table: Table) -> Sequence[Table]:
        """Return those of the tables whose rows a table shows, the nearest first."""
        return ()

    def own(self, table: Table) -> Sequence[ColumnElement[bool]]:
        """Return the conditions of the rows of a table that none of its heirs has."""
        return ()
