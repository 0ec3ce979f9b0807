"""The fingerprint of the models, in the newest revision: whether they have changed since.

It is a line of its own, `# models: 5c1f0a93b7e2d846`, and whoever has none is told nothing. It
stands for names, types and attributes, whatever the engine is and the version of SQLAlchemy.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    Constraint,
    DefaultClause,
    ForeignKeyConstraint,
    Identity,
    Index,
    MetaData,
    Table,
)
from sqlalchemy import (
    Sequence as Counter,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import ColumnCollectionConstraint
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from dbtasks.migrations.history.reader import RevisionFile, files_of, find_heads
from dbtasks.project import Project
from dbtasks.settings import Settings

DIGITS = 16
LINE = re.compile(r"^# models: [0-9a-f]+[ \t]*\r?$", re.MULTILINE)

OF_TYPES = (
    *("length", "precision", "scale", "timezone", "collation", "charset", "unsigned", "dimensions"),
    *("fsp", "second_precision", "day_precision", "fields", "name", "schema", "enums"),
)
OF_KEYS = ("ondelete", "onupdate", "deferrable", "initially", "match")
OF_COUNTERS = (
    *("start", "increment", "minvalue", "maxvalue", "nominvalue", "nomaxvalue", "cycle"),
    *("cache", "order", "always"),
)


def changed_since(
    project: Project, revisions: Sequence[RevisionFile] | None = None, *, edited: bool = False
) -> str | None:
    """Return the newest revision if the models were others when it was written, or None.

    None too where no revision says what the models were, where two of them are to be joined and
    neither knows the other's models, or only Alembic can read the files.
    With `edited` the models are imported only if one of their files is younger than the revision.
    `revisions` are the project's, if they have been read already. The database is not asked.
    Raises DbtasksError for models that cannot be imported.
    """
    if revisions is None:
        revisions = files_of(project.settings)
    heads = find_heads(revisions) if revisions else None
    if not heads or not project.settings.metadata:
        return None
    labelled = any(one.labels for one in revisions or ())
    if len(heads) not in (1, project.settings.heads) and not labelled:
        return None
    lines = {one.id: _read(one.path) for one in revisions or () if one.id in heads}
    noted = {one for one in lines if lines[one]}
    paths = [one.path for one in revisions or () if one.id in noted]
    if not noted or (edited and not _is_edited(project.settings, paths)):
        return None
    return None if line_of(project.metadata) in lines.values() else max(noted)


def _is_edited(settings: Settings, revisions: Iterable[str]) -> bool:
    """Whether a module of the packages that have the models is younger than all these files."""
    newest = max(os.stat(one).st_mtime_ns for one in revisions)
    packages = {one.partition(":")[0].partition(".")[0] for one in settings.metadata}
    places = [folder / one for folder in (settings.root, settings.root / "src") for one in packages]
    modules = [one.with_suffix(".py") for one in places if one.with_suffix(".py").is_file()]
    modules += [path for one in places for path in one.rglob("*.py")]
    return any(one.stat().st_mtime_ns > newest for one in modules)


def line_of(metadata: Iterable[MetaData]) -> str:
    """Return the line that a revision has."""
    return f"# models: {digest(metadata)}"


def found_in(text: str) -> str:
    """Return the line that the text of a revision has, or the empty text."""
    found = LINE.search(text)
    return found[0].strip() if found else ""


def digest(metadata: Iterable[MetaData]) -> str:
    """Return the fingerprint of tables: the same for models that make the same."""
    told = sha256()
    tables = [one for each in metadata for one in each.tables.values()]
    for table in sorted(tables, key=lambda one: one.fullname):
        told.update("\n".join(_table(table)).encode())
    return told.hexdigest()[:DIGITS]


def _read(path: str) -> str:
    return found_in(Path(path).read_text(encoding="utf-8", errors="replace"))


# -- what a table is, in words ------------------------------------------------------------------


def _table(table: Table) -> Iterator[str]:
    yield f"table {table.fullname} {_text(table.comment)} {_options(table)}"
    yield from sorted(map(_column, table.columns))
    yield from sorted(filter(None, map(_constraint, table.constraints)))
    yield from sorted(map(_index, table.indexes))


def _column(column: Column[Any]) -> str:
    default = column.server_default
    words: Sequence[object] = ()
    if isinstance(default, DefaultClause):
        words = ("default", _sql(default.arg))
    elif isinstance(default, Computed):
        words = ("computed", _sql(default.sqltext), default.persisted)
    elif isinstance(default, Identity):
        words = ("identity", *_attributes(default, OF_COUNTERS))
    counter = column.default
    if isinstance(counter, Counter):
        words = (*words, "sequence", counter.name, *_attributes(counter, OF_COUNTERS))
    kept = f"{_type(column.type)} {column.nullable} {column.autoincrement} {_text(column.comment)}"
    return f"column {column.name} {kept} {words} {_options(column)}"


def _type(type_: TypeEngine[Any]) -> str:
    name = type(type_).__name__
    if isinstance(type_, TypeDecorator):
        return f"{name}({_type(type_.impl_instance)})"
    words = [name, *_attributes(type_, OF_TYPES)]
    if isinstance(type_, UserDefinedType) and hasattr(type_, "get_col_spec"):
        words.append(str(type_.get_col_spec()))
    if isinstance(item := getattr(type_, "item_type", None), TypeEngine):
        words.append(_type(item))
    for dialect, variant in sorted(type_._variant_mapping.items()):
        words.append(f"{dialect} {_type(variant)}")
    return " ".join(words)


def _constraint(constraint: Constraint) -> str | None:
    words: list[object] = [_name(constraint), *_attributes(constraint, OF_KEYS)]
    if isinstance(constraint, CheckConstraint):
        if getattr(constraint, "_type_bound", False):  # of an Enum or a Boolean
            return None
        words.append(_sql(constraint.sqltext))
    elif isinstance(constraint, ColumnCollectionConstraint):
        words += constraint.columns.keys()
    if isinstance(constraint, ForeignKeyConstraint):
        words += [one.target_fullname for one in constraint.elements]
    return f"{type(constraint).__name__} {words} {_options(constraint)}"


def _index(index: Index) -> str:
    return (
        f"index {_name(index)} {index.unique} {[*map(_sql, index.expressions)]} {_options(index)}"
    )


def _attributes(item: object, names: Iterable[str]) -> Iterator[str]:
    """Yield the attributes that are set; a version that has more of them changes nothing."""
    for name in names:
        value = getattr(item, name, None)
        if value is not None and value is not False:
            yield f"{name}={value}"


def _options(item: Any) -> str:
    """Return what is said for one engine alone, as postgresql_using."""
    given = item.dialect_kwargs
    return " ".join(f"{name}={_sql(given[name])}" for name in sorted(given)) if given else ""


def _name(item: Constraint | Index) -> str:
    return str(item.name) if isinstance(item.name, str) else ""


def _text(comment: str | None) -> str:
    return "" if comment is None else repr(comment)


def _sql(given: Any) -> str:
    """Return an expression as SQL of no engine's own."""
    if isinstance(given, TextClause):
        return given.text
    if isinstance(given, Column):
        return given.name
    if not hasattr(given, "compile"):
        return repr(given)
    try:
        return str(given.compile(compile_kwargs={"literal_binds": True}))
    except (SQLAlchemyError, NotImplementedError):  # of one engine alone
        return type(given).__name__
