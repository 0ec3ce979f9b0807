"""add: what is stored, what is refused, and that a refused record leaves nothing behind."""

import io
import sys
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

import stock
from conftest import KINDS, Database
from dbtasks import Project
from dbtasks.errors import DbtasksError, Refused, Rejected, UsageError
from dbtasks.records import Added, Preview, add, delete, read_records, update, writers
from stock import City, Colour, Item, Shop, fill, rows, statements, tag


@pytest.fixture
def shops(tmp_path: Path, database: Database) -> Iterator[Project]:
    """Return a project with two cities, on each kind of database."""
    with stock.opened(tmp_path, database.url) as project:
        fill(project, City(id=1, name="Rome", country="it"), City(id=2, name="Rome", country="us"))
        fill(project, City(id=3, name="Bern"))
        yield project


on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def test_one_record_goes_through_the_orm(shops: Project) -> None:
    values = ["id=5", "name=Ann=s", "size=3", "price=1.50", "colour=GREEN", 'data={"a": [1]}']
    assert add(shops, "Shop", values=values) == Added("Shop", 1, ({"id": 5},))
    columns = (Shop.id, Shop.name, Shop.kind, Shop.level, Shop.price, Shop.colour, Shop.data)
    [found] = rows(shops, *columns)
    assert found == (5, "Ann=s", "plain", 7, Decimal("1.50"), Colour.GREEN, {"a": [1]})
    assert rows(shops, Shop.slug) == [("-ann=s-",)]


def test_validators_run(shops: Project) -> None:
    add(shops, "Shop", values=["name=a", "kind=BIG"])
    assert rows(shops, Shop.kind) == [("big",)]
    with pytest.raises(UsageError, match="Shop refuses these values: no bad shops"):
        add(shops, "Shop", values=["name=b", "kind=bad"])
    assert len(rows(shops, Shop.id)) == 1


def test_relationship_is_set_by_lookup(shops: Project) -> None:
    add(shops, "Shop", values=["name=a", "city.name=Bern"])
    add(shops, "Shop", values=["name=b", "city.name=Rome", "city.country=us"])
    add(shops, "Shop", values=["name=c", "city.name__startswith=Be"])
    assert rows(shops, Shop.name, Shop.city_id) == [("a", 3), ("b", 2), ("c", 3)]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("city.name=Oslo", "city.name=Oslo finds no City"),
        ("city.name=Rome", "city.name=Rome finds more than one City"),
        ("city.nam=Rome", "City has no field 'nam'"),
        ("town.name=Rome", "Shop has no field 'town'"),
        ("photos.id=1", "photos is not a many-to-one relationship of Shop"),
        ("name.id=1", "name is not a many-to-one relationship of Shop"),
    ],
)
def test_lookup_finds_one_or_is_refused(shops: Project, value: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        add(shops, "Shop", values=["name=a", value])
    assert caught.value.hint
    assert rows(shops, Shop.id) == []


def test_nulls(shops: Project) -> None:
    add(shops, "Shop", values=["name=a"], nulls=["size", "data", "level", "city.name"])
    null = "SELECT count(*) FROM shop WHERE size IS NULL AND data IS NULL AND city_id IS NULL"
    with shops.connect() as connection:
        assert connection.exec_driver_sql(null).scalar() == 1
    add(shops, "Shop", values=["name=b", "data=null"])
    with shops.connect() as connection:
        assert connection.exec_driver_sql(null).scalar() == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"values": ["name=a", "name=b"]}, "name is set twice"),
        ({"values": ["name=a"], "nulls": ["name"]}, "name is set twice"),
        ({"values": ["name"]}, "'name' sets nothing"),
        ({}, "nothing is set"),
        ({"values": ["name=a"], "records": []}, "exclude each other"),
        ({"values": ["nme=a"]}, "no field 'nme'"),
        ({"values": ["id); DROP TABLE shop; --=1"]}, "no field"),
    ],
)
@on_sqlite
def test_bad_options(shops: Project, given: dict[str, Any], words: str) -> None:
    with statements(shops) as sent, pytest.raises(UsageError, match=words):
        add(shops, "Shop", **given)
    assert sent == []


BAD = [
    ("size=abc", "size='abc'"),
    ("size=1.5", "size='1.5'"),
    (f"size={2**31}", "2147483648"),
    ("size=" + "9" * 5000, "5000 characters"),
    ("name=" + "x" * 11, "10"),
    ("name=\ud800", "name="),
    ("price=1.234", "price='1.234'"),
    ("price=12345.00", "price='12345.00'"),
    ("colour=BLUE", "RED"),
    ("opened=2024-01-01T00:00:00+02:00", "opened="),
    ("opened=yesterday", "opened='yesterday'"),
    ("data={", "data='{'"),
]


@pytest.mark.parametrize(("value", "words"), BAD, ids=[words for _, words in BAD])
def test_bad_value_is_named_and_nothing_sent(shops: Project, value: str, words: str) -> None:
    with statements(shops) as sent, pytest.raises(UsageError) as caught:
        add(shops, "Shop", values=["name=a", value] if "name" not in value else [value])
    assert sent == []
    error = caught.value
    assert words in error.message + (error.hint or "")
    assert value.partition("=")[0] in error.message
    assert error.state == "nothing was changed"


@pytest.mark.parametrize(
    ("database", "value"),
    [("postgresql", "name=a\0b"), ("sqlite", "weight=NaN"), ("mariadb", "price=NaN")],
    indirect=["database"],
)
def test_value_that_this_engine_has_not(shops: Project, value: str) -> None:
    name = [] if value.startswith("name") else ["name=a"]
    with statements(shops) as sent, pytest.raises(UsageError):
        add(shops, "Shop", values=[*name, value])
    assert sent == []


def test_bad_lookup_value_is_refused_before_anything_is_sent(shops: Project) -> None:
    with statements(shops) as sent, pytest.raises(UsageError, match="id='x'"):
        add(shops, "Shop", values=["name=a", "city.id=x"])
    assert sent == []


REFUSED = {
    "primary key": ("Shop", ["id=1", "name=b"], {"sqlite": "shop.id", "postgresql": "shop_pkey"}),
    "unique": ("Shop", ["name=taken"], dict.fromkeys(("sqlite", "postgresql"), "shop_name")),
    "parent": ("Shop", ["name=b", "city_id=99"], {"postgresql": "city_id", "mariadb": "city_id"}),
    "check": ("Shop", ["name=b", "size=-1"], dict.fromkeys(KINDS, "size_positive")),
    "null": ("City", ["country=ch"], dict.fromkeys(KINDS, "name")),
    "table": ("tag", ["group=a", "number=1", "word=b"], {"postgresql": "tag_pkey"}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_database_refuses(shops: Project, database: Database, case: str) -> None:
    model, values, constraints = REFUSED[case]
    fill(shops, Shop(id=1, name="taken"))
    add(shops, "tag", values=["group=a", "number=1"])
    with pytest.raises(Rejected) as caught:
        add(shops, model, values=values)
    error = caught.value
    assert (error.exit_code, error.state, shops.outcome) == (8, "rolled back", "rolled back")
    assert values[-1] in error.message
    assert constraints.get(database.kind, "") in error.message
    assert [len(rows(shops, one)) for one in (City.id, Shop.id, tag.c.word)] == [3, 1, 1]


def test_projects_own_error_names_the_class(shops: Project) -> None:
    with pytest.raises(DbtasksError) as caught:  # set_slug reads the name
        add(shops, "Shop", values=["size=1"])
    assert (caught.value.exit_code, "Shop" in caught.value.message) == (2, True)
    assert rows(shops, Shop.id) == []


def many(number: int) -> Iterator[dict[str, Any]]:
    for one in range(1, number + 1):
        yield {"id": one, "name": f"s{one}", "data": {"n": one}, "city.name": "Bern"}


def set_batch(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Let fewer records be sent at once than usual."""
    for module in (sys.modules[add.__module__], writers):
        monkeypatch.setattr(module, "BATCH", size)


def test_records_of_a_file(shops: Project) -> None:
    with statements(shops) as sent:
        added = add(shops, "Shop", records=many(2500))
    assert (added.count, len(added.keys), added.keys[0]) == (2500, 100, {"id": 1})
    found = rows(shops, Shop.id, Shop.name, Shop.data, Shop.city_id)
    assert len(found) == 2500
    assert found[-1] == (2500, "s2500", {"n": 2500}, 3)
    assert len([one for one in sent if "FROM city" in one]) == 3  # one a batch


@pytest.mark.parametrize("number", [1, 101, 235])
@pytest.mark.parametrize(
    ("change", "words", "error_class"),
    [
        ({"size": -1}, "size_positive", Rejected),
        ({"size": "x"}, "size='x'", UsageError),
        ({"city.name": "Oslo"}, "finds no City", UsageError),
        ({"kind": "bad"}, "no bad shops", UsageError),
    ],
)
def test_failing_record_is_named_and_all_rolled_back(
    shops: Project,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    change: dict[str, Any],
    words: str,
    error_class: type[DbtasksError],
) -> None:
    set_batch(monkeypatch, 100)  # the record is in the first, the second or the third
    records = [one | change if one["id"] == number else one for one in many(250)]
    with pytest.raises(error_class, match=words) as caught:
        add(shops, "Shop", records=records)
    assert caught.value.message.startswith(f"record {number}: ")
    assert rows(shops, Shop.id) == []


@pytest.mark.parametrize("change", [{"word": None}, {"number": 1}], ids=["null", "key"])
def test_failing_row_of_a_table_is_named(shops: Project, change: dict[str, Any]) -> None:
    records: list[dict[str, Any]] = [{"group": "a", "number": n} for n in range(1, 10)]
    records[6] |= change
    with pytest.raises(Rejected, match=r"^record 7: "):
        add(shops, "tag", records=records)
    assert rows(shops, tag.c.number) == []


def test_same_key_twice_names_the_second(shops: Project) -> None:
    records = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 1, "name": "c"}]
    with pytest.raises(Rejected, match=r"^record 3: .*name=c"):
        add(shops, "Shop", records=records)


@on_sqlite
def test_bad_first_batch_is_refused_before_anything_is_sent(shops: Project) -> None:
    with statements(shops) as sent, pytest.raises(UsageError, match="record 2: "):
        add(shops, "Shop", records=[{"name": "a"}, {"name": 5, "size": []}])
    assert sent == []


CSV = 'id,name,size,data,city.name\r\n1,a,3,"{""x"": 1}",Bern\r\n2,b,,,\r\n'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", CSV),
        ("-", CSV),
        ("a.jsonl", '{"id": 1, "name": "a", "size": 3, "data": {"x": 1}, "city.name": "Bern"}\n'
                    '{"id": 2, "name": "b", "city.name": null}\n'),
        ("a.json", '[{"id": 1, "name": "a", "size": 3, "data": {"x": 1}, "city.id": 3},'
                   '{"id": 2, "name": "b"}]'),
    ],
)  # fmt: skip
def test_each_format_stores_the_same(shops: Project, name: str, text: str) -> None:
    add(shops, "Shop", records=read_records(io.StringIO(text, newline=""), name))
    found = rows(shops, Shop.id, Shop.name, Shop.size, Shop.data, Shop.city_id)
    assert found == [(1, "a", 3, {"x": 1}, 3), (2, "b", None, None, None)]


@on_sqlite
def test_memory_does_not_grow_with_the_records(
    shops: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_batch(monkeypatch, 400)

    def peak(first: int, number: int) -> int:
        records = ({"id": one, "name": f"s{one}"} for one in range(first, first + number))
        tracemalloc.start()
        add(shops, "Shop", records=records)
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1, 400)
    assert peak(10_000, 4000) < 1.3 * peak(50_000, 1000)


def test_upsert_of_objects(shops: Project) -> None:
    fill(shops, Shop(id=1, name="a", size=1, kind="old"))
    records = [
        {"id": 1, "size": 5},
        {"id": 2, "name": "b"},
        {"id": 2, "name": "bb"},
    ]
    add(shops, "Shop", records=records, upsert=True)
    add(shops, "Shop", values=["name=c", "city.name=Bern"], upsert=True)
    found = rows(shops, Shop.id, Shop.name, Shop.size, Shop.kind, Shop.city_id)
    assert found == [
        (1, "a", 5, "old", None),
        (2, "bb", None, "plain", None),
        (3, "c", None, "plain", 3),
    ]


def test_upsert_by_composite_key(shops: Project) -> None:
    fill(shops, Shop(id=1, name="a"), Item(shop_id=1, number=1, label="x"))
    for number, label in (("1", "y"), ("2", "z")):
        values = ["shop_id=1", f"number={number}", f"label={label}"]
        added = add(shops, "Item", values=values, upsert=True)
        assert added.keys == ({"shop_id": 1, "number": int(number)},)
    assert rows(shops, Item.number, Item.label) == [(1, "y"), (2, "z")]


def test_core_table(shops: Project) -> None:
    added = add(shops, "tag", values=["group=a", "number=1", "data=[1]"])
    assert added == Added("tag", 1, ({"group": "a", "number": 1},))
    add(shops, "tag", records=[{"group": "a", "number": n, "word": "w"} for n in range(2, 2502)])
    assert len(rows(shops, tag.c.number)) == 2501
    assert rows(shops, tag.c.number, tag.c.word, tag.c.data)[:2] == [
        (1, "none", [1]),
        (2, "w", None),
    ]
    add(shops, "tag", values=["group=a", "number=1", "word=new"], upsert=True)
    add(shops, "tag", values=["group=a", "number=1"], upsert=True)
    add(shops, "tag", values=["group=b", "number=1"], upsert=True)
    assert rows(shops, tag.c.number, tag.c.word, tag.c.data)[0] in [
        (1, "new", [1]),
        (1, "none", None),
    ]
    assert len(rows(shops, tag.c.number)) == 2502


def test_next_automatic_key_is_free(shops: Project) -> None:
    add(shops, "Shop", values=["id=41", "name=a"])
    assert add(shops, "Shop", values=["name=b"]).keys == ({"id": 42},)


def test_dry_run_leaves_nothing(shops: Project) -> None:
    with pytest.raises(Rejected):
        add(shops, "Shop", values=["name=a", "size=-1"], dry_run=True)
    assert add(shops, "Shop", records=many(1500), dry_run=True).count == 1500
    assert rows(shops, Shop.id) == []
    assert shops.outcome == "rolled back"


def test_journal_has_the_fields_and_not_the_values(shops: Project) -> None:
    stock.in_production(shops)
    add(shops, "Shop", values=["name=secret", "city.name=Bern"], nulls=["size"])
    add(shops, "tag", records=[{"group": "a", "number": 1}], upsert=True)
    add(shops, "tag", values=["group=b", "number=1"], dry_run=True)
    assert stock.journal_of(shops) == [
        ("add --model Shop --set name=… --set city.name=… --set-null size", 1),
        ("add --model tag --upsert", 1),
    ]


@pytest.mark.parametrize("model", ["Shop", "tag"])
def test_expect_counts_existing_records(shops: Project, model: str) -> None:
    names = ("group", "number", "word") if model == "tag" else ("name", "id", "name")
    keep, key, value = names
    given: list[dict[str, object]] = [{keep: "a", key: n, value: f"x{n}"} for n in (1, 2)]
    add(shops, model, records=given)
    new = [{**one, value: f"y{one[key]}"} for one in given] + [{keep: "a", key: 3, value: "z"}]
    for number in (0, 1, 3):
        with pytest.raises(Refused, match="2 existing records would be changed") as caught:
            add(shops, model, records=new, upsert=True, expect=number)
        assert caught.value.state == "rolled back"
    seen: list[Preview] = []
    added = add(shops, model, records=new, upsert=True, expect=2, on_preview=seen.append)
    assert (added.count, added.overwritten) == (3, 2)
    [preview] = seen
    column = preview.columns.index(value)
    assert (preview.count, [one[column] for one in preview.before]) == (2, ["x1", "x2"])
    assert [one[column] for one in preview.after] == ["y1", "y2"]
    with pytest.raises(UsageError, match="--expect counts existing records"):
        add(shops, model, records=new, expect=0)


def test_trigger_that_rolls_all_back_leaves_nothing(tmp_path: Path) -> None:
    """The transaction is gone then: to try the records one by one would commit each."""
    with Project.configure(tmp_path, url="sqlite:///t.db", metadata=f"{__name__}:OWN") as project:
        with project.migrating(writes=True) as connection, connection.begin():
            OWN.create_all(connection)
            connection.exec_driver_sql(
                "CREATE TRIGGER refuse BEFORE INSERT ON noted WHEN new.name = 'bad' "
                "BEGIN SELECT RAISE(ROLLBACK, 'bad is refused'); END"
            )
        records = [{"id": n, "name": name} for n, name in enumerate(["a", "b", "bad", "c"])]
        for dry_run in (False, True):
            with pytest.raises(Rejected, match="bad is refused"):
                add(project, "noted", records=records, dry_run=dry_run)
        with project.connect() as connection:
            assert connection.scalar(select(func.count()).select_from(NOTED)) == 0


OWN = MetaData()
NOTED = Table("noted", OWN, Column("id", Integer, primary_key=True), Column("name", String(20)))


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_table_without_transactions_is_not_tried(project: Project) -> None:
    """A dry run, an expected number and a file could not be taken back there."""
    url, _ = project.settings.url_of("default")
    with Project.configure(project.settings.root, url=url, metadata=f"{__name__}:OWN") as own:
        with own.connect(writes=True) as connection:
            connection.exec_driver_sql(
                "CREATE TABLE noted (id INTEGER PRIMARY KEY, name VARCHAR(20)) ENGINE=MyISAM"
            )
        add(own, "noted", values=["id=0", "name=zero"])
        for work in (
            lambda: add(own, "noted", values=["id=1", "name=a"], dry_run=True),
            lambda: delete(own, "noted", everything=True, dry_run=True),
            lambda: update(own, "noted", where=["id=0"], values=["name=x"], expect=2),
        ):
            with pytest.raises(Refused, match="has no transactions"):
                work()
        with own.connect() as connection:
            assert connection.execute(select(NOTED)).all() == [(0, "zero")]


class Own(DeclarativeBase):
    pass


class Tag(Own):
    __tablename__ = "own_tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("own_member.id"))


class Member(Own):
    __tablename__ = "own_member"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    active: Mapped[bool]
    tags: Mapped[list[Tag]] = relationship(cascade="all, delete-orphan")

    def __init__(self, id: int, name: str = "", active: bool = True, tags: Any = ()) -> None:  # noqa: A002  # the column's own name
        self.id, self.name, self.active, self.tags = id, name, active, list(tags)


def test_upsert_sets_only_what_is_given(tmp_path: Path, database: Database) -> None:
    """A constructor's defaults are not written over what is there."""
    with Project.configure(tmp_path, url=database.url, metadata=f"{__name__}:Own") as project:
        with project.migrating(writes=True) as connection, connection.begin():
            Own.metadata.create_all(connection)
        with project.session(writes=True) as session:
            session.add(Member(1, "old", active=False, tags=[Tag(id=1), Tag(id=2)]))
        add(project, "Member", values=["id=1", "name=new"], upsert=True)
        assert rows(project, Member.name, Member.active) == [("new", False)]
        assert len(rows(project, Tag.id)) == 2
