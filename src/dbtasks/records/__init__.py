"""Records: the rows of any mapped class, asked for by name."""

from dbtasks.records.query import Query, query

__all__ = ["Query", "query"]
