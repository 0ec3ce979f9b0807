"""The difference of two snapshots."""

import pytest

from dbtasks.engines.base.definitions import (
    CHECK,
    COLUMN,
    FOREIGN_KEY,
    INDEX,
    SCHEMA,
    TABLE,
    UNIQUE,
    UNNAMED,
    Definition,
    Key,
    Place,
    Reference,
)
from dbtasks.schema.difference import difference
from dbtasks.schema.snapshot import Snapshot

PET = Place(None, "pet")
NUMBER = Definition({"type": "integer", "null": "no"})


def snapshot(*own: tuple[Key, Definition]) -> Snapshot:
    """Return a database with the table pet."""
    return Snapshot([(Key(TABLE, *PET), Definition()), *own])


def unique(name: str, column: str = "code") -> tuple[Key, Definition]:
    return Key(UNIQUE, *PET, name), Definition({"sql": column}, columns=(column,))


def foreign_key(name: str, column: str) -> tuple[Key, Definition]:
    refers = Reference(Place(None, "owner"), ("id",))
    return Key(FOREIGN_KEY, *PET, name), Definition(
        {"sql": column}, columns=(column,), refers=refers
    )


def index(name: str, *columns: str) -> tuple[Key, Definition]:
    attributes = {"unique": "no", "sql": ", ".join(columns)}
    return Key(INDEX, *PET, name), Definition(attributes, columns=columns)


def told(
    before: Snapshot, after: Snapshot, *given: tuple[str, str], serve: bool = False
) -> list[str]:
    names = {PET: {*given}}
    return [*map(str, difference(before, after, names, indexes_serve=serve))]


def test_same_is_no_difference() -> None:
    same = snapshot((Key(COLUMN, *PET, "id"), NUMBER), unique("uq"))
    assert told(same, same) == []


def test_attributes_that_differ_are_named() -> None:
    longer = Definition({"type": "bigint", "null": "yes"})
    key = Key(COLUMN, *PET, "id")
    assert told(snapshot((key, NUMBER)), snapshot((key, longer))) == [
        "change column pet.id: null, type"
    ]


def test_parts_do_not_count() -> None:
    key = Key(COLUMN, *PET, "id")
    spelled = Definition(NUMBER.attributes, sql="ID INTEGER", parts={"default": "1"})
    assert told(snapshot((key, NUMBER)), snapshot((key, spelled))) == []


def test_what_belongs_to_a_table_goes_with_it() -> None:
    assert told(snapshot(unique("uq")), Snapshot([])) == ["drop table pet"]
    assert told(Snapshot([]), snapshot(unique("uq"))) == ["add table pet"]


@pytest.mark.parametrize(
    ("given", "changes"), [((UNIQUE, "new"), ["rename unique pet.old to new"]), ((UNIQUE, "x"), [])]
)
def test_another_name_counts_where_the_models_give_it(
    given: tuple[str, str], changes: list[str]
) -> None:
    assert told(snapshot(unique("old")), snapshot(unique("new")), given) == changes


def test_names_that_two_exchange_are_given_to_others() -> None:
    before = snapshot(unique("a", "x"), unique("b", "y"))
    after = snapshot(unique("a", "y"), unique("b", "x"))
    changes = told(before, after, (UNIQUE, "a"), (UNIQUE, "b"))
    assert changes == ["change unique pet.a: sql", "change unique pet.b: sql"]


def test_what_has_no_name_is_known_by_what_it_is() -> None:
    one, other = (
        (Key(CHECK, *PET, f"{UNNAMED}{number}"), Definition({"sql": sql}))
        for number, sql in enumerate(("a > 0", "b > 0"))
    )
    swapped = [(other[0], one[1]), (one[0], other[1])]
    assert told(snapshot(one, other), snapshot(*swapped)) == []
    assert told(snapshot(one, other), snapshot(swapped[0])) == ["drop check pet"]


def test_a_schema_stays() -> None:
    schema = (Key(SCHEMA, "hr", ""), Definition())
    assert told(snapshot(schema), snapshot()) == []
    assert told(snapshot(), snapshot(schema)) == ["add schema hr"]


def test_an_index_that_serves_a_foreign_key_is_nobodys() -> None:
    key = foreign_key("fk", "owner_id")
    with_index = snapshot(key, index("fk", "owner_id"))
    assert told(with_index, snapshot(key), serve=True) == []
    assert told(with_index, snapshot(key)) == ["drop index pet.fk"]


def test_an_index_that_the_models_name_is_theirs() -> None:
    key = foreign_key("fk", "owner_id")
    after = snapshot(key, index("ix_owner", "owner_id"))
    changes = told(snapshot(key), after, (INDEX, "ix_owner"), serve=True)
    assert changes == ["add index pet.ix_owner"]
