"""The drawn history: every revision once, every line to be followed, in terminal and document."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtasks.migrations import Entry, Revision, dot, draw, mermaid

ACROSS = "─┼┬-"
UPWARDS = "*│├┼╯|'"
"""What is joined to what stands above it."""


def entries(*parents: Sequence[int]) -> list[Entry]:
    """Return revisions named by their numbers, oldest first, each with its parents' numbers."""
    return [
        Entry(Revision(str(at), "", tuple(map(str, below)), Path(str(at))), applied=False)
        for at, below in enumerate(parents)
    ]


@st.composite
def histories(random: st.DrawFn) -> list[Entry]:
    """Any history: with several first revisions, branches, and merges of up to four lines."""
    parents: list[list[int]] = [[]]
    for at in range(1, random(st.integers(1, 14))):
        parents.append(random(st.lists(st.integers(0, at - 1), unique=True, max_size=4)))
    return entries(*parents)


class Drawing:
    """A drawing as a reader sees it, who follows its lines with a finger."""

    def __init__(self, history: list[Entry], ascii_only: bool) -> None:
        rows = list(draw(history, ascii_only=ascii_only))
        self.rows = [row.lines for row in rows]
        self.order = [row.entry.revision.id for row in rows if row.entry]
        self.nodes = {
            at: row.entry.revision.id for at, row in enumerate(rows) if row.entry is not None
        }

    def cell(self, row: int, column: int) -> str:
        return self.rows[row][2 * column : 2 * column + 1] if row < len(self.rows) else ""

    def edges(self) -> set[tuple[str, str]]:
        found = set()
        for row, name in self.nodes.items():
            assert self.rows[row].count("*") == 1
            column = self.rows[row].index("*") // 2
            below = self.cell(row + 1, column)
            if below and below in UPWARDS:
                found |= {(name, end) for end in self.down(row + 1, column)}
        return found

    def down(self, row: int, column: int) -> list[str]:
        """Follow a line that comes from above into a cell, to the revisions that it leads to."""
        cell, run = self.cell(row, column), self.run(row)
        if cell == "*":
            return [self.nodes[row]]
        if run and column == run[1] and cell in "╯'":
            return self.down(row + 1, run[0])
        assert cell in "│├┼|", (cell, "is nothing to go down by")
        ends = [column]
        if run and column == run[0] and self.cell(row, run[1]) in "╮.":
            ends += [at for at in range(run[0] + 1, run[1] + 1) if self.cell(row, at) in "┬╮."]
        return [name for end in ends for name in self.down(row + 1, end)]

    def run(self, row: int) -> tuple[int, int] | None:
        """Return the columns between which a line goes across."""
        between = [at // 2 for at in range(1, len(self.rows[row]), 2) if self.rows[row][at] != " "]
        if not between:
            return None
        assert between == list(range(between[0], between[-1] + 1))
        assert all(self.rows[row][2 * at + 1] in ACROSS for at in between)
        return between[0], between[-1] + 1


@given(histories(), st.booleans())
def test_every_revision_once_and_every_line_leads_to_a_parent(
    history: list[Entry], ascii_only: bool
) -> None:
    drawing = Drawing(history, ascii_only)
    expected = {(one.revision.id, parent) for one in history for parent in one.revision.parents}
    assert drawing.order == [one.revision.id for one in reversed(history)]
    assert drawing.edges() == expected
    assert all(row.isascii() for row in drawing.rows) or not ascii_only


def test_a_line_is_one_column() -> None:
    history = entries([], *([at] for at in range(50)))
    assert {row.lines for row in draw(history)} == {"*"}


def test_many_heads_of_one_parent_stay_narrow() -> None:
    history = entries([], *([0] for _ in range(50)))
    assert max(len(row.lines) for row in draw(history)) == 3


PICTURES = {
    "branch and merge": (
        ([], [0], [0], [1, 2]),
        "* 3\n├─╮\n│ * 2\n* │ 1\n├─╯\n* 0",
        "* 3\n|-.\n| * 2\n* | 1\n|-'\n* 0",
    ),
    "three in one, the third crossing": (
        ([], [0], [0], [0], [1, 2, 3], [2]),
        "* 5\n│ * 4\n│ ├─┬─╮\n├─┼─╯ │\n│ │   * 3\n* │   │ 2\n├─┼───╯\n│ * 1\n├─╯\n* 0",
        "* 5\n| * 4\n| |-.-.\n|-|-' |\n| |   * 3\n* |   | 2\n|-|---'\n| * 1\n|-'\n* 0",
    ),
    "two histories": (([], [0], [], [2]), "* 3\n* 2\n\n* 1\n* 0", "* 3\n* 2\n\n* 1\n* 0"),
    "nothing": ((), "", ""),
}


@pytest.mark.parametrize(("parents", "boxes", "plain"), PICTURES.values(), ids=PICTURES)
def test_pictures(parents: Sequence[Sequence[int]], boxes: str, plain: str) -> None:
    for expected, ascii_only in ((boxes, False), (plain, True)):
        rows = draw(entries(*parents), ascii_only=ascii_only)
        shown = [f"{row.lines} {row.entry.revision.id}" if row.entry else row.lines for row in rows]
        assert "\n".join(shown) == expected


def test_a_parent_without_a_file_is_left_out() -> None:
    lost = [Entry(Revision("1", "", ("0",), Path("1")), applied=False, depends_on=("9",))]
    assert [row.lines for row in draw(lost)] == ["*"]
    assert len(mermaid(lost).splitlines()) == 2
    assert "->" not in mermaid(lost) + dot(lost)


NAMES = st.text(min_size=1, max_size=12)
DOT_STRING = r'"(?:[^"\\\n]|\\["\\])*"'


@given(st.lists(NAMES, min_size=1, max_size=5, unique=True))
def test_documents_hold_any_name(names: list[str]) -> None:
    history = [
        Entry(Revision(name, "", tuple(names[:at][-1:]), Path(name)), True, depends_on=(names[0],))
        for at, name in enumerate(names)
    ]
    first, *rest = mermaid(history).removesuffix("\n").split("\n")
    assert first == "flowchart BT"
    for line in rest:
        assert re.fullmatch(r'  r\d+(\["[^"`<>\\]*"\]| (-->|-\.->) r\d+)', line), line
    first, *rest, last = dot(history).removesuffix("\n").split("\n")
    assert (first, last) == ("digraph migrations {", "}")
    for line in rest[2:]:
        assert re.fullmatch(
            rf"  r\d+ (\[label={DOT_STRING}\]|-> r\d+( \[style=dashed\])?);", line
        ), line


def test_documents_draw_parents_and_dependencies() -> None:
    history = [
        Entry(Revision("a", "", (), Path("a")), applied=True),
        Entry(Revision("b", "", ("a",), Path("b")), applied=False, labels=("main",)),
        Entry(Revision("c", "", (), Path("c")), applied=False, depends_on=("a",)),
    ]
    assert mermaid(history).splitlines() == [
        "flowchart BT",
        '  r1["[X] a"]',
        '  r2["[ ] b (main)"]',
        '  r3["[ ] c (depends on a)"]',
        "  r1 --> r2",
        "  r1 -.-> r3",
    ]
    assert dot(history).splitlines()[3:-1] == [
        '  r1 [label="[X] a"];',
        '  r2 [label="[ ] b (main)"];',
        '  r3 [label="[ ] c (depends on a)"];',
        "  r1 -> r2;",
        "  r1 -> r3 [style=dashed];",
    ]
