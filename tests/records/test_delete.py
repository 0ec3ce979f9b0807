"""delete: which records go, what goes with them, and what stands against it."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import stock
from conftest import Database
from dbtasks import Project
from dbtasks.errors import Refused, Rejected, UsageError
from dbtasks.records import Batch, Deleted, Effect, Preview, delete
from stock import City, Item, Label, Part, Person, Photo, Shop, Visit, fill, rows, statements

GOES = "go with it (ON DELETE CASCADE)"
LOSES = "lose their reference (ON DELETE SET NULL)"
STANDS = "stand against it (no ON DELETE)"
ORM = Effect("Shop.photos", "is a cascade of the ORM alone, which one DELETE does not follow")


@pytest.fixture
def shops(tmp_path: Path, database: Database) -> Iterator[Project]:
    """Return a project with three shops and what hangs on them, on each kind of database."""
    with stock.opened(tmp_path, database.url) as project:
        fill(project, City(id=1, name="Rome"), City(id=2, name="Bern"))
        for key, city in ((1, 1), (2, 1), (3, 2)):
            fill(project, Shop(id=key, name=f"s{key}", city_id=city, size=key))
        fill(project, *(Item(shop_id=s, number=n) for s in (1, 2, 3) for n in range(s)))
        fill(project, Visit(id=1, shop_id=1), Visit(id=2, shop_id=3))
        yield project


def keys(project: Project, model: Any) -> list[Any]:
    return [key for (key,) in rows(project, model.id)]


@pytest.mark.parametrize(
    ("given", "matched", "left"),
    [
        ({"pk": ["2"]}, 1, [1, 3]),
        ({"pk": ["9"]}, 0, [1, 2, 3]),
        ({"where": ["name__in=s1,s3"]}, 2, [2]),
        ({"where": ["city.name=Rome"]}, 2, [3]),
        ({"where": ["city.shops.name=s1"]}, 2, [3]),
        ({"where": ["city.name=Rome"], "batch_size": 1}, 2, [3]),
        ({"everything": True}, 3, []),
        ({"everything": True, "expect": 3}, 3, []),
    ],
)
def test_records_are_named(
    shops: Project, given: dict[str, Any], matched: int, left: list[int]
) -> None:
    assert delete(shops, "Shop", **given) == Deleted(matched)
    assert keys(shops, Shop) == left


def test_path_back_to_the_same_table_by_composite_key(shops: Project) -> None:
    assert delete(shops, "Item", pk=["shop_id=3", "number=2"]) == Deleted(1)
    assert delete(shops, "City", where=["shops.city.name=Rome"]) == Deleted(1)
    assert keys(shops, City) == [2]


@pytest.mark.parametrize("given", [{}, {"everything": True, "where": ["id=1"]}])
def test_must_be_said(shops: Project, given: dict[str, Any]) -> None:
    with statements(shops) as sent, pytest.raises(UsageError):
        delete(shops, "Shop", **given)
    assert sent == []


def test_condition_on_the_same_table_asks_a_copy_of_its_keys(shops: Project) -> None:
    """Without it MySQL refuses the statement (1093); MariaDB does not."""
    seen: list[Preview] = []
    for where in ("city.shops.name=s1", "city.shops__isnull=true", "city.name=Rome"):
        delete(shops, "Shop", where=[where], dry_run=True, on_preview=seen.append)
    assert ["SELECT DISTINCT" in one.statement for one in seen] == [True, True, False]


def test_batches_by_other_records_of_the_table_are_refused(shops: Project) -> None:
    with pytest.raises(UsageError, match="look at other records of Shop"):
        delete(shops, "Shop", where=["city.shops.name=s1"], batch_size=1)
    assert keys(shops, Shop) == [1, 2, 3]


def test_expected_number(shops: Project) -> None:
    with pytest.raises(Refused, match="2 records match, and --expect says 1") as caught:
        delete(shops, "Shop", where=["city_id=1"], expect=1)
    assert caught.value.state == "rolled back"
    assert keys(shops, Shop) == [1, 2, 3]


def test_preview_and_dry_run(shops: Project) -> None:
    seen: list[Preview] = []

    def refuse(preview: Preview) -> None:
        seen.append(preview)
        raise Refused("no")

    with pytest.raises(Refused):
        delete(shops, "Shop", where=["city_id=1"], on_preview=refuse)
    assert delete(shops, "Shop", everything=True, dry_run=True, on_preview=seen.append).matched == 3
    assert [(one.count, [row[0] for row in one.before]) for one in seen] == [
        (2, [1, 2]),
        (3, [1, 2, 3]),
    ]
    assert seen[0].statement.startswith("DELETE FROM shop WHERE shop.city_id = ")
    assert "-- city_id_1=1" in seen[0].statement
    assert keys(shops, Shop) == [1, 2, 3]


def effects(project: Project, model: str, *where: str, counted: bool = True) -> list[Effect]:
    """Return what a deletion says that it does, by a run that is rolled back."""
    found: list[Effect] = []
    with suppress(Refused, Rejected):
        delete(
            project,
            model,
            where=where,
            dry_run=counted,
            expect=None if counted else 999,
            on_effects=found.extend,
        )
    return found


def test_effects_over_two_levels(shops: Project) -> None:
    assert effects(shops, "City", "name=Rome") == [
        Effect("shop", GOES, 2),
        Effect("item", GOES, 3),
        Effect("visit", LOSES, 1),
    ]
    assert effects(shops, "City", "shops.name=s3") == [
        Effect("shop", GOES, 1),
        Effect("item", GOES, 3),
        Effect("visit", LOSES, 1),
    ]
    delete(shops, "City", where=["name=Rome"])
    assert keys(shops, Shop) == [3]
    assert rows(shops, Item.shop_id) == [(3,), (3,), (3,)]
    assert rows(shops, Visit.id, Visit.shop_id) == [(1, None), (2, 3)]


def test_what_stands_against_it(shops: Project) -> None:
    fill(shops, Photo(id=1, shop_id=3))
    assert effects(shops, "Shop", "id=3") == [
        Effect("item", GOES, 3),
        Effect("photo", STANDS, 1),
        Effect("visit", LOSES, 1),
        ORM,
    ]
    assert effects(shops, "Shop", "id=2") == [Effect("item", GOES, 2), ORM]
    with pytest.raises(Rejected) as caught:
        delete(shops, "Shop", everything=True)
    assert caught.value.state == "rolled back"
    assert "photo" in caught.value.message or "FOREIGN KEY" in caught.value.message
    assert keys(shops, Shop) == [1, 2, 3]


def test_effects_are_not_counted_where_nobody_looks(shops: Project) -> None:
    found = effects(shops, "Shop", "id=2", counted=False)
    assert found == [
        Effect("item", GOES),
        Effect("photo", STANDS),
        Effect("visit", LOSES),
        ORM,
    ]


def test_effects_on_the_same_table(shops: Project) -> None:
    for key, whole in ((1, None), (2, 1), (3, 2), (4, 2), (5, None)):
        fill(shops, Part(id=key, whole_id=whole), Label(id=key, part_id=key))
    assert effects(shops, "Part", "id=1") == [Effect("part", GOES, 3), Effect("label", GOES, 4)]
    assert effects(shops, "Part", "id__lte=2") == [
        Effect("part", GOES, 2),
        Effect("label", GOES, 4),
    ]
    assert effects(shops, "Part", "id=5") == [Effect("label", GOES, 1)]
    assert delete(shops, "Part", where=["id=1"]).matched == 1
    assert (keys(shops, Part), keys(shops, Label)) == ([5], [5])


def test_same_table_stands_against_it(shops: Project) -> None:
    fill(shops, Person(id=1), Person(id=2, boss_id=1), Person(id=3, boss_id=1))
    found = effects(shops, "Person", "id=1")
    assert Effect("person", STANDS, 2) in found
    assert effects(shops, "Person", "id__lte=2") == [Effect("person", STANDS, 1)]


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_batches_delete_all(shops: Project, size: int) -> None:
    seen: list[Batch] = []
    done = delete(
        shops, "Item", where=["shop_id__gte=2"], batch_size=size, expect=5, on_batch=seen.append
    )
    assert done == Deleted(5)
    assert [one.done for one in seen] == sorted({*range(size, 5, size), 5})
    assert rows(shops, Item.shop_id, Item.number) == [(1, 0)]


def test_interrupted_batches_go_on(shops: Project) -> None:
    def stop(batch: Batch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        delete(shops, "Item", everything=True, batch_size=4, on_batch=stop)
    assert shops.outcome == (
        "4 records are committed, to shop_id=3, number=0; the same command does the rest"
    )
    assert rows(shops, Item.number) == [(1,), (2,)]
    assert delete(shops, "Item", everything=True, batch_size=4) == Deleted(2)


def test_journal(shops: Project) -> None:
    stock.in_production(shops)
    delete(shops, "Item", pk=["shop_id=1", "number=0"])
    delete(shops, "Item", everything=True, batch_size=3)
    assert stock.journal_of(shops) == [
        ("delete --model Item --pk shop_id=1 --pk number=0", 1),
        ("delete --model Item --all --batch-size 3", 3),
        ("delete --model Item --all --batch-size 3", 2),
    ]
