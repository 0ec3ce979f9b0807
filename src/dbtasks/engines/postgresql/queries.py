"""The queries for all that a PostgreSQL database has, as the server itself writes it down."""

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
