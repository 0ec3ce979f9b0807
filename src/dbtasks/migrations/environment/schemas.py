"""Schemas: those that the models name are compared, and no other."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import MetaData

IncludeName = Callable[[str | None, str, Any], bool]


def included(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `context.configure` by which the schemas of the models are compared.

    An env.py that says itself which are, keeps its own.
    """
    named = names_of(options.get("target_metadata"))
    if not named or "include_schemas" in options:
        return {}
    theirs: IncludeName | None = options.get("include_name")

    def include_name(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema" and name not in {None, *named}:
            return False
        return theirs is None or theirs(name, kind, parents)

    return {"include_schemas": True, "include_name": include_name}


def names_of(metadata: Any) -> frozenset[str]:
    """Return the schemas that the models name."""
    each = [metadata] if isinstance(metadata, MetaData) else metadata or ()
    return frozenset(table.schema for one in each for table in one.tables.values() if table.schema)
