"""Which tables a database has, in one query of its catalogue: to name those that no model knows."""

from collections.abc import Collection, Iterable
from typing import Any, ClassVar

from sqlalchemy import BindParameter, Connection, Table, TextClause, bindparam, inspect

OTHERS = frozenset(
    [
        *("spatial_ref_sys", "geometry_columns", "spatial_ref_sys_aux", "spatialite_history"),
        *("geometry_columns_auth", "geometry_columns_field_infos", "geometry_columns_statistics"),
        *("geometry_columns_time", "data_licenses", "sql_statements_log", "virts_geometry_columns"),
        *("virts_geometry_columns_auth", "virts_geometry_columns_statistics"),
        *("views_geometry_columns", "views_geometry_columns_auth", "knn", "knn2"),
        *("views_geometry_columns_statistics", "elementarygeometries", "spatialindex"),
    ]
)
"""Tables that PostGIS and SpatiaLite make."""

Found = Iterable[tuple[str, str, bool]]
"""Schema and name of each table, and whether it is found by its name alone."""


class Catalogue:
    """List the tables that hold rows of their own, with SQLAlchemy's inspector."""

    exact: ClassVar[bool] = False
    """Whether a table is told from another by the case of its name alone."""

    def unknown(self, connection: Connection, known: Collection[Table]) -> list[str]:
        """Return the full names of the tables that are not among the known ones.

        Only schemas count that a known table is in, and those where a bare name is found.
        """
        fold = str if self.exact else str.lower
        names = {(one.schema and fold(one.schema), fold(one.name)) for one in known}
        schemas = {one.schema for one in known if one.schema}
        return [
            name if bare else f"{schema}.{name}"
            for schema, name, bare in self.tables(connection, schemas)
            if name.lower() not in OTHERS
            and (fold(schema), fold(name)) not in names
            and not (bare and (None, fold(name)) in names)
        ]

    def tables(self, connection: Connection, schemas: Collection[str]) -> Found:
        """Return the tables in these schemas, and in the connection's own."""
        inspector = inspect(connection)
        default = inspector.default_schema_name or ""
        for schema in sorted({default, *schemas}):
            for name in inspector.get_table_names(schema or None):
                yield schema, name, schema == default

    def replacing(self, connection: Connection) -> Collection[str]:
        """Return the tables that delete rows that are in the way of others, in lower case."""
        return ()


class StatementCatalogue(Catalogue):
    """List the tables by one statement."""

    statement: ClassVar[TextClause]

    def tables(self, connection: Connection, schemas: Collection[str]) -> Found:
        """Return the tables in these schemas, and in the connection's own."""
        listed: BindParameter[Any] = bindparam("schemas", sorted(schemas) or [""], expanding=True)
        for schema, name, bare in connection.execute(self.statement.bindparams(listed)):
            yield schema, name, bool(bare)
