"""Expressions that PostgreSQL tells otherwise once it was sent what it tells.

Of `b IN ('x', 'y')` it tells `(ARRAY['x'::varchar, 'y'::varchar])::text[]`, and of that,
as it comes out of a dump too, `ARRAY[('x'::varchar)::text, ('y'::varchar)::text]`.
"""

import re
from collections.abc import Sequence

from dbtasks.engines.base.expressions import Retelling
from dbtasks.engines.sql.lexer import POSTGRESQL

ARRAY = "ARRAY["
CAST = re.compile(r"(?P<end>\)?)::(?P<type>[\w\"][\w\". ]*(?:\([\d,]+\))?)\[\]")


class PostgreSQLRetelling(Retelling):
    """Know what PostgreSQL makes of a list of values that has a cast."""

    def retold(self, sql: str) -> str:
        """Return it with the cast on each value."""
        before, array, behind = sql.partition(ARRAY)
        if not array:
            return sql
        values, rest = _list(behind)
        cast = CAST.match(rest)
        if cast is None:
            return before + array + self.retold(behind)
        begin, end = ("(", ")") if cast["end"] else ("", "")
        each = (f"{begin}{self.retold(one)}{end}::{cast['type']}" for one in values)
        told = f"{before.removesuffix(begin)}{array}{', '.join(each)}]"
        return told + self.retold(rest[cast.end() :])


def _list(sql: str) -> tuple[Sequence[str], str]:
    """Return the values up to a closing bracket, and what is behind it."""
    values, depth = [""], 0
    for token in POSTGRESQL.tokens(sql):
        if token.text == "]" and not depth:
            return [value.strip() for value in values], sql[token.end :]
        depth += (token.text in "([") - (token.text in ")]")
        if token.text == "," and not depth:
            values.append("")
        else:
            values[-1] += token.text
    return values, ""
