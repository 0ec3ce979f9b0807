"""Files of records: JSON, JSON lines and CSV, known by their name or by their beginning."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtasks.errors import UsageError
from dbtasks.records.files import TextRecord, read_records

TWO: list[dict[str, Any]] = [{"id": 1, "name": "Ann"}, {"id": 2, "name": None}]


def read(text: str, name: str = "-") -> list[dict[str, Any]]:
    return list(read_records(io.StringIO(text, newline=""), name))


def lines(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(one) + "\n" for one in records)


@pytest.mark.parametrize("name", ["-", "x.json", "X.JSON", "data"])
def test_json(name: str) -> None:
    assert read(json.dumps(TWO), name) == TWO
    assert read(json.dumps(TWO, indent=2), name) == TWO
    assert read("\n\n" + json.dumps(TWO), name) == TWO
    assert read(json.dumps(TWO[0], indent=2), name) == TWO[:1]
    assert read("[]", name) == []
    assert not any(isinstance(one, TextRecord) for one in read(json.dumps(TWO), name))


@pytest.mark.parametrize("name", ["-", "x.jsonl", "x.ndjson"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_json_lines(name: str, end: str) -> None:
    assert read(lines(TWO).replace("\n", end), name) == TWO
    assert read(end + lines(TWO).rstrip(), name) == TWO


@pytest.mark.parametrize("name", ["-", "x.csv"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv(name: str, end: str) -> None:
    text = 'id,name\n1,"a ""b"", c"\n2,\n3,""\n\n4," x "\n'.replace("\n", end)
    found = read(text, name)
    assert found == [
        {"id": "1", "name": 'a "b", c'},
        {"id": "2", "name": None},
        {"id": "3", "name": None},
        {"id": "4", "name": " x "},
    ]
    assert all(isinstance(one, TextRecord) for one in found)


def test_lines_in_a_cell_stay_as_they_are() -> None:
    assert read('id,name\r\n1,"a\r\nb\nc"\r\n') == [{"id": "1", "name": "a\r\nb\nc"}]


@pytest.mark.parametrize("text", ["", "\n", "id,name\n", "id,name"])
def test_no_records(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize("text", [json.dumps(TWO), lines(TWO), "id,name\n1,Ann\n"])
def test_a_mark_of_utf8_at_the_beginning_is_no_character(text: str) -> None:
    for name in ("-", "x.csv") if text.startswith("id") else ("-",):
        assert read("\ufeff" + text, name) == read(text, name)


def test_a_cell_longer_than_the_csv_module_takes_by_itself() -> None:
    assert read(f"id,name\n1,{'x' * 1_000_000}\n")[0]["name"] == "x" * 1_000_000


def test_records_come_while_the_file_is_read() -> None:
    given = iter([*lines(TWO).splitlines(keepends=True), "no json\n"])
    found = read_records(given, "-")  # type: ignore[arg-type]  # lines are all that is read
    assert [next(found), next(found)] == TWO
    with pytest.raises(UsageError, match="line 3"):
        next(found)


@pytest.mark.parametrize(
    ("text", "name", "where"),
    [
        ('[\n{"id": 1},\n{"id" 2}\n]', "x.json", "line 3"),
        ('[{"id": 1}', "-", "line 1"),
        ("[1]", "-", "record 1 is no object"),
        ('[{"id": 1}, null]', "-", "record 2 is no object"),
        ('"text"', "x.json", "record 1 is no object"),
        ("", "x.json", "line 1"),
        ("[" * 100_000, "-", "recursion"),
        ('{"id": 1}\n\n{"id": }\n', "-", "line 3"),
        ('\n\n{"id": 1}\n[2]\n', "-", "line 4 is no object"),
        ('{"id": 1}\n' + "[" * 100_000, "x.jsonl", "line 2"),
        ('{"id": ' + "9" * 5000 + "}", "-", "line 1"),
        ("id,name\n1,Ann\n2\n", "-", "line 3: not as many cells"),
        ("id,name\n1,Ann,x\n", "-", "line 2: not as many cells"),
        ('id,name\n1,"a\nb"\n2\n', "-", "line 4: not as many cells"),
        ('\n\nid,name\n1,Ann\n"2"x,Bob\n', "-", "line 5"),
        ('id,name\n1,"Ann\n', "x.csv", "line 2"),
    ],
)
def test_what_cannot_be_read(text: str, name: str, where: str) -> None:
    with pytest.raises(UsageError, match=where) as caught:
        read(text, name)
    assert caught.value.message.startswith(f"{name} cannot be read: ")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["x", "x.json", "x.jsonl", "x.csv"])
@pytest.mark.parametrize("text", [b"\xff", b"id,name\n1,Ann\n2,\xe9\n"])
def test_invalid_utf8(tmp_path: Path, name: str, text: bytes) -> None:
    (tmp_path / name).write_bytes(text)
    with (tmp_path / name).open(encoding="utf-8", newline="") as stream:
        with pytest.raises(UsageError, match=f"{name} is not valid UTF-8") as caught:
            list(read_records(stream, name))
    assert "iconv" in (caught.value.hint or "")


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(texts, texts), min_size=1))
def test_any_texts_come_through_csv(rows: list[tuple[str, str]]) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([("a", "b"), *rows])
    wanted = [{"a": one or None, "b": other or None} for one, other in rows]
    assert read(stream.getvalue()) == wanted


@given(st.lists(st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts)))
def test_any_objects_come_through_json(records: list[Mapping[str, Any]]) -> None:
    assert read("".join(json.dumps(one) + "\n" for one in records)) == records
    assert read(json.dumps(records)) == records


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except UsageError as error:
        assert error.hint
