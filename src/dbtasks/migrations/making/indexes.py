"""Indexes of a part of the rows, and on expressions, where Alembic does not compare these."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Index, MetaData, Table, TextClause, UniqueConstraint, text
from sqlalchemy.schema import CreateIndex

from dbtasks.migrations.making.reflection import (
    Place,
    Reflection,
    alike,
    escape,
    sql_of,
    table_op,
)

Operations = list[ops.MigrateOperation]


def add(
    context: MigrationContext,
    reflection: Reflection,
    tables: Iterable[Table],
    operations: Operations,
) -> Operations:
    """Return the operations with those on indexes whose WHERE, or whose expression, changed."""
    _escape_reflected(operations)
    for table in tables:
        place = reflection.place(table)
        known = {str(one.name): one for one in table.indexes}
        if place in reflection.tables:
            _add_hidden(context, reflection, place, known, operations)
            _add_partial(context, reflection, place, known, operations)
            _add_parts(context, reflection, place, known, operations)
            _drop_unnamed(reflection, place, table, operations)
            if reflection.backend.keys_need_indexes:
                _drop_of_keys(context, reflection, place, known, operations)
        if reflection.backend.hides_indexes:
            _add_new(reflection, place, known, operations)
    _turn_dropped(context, reflection, operations)
    return [part for one in operations for part in _with_hidden(reflection, one)]


def _escape_reflected(operations: Operations) -> None:
    """Let dropped indexes have their SQL back: reflection takes a colon in it for a parameter."""
    for one, back in _dropped(operations):
        back.columns = [*map(_escaped, back.columns)]
        back.kw = _with_escaped_where(back.kw)
        one.kw = _with_escaped_where(one.kw)


def _dropped(operations: Operations) -> Iterator[tuple[ops.DropIndexOp, ops.CreateIndexOp]]:
    """Yield what drops an index, and what makes it on the way back."""
    for one in operations:
        for each in one.ops if isinstance(one, ops.ModifyTableOps) else [one]:
            if isinstance(each, ops.DropIndexOp) and each._reverse is not None:
                yield each, each._reverse


def _with_escaped_where(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords of an index; PostgreSQL's WHERE is reflected as a string."""
    return {
        name: escape(value)
        if isinstance(value, str) and name.endswith("_where")
        else _escaped(value)
        for name, value in keywords.items()
    }


def _escaped(element: Any) -> Any:
    bound = isinstance(element, TextClause) and element._bindparams
    return text(escape(element.text)) if bound else element


def _turn_dropped(
    context: MigrationContext, reflection: Reflection, operations: Operations
) -> None:
    """Let dropped indexes have their order back, of which reflection does not tell."""
    for one, back in _dropped(operations):
        place, name = (one.schema, str(one.table_name)), str(one.index_name)
        parts = reflection.index_parts(place).get(name)
        if parts is not None and name in reflection.index_statements(place):
            turned = _in_parts(context, _reflected(context, place, name), parts)
            back.columns = turned.columns
            back.kw.pop(f"{context.dialect.name}_length", None)


def _with_hidden(reflection: Reflection, operation: ops.MigrateOperation) -> Operations:
    """Return what drops a table, after what drops the indexes that only we know of."""
    if not isinstance(operation, ops.DropTableOp):
        return [operation]
    place = (operation.schema, operation.table_name)
    hidden = reflection.hidden_indexes(place)
    drops: Operations = [_drop_hidden(place, name, sql) for name, sql in hidden.items()]
    return [*([ops.ModifyTableOps(place[1], drops, schema=place[0])] if drops else []), operation]


def _add_hidden(
    context: MigrationContext,
    reflection: Reflection,
    place: Place,
    known: dict[str, Index],
    operations: Operations,
) -> None:
    """Add what concerns the indexes that are not reflected: compared by their statements."""
    hidden = reflection.hidden_indexes(place)
    for name, statement in hidden.items():
        if name not in known:
            table_op(operations, place).ops.insert(0, _drop_hidden(place, name, statement))
        elif not alike(statement, _statement(context, known[name])):
            found = table_op(operations, place)
            found.ops = [one for one in found.ops if not _concerns(one, name)]
            found.ops.insert(0, _drop_hidden(place, name, statement))
            found.ops.append(ops.CreateIndexOp.from_index(known[name]))
        else:
            found = table_op(operations, place)
            found.ops = [one for one in found.ops if not _concerns(one, name)]


def _add_new(
    reflection: Reflection, place: Place, known: dict[str, Index], operations: Operations
) -> None:
    """Add those that Alembic takes no notice of, also of a table that is new."""
    there = reflection.indexes(place) if place in reflection.tables else {}
    for name, one in known.items():
        if name not in there:
            found = table_op(operations, place)
            if not any(_concerns(each, name) for each in found.ops):
                found.ops.append(ops.CreateIndexOp.from_index(one))


def _add_partial(
    context: MigrationContext,
    reflection: Reflection,
    place: Place,
    known: dict[str, Index],
    operations: Operations,
) -> None:
    """Add what makes an index anew whose WHERE has changed."""
    option = f"{context.dialect.name}_where"
    for name, old in reflection.indexes(place).items():
        if name not in known or isinstance(old, str):
            continue
        before = old.get("dialect_options", {}).get(option)
        after = known[name].dialect_kwargs.get(option)
        if not alike(_sql(context, before), _sql(context, after)):
            found = table_op(operations, place)
            if not any(_concerns(one, name) for one in found.ops):
                reflected = _reflected(context, place, name)
                found.ops += [
                    ops.DropIndexOp.from_index(reflected),
                    ops.CreateIndexOp.from_index(known[name]),
                ]


def _add_parts(
    context: MigrationContext,
    reflection: Reflection,
    place: Place,
    known: dict[str, Index],
    operations: Operations,
) -> None:
    """Add what makes an index anew whose order, or whose length of a column, has changed."""
    for name, parts in reflection.index_parts(place).items():
        if name not in known:
            continue
        wanted = _parts(_statement(context, known[name]))[1]
        if not alike(",".join(parts), wanted):
            found = table_op(operations, place)
            found.ops = [one for one in found.ops if not _concerns(one, name)]
            back = _in_parts(context, _reflected(context, place, name), parts)
            found.ops += [
                ops.DropIndexOp(name, place[1], schema=place[0], _reverse=back),
                ops.CreateIndexOp.from_index(known[name]),
            ]


def _in_parts(context: MigrationContext, index: Index, parts: Sequence[str]) -> ops.CreateIndexOp:
    """Return what makes an index on columns as they stand in SQL."""
    made = ops.CreateIndexOp.from_index(index)
    quote = context.dialect.identifier_preparer.quote
    made.kw.pop(f"{context.dialect.name}_length", None)
    made.columns = [
        one.name if part == quote(one.name) else text(escape(part))
        for one, part in zip(index.columns, parts, strict=True)
    ]
    return made


def _drop_unnamed(
    reflection: Reflection, place: Place, table: Table, operations: Operations
) -> None:
    """Drop what is unique without a name and the models have not; Alembic drops by name only."""
    unique = (one for one in table.constraints if isinstance(one, UniqueConstraint))
    wanted = {frozenset(each.name for each in one.columns) for one in unique}
    for columns in reflection.unnamed_uniques(place):
        if frozenset(columns) not in wanted:
            back = ops.CreateUniqueConstraintOp(None, place[1], columns, schema=place[0])
            drop = ops.DropConstraintOp(
                None, place[1], type_="unique", schema=place[0], _reverse=back
            )
            table_op(operations, place).ops.insert(0, drop)


def _drop_of_keys(
    context: MigrationContext,
    reflection: Reflection,
    place: Place,
    known: dict[str, Index],
    operations: Operations,
) -> None:
    """Drop the indexes that the server has made for foreign keys, by their names, with these."""
    found = table_op(operations, place)
    dropped = (one for one in found.ops if isinstance(one, ops.DropConstraintOp))
    gone = {str(one.constraint_name) for one in dropped if one.constraint_type == "foreignkey"}
    made = (one for one in found.ops if isinstance(one, ops.CreateForeignKeyOp))
    kept = {*known, *(str(one.constraint_name) for one in made)}
    for name in sorted(gone & {*reflection.indexes(place)} - kept):
        if not any(_concerns(one, name) for one in found.ops):
            found.ops.append(ops.DropIndexOp.from_index(_reflected(context, place, name)))


def _reflected(context: MigrationContext, place: Place, name: str) -> Index:
    """Return an index of the database as Alembic would."""
    assert context.connection is not None
    table = Table(place[1], MetaData(), schema=place[0], autoload_with=context.connection)
    return next(one for one in table.indexes if one.name == name)


def _drop_hidden(place: Place, name: str, statement: str) -> ops.DropIndexOp:
    """Return what drops an index of which only the statement is known."""
    unique, expressions, where = _parts(statement)
    back = ops.CreateIndexOp(
        name,
        place[1],
        [text(escape(expressions))],
        schema=place[0],
        unique=unique,
    )
    if where:
        back.kw["sqlite_where"] = text(escape(where))
    return ops.DropIndexOp(name, place[1], schema=place[0], _reverse=back)


def _parts(statement: str) -> tuple[bool, str, str]:
    """Return whether an index is unique, its expressions and its WHERE."""
    begin = statement.index("(")
    depth, end = 0, begin
    for place, sign in enumerate(statement[begin:], begin):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            end = place
            break
    rest = statement[end + 1 :].strip()
    where = rest[len("WHERE") :].strip() if rest.upper().startswith("WHERE") else ""
    unique = statement[:begin].upper().startswith("CREATE UNIQUE")
    return unique, statement[begin + 1 : end].strip(), where


def _statement(context: MigrationContext, index: Index) -> str:
    return str(CreateIndex(index).compile(dialect=context.dialect))


def _concerns(operation: ops.MigrateOperation, name: str) -> bool:
    return (
        isinstance(operation, ops.CreateIndexOp | ops.DropIndexOp)
        and str(operation.index_name) == name
    )


def _sql(context: MigrationContext, element: object) -> str | None:
    return None if element is None else sql_of(context, element)  # type: ignore[arg-type]
