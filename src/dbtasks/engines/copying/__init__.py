"""How the rows of whole tables get in and out on each engine, and what waits until all are in."""

from dbtasks.engines.copying.constraints import PostgreSQLLoading
from dbtasks.engines.copying.core import (
    BATCH,
    Block,
    Copying,
    LeftOutError,
    RowError,
    RowLists,
    Rows,
)
from dbtasks.engines.copying.forms import CSV, JSONL, PARQUET
from dbtasks.engines.copying.loading import Loading, Orphan
from dbtasks.engines.copying.mysql import MySQLCopying, MySQLLoading
from dbtasks.engines.copying.postgresql import PostgreSQLCopying
from dbtasks.engines.copying.sqlite import SQLiteCopying, SQLiteLoading
from dbtasks.engines.copying.wire import Row, Wire, encode, stored_type

__all__ = [
    "BATCH",
    "CSV",
    "JSONL",
    "PARQUET",
    "Block",
    "Copying",
    "LeftOutError",
    "Loading",
    "MySQLCopying",
    "MySQLLoading",
    "Orphan",
    "PostgreSQLCopying",
    "PostgreSQLLoading",
    "Row",
    "RowError",
    "RowLists",
    "Rows",
    "SQLiteCopying",
    "SQLiteLoading",
    "Wire",
    "encode",
    "stored_type",
]
