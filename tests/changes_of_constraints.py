"""The changes that indexes, constraints and foreign keys may see."""

from cases import ROWS, SERVERS, Case, on_parent, parent

PET = (
    'table("pet", key(), sa.Column("parent_id", sa.ForeignKey("parent.id", name="fk_pet")),'
    ' sa.Index("ix_pet", {}))'
)
TURNED = 'sa.Index("ix_turned", "name", sa.desc("id"))'
UNIQUE_TURNED = (
    'sa.Index("uq_turned", sa.text("name DESC"), "id", unique=True,'
    ' sqlite_where=sa.text("id > 1"), postgresql_where=sa.text("id > 1"))'
)
LEAF = (
    'table("node", sa.Column("id", {0}, primary_key=True)),'
    ' table("leaf", key(), sa.Column("node_id", {0}, sa.ForeignKey("node.id", ondelete="CASCADE"),'
    " nullable=False))"
)
LEAVES = (*ROWS, "INSERT INTO node (id) VALUES (1)", "INSERT INTO leaf (id, node_id) VALUES (7, 1)")
TREE = (
    'table("node", sa.Column("id", {0}, primary_key=True),'
    ' sa.Column("up_id", {0}, sa.ForeignKey("node.id", name="fk_up")))'
)

TWO_IN_CIRCLE = (
    'table("hen", key(), sa.Column("egg", sa.ForeignKey("egg.id"{})))\n'
    'table("egg", key(), sa.Column("hen", sa.ForeignKey("hen.id"{})))\n'
)
THREE_IN_CIRCLE = (
    'table("hen", key(), sa.Column("egg", sa.ForeignKey("egg.id"{0})))\n'
    'table("egg", key(), sa.Column("nest", sa.ForeignKey("nest.id"{0})))\n'
    'table("nest", key(), sa.Column("hen", sa.ForeignKey("hen.id"{0})))\n'
)
CODED = 'table("pet", key(), sa.Column("code", sa.ForeignKey("parent.{}")))'
TWO = (
    'table("site", key(), sa.Column("org", sa.Integer), sa.Column("{0}", sa.Integer),'
    ' sa.UniqueConstraint("org", "{0}"), sa.CheckConstraint("{0} > 0", name="{0}"))\n'
    'table("room", key(), sa.Column("org", sa.Integer), sa.Column("{0}", sa.Integer, index=True),'
    ' sa.ForeignKeyConstraint(["org", "{0}"], ["site.org", "site.{0}"], ondelete="CASCADE"))\n'
)
LABEL = 'sa.Column("label", sa.String(9){})'
TAG = 'table("tag", key(), {})'
TAGS = (*ROWS, "INSERT INTO tag (label) VALUES ('x'), ('y')")
LOG = '\ntable("log", key(), sa.Column("label", sa.ForeignKey("tag.label")))'
OWNED = ', sa.Column("{}", sa.ForeignKey("parent.id", ondelete="CASCADE"){})'
OWNER, KEEPER = (OWNED.format(one, ", index=True") for one in ("owner", "keeper"))
KEEP_BOTH = ("sqlite", "mariadb")
"""PostgreSQL makes one of two UNIQUE of the same columns."""

BOTH = 'sa.Column("b", sa.Integer, unique=True), sa.UniqueConstraint("b", name="uq_named")'
UNIQUE, TWIN = (f'sa.UniqueConstraint("name", "id", name="{one}")' for one in ("uq_a", "uq_b"))
UNIQUE_OWNER, BARE_OWNER = (OWNED.format("owner", one) for one in (", unique=True", ""))
NUMBER = ', sa.Column("owner", sa.Integer{})'
OWNERS = (
    ("column with a foreign key and an index", "", OWNER),
    ("columns with foreign keys and indexes", "", OWNER + KEEPER),
    ("column with a foreign key and unique", "", UNIQUE_OWNER),
    ("foreign key for an index", NUMBER.format(", index=True"), BARE_OWNER),
    ("foreign key and its index dropped", OWNER, NUMBER.format("")),
    ("index of a foreign key dropped", OWNER, BARE_OWNER),
    ("index dropped of one on delete", OWNER, BARE_OWNER.replace("CASCADE", "RESTRICT")),
    (
        "another foreign key for an index",
        OWNER,
        BARE_OWNER + ', sa.ForeignKeyConstraint(["owner"], ["child.id"])',
    ),
)
BADGE = 'table("badge", key(), sa.Column("of_id", sa.ForeignKey("site.id")))'
SHORT = 'sa.CheckConstraint("length(name) < 9")'
NUMBER = 'sa.Column("n", sa.Integer)'

CIRCLES = {
    "of two": TWO_IN_CIRCLE.format("", ""),
    "of two with names": TWO_IN_CIRCLE.format(', name="fk_egg"', ', name="fk_hen"'),
    "of two by ALTER": TWO_IN_CIRCLE.format(', name="fk_egg", use_alter=True', ""),
    "of two by ALTER without a name": TWO_IN_CIRCLE.format(", use_alter=True", ""),
    "of three": THREE_IN_CIRCLE.format(""),
    "of three on delete": THREE_IN_CIRCLE.format(', ondelete="CASCADE"'),
    "of each with itself": 'table("hen", key(), sa.Column("egg", sa.ForeignKey("hen.id")),'
    ' sa.Column("on", sa.ForeignKey("hen.id", name="fk_on", use_alter=True)))\n',
    "of two and with itself": TWO_IN_CIRCLE.format("", "")
    + 'table("nest", key(), sa.Column("nest", sa.ForeignKey("nest.id")),'
    ' sa.Column("hen", sa.ForeignKey("hen.id")))\n',
}

CHANGES = (
    *(
        Case(f"circle {name}", parent(), parent() + circle, ROWS)
        for name, circle in CIRCLES.items()
    ),
    *(
        Case(
            f"circle {name} dropped",
            parent() + circle,
            parent(),
            ROWS,
            dropped=[table for table in ("hen", "egg", "nest") if f'"{table}", key' in circle],
        )
        for name, circle in CIRCLES.items()
    ),
    Case(
        "circle of tables that exist",
        'table("hen", key())\ntable("egg", key())\n',
        CIRCLES["of two"],
    ),
    Case(
        "circle of tables that stay is opened",
        CIRCLES["of two"],
        'table("hen", key())\ntable("egg", key())\n',
        dropped=["hen.egg", "egg.hen"],
    ),
    Case(
        "circle of a table that exists with a new one",
        'table("hen", key())\n',
        CIRCLES["of two by ALTER"],
    ),
    Case(
        "circle loses a table",
        CIRCLES["of two by ALTER"],
        'table("hen", key())\n',
        dropped=["egg", "hen.egg"],
    ),
    on_parent("index", "", 'sa.Index("ix_name", "name")', batch=False),
    on_parent("index dropped", 'sa.Index("ix_name", "name")', "", batch=False),
    on_parent(
        "index made unique",
        'sa.Index("ix_name", "name")',
        'sa.Index("ix_name", "name", unique=True)',
        batch=False,
    ),
    on_parent(
        "index with other columns",
        'sa.Index("ix_name", "name")',
        'sa.Index("ix_name", "name", "id")',
        batch=False,
    ),
    on_parent(
        "partial index",
        "",
        'sa.Index("ix_name", "name", unique=True, sqlite_where=sa.text("id > 1"), '
        'postgresql_where=sa.text("id > 1"))',
        batch=False,
    ),
    on_parent(
        "partial index dropped",
        'sa.Index("ix_name", "name", sqlite_where=sa.text("id > 1"), '
        'postgresql_where=sa.text("id > 1"))',
        "",
        batch=False,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "partial index turned whole",
        'sa.Index("ix_name", "name", sqlite_where=sa.text("id > 1"), '
        'postgresql_where=sa.text("id > 1"))',
        'sa.Index("ix_name", "name")',
        batch=False,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "index on an expression",
        "",
        'sa.Index("ix_name", sa.text("lower(name)"))',
        batch=False,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "index on an expression dropped",
        'sa.Index("ix_name", sa.text("lower(name)"))',
        "",
        batch=False,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "index on another expression",
        'sa.Index("ix_name", sa.text("lower(name)"))',
        'sa.Index("ix_name", sa.text("upper(name)"))',
        batch=False,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "index on an expression of a table made anew",
        "",
        'sa.Index("ix_name", sa.text("lower(name)")), sa.UniqueConstraint("name", name="uq_name")',
        batch=True,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "index on an expression dropped from a table made anew",
        'sa.Index("ix_name", func.lower(sa.column("name")))',
        'sa.UniqueConstraint("name", name="uq_name")',
        batch=True,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "index on another expression, and a column that takes no NULL",
        'sa.Index("ix_name", sa.text("lower(name)"), "id")',
        'sa.Column("a", sa.Integer, nullable=False), sa.Column("b", sa.Integer, nullable=False),'
        ' sa.Index("ix_name", sa.text("upper(name)"), "a")',
        batch=True,
        on=["sqlite", "postgresql"],
        defaults={"parent.a": "1"},
        expressions={"parent.b": "id"},
    ),
    on_parent(
        "index on a column that is new, for one that is gone",
        'sa.Column("a", sa.Integer), sa.Column("b", sa.Integer), sa.Index("ix_a", "a", "b")',
        'sa.Column("a", sa.Integer), sa.Column("d", sa.String(5), nullable=False),'
        ' sa.Index("ix_a", "a", "d")',
        defaults={"parent.d": "q"},
        dropped=["parent.b"],
    ),
    on_parent(
        "index and unique that lose their only column",
        'sa.Column("b", sa.Integer), sa.Index("ix_b", "b"),'
        ' sa.UniqueConstraint("b", "name", name="uq_b")',
        'sa.Column("d", sa.Integer), sa.Index("ix_b", "d"),'
        ' sa.UniqueConstraint("d", "name", name="uq_b")',
        dropped=["parent.b"],
    ),
    on_parent(
        "index turned round, on a column that is new",
        'sa.Column("b", sa.Integer), sa.Index("ix_b", sa.desc("b"), "name")',
        'sa.Column("d", sa.Integer), sa.Index("ix_b", "d", sa.desc("name"))',
        dropped=["parent.b"],
    ),
    on_parent(
        "index turned round",
        'sa.Index("ix_name", "name", "id")',
        'sa.Index("ix_name", sa.desc("name"), "id")',
        batch=False,
    ),
    on_parent(
        "index turned back",
        'sa.Index("ix_name", sa.desc("name"), "id")',
        'sa.Index("ix_name", "name", "id")',
        batch=False,
    ),
    on_parent(
        "index turned by another column",
        'sa.Index("ix_name", sa.desc("name"), "id")',
        'sa.Index("ix_name", "name", sa.desc("id"), unique=True)',
        batch=False,
    ),
    on_parent(
        "turned index dropped",
        f"{TURNED}, {UNIQUE_TURNED}",
        "",
        batch=False,
    ),
    on_parent(
        "turned index dropped from a table made anew",
        f"{TURNED}, {UNIQUE_TURNED}",
        'sa.CheckConstraint("length(name) > 0", name="positive")',
    ),
    on_parent(
        "turned index by another name",
        TURNED,
        TURNED.replace("ix_turned", "ix_round"),
        batch=False,
    ),
    on_parent(
        "turned index dropped with its column",
        'sa.Column("a", sa.Integer), sa.Index("ix_a", "name", sa.desc("a"))',
        "",
    ),
    on_parent(
        "turned index of a column by another name",
        'sa.Column("a", sa.Integer), sa.Index("ix_a", "name", sa.desc("a"))',
        'sa.Column("b", sa.Integer), sa.Index("ix_b", "name", sa.desc("b"))',
        renames={"parent.a": "parent.b"},
    ),
    Case(
        "turned index of a table by another name",
        parent() + PET.format('"id", sa.desc("parent_id")'),
        parent() + PET.format('"id", sa.desc("parent_id")').replace("pet", "dog"),
        ROWS,
        renames={"pet": "dog"},
    ),
    Case(
        "turned index dropped with its table",
        parent() + PET.format('"id", sa.desc("parent_id")'),
        parent(),
        ROWS,
    ),
    Case(
        "index on an expression dropped with its table",
        parent() + PET.format('sa.text("abs(parent_id) DESC"), "id"'),
        parent(),
        ROWS,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "index by a collation dropped",
        'sa.Index("ix_name", sa.text("name COLLATE NOCASE DESC"), "id", unique=True,'
        ' sqlite_where=sa.text("id > 1"))',
        "",
        on=["sqlite"],
        batch=False,
    ),
    on_parent(
        "index by another collation",
        'sa.Index("ix_name", sa.text("name COLLATE NOCASE"), "id")',
        'sa.Index("ix_name", sa.text("name COLLATE RTRIM"), "id")',
        on=["sqlite"],
        batch=False,
    ),
    Case(
        "index of a foreign key turned back",
        parent() + PET.format('sa.desc("parent_id"), "id"'),
        parent() + PET.format('"parent_id"'),
        ROWS,
        batch=False,
    ),
    Case(
        "index of a foreign key dropped that was turned",
        parent() + PET.format('sa.desc("parent_id"), "id"'),
        parent() + PET.format('"id", "parent_id"'),
        ROWS,
        batch=False,
    ),
    on_parent(
        "index on an expression turned round",
        'sa.Index("ix_name", func.lower(sa.column("name")), "id")',
        'sa.Index("ix_name", sa.desc(func.lower(sa.column("name"))), "id")',
        batch=False,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "index turned round, and one of a table made anew",
        'sa.Index("ix_name", "name", "id"), sa.Index("ix_other", sa.desc("id"))',
        'sa.Index("ix_name", sa.desc("name"), "id"), sa.Index("ix_other", sa.desc("id")),'
        ' sa.UniqueConstraint("name", name="uq_name")',
        batch=True,
    ),
    on_parent(
        "index of the beginning of a column",
        'sa.Index("ix_name", "name", mysql_length=5)',
        'sa.Index("ix_name", "name", mysql_length={"name": 7})',
        on=["mariadb"],
    ),
    on_parent(
        "index of the beginning of a column turned whole",
        'sa.Index("ix_name", "name", "id", mysql_length={"name": 5})',
        'sa.Index("ix_name", "name", sa.desc("id"))',
        on=["mariadb"],
    ),
    on_parent("unique", "", 'sa.UniqueConstraint("name", name="uq_name")', batch=True),
    on_parent("unique dropped", 'sa.UniqueConstraint("name", name="uq_name")', "", batch=True),
    on_parent("unique without a name", "", 'sa.UniqueConstraint("name")', batch=True),
    on_parent("unique without a name dropped", 'sa.UniqueConstraint("name")', "", batch=True),
    on_parent(
        "unique with other columns",
        'sa.UniqueConstraint("name", name="uq_name")',
        'sa.UniqueConstraint("name", "id", name="uq_name")',
    ),
    on_parent(
        "second unique of the same columns",
        UNIQUE,
        f"{UNIQUE}, {TWIN}",
        batch=True,
        on=KEEP_BOTH,
    ),
    on_parent("one unique of two dropped", f"{UNIQUE}, {TWIN}", UNIQUE, batch=True, on=KEEP_BOTH),
    on_parent("the other unique of two dropped", f"{UNIQUE}, {TWIN}", TWIN, batch=True),
    on_parent("both dropped of two unique", f"{UNIQUE}, {TWIN}", "", batch=True),
    on_parent(
        "column beside two unique of the same columns",
        f"{UNIQUE}, {TWIN}",
        f"{UNIQUE}, {TWIN}, sa.Column('a', sa.Integer), sa.CheckConstraint('a > 1', name='low')",
        batch=True,
    ),
    *(
        on_parent(f"unique with and without a name, {name}", BOTH, after, batch=True, on=KEEP_BOTH)
        for name, after in {
            "in a table made anew": f"{BOTH}, sa.CheckConstraint('b > 1', name='low')",
            "one dropped": 'sa.Column("b", sa.Integer, unique=True)',
            "the other dropped": BOTH.replace(", unique=True", ""),
        }.items()
    ),
    on_parent("check", "", "sa.CheckConstraint('length(name) > 0', name='positive')", batch=True),
    on_parent(
        "check dropped", "sa.CheckConstraint('length(name) > 0', name='positive')", "", batch=True
    ),
    on_parent(
        "check changed",
        "sa.CheckConstraint('length(name) > 0', name='positive')",
        'sa.CheckConstraint("length(name) > 1", name="positive")',
        batch=True,
    ),
    *(
        on_parent(
            f"check without a name {name}",
            'sa.CheckConstraint("length(name) > 0")' + before,
            after,
            batch=True,
        )
        for name, before, after in (
            ("dropped", "", ""),
            ("dropped beside one that stays", f", {SHORT}", SHORT),
            ("changed", "", 'sa.CheckConstraint("length(name) > 1")'),
            ("dropped, and a column", f", {NUMBER}", ""),
            ("dropped beside another type", f", {NUMBER}", NUMBER.replace("Integer", "Float")),
        )
    ),
    *(
        Case(
            f"name for a {what}",
            *(
                f'{parent()}table("pet", key(), {NUMBER}, {item.format(name)})'
                for name in ("", ', name="new"')
            ),
            ROWS,
        )
        for what, item in (
            ("unique constraint", 'sa.UniqueConstraint("n"{})'),
            ("foreign key", 'sa.ForeignKeyConstraint(["n"], ["parent.id"]{})'),
            ("check", 'sa.CheckConstraint("n > 0"{})'),
        )
    ),
    on_parent(
        "check without a name stays",
        'sa.CheckConstraint("length(name) > 0")',
        'sa.CheckConstraint("length(name) > 0"), sa.Column("a", sa.Integer)',
        batch=False,
    ),
    on_parent(
        "check without a name stays beside one with a name",
        'sa.CheckConstraint("length(name) > 0")',
        'sa.CheckConstraint("length(name) > 0"), '
        'sa.CheckConstraint("length(name) < 9", name="small")',
        batch=True,
    ),
    on_parent(
        "check by a naming convention",
        "",
        'sa.CheckConstraint("length(name) > 0", name="long")',
        convention=True,
        batch=True,
        code=["ck_parent_long"],
    ),
    on_parent(
        "check by a naming convention dropped",
        'sa.CheckConstraint("length(name) > 0", name="long")',
        "",
        convention=True,
        batch=True,
    ),
    on_parent(
        "check of a column",
        "",
        'sa.Column("a", sa.Integer, sa.CheckConstraint("a > 0")), '
        'sa.Column("b", sa.Integer, sa.CheckConstraint("b > 0", name="positive"))',
        code=['sa.CheckConstraint("a > 0")', '("positive"), '],
    ),
    on_parent(
        "check of a column dropped",
        'sa.Column("a", sa.Integer, sa.CheckConstraint("a > 0")), '
        'sa.Column("b", sa.Integer, sa.CheckConstraint("b > 0", name="positive"))',
        "",
        batch=True,
    ),
    on_parent(
        "check of a column that takes no NULL",
        "",
        'sa.Column("a", sa.Integer, sa.CheckConstraint("a > 0"), nullable=False), '
        'sa.Column("b", sa.Integer, sa.CheckConstraint("b > 0"), nullable=False)',
        defaults={"parent.a": "7"},
        expressions={"parent.b": "a + 1"},
    ),
    on_parent(
        "check of a column, about another, that takes no NULL",
        'sa.Column("a", sa.Integer)',
        'sa.Column("a", sa.Integer),'
        ' sa.Column("b", sa.Integer, sa.CheckConstraint("b > a"), nullable=False)',
        expressions={"parent.b": "id"},
    ),
    Case(
        "checks of the columns of a table",
        parent(),
        parent() + 'table("other", key(),'
        ' sa.Column("a", sa.String(9), sa.CheckConstraint("a <> \'%s:x\'".replace(":", "\\\\:"))),'
        ' sa.Column("b", sa.Integer, sa.CheckConstraint("b > 0", name="positive")))',
        ROWS,
        code=['sa.CheckConstraint("a <> ', 'sa.CheckConstraint("b > 0", name="positive")'],
    ),
    Case(
        "check of a column of a table by a naming convention",
        parent(),
        parent() + 'table("other", key(),'
        ' sa.Column("a", sa.Integer, sa.CheckConstraint("a > 0", name="positive")))',
        ROWS,
        convention=True,
        code=['name=op.f("ck_other_positive")'],
    ),
    on_parent(
        "check of a type without a name",
        "",
        'sa.Column("a", sa.Boolean(create_constraint=True))',
    ),
    on_parent(
        "check of a type without a name dropped",
        'sa.Column("a", sa.Boolean(create_constraint=True)),'
        ' sa.Column("b", sa.Integer), sa.CheckConstraint("b > 0")',
        'sa.Column("b", sa.Integer), sa.CheckConstraint("b > 0")',
        batch=True,
    ),
    on_parent(
        "unique and index by a naming convention",
        'sa.UniqueConstraint("name")',
        'sa.UniqueConstraint("name", "id"), sa.Column("a", sa.Integer, index=True)',
        convention=True,
        batch=True,
    ),
    Case(
        "foreign key",
        parent() + 'table("pet", key(), sa.Column("parent_id", sa.Integer))',
        parent() + 'table("pet", key(), sa.Column("parent_id", sa.ForeignKey("parent.id")))',
        (*ROWS, "INSERT INTO pet (id, parent_id) VALUES (1, 2)"),
        batch=True,
    ),
    Case(
        "foreign key dropped",
        parent() + 'table("pet", key(), sa.Column("parent_id", sa.ForeignKey("parent.id")))',
        parent() + 'table("pet", key(), sa.Column("parent_id", sa.Integer))',
        (*ROWS, "INSERT INTO pet (id, parent_id) VALUES (1, 2)"),
        batch=True,
    ),
    Case(
        "foreign key on delete",
        parent(),
        parent().replace("CASCADE", "RESTRICT"),
        ROWS,
        batch=True,
    ),
    Case(
        "foreign key deferrable",
        parent(),
        parent().replace(
            'ondelete="CASCADE"', 'ondelete="CASCADE", deferrable=True, initially="DEFERRED"'
        ),
        ROWS,
        on=["sqlite", "postgresql"],
        batch=True,
    ),
    on_parent(
        "column with a foreign key",
        "",
        'sa.Column("boss_id", sa.ForeignKey("parent.id", ondelete="SET NULL", name="fk_boss"))',
    ),
    Case(
        "type of a key, and of the foreign key that refers to it",
        parent() + LEAF.format("sa.Integer"),
        (parent() + LEAF.format("sa.BigInteger")),
        LEAVES,
        on=SERVERS,
    ),
    Case(
        "type of a key, of what refers to it by another name, and of the table itself",
        parent() + TREE.format("sa.Integer"),
        parent() + TREE.format("sa.BigInteger"),
        (*ROWS, "INSERT INTO node (id) VALUES (1)", "INSERT INTO node (id, up_id) VALUES (2, 1)"),
        on=SERVERS,
    ),
    Case(
        "foreign key dropped, and the column that it refers to",
        parent('sa.Column("code", sa.Integer), sa.UniqueConstraint("code", name="uq_code")')
        + 'table("apart", key(), sa.Column("parent_code",'
        ' sa.ForeignKey("parent.code", name="fk_code"))),'
        'table("zoo", key(), sa.Column("parent_code",'
        ' sa.ForeignKey("parent.code", name="fk_zoo")))',
        parent()
        + 'table("apart", key()), table("zoo", key(), sa.Column("parent_code", sa.Integer))',
        ROWS,
    ),
    Case(
        "table that refers to a column that is new, and one that refers to the table",
        parent(),
        parent('sa.Column("code", sa.Integer, unique=True)')
        + 'table("pet", sa.Column("code", sa.ForeignKey("parent.code"), primary_key=True),'
        ' sa.Column("name", sa.String(9), index=True))\n'
        'table("leash", key(), sa.Column("pet_code", sa.ForeignKey("pet.code")))',
        ROWS,
    ),
    Case(
        "table that refers to what is unique now, and is referred to",
        parent('sa.Column("code", sa.Integer)'),
        parent(
            'sa.Column("code", sa.Integer), sa.Index("ix_code", "code", unique=True),'
            ' sa.Column("pet_id", sa.ForeignKey("pet.id"))'
        )
        + 'table("pet", key(), sa.Column("code", sa.ForeignKey("parent.code", name="fk_c")))',
        ROWS,
    ),
    *(
        Case(
            f"column renamed that is {how} by a naming convention, and referred to",
            parent(state.format("code")) + CODED.format("code"),
            parent(state.format("number")) + CODED.format("number"),
            (*ROWS, "UPDATE parent SET code = id", "INSERT INTO pet (code) VALUES (2)"),
            renames={"parent.code": "parent.number"},
            convention=True,
        )
        for how, state in (
            ("unique", 'sa.Column("{}", sa.Integer, unique=True)'),
            ("indexed", 'sa.Column("{}", sa.Integer, unique=True, index=True)'),
        )
    ),
    Case(
        "columns renamed that are unique by a naming convention, and referred to",
        TWO.format("one"),
        TWO.format("two"),
        ["INSERT INTO site (org, one) VALUES (1, 2)", "INSERT INTO room (org, one) VALUES (1, 2)"],
        renames={"site.one": "site.two", "room.one": "room.two"},
        convention=True,
    ),
    *(
        Case(
            f"{what}, of a table that is referred to by what is unique {how}".strip(),
            parent() + TAG.format(LABEL.format("") + before),
            parent() + TAG.format(LABEL.format(", unique=True") + after) + LOG,
            (*TAGS, *(["UPDATE tag SET owner = 2"] if before else [])),
            convention=bool(how),
        )
        for how in ("", "by a naming convention")
        for what, before, after in OWNERS
    ),
    Case(
        "table that refers to a column that is new, unique and a foreign key",
        parent() + TAG.format(LABEL.format("")),
        parent() + TAG.format(LABEL.format("") + UNIQUE_OWNER) + LOG.replace(".label", ".owner"),
        TAGS,
    ),
    Case(
        "types of a key and of what refers to it, and an index of that dropped",
        parent()
        + LEAF.format("sa.Integer").replace("nullable=False", "nullable=False, index=True"),
        parent() + LEAF.format("sa.BigInteger"),
        LEAVES,
        on=SERVERS,
    ),
    Case(
        "table renamed whose constraints are named by a convention",
        TWO.format("one") + BADGE,
        TWO.replace('"site', '"place').format("one") + BADGE.replace('"site', '"place'),
        [
            "INSERT INTO site (org, one) VALUES (1, 2)",
            "INSERT INTO room (org, one) VALUES (1, 2)",
            "INSERT INTO badge (of_id) VALUES (1)",
        ],
        renames={"site": "place"},
        convention=True,
    ),
)
