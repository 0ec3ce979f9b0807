"""Views and triggers that depend on a table."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from dbtasks.engines.sql.lexer import SQLITE


class Dependent(NamedTuple):
    """Hold a view or a trigger, the table that it is on, and the statement that makes it."""

    kind: str
    name: str
    on: str
    create: str

    @property
    def drop(self) -> str:
        """Return the statement that drops it."""
        return f"DROP {self.kind.upper()} {_quote(self.name)}"

    def needs(self, names: Collection[str]) -> bool:
        """Whether it is on one of these tables and views, or names one."""
        wanted = {one.lower() for one in names}
        return self.on in names or any(
            token.value.lower() in wanted for token in SQLITE.code(self.create)
        )

    def probe(self, columns: Sequence[str]) -> str | None:
        """Return a statement that needs all that it needs, on a table with these columns."""
        if self.kind == "view":
            return f"SELECT * FROM {_quote(self.name)}"
        sets = ", ".join(f"{_quote(one)} = NULL" for one in columns)
        probes = {
            "DELETE": f"DELETE FROM {_quote(self.on)}",
            "INSERT": f"INSERT INTO {_quote(self.on)} DEFAULT VALUES",
            "UPDATE": f"UPDATE {_quote(self.on)} SET {sets}",
        }
        words = (token.word for token in SQLITE.code(self.create))
        return next((probes[word] for word in words if word in probes), None)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
