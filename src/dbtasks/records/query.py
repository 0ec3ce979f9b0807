"""Ask for the records of a mapped class or a table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, ScalarResult, Select, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from dbtasks.engines import Backend
from dbtasks.engines.base.bulk import in_batches
from dbtasks.engines.base.plan import Plan
from dbtasks.engines.base.wire import may_be_large
from dbtasks.errors import NOTHING_CHANGED, DbtasksError, UsageError
from dbtasks.interrupts import ending
from dbtasks.lookups.conditions import conditions
from dbtasks.lookups.fields import Joins, find_field
from dbtasks.lookups.targets import Target, find_target
from dbtasks.project import Project
from dbtasks.records.eager import load_eagerly, paths_of, report_lazy_loads
from dbtasks.records.sessions import open_session
from dbtasks.references import project_raised
from dbtasks.values.printing import shown

BATCH = 500
"""Records loaded at a time, and keys in one SELECT … IN."""

ROWS = 1000
"""Rows fetched at a time."""


@dataclass(frozen=True)
class Query:
    """Hold a question that was checked; its methods ask it, each in a transaction of its own.

    Records come in the order that was asked for, and then of their primary key. They are
    streamed: memory does not grow with their number, except that MySQL's drivers keep the rows
    of `objects` and `texts`.
    """

    project: Project
    target: Target
    criteria: tuple[ColumnElement[bool], ...]
    selected: Mapping[str, ColumnElement[Any]]
    order: tuple[ColumnElement[Any], ...]
    joins: tuple[Any, ...]
    limit: int | None
    offset: int | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of what `rows` gives."""
        return tuple(self.selected)

    @cached_property
    def statement(self) -> Select[Any]:
        """Return the SELECT that `rows` sends."""
        backend = self.project.backend
        return self._complete(select(*(shown(one, backend) for one in self.selected.values())))

    @property
    def has_text(self) -> bool:
        """Whether the class says how one record is written: it has a `__str__` of its own."""
        return self.target.has_text

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Return the values of `columns` of each record."""
        selected = enumerate(self.statement.selected_columns)
        unlimited = [place for place, one in selected if may_be_large(one.type)]
        options = {"stream_results": True, "max_row_buffer": ROWS}
        with self.project.connect() as connection:
            rows = connection.execution_options(**options).execute(self.statement)
            with ending(rows.close):
                for part in in_batches(rows.fetchmany, unlimited, ROWS):
                    # A call for each row would take twice as long.
                    yield from part  # type: ignore[misc]  # they are rows, which are tuples

    def count(self) -> int:
        """Return the number of records."""
        with self.project.connect() as connection:
            counted = select(func.count()).select_from(self.statement.order_by(None).subquery())
            return connection.scalar(counted) or 0

    def explain(self) -> Plan:
        """Return the columns and the rows of the engine's plan for the statement."""
        with self.project.connect() as connection:
            return self.project.backend.plan_of(connection, self.statement)

    def sql(self) -> str:
        """Return the statement with its parameters, for a person to read."""
        compiled = self.statement.compile(
            dialect=self.project.engine().dialect, compile_kwargs={"render_postcompile": True}
        )
        parameters = ", ".join(f"{name}={value!r}" for name, value in compiled.params.items())
        return f"{compiled}\n-- {parameters}" if parameters else str(compiled)

    def objects(self, *, on_lazy_load: Callable[[str], None] | None = None) -> Iterator[Any]:
        """Return each record as an object, with what its `__str__` needs loaded eagerly.

        `on_lazy_load` is called with the name of a relationship that is loaded one by one all
        the same, because the first record did not show it.
        """
        mapper = self.target.mapper
        if mapper is None:
            raise UsageError(f"{self.target.name} is a table, which has rows and no objects")
        statement = self._complete(select(mapper.class_))
        with open_session(self.project) as session:
            probe = statement.limit(1 if self.limit is None else min(1, self.limit))
            first = session.scalars(probe.options(*load_eagerly(mapper, []))).first()
            if first is None:
                return
            str(first)
            statement = statement.options(*load_eagerly(mapper, paths_of(first)))
            session.expunge_all()
            if on_lazy_load is not None:
                report_lazy_loads(session, on_lazy_load)
            records = self._stream(session, statement)
            with ending(records.close):
                yield from records

    def texts(self, *, on_lazy_load: Callable[[str], None] | None = None) -> Iterator[str]:
        """Return each record as its class writes it."""
        with self._blaming_class():
            for record in self.objects(on_lazy_load=on_lazy_load):
                yield str(record)

    def _complete(self, statement: Select[Any]) -> Select[Any]:
        statement = statement.select_from(self.target.entity)
        for relationship in self.joins:
            statement = statement.outerjoin(relationship)
        sortable = self.project.backend.sortable
        keys = [sortable(self.target.columns[name]) for name in self.target.key]
        statement = statement.where(*self.criteria).order_by(*self.order, *keys)
        return statement.limit(self.limit).offset(self.offset)

    def _stream(self, session: Session, statement: Select[Any]) -> ScalarResult[Any]:
        # Not the execution option yield_per: SQLAlchemy 2.0 hands it on to the eager loads, which
        # then refuse to be made unique.
        options = {"stream_results": self.project.backend.streams_beside, "max_row_buffer": BATCH}
        return session.scalars(statement, execution_options=options).yield_per(BATCH)

    @contextmanager
    def _blaming_class(self) -> Iterator[None]:
        try:
            with self.project.explained(NOTHING_CHANGED):
                yield
        except (DbtasksError, DBAPIError, OSError):
            raise
        except Exception as error:
            function = self.target.mapper.class_.__str__ if self.target.mapper else None
            raise project_raised(f"{self.target.name}.__str__", error, function=function) from error


def query(
    project: Project,
    model: str | None = None,
    *,
    table: str | None = None,
    name: str | None = None,
    where: Sequence[str] = (),
    order_by: Sequence[str] = (),
    columns: Sequence[str] = (),
    limit: int | None = None,
    offset: int | None = None,
) -> Query:
    """Return the records of a class or table that meet all conditions.

    `model` is the project's default model when none is named, and `table` one of the database
    that no model knows; `name` is the beginning of its name; each of `where` is
    `FIELD[__LOOKUP]=VALUE`, each of `order_by` a field, with - before it for the other
    direction, and each of `columns` a field. Raises UsageError before anything is sent.
    """
    target = find_target(project, model, table=table)
    criteria = conditions(target, project.backend, where, name)
    joins = Joins()
    selected = {one: joins.column(find_field(target, one)) for one in columns}
    order = [_direction(project.backend, target, joins, one) for one in order_by]
    return Query(
        project,
        target,
        tuple(criteria),
        selected or target.columns,
        tuple(order),
        tuple(joins.relationships),
        limit,
        offset,
    )


def _direction(backend: Backend, target: Target, joins: Joins, name: str) -> ColumnElement[Any]:
    column = backend.sortable(joins.column(find_field(target, name.removeprefix("-"))))
    return column.desc() if name.startswith("-") else column.asc()
