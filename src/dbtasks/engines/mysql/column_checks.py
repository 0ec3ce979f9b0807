"""The CHECK within a column, as MariaDB has it: what alters the column takes it off."""

import re
from collections.abc import Mapping

from sqlalchemy import Connection

from dbtasks.engines.base.column_checks import ColumnChecks

CHECK = re.compile(
    r"""
    ^ \s* `(?P<column> (?:[^`]|``)+ )`
    (?: [^'\n] | '(?:[^'\\]|''|\\.)*' )*?   # a type, a default, a comment
    \s CHECK \s \( (?P<check> .+ ) \) ,? $
    """,
    re.MULTILINE | re.VERBOSE,
)


class MySQLColumnChecks(ColumnChecks):
    """Ask MariaDB; MySQL has its checks beside the columns, and tells none within."""

    def column_checks(
        self, connection: Connection, table: str, schema: str | None
    ) -> Mapping[str, str]:
        """Return them as the table has them: information_schema misses what was renamed."""
        preparer = connection.dialect.identifier_preparer
        place = f"{preparer.quote_schema(schema)}." if schema else ""
        told = connection.exec_driver_sql(
            f"SHOW CREATE TABLE {place}{preparer.quote(table)}",
            execution_options={"no_parameters": True},
        ).one()[1]
        return {one["column"].replace("``", "`"): one["check"] for one in CHECK.finditer(told)}
