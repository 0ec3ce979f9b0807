"""Foreign keys and indexes of PostgreSQL, put aside while the rows of tables come in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dbtasks.engines.base.load import Loading
from dbtasks.engines.sql.quoting import quoted


class PostgreSQLLoading(Loading):
    """Make foreign keys deferrable for as long, or take them off, and put them back."""

    hastens = True
    whole_statements = True

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer them to the end of the block; the tables' owner may make them deferrable."""
        keys = self._keys("NOT c.condeferrable")
        for table, name in keys:
            self._alter(f"{table} ALTER CONSTRAINT {name} DEFERRABLE")
        self.connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")
        yield
        self.connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        for table, name in keys:
            self._alter(f"{table} ALTER CONSTRAINT {name} NOT DEFERRABLE")

    @contextmanager
    def hastened(self) -> Iterator[None]:
        """Take off foreign keys and indexes that are not unique; primary keys and UNIQUE stay."""
        keys, indexes = self._dropped_keys(), self._dropped_indexes()
        for drop, _ in (*keys, *indexes):
            self._run(drop)
        yield
        for _, make in (*indexes, *keys):
            for one in make:
                self._run(one)

    def _alter(self, rest: str) -> None:
        self._run(f"ALTER TABLE {rest}")

    def _run(self, sql: str) -> None:
        self.connection.exec_driver_sql(sql.replace("%", "%%"))

    def _keys(self, where: str) -> list[tuple[str, str]]:
        rows = self._ask(
            "SELECT c.conrelid::regclass::text, quote_ident(c.conname) FROM pg_constraint c "
            f"WHERE c.contype = 'f' AND c.conparentid = 0 AND {where} AND c.conrelid = ANY(%s)"
        )
        return [(table, name) for table, name in rows]

    def _dropped_keys(self) -> list[tuple[str, list[str]]]:
        """Return what drops each foreign key, and what makes it again with its comment."""
        rows = self._ask(
            "SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', c.conrelid::regclass, c.conname),"
            " format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', c.conrelid::regclass, c.conname, "
            "pg_get_constraintdef(c.oid)), 'COMMENT ON CONSTRAINT ' || quote_ident(c.conname) || "
            "' ON ' || c.conrelid::regclass || ' IS ' "
            "|| quote_literal(obj_description(c.oid, 'pg_constraint')) "
            "FROM pg_constraint c WHERE c.contype = 'f' AND c.conparentid = 0 AND c.convalidated "
            "AND c.conrelid = ANY(%s) ORDER BY c.conrelid, c.conname"
        )
        return [(drop, [make, comment] if comment else [make]) for drop, make, comment in rows]

    def _dropped_indexes(self) -> list[tuple[str, list[str]]]:
        """Return what drops each index that guards nothing, and what makes it again.

        One that is invalid, clustered, of statistics of its own or a part of a partitioned one
        stays: it could not be made again as it was.
        """
        rows = self._ask(
            "SELECT format('DROP INDEX %%s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)"
            ", 'COMMENT ON INDEX ' || i.indexrelid::regclass || ' IS ' "
            "|| quote_literal(obj_description(i.indexrelid, 'pg_class')) "
            "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
            "WHERE NOT (i.indisunique OR i.indisprimary OR i.indisexclusion OR i.indisclustered) "
            "AND i.indisvalid AND NOT c.relispartition AND c.relkind = 'i' AND NOT EXISTS "
            "(SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid) AND NOT EXISTS "
            "(SELECT 1 FROM pg_attribute a WHERE a.attrelid = i.indexrelid AND a.attstattarget > 0)"
            " AND i.indrelid = ANY(%s) ORDER BY i.indexrelid"
        )
        return [(drop, [make, comment] if comment else [make]) for drop, make, comment in rows]

    def _ask(self, sql: str) -> list[Any]:
        names = [quoted(self.connection, one) for one in self.tables]
        oids = [
            self.connection.exec_driver_sql("SELECT to_regclass(%s)::oid", (one,)).scalar()
            for one in names
        ]
        return [*self.connection.exec_driver_sql(sql, (oids,))]
