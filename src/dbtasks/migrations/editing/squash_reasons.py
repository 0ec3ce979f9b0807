"""Why a revision stays one of its own: what of it the difference of two schemas does not hold."""

import ast
import tokenize
from collections.abc import Collection, Iterator, Sequence

from alembic.operations import ops
from alembic.script import Script
from sqlalchemy import Table

from dbtasks.engines.sql.syntax import Syntax
from dbtasks.migrations.editing.operation_record import Record, Sent

SCHEMA = (
    *(ops.RenameTableOp, ops.DropTableOp, ops.AddColumnOp, ops.DropColumnOp, ops.AlterColumnOp),
    *(ops.CreateIndexOp, ops.DropIndexOp, ops.AddConstraintOp, ops.DropConstraintOp),
    *(ops.CreateTableCommentOp, ops.DropTableCommentOp),
)
"""Operations whose effect a snapshot holds."""

DATA = frozenset(("INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "COPY", "TRUNCATE"))
READS = frozenset(("SELECT", "WITH", "SHOW", "PRAGMA", "DESCRIBE", "DESC", "EXPLAIN", "VALUES"))
SESSION = frozenset(("SET", "RESET", "BEGIN", "SAVEPOINT", "RELEASE", "COMMIT", "ANALYZE"))
HELD = (
    *(("DROP", "TYPE"), ("CREATE", "INDEX"), ("CREATE", "UNIQUE", "INDEX"), ("DROP", "INDEX")),
    *(("CREATE", "SEQUENCE"), ("DROP", "SEQUENCE")),
    *(("COMMENT", "ON", "TABLE"), ("COMMENT", "ON", "COLUMN")),
)
"""The beginnings of statements whose effect a snapshot holds."""

DIALECT = frozenset(
    ("dialect", "ddl_if", "execute_if", "get_dialect", "get_backend_name", "drivername")
)
"""Names by which a revision asks which database it runs on."""

ROWS = "it reads or changes rows, which only a squash from an empty database can hold"
CHANCE = "it leaves rows that differ between two replays, as by a clock or by chance"


def reason_of(
    record: Record, script: Script, syntax: Syntax, tables: Collection[str], *, empty: bool
) -> str | None:
    """Return why a revision stays one of its own, or None.

    `tables` are the names of all tables that the history creates; `empty` is whether the database
    has none before the range.
    """
    reasons = [*_reasons(record, script, syntax, empty=empty)]
    if not (reasons or empty) and any(_moves_rows(sent, syntax, tables) for sent in record.sent):
        reasons.append(ROWS)
    return reasons[0] if reasons else None


def changes_rows(record: Record, syntax: Syntax) -> bool:
    """Whether a revision sent SQL that may leave rows."""
    return any(_begins(sent.sql, syntax) & DATA for sent in record.sent)


def _reasons(record: Record, script: Script, syntax: Syntax, *, empty: bool) -> Iterator[str]:
    names = _names(script)
    if DIALECT & names:
        yield "it branches on the dialect"
    if not empty and "autocommit_block" in names:
        yield "it leaves the transaction (autocommit_block)"
    for change in record.changes:
        if not isinstance(change, (Table, *SCHEMA)):
            yield f"it has an operation that is not one of Alembic's: {type(change).__name__}"
    for sent in record.sent:
        if not _is_held(sent, syntax, empty=empty):
            head = " ".join(sent.sql.split())
            yield f"it runs SQL that a squash does not hold: {head[:60]}"


def _is_held(sent: Sent, syntax: Syntax, *, empty: bool) -> bool:
    """Whether a snapshot, or the rows, have the effect of a statement."""
    words = syntax.words(sent.sql)
    match words:
        case ["SELECT", "SETVAL", *_]:
            return True
        case ["CREATE", "TYPE", *_]:
            return "ENUM" in words
        case ["ALTER", "TYPE", *_]:
            return {"ADD", "VALUE"} <= {*words}
        case [word, *_] if word in READS:
            return sent.asked or word == "PRAGMA"
    is_held = any(words[: len(head)] == [*head] for head in HELD)
    return is_held or words[0] in SESSION | DATA


def _begins(sql: str, syntax: Syntax) -> set[str]:
    """Return the words that say what a statement does: all of one that begins WITH."""
    words = syntax.words(sql)
    return {*words} if words[:1] == ["WITH"] else {*words[:1]}


def _moves_rows(sent: Sent, syntax: Syntax, tables: Collection[str]) -> bool:
    """Whether a statement changes rows, or reads those of the project's tables."""
    words = _begins(sent.sql, syntax)
    if words & DATA:
        return True
    if not words & {"SELECT", "WITH"}:
        return False
    names = {token.value.lower() for token in syntax.lexer.code(sent.sql)}
    return any(name.lower() in names for name in tables)


def _names(script: Script) -> set[str]:
    """Return the names that the code of a revision has, without a squash's own of sequences."""
    with tokenize.open(script.path) as file:
        tree = ast.parse(file.read())
    return {*_names_in(tree.body)}


def _names_in(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.If) and _sets_sequences(node):
            continue
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
        yield from _names_in([*ast.iter_child_nodes(node)])


def _sets_sequences(node: ast.If) -> bool:
    """Whether a branch is that of a squash, which sets the sequences of PostgreSQL."""
    return not node.orelse and all(
        ast.unparse(statement).startswith("op.execute('SELECT setval(")
        or ast.unparse(statement).startswith('op.execute("SELECT setval(')
        for statement in node.body
    )
