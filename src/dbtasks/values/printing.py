"""What is read of columns to be printed, so that `--where` and `add` read it back."""

from typing import Any

from sqlalchemy import JSON, ColumnElement, Dialect, Interval, type_coerce
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from dbtasks.cells import DocumentText
from dbtasks.engines import Backend
from dbtasks.values.decorators import RoundTrip


def shown(column: ColumnElement[Any], backend: Backend) -> ColumnElement[Any]:
    """Return a column to be printed: with all that is stored, and a JSON string as JSON."""
    kind = backend.resolve_type(column.type)
    if holds_documents(kind, backend):
        return type_coerce(column, _Documents(kind))
    return backend.shown(column)


def holds_documents(kind: TypeEngine[Any], backend: Backend) -> bool:
    """Whether the values of a type are typed as JSON, its strings in quotes."""
    if not isinstance(kind, TypeDecorator) or isinstance(kind, Interval):
        return isinstance(kind, JSON)
    trip = RoundTrip(kind, backend)
    return isinstance(trip.below, JSON) or (trip.reads and trip.takes_documents)


def marked(value: Any) -> Any:
    """Return a value of such a type; a string as one that is printed in its quotes."""
    return DocumentText(value) if type(value) is str else value


class _Documents(TypeDecorator[Any]):
    """Read values of another type, and mark its strings."""

    impl = NullType
    cache_ok = False  # the other type may not be

    def __init__(self, kind: TypeEngine[Any]) -> None:
        super().__init__()
        self.impl = kind  # type: ignore[assignment]  # an instance is what SQLAlchemy makes of it

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return what the other type reads."""
        return marked(value)
