"""Ask for the records of a mapped class."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, ScalarResult, Select, select
from sqlalchemy.orm import Mapper, Session

from dbtasks.errors import DbtasksError
from dbtasks.project import Project
from dbtasks.records.eager import load_eagerly, paths_of, report_lazy_loads
from dbtasks.records.lookups import conditions
from dbtasks.references import project_raised

BATCH = 500
"""Records loaded at a time, and keys in one SELECT … IN."""


@dataclass(frozen=True)
class Query:
    """Hold a question that was checked; its methods ask it, each in a transaction of its own.

    Records come in the order of their primary key. They are streamed: memory does not grow
    with their number, except that MySQL's drivers keep the rows of `objects` and `texts`.
    """

    project: Project
    mapper: Mapper[Any]
    criteria: tuple[ColumnElement[bool], ...]
    limit: int | None

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the mapped columns, the primary key first."""
        keys = [self.mapper.get_property_by_column(column).key for column in self.primary_key]
        rest = [one.key for one in self.mapper.column_attrs if one.key not in keys]
        return (*keys, *rest)

    @property
    def primary_key(self) -> tuple[Any, ...]:
        """Return the columns of the primary key."""
        return tuple(self.mapper.primary_key)

    @property
    def has_text(self) -> bool:
        """Whether the class says how one record is written: it has a `__str__` of its own."""
        return any("__str__" in vars(kind) for kind in self._own_classes())

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Return the values of `columns` of each record."""
        attributes = [self.mapper.attrs[key].class_attribute for key in self.columns]
        statement = self._complete(select(*attributes))
        with (
            self.project.connect() as connection,
            closing(connection.execution_options(yield_per=BATCH).execute(statement)) as rows,
        ):
            yield from rows

    def objects(self, *, on_lazy_load: Callable[[str], None] | None = None) -> Iterator[Any]:
        """Return each record as an object, with what its `__str__` needs loaded eagerly.

        `on_lazy_load` is called with the name of a relationship that is loaded one by one all
        the same, because the first record did not show it.
        """
        statement = self._complete(select(self.mapper.class_))
        with self.project.session() as session:
            first = session.scalars(statement.limit(1).options(*load_eagerly([]))).first()
            if first is None:
                return
            str(first)
            statement = statement.options(*load_eagerly(paths_of(first)))
            session.expunge_all()
            if on_lazy_load is not None:
                report_lazy_loads(session, on_lazy_load)
            with closing(self._stream(session, statement)) as records:
                yield from records

    def texts(self, *, on_lazy_load: Callable[[str], None] | None = None) -> Iterator[str]:
        """Return each record as its class writes it."""
        with self._blaming_class():
            for record in self.objects(on_lazy_load=on_lazy_load):
                yield str(record)

    def _complete(self, statement: Select[Any]) -> Select[Any]:
        statement = statement.where(*self.criteria).order_by(*self.primary_key)
        return statement if self.limit is None else statement.limit(self.limit)

    def _stream(self, session: Session, statement: Select[Any]) -> ScalarResult[Any]:
        # Not the execution option yield_per: SQLAlchemy 2.0 hands it on to the eager loads, which
        # then refuse to be made unique.
        options = {"stream_results": self.project.backend.streams_beside, "max_row_buffer": BATCH}
        return session.scalars(statement, execution_options=options).yield_per(BATCH)

    @contextmanager
    def _blaming_class(self) -> Iterator[None]:
        try:
            yield
        except (DbtasksError, OSError):
            raise
        except Exception as error:
            raise project_raised(f"{self.mapper.class_.__name__}.__str__", error) from error

    def _own_classes(self) -> list[type]:
        """Return the class and its bases, without those of libraries that map for it."""
        libraries = ("builtins", "sqlalchemy", "pydantic", "sqlmodel")
        return [
            kind
            for kind in self.mapper.class_.__mro__
            if kind.__module__.partition(".")[0] not in libraries
        ]


def query(
    project: Project,
    model: str | None = None,
    *,
    name: str | None = None,
    where: Sequence[str] = (),
    limit: int | None = None,
) -> Query:
    """Return the records of a class that meet all conditions.

    `model` is the project's default model when none is named; `name` is the beginning of its
    name; each of `where` is `FIELD=VALUE`. Raises UsageError before anything is sent.
    """
    mapper = project.find_mapper(model)
    criteria = conditions(mapper, project.backend, where, name)
    return Query(project, mapper, tuple(criteria), limit)
