"""Server defaults, compared as texts: the server is not asked, which cannot compare all of them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column

from dbtasks.migrations.making.reflection import alike


@contextmanager
def compared(context: MigrationContext) -> Iterator[None]:
    """Compare plain defaults by ours in the block, unless env.py says how, or that they are not."""
    context.impl.compare_server_default = _differs  # type: ignore[method-assign]  # of this one only
    try:
        yield
    finally:
        del context.impl.compare_server_default


def _differs(reflected: Column[Any], column: Column[Any], new: str | None, old: str | None) -> bool:
    """Whether a default may have changed; a trial shows if the database only tells it otherwise."""
    if column.primary_key and column is column.table._autoincrement_column:
        return False
    return not alike(_unquoted(old), _unquoted(new))


def _unquoted(text: str | None) -> str | None:
    if text is None:
        return None
    text = re.sub(r"::[\w \"]+(\([\d, ]*\))?(\[\])?$", "", text.strip())
    found = re.fullmatch(r"\(*'(.*)'\)*", text, re.DOTALL)
    return found[1].replace("''", "'") if found else text
