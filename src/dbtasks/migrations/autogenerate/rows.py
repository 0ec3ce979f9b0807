"""Rows that the history brings to a scratch database, where a change is tried on them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, Table, literal, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from dbtasks.engines import Backend
from dbtasks.errors import NOTHING_CHANGED, Refused, Rejected
from dbtasks.hints import command_line
from dbtasks.migrations.autogenerate.reflection import Reflection


def delete(context: MigrationContext) -> None:
    """Delete all rows: what the models are missing does not depend on them."""
    reflection = Reflection(context)
    connection = reflection.connection
    tables = [
        Table(name, MetaData(), schema=schema)
        for schema, name in sorted(reflection.tables, key=str)
        if name != context.version_table
    ]
    full = [
        one
        for one in tables
        if connection.execute(select(literal(1)).select_from(one).limit(1)).first()
    ]
    if full:
        reflection.backend.emptying(reflection.backend, connection, full).run()


@contextmanager
def tried(backend: Backend, connection: Connection) -> Iterator[None]:
    """Say that nothing was written where the change in the block fails, as on rows there are."""
    with ExitStack() as stack:
        stack.enter_context(backend.migration_checks(connection))
        try:
            yield
        except DBAPIError as error:
            if backend.is_lock_failure(error):  # it is not the change
                raise
            message = backend.message_of(error)
            statement = (error.statement or "").strip().partition("\n")[0].rstrip(" (")
            raise Rejected(
                f"the change cannot be made in the scratch database: {message}, by {statement}",
                hint=_hint(error),
                state=NOTHING_CHANGED,
            ) from error
        try:
            stack.close()
        except Refused as refused:
            refused.hint, refused.state = _hint(), NOTHING_CHANGED
            raise


def _hint(error: DBAPIError | None = None) -> str:
    by_hand = command_line("makemigrations", empty=True, name="NAME")
    hint = (
        "the history brings these rows: give them other values (--default, --default-sql), or "
        f"change them in a revision before: {by_hand}"
    )
    if error is None or isinstance(error, IntegrityError):
        return hint
    return f"fix the models; or, if it is for rows, {hint}"
