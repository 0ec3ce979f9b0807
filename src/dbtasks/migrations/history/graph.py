"""The history as a drawing: for a terminal, and for documents as Mermaid or Graphviz."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from dbtasks.migrations.history.revision import Entry

NODE, LINE, BRANCH, CROSSING, ACROSS, DOWN_TOO, DOWN, UP = "*│├┼─┬╮╯"
ASCII = str.maketrans("│├┼─┬╮╯", "|||-..'")

LINES = "│├┼─┬╮╯"
"""What the drawing needs a terminal to have."""


@dataclass(frozen=True)
class Row:
    """Hold one line of the drawing, and the revision that stands behind it, if one does."""

    lines: str
    entry: Entry | None = None


def draw(entries: Sequence[Entry], *, ascii_only: bool = False) -> Iterator[Row]:
    """Draw the history, the newest revision at the top, a column for each line of it.

    `entries` are as `showmigrations` returns them. A line across has at its left end the line
    of history that it branches off, or ends in. A corner downwards begins a line of history, a
    corner upwards ends one; others between them only cross.
    """
    for row in _rows(entries):
        yield replace(row, lines=row.lines.translate(ASCII)) if ascii_only else row


def mermaid(entries: Sequence[Entry]) -> str:
    """Return the history as a Mermaid flowchart, the newest revision at the top."""
    names = _names(entries)
    lines = ["flowchart BT"]
    lines += [f'  {names[_id(one)]}["{_mermaid_text(_title(one))}"]' for one in entries]
    lines += [f"  {names[old]} --> {names[new]}" for old, new in _edges(entries)]
    lines += [f"  {names[old]} -.-> {names[new]}" for old, new in _dependencies(entries)]
    return "\n".join(lines) + "\n"


def dot(entries: Sequence[Entry]) -> str:
    """Return the history as a Graphviz digraph, the newest revision at the top."""
    names = _names(entries)
    lines = ["digraph migrations {", "  rankdir=BT;", "  node [shape=box];"]
    lines += [f'  {names[_id(one)]} [label="{_dot_text(_title(one))}"];' for one in entries]
    lines += [f"  {names[old]} -> {names[new]};" for old, new in _edges(entries)]
    lines += [
        f"  {names[old]} -> {names[new]} [style=dashed];" for old, new in _dependencies(entries)
    ]
    return "\n".join([*lines, "}"]) + "\n"


class _Columns:
    """Hold the lines of history that are being drawn, each by the revision it leads down to.

    No two lead to the same one: they are joined as soon as they would.
    """

    def __init__(self) -> None:
        self.goals: list[str | None] = []

    def find(self, goal: str) -> int | None:
        """Return the column that leads to a revision."""
        return self.goals.index(goal) if goal in self.goals else None

    def open(self, goal: str, after: int = -1) -> int:
        """Begin a line in the first free column to the right of another."""
        for column, taken in enumerate(self.goals):
            if column > after and taken is None:
                self.goals[column] = goal
                return column
        self.goals.append(goal)
        return len(self.goals) - 1

    def close(self, column: int) -> None:
        """End a line."""
        self.goals[column] = None
        while self.goals and self.goals[-1] is None:
            self.goals.pop()

    def verticals(self, node: int | None = None) -> str:
        """Return a row of nothing but lines, or with a revision in one of them."""
        cells = (LINE if goal else " " for goal in self.goals)
        return " ".join(NODE if at == node else cell for at, cell in enumerate(cells)).rstrip()

    def fork(self, column: int, goals: Sequence[str]) -> str:
        """Begin lines that branch off one, and return the row that shows it."""
        before = self.verticals()
        opened = [self.open(goal, after=column) for goal in goals]
        return _horizontal(before, column, dict.fromkeys(opened, DOWN_TOO) | {max(opened): DOWN})

    def join(self, left: int, right: int) -> str:
        """End a line in another at its left, and return the row that shows it."""
        row = _horizontal(self.verticals(), left, {right: UP})
        self.close(right)
        return row


def _rows(entries: Sequence[Entry]) -> Iterator[Row]:
    known = {_id(entry) for entry in entries}
    columns = _Columns()
    ended: int | None = None
    for entry in reversed(entries):
        column = columns.find(_id(entry))
        if column is None:
            apart = columns.verticals()
            column = columns.open(_id(entry))
            if column == ended:  # below the first revision of another history
                yield Row(apart)
        parents = [one for one in dict.fromkeys(entry.revision.parents) if one in known]
        yield Row(columns.verticals(node=column), entry)
        yield from _lead_on(columns, column, parents)
        ended = None if parents else column


def _lead_on(columns: _Columns, column: int, parents: Sequence[str]) -> Iterator[Row]:
    """Lead the lines below a revision towards its parents."""
    if not parents:
        columns.close(column)
        return
    others = [at for at, goal in enumerate(columns.goals) if goal in parents]
    columns.goals[column] = parents[0]
    if parents[1:]:
        yield Row(columns.fork(column, parents[1:]))
    for goal in [columns.goals[at] for at in others]:
        both = [at for at, one in enumerate(columns.goals) if one == goal]
        for left, right in pairwise(both):
            yield Row(columns.join(left, right))


def _horizontal(verticals: str, left: int, ends: dict[int, str]) -> str:
    """Draw a line over a row, from a column to its ends; what it passes it only crosses."""
    cells = list(verticals.ljust(2 * max(ends) + 1))
    for at in range(2 * left + 1, 2 * max(ends)):
        cells[at] = CROSSING if cells[at] == LINE else ACROSS
    cells[2 * left] = BRANCH
    for column, end in ends.items():
        cells[2 * column] = end
    return "".join(cells).rstrip()


def _id(entry: Entry) -> str:
    return entry.revision.id


def _title(entry: Entry) -> str:
    return " ".join(entry.describe().split())


def _names(entries: Iterable[Entry]) -> dict[str, str]:
    """Name the nodes by their number: a revision's own name may be a word of the language."""
    return {_id(entry): f"r{number}" for number, entry in enumerate(entries, 1)}


def _edges(entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    known = {_id(entry) for entry in entries}
    for entry in entries:
        for parent in dict.fromkeys(entry.revision.parents):
            if parent in known:
                yield parent, _id(entry)


def _dependencies(entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    known = {_id(entry) for entry in entries}
    return ((one, _id(entry)) for entry in entries for one in entry.depends_on if one in known)


def _mermaid_text(text: str) -> str:
    return "".join(f"#{ord(one)};" if one in '"#&<>`\\' else one for one in text)


def _dot_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
