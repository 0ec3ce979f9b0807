"""The types of columns as code that works in a revision.

Alembic writes the `repr` of a type, which need not be a call that makes it again: constructors of
the project's own take classes and functions, and a class may be made in a function or be nested
in another. A revision needs no more of a type than its DDL, so that its implementation will do.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _repr_type
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeDecorator, TypeEngine

from dbtasks.engines.base.types import Named

Type = TypeEngine[Any]


class TypeCode:
    """Write types as code, and remember those of which only the implementation can be written."""

    def __init__(self, dialect: Dialect, names: Mapping[str, Any], notes: set[str]) -> None:
        self.dialect, self.names, self.notes = dialect, names, notes
        self.being_written: list[Type] = []

    def render(self, item: Type, rendering: AutogenContext) -> str | bool:
        """Return the code that makes a type with the same DDL.

        False leaves it to Alembic: what is being written already, or has no DDL at all.
        """
        if any(item is known for known in self.being_written):
            return False
        try:
            wanted = self._ddl(item)
        except SQLAlchemyError:
            return False
        imports = rendering.imports
        for candidate in self._candidates(item):
            rendering.imports = {*imports}
            code = self._written(candidate, rendering)
            if code is not None and self._makes(code, rendering.imports) == wanted:
                imports |= rendering.imports
                rendering.imports = imports
                if candidate is not item:
                    self._note(item, code)
                return code
        rendering.imports = imports
        code = _by_name(wanted[0])
        if not isinstance(item, Named):
            self._note(item, code)
        return code

    def _written(self, candidate: Type, rendering: AutogenContext) -> str | None:
        """Return Alembic's code of a type; None where it has none."""
        module = type(candidate).__module__
        own = not module.startswith("sqlalchemy.")
        if own and rendering.opts["user_module_prefix"] is None:
            rendering.imports.add(f"import {module}")
        self.being_written.append(candidate)
        try:
            return _repr_type(candidate, rendering)
        except Exception:  # the repr is the project's code, and may raise anything
            return None
        finally:
            self.being_written.pop()

    def _makes(self, code: str, imports: Iterable[str]) -> tuple[str, bool] | None:
        """Return the DDL of the type that some code makes; None where it makes none."""
        names = {**self.names}
        try:
            for line in imports:
                exec(line, names)
            return self._ddl(eval(code, names))
        except Exception:  # the constructor is the project's code, and may raise anything
            return None

    def _ddl(self, item: Type) -> tuple[str, bool]:
        """Return what a database gets of a type: its name, and whether a CHECK comes with it."""
        return item.compile(dialect=self.dialect), getattr(item, "create_constraint", False)

    def _candidates(self, item: Type) -> Iterator[Type]:
        """Yield a type, and those that may make the same column, the most general first."""
        yield item
        if isinstance(item, TypeDecorator):
            inner = (item.impl_instance, item.load_dialect_impl(self.dialect))
            for implementation in inner:
                for candidate in self._candidates(implementation):
                    yield _with_variants(candidate, item)
            return
        for known in type(item).__mro__[1:]:
            if known.__module__.startswith("sqlalchemy.") and known is not TypeEngine:
                with suppress(TypeError):  # it has no such constructor
                    yield _with_variants(item.adapt(known), item)
                return

    def _note(self, item: Type, code: str) -> None:
        kind = type(item)
        self.notes.add(
            f"the type {kind.__module__}.{kind.__qualname__} cannot be written as code: "
            f"the revision has {code}, which makes the same column"
        )


def _with_variants(candidate: Type, item: Type) -> Type:
    """Return a type with the variants of another; SQLAlchemy has no public way to copy them."""
    if not item._variant_mapping:
        return candidate
    varied = copy(candidate)
    varied._variant_mapping = item._variant_mapping
    return varied


def _by_name(name: str) -> str:
    """Return the code of a type that has nothing but a name."""
    spec = f"lambda *_, **__: {name!r}"
    return f'type("Named", (sa.types.UserDefinedType,), {{"get_col_spec": {spec}}})()'
