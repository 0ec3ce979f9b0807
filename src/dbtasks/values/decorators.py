"""Values of a project's own types: a TypeDecorator's Python value is known by its round trip.

A type says how it stores a value and how it reads one, and not what its values are. What is typed
is read in each way that it may be meant, and taken where the type gives the same back.
"""

import datetime as dt
import enum
import json
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, JSON, Enum, Interval, String
from sqlalchemy.types import TypeDecorator, TypeEngine

from dbtasks.engines import Backend
from dbtasks.engines.base.storage import Storage
from dbtasks.engines.base.wire import holds_bytes
from dbtasks.values.reasons import Reason, require
from dbtasks.values.texts import BY_TYPE, parse, plain_numbers, python_type, repr_of

PROBES: tuple[Any, ...] = ({}, [], {"a": "b"}, ["a"], {"a": 1}, [1])
"""Documents of which a type that stores documents takes one, and gives it back."""

OWN = (bool, int, float, str, bytes, list, tuple, set, frozenset, dict, *BY_TYPE)
"""Types that are not a project's."""

_UNREADABLE = (Exception,)  # a project's type may raise anything


def decorated_value(
    value: object, kind: TypeDecorator[Any], backend: Backend, *, from_json: bool
) -> Any:
    """Return the Python value of a text, or of a JSON value, for a decorated type.

    Raises Reason where the type would not give back what was meant.
    """
    trip = RoundTrip(kind, backend)
    if isinstance(kind, Interval) or not trip.reads:
        found = parse(value, kind, from_json=from_json)
        if isinstance(found, (list, dict)):
            _check_sent(found, trip)
        return found
    if isinstance(value, str) and not from_json:
        return _of_text(value, trip)
    plain = plain_numbers(value)
    for found in _shapes(plain):
        if trip.keeps(found):
            return found
    if isinstance(plain, (list, dict)):
        raise _failure_of(plain, trip)
    return _of_parsed(value, trip, from_json=from_json)


class RoundTrip:
    """Send values through a type and its decorators, and back, without a database."""

    def __init__(self, kind: TypeDecorator[Any], backend: Storage) -> None:
        self.kind = kind
        self.dialect = backend.dialect
        self.decorators: list[TypeDecorator[Any]] = []
        below: TypeEngine[Any] = backend.resolve_type(kind)
        while isinstance(below, TypeDecorator) and not isinstance(below, Interval):
            self.decorators.append(below)
            below = backend.resolve_type(below.load_dialect_impl(self.dialect))
        self.below = below

    @property
    def reads(self) -> bool:
        """Whether the type makes something of what it reads; nothing can be said of another."""
        return any(_has(one, "process_result_value") for one in self.decorators)

    def send(self, value: Any) -> Any:
        """Return what is stored for a value. Raises TypeError for what the column cannot hold."""
        for one in self.decorators:
            if _has(one, "process_bind_param"):
                value = one.process_bind_param(value, self.dialect)
        if not self._can_hold(value):
            raise TypeError(f"it makes a {type(value).__name__} of it")
        return value

    def give_back(self, value: Any) -> Any:
        """Return what the type reads where a value is stored."""
        stored = self.send(value)
        for one in reversed(self.decorators):
            if _has(one, "process_result_value"):
                stored = one.process_result_value(stored, self.dialect)
        return stored

    def keeps(self, value: Any) -> bool:
        """Whether the type gives back the very value."""
        with suppress(*_UNREADABLE):
            found = self.give_back(value)
            return type(found) is type(value) and bool(found == value)
        return False

    def means(self, value: Any) -> bool:
        """Whether what the type gives back is what was meant by a value.

        A text may come back as another one: in lower case, or as a hash.
        """
        with suppress(*_UNREADABLE):
            found = self.give_back(value)
            if isinstance(value, str):
                return self._is_of_text(value, found)
            if isinstance(value, bool) or isinstance(found, bool):
                return found is value
            return bool(_in_utc(found) == _in_utc(value))
        return False

    def as_stored(self, value: Any) -> Any:
        """Return what the type gives back for a text, where it stores that otherwise.

        The application stores its own values, and would not find the text that was typed.
        """
        with suppress(*_UNREADABLE):
            found = self.give_back(value) if isinstance(value, str) else None
            is_other = found is not None and not isinstance(found, str)
            if is_other and self.keeps(found) and self.send(found) != self.send(value):
                return found
        return value

    def require_steady(self, value: Any) -> None:
        """Raise Reason for a value that cannot be compared, being stored otherwise each time."""
        try:
            same = bool(self.send(value) == self.send(value))
        except _UNREADABLE as error:
            raise Reason(f"{type(self.kind).__name__} refuses it: {error}") from error
        require(same, "it is stored otherwise each time, so that nothing equals it")

    @property
    def takes_documents(self) -> bool:
        """Whether the type's values are lists or objects."""
        return any(map(self._takes, PROBES))

    @property
    def example(self) -> str | None:
        """Return a list or an object that the type takes, as JSON; None where it takes none."""
        return next((json.dumps(one) for one in PROBES if one and self._takes(one)), None)

    def _takes(self, document: Any) -> bool:
        return any(map(self.keeps, _shapes(document)))

    def _is_of_text(self, text: str, found: Any) -> bool:
        if isinstance(found, str) or found is None:
            return found is not None or not text
        if not isinstance(found, OWN):  # of the project: it is stored as the text was
            return bool(self.send(found) == self.send(text))
        parser = BY_TYPE.get(type(found))
        return parser is not None and bool(_in_utc(parser(text, self.kind)) == _in_utc(found))

    def _can_hold(self, value: Any) -> bool:
        """Whether the column may hold what is sent; the driver and the database say more."""
        if value is None or isinstance(self.below, (JSON, ARRAY)):
            return True
        if isinstance(self.below, String) and not isinstance(self.below, Enum):
            return isinstance(value, str)
        if holds_bytes(self.below):
            return isinstance(value, (bytes, bytearray, memoryview))
        return not isinstance(value, (list, tuple, set, frozenset, dict))


def _of_text(text: str, trip: RoundTrip) -> Any:
    """Return what a typed text means: JSON first, as a text may be stored as a JSON string."""
    document, failure = _document_of(text)
    if not isinstance(document, str):
        for shape in _shapes(document):
            if trip.keeps(shape) and trip.send(shape) is not None:  # NULL is not typed
                return shape
    if not trip.takes_documents:
        return _of_parsed(text, trip, from_json=False)
    if isinstance(document, str) and document is not text and trip.keeps(document):
        return document
    if document is not text:
        raise _failure_of(document, trip)
    raise TypeReason(failure or f"it is typed as JSON, as {trip.example or '[]'}")


def _document_of(text: str) -> tuple[Any, str]:
    """Return the document that a text is, or the text; why, where it has a number out of range."""
    try:
        return plain_numbers(json.loads(text, parse_float=Decimal)), ""
    except Reason as error:
        return text, str(error)
    except (ValueError, RecursionError):
        return text, ""


def _of_parsed(value: Any, trip: RoundTrip, *, from_json: bool) -> Any:
    """Return the value as a type that is declared reads it, or any other."""
    failures: list[Exception] = []
    for found in _readings(value, trip, from_json=from_json):
        if isinstance(found, Exception):
            failures.append(found)
        elif trip.means(found):
            return trip.as_stored(found)
        else:
            failures.append(_failure_of(found, trip))
    failure = max(failures, key=lambda one: RANKS.get(type(one), 0))  # the first that says most
    if isinstance(value, str) or type(failure) in RANKS:
        raise failure
    if (example := trip.example) is not None:
        raise TypeReason(f"it takes lists or objects, as {example}")
    raise _failure_of(value, trip)


def _readings(value: Any, trip: RoundTrip, *, from_json: bool) -> Iterator[Any]:
    """Yield what a value may mean, or why it does not mean it."""
    kind, below = trip.kind, trip.below
    declared = (
        BY_TYPE.get(python_type(kind)) if python_type(kind) is not python_type(below) else None
    )
    try:
        yield declared(value, below) if declared else parse(value, below, from_json=from_json)
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        yield error
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        yield Decimal(repr_of(value))
        yield plain_numbers(value)
    if not isinstance(value, str):
        return
    yield value
    for parser in BY_TYPE.values():
        with suppress(ValueError, TypeError, ArithmeticError):
            found = parser(value, kind)
            yield found
            if isinstance(found, dt.datetime) and found.tzinfo is None:
                yield found.replace(tzinfo=dt.UTC)
    yield from _members(value, trip)


def _members(text: str, trip: RoundTrip) -> Iterator[enum.Enum]:
    """Yield the member of this name, or of this value, of an enum that a decorator holds."""
    held = [part for one in trip.decorators for part in (*vars(one).values(), python_type(one))]
    for kind in held:
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            members = kind.__members__
            yield from [members[text]] if text in members else ()
            yield from (one for one in kind if str(one.value) == text)


def _check_sent(value: Any, trip: RoundTrip) -> None:
    """Raise Reason for what a type that only stores would send, and its column cannot hold."""
    name = type(trip.kind).__name__
    try:
        trip.send(value)
    except _UNREADABLE as error:
        changes = any(_has(one, "process_bind_param") for one in trip.decorators)
        why = f"{name} refuses it: {error}" if changes else "its column has no lists or objects"
        raise RefusedError(why) from error


def _failure_of(value: Any, trip: RoundTrip) -> Reason:
    name = type(trip.kind).__name__
    try:
        found = trip.give_back(value)
    except _UNREADABLE as error:
        return RefusedError(f"{name} refuses it: {error}")
    return ChangedError(f"{name} would give back {found!r}")


class TypeReason(Reason):
    """Say what a type of the project does to a value: the column below it is no example."""

    hint = 'docs/records.md, "Types of the project", says how its values are typed'


class RefusedError(TypeReason):
    """Say that the type does not take a value."""


class ChangedError(TypeReason):
    """Say that the type makes another value of it."""


RANKS: dict[type, int] = {RefusedError: 1, ChangedError: 2}


def _shapes(value: Any) -> list[Any]:
    """Return a JSON value, a list also as what else has items."""
    if not isinstance(value, list):
        return [value]
    found: list[Any] = [value, tuple(value)]
    with suppress(TypeError):  # of what cannot be in a set
        found += [set(value), frozenset(value)]
    return found


def _in_utc(value: Any) -> Any:
    """Return an instant with an offset: one without it is UTC."""
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    return value


def _has(one: TypeDecorator[Any], method: str) -> bool:
    """Whether a decorator has a method of its own."""
    return getattr(type(one), method) is not getattr(TypeDecorator, method)
