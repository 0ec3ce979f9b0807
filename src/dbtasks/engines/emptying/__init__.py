"""How tables are emptied on each engine: in which order, by which statements, and what waits."""

from dbtasks.engines.emptying.deletes import Emptying, Reference
from dbtasks.engines.emptying.mysql import MySQLEmptying
from dbtasks.engines.emptying.oracle import OracleEmptying
from dbtasks.engines.emptying.postgresql import PostgreSQLEmptying
from dbtasks.engines.emptying.sqlite import SQLiteEmptying

__all__ = [
    "Emptying",
    "MySQLEmptying",
    "OracleEmptying",
    "PostgreSQLEmptying",
    "Reference",
    "SQLiteEmptying",
]
