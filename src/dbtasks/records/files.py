"""Records from a file: a JSON list, JSON lines, or CSV with a header."""

import csv
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from dbtasks.errors import UsageError

SUFFIXES = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}

FileRecord = dict[str, Any]


class TextRecord(FileRecord):
    """A record whose values are texts, as those of CSV and of --set are, and not JSON's."""


def read_records(stream: TextIO, name: str) -> Iterator[FileRecord]:
    """Yield the records of a file; its name's ending, or its first character, tells the format.

    An empty cell of CSV is NULL. Raises UsageError that names the line of what cannot be read.
    """
    kind = SUFFIXES.get(Path(name).suffix.lower())
    lines: Iterator[str] = iter(stream)
    if kind is None:
        first = next((line for line in lines if line.strip()), "")
        lines = chain([first], lines)
        kind = {"[": "json", "{": "jsonl"}.get(first.lstrip()[:1], "csv")
    try:
        yield from {"json": _json, "jsonl": _jsonl, "csv": _csv}[kind](lines, name)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not valid UTF-8", hint="convert it, as with: iconv -t utf-8"
        ) from error


def _json(lines: Iterator[str], name: str) -> Iterator[FileRecord]:
    try:
        found = json.loads("".join(lines))
    except ValueError as error:
        raise _unreadable(name, str(error)) from error
    for number, record in enumerate(found if isinstance(found, list) else [found], 1):
        yield _checked(record, name, f"record {number}")


def _jsonl(lines: Iterator[str], name: str) -> Iterator[FileRecord]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _checked(json.loads(line), name, f"line {number}")
        except ValueError as error:
            raise _unreadable(name, f"line {number}: {error}") from error


def _csv(lines: Iterator[str], name: str) -> Iterator[FileRecord]:
    reader = csv.DictReader(lines, strict=True)
    try:
        for record in reader:
            if None in record or None in record.values():
                raise _unreadable(name, f"line {reader.line_num}: not as many cells as the header")
            yield TextRecord({key: value or None for key, value in record.items()})
    except csv.Error as error:
        raise _unreadable(name, f"line {reader.line_num}: {error}") from error


def _checked(record: Any, name: str, place: str) -> FileRecord:
    if not isinstance(record, dict):
        raise _unreadable(name, f"{place} is no object")
    return record


def _unreadable(name: str, why: str) -> UsageError:
    return UsageError(
        f"{name} cannot be read: {why}",
        hint="it should be a JSON list of objects, an object a line, or CSV with a header",
    )
