"""Texts that spell a value in several ways: which a dump keeps, and how they travel."""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Date, DateTime, Dialect, Time, Uuid
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base.wire import Spelled, encode

Reader = Callable[[Any], Any]


READS: dict[type, Reader] = {
    DateTime: dt.datetime.fromisoformat,
    Date: dt.date.fromisoformat,
    Time: dt.time.fromisoformat,
    Uuid: UUID,
}
"""What reads the texts of a type in any spelling."""

PROBES: dict[type, Any] = {
    DateTime: dt.datetime(2021, 2, 3, 4, 5, 6, 789012),
    Date: dt.date(2021, 2, 3),
    Time: dt.time(4, 5, 6, 789012),
    Uuid: UUID(int=2**128 - 1),
}
"""Values that show how a type spells all."""

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}")
DASHED = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
URN = "urn:uuid:"


class Spelling:
    """Know which stored texts of a column a dump has to keep, and how they travel."""

    def __init__(self, kind: TypeEngine[Any], dialect: Dialect) -> None:
        self.kind = kind
        known = next(one for one in READS if isinstance(kind, one))
        bind = kind.dialect_impl(dialect).bind_processor(dialect)
        probe = PROBES[known] if getattr(kind, "as_uuid", True) else str(PROBES[known])
        own = bind(probe) if bind else ""
        self._is_iso = known is Date and own == str(PROBES[known])
        digit = "[0-9a-f]" if known is Uuid else "[0-9]"
        form = re.sub(r"[0-9a-f]", lambda _: digit, own)
        self._is_own = re.compile(rf"{form}\Z").match

    def all_travelling(self, texts: Sequence[Any], values: Sequence[Any]) -> Sequence[Any]:
        """Return the values of many texts, or the texts, as `travelling` does of one."""
        if not all(map(self._is_own, filter(None, texts))):
            return [*map(self.travelling, texts, values)]
        if self._is_iso:
            return texts
        if isinstance(self.kind, DateTime) and None not in values:
            return [*map(dt.datetime.isoformat, values)]
        return values

    def travelling(self, text: Any, value: Any) -> Any:
        """Return the value, or its text where that has to be kept and others can read it."""
        if value is None or self._is_own(text):
            return value
        marked = _marked(text, self.kind)
        try:
            same = read_text(marked, self.kind) == (
                UUID(value) if isinstance(self.kind, Uuid) and isinstance(value, str) else value
            )
        except ValueError:  # a format of the project's own
            return value
        return Spelled(marked, encode(without_offset(value, self.kind))) if same else value


def read_text(text: Any, kind: TypeEngine[Any]) -> Any:
    """Return the value of a text in any spelling. Raises ValueError for what is none."""
    if isinstance(kind, Boolean):
        return bool(text)
    return next(read for known, read in READS.items() if isinstance(kind, known))(text)


def stored_text(value: Any, kind: TypeEngine[Any]) -> Any:
    """Return what a value of a dump was stored as, where it has to be kept; else None."""
    if isinstance(kind, Boolean):
        number = isinstance(value, (int, str)) and re.fullmatch(r"-?[0-9]{1,18}", str(value))
        return int(value) if number and int(value) not in (0, 1) else None
    if not isinstance(value, str) or not isinstance(kind, tuple(READS)):
        return None
    if isinstance(kind, Uuid):
        return None if DASHED.match(value) else re.sub(rf"\A{URN}(?={DASHED.pattern})", "", value)
    if isinstance(kind, DateTime):
        mark = value[10:11]
        return None if mark == "T" else f"{value[:10]}T{value[11:]}" if mark == "|" else value
    if isinstance(kind, Time):
        return None if CLOCK.match(value) else re.sub(rf"\AT(?={CLOCK.pattern})", "", value)
    return None if DAY.match(value) else value


def _marked(text: str, kind: TypeEngine[Any]) -> str:
    """Return a text in another spelling, where it would be taken for how all values travel."""
    if isinstance(kind, DateTime) and text[10:11] == "T":
        return f"{text[:10]}|{text[11:]}"
    if isinstance(kind, Time) and CLOCK.match(text):
        return f"T{text}"
    return f"{URN}{text}" if isinstance(kind, Uuid) and DASHED.match(text) else text


def without_offset(value: Any, kind: TypeEngine[Any]) -> Any:
    """Return an instant in UTC where its column has no time zone."""
    if isinstance(value, dt.datetime) and value.tzinfo and not getattr(kind, "timezone", False):
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    return value
