"""What `--set` and `--set-null` say, as values for columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, null

from dbtasks.engines import Backend
from dbtasks.errors import UsageError
from dbtasks.lookups.fields import find_column
from dbtasks.lookups.targets import Target
from dbtasks.values import convert_stored

SHOWN = 60


def read_assignments(
    target: Target, backend: Backend, values: Sequence[str], nulls: Sequence[str]
) -> dict[str, Any]:
    """Return the value of each field that is set, converted and checked by its column.

    Each of `values` is `FIELD=VALUE`, each of `nulls` a field. Raises UsageError for a field
    that is not there or is set twice, and for a value that its column cannot hold.
    """
    pairs = [*split_assignments(values), *((name, None) for name in nulls)]
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name in found:
            raise UsageError(f"{name} is set twice", hint="leave one out")
        found[name] = store(target, backend, name, text)
    return found


def split_assignments(values: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the field and the text of each `FIELD=VALUE`."""
    for one in values:
        name, mark, text = one.partition("=")
        if not mark or not name:
            raise UsageError(f"--set {one!r} sets nothing", hint="write --set FIELD=VALUE")
        yield name, text


def shown(values: Mapping[str, object]) -> str:
    """Return values for a message, long ones cut."""
    texts = ((name, str(value)) for name, value in values.items())
    return ", ".join(f"{name}={text[:SHOWN]}{'…' * (len(text) > SHOWN)}" for name, text in texts)


def store(
    target: Target, backend: Backend, name: str, value: object, *, from_json: bool = False
) -> Any:
    """Return a text, or with `from_json` a value of a file, as the column of this name stores it.

    None is NULL.
    """
    column = find_column(target, name)
    if value is None:
        # A plain None would be JSON's null in a JSON column.
        return null() if isinstance(column.type, JSON) else None
    return convert_stored(value, column.type, name, backend, from_json=from_json)
