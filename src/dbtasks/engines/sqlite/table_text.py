"""The CREATE TABLE of SQLite, changed piece by piece: all else stays as it was written."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from dbtasks.engines.sql.expressions import canonical, is_list, mentioned, renamed
from dbtasks.engines.sql.lexer import SQLITE
from dbtasks.engines.sqlite.create_table import (
    Check,
    Column,
    Constraint,
    CreateTable,
    ForeignKey,
    NotNull,
    Part,
    Span,
    Unique,
    parse,
)

ITEM = ",\n\t"
"""What comes between two columns, as SQLAlchemy writes it."""

OPTIONS = {"strict": "STRICT", "without_rowid": "WITHOUT ROWID"}


class TableText:
    """Hold the statement. Each change reads it anew: it takes and leaves a whole statement."""

    def __init__(self, sql: str, quote: Callable[[str], str]) -> None:
        self.sql = sql
        self.quote = quote

    @property
    def table(self) -> CreateTable:
        """Return what the statement says."""
        return parse(self.sql)

    def column(self, name: str) -> Column:
        """Return a column. Raises ValueError for a name that is none."""
        for column in self.table.columns:
            if column.name.lower() == name.lower():
                return column
        raise ValueError(f"No such column: {name!r}")

    def created(self, table: str) -> str:
        """Return the statement under another name of the table, with its schema's.

        A check may name its table before a column, which it would not find.
        """
        body = self.sql[self.table.body[0] :]
        return f"CREATE TABLE {table} {renamed(SQLITE, body, {}, self.table.name, self.quote)}"

    # -- columns ----------------------------------------------------------------------------------

    def add_column(self, sql: str, *, before: str | None, after: str | None) -> None:
        """Add a column, as the last one or beside another."""
        if before is not None and after is None:
            self._insert(self.column(before).span[0], f"{sql}{ITEM}")
        else:
            beside = self.table.columns[-1] if after is None else self.column(after)
            self._insert(beside.span[1], f"{ITEM}{sql}")

    def drop_column(self, name: str) -> None:
        """Drop a column with the constraints that it takes with it.

        These are its keys, and the checks without a name that are about it.
        """
        key = self.table.key
        if key is not None and key.column is None and _has(key, name):
            rest = [part for part in key.parts if (part.column or "").lower() != name.lower()]
            if rest:
                columns = ", ".join(map(_sorted, rest))
                conflict = f" ON CONFLICT {key.conflict}" if key.conflict else ""
                self.replace_key(f"{self._label(key.name)}PRIMARY KEY ({columns}){conflict}")
        self._drop_item(self.column(name).span)
        while (lost := next(self._about(name), None)) is not None:
            self.drop(lost)

    def _about(self, name: str) -> Iterator[Constraint]:
        """Yield the constraints that go with a column."""
        for constraint in self.table.constraints:
            if isinstance(constraint, Check):
                if constraint.name is None and mentioned(SQLITE, constraint.expression, [name]):
                    yield constraint
            elif isinstance(constraint, Unique | ForeignKey) and _has(constraint, name):
                yield constraint

    def rename_column(self, name: str, new: str) -> None:
        """Rename a column that nothing refers to yet."""
        self._replace(self.column(name).name_span, self.quote(new))

    def retype(self, name: str, new: Column) -> None:
        """Give a column the type and the collation of another."""
        column = self.column(name)
        if canonical(SQLITE, column.type) != canonical(SQLITE, new.type):
            kind = new.type if column.type else f" {new.type}"
            self._replace(column.type_span, kind)
        if (column.collation or "").lower() != (new.collation or "").lower():
            collation = new.collation and f"COLLATE {self.quote(new.collation)}"
            self._clause(name, "COLLATE", collation)

    def set_default(self, name: str, default: str | None) -> None:
        """Give a column a default, or none."""
        self._clause(name, "DEFAULT", None if default is None else f"DEFAULT {default}")

    def set_nullable(self, name: str, nullable: bool) -> None:
        """Let a column take NULL, or not."""
        required = [item for item in self.column(name).constraints if isinstance(item, NotNull)]
        for constraint in reversed(required if nullable else []):
            self._cut(constraint.span)
        if not nullable and not required:
            self._clause(name, "NULL", None)
            self._insert(self.column(name).span[1], " NOT NULL")

    def _clause(self, name: str, word: str, sql: str | None) -> None:
        """Set what is said of a column behind a word."""
        spans = [span for known, span in self.column(name).clauses if known == word]
        for span in reversed(spans[1:] if sql else spans):
            self._cut(span)
        if sql and spans:
            self._replace(spans[0], sql)
        elif sql:
            self._insert(self.column(name).type_span[1], f" {sql}")

    def reorder(self, names: Sequence[str]) -> None:
        """Put the columns in another order."""
        texts = [self.column(name).sql for name in names]
        for column, text in reversed([*zip(self.table.columns, texts, strict=True)]):
            self._replace(column.span, text)

    # -- constraints ------------------------------------------------------------------------------

    def add(self, sql: str) -> None:
        """Add a constraint beside the columns."""
        table = self.table
        spans = [item.span for item in table.columns]
        spans += [item.span for item in table.table_constraints]
        self._insert(spans[-1][1], f"{ITEM}{sql}")

    def drop(self, constraint: Constraint) -> None:
        """Drop a constraint, within a column or beside them."""
        if constraint.column is None:
            self._drop_item(constraint.span)
        else:
            self._cut(constraint.span)

    def replace_key(self, sql: str) -> None:
        """Add a primary key in the place of the one that is there."""
        old = self.table.key
        if old is not None:
            self.drop(old)
        self.add(sql)
        new = self.table.key
        if old and new and old.autoincrement and _folded(old) == _folded(new):
            self.set_autoincrement(True)

    def labelled(self, constraint: Constraint) -> str:
        """Return a constraint of any table with its name."""
        return f"{self._label(constraint.name)}{constraint.sql}"

    def name(self, constraint: Constraint, name: str) -> None:
        """Name a constraint that has no name."""
        self._insert(constraint.span[0], self._label(name))

    def checks_of_type(self, column: str) -> list[Check]:
        """Return the checks without a name that list the values of a column, as an enum's does."""
        checks = self.unnamed_checks({column.lower()})
        return [item for item in checks if is_list(SQLITE, item.expression)]

    def unnamed_checks(self, columns: Collection[str] | None = None) -> list[Check]:
        """Return the checks without a name, or those that are about just these columns."""
        return [
            item
            for item in self.table.constraints
            if isinstance(item, Check)
            and item.name is None
            and columns in (None, self.about(item.expression))
        ]

    def about(self, expression: str) -> set[str]:
        """Return the columns that an expression is about, in small letters."""
        names = [item.name.lower() for item in self.table.columns]
        return {*mentioned(SQLITE, expression, names)}

    def drop_all(self, constraints: Iterable[Constraint]) -> None:
        """Drop several constraints."""
        for constraint in sorted(constraints, key=lambda item: item.span, reverse=True):
            self.drop(constraint)

    # -- options ----------------------------------------------------------------------------------

    def set_autoincrement(self, wanted: bool) -> None:
        """Number the rows so that no number is given again, or leave that to SQLite."""
        key = self.table.key
        if key is None or key.autoincrement == wanted:
            return
        start, end = key.span
        tokens = [token for token in SQLITE.code(self.sql) if start <= token.start < end]
        words = [token for token in tokens if token.word == "AUTOINCREMENT"]
        for token in words:
            self._cut((token.start, token.end))
        if wanted:
            closing = [token.start for token in tokens if token.word == ")"]
            self._insert(closing[-1] if key.column is None else end, " AUTOINCREMENT")

    def set_options(self, **options: bool) -> None:
        """Make a table STRICT or WITHOUT ROWID, or neither."""
        now = {name: getattr(self.table, name) for name in OPTIONS}
        if now | options != now:
            said = ", ".join(OPTIONS[name] for name, on in (now | options).items() if on)
            self.sql = f"{self.sql[: self.table.body[1]]} {said}".rstrip()

    # -- text -------------------------------------------------------------------------------------

    def _label(self, name: str | None) -> str:
        return "" if name is None else f"CONSTRAINT {self.quote(name)} "

    def _replace(self, span: Span, text: str) -> None:
        self.sql = f"{self.sql[: span[0]]}{text}{self.sql[span[1] :]}"

    def _insert(self, place: int, text: str) -> None:
        self._replace((place, place), text)

    def _cut(self, span: Span) -> None:
        """Take out a piece, and the blanks before it; a line break may end a comment."""
        start = len(self.sql[: span[0]].rstrip(" \t"))
        joined = self.sql[span[1] : span[1] + 1] not in (" ", "\t", "\n", "\r", ",", ")")
        self._replace((start, span[1]), " " if joined else "")

    def _drop_item(self, span: Span) -> None:
        """Take out a column or a constraint with its comma, which constraints may go without."""
        tokens = SQLITE.code(self.sql)
        before = [token for token in tokens if token.start < span[0]][-1]
        after = next(token for token in tokens if token.start >= span[1])
        commas = []
        if before.word in (",", "(") and after.word == ",":
            commas = [after]
        elif before.word == "," and after.word == ")":
            commas = [before]
        pieces = [span, *((comma.start, comma.end) for comma in commas)]
        for piece in sorted(pieces, reverse=True):
            self._cut(piece)


def _has(constraint: Unique | ForeignKey, name: str) -> bool:
    return name.lower() in _folded(constraint)


def _folded(constraint: Unique | ForeignKey) -> list[str]:
    return [column.lower() for column in constraint.columns]


def _sorted(part: Part) -> str:
    collation = f" COLLATE {part.collation}" if part.collation else ""
    return f"{part.sql}{collation}{' DESC' if part.descending else ''}"
