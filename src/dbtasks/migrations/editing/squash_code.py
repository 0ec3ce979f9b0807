"""The code of one squash, made on scratch databases from what the replay of a range recorded."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, Enum
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dbtasks.engines import Backend
from dbtasks.engines.sql.quoting import escape
from dbtasks.errors import DbtasksError
from dbtasks.migrations.autogenerate.code import Needs, laid_out
from dbtasks.migrations.autogenerate.places import in_environment
from dbtasks.migrations.autogenerate.rendering import render_type, together
from dbtasks.migrations.editing.folded_schema import FoldedSchema, Unfoldable
from dbtasks.migrations.editing.squash_plan import Segment
from dbtasks.migrations.editing.squash_proof import kinds_of
from dbtasks.migrations.editing.squash_range import Range
from dbtasks.migrations.editing.squash_reasons import changes_rows
from dbtasks.migrations.editing.squash_replay import Replay, steps_of
from dbtasks.migrations.editing.squash_rows import read_rows, render_rows
from dbtasks.migrations.editing.squash_trial import Both, make
from dbtasks.migrations.execution.replay import play
from dbtasks.migrations.history.source_edit import Code
from dbtasks.project import Project
from dbtasks.schema.tables import Stored

ATTEMPTS = 3
"""How often the folded tables are made, each time with what the last left to take over."""


@dataclass
class Generator:
    """Make the code of a segment."""

    project: Project
    inside: Range
    replay: Replay
    segment: Segment
    stored: list[Stored] = field(default_factory=list)
    rows: Sequence[Any] = ()

    def __post_init__(self) -> None:
        """Fold what was done before the segment, and then in it."""
        self.before, self.folded = self._fold(), self._fold()
        if not self.segment.empty:
            self.folded.mark()
        for revision in self.segment.ids:
            self.folded.apply(self.replay.records[revision])

    def _fold(self) -> FoldedSchema:
        folded = FoldedSchema(self.replay.context, self.project.backend.syntax.lexer)
        for revision, record in self.replay.records.items():
            if revision in self.segment.ids:
                break
            folded.apply(record)
        return folded

    def at_end(self, connection: Connection, stored: Stored) -> None:
        """Remember what the segment leaves, called where a replay has run it."""
        self.folded.align(stored)
        self.stored.append(stored)
        syntax = self.project.backend.syntax
        records = (self.replay.records[revision] for revision in self.segment.ids)
        if self.segment.empty and any(changes_rows(record, syntax) for record in records):
            self.rows = read_rows(connection, self.folded.metadata())

    def code(self) -> Both:
        """Return the code in both directions. Raises Unfoldable where none makes the same."""
        for _ in range(ATTEMPTS):
            with self.project.scratch() as scratch:
                play(scratch, self._steps_before)
                try:
                    both = in_environment(scratch, self._make)
                except (DBAPIError, CommandError, SQLAlchemyError) as error:
                    message = " ".join(str(getattr(error, "orig", None) or error).split())
                    raise Unfoldable(f"its operations cannot be made at once: {message}") from error
                except DbtasksError as error:
                    raise Unfoldable(error.message) from error
            if not both.left:
                return both
        left = "; ".join(map(str, both.left))
        raise Unfoldable(f"its operations at once do not make the same: {left}")

    def _steps_before(self, scripts: Any, heads: Any) -> Any:
        for step in steps_of(scripts, heads, self.inside.scripts):
            if step.revision.revision in self.segment.ids:
                return
            yield step

    def _make(self, context: MigrationContext) -> Both:
        before = None if self.segment.empty else self.before
        both = make(context, self.folded, self.stored[-1], before)
        if both.left or not self.segment.empty:
            return both
        rows = [render_rows(context, self.rows), *self._counts()] if self.rows else []
        drops = self._type_drops(context) if len(self._kinds()) > 1 else []
        return replace(
            both,
            upgrade=together([both.upgrade, *rows]),
            downgrade=together([both.downgrade, *drops]),
        )

    def _type_drops(self, context: MigrationContext) -> list[Code]:
        """Return what drops the enums that `create_table` makes on databases that have types."""
        types = {
            str(column.type.name): column.type
            for table in self.folded.metadata().tables.values()
            for column in table.columns
            if isinstance(column.type, Enum) and column.type.native_enum and column.type.name
        }
        needs = Needs()
        lines = [
            f"{render_type(context, types[name], needs)}.drop(op.get_bind(), checkfirst=True)"
            for name in sorted(types)
        ]
        return [Code(laid_out("\n".join(lines)), frozenset(needs.imports))] if lines else []

    def _counts(self) -> list[Code]:
        """Return what moves sequences past the rows, on the databases that have them."""
        backends = self._kinds()
        codes = []
        for name, backend in backends.items():
            sqls = [sql for table, _ in self.rows if (sql := backend.count_on(table))]
            lines = [f"op.execute({escape(sql)!r})" for sql in sqls]
            if lines and len(backends) > 1:
                inner = "\n        ".join(lines)
                lines = [f'if op.get_context().dialect.name == "{name}":\n        {inner}']
            codes += [Code("\n    ".join(lines))] if lines else []
        return codes

    def _kinds(self) -> dict[str, Backend]:
        """Return a backend for each kind of database that the project declares."""
        backends = {}
        for other in kinds_of(self.project):
            with closing(other):
                backends[other.backend.url.get_backend_name()] = other.backend
        return backends
