"""The Python of operations, as it stands in a revision, and what runs it."""

import ast
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _render_column, _repr_type, render_op
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    DefaultClause,
    FetchedValue,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import DOMAIN, ENUM
from sqlalchemy.sql.elements import conv
from sqlalchemy.types import ARRAY, TypeEngine

from dbtasks.engines.postgresql.types import named_of
from dbtasks.engines.sql.expressions import canonical, is_constant, is_list
from dbtasks.engines.sql.quoting import escape
from dbtasks.migrations.autogenerate import alterations
from dbtasks.migrations.autogenerate.code import Needs, execute, laid_out, names_of
from dbtasks.migrations.autogenerate.column_types import TypeCode
from dbtasks.migrations.autogenerate.comparing import Operation, single
from dbtasks.migrations.autogenerate.expressions import as_meant, checks_of, final_name
from dbtasks.migrations.autogenerate.foreign_keys import around_drops, around_types
from dbtasks.migrations.autogenerate.reflection import Place, Reflection, backend_of, sql_of
from dbtasks.migrations.history.source_edit import Code
from dbtasks.schema.models import has_check
from dbtasks.schema.operations import AddCheck, DropCheck, SetTableOptions

PLAIN = (ops.CreateIndexOp, ops.DropIndexOp, ops.CreateTableCommentOp, ops.DropTableCommentOp)
"""What changes a table without making it anew, also where ALTER can do little else."""

CONVENTION = {
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
}
"""How constraints without a name are called while their table is made anew."""

"""A default that a column can be added with, where it has to be the same for all rows."""

NOWHERE = ".ddl_if(dialect='none')"
"""Behind a check that the new table does not have."""

PRIMARY_KEY = {"pk": "pk_%(table_name)s_%(column_0_N_name)s"}
"""How the primary key is, where it is another."""

KINDS: Mapping[type[Constraint], str] = {
    ForeignKeyConstraint: "fk",
    UniqueConstraint: "uq",
    PrimaryKeyConstraint: "pk",
    CheckConstraint: "ck",
}


def render(context: MigrationContext, operations: Sequence[Operation], *, batch: bool) -> Code:
    """Return the code of operations; with `batch` tables are made anew where they have to be."""
    return together([*_each(context, operations, batch=batch)])


def together(codes: Sequence[Code]) -> Code:
    """Return codes as that of one function."""
    imports, notes = (
        frozenset().union(*(getattr(code, name) for code in codes)) for name in ("imports", "notes")
    )
    return Code("\n    ".join(one.text for one in codes if one.text), imports, notes)


def run(context: MigrationContext, operations: Sequence[Operation], *, batch: bool) -> Code:
    """Run operations by their code, each by what the database has when its turn comes.

    Returns the code.
    """
    codes = []
    for code in _each(context, operations, batch=batch):
        execute(context, code)
        codes.append(code)
    return together(codes)


def _each(
    context: MigrationContext, operations: Sequence[Operation], *, batch: bool
) -> Iterator[Code]:
    """Yield the code of each operation."""
    made = {one.index_name for one in single(operations) if isinstance(one, ops.CreateIndexOp)}
    tables = [*_with_their_tables(operations)]
    if not batch:  # what follows knows foreign keys by their names
        for one in tables:
            name_constraints(context, one)
    rest = [*around_types(context, tables)]
    for one in around_drops(context, rest):
        needs = Needs()
        if batch and isinstance(one, ops.ModifyTableOps) and not is_plain(context, one):
            lines = _render_anew(context, one, needs, made)
        else:
            lines = _render_plain(context, [*single([one])], needs)
        text = laid_out("\n".join(lines))
        yield Code(text, frozenset(needs.imports), frozenset(needs.notes))


def _render_plain(
    context: MigrationContext, operations: Sequence[Operation], needs: Needs
) -> list[str]:
    rendering = _rendering(context, needs, batch=False)
    return [line for one in operations for line in _lines(rendering, one)]


def _lines(rendering: AutogenContext, operation: Operation) -> list[str]:
    """Return the code of an operation on one thing."""
    context = rendering.migration_context
    lines = alterations.with_check(context, operation) or alterations.render(rendering, operation)
    if isinstance(operation, ops.CreateIndexOp | ops.DropIndexOp):
        return [as_meant(context, one) for one in lines]
    return lines


def _with_their_tables(operations: Sequence[Operation]) -> Iterator[Operation]:
    """Yield the operations without the indexes that go with a table that is dropped.

    On MySQL one that a foreign key needs could not be dropped before.
    """
    gone = {(one.schema, one.table_name) for one in operations if isinstance(one, ops.DropTableOp)}
    for one in operations:
        if isinstance(one, ops.DropIndexOp) and (one.schema, one.table_name) in gone:
            continue
        if isinstance(one, ops.ModifyTableOps) and (one.schema, one.table_name) in gone:
            rest = [each for each in one.ops if not isinstance(each, ops.DropIndexOp)]
            one = ops.ModifyTableOps(one.table_name, rest, schema=one.schema)
        yield one


def _render_anew(
    context: MigrationContext,
    operation: ops.ModifyTableOps,
    needs: Needs,
    made: Collection[str | None],
) -> list[str]:
    """Return what makes a table anew, with all that it has, also what Alembic does not know of.

    Indexes are dropped before and made after it: Alembic does not know of those on expressions,
    nor of their order.
    `made` are those that have their own operation, now or later.
    """
    operation, drops, creates = _without_indexes(operation)
    reflection = Reflection(context)
    place = (operation.schema, operation.table_name)
    checks = [
        f"sa.CheckConstraint({escape(one)!r}){when}" for one, when in _checks(reflection, operation)
    ]
    operation = _only(operation, lambda part: not _is_unnamed_check(part))
    options = [part.options for part in operation.ops if isinstance(part, SetTableOptions)]
    operation = _only(operation, lambda part: not isinstance(part, SetTableOptions))
    unnamed = name_constraints(context, operation)
    head, *body = render_op(_rendering(context, needs, batch=True), operation) or [
        f"with op.batch_alter_table({operation.table_name!r}, recreate='always') as batch_op:",
        "pass",
    ]
    keywords = {}
    if checks:
        keywords["table_args"] = f"[{', '.join(checks)}]"
    if unnamed:
        primary = any(getattr(one, "constraint_type", "") == "primary" for one in operation.ops)
        keywords["naming_convention"] = repr(CONVENTION | (PRIMARY_KEY if primary else {}))
    if options:
        keywords |= {} if "recreate" in head else {"recreate": "'always'"}
        pairs = (pair for stated in options for pair in stated.items())
        keywords["table_kwargs"] = repr(dict(pairs))
    given = "".join(f", {name}={value}" for name, value in keywords.items())
    head = head.replace(", schema=None", "").replace(") as batch_op:", f"{given}) as batch_op:")
    own = {*made, *(getattr(one, "index_name", None) for one in drops)}
    off, on = _indexes_beside(reflection, place, own)
    beside = reflection.backend.dependents(reflection.connection, operation.table_name)
    return [
        *_render_plain(context, drops, needs),
        *(f"op.execute({escape(one.drop)!r})" for one in reversed(beside)),
        *(f"op.execute({escape(one)!r})" for one in off),
        head,  # what follows is within it, and Alembic leaves that to its printer
        *(f"    {line}" for line in body if line),
        *(f"op.execute({escape(one)!r})" for one in on),
        *(f"op.execute({escape(one.create)!r})" for one in beside),
        *_render_plain(context, creates, needs),
    ]


def _indexes_beside(
    reflection: Reflection, place: Place, own: Collection[str | None]
) -> tuple[Sequence[str], Sequence[str]]:
    """Return what drops, and what makes, the indexes that Alembic would lose or change."""
    quote = reflection.dialect.identifier_preparer.quote
    stay = {
        name: sql for name, sql in reflection.index_statements(place).items() if name not in own
    }
    return [f"DROP INDEX {quote(one)}" for one in stay], [*stay.values()]


def _without_indexes(
    operation: ops.ModifyTableOps,
) -> tuple[ops.ModifyTableOps, list[Operation], list[Operation]]:
    """Return an operation on a table, the indexes that it drops, and those that it makes."""
    drops: list[Operation] = [one for one in operation.ops if isinstance(one, ops.DropIndexOp)]
    creates: list[Operation] = [one for one in operation.ops if isinstance(one, ops.CreateIndexOp)]
    return _only(operation, lambda part: part not in (*drops, *creates)), drops, creates


def _only(operation: ops.ModifyTableOps, wanted: Callable[[Operation], bool]) -> ops.ModifyTableOps:
    parts = [part for part in operation.ops if wanted(part)]
    return ops.ModifyTableOps(operation.table_name, parts, schema=operation.schema)


def _is_unnamed_check(operation: Operation) -> TypeGuard[AddCheck | DropCheck]:
    """Whether a check without a name comes or goes: the new table is told which it has."""
    return isinstance(operation, AddCheck | DropCheck) and operation.constraint_name is None


def _checks(reflection: Reflection, operation: ops.ModifyTableOps) -> Sequence[tuple[str, str]]:
    """Return the unnamed checks of a table that is made anew, which Alembic leaves out.

    Those of a column come and go with it, those of a type with that. Where none stays, one that
    goes is named for no database: Alembic warns of what is not named.
    """
    made = [str(one.column.name) for one in operation.ops if isinstance(one, ops.AddColumnOp)]
    gone = [one for one in operation.ops if isinstance(one, ops.DropColumnOp)]
    lexer = reflection.backend.syntax.lexer
    own = [part for part in operation.ops if _is_unnamed_check(part)]
    lost, added = (
        {canonical(lexer, sql): sql for part in own if isinstance(part, kind) for sql in [part.sql]}
        for kind in (DropCheck, AddCheck)
    )
    reflected = reflection.unnamed_checks((operation.schema, operation.table_name))
    kept = {canonical(lexer, sql): sql for sql in reflected}
    there = [sql for known, sql in (kept | added).items() if known not in lost]
    dropped = [one.column_name for one in gone]
    typed = [
        one.column_name
        for one in operation.ops
        if isinstance(one, ops.AlterColumnOp) and one.modify_type is not None
    ]
    lists = [one for one in there if is_list(lexer, one)]
    with_type = [one for one in lists if any(reflection.mentions(one, name) for name in typed)]
    both = (*made, *dropped)
    stay = [
        one
        for one in there
        if one not in with_type and not any(reflection.mentions(one, name) for name in both)
    ]
    if stay:
        return [(one, "") for one in stay]
    if lost:
        return [(sql, NOWHERE) for sql in lost.values()]
    go = [one for one in there if any(reflection.mentions(one, name) for name in dropped)]
    go += with_type
    go += [
        sql_of(reflection.context, each.sqltext)
        for one in gone
        for each in checks_of(reflection.context, one.to_column())
    ]
    return [(one, NOWHERE) for one in go[:1]]


def _rendering(context: MigrationContext, needs: Needs, *, batch: bool) -> AutogenContext:
    """Return what Alembic renders by; types of the project's own are imported."""
    theirs = context.opts.get("render_item")
    types = TypeCode(context.dialect, names_of(context), needs.notes)

    def render_item(kind: str, item: Any, rendering: AutogenContext) -> Any:
        found = theirs(kind, item, rendering) if theirs else False
        if found is False and kind == "type":
            named = named_of(item, context.dialect)
            if named is not None and not isinstance(item.dialect_impl(context.dialect), ARRAY):
                rendering.imports.add("from sqlalchemy.dialects import postgresql")
                return _render_named(named, rendering)
            return types.render(item, rendering)
        if found is False and kind == "check":
            return _render_check(context, item)
        if found is False and type(item) is FetchedValue:  # Alembic 1.13 renders no module
            return "sa.FetchedValue()"
        if found is False and kind == "column":
            found = _render_checked(context, item, rendering)
        return found

    _know_postgresql(context)
    opts = {**context.opts, "render_as_batch": batch, "render_item": render_item}
    rendering = AutogenContext(context, opts=opts)
    rendering.imports = needs.imports
    return rendering


def render_type(context: MigrationContext, type_: TypeEngine[Any], needs: Needs) -> str:
    """Return the code of a type."""
    return _repr_type(type_, _rendering(context, needs, batch=False))


def _know_postgresql(context: MigrationContext) -> None:
    """Let Alembic render types of PostgreSQL everywhere: they may be variants of another type.

    Only its PostgreSQL knows that the Text() in JSONB(astext_type=Text()) is sa.Text().
    """
    if not isinstance(context.impl, PostgresqlImpl):
        theirs = PostgresqlImpl.__new__(PostgresqlImpl)  # it renders without a connection
        context.impl.render_type = theirs.render_type  # type: ignore[assignment]  # for this one


def _render_check(context: MigrationContext, check: CheckConstraint) -> Any:
    """Return a check with its text as it is meant; False for one that its type brings.

    Alembic takes a colon for a parameter, and doubles each % where the driver has it for one.
    """
    if check._type_bound or check.dialect_kwargs:
        return False
    name = final_name(context, check)
    named = f", name=op.f({name!r})" if isinstance(check.name, conv) else f", name={name!r}"
    condition = escape(sql_of(context, check.sqltext))
    return f"sa.CheckConstraint({condition!r}{named if name else ''})"


def _render_checked(context: MigrationContext, column: Column[Any], rendering: Any) -> Any:
    """Return a column with the checks that stand within it; False for one without."""
    checks = checks_of(context, column)
    if not checks:
        return False
    plain = column._copy()
    plain.constraints = plain.constraints - {*checks_of(context, plain)}
    call: Any = ast.parse(_render_column(plain, rendering), mode="eval").body
    for one in checks:
        call.args.append(ast.parse(_render_check(context, one), mode="eval").body)
    return ast.unparse(call)


def _render_named(named: ENUM | DOMAIN, rendering: AutogenContext) -> str:
    """Return an enum or a domain that is made by a statement of its own, before what uses it."""
    schema = f", schema={named.schema!r}" if named.schema else ""
    if isinstance(named, DOMAIN):
        kind = _repr_type(named.data_type, rendering)
        return f"postgresql.DOMAIN({named.name!r}, {kind}{schema}, create_type=False)"
    values = "".join(f"{one!r}, " for one in named.enums)
    return f"postgresql.ENUM({values}name={named.name!r}{schema}, create_type=False)"


def is_plain(context: MigrationContext, operation: ops.ModifyTableOps) -> bool:
    """Whether a table can be changed without being made anew."""
    return all(isinstance(one, PLAIN) or _is_plain_column(context, one) for one in operation.ops)


def name_constraints(context: MigrationContext, operation: Operation) -> bool:
    """Name the constraints that are made or dropped; return whether some had no name there."""
    found = False
    for one in operation.ops if isinstance(operation, ops.ModifyTableOps) else ():
        if isinstance(one, (ops.AddConstraintOp, ops.DropConstraintOp)):
            if getattr(one, "constraint_name", "") is None:
                one.constraint_name = _name_of(context, one)  # type: ignore[union-attr]
            back = getattr(one, "_reverse", None)
            found |= back is not None and back.constraint_name is None
    return found


def _name_of(
    context: MigrationContext, operation: ops.AddConstraintOp | ops.DropConstraintOp
) -> str:
    constraint = operation.to_constraint()
    columns = "_".join(one.name for one in getattr(constraint, "columns", ()))
    kind = next(short for known, short in KINDS.items() if isinstance(constraint, known))
    referred = ""
    if isinstance(constraint, ForeignKeyConstraint):
        referred = f"_{constraint.elements[0].target_fullname.split('.')[-2]}"
    name = conv(f"{kind}_{constraint.table.name}_{columns}{referred}")
    preparer = context.dialect.identifier_preparer
    return preparer.truncate_and_render_constraint_name(name, _alembic_quote=False)


def _is_plain_column(context: MigrationContext, operation: Operation) -> bool:
    """Whether a column is added that old rows can have, or one is only renamed."""
    if isinstance(operation, ops.AddColumnOp):
        column = operation.column
        if has_check(column.type):
            return False
        if column.computed is not None:
            return not column.computed.persisted
        default = column.server_default
        if isinstance(default, DefaultClause):
            lexer = backend_of(context).syntax.lexer
            return isinstance(default.arg, str) or is_constant(lexer, sql_of(context, default.arg))
        return bool(column.nullable)
    return (
        isinstance(operation, ops.AlterColumnOp)
        and operation.modify_name is not None
        and operation.modify_nullable is None
        and operation.modify_type is None
        and operation.modify_server_default is False
        and operation.modify_comment is False
    )
