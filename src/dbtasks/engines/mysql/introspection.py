"""What a MySQL or MariaDB database has: SHOW CREATE TABLE of each table, told apart.

It is the one place where the server writes down all that a table is; information_schema leaves
out checks within columns, parsers of indexes and much of what a storage engine knows.
"""

import re
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from dbtasks.engines.base.definitions import (
    CHECK,
    COLUMN,
    FOREIGN_KEY,
    FUNCTION,
    INDEX,
    PRIMARY_KEY,
    SEQUENCE,
    TABLE,
    TRIGGER,
    VIEW,
    Definition,
    Key,
    Place,
    Reference,
    given,
)
from dbtasks.engines.sql.expressions import canonical, mentioned
from dbtasks.engines.sql.lexer import MYSQL, Kind, Token

Tokens = Sequence[Token]

TABLES = """
SELECT table_name, table_type FROM information_schema.tables
WHERE table_schema = database() ORDER BY table_name
"""

VIEWS = """
SELECT table_name, view_definition, check_option, security_type FROM information_schema.views
WHERE table_schema = database() ORDER BY table_name
"""

TRIGGERS = """
SELECT event_object_table, trigger_name, action_timing, event_manipulation, action_statement
FROM information_schema.triggers WHERE trigger_schema = database() ORDER BY trigger_name
"""

FUNCTIONS = """
SELECT routine_name, routine_type, routine_definition, dtd_identifier, is_deterministic,
    sql_data_access, security_type
FROM information_schema.routines WHERE routine_schema = database() ORDER BY routine_name
"""

SEQUENCES = """
SELECT start_value, minimum_value, maximum_value, increment, cache_size, cycle_option FROM {}
"""

VERSIONED = re.compile(r"\A/\*!\d+ *(.*?) *\*/\Z", re.DOTALL)

BEHIND_TYPES = frozenset(("NOT", "NULL", "DEFAULT", "AUTO_INCREMENT", "COMMENT", "CHECK")) | {
    *("GENERATED", "ON", "INVISIBLE", "WITHOUT", "SRID", "COLUMN_FORMAT", "STORAGE")
}
"""The words that end the type of a column."""

ACTIONS = {"ON DELETE": "ondelete", "ON UPDATE": "onupdate"}


def definitions(connection: Connection) -> Iterator[tuple[Key, Definition]]:
    """Yield all that a database has."""
    within = f"nextval({_quoted(_ask(connection, 'SELECT database()')[0][0])}."
    for table, kind in _ask(connection, TABLES):
        if kind == "SEQUENCE":
            yield Key(SEQUENCE, None, "", table), _sequence(connection, table)
        elif kind != "VIEW":
            told = _ask(connection, f"SHOW CREATE TABLE {_quoted(table)}")[0][1]
            yield from _Table(table, told.replace(within, "nextval(")).definitions()
    for view, sql, option, security in _ask(connection, VIEWS):
        attributes = {"sql": sql, "check option": option, "security": security}
        yield Key(VIEW, None, view), Definition(attributes, sql=sql)
    for row in _ask(connection, TRIGGERS):
        yield Key(TRIGGER, None, row[0], row[1]), Definition({"sql": " ".join(row[2:])})
    for row in _ask(connection, FUNCTIONS):
        yield Key(FUNCTION, None, "", row[0]), Definition({"sql": " ".join(map(str, row[1:]))})


def _ask(connection: Connection, sql: str) -> Sequence[Sequence[str]]:
    return connection.exec_driver_sql(sql, execution_options={"no_parameters": True}).all()


def _quoted(label: str) -> str:
    return "`" + label.replace("`", "``") + "`"


def _sequence(connection: Connection, label: str) -> Definition:
    row = _ask(connection, SEQUENCES.format(_quoted(label)))[0]
    words = ("START", "MINVALUE", "MAXVALUE", "INCREMENT", "CACHE", "CYCLE")
    *options, cycle = (f"{word} {value}" for word, value in zip(words, row, strict=True))
    counts = " ".join((*options, "NOCYCLE" if cycle == "CYCLE 0" else "CYCLE"))
    return Definition({"counts": counts}, sql=counts)


def _plain(sql: str) -> str:
    """Return a statement of MySQL without the comments around what older versions do not know.

    https://dev.mysql.com/doc/refman/8.4/en/comments.html
    """
    return "".join(VERSIONED.sub(r"\1", token.text) for token in MYSQL.tokens(sql))


class _Table:
    """Tell apart the statement that the server writes of a table."""

    def __init__(self, table: str, sql: str) -> None:
        self.table, self.sql = table, _plain(sql)
        tokens = MYSQL.code(self.sql)
        first = next(number for number, token in enumerate(tokens) if token.word == "(")
        last = _closing(tokens, first)
        self.parts, self.behind = [*_split(tokens[first + 1 : last])], tokens[last + 1 :]
        self.columns = [part[0].value for part in self.parts if part[0].kind is Kind.NAME]

    def definitions(self) -> Iterator[tuple[Key, Definition]]:
        yield self._key(TABLE), self._options()
        for part in self.parts:
            if part[0].kind is Kind.NAME:
                yield self._key(COLUMN, part[0].value), self._column(part[1:])
            elif part[0].word != "CONSTRAINT":
                yield self._index(part)
            elif part[2].word == "CHECK":
                yield self._key(CHECK, part[1].value), self._check(part[3:])
            else:
                yield self._key(FOREIGN_KEY, part[1].value), self._foreign_key(part[2:])

    def _key(self, kind: str, name: str = "") -> Key:
        return Key(kind, None, self.table, name)

    def _source(self, tokens: Tokens) -> str:
        return self.sql[tokens[0].start : tokens[-1].end] if tokens else ""

    def _spelled(self, tokens: Tokens) -> str:
        return canonical(MYSQL, self._source(tokens))

    def _uses(self, sql: str) -> frozenset[str]:
        return mentioned(MYSQL, sql, self.columns)

    def _options(self) -> Definition:
        """Return what stands behind the columns; how far a table has counted is no part of it."""
        attributes = {}
        tokens = [token for token in self.behind if token.word != "DEFAULT"]
        while len(tokens) > 2 and tokens[1].word == "=":
            if tokens[0].word == "COMMENT":
                attributes["comment"] = _text(tokens[2].text)
            elif tokens[0].word != "AUTO_INCREMENT":
                attributes[tokens[0].word.lower()] = tokens[2].text
            tokens = tokens[3:]
        return Definition(attributes | given(more=self._source(tokens)), sql=self.sql)

    def _column(self, tokens: Tokens) -> Definition:
        clauses = [*_clauses(tokens)]
        attributes = {"type": self._spelled(clauses[0]), "null": "yes"}
        parts: dict[str, object] = {}
        uses: frozenset[str] = frozenset()
        for clause in clauses[1:]:
            word, value = clause[0].word, clause[1:]
            told = self._source(value)
            if word == "NOT":
                attributes["null"] = "no"
            elif word == "COMMENT":
                attributes["comment"] = _text(told)
            elif word == "GENERATED":
                sql, stored = self._generated(clause)
                attributes["computed"] = canonical(MYSQL, sql) + " stored" * stored
                parts |= {"computed": sql, "persisted": stored}
                uses = self._uses(sql)
            elif word in ("DEFAULT", "CHECK", "ON") and told.upper() != "NULL":
                name = {"ON": "onupdate"}.get(word, word.lower())
                value = value[1:] if word == "ON" else value
                attributes[name] = self._spelled(value)
                parts[name] = self._source(value[1:-1] if word == "CHECK" else value)
            elif word not in ("DEFAULT", "NULL"):
                attributes[self._spelled(clause)] = "yes"
        return Definition(attributes, uses, parts=parts)

    def _generated(self, clause: Tokens) -> tuple[str, bool]:
        first = next(number for number, token in enumerate(clause) if token.word == "(")
        last = _closing(clause, first)
        stored = any(token.word in ("STORED", "PERSISTENT") for token in clause[last:])
        return self._source(clause[first + 1 : last]), stored

    def _check(self, tokens: Tokens) -> Definition:
        last = _closing(tokens, 0)
        sql = self._source(tokens[1:last])
        attributes = given(sql=canonical(MYSQL, sql), more=self._spelled(tokens[last + 1 :]))
        return Definition(attributes, self._uses(sql), sql=sql)

    def _index(self, tokens: Tokens) -> tuple[Key, Definition]:
        first = next(number for number, token in enumerate(tokens) if token.word == "(")
        last = _closing(tokens, first)
        listed = [*_split(tokens[first + 1 : last])]
        columns = tuple(part[0].value for part in listed)
        before = [token.word for token in tokens[:first]]
        more = " ".join(word for word in before if word not in ("UNIQUE", "KEY", "PRIMARY", ""))
        attributes = given(
            sql=", ".join(map(self._spelled, listed)),
            more=f"{more} {self._spelled(tokens[last + 1 :])}".strip().lower(),
        )
        is_plain = "more" not in attributes and all(len(part) == 1 for part in listed)
        key = self._key(PRIMARY_KEY, "PRIMARY")
        if "PRIMARY" not in before:
            key = self._key(INDEX, tokens[first - 1].value)
            attributes["unique"] = "yes" if "UNIQUE" in before else "no"
        return key, Definition(
            attributes,
            self._uses(self._source(tokens[first : last + 1])),
            columns if is_plain else None,
            self._source(tokens),
            parts={"columns": columns},
        )

    def _foreign_key(self, tokens: Tokens) -> Definition:
        at = next(number for number, token in enumerate(tokens) if token.word == "REFERENCES")
        last = next(number for number in range(at, len(tokens)) if tokens[number].word == ")")
        columns, referred = _names(tokens[:at]), _names(tokens[at : last + 1])
        target = [token.value for token in tokens[at : at + 4] if token.kind is Kind.NAME]
        schema = target[0] if tokens[at + 2].word == "." else None
        table = target[1] if schema else target[0]
        reference = Reference(Place(schema, table), referred[1 + bool(schema) :])
        actions = " ".join(token.word for token in tokens[last + 1 :])
        parts = {
            option: action
            for phrase, option in ACTIONS.items()
            if (action := _action(actions.partition(phrase)[2])) not in ("", "NO ACTION")
        }
        attributes = {"sql": f"{columns} {reference} {sorted(parts.items())}"}
        return Definition(
            attributes, frozenset(columns), columns, self._source(tokens), reference, parts
        )


def _closing(tokens: Tokens, first: int) -> int:
    """Return the place of the parenthesis that closes the one at a place."""
    depth = 0
    for number in range(first, len(tokens)):
        depth += (tokens[number].word == "(") - (tokens[number].word == ")")
        if not depth:
            return number
    return len(tokens)


def _split(tokens: Tokens) -> Iterator[list[Token]]:
    """Yield what stands between the commas that are in no parentheses of their own."""
    part: list[Token] = []
    depth = 0
    for token in tokens:
        depth += (token.word == "(") - (token.word == ")")
        if token.word == "," and not depth:
            yield part
            part = []
        else:
            part.append(token)
    if part:
        yield part


def _clauses(tokens: Tokens) -> Iterator[list[Token]]:
    """Yield the type of a column, and what stands behind it, clause by clause."""
    clause: list[Token] = []
    depth = 0
    for token in tokens:
        before = [known.word for known in clause]
        begins = token.word in BEHIND_TYPES and not depth
        if begins and clause and not (token.word == "NULL" and before in (["NOT"], ["DEFAULT"])):
            yield clause
            clause = []
        clause.append(token)
        depth += (token.word == "(") - (token.word == ")")
    yield clause


def _names(tokens: Tokens) -> tuple[str, ...]:
    return tuple(token.value for token in tokens if token.kind is Kind.NAME)


def _action(words: str) -> str:
    first, _, rest = words.strip().partition(" ")
    return f"{first} {rest.split()[0]}" if first in ("SET", "NO") else first


def _text(told: str) -> str:
    """Return what a text in quotes says."""
    escapes = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}

    def plain(match: re.Match[str]) -> str:
        return escapes.get(match[1], match[1]) if match[1] else "'"

    return re.sub(r"\\(.)|''", plain, told[1:-1], flags=re.DOTALL)
