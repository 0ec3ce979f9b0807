"""Dates, times and durations, from text: absolute, and relative to now."""

import datetime as dt
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

from dbtasks.values.reasons import Reason, require

RELATIVE = re.compile(r"(now|today)((?:[+-][0-9]{1,12}[smhdw])*)")
STEP = re.compile(r"([+-][0-9]+)([smhdw])")
TOO_FINE = re.compile(r"[.,][0-9]{7}")

AMOUNT = r"[0-9]{1,20}(?:[.,][0-9]{1,20})?"
SECONDS = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?")
UNITS = re.compile(rf"([+-]?)((?:{AMOUNT}\s*[wdhms]\s*)+)", re.IGNORECASE)
UNIT = re.compile(rf"([+-]?{AMOUNT})\s*([wdhms])", re.IGNORECASE)
SIGNED = rf"[+-]?{AMOUNT}"
ISO = re.compile(
    rf"([+-]?)P(?=.)(?:{SIGNED}W)?(?:{SIGNED}D)?"
    rf"(?:T(?=.)(?:{SIGNED}H)?(?:{SIGNED}M)?(?:{SIGNED}S)?)?",
    re.IGNORECASE,
)

LONG_TIME = re.compile(
    r"(?:-[0-9]{2,3}|2[4-9]|[3-9][0-9]|[0-9]{3})(?::[0-5][0-9]){2}(?:\.[0-9]{1,6})?"
)
"""A TIME of MySQL that is no time of a day."""

LONGEST_HOURS = 838

LENGTHS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}


def date_of(value: object, kind: Any) -> dt.date:
    """Return a date: 2026-11-22, today, now-90d."""
    text = _text(value)
    moment = _relative(text)
    return moment.date() if moment else dt.date.fromisoformat(text)


def datetime_of(value: object, kind: Any) -> dt.datetime:
    """Return a date and time, with the offset that the text has.

    Relative ones are UTC, with their offset if the type has a time zone.
    """
    text = _text(value)
    if moment := _relative(text):
        return moment if getattr(kind, "timezone", False) else moment.replace(tzinfo=None)
    require(not TOO_FINE.search(text), "it is finer than a microsecond")
    return dt.datetime.fromisoformat(text)


def time_of(value: object, kind: Any) -> dt.time:
    """Return a time of day: 09:30, 09:30:00.5+00:00, now."""
    text = _text(value)
    if moment := _relative(text):
        return moment.timetz() if getattr(kind, "timezone", False) else moment.time()
    require(not TOO_FINE.search(text), "it is finer than a microsecond")
    return dt.time.fromisoformat(text)


def is_long_time(text: str) -> bool:
    """Whether a text is a TIME of MySQL that is no time of a day, and within its limits."""
    is_long = LONG_TIME.fullmatch(text) is not None
    hours = int(text.lstrip("-").partition(":")[0]) if is_long else 0
    require(hours <= LONGEST_HOURS, "it is not from -838:59:59 to 838:59:59")
    return is_long


def duration_of(value: object, kind: Any) -> dt.timedelta:
    """Return a duration: 1d 2h, 90m, P1DT2H, or a number of seconds; a leading - negates it."""
    text = str(value) if type(value) in (int, float, Decimal) else _text(value)
    microseconds = _seconds(text.strip()) * 1_000_000
    require(microseconds.denominator == 1, "it is finer than a microsecond")
    return dt.timedelta(microseconds=int(microseconds))


def _text(value: object) -> str:
    require(isinstance(value, str), "it has to be a text")
    return str(value)


def _relative(text: str) -> dt.datetime | None:
    """Return the instant, in whole seconds: a column may keep no fraction."""
    match = RELATIVE.fullmatch(text.strip().lower())
    if match is None:
        return None
    moment = dt.datetime.now(dt.UTC).replace(microsecond=0)
    if match[1] == "today":
        moment = moment.replace(hour=0, minute=0, second=0)
    for amount, unit in STEP.findall(match[2]):
        moment += dt.timedelta(seconds=int(amount) * LENGTHS[unit])
    return moment


def _seconds(text: str) -> Fraction:
    if SECONDS.fullmatch(text):
        return Fraction(text)
    if match := UNITS.fullmatch(text):
        total = _total(match[2])
    elif match := ISO.fullmatch(text):
        total = _total(text)
    else:
        raise Reason("years and months have no fixed length" if "P" in text.upper() else "")
    return -total if match[1] == "-" else total


def _total(text: str) -> Fraction:
    return sum(
        (
            Fraction(amount.replace(",", ".")) * LENGTHS[unit.lower()]
            for amount, unit in UNIT.findall(text)
        ),
        Fraction(0),
    )
