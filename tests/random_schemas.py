"""Models at random, in pairs: the second is the first after changes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from dbtasks.migrations.autogenerate.answers import Answers, Expression, Kind, Question
from worlds import World

TABLES = ("a", "b", "order", "Mixed")
COLUMNS = ("c", "d", "E", "group")
TYPES = {
    "sa.Integer": "7",
    "sa.BigInteger": "0",
    "sa.SmallInteger": "1",
    "sa.String(20)": "x",
    "sa.String(60)": "it's",
    "sa.Text": None,
    "sa.Numeric(10, 2)": "1.50",
    "sa.Numeric(12, 4)": "0",
    "sa.Float": None,
    "sa.Double": None,
    "sa.Boolean": None,
    "sa.Date": None,
    "sa.DateTime": None,
    "sa.Time": None,
    "sa.LargeBinary": None,
    "sa.JSON": None,
    "sa.Uuid": None,
    'sa.Enum("x", "y", name="letter")': "x",
    'sa.Enum("x", "y", "z", name="more", native_enum=False, length=5)': "y",
}
"""The types of columns, each with a default that it takes."""

FAMILIES = (
    ("Integer", "BigInteger", "SmallInteger", "Numeric", "Float", "Double", "String", "Text"),
    ("Date", "DateTime", "String", "Text"),
    ("String", "Text", "Enum"),
)
"""What servers cast to one another: they refuse the rest, with rows or without."""

KEYS = {
    "number": 'sa.Column("id", sa.Integer, primary_key=True)',
    "big number": 'sa.Column("id", sa.BigInteger, primary_key=True)',
    "text": 'sa.Column("id", sa.String(30), primary_key=True)',
    "two": 'sa.Column("id", sa.Integer, primary_key=True, autoincrement=False), '
    'sa.Column("part", sa.String(5), primary_key=True)',
}
"""What a table is known by. Foreign keys refer to numbers alone."""

ACTIONS = ("", ', ondelete="CASCADE"', ', ondelete="SET NULL"', ', onupdate="CASCADE"')


@dataclass(frozen=True)
class Shape:
    """Hold a table: its key, columns by name, and what is beside them."""

    key: str
    columns: dict[str, str]
    beside: dict[str, str]

    def source(self, name: str) -> str:
        """Return the line of Python that makes it; in labels, @ stands for its name."""
        parts = [f'table("{name}"', KEYS[self.key], *self.columns.values(), *self.beside.values()]
        return f"{', '.join(parts)})\n".replace("@", name)


Schema = dict[str, Shape]
Draw = Callable[[st.SearchStrategy[Any]], Any]


@st.composite
def pairs(draw: Draw, kind: str) -> tuple[str, str]:
    """Draw models and what becomes of them, for a kind of database, as source."""
    names = draw(st.lists(st.sampled_from(TABLES), min_size=1, max_size=3, unique=True))
    before: Schema = {}
    for name in names:
        before[name] = _shape(draw, kind, before)
    after: Schema = {}
    for name in draw(st.permutations([*before])):
        what = draw(st.sampled_from(("same", "changed", "changed", "gone")))
        if what == "same":
            after[name] = _kept(before[name], before, after)
        elif what == "changed":
            after[name] = _changed(draw, kind, before[name], after)
    new = [name for name in TABLES if name not in before]
    for name in draw(st.lists(st.sampled_from(new), max_size=1)):
        after[name] = _shape(draw, kind, after)
    assume(after)
    return _source(before), _source(after)


def _source(schema: Schema) -> str:
    return "".join(shape.source(name) for name, shape in schema.items())


def _shape(draw: Draw, kind: str, others: Schema) -> Shape:
    key = draw(st.sampled_from([*KEYS, "number", "number"]))
    names = draw(st.lists(st.sampled_from(COLUMNS), max_size=4, unique=True))
    columns = {name: _column(draw, kind, name) for name in names}
    columns |= _references(draw, others)
    return Shape(key, columns, _beside(draw, kind, columns))


def _changed(draw: Draw, kind: str, shape: Shape, others: Schema) -> Shape:
    """Draw the key, some columns and some of what is beside them again."""
    key = draw(st.sampled_from([shape.key] * 6 + [*KEYS]))
    columns = {
        name: text
        for name, text in shape.columns.items()
        if name in COLUMNS and draw(st.sampled_from((True, True, True, False)))
    }
    for name in draw(st.lists(st.sampled_from(COLUMNS), max_size=2, unique=True)):
        columns[name] = _column(draw, kind, name, shape.columns.get(name, ""))
    columns |= _references(draw, others)
    fresh = _beside(draw, kind, columns)
    beside = {
        name: text
        for name, text in shape.beside.items()
        if draw(st.booleans()) and _uses(name) <= {*columns}
    }
    return Shape(key, columns, {**fresh, **beside})


def _kept(shape: Shape, before: Schema, after: Schema) -> Shape:
    """Return a table as it was, without what refers to a table that is another now."""
    numbers = {name for name, other in after.items() if other.key == "number"}
    lost = {
        name for name in shape.columns if name not in COLUMNS and _referred(name) not in numbers
    }
    columns = {name: text for name, text in shape.columns.items() if name not in lost}
    beside = {name: text for name, text in shape.beside.items() if not _uses(name) & lost}
    return Shape(shape.key, columns, beside)


def _column(draw: Draw, kind: str, name: str, old: str = "") -> str:
    """Draw a column, in the place of another if there is one."""
    types = [*TYPES]
    if old and kind != "sqlite":
        types = [one for one in types if f" {one}" in old or _casts(_word(old), _word(one))]
    type_ = draw(st.sampled_from(types))
    options = []
    default = TYPES[type_]
    if draw(st.booleans()):
        options.append("nullable=False")
    if default is not None and draw(st.booleans()):
        options.append(f"server_default={default!r}")
    if kind != "sqlite" and draw(st.integers(0, 3)) == 0:
        options.append(f"comment={draw(st.sampled_from(['a note', 'it is 100 %', ':x']))!r}")
    if _indexable(type_) and draw(st.integers(0, 3)) == 0:
        options.append(draw(st.sampled_from(("unique=True", "index=True"))))
    return ", ".join([f'sa.Column("{name}", {type_}', *options]) + ")"


def _word(text: str) -> str:
    """Return the name of the first type in a text."""
    found = re.search(r"sa\.(?!Column)(\w+)", text)
    assert found is not None
    return found[1]


def _casts(old: str, new: str) -> bool:
    return any(old in family and new in family for family in FAMILIES)


def _indexable(type_: str) -> bool:
    """Whether each database has indexes on such a column without more."""
    return type_ not in ("sa.Text", "sa.LargeBinary", "sa.JSON")


def _references(draw: Draw, others: Schema) -> dict[str, str]:
    """Draw columns that refer to tables that are there."""
    numbers = [name for name, shape in others.items() if shape.key == "number"]
    if not numbers:
        return {}
    columns = {}
    for other in draw(st.lists(st.sampled_from(numbers), max_size=2, unique=True)):
        action = draw(st.sampled_from(ACTIONS))
        index = draw(st.sampled_from(("", "", ", index=True")))
        name = f"of_{other}"
        columns[name] = (
            f'sa.Column("{name}", sa.Integer, sa.ForeignKey("{other}.id"{action}){index})'
        )
    return columns


def _referred(name: str) -> str:
    return name.removeprefix("of_")


def _beside(draw: Draw, kind: str, columns: dict[str, str]) -> dict[str, str]:
    """Draw indexes, and constraints with a name, on columns that take them."""
    usable = [
        name
        for name, text in columns.items()
        if not any(word in text for word in ("sa.Text", "sa.LargeBinary", "sa.JSON"))
    ]
    if not usable:
        return {}
    beside: dict[str, str] = {}
    for number in range(draw(st.integers(0, 2))):
        names = draw(st.lists(st.sampled_from(usable), min_size=1, max_size=2, unique=True))
        what = draw(st.sampled_from(("ix", "uq", "ck")))
        if what == "ck" and names[0] not in COLUMNS:
            what = "ix"  # MariaDB checks no column that an action of a foreign key changes
        label = " ".join((f"{what}{number}", *names))
        beside[label] = _constraint(draw, what, f"{what}_{number}", names)
    return beside


def _constraint(draw: Draw, what: str, name: str, columns: Sequence[str]) -> str:
    quoted = ", ".join(f'"{column}"' for column in columns)
    label = draw(st.sampled_from((f"{name}_@_", f"{name}_of_@_long_"))) + "_".join(columns)
    if what == "ck":
        checked = " OR ".join(f'sa.column("{column}").is_not(None)' for column in columns[:1])
        return f'sa.CheckConstraint({checked}, name="{label}")'
    if what == "uq":
        return f'sa.UniqueConstraint({quoted}, name="{label}")'
    unique = draw(st.sampled_from(("", ", unique=True")))
    first = draw(st.sampled_from((f'"{columns[0]}"', f'sa.column("{columns[0]}").desc()')))
    rest = "".join(f', "{column}"' for column in columns[1:])
    return f'sa.Index("{label}", {first}{rest}{unique})'


def _uses(label: str) -> set[str]:
    """Return the columns of what is beside them."""
    return {*label.split()[1:]}


def check(world: World, before: str, after: str) -> None:
    """Go from one to the other by revisions, and back; the database has to be as it should."""
    world.models(before)
    world.make()
    assert world.missing() == []
    schema = world.schema()
    world.models(after)
    if world.missing() == []:
        return
    world.make(Answers(ask=_answer))
    assert world.missing() == []
    changed = world.schema()
    world.migrate("-1")
    assert world.schema() == schema
    world.migrate("heads")
    assert world.schema() == changed


def _answer(question: Question) -> str:
    """Say that nothing was renamed, values may go, and rows that are not there get nothing."""
    match question.kind:
        case Kind.COLUMN | Kind.TABLE:
            return "no"
        case Kind.VALUES:
            return "yes"
    return Expression("NULL")
