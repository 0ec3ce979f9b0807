"""What a PostgreSQL database has: a dozen queries, whatever the number of its tables.

Expressions, types and whole definitions are taken as the server writes them (pg_get_expr,
format_type, pg_get_constraintdef, pg_get_indexdef), so that no knowledge of SQL is needed to
compare two of them.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from dbtasks.engines.base.definitions import (
    CHECK,
    COLUMN,
    DOMAIN,
    EXCLUDE,
    FOREIGN_KEY,
    FUNCTION,
    INDEX,
    PRIMARY_KEY,
    SCHEMA,
    SEQUENCE,
    TABLE,
    TRIGGER,
    TYPE,
    UNIQUE,
    VIEW,
    Definition,
    Key,
    Place,
    Reference,
    given,
)
from dbtasks.engines.postgresql.expressions import PostgreSQLRetelling

MINE = """n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"""
NOT_OF_AN_EXTENSION = """NOT EXISTS (
    SELECT 1 FROM pg_depend e WHERE e.objid = r.oid AND e.deptype = 'e')"""
RELATIONS = f"""pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace
    AND {MINE} AND {NOT_OF_AN_EXTENSION}"""
TYPES_OF = f"""pg_type r JOIN pg_namespace n ON n.oid = r.typnamespace
    AND {MINE} AND {NOT_OF_AN_EXTENSION}"""

SCHEMAS = f"SELECT n.nspname AS schema FROM pg_namespace n WHERE {MINE}"

ENUMS = f"""
SELECT n.nspname AS schema, r.typname AS name, obj_description(r.oid, 'pg_type') AS comment,
    array_agg(v.enumlabel::text ORDER BY v.enumsortorder) AS labels
FROM {TYPES_OF} JOIN pg_enum v ON v.enumtypid = r.oid GROUP BY r.oid, 1, 2
"""

COMPOSITES = f"""
SELECT n.nspname AS schema, r.typname AS name, obj_description(r.oid, 'pg_type') AS comment,
    (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', '
                       ORDER BY a.attnum)
     FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped) AS sql
FROM {TYPES_OF} JOIN pg_class c ON c.oid = r.typrelid AND c.relkind = 'c' WHERE r.typtype = 'c'
"""

DOMAINS = f"""
SELECT n.nspname AS schema, r.typname AS name, obj_description(r.oid, 'pg_type') AS comment,
    format_type(r.typbasetype, r.typtypmod) AS type, r.typdefault AS default,
    r.typnotnull AS required,
    CASE WHEN r.typcollation <> b.typcollation THEN r.typcollation::regcollation::text END
        AS collation,
    (SELECT array_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid))
                      ORDER BY k.conname)
     FROM pg_constraint k WHERE k.contypid = r.oid AND k.contype = 'c') AS checks
FROM {TYPES_OF} JOIN pg_type b ON b.oid = r.typbasetype WHERE r.typtype = 'd'
"""

COUNTS = """format('%s START %s INCREMENT %s MINVALUE %s MAXVALUE %s CACHE %s%s',
    format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache,
    CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END)"""

SEQUENCES = f"""
SELECT n.nspname AS schema, r.relname AS name, obj_description(r.oid, 'pg_class') AS comment,
    r.relpersistence::text AS persistence, {COUNTS} AS counts
FROM {RELATIONS} JOIN pg_sequence q ON q.seqrelid = r.oid
WHERE NOT EXISTS (SELECT 1 FROM pg_depend o WHERE o.objid = r.oid
                  AND o.classid = 'pg_class'::regclass AND o.deptype IN ('a', 'i'))
"""

TABLES = f"""
SELECT n.nspname AS schema, r.relname AS name, obj_description(r.oid, 'pg_class') AS comment,
    r.relpersistence::text AS persistence, pg_get_partkeydef(r.oid) AS partitioned,
    pg_get_expr(r.relpartbound, r.oid) AS bound, r.reloptions AS options,
    s.spcname AS tablespace, m.amname AS method,
    (SELECT array_agg(h.inhparent::regclass::text ORDER BY h.inhseqno)
     FROM pg_inherits h WHERE h.inhrelid = r.oid) AS parents
FROM {RELATIONS} LEFT JOIN pg_tablespace s ON s.oid = r.reltablespace
LEFT JOIN pg_am m ON m.oid = r.relam AND m.amname <> 'heap'
WHERE r.relkind IN ('r', 'p')
"""

COLUMNS = f"""
SELECT n.nspname AS schema, r.relname AS table, a.attname AS name,
    format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
    a.attgenerated::text AS generated, a.attidentity::text AS identity,
    pg_get_expr(d.adbin, d.adrelid) AS expression, col_description(r.oid, a.attnum) AS comment,
    CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END
        AS collation,
    CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage::text END AS storage,
    NULLIF(a.attcompression::text, '') AS compression, a.attislocal AS is_local,
    q.seqrelid::regclass::text AS sequence, {COUNTS} AS counts,
    format_type(q.seqtypid, NULL) AS sequence_type,
    (SELECT array_agg(o.attname::text) FROM pg_depend p
     JOIN pg_attribute o ON o.attrelid = p.refobjid AND o.attnum = p.refobjsubid
     WHERE a.attgenerated <> '' AND p.refobjid = r.oid AND p.refclassid = 'pg_class'::regclass
        AND (p.objid = d.oid AND p.classid = 'pg_attrdef'::regclass
             OR p.objid = r.oid AND p.objsubid = a.attnum AND p.classid = 'pg_class'::regclass)
        AND o.attnum <> a.attnum) AS uses
FROM {RELATIONS} JOIN pg_attribute a ON a.attrelid = r.oid JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
LEFT JOIN (
    SELECT s.*, o.refobjid, o.refobjsubid FROM pg_sequence s JOIN pg_depend o
    ON o.objid = s.seqrelid AND o.classid = 'pg_class'::regclass AND o.deptype IN ('a', 'i')
        AND o.refobjsubid > 0
) q ON q.refobjid = r.oid AND q.refobjsubid = a.attnum
WHERE r.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

CONSTRAINTS = f"""
SELECT n.nspname AS schema, r.relname AS table, c.conname AS name, c.contype::text AS kind,
    pg_get_constraintdef(c.oid) AS sql, pg_get_expr(c.conbin, c.conrelid) AS expression,
    obj_description(c.oid, 'pg_constraint') AS comment, x.reloptions AS options,
    s.spcname AS tablespace, c.condeferrable AS deferrable, c.condeferred AS deferred,
    c.confupdtype::text AS onupdate, c.confdeltype::text AS ondelete,
    c.confmatchtype::text AS match,
    (SELECT array_agg(a.attname::text ORDER BY k.at)
     FROM unnest(c.conkey) WITH ORDINALITY k(number, at)
     JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number) AS columns,
    fn.nspname AS to_schema, f.relname AS to_table,
    (SELECT array_agg(a.attname::text ORDER BY k.at)
     FROM unnest(c.confkey) WITH ORDINALITY k(number, at)
     JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number) AS to_columns
FROM {RELATIONS} JOIN pg_constraint c ON c.conrelid = r.oid
LEFT JOIN pg_class x ON x.oid = c.conindid AND c.contype IN ('p', 'u', 'x')
LEFT JOIN pg_tablespace s ON s.oid = x.reltablespace
LEFT JOIN pg_class f ON f.oid = c.confrelid LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
WHERE c.contype IN ('p', 'u', 'f', 'c', 'x') AND c.conislocal AND c.conparentid = 0
ORDER BY c.oid
"""

INDEXES = f"""
SELECT n.nspname AS schema, r.relname AS table, i.relname AS name,
    pg_get_indexdef(i.oid, 0, true) AS sql, x.indisunique AS is_unique, x.indisvalid AS is_valid,
    obj_description(i.oid, 'pg_class') AS comment, s.spcname AS tablespace,
    (SELECT array_agg(DISTINCT a.attname::text) FROM pg_depend p JOIN pg_attribute a
     ON a.attrelid = p.refobjid AND a.attnum = p.refobjsubid
     WHERE p.objid = i.oid AND p.refobjid = r.oid) AS uses,
    (SELECT array_agg(a.attname::text ORDER BY k.at)
     FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(number, at)
     JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = k.number) AS columns
FROM {RELATIONS} JOIN pg_index x ON x.indrelid = r.oid JOIN pg_class i ON i.oid = x.indexrelid
LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
WHERE NOT EXISTS (SELECT 1 FROM pg_constraint c
                  WHERE c.conindid = i.oid AND c.contype IN ('p', 'u', 'x'))
    AND NOT EXISTS (SELECT 1 FROM pg_inherits h WHERE h.inhrelid = i.oid)
ORDER BY i.oid
"""

VIEWS = f"""
SELECT n.nspname AS schema, r.relname AS name, obj_description(r.oid, 'pg_class') AS comment,
    pg_get_viewdef(r.oid) AS sql, r.relkind = 'm' AS is_materialized, r.reloptions AS options
FROM {RELATIONS} WHERE r.relkind IN ('v', 'm') ORDER BY r.oid
"""

TRIGGERS = f"""
SELECT n.nspname AS schema, r.relname AS table, t.tgname AS name,
    pg_get_triggerdef(t.oid) AS sql, t.tgenabled::text AS enabled
FROM {RELATIONS} JOIN pg_trigger t ON t.tgrelid = r.oid
WHERE NOT t.tgisinternal AND t.tgparentid = 0 ORDER BY t.oid
"""

FUNCTIONS = f"""
SELECT n.nspname AS schema, r.oid::regprocedure::text AS name, pg_get_functiondef(r.oid) AS sql
FROM pg_proc r JOIN pg_namespace n ON n.oid = r.pronamespace AND {MINE} AND {NOT_OF_AN_EXTENSION}
WHERE r.prokind IN ('f', 'p') ORDER BY r.oid
"""

PLAIN = re.compile(
    r"""
    PRIMARY\ KEY\ \([^()]*\)
    | (?: UNIQUE\ \([^()]*\)
        | FOREIGN\ KEY\ \([^()]*\)\ REFERENCES\ [^()]*\([^()]*\) (?:\ MATCH\ FULL)?
          (?:\ ON\ (?:DELETE|UPDATE)\ (?:CASCADE|SET\ NULL|SET\ DEFAULT|RESTRICT))*
      ) (?:\ DEFERRABLE (?:\ INITIALLY\ DEFERRED)?)?
    | CHECK\ \(.*\)
    """,
    re.DOTALL | re.VERBOSE,
)
"""A constraint that Alembic's operations can make; any other is made by what the server tells."""

KINDS = {"p": PRIMARY_KEY, "u": UNIQUE, "f": FOREIGN_KEY, "c": CHECK, "x": EXCLUDE}
ACTIONS = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT", "r": "RESTRICT"}
PERSISTENCE = {"u": "UNLOGGED", "t": "TEMPORARY"}


def definitions(connection: Connection) -> Iterator[tuple[Key, Definition]]:
    """Yield all that a database has, those of extensions and of the server left out."""
    return _Reader(connection).read()


class _Reader:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.own = connection.dialect.default_schema_name
        self.quote = connection.dialect.identifier_preparer.quote
        self.retold = PostgreSQLRetelling().retold

    def read(self) -> Iterator[tuple[Key, Definition]]:
        for row in self._ask(SCHEMAS):
            yield Key(SCHEMA, self._schema(row.schema), ""), Definition()
        for kind, query, define in (
            (TYPE, ENUMS, _enum),
            (TYPE, COMPOSITES, _composite),
            (DOMAIN, DOMAINS, self._domain),
            (SEQUENCE, SEQUENCES, _sequence),
            (TABLE, TABLES, _table),
            (COLUMN, COLUMNS, self._column),
            ("", CONSTRAINTS, self._constraint),
            (INDEX, INDEXES, self._index),
            (VIEW, VIEWS, _view),
            (TRIGGER, TRIGGERS, _trigger),
            (FUNCTION, FUNCTIONS, _function),
        ):
            for row in self._ask(query):
                yield self._key(kind or KINDS[row.kind], row), define(row)

    def _ask(self, sql: str) -> Sequence[Row[Any]]:
        return self.connection.exec_driver_sql(sql, execution_options={"no_parameters": True}).all()

    def _schema(self, name: str) -> str | None:
        return None if name == self.own else name

    def _key(self, kind: str, row: Any) -> Key:
        schema = self._schema(row.schema)
        if kind in (TABLE, VIEW):
            return Key(kind, schema, row.name)
        return Key(kind, schema, getattr(row, "table", ""), row.name)

    def _domain(self, row: Any) -> Definition:
        checks = ", ".join(map(self.retold, row.checks or ()))
        return Definition(
            given(
                type=row.type,
                collation=row.collation,
                default=self.retold(row.default or ""),
                required="yes" if row.required else "",
                checks=checks,
                comment=row.comment,
            )
        )

    def _column(self, row: Any) -> Definition:
        attributes = given(
            type=row.type,
            null="no" if row.required else "yes",
            comment=row.comment,
            collation=row.collation,
            storage=row.storage,
            compression=row.compression,
            inherited="" if row.is_local else "yes",
        )
        parts: dict[str, object] = {}
        collation = {"collation": row.collation.strip('"')} if row.collation else {}
        if row.generated:
            stored = row.generated == "s"
            attributes["computed"] = self.retold(row.expression) + ("" if stored else " VIRTUAL")
            parts = {"computed": row.expression, "persisted": stored}
        elif row.identity:
            always = "ALWAYS" if row.identity == "a" else "BY DEFAULT"
            attributes["identity"] = f"{always} {row.counts}"
            parts = {"sequence": row.sequence}
        elif row.sequence and (row.expression or "").startswith("nextval("):
            attributes |= {"default": "serial", "sequence": row.counts}
            parts = {
                "default": row.expression,
                "sequence": row.sequence,
                "sequence_type": row.sequence_type,
            }
        elif row.expression:
            attributes["default"] = self.retold(row.expression)
            parts = {"default": row.expression}
        return Definition(attributes, frozenset(row.uses or ()), parts=parts | collation)

    def _constraint(self, row: Any) -> Definition:
        columns = tuple(row.columns or ())
        refers = None
        parts: dict[str, object] = {}
        if row.kind == "f":
            to = Place(self._schema(row.to_schema), row.to_table)
            refers = Reference(to, tuple(row.to_columns))
            actions = {"ondelete": row.ondelete, "onupdate": row.onupdate}
            parts = {name: ACTIONS[code] for name, code in actions.items() if code in ACTIONS}
            parts |= {"match": "FULL"} if row.match == "f" else {}
        if row.deferrable:
            parts |= {
                "deferrable": True,
                "initially": "DEFERRED" if row.deferred else "IMMEDIATE",
            }
        if not PLAIN.fullmatch(row.sql):
            parts["statement"] = row.sql
        return Definition(
            given(
                sql=self.retold(row.sql),
                options=_options(row),
                tablespace=row.tablespace,
                comment=row.comment,
            ),
            frozenset(columns),
            columns,
            row.expression if row.kind == "c" else row.sql,
            refers,
            parts,
        )

    def _index(self, row: Any) -> Definition:
        how = row.sql.partition(" USING ")[2]
        columns = tuple(row.columns or ())
        is_plain = how == f"btree ({', '.join(map(self.quote, columns))})" and not row.tablespace
        return Definition(
            given(
                unique="yes" if row.is_unique else "no",
                sql=self.retold(how),
                valid="" if row.is_valid else "no",
                tablespace=row.tablespace,
                comment=row.comment,
            ),
            frozenset(row.uses or columns),
            columns if is_plain else None,
            row.sql,
        )


def _enum(row: Any) -> Definition:
    labels = tuple(row.labels)
    return Definition(given(labels=repr(labels), comment=row.comment), parts={"labels": labels})


def _composite(row: Any) -> Definition:
    return Definition(given(fields=row.sql, comment=row.comment))


def _sequence(row: Any) -> Definition:
    persistence = PERSISTENCE.get(row.persistence)
    attributes = given(counts=row.counts, persistence=persistence, comment=row.comment)
    return Definition(attributes, sql=row.counts)


def _function(row: Any) -> Definition:
    return Definition({"sql": row.sql}, sql=row.sql)


def _trigger(row: Any) -> Definition:
    return Definition(given(sql=row.sql, enabled="" if row.enabled == "O" else row.enabled))


def _table(row: Any) -> Definition:
    return Definition(
        given(
            comment=row.comment,
            persistence=PERSISTENCE.get(row.persistence),
            partitioned=row.partitioned,
            bound=row.bound,
            parents=", ".join(row.parents or ()),
            options=_options(row),
            tablespace=row.tablespace,
            method=row.method,
        )
    )


def _view(row: Any) -> Definition:
    return Definition(
        given(
            sql=row.sql,
            materialized="yes" if row.is_materialized else "",
            options=_options(row),
            comment=row.comment,
        ),
        sql=row.sql,
    )


def _options(row: Any) -> str:
    return ", ".join(sorted(row.options or ()))
