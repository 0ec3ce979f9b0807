"""Empty tables on Oracle, where a foreign key is looked at when its statement ends."""

from dbtasks.engines.base.flush import Emptying


class OracleEmptying(Emptying):
    """Restart identity columns and sequences after the commit: ALTER commits by itself."""

    def after_commit(self) -> list[str]:
        """Start each at its first number."""
        columns = [
            f"ALTER TABLE {self.name(table)} MODIFY {self.quote.format_column(column)} GENERATED "
            f"{'ALWAYS' if column.identity.always else 'BY DEFAULT'} AS IDENTITY "
            f"(START WITH {_first(column.identity.start)})"
            for table in self.tables
            for column in table.columns
            if column.identity is not None
        ]
        return columns + [
            f"ALTER SEQUENCE {self.quote.format_sequence(one)} RESTART "
            f"START WITH {_first(one.start)}"
            for one in self.sequences
        ]


def _first(start: int | None) -> int:
    return 1 if start is None else start
