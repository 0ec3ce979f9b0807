"""Records from a file: a JSON list, JSON lines, or CSV with a header."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from dbtasks.errors import UsageError

SUFFIXES = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}

LARGEST_CELL = 2**31 - 1
"""As much as the csv module takes everywhere; its default is less than a text column holds."""

FileRecord = dict[str, Any]


class TextRecord(FileRecord):
    """A record whose values are texts, as those of CSV and of --set are, and not JSON's."""


def read_records(stream: TextIO, name: str) -> Iterator[FileRecord]:
    """Yield the records of a file; its name's ending, or its first character, tells the format.

    An empty cell of CSV is NULL. Raises UsageError that names the line of what cannot be read.
    """
    try:
        kind = SUFFIXES.get(Path(name).suffix.lower())
        before = _until_text(stream)
        lines = chain(before, stream)
        kind = kind or _sniff(before[-1] if before else "")
        yield from {"json": _json, "jsonl": _jsonl, "csv": _csv}[kind](lines, name)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not valid UTF-8", hint="convert it, as with: iconv -t utf-8"
        ) from error


def _until_text(stream: TextIO) -> list[str]:
    """Read up to the first line that is not blank; Excel begins a file with a mark of UTF-8."""
    found: list[str] = []
    for line in stream:
        found.append(line if found else line.removeprefix("\ufeff"))
        if found[-1].strip():
            break
    return found


def _sniff(line: str) -> str:
    """Tell the format by a first line; an object that goes on in the next one is JSON."""
    text = line.strip()
    if text.startswith("{") and text.endswith("}"):
        return "jsonl"
    return "json" if text.startswith(("[", "{")) else "csv"


def _json(lines: Iterator[str], name: str) -> Iterator[FileRecord]:
    try:
        found = json.loads("".join(lines), parse_float=Decimal, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise _unreadable(name, str(error)) from error
    for number, record in enumerate(found if isinstance(found, list) else [found], 1):
        yield _checked(record, name, f"record {number}")


def _jsonl(lines: Iterator[str], name: str) -> Iterator[FileRecord]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, parse_float=Decimal, object_pairs_hook=_object)
            yield _checked(found, name, f"line {number}")
        except (ValueError, RecursionError) as error:
            raise _unreadable(name, f"line {number}: {error}") from error


def _csv(lines: Iterator[str], name: str) -> Iterator[FileRecord]:
    csv.field_size_limit(LARGEST_CELL)
    reader = csv.DictReader(lines, strict=True)
    try:
        reader.fieldnames = next((row for row in reader.reader if row), [])
        twice = [key for key, number in Counter(reader.fieldnames).items() if number > 1]
        if twice:
            raise _unreadable(name, f"the header has {twice[0]!r} twice")
        for record in reader:
            if None in record or None in record.values():
                raise _unreadable(name, f"line {reader.line_num}: not as many cells as the header")
            yield TextRecord({key: value or None for key, value in record.items()})
    except csv.Error as error:
        raise _unreadable(name, f"line {reader.reader.line_num}: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> FileRecord:
    """Make an object of which no name came twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for name, number in Counter(n for n, _ in pairs).items() if number > 1)
        raise ValueError(f"{twice!r} stands twice in an object")
    return found


def _checked(record: Any, name: str, place: str) -> FileRecord:
    if not isinstance(record, dict):
        raise _unreadable(name, f"{place} is no object")
    return record


def _unreadable(name: str, why: str) -> UsageError:
    return UsageError(
        f"{name} cannot be read: {why}",
        hint="it should be a JSON list of objects, an object a line, or CSV with a header",
    )
