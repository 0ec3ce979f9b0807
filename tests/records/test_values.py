"""Texts of the command line as values of a column's type."""

import datetime as dt
import enum
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from dbtasks.errors import UsageError
from dbtasks.records.values import convert


class Colour(enum.Enum):
    red = "r"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (sa.Integer(), "-42", -42),
        (sa.String(3), "longer than three", "longer than three"),
        (sa.Float(), "1.5", 1.5),
        (sa.Numeric(5, 2), "12.50", Decimal("12.50")),
        (sa.Boolean(), "Yes", True),
        (sa.Boolean(), "0", False),
        (sa.Date(), "2026-11-22", dt.date(2026, 11, 22)),
        (sa.DateTime(), "2026-11-22T09:30", dt.datetime(2026, 11, 22, 9, 30)),
        (sa.Time(), "09:30", dt.time(9, 30)),
        (sa.Uuid(), "00000000-0000-0000-0000-000000000001", UUID(int=1)),
        (sa.Enum(Colour), "red", Colour.red),
        (sa.Enum("a", "b"), "b", "b"),
    ],
)
def test_value(kind: sa.types.TypeEngine[Any], text: str, value: object) -> None:
    assert convert(text, kind, "field") == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (sa.Integer(), "x"),
        (sa.Integer(), "1.0"),
        (sa.Integer(), "9223372036854775808"),
        (sa.Integer(), "1" * 5000),
        (sa.Float(), "nan"),
        (sa.Numeric(), "NaN"),
        (sa.Numeric(), "sNaN"),
        (sa.Numeric(), "1,5"),
        (sa.Boolean(), "perhaps"),
        (sa.Date(), "22.11.2026"),
        (sa.DateTime(), "now"),
        (sa.Uuid(), "1"),
        (sa.Enum(Colour), "blue"),
        (sa.LargeBinary(), "AP8="),
    ],
)
def test_wrong_value_names_field_type_and_value(kind: sa.types.TypeEngine[Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        convert(text, kind, "colour")
    assert caught.value.message.startswith(f"colour={text[:60]!r}"[:50])
    assert type(kind).__name__ in caught.value.message
    assert len(caught.value.message) < 300


KINDS = [sa.Integer(), sa.Float(), sa.Numeric(), sa.Boolean(), sa.Date(), sa.Uuid(), sa.String()]


@given(st.sampled_from(KINDS), st.text())
def test_any_text_is_a_value_or_our_error(kind: sa.types.TypeEngine[Any], text: str) -> None:
    try:
        convert(text, kind, "field")
    except UsageError as error:
        assert "field=" in error.message
