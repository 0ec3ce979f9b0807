"""The attributes that the DDL compilers of SQLAlchemy can write, each changed alone."""

import sqlalchemy

from cases import ALL, ROWS, SERVERS, Case, on_parent, parent

PG, MARIA, LITE = (["postgresql"], ["mariadb"], ["sqlite"])
NEW_PG = [] if sqlalchemy.__version__.startswith("2.0.") else PG  # what SQLAlchemy 2.1 can write
CODE = 'sa.Column("code", sa.String(9)), '
OWNER = 'sa.Column("owner", sa.Integer), sa.ForeignKeyConstraint(["owner"], ["parent.id"], {})'
SAID = (
    'table("dep", key(), schema="public")\n'
    'table("emp", key(), {0}sa.Column("dep", sa.ForeignKey("public.dep.id"{1})), schema="hr")\n'
    'table("own", key(), {0}sa.Column("dep", sa.ForeignKey("public.dep.id"{1})))\n'
    'table("pay", key(), {0}sa.Column("emp", sa.ForeignKey("hr.emp.id"{1})), schema="public")\n'
)
PAIR = (
    'table("pair", sa.Column("a", sa.Integer, primary_key=True, autoincrement=False),'
    ' sa.Column("b", sa.Integer, primary_key=True, autoincrement=False))'
)
LONG_TABLE, LONG_COLUMN = "a_rather_long_name_of_a_table_that_has_", "a_long_name_of_a_column_"
LONG = (
    f'table("{LONG_TABLE}{{0}}", key(), sa.Column("{LONG_COLUMN}{{1}}", sa.Integer, index=True,'
    f' unique=True), sa.Column("up", sa.ForeignKey("{LONG_TABLE}{{0}}.id")),'
    f' sa.CheckConstraint("{LONG_COLUMN}{{1}} > 0", name="positive"))'
)
UNNAMED = (
    f'table("{LONG_TABLE}{LONG_COLUMN[:20]}", key(),'
    f' sa.Column("{LONG_COLUMN}one", sa.ForeignKey("parent.id"){{}}))'
)
SIGNS = (
    'table("100% all", key(), sa.Column("a%b", sa.String(9), unique=True),'
    ' sa.Column("c %s", sa.Integer, index=True), sa.Column("d%(e)s", sa.ForeignKey("parent.id")))'
)
KEPT = 'table("kept", key())\n'
MAIL = """postgresql.DOMAIN("mail", sa.String(50), check="VALUE LIKE '%@%'")"""
MAILED = 'table("mailed", key(), sa.Column("mail", {}))\n'
KID = (
    'table("adult", key(), sa.Column("name", sa.String(20)))\n'
    'table("kid", key(), sa.Column("more", sa.Integer), postgresql_inherits="adult")\n'
)
PARTITIONED = (
    'table("event", key(), sa.Column("day", sa.Date, primary_key=True),'
    ' postgresql_partition_by="RANGE (day)")\n'
)


def table(before: str, after: str) -> dict[str, str]:
    """Return two states of a table of its own."""
    start = 'table("thing", key(), sa.Column("name", sa.String(20)){})\n'
    return {"before": start.format(before), "after": start.format(after)}


FIRST = 'sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)'
TWO = f'{FIRST}, sa.Column("part", sa.String(5), primary_key=True, server_default="x")'
FORMER = 'sa.Column("code", sa.String(5), primary_key=True)'
PLAIN_FORMER = 'sa.Column("code", sa.String(5), nullable=False)'
THINGS = ("INSERT INTO thing (code) VALUES ('x'), ('y')",)

CHANGES = (
    on_parent(
        "attribute include of a unique",
        CODE + 'sa.UniqueConstraint("code", name="uq")',
        CODE + 'sa.UniqueConstraint("code", name="uq", postgresql_include=["name"])',
        on=NEW_PG,
    ),
    on_parent(
        "attribute nulls of a unique",
        CODE + 'sa.UniqueConstraint("code", name="uq")',
        CODE + 'sa.UniqueConstraint("code", name="uq", postgresql_nulls_not_distinct=True)',
        on=PG,
        rows=(),
    ),
    on_parent(
        "attribute deferrable of a unique",
        CODE + 'sa.UniqueConstraint("code", name="uq")',
        CODE + 'sa.UniqueConstraint("code", name="uq", deferrable=True, initially="DEFERRED")',
        on=PG,
    ),
    on_parent(
        "attribute deferrable of a foreign key",
        OWNER.format('name="fk"'),
        OWNER.format('name="fk", deferrable=True, initially="DEFERRED"'),
        on=[*PG, *LITE],
    ),
    on_parent(
        "attribute match of a foreign key",
        OWNER.format('name="fk"'),
        OWNER.format('name="fk", match="FULL"'),
        on=PG,
    ),
    on_parent(
        "attribute columns of ON DELETE",
        OWNER.format('name="fk", ondelete="SET NULL"'),
        OWNER.format('name="fk", ondelete="SET NULL (owner)"'),
        on=NEW_PG,
    ),
    *(
        on_parent(
            f"attribute {name} of an index",
            CODE + 'sa.Index("ix", "code")',
            CODE + f'sa.Index("ix", "code", {option})',
            on=PG,
        )
        for name, option in (
            ("include", 'postgresql_include=["name"]'),
            ("using", 'postgresql_using="hash"'),
            ("operator class", 'postgresql_ops={"code": "varchar_pattern_ops"}'),
            ("with", 'postgresql_with={"fillfactor": 50}'),
            ("nulls", "unique=True, postgresql_nulls_not_distinct=False"),
        )
    ),
    on_parent(
        "attribute operator of an exclude",
        CODE + 'postgresql.ExcludeConstraint(("code", "="), name="ex", using="btree")',
        CODE + 'postgresql.ExcludeConstraint(("code", "="), name="ex", using="btree",'
        ' ops={"code": "varchar_pattern_ops"})',
        on=PG,
    ),
    on_parent(
        "attribute collation of a column",
        'sa.Column("code", sa.String(9))',
        'sa.Column("code", sa.String(9, collation="C"))',
        on=PG,
    ),
    on_parent(
        "attribute collation of a column on SQLite",
        'sa.Column("code", sa.String(9))',
        'sa.Column("code", sa.String(9, collation="NOCASE"))',
        on=LITE,
    ),
    on_parent(
        "attribute collation of a column on MariaDB",
        'sa.Column("code", sa.String(9))',
        'sa.Column("code", sa.String(9, collation="utf8mb4_bin"))',
        on=MARIA,
    ),
    Case(
        "attribute persistence of a table",
        **table("", ', prefixes=["UNLOGGED"]'),
        on=PG,
    ),
    Case(
        "attribute options of a table",
        **table(', postgresql_with={"fillfactor": 70}', ', postgresql_with={"fillfactor": 50}'),
        on=NEW_PG,
    ),
    *(
        Case(f"attribute {name} of a table", **table("", f", {option}"), on=MARIA)
        for name, option in (
            ("engine", 'mariadb_engine="MyISAM", mysql_engine="MyISAM"'),
            ("collation", 'mariadb_collate="utf8mb4_bin", mysql_collate="utf8mb4_bin"'),
            ("row format", 'mariadb_row_format="COMPACT", mysql_row_format="COMPACT"'),
        )
    ),
    on_parent(
        "attribute prefix of an index",
        CODE + 'sa.Index("ix", "code")',
        CODE + 'sa.Index("ix", "code", mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT")',
        on=MARIA,
    ),
    Case(
        "attribute columns of a primary key",
        'table("thing", sa.Column("a", sa.Integer, primary_key=True, autoincrement=False),'
        ' sa.Column("b", sa.Integer, nullable=False))',
        'table("thing", sa.Column("a", sa.Integer, primary_key=True, autoincrement=False),'
        ' sa.Column("b", sa.Integer, primary_key=True, autoincrement=False))',
    ),
    *(
        Case(f"attribute {name}", f'table("thing", {before})', f'table("thing", {after})', rows, on)
        for name, before, after, rows, on in (
            ("of a key that has two columns now", "key()", TWO, (), ALL),
            ("of a key that had two columns", TWO, "key()", (), ALL),
            ("of a key that does not count any more", "key()", FIRST, (), SERVERS),
            ("of a key that counts now", FIRST, "key()", (), SERVERS),
            ("of a new key beside the former one", FORMER, f"key(), {PLAIN_FORMER}", THINGS, ALL),
        )
    ),
    Case(
        "attribute of a sequence that stands alone",
        'sa.Sequence("numbers", metadata=Base.metadata)\n' + table("", "")["before"],
        'sa.Sequence("numbers", increment=5, metadata=Base.metadata)\n' + table("", "")["before"],
        on=[*PG, *MARIA],
    ),
    Case(
        "attribute of a sequence that is new",
        table("", "")["before"],
        'sa.Sequence("numbers", start=7, cycle=True, metadata=Base.metadata)\n'
        + table("", "")["before"],
        on=[*PG, *MARIA],
    ),
    *(
        Case(f"domain {name}", KEPT + before, KEPT + after, on=PG, dropped=dropped)
        for name, before, after, dropped in (
            ("of a new table", "", MAILED.format(MAIL), ()),
            ("of a new column", 'table("mailed", key())', MAILED.format(MAIL), ()),
            ("in an array", "", MAILED.format(f"postgresql.ARRAY({MAIL})"), ()),
            ("with another check", MAILED.format(MAIL), MAILED.format(MAIL.replace("@", ".")), ()),
            (
                "with another default",
                MAILED.format(MAIL),
                MAILED.format(MAIL[:-1] + ", default='a@b', not_null=True)"),
                (),
            ),
            ("dropped with its table", MAILED.format(MAIL), "", ["mailed"]),
        )
    ),
    *(
        Case(f"{name}", KEPT + before, KEPT + after, on=PG, dropped=dropped)
        for name, before, after, dropped in (
            ("table that inherits from a new one", "", KID, ()),
            ("table that inherits from one that exists", KID.partition("\n")[0], KID, ()),
            ("table that inherits dropped with its parent", KID, "", ["adult", "kid"]),
            ("table that inherits dropped", KID, KID.partition("\n")[0], ["kid"]),
            ("table with partitions", "", PARTITIONED, ()),
            ("table with partitions dropped", PARTITIONED, "", ["event"]),
        )
    ),
    *(
        Case(f"schema that is said, {name}", SAID.format("", key), SAID.format(more, key), on=PG)
        for name, key in (("with a name", ', name="fk"'), ("without a name", ""))
        for more in ('sa.Column("more", sa.Integer), ',)
    ),
    Case(
        "key that counts beside former keys",
        PAIR,
        PAIR.replace("primary_key=True", "nullable=False").replace('"pair", ', '"pair", key(), '),
        ["INSERT INTO pair (a, b) VALUES (1, 2), (2, 1)"],
        on=[*PG, *LITE],
    ),
    Case(
        "large key that counts, of a table without one",
        'table("bare", sa.Column("code", sa.String(9)))',
        'table("bare", sa.Column("code", sa.String(9)), sa.Column("id", sa.BigInteger()'
        '.with_variant(sa.Integer(), "sqlite"), primary_key=True))',
        ["INSERT INTO bare (code) VALUES ('x'), ('y')"],
        on=[*PG, *LITE],
    ),
    Case(
        "long names of a table that is renamed",
        LONG.format("one", "two"),
        LONG.format("three", "two"),
        renames={f"{LONG_TABLE}one": f"{LONG_TABLE}three"},
        convention=True,
    ),
    Case(
        "long names of a column that is renamed",
        LONG.format("one", "two"),
        LONG.format("one", "three"),
        renames={f"{LONG_TABLE}one.{LONG_COLUMN}two": f"{LONG_TABLE}one.{LONG_COLUMN}three"},
        convention=True,
    ),
    Case(
        "long names of what has none",
        parent(),
        parent() + UNNAMED.format(", unique=True"),
        on=[*PG, *LITE],
    ),
    Case(
        "long names of what has none, and is new",
        parent() + UNNAMED.format("").replace('sa.ForeignKey("parent.id")', "sa.Integer"),
        parent() + UNNAMED.format(", unique=True"),
        on=[*PG, *LITE],
    ),
    Case(
        "table renamed in its case alone",
        'table("things", key(), sa.Column("a", sa.Integer, index=True))',
        'table("Things", key(), sa.Column("a", sa.Integer, index=True))',
        renames={"things": "Things"},
    ),
    Case("signs of parameters in names", parent(), parent() + SIGNS),
    Case("signs of parameters in names dropped", parent() + SIGNS, parent(), dropped=["100% all"]),
    on_parent(
        "attribute comment of a constraint",
        CODE + 'sa.UniqueConstraint("code", name="uq")',
        CODE + 'sa.UniqueConstraint("code", name="uq", comment="one each")',
        on=PG,
    ),
    on_parent(
        "attribute options of an identity",
        'sa.Column("n", sa.Integer, sa.Identity(start=5), nullable=False)',
        'sa.Column("n", sa.Integer, sa.Identity(start=5, increment=3), nullable=False)',
        on=PG,
        rows=ROWS,
    ),
)
