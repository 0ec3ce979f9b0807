"""update: which records change, how many are counted, and what is left when it is stopped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete as delete_statement
from sqlalchemy import insert

import stock
from conftest import Database
from dbtasks import Project
from dbtasks.errors import Refused, Rejected, UsageError
from dbtasks.records import Batch, Preview, Updated, delete, update
from stock import City, Item, Shop, fill, rows, statements, tag

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def shops(tmp_path: Path, database: Database) -> Iterator[Project]:
    """Return a project with three shops in two cities, on each kind of database."""
    with stock.opened(tmp_path, database.url) as project:
        fill(project, City(id=1, name="Rome"), City(id=2, name="Bern"))
        fill(project, Shop(id=1, name="a", size=1, city_id=1, data={"x": 1}))
        fill(project, Shop(id=2, name="b", size=2, city_id=1))
        fill(project, Shop(id=3, name="c", city_id=2, data={"x": 1, "aa": 2}))
        yield project


def sizes(project: Project) -> list[int | None]:
    return [size for _, size in rows(project, Shop.id, Shop.size)]


@pytest.mark.parametrize(
    ("given", "matched", "expected"),
    [
        ({"pk": ["2"]}, 1, [1, 9, None]),
        ({"pk": ["id=2"]}, 1, [1, 9, None]),
        ({"pk": ["7"]}, 0, [1, 2, None]),
        ({"where": ["name=a"]}, 1, [9, 2, None]),
        ({"where": ["city.name=Rome"]}, 2, [9, 9, None]),
        ({"where": ["city.name=Rome", "size__gt=1"]}, 1, [1, 9, None]),
        ({"where": ["city.shops.name=a"]}, 2, [9, 9, None]),
        ({"where": ["size__isnull=true"]}, 1, [1, 2, 9]),
        ({"everything": True}, 3, [9, 9, 9]),
    ],
)
def test_records_are_named(
    shops: Project, given: dict[str, Any], matched: int, expected: list[int | None]
) -> None:
    assert update(shops, "Shop", **given, values=["size=9"]) == Updated(matched, matched)
    assert sizes(shops) == expected


def test_composite_key(shops: Project) -> None:
    fill(shops, *(Item(shop_id=s, number=n, label="x") for s in (1, 2) for n in (1, 2)))
    key = ["shop_id=1", "number=2"]
    assert update(shops, "Item", pk=key, values=["label=y"]) == Updated(1, 1)
    found = rows(shops, Item.label, Item.shop_id, Item.number)
    assert [row for row in found if row[0] == "y"] == [("y", 1, 2)]


BAD: dict[str, dict[str, Any]] = {
    "no record is named": {},
    "--all goes with neither": {"everything": True, "where": ["id=1"]},
    "--all goes with": {"everything": True, "pk": ["1"]},
    "nothing is set": {"everything": True, "values": []},
    "set twice": {"pk": ["1"], "nulls": ["size"]},
    "key of Shop is id": {"pk": ["1", "2"]},
    "id='x'": {"pk": ["x"]},
    "no field": {"where": ["1=1 OR id=1"]},
    "size='x'": {"pk": ["1"], "values": ["size=x"]},
}


@pytest.mark.parametrize("words", BAD)
@on_sqlite
def test_bad_usage_sends_nothing(shops: Project, words: str) -> None:
    with statements(shops) as sent, pytest.raises(UsageError, match=words):
        update(shops, "Shop", **{"values": ["size=9"], **BAD[words]})
    assert sent == []


@pytest.mark.parametrize(
    ("values", "nulls", "changed"),
    [
        (["size=1"], [], 2),
        ([], ["size"], 2),
        (["size=1", "name=a"], [], 2),
        (["kind=plain"], [], 0),
        (["kind=PLAIN"], [], 3),
        (["kind=plain "], [], 3),
        (['data={"x": 1}'], [], 2),
        (['data={"x": 1, "aa": 2}'], [], 2),
        (['data={"X": 1}'], [], 3),
        (["data=null"], [], 3),
        ([], ["data"], 2),
        (["level=7"], [], 0),
    ],
)
def test_record_that_has_the_value_is_not_changed(
    shops: Project, values: list[str], nulls: list[str], changed: int
) -> None:
    if len(values) > 1:  # a name is unique
        shops_ = update(shops, "Shop", where=["id=1"], values=values, dry_run=True)
        assert shops_ == Updated(1, 0)
        return
    done = update(shops, "Shop", everything=True, values=values, nulls=nulls)
    assert done == Updated(3, changed)
    again = update(shops, "Shop", everything=True, values=values, nulls=nulls)
    assert again == Updated(3, 0)


def test_expected_number(shops: Project) -> None:
    with pytest.raises(Refused, match="2 records match, and --expect says 3") as caught:
        update(shops, "Shop", where=["city_id=1"], values=["size=9"], expect=3)
    assert (caught.value.exit_code, caught.value.state) == (3, "rolled back")
    assert sizes(shops) == [1, 2, None]
    update(shops, "Shop", where=["city_id=1"], values=["size=9"], expect=2)
    assert sizes(shops) == [9, 9, None]


def test_refused_value_is_named(shops: Project) -> None:
    with pytest.raises(Rejected, match="size_positive") as caught:
        update(shops, "Shop", everything=True, values=["size=-1"])
    assert "size=-1" in caught.value.message
    assert caught.value.state == "rolled back"
    assert sizes(shops) == [1, 2, None]


def test_preview_comes_before_the_commit(shops: Project) -> None:
    seen: list[Preview] = []

    def refuse(preview: Preview) -> None:
        seen.append(preview)
        raise Refused("no", state=shops.outcome)

    with pytest.raises(Refused) as caught:
        update(shops, "Shop", where=["city_id=1"], values=["size=9"], on_preview=refuse)
    assert caught.value.state == "rolled back"
    assert sizes(shops) == [1, 2, None]
    [preview] = seen
    size = preview.columns.index("size")
    assert (preview.count, preview.columns[:2]) == (2, ("id", "name"))
    assert [row[size] for row in preview.before] == [1, 2]
    assert [row[size] for row in preview.after] == [9, 9]
    assert preview.statement.startswith("UPDATE shop SET size=")
    update(shops, "Shop", where=["city_id=1"], values=["size=9"], on_preview=seen.append)
    assert sizes(shops) == [9, 9, None]


def test_preview_follows_a_new_key(shops: Project) -> None:
    seen: list[Preview] = []
    update(shops, "Shop", pk=["3"], values=["id=30"], on_preview=seen.append)
    assert [row[:2] for row in seen[0].before + seen[0].after] == [(3, "c"), (30, "c")]


def test_dry_run_shows_and_changes_nothing(shops: Project) -> None:
    seen: list[Preview] = []
    fill(shops, *(Shop(name=f"n{one}") for one in range(20)))
    done = update(
        shops, "Shop", everything=True, values=["size=9"], dry_run=True, on_preview=seen.append
    )
    assert done == Updated(23, 23)
    assert (seen[0].count, len(seen[0].before), len(seen[0].after)) == (23, 10, 10)
    assert 9 not in sizes(shops)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batches_do_every_record_once(shops: Project, size: int) -> None:
    fill(shops, *(Shop(id=10 + 3 * one, name=f"n{one}", kind="new") for one in range(20)))
    seen: list[Batch] = []
    done = update(
        shops,
        "Shop",
        where=["kind=new"],
        values=["size=9"],
        batch_size=size,
        expect=20,
        on_batch=seen.append,
    )
    assert done == Updated(20, 20)
    assert sizes(shops) == [1, 2, None, *[9] * 20]
    assert [one.done for one in seen] == sorted({*range(size, 20, size), 20})
    assert seen[-1].last == {"id": 67}


@pytest.mark.parametrize("size", [1, 4, 7, 1000])
def test_batches_by_composite_key(shops: Project, size: int) -> None:
    rows_ = [{"group": g, "number": n, "word": "x"} for g in "aBc" for n in range(5)]
    with shops.connect(writes=True) as connection:
        connection.execute(insert(tag), rows_)
    seen: list[Batch] = []
    done = update(
        shops, "tag", everything=True, values=["word=y"], batch_size=size, on_batch=seen.append
    )
    assert done == Updated(15, 15)
    assert {word for _, word in rows(shops, tag.c.number, tag.c.word)} == {"y"}
    assert [one.done for one in seen] == sorted({*range(size, 15, size), 15})


def test_interrupted_batches_say_what_is_committed(shops: Project) -> None:
    fill(shops, *(Shop(id=10 + one, name=f"n{one}", size=5) for one in range(7)))

    def stop(batch: Batch) -> None:
        if batch.done == 4:
            raise KeyboardInterrupt

    command: dict[str, Any] = {"where": ["size=5"], "values": ["size=9"], "batch_size": 2}
    with pytest.raises(KeyboardInterrupt):
        update(shops, "Shop", **command, on_batch=stop)
    assert shops.outcome.startswith("4 records are committed, to id=13")
    assert sizes(shops) == [1, 2, None, 9, 9, 9, 9, 5, 5, 5]
    assert update(shops, "Shop", **command) == Updated(3, 3)
    assert sizes(shops) == [1, 2, None, *[9] * 7]


def test_refused_batch_keeps_those_before(shops: Project) -> None:
    fill(shops, stock.Photo(shop_id=2))
    with pytest.raises(Rejected) as caught:
        delete(shops, "Shop", where=["id__lt=9"], batch_size=1)
    assert caught.value.state.startswith("1 records are committed, to id=1;")
    assert rows(shops, Shop.id) == [(2,), (3,)]


@on_sqlite
def test_records_that_come_meanwhile_do_not_keep_it_going(shops: Project) -> None:
    def add_one(batch: Batch) -> None:
        assert batch.done < 10
        fill(shops, Shop(name=f"m{batch.done}"))

    done = update(shops, "Shop", everything=True, values=["size=9"], batch_size=1, on_batch=add_one)
    assert done.matched == 3


@pytest.mark.parametrize("given", [{"expect": 2}, {"expect": 99}])
def test_batches_expect_before_the_first(shops: Project, given: dict[str, int]) -> None:
    with pytest.raises(Refused) as caught:
        update(shops, "Shop", everything=True, values=["size=9"], batch_size=1, **given)
    assert caught.value.state == "nothing was changed"
    assert sizes(shops) == [1, 2, None]


@on_sqlite
def test_batches_want_a_key_that_stays(shops: Project) -> None:
    with pytest.raises(UsageError, match="number is a part of it"):
        update(shops, "tag", everything=True, values=["number=1"], batch_size=1)


@on_sqlite
def test_class_of_several_tables_is_refused(shops: Project) -> None:
    with statements(shops) as sent:
        with pytest.raises(UsageError, match="several tables"):
            delete(shops, "Driver", everything=True)
        with pytest.raises(UsageError, match="several tables"):
            update(shops, "Driver", everything=True, values=["licence=x"])
    assert sent == []


def test_subclass_in_the_same_table_is_changed_alone(shops: Project) -> None:
    fill(shops, stock.Person(id=1), stock.Manager(id=2))
    assert update(shops, "Manager", everything=True, values=["boss_id=1"]) == Updated(1, 1)
    assert rows(shops, stock.Person.id, stock.Person.boss_id) == [(1, None), (2, 1)]
    assert delete(shops, "Manager", everything=True).matched == 1
    assert rows(shops, stock.Person.id) == [(1,)]


def test_journal_has_the_command_without_the_values(shops: Project) -> None:
    stock.in_production(shops)
    update(shops, "Shop", where=["city_id=1"], values=["size=9"], nulls=["price"], expect=2)
    update(shops, "Shop", everything=True, values=["size=9"], batch_size=2)
    update(shops, "Shop", pk=["1"], values=["size=1"], dry_run=True)
    with pytest.raises(Refused):
        update(shops, "Shop", pk=["1"], values=["size=1"], expect=2)
    one = "update --model Shop --where city_id=1 --set size=… --set-null price --expect 2"
    batch = "update --model Shop --all --set size=… --batch-size 2"
    assert stock.journal_of(shops) == [(one, 2), (batch, 2), (batch, 1)]


SIZES = st.none() | st.integers(-3, 3)
CONDITIONS = st.lists(
    st.one_of(
        st.integers(-3, 3).map(lambda n: (f"level={n}", lambda r: r["level"] == n)),
        st.integers(-3, 3).map(lambda n: (f"level__lt={n}", lambda r: r["level"] < n)),
        st.integers(-3, 3).map(
            lambda n: (f"weight__gte={n}", lambda r: r["weight"] is not None and r["weight"] >= n)
        ),
        st.just(("weight__isnull=true", lambda r: r["weight"] is None)),
        st.sampled_from("aAb").map(lambda c: (f"kind={c}", lambda r: r["kind"] == c)),
    ),
    min_size=1,
    max_size=2,
)


@given(
    st.lists(st.tuples(SIZES, st.integers(-3, 3), st.sampled_from("aAb")), max_size=8),
    CONDITIONS,
    CONDITIONS,
    st.integers(-3, 3),
    st.sampled_from([None, 1, 3]),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_same_as_on_dicts(
    shops: Project,
    start: list[tuple[int | None, int, str]],
    to_update: list[Any],
    to_delete: list[Any],
    new: int,
    size: int | None,
) -> None:
    records = [
        {"id": number, "shop_name": f"n{number}", "weight": weight, "level": level, "kind": kind}
        for number, (weight, level, kind) in enumerate(start, 1)
    ]
    with shops.connect(writes=True) as connection:
        connection.execute(delete_statement(Shop.__table__))
        if records:
            connection.execute(insert(Shop.__table__), records)
    meant = [one for one in records if all(check(one) for _, check in to_update)]
    changed = sum(one["level"] != new for one in meant)
    done = update(
        shops,
        "Shop",
        where=[text for text, _ in to_update],
        values=[f"level={new}"],
        batch_size=size,
    )
    assert done == Updated(len(meant), changed)
    for one in meant:
        one["level"] = new
    left = [one for one in records if not all(check(one) for _, check in to_delete)]
    gone = delete(shops, "Shop", where=[text for text, _ in to_delete], batch_size=size)
    assert gone.matched == len(records) - len(left)
    found = rows(shops, Shop.id, Shop.weight, Shop.level, Shop.kind)
    assert found == [(r["id"], r["weight"], r["level"], r["kind"]) for r in left]
