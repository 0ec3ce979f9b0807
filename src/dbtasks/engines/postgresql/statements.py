"""Statements as they were typed, on PostgreSQL: one for each call, and what they change."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtasks.engines.base.statements import Run

EXPLAIN = "EXPLAIN (VERBOSE, FORMAT JSON) "
CATALOGUES = ("pg_catalog", "information_schema")


@contextmanager
def one_statement_a_call(connection: Any) -> Iterator[None]:
    """Let psycopg prepare each statement: PostgreSQL takes no second one with it then.

    psycopg2 cannot, nor may psycopg where it was told never to prepare, as behind a pooler.
    """
    before = getattr(connection, "prepare_threshold", None)
    if before is None:
        yield
        return
    connection.prepare_threshold = 0
    try:
        yield
    finally:
        connection.prepare_threshold = before


def changes_catalogue(connection: Connection, text: str, run: Run) -> bool:
    """Ask for the plan: names are spelled in many ways, and a view leads to other tables."""
    try:
        with connection.begin_nested():
            plans = run(EXPLAIN + text).scalar_one()
    except DBAPIError:  # it will fail as well, and say why
        return False
    found = json.loads(plans) if isinstance(plans, str) else plans
    return any(
        node.get("Node Type") == "ModifyTable" and node.get("Schema") in CATALOGUES
        for node in _nodes(found[0].get("Plan", {}))
    )


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for one in node.get("Plans", ()):
        yield from _nodes(one)
