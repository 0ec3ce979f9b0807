"""What is printed: exact for a pipe, readable and harmless for a terminal."""

import csv
import io
import json
import reprlib
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtasks.cells import plain
from dbtasks.output import Output


class Colour(Enum):
    RED = "r"


ROUND: list[object] = []
ROUND.append(ROUND)  # a pickled list may hold itself


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(write: Callable[[Output], None], stdout: io.StringIO | None = None) -> tuple[str, str]:
    """Return what a function writes to stdout and stderr."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = stdout or io.StringIO(), io.StringIO()
    try:
        write(Output())
        return sys.stdout.getvalue(), sys.stderr.getvalue()
    finally:
        sys.stdout, sys.stderr = before


def records(format_: str, columns: list[str], rows: Iterable[tuple[object, ...]]) -> str:
    return printed(lambda output: output.records(columns, rows, format_))[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 11, 22, 9, 30, 0, 123456), "2026-11-22T09:30:00.123456"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
        (date(2026, 11, 22), "2026-11-22"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x00\xff", "AP8="),
        (Colour.RED, "RED"),
        (timedelta(days=1), "P1D"),
        (timedelta(0), "PT0S"),
        (timedelta(days=2, hours=2, microseconds=100), "P2DT7200.0001S"),
        (-timedelta(seconds=10), "-PT10S"),
    ],
)
def test_plain_value(value: object, expected: object) -> None:
    assert plain(value) == expected


def test_json_of_nothing_and_of_several() -> None:
    assert json.loads(records("json", ["a"], [])) == []
    assert json.loads(records("json", ["a"], [(1,), (None,)])) == [{"a": 1}, {"a": None}]


@pytest.mark.parametrize("format_", ["json", "jsonl"])
def test_json_stays_json_with_nan(format_: str) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = records(format_, ["x", "d"], [(float("nan"), Decimal("NaN"))])
    found = json.loads(text, parse_constant=refuse)
    assert (found[0] if format_ == "json" else found) == {"x": "nan", "d": "NaN"}


@given(st.lists(st.tuples(st.text(), st.one_of(st.none(), st.integers(), st.text(min_size=1)))))
def test_csv_and_jsonl_give_every_text_back(rows: list[tuple[str, object]]) -> None:
    encodable = [row for row in rows if "\x00" not in "".join(map(str, row))]
    encodable = [row for row in encodable if all(str(v).isprintable() for v in row)]
    back = list(csv.reader(io.StringIO(records("csv", ["a", "b"], encodable))))
    assert back == [["a", "b"], *([a, "" if b is None else str(b)] for a, b in encodable)]
    lines = records("jsonl", ["a", "b"], encodable).split("\n")[:-1]
    assert [tuple(json.loads(line).values()) for line in lines] == encodable


def test_terminal_shows_control_characters_and_a_pipe_gets_them() -> None:
    def write(output: Output) -> None:
        output.lines(["a\x1b[31mb\nc\u202e"])

    assert printed(write, Terminal())[0] == "a\\x1b[31mb\\nc\\u202e\n"
    assert printed(write)[0] == "a\x1b[31mb\nc\u202e\n"


def test_table_obeys_no_markup_and_no_escape() -> None:
    text = records("table", ["[bold]id"], [("[red]x[/red]\x1b",), (":smile:",)])
    assert "[bold]id" in text
    assert "[red]x[/red]\\x1b" in text
    assert ":smile:" in text


def test_long_table_keeps_its_rows_and_one_header() -> None:
    text = records("table", ["number"], [(number,) for number in range(2500)])
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    assert lines[0] == "number"
    assert lines[2:] == [str(number) for number in range(2500)]


def test_empty_table_has_its_header() -> None:
    assert records("table", ["id", "name"], []).split()[:2] == ["id", "name"]


def test_terminal_stops_at_a_hundred_and_a_pipe_does_not() -> None:
    def write(output: Output) -> None:
        output.lines(str(number) for number in range(300))

    out, err = printed(write, Terminal())
    assert out.splitlines() == [str(number) for number in range(100)]
    assert err.startswith("stopped after 100")
    out, err = printed(write)
    assert len(out.splitlines()) == 300
    assert err == "300 records\n"


@pytest.mark.parametrize(("number", "count"), [(0, "0 records\n"), (1, "1 record\n")])
def test_count_goes_to_stderr(number: int, count: str) -> None:
    assert printed(lambda output: output.lines(["x"] * number))[1] == count


class Level(StrEnum):
    LOW = "l"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1, "a"}, '["a", 1]'),
        ({None, 1}, "[1, null]"),
        ({10, 9}, "[9, 10]"),
        (frozenset({(1, "a"), (1, 2)}), '[[1, "a"], [1, 2]]'),
        (
            {(1, 2): "x", None: 1, date(2026, 1, 1): 2},
            '{"[1, 2]": "x", "null": 1, "2026-01-01": 2}',
        ),
        ((1, "a", None), '[1, "a", null]'),
        ([float("inf"), [1.5, float("nan")]], '["inf", [1.5, "nan"]]'),
        ({"a": {float("-inf")}}, '{"a": ["-inf"]}'),
        ([{1, "a"}, b"\x00"], '[["a", 1], "AA=="]'),
        (ROUND, json.dumps([reprlib.repr(ROUND)])),
    ],
)
def test_nested_value_is_json_in_every_format(value: object, expected: str) -> None:
    """A pickled object may be anything; what is a list in JSON is one in a cell too."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(expected)
    assert json.loads(records("jsonl", ["a"], [(value,)]), parse_constant=refuse) == {"a": document}
    assert next(csv.reader(records("csv", ["a"], [(value,)]).splitlines()[1:])) == [expected]
    assert expected in records("table", ["a"], [(value,)])
    assert f"| {expected} |" in records("markdown", ["a"], [(value,)])
    assert printed(lambda output: output.pairs([("a", value)]))[0] == f"a  {expected}\n"
    written = printed(lambda output: output.document({"a": value}))[0]
    assert json.loads(written, parse_constant=refuse) == {"a": document}


def test_enum_of_texts_is_printed_by_name() -> None:
    assert records("csv", ["a"], [(Level.LOW,)]) == "a\nLOW\n"
    assert records("jsonl", ["a"], [(Level.LOW,)]) == '{"a": "LOW"}\n'
    assert printed(lambda output: output.document({"a": Level.LOW}))[0] == '{\n  "a": "LOW"\n}\n'
