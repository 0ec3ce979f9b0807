"""The changes that tables, their columns and the types of these may see."""

import alembic

from cases import ALL, ROWS, SERVERS, Case, on_parent, parent

ALEMBIC = tuple(map(int, alembic.__version__.split(".")[:2]))

STORED = (
    'sa.Column("b", sa.Integer), sa.Column("a", sa.Integer, sa.Computed("b + {}", persisted=True))'
)
BESIDE = (
    'sa.Column("b", sa.Integer),'
    ' sa.Column("sum", sa.Integer, sa.Computed("coalesce(b, 2) + 1", persisted={1})),'
    ' sa.Column("w", sa.String({0})), sa.Index("ix_sum", "sum")'
)
OTHER = 'table("{}", key(), sa.Column("a", sa.Enum({}, name="color"), server_default="red"))\n'
PAY = 'table("pay", key(), {}, schema="hr")'

CHANGES = (
    Case("table", parent(), parent() + 'table("other", key())', ROWS, batch=False),
    Case(
        "table dropped",
        parent() + 'table("other", key())',
        parent(),
        ("INSERT INTO other (id) VALUES (1)", *ROWS),
        lost=["other"],
    ),
    on_parent("column", "", 'sa.Column("age", sa.Integer)', batch=False),
    on_parent("column dropped", 'sa.Column("age", sa.Integer)', "", batch=True),
    on_parent(
        "column that takes no NULL",
        "",
        'sa.Column("age", sa.Integer, nullable=False)',
        defaults={"parent.age": "3"},
    ),
    on_parent(
        "column that takes no NULL, and gets an expression",
        "",
        'sa.Column("age", sa.Integer, nullable=False)',
        expressions={"parent.age": "id + 1"},
    ),
    on_parent(
        "column renamed",
        'sa.Column("age", sa.Integer)',
        'sa.Column("years", sa.Integer)',
        renames={"parent.age": "parent.years"},
        batch=False,
    ),
    on_parent("type", 'sa.Column("age", sa.Integer)', 'sa.Column("age", sa.BigInteger)'),
    on_parent("length", 'sa.Column("a", sa.String(5))', 'sa.Column("a", sa.String(50))'),
    on_parent("length of text", 'sa.Column("a", sa.String(5))', 'sa.Column("a", sa.Text)'),
    on_parent("scale", 'sa.Column("a", sa.Numeric(8, 2))', 'sa.Column("a", sa.Numeric(10, 4))'),
    on_parent(
        "NOT NULL",
        'sa.Column("a", sa.Integer)',
        'sa.Column("a", sa.Integer, nullable=False)',
        defaults={"parent.a": "7"},
        batch=True,
    ),
    on_parent(
        "NULL",
        'sa.Column("a", sa.Integer, nullable=False, server_default="1")',
        'sa.Column("a", sa.Integer, server_default="1")',
        batch=True,
    ),
    on_parent(
        "default",
        'sa.Column("a", sa.Integer)',
        'sa.Column("a", sa.Integer, server_default="5")',
    ),
    on_parent(
        "default changed",
        'sa.Column("a", sa.Integer, server_default="5")',
        'sa.Column("a", sa.Integer, server_default=sa.text("6"))',
    ),
    on_parent(
        "default removed",
        'sa.Column("a", sa.String(5), server_default="x")',
        'sa.Column("a", sa.String(5))',
    ),
    on_parent(
        "default of a text with quotes and colons",
        'sa.Column("a", sa.String(40), server_default="x")',
        'sa.Column("a", sa.String(40), server_default="it\'s :now or 10:30 100% \\"q\\"")',
    ),
    on_parent(
        "default true",
        'sa.Column("a", sa.Boolean)',
        'sa.Column("a", sa.Boolean, server_default=sa.true(), nullable=False)',
        defaults={"parent.a": "true"},
    ),
    on_parent(
        "default true turned false",
        'sa.Column("a", sa.Boolean, server_default=sa.true(), nullable=False)',
        'sa.Column("a", sa.Boolean, server_default=sa.false(), nullable=False)',
    ),
    on_parent(
        "default now()",
        'sa.Column("a", sa.DateTime)',
        'sa.Column("a", sa.DateTime, server_default=func.now())',
    ),
    on_parent(
        "new column with default now()",
        "",
        'sa.Column("a", sa.DateTime, server_default=func.now(), nullable=False)',
        batch=True,
    ),
    on_parent(
        "new columns with defaults",
        "",
        'sa.Column("a", sa.Integer, server_default="5", nullable=False), '
        'sa.Column("b", sa.String(30), server_default="it\'s 10:30 :x", nullable=False), '
        'sa.Column("c", sa.Boolean, server_default=sa.false(), nullable=False)',
        batch=False,
    ),
    on_parent(
        "enum value added",
        'sa.Column("a", sa.Enum("red", "green", name="color"))',
        'sa.Column("a", sa.Enum("red", "green", "turquoise", name="color"))',
    ),
    on_parent(
        "enum value added, and a computed column",
        'sa.Column("a", sa.Enum("red", "green", name="color")), sa.Column("b", sa.Integer)',
        'sa.Column("a", sa.Enum("red", "green", "turquoise", name="color")),'
        ' sa.Column("b", sa.Integer), sa.Column("c", sa.Integer, sa.Computed("b + 1"))',
    ),
    on_parent(
        "enum value added, and an identity column",
        'sa.Column("a", sa.Enum("red", "green", name="color"))',
        'sa.Column("a", sa.Enum("red", "green", "turquoise", name="color")),'
        ' sa.Column("c", sa.Integer, sa.Identity(start=10))',
        on=["postgresql"],
    ),
    on_parent(
        "enum value added in the middle, with a default",
        'sa.Column("a", sa.Enum("red", "green", name="color"), server_default="red")',
        'sa.Column("a", sa.Enum("red", "blue", "green", name="color"), server_default="blue")',
    ),
    on_parent(
        "enum value removed",
        'sa.Column("a", sa.Enum("red", "green", "turquoise", name="color"), server_default="red")',
        'sa.Column("a", sa.Enum("red", "green", name="color"), server_default="red")',
        rows=(*ROWS, "UPDATE parent SET a = 'turquoise' WHERE id = 2"),
        defaults={"parent.a": "green"},
        on=SERVERS,
    ),
    on_parent(
        "enum value removed that was the default",
        'sa.Column("a", sa.Enum("red", "green", "turquoise", name="color"),'
        ' server_default="turquoise")',
        'sa.Column("a", sa.Enum("red", "green", name="color"), server_default="red")',
        rows=(*ROWS, "UPDATE parent SET a = 'green'"),
        defaults={"parent.a": "green"},
        on=SERVERS,
    ),
    on_parent(
        "enum value removed, and a column of it dropped",
        'sa.Column("a", sa.Enum("red", "green", "pink", name="color")),'
        ' sa.Column("b", sa.Enum("red", "green", "pink", name="color"))',
        'sa.Column("a", sa.Enum("red", "green", name="color"))',
        rows=(*ROWS, "UPDATE parent SET a = 'pink'"),
        defaults={"parent.a": "green"},
        on=SERVERS,
    ),
    on_parent(
        "enum value removed, and columns of it added",
        'sa.Column("a", sa.Enum("red", "green", "pink", name="color"))',
        'sa.Column("a", sa.Enum("red", "green", name="color")),'
        ' sa.Column("b", sa.Enum("red", "green", name="color")),'
        ' sa.Column("c", sa.Enum("red", "green", name="color"), server_default="red"),'
        ' sa.Column("d", sa.Enum("red", "green", name="color"), nullable=False)',
        rows=(*ROWS, "UPDATE parent SET a = 'pink'"),
        defaults={"parent.a": "green", "parent.d": "red"},
        on=SERVERS,
    ),
    Case(
        "enum value removed, and tables of it added and dropped",
        parent()
        + OTHER.format("one", "'red', 'green', 'pink'")
        + OTHER.format("two", "'red', 'green', 'pink'"),
        parent() + OTHER.format("two", "'red', 'green'") + OTHER.format("three", "'red', 'green'"),
        (*ROWS, "INSERT INTO two (id, a) VALUES (1, 'pink')"),
        dropped=["one"],
        defaults={"two.a": "green"},
        on=SERVERS,
    ),
    on_parent(
        "enum values swapped, with a default",
        'sa.Column("a", sa.Enum("red", "green", name="color"), server_default="green")',
        'sa.Column("a", sa.Enum("red", "pink", "turquoise", name="color"), server_default="pink")',
        rows=(*ROWS, "UPDATE parent SET a = 'green'"),
        defaults={"parent.a": "red"},
        on=SERVERS,
    ),
    on_parent(
        "enum with a check, value added",
        'sa.Column("a", sa.Enum("red", "green", name="color", native_enum=False,'
        " create_constraint=True))",
        'sa.Column("a", sa.Enum("red", "green", "blue", name="color", native_enum=False,'
        " create_constraint=True))",
    ),
    on_parent("enum column", "", 'sa.Column("a", sa.Enum("red", "green", name="color"))'),
    on_parent(
        "enum column that takes no NULL",
        "",
        'sa.Column("a", sa.Enum("red", "green", name="color"), nullable=False)',
        defaults={"parent.a": "red"},
    ),
    on_parent("enum column dropped", 'sa.Column("a", sa.Enum("red", "green", name="color"))', ""),
    Case(
        "enum of two tables, one dropped",
        parent('sa.Column("a", sa.Enum("red", "green", name="color"))')
        + 'table("other", key(), sa.Column("a", sa.Enum("red", "green", name="color")))',
        parent('sa.Column("a", sa.Enum("red", "green", name="color"))'),
        ROWS,
    ),
    Case(
        "enum of a table dropped",
        parent() + 'table("other", key(), sa.Column("a", sa.Enum("red", "green", name="color")))',
        parent(),
        ROWS,
    ),
    Case(
        "text turned enum",
        parent('sa.Column("a", sa.String(10), server_default="red")'),
        parent('sa.Column("a", sa.Enum("red", "green", name="color"), server_default="red")'),
        ROWS,
    ),
    on_parent("comment", "", "comment=\"People: 'all' of them\"", on=SERVERS),
    on_parent("comment dropped", 'comment="People"', "", on=SERVERS),
    on_parent(
        "comment on a column",
        'sa.Column("a", sa.Integer)',
        'sa.Column("a", sa.Integer, comment="how :many")',
        on=SERVERS,
    ),
    on_parent(
        "computed column",
        'sa.Column("b", sa.Integer)',
        'sa.Column("b", sa.Integer), sa.Column("a", sa.Integer, sa.Computed("b + 1"))',
    ),
    on_parent(
        "computed column dropped",
        'sa.Column("b", sa.Integer), sa.Column("a", sa.Integer, sa.Computed("b + 1"))',
        'sa.Column("b", sa.Integer)',
    ),
    on_parent(
        "computed column changed",
        STORED.format(1),
        STORED.format(2),
    ),
    on_parent(
        "computed column changed, and another new",
        STORED.format(1),
        f"{STORED.format(2)}, sa.Column('c', sa.Integer)",
    ),
    on_parent(
        "column renamed, and in its place a computed one",
        'sa.Column("a", sa.Integer)',
        STORED.format(2),
        renames={"parent.a": "parent.b"},
    ),
    on_parent(
        "column turned computed",
        'sa.Column("b", sa.Integer), sa.Column("a", sa.Integer)',
        STORED.format(2),
        dropped=["parent.a"],
    ),
    on_parent(
        "computed column turned plain",
        STORED.format(2),
        'sa.Column("b", sa.Integer), sa.Column("a", sa.Integer)',
        dropped=["parent.a"],
    ),
    *(
        on_parent(
            f"column beside a computed one, {kind}",
            BESIDE.format(5, persisted),
            BESIDE.format(9, persisted),
            on=ALL if persisted else ["sqlite", "mariadb"],  # PostgreSQL has it since 18
        )
        for kind, persisted in (("virtual", False), ("stored", True))
    ),
    Case(
        "identity",
        parent() + 'table("other", sa.Column("id", sa.Integer, primary_key=True))',
        parent()
        + 'table("other", sa.Column("id", sa.Integer, sa.Identity(start=7), primary_key=True))',
        (*ROWS, "INSERT INTO other (id) VALUES (1)"),
        on=["postgresql"] if ALEMBIC >= (1, 20) else [],  # older ones alter it as if it were one
    ),
    Case(
        "identity changed",
        parent()
        + 'table("other", sa.Column("id", sa.Integer, sa.Identity(start=7), primary_key=True))',
        parent() + 'table("other", sa.Column("id", sa.Integer,'
        " sa.Identity(always=True, start=7, increment=2), primary_key=True))",
        ROWS,
        on=["postgresql"],
    ),
    on_parent(
        "identity column",
        "",
        'sa.Column("a", sa.Integer, sa.Identity(start=10))',
        on=["postgresql"],
    ),
    Case(
        "schema",
        parent(),
        parent() + 'table("pay", key(), sa.Column("parent_id", sa.ForeignKey("parent.id")),'
        ' schema="hr")',
        ROWS,
        on=["postgresql"],
    ),
    Case(
        "table of a schema changed",
        parent() + 'table("pay", key(), sa.Column("a", sa.Enum("x", "y", name="kind",'
        ' schema="hr")), schema="hr")',
        parent() + 'table("pay", key(), sa.Column("a", sa.Enum("x", "y", "z", name="kind",'
        ' schema="hr")), sa.Column("b", sa.Integer), schema="hr")',
        (*ROWS, "INSERT INTO hr.pay (id, a) VALUES (1, 'x')"),
        on=["postgresql"],
    ),
    Case(
        "column of a schema renamed",
        parent() + PAY.format('sa.Column("a", sa.Integer)'),
        parent() + PAY.format('sa.Column("b", sa.Integer)'),
        (*ROWS, "INSERT INTO hr.pay (id, a) VALUES (1, 5)"),
        on=["postgresql"],
        renames={"hr.pay.a": "hr.pay.b"},
    ),
    Case(
        "columns of a schema that take no NULL",
        parent() + PAY.format('sa.Column("a", sa.Integer)'),
        parent()
        + PAY.format(
            'sa.Column("a", sa.Integer, nullable=False), '
            'sa.Column("b", sa.String(5), nullable=False), '
            'sa.Column("c", sa.Integer, nullable=False)'
        ),
        (*ROWS, "INSERT INTO hr.pay (id) VALUES (1)"),
        on=["postgresql"],
        defaults={"hr.pay.a": "7", "hr.pay.b": "x"},
        expressions={"hr.pay.c": "id + 1"},
    ),
    Case(
        "enum value of a schema removed",
        parent() + PAY.format('sa.Column("a", sa.Enum("x", "y", "z", name="kind", schema="hr"))'),
        parent() + PAY.format('sa.Column("a", sa.Enum("x", "y", name="kind", schema="hr"))'),
        (*ROWS, "INSERT INTO hr.pay (id, a) VALUES (1, 'z')"),
        on=["postgresql"],
        defaults={"hr.pay.a": "y"},
    ),
    Case(
        "table of a schema renamed",
        parent() + PAY.format('sa.Column("a", sa.Integer)'),
        parent() + PAY.format('sa.Column("a", sa.Integer)').replace('"pay"', '"wage"'),
        (*ROWS, "INSERT INTO hr.pay (id, a) VALUES (1, 5)"),
        on=["postgresql"],
        renames={"hr.pay": "hr.wage"},
    ),
    on_parent(
        "types of PostgreSQL",
        "",
        'sa.Column("a", postgresql.JSONB), sa.Column("b", postgresql.ARRAY(sa.String(5))),'
        ' sa.Column("c", postgresql.INET), sa.Column("d", postgresql.TSVECTOR),'
        ' sa.Column("e", sa.JSON().with_variant(postgresql.JSONB(), "postgresql")),'
        ' sa.Column("f", sa.Uuid), sa.Column("g", sa.Interval), sa.Column("h", sa.LargeBinary),'
        ' sa.Column("i", sa.DateTime(timezone=True), server_default=func.now()),'
        ' sa.Column("j", postgresql.JSONB, server_default=sa.text("\'{}\'::jsonb"))',
        on=["postgresql"],
        code=["from sqlalchemy.dialects import postgresql"],
    ),
    on_parent(
        "types of PostgreSQL beside others",
        "",
        'sa.Column("a", sa.JSON().with_variant(postgresql.JSONB(), "postgresql")),'
        ' sa.Column("b", postgresql.ARRAY(sa.String(5))'
        '.with_variant(sa.JSON(), "sqlite", "mysql", "mariadb")),'
        ' sa.Column("c", sa.JSON().with_variant(postgresql.ARRAY(sa.Text), "postgresql")),'
        ' sa.Column("d", postgresql.JSONB().with_variant(sa.JSON(), "sqlite", "mysql", "mariadb"))',
        code=["from sqlalchemy.dialects import postgresql"],
    ),
    on_parent(
        "all plain types",
        "",
        ", ".join(
            f'sa.Column("c{number}", {one})'
            for number, one in enumerate(
                (
                    "sa.Integer, index=True",
                    "sa.SmallInteger",
                    "sa.BigInteger",
                    "sa.Numeric(10, 2)",
                    "sa.Float",
                    "sa.Double",
                    "sa.Boolean",
                    "sa.String(20)",
                    "sa.Unicode(20)",
                    "sa.Text",
                    "sa.UnicodeText",
                    "sa.Date",
                    "sa.Time",
                    "sa.DateTime",
                    "sa.DateTime(timezone=True)",
                    "sa.Interval",
                    "sa.JSON",
                    "sa.Uuid",
                    "sa.LargeBinary",
                    "sa.Boolean(create_constraint=True, name='yes_or_no')",
                )
            )
        ),
    ),
    on_parent(
        "type of the project's own",
        "",
        'sa.Column("a", __import__("company.types").types.Upper(12))',
        code=["import company.types", "company.types.Upper("],
        batch=False,
    ),
)
