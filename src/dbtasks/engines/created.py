"""What the CREATE TABLE of SQLite says of a table, and neither a PRAGMA nor SQLAlchemy tells."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from dbtasks.engines.computing import IGNORED, STATEMENT, TOKEN, unquoted

SEQUENCE = "SELECT seq FROM sqlite_sequence WHERE name = ?"

CONSTRAINTS = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"})
"""The words by which a constraint begins that stands beside the columns."""

CONFLICT = "sqlite_on_conflict"
"""How SQLAlchemy calls what is done about a row that breaks a constraint."""

Words = Sequence[Any]
"""Words as they stand in SQL, and in the place of parentheses a list of what is in them."""

Columns = tuple[str, ...]


@dataclass(frozen=True)
class Unique:
    """Hold a unique constraint, and the collations of its columns that are not their own."""

    name: str | None
    columns: Columns
    collations: tuple[str | None, ...]
    conflict: str | None


@dataclass
class Created:
    """Hold it by the columns' names, in small letters: SQLite takes no notice of their case.

    A conflict is what is done about a row that breaks a constraint; None stands for none.
    """

    collations: dict[str, str] = field(default_factory=dict)
    required: dict[str, str] = field(default_factory=dict)
    uniques: list[Unique] = field(default_factory=list)
    references: dict[Columns, dict[str, Any]] = field(default_factory=dict)
    key: str | None = None
    numbered: int | None = None
    """The highest number that AUTOINCREMENT has given; None for a table without."""

    def conflict(self, columns: Columns) -> str | None:
        """Return what is done about a row whose values of these columns are there already."""
        found = (one.conflict for one in self.uniques if one.columns == columns)
        return next(found, None)


def read_created(connection: Connection, table: str) -> Created:
    """Return what the statement that made a table says."""
    sql = connection.exec_driver_sql(STATEMENT, (table,)).scalar()
    found = Created()
    for words in _definitions(sql) if sql else ():
        _read(found, words)
    if found.numbered is not None:
        found.numbered = connection.exec_driver_sql(SEQUENCE, (table,)).scalar() or 0
    return found


def _definitions(sql: str) -> Iterator[Words]:
    """Yield the words of each column, and of each constraint beside them."""
    words = (one[0] for one in TOKEN.finditer(sql) if not IGNORED.match(one[0]))
    body = next((one for one in _nested(words) if isinstance(one, list)), ())
    yield from _listed(body)


def _nested(words: Iterator[str]) -> list[Any]:
    found: list[Any] = []
    for word in words:
        if word == ")":
            break
        found.append(_nested(words) if word == "(" else word)
    return found


def _listed(words: Words) -> Iterator[Words]:
    """Yield what stands between commas."""
    for comma, some in groupby(words, lambda one: one == ","):
        if not comma:
            yield list(some)


def _read(found: Created, words: Words) -> None:
    plain = [one.upper() if isinstance(one, str) else "" for one in words]
    column = "" if plain[0] in CONSTRAINTS else _name(words[0])
    for place, word in enumerate(plain):
        begin = plain[place - 1] if place else ""
        after = plain[place + 1 :]
        if word == "COLLATE" and column:
            found.collations[column] = unquoted(words[place + 1])
        elif (begin, word) == ("NOT", "NULL") and (conflict := _conflict(after)):
            found.required[column] = conflict
        elif word == "UNIQUE":
            listed = words[place + 1] if after[:1] == [""] else [column]
            found.uniques.append(_unique(_label(words[:place]), listed, _conflict(after)))
        elif word == "REFERENCES":
            listed = [column] if column else words[place - 1]
            found.references[_columns(listed)] = _options(after)
        elif (begin, word) == ("PRIMARY", "KEY"):
            found.key = _conflict(after)
            if _numbers(words[place + 1 :]):
                found.numbered = 0


def _unique(name: str | None, listed: Words, conflict: str | None) -> Unique:
    collations = tuple(
        unquoted(one[2]) if len(one) > 2 and one[1].upper() == "COLLATE" else None
        for one in _listed(listed)
    )
    return Unique(name, _columns(listed), collations, conflict)


def _label(words: Words) -> str | None:
    """Return the name of a constraint that words end with."""
    named = len(words) > 1 and isinstance(words[-2], str) and words[-2].upper() == "CONSTRAINT"
    return unquoted(words[-1]) if named else None


def _options(words: Sequence[str]) -> dict[str, Any]:
    """Return what stands behind the columns that a foreign key refers to."""
    found: dict[str, Any] = {}
    for place, word in enumerate(words):
        begin = words[place - 1] if place else ""
        if begin == "ON" and word in ("DELETE", "UPDATE"):
            action = words[place + 1 : place + 3]
            found[f"on{word.lower()}"] = " ".join(
                action if action[0] in ("SET", "NO") else action[:1]
            )
        elif word == "DEFERRABLE":
            found["deferrable"] = begin != "NOT"
        elif begin == "INITIALLY":
            found["initially"] = word
    return {option: value for option, value in found.items() if value != "NO ACTION"}


def _columns(listed: Words) -> Columns:
    return tuple(_name(one[0]) for one in _listed(listed))


def _name(word: str) -> str:
    return unquoted(word).lower()


def _numbers(words: Words) -> bool:
    """Whether a key counts by itself; the word may stand behind its column too."""
    return any(
        _numbers(one) if isinstance(one, list) else one.upper() == "AUTOINCREMENT" for one in words
    )


def _conflict(words: Sequence[str]) -> str | None:
    """Return what follows a constraint on conflicts, behind its columns or order."""
    rest = words[1:] if words[:1] in ([""], ["ASC"], ["DESC"]) else words
    return rest[2] if rest[:2] == ["ON", "CONFLICT"] else None
