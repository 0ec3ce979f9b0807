"""Expressions of CHECKs, defaults, indexes and computed columns: compared, and their columns."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from dbtasks.engines.sql.lexer import WORD, Kind, Lexer, Token

UNKNOWN, EDGE, OR, AND, NOT, COMPARISON, OTHER, SUM, PRODUCT, SIGN, SUFFIX, PRIMARY = range(-1, 11)
"""How tightly an operator binds. Databases differ about OTHER and arithmetic, and about UNKNOWN."""

LISTS = {
    **dict.fromkeys(("SELECT", "WITH", "VALUES", "DISTINCT"), EDGE),
    "IN": COMPARISON,
}
"""Words before parentheses that hold no expression alone."""

WORDS = {
    **dict.fromkeys(("WHEN", "THEN", "ELSE", "ASC", "DESC", "NULLS"), EDGE),
    "XOR": UNKNOWN,
    "OR": OR,
    "AND": AND,
    "NOT": NOT,
    **dict.fromkeys(("IS", "ISNULL", "NOTNULL", "BETWEEN", "SIMILAR", "TO", "FROM"), COMPARISON),
    **dict.fromkeys(("LIKE", "ILIKE", "GLOB", "REGEXP", "RLIKE", "MATCH", "ESCAPE"), COMPARISON),
    **dict.fromkeys(("DIV", "MOD"), PRODUCT),
    **dict.fromkeys(("COLLATE", "AT"), SUFFIX),
}
SIGNS = {
    ",": EDGE,
    **dict.fromkeys(("||", "&&"), UNKNOWN),  # an OR and an AND on MySQL
    **dict.fromkeys(("=", "==", "<>", "!=", "<", ">", "<=", ">=", "<=>"), COMPARISON),
    **dict.fromkeys("+-", SUM),
    **dict.fromkeys("*/%", PRODUCT),
    **dict.fromkeys((".", "::"), SUFFIX),
}
LEVELS = LISTS | WORDS | SIGNS

SAME = {"!=": "<>", "==": "="}
_RESERVED = """
    ALL AND ANY ARRAY AS ASC BETWEEN BINARY CASE CAST COLLATE CURRENT_DATE CURRENT_ROLE
    CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER DEFAULT DESC DISTINCT DIV ELSE END ESCAPE
    EXISTS FALSE FROM GLOB ILIKE IN INTERVAL IS ISNULL LIKE LOCALTIME LOCALTIMESTAMP MATCH MOD
    NOT NOTNULL NULL OR REGEXP RLIKE ROW SELECT SESSION_USER SIMILAR SOME THEN TRUE UNKNOWN
    USER VALUES WHEN XOR
"""
RESERVED = frozenset(_RESERVED.split())
"""Words that are something else without quotes than in quotes."""

CLOCKS = frozenset(
    ["CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "LOCALTIME", "LOCALTIMESTAMP"]
)
"""Functions that are called with and without parentheses."""

CLOSING = {"(": ")", "[": "]", "CASE": "END"}


class Group(NamedTuple):
    """Hold what a pair of brackets encloses, or CASE and END."""

    first: Token
    inside: "Sequence[Token | Group]"
    last: Token | None


Node = Token | Group


@lru_cache(maxsize=4096)  # the same columns and checks come again in the next snapshot
def canonical(lexer: Lexer, sql: str) -> str:
    """Return an expression in one spelling: no parentheses, case or blanks that mean nothing.

    Parentheses stay wherever a database may read an expression otherwise without them.
    """
    return _canonical(lexer, lexer.code(sql))


def alike(lexer: Lexer, one: str | None, other: str | None) -> bool:
    """Whether two texts are the same expression, but for casts that a database adds."""
    return _without_casts(lexer, one) == _without_casts(lexer, other)


def same_default(lexer: Lexer, one: str | None, other: str | None) -> bool:
    """Whether two defaults are the same value: databases put some in quotes."""
    return _value(lexer, one) == _value(lexer, other)


def mentions(lexer: Lexer, sql: str, column: str, *, exact: bool = False) -> bool:
    """Whether an expression is about a column.

    Where names are `exact`, those in quotes are told apart by their case, too.
    """
    return bool(mentioned(lexer, sql, [column], exact=exact))


def mentioned(
    lexer: Lexer, sql: str, columns: Iterable[str], *, exact: bool = False
) -> frozenset[str]:
    """Return those of some columns that an expression is about."""
    tokens = lexer.code(sql) if sql else []
    fold = str if exact else str.lower
    names = {
        fold(_column(tokens[place]))
        for place in _columns(tokens)
        if not _is(tokens, place + 1, ".")
    }
    return frozenset(column for column in columns if fold(column) in names)


def renamed(
    lexer: Lexer, sql: str, names: Mapping[str, str], table: str, quote: Callable[[str], str]
) -> str:
    """Return an expression with other names of columns, and without the table's before them.

    `names` has the old ones in lower case.
    """
    tokens = lexer.code(sql)
    parts: list[str] = []
    at = 0
    for place in _columns(tokens):
        token, name = tokens[place], _column(tokens[place]).lower()
        if _is(tokens, place + 1, "."):
            if name == table.lower():
                parts.append(sql[at : token.start])
                at = tokens[place + 1].end
        elif name in names:
            parts += [sql[at : token.start], quote(names[name])]
            at = token.end
    return "".join([*parts, sql[at:]])


def is_list(lexer: Lexer, sql: str) -> bool:
    """Whether a check is that of a list of values, as an enum or a Boolean has it."""
    words = [token.word for token in lexer.code(sql) if token.word != "("]
    return words[1:2] == ["IN"]


def is_constant(lexer: Lexer, sql: str) -> bool:
    """Whether an expression is a number, a text, a truth or NULL."""
    tokens = [token for token in lexer.code(sql) if token.text not in ("(", ")", "-")]
    constants = (Kind.NUMBER, Kind.STRING)
    return len(tokens) == 1 and (
        tokens[0].kind in constants or tokens[0].word in ("TRUE", "FALSE", "NULL")
    )


def _columns(tokens: Sequence[Token]) -> Iterator[int]:
    """Yield the places of what may be a column, or the table before one."""
    place = 0
    while place < len(tokens):
        after = _after_type(tokens, place)
        if after == place:
            if tokens[place].kind in (Kind.NAME, Kind.WORD) and not _is_called(tokens, place):
                yield place
            after += 1
        place = after


def _is_called(tokens: Sequence[Token], place: int) -> bool:
    """Whether a name is a function, a keyword before a list, or a type before a text."""
    if place + 1 == len(tokens):
        return False
    token, follower = tokens[place], tokens[place + 1]
    return follower.text == "(" or (token.kind is Kind.WORD and follower.kind is Kind.STRING)


def _after_type(tokens: Sequence[Token], place: int) -> int:
    """Return the place behind a type, a collation or a unit of time that begins there, if any."""
    word = tokens[place].word
    if word == "::":
        return _after_cast(tokens, place + 1)
    if word == "AS":
        while place < len(tokens) and tokens[place].word not in ("(", ")"):
            place += 1
    elif word == "COLLATE":
        return place + (4 if _is(tokens, place + 2, ".") else 2)
    elif word == "EXTRACT" and _is(tokens, place + 3, "FROM"):
        return place + 4
    elif word == "INTERVAL" and tokens[place + 1 : place + 2]:
        return place + (3 if tokens[place + 1].kind is Kind.NUMBER else 1)
    return place


def _after_cast(tokens: Sequence[Token], place: int) -> int:
    """Return the place behind a type that follows `::`, as `"a".b`, `numeric(5,2)[]`."""
    two = (tokens[place].word, tokens[place + 1].word if place + 1 < len(tokens) else "")
    place += 2 if two[1] in ("VARYING", "PRECISION") else 1
    if _is(tokens, place, "."):
        place += 2
    if _is(tokens, place, "("):
        while place < len(tokens) and tokens[place].word != ")":
            place += 1
        place += 1
    if _is(tokens, place, "WITH") or _is(tokens, place, "WITHOUT"):
        place += 3
    while _is(tokens, place, "["):
        while place < len(tokens) and tokens[place].word != "]":
            place += 1
        place += 1
    return place


def _is(tokens: Sequence[Token], place: int, word: str) -> bool:
    return place < len(tokens) and tokens[place].word == word


def _column(token: Token) -> str:
    """Return the column that a name may be, without quotes in lower case."""
    return token.value if token.kind is Kind.NAME else token.text.lower()


def _without_casts(lexer: Lexer, sql: str | None) -> str | None:
    if sql is None:
        return None
    tokens, kept, place = lexer.code(sql), list[Token](), 0
    while place < len(tokens):
        if tokens[place].text == "::":
            place = _after_cast(tokens, place + 1)
        else:
            kept.append(tokens[place])
            place += 1
    return _canonical(lexer, kept)


def _value(lexer: Lexer, sql: str | None) -> str | None:
    """Return the text that a default is, or the expression in one spelling."""
    told = _without_casts(lexer, sql)
    tokens = lexer.code(told or "")
    return tokens[0].value if [token.kind for token in tokens] == [Kind.STRING] else told


def _canonical(lexer: Lexer, tokens: Sequence[Token]) -> str:
    nodes, _ = _grouped(iter(tokens))
    return " ".join(_spelled(lexer, nodes))


def _grouped(tokens: Iterator[Token], end: str = "") -> tuple[list[Node], Token | None]:
    """Return tokens up to an end, with a group for what is in brackets, and the end."""
    nodes: list[Node] = []
    for token in tokens:
        if end and token.word == end:
            return nodes, token
        if token.word in CLOSING:
            nodes.append(Group(token, *_grouped(tokens, CLOSING[token.word])))
        else:
            nodes.append(token)
    return nodes, None


def _spelled(lexer: Lexer, nodes: Sequence[Node]) -> Iterator[str]:
    nodes, levels = [*nodes], _levels(nodes)
    for place, node in enumerate(nodes):
        while isinstance(node, Group) and _is_superfluous(nodes, levels, place):
            if len(node.inside) != 1:
                yield from _spelled(lexer, node.inside)
                break
            (nodes[place],) = (node,) = node.inside
        else:
            yield from _group(lexer, node) if isinstance(node, Group) else [_spelling(lexer, node)]


def _group(lexer: Lexer, group: Group) -> Iterator[str]:
    yield group.first.text.lower()
    yield from _spelled(lexer, group.inside)
    yield group.last.text.lower() if group.last else ""


def _spelling(lexer: Lexer, token: Token) -> str:
    if token.kind is Kind.STRING:
        return token.text
    if token.kind is not Kind.NAME:
        return SAME.get(token.text, token.text.lower())
    name = token.value.lower() if lexer.folds_names else token.value
    plain = name == name.lower() and re.fullmatch(WORD, name) and name.upper() not in RESERVED
    return name if plain else '"' + name.replace('"', '""') + '"'


def _levels(nodes: Sequence[Node]) -> list[int]:
    """Return how tightly each node binds; PRIMARY is no operator."""
    levels: list[int] = []
    before, between = "", 0
    for node in nodes:
        word = node.word if isinstance(node, Token) else ""
        symbol = isinstance(node, Token) and node.kind is Kind.OPERATOR
        level = LEVELS.get(word, OTHER if symbol else PRIMARY)
        operand = bool(levels) and levels[-1] >= SUFFIX
        if word == "BETWEEN":
            between += 1
        elif word == "AND" and between:
            between, level = between - 1, COMPARISON
        elif level in (SUM, OTHER) and not operand:
            level = SIGN
        elif word == "NOT" and (operand or before == "IS"):
            level = COMPARISON
        levels.append(level)
        before = word
    return levels


def _is_superfluous(nodes: Sequence[Node], levels: Sequence[int], place: int) -> bool:
    """Whether all databases read a group alike without its parentheses."""
    group, before = nodes[place], nodes[place - 1] if place else None
    if not isinstance(group, Group) or group.first.text != "(" or not group.last:
        return False
    if not group.inside and isinstance(before, Token) and before.word in CLOCKS:
        return True
    called = isinstance(before, Token) and before.kind in (Kind.NAME, Kind.WORD)
    if called and getattr(before, "word", "") not in WORDS:
        return False
    inner = _inner(group.inside)
    left = levels[place - 1] if place else EDGE
    right = levels[place + 1] if place + 1 < len(nodes) else EDGE
    continues = inner == right and inner in (SUM, PRODUCT)
    return inner != EDGE and _binds(inner, left) and (continues or _binds(inner, right))


def _inner(nodes: Sequence[Node]) -> int:
    """Return how tightly binds what is in a group; EDGE is no single expression."""
    levels = _levels(nodes)
    if not nodes or EDGE in levels:
        return EDGE
    single = len(nodes) == 1 or (len(nodes) == 2 and isinstance(nodes[1], Group))
    return min(levels) if single or min(levels) < PRIMARY else UNKNOWN


def _binds(inner: int, outer: int) -> bool:
    """Whether an operator within parentheses comes first without them, too."""
    if outer == EDGE or (inner == outer and inner in (OR, AND)):
        return True
    if outer == UNKNOWN or OTHER in (inner, outer):
        return inner == PRIMARY or (inner == OTHER and EDGE < outer <= COMPARISON)
    return inner > outer
