"""Expressions that a database tells otherwise once it was sent what it tells.

Of `b IN ('x', 'y')` PostgreSQL tells `(ARRAY['x'::varchar, 'y'::varchar])::text[]`, and of that,
as it comes out of a dump too, `ARRAY[('x'::varchar)::text, ('y'::varchar)::text]`.
"""


class Retelling:
    """Tell an expression in one way only."""

    def retold(self, sql: str) -> str:
        """Return an expression as the database tells it once it was sent what it tells now."""
        return sql
