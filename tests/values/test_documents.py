"""A large JSON document is checked in parts: all of it, without its values as a whole."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from dbtasks.engines import backend_for
from dbtasks.engines.base.wire import LARGE
from dbtasks.errors import UsageError
from dbtasks.values import check_document, documents

POSTGRESQL = backend_for("postgresql+psycopg://h/d", "a test", Path())
ITEM = {"id": 7, "name": "Größe ☃", "tags": ["a,]", None, 1.5e-30], "of": {}}
LARGE_ONES = {
    "string": {"text": 'Größe "ä" \\ of a line\n' * (LARGE // 8)},
    "escapes": ["☃🐘" * (LARGE // 8)],
    "objects": [ITEM] * (LARGE // 20),
    "numbers": {"of": [[*range(LARGE // 4)]]},
    "members": {f"key {number}": ITEM for number in range(LARGE // 40)},
}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
changes = st.none() | st.tuples(st.floats(0, 1), st.sampled_from([*'[]{},:"\\1e.-+utN ', ""]))


def leaves(value: Any) -> list[Any]:
    """Return the strings of a value, keys too, as one, and all else after it."""
    parts = [*scalars(value)]
    texts = "".join(one for one in parts if isinstance(one, str))
    return [texts, *(one for one in parts if not isinstance(one, str))]


def scalars(value: Any) -> Any:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from [name, *scalars(inner)]
    elif isinstance(value, list):
        for inner in value:
            yield from scalars(inner)
    else:
        yield value


@settings(deadline=None)
@given(values, changes, st.integers(14, 80), st.booleans(), st.sampled_from([None, 1]))
def test_the_parts_are_all_of_the_document_or_it_is_none(
    value: Any, change: Any, window: int, ascii_: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_, indent=indent)
    if change is not None:
        place = int(len(text) * change[0])
        text = text[:place] + change[1] + text[place + 1 :]
    with patch.object(documents, "LARGE", -1), patch.object(documents, "PIECE", window):
        try:
            expected = leaves(documents.DECODER.decode(text))
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                [*documents.parts_of(text)]
        else:
            parts = [*documents.parts_of(text)]
            # A rare one is read as a whole, after some of its parts.
            assert change is not None or expected in (leaves(parts), leaves(parts[-1]))


@pytest.mark.parametrize("name", LARGE_ONES)
@pytest.mark.parametrize("ascii_", [True, False])
def test_no_large_value_is_made(name: str, ascii_: bool) -> None:
    text = json.dumps(LARGE_ONES[name], ensure_ascii=ascii_)
    parts = documents.parts_of(text)
    assert max(len(json.dumps(part, ensure_ascii=False)) for part in parts) < LARGE
    check_document(text, sa.JSON(), "data", POSTGRESQL)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (r'"\ud83d"', "half a character"),
        (r'{"\u0000": 1}', "no NUL"),
        ("NaN", "JSON has no NaN"),
        ("1e999", ""),
        ("[1 2]", ""),
        ("1,", ""),
    ],
)
@pytest.mark.parametrize("document", ['["{}", ?]', '[?, "{}"]', '{{"a": "{}", "b": [?, 1]}}'])
def test_what_is_wrong_in_a_large_one_is_told(document: str, what: str, reason: str) -> None:
    text = document.replace("{}", "x" * LARGE).replace("{{", "{").replace("}}", "}")
    check_document(text.replace("?", "12"), sa.JSON(), "data", POSTGRESQL)
    with pytest.raises(UsageError, match=reason or "is not a value of type JSON"):
        check_document(text.replace("?", what), sa.JSON(), "data", POSTGRESQL)
