"""Records: the rows of any mapped class, asked for by name."""

from dbtasks.records.add import Added, add
from dbtasks.records.changes import Batch, Preview
from dbtasks.records.delete import Deleted, delete
from dbtasks.records.effects import Effect
from dbtasks.records.files import read_records
from dbtasks.records.get import Record, get
from dbtasks.records.query import Query, query
from dbtasks.records.statements import Result, is_limited, sql
from dbtasks.records.update import Updated, update

__all__ = [
    "Added",
    "Batch",
    "Deleted",
    "Effect",
    "Preview",
    "Query",
    "Record",
    "Result",
    "Updated",
    "add",
    "delete",
    "get",
    "is_limited",
    "query",
    "read_records",
    "sql",
    "update",
]
