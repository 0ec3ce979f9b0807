"""Rows that the database leaves out, or deletes to make room, without an error: never counted."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import stock
from conftest import Database
from dbtasks import Project
from dbtasks.errors import Refused, Rejected
from dbtasks.records import Added, add, sql, update
from stock import City, fill, rows, tag

TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER leave BEFORE {verb} ON {table} WHEN new.{column} = 'left' "
        "BEGIN SELECT raise(IGNORE); END",
    ],
    "postgresql": [
        "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF new.{column} = 'left' THEN RETURN NULL; END IF; RETURN new; END $$",
        "CREATE TRIGGER leave BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION leave()",
    ],
}
RULE = "CREATE RULE leave AS ON {verb} TO {table} WHERE new.{column} = 'left' DO INSTEAD NOTHING"
ROUTED = [
    "CREATE TABLE north () INHERITS (city)",
    "CREATE FUNCTION route() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "INSERT INTO north VALUES (new.*); RETURN NULL; END $$",
    "CREATE TRIGGER route BEFORE INSERT ON city FOR EACH ROW EXECUTE FUNCTION route()",
]

with_triggers = pytest.mark.parametrize("database", TRIGGERS, indirect=True)
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.fixture
def shops(tmp_path: Path, database: Database) -> Iterator[Project]:
    with stock.opened(tmp_path, database.url) as project:
        fill(project, City(id=1, name="Rome", country="it"))
        yield project


def run(project: Project, statements: Sequence[str], **names: str) -> None:
    with project.migrating(writes=True) as connection, connection.begin():
        for statement in statements:
            filled = statement
            for name, value in names.items():
                filled = filled.replace(f"{{{name}}}", value)
            connection.exec_driver_sql(filled.replace("%", "%%"))


def leave_out(
    project: Project, database: Database, verb: str, table: str = "city", column: str = "country"
) -> None:
    run(project, TRIGGERS[database.kind], verb=verb, table=table, column=column)


def city(name: str, country: str = "it", **more: Any) -> dict[str, Any]:
    return {"name": name, "country": country, **more}


def cities(project: Project) -> list[tuple[Any, ...]]:
    return sorted(rows(project, City.name, City.country))


@with_triggers
@pytest.mark.parametrize("key", [[], ["id=7"]])
def test_record_that_is_left_out_is_not_added(
    shops: Project, database: Database, key: list[str]
) -> None:
    leave_out(shops, database, "INSERT")
    with pytest.raises(Rejected, match=r"city has taken 0 of 1 rows.*\(.*name=Oslo") as raised:
        add(shops, "City", values=[*key, "name=Oslo", "country=left"])
    assert raised.value.state == "rolled back"
    assert cities(shops) == [("Rome", "it")]
    assert add(shops, "City", values=["id=9", "name=Bern", "country=ch"]).count == 1


@with_triggers
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("keyed", [False, True])
def test_file_names_the_record_that_is_left_out(
    shops: Project, database: Database, place: int, keyed: bool
) -> None:
    leave_out(shops, database, "INSERT")
    records = [city(f"c{number}") for number in range(3)]
    records[place]["country"] = "left"
    if keyed:
        records = [{"id": number + 10, **record} for number, record in enumerate(records)]
    with pytest.raises(Rejected, match=rf"^record {place + 1}: city has taken 0 of 1 rows"):
        add(shops, "City", records=iter(records))
    assert cities(shops) == [("Rome", "it")]


@with_triggers
def test_plain_table_and_subclass(shops: Project, database: Database) -> None:
    leave_out(shops, database, "INSERT", "tag", "word")
    with pytest.raises(Rejected, match="tag has taken 0 of 1 rows"):
        add(shops, "tag", values=["group=a", "number=1", "word=left"])
    assert add(shops, "tag", values=["group=a", "number=2"]).count == 1
    assert rows(shops, tag.c.number) == [(2,)]


@with_triggers
def test_part_of_a_joined_class(shops: Project, database: Database) -> None:
    leave_out(shops, database, "INSERT", "driver", "licence")
    with pytest.raises(Rejected, match="driver has taken 0 of 1 rows"):
        add(shops, "Driver", values=["licence=left"])
    assert rows(shops, stock.Person.id) == []


@with_triggers
def test_change_that_is_left_out(shops: Project, database: Database) -> None:
    leave_out(shops, database, "UPDATE")
    with pytest.raises(Rejected, match="city has taken 0 of 1 rows"):
        add(shops, "City", values=["id=1", "name=Oslo", "country=left"], upsert=True)
    leave_out_tag = [one.replace("leave", "leave_tag") for one in TRIGGERS[database.kind]]
    run(shops, leave_out_tag, verb="UPDATE", table="tag", column="word")
    add(shops, "tag", values=["group=a", "number=1"])
    with pytest.raises(Rejected, match="tag has taken 0 of 1 rows"):
        add(shops, "tag", values=["group=a", "number=1", "word=left"], upsert=True)
    assert update(shops, "City", pk=["1"], values=["country=left"]).matched == 0
    assert cities(shops) == [("Rome", "it")]


@on_postgresql
def test_rule(shops: Project) -> None:
    run(shops, [RULE], verb="INSERT", table="city", column="country")
    with pytest.raises(Rejected, match="city has taken 0 of 1 rows"):
        add(shops, "City", values=["id=7", "name=Oslo", "country=left"])
    with pytest.raises(Rejected, match="RETURNING"):  # so PostgreSQL itself
        add(shops, "City", values=["name=Oslo", "country=left"])


@on_postgresql
def test_rows_that_a_trigger_puts_elsewhere_are_there(shops: Project) -> None:
    run(shops, ROUTED)
    added = add(shops, "City", values=["id=7", "name=Oslo"])
    assert added == Added("City", 1, ({"id": 7},))
    assert add(shops, "City", records=iter([city("a", id=8), city("b", id=9)])).count == 2
    assert [name for name, _ in cities(shops)] == ["Oslo", "Rome", "a", "b"]
    with pytest.raises(Rejected, match="city has taken 0 of 1 rows"):  # nobody knows its key
        add(shops, "City", values=["name=Bern"])


OURS = [("Oslo", "no"), ("Rome", "it")]
CONFLICTS = "CREATE TABLE {table} (id INTEGER PRIMARY KEY{key}, name VARCHAR(20){name}, country)"
IGNORED = [
    {"name": " UNIQUE ON CONFLICT IGNORE"},
    {"name": " NOT NULL ON CONFLICT IGNORE UNIQUE ON CONFLICT IGNORE"},
    {"key": " ON CONFLICT IGNORE"},
]
REPLACED = [
    {"name": " UNIQUE ON CONFLICT REPLACE"},
    {"key": " ON CONFLICT REPLACE"},
    {"country": ", UNIQUE (name) ON CONFLICT REPLACE"},
]


def with_conflicts(project: Project, clauses: dict[str, str]) -> None:
    """Make the table of cities anew, with what it does on conflicts."""
    places = {"table": "city", "key": "", "name": "", **clauses}
    last = places.pop("country", "")
    create = CONFLICTS.replace("country)", f"country{last})")
    run(project, ["PRAGMA foreign_keys = OFF", "DROP TABLE city", create], **places)
    fill(project, City(id=1, name="Rome", country="it"), City(id=2, name="Oslo", country="no"))


@on_sqlite
@pytest.mark.parametrize("clauses", IGNORED)
def test_conflict_that_is_ignored(shops: Project, clauses: dict[str, str]) -> None:
    with_conflicts(shops, clauses)
    again = {"id": 1, "name": "Bonn"} if "key" in clauses else {"id": 4, "name": "Rome"}
    with pytest.raises(Rejected, match="city has taken 0 of 1 rows"):
        add(shops, "City", values=[f"{name}={value}" for name, value in again.items()])
    with pytest.raises(Rejected, match=r"^record 2: city has taken 0 of 1 rows"):
        add(shops, "City", records=iter([city("Bern", id=3), city(**again)]))
    assert cities(shops) == OURS


@on_sqlite
@pytest.mark.parametrize("clauses", REPLACED)
def test_conflict_that_replaces(shops: Project, clauses: dict[str, str]) -> None:
    with_conflicts(shops, clauses)
    replaced = "city would lose 1 row"
    again = {"id": 1, "name": "Bonn"} if "key" in clauses else {"id": 4, "name": "Rome"}
    with pytest.raises(Rejected, match=replaced) as raised:
        add(shops, "City", values=[f"{name}={value}" for name, value in again.items()])
    assert "ON CONFLICT REPLACE" in raised.value.message
    assert raised.value.state == "rolled back"
    with pytest.raises(Rejected, match=f"^record 2: {replaced}"):
        add(shops, "City", records=iter([city("Bern", id=3), city(**again)]))
    for batch_size in (None, None if "key" in clauses else 1):
        with pytest.raises(Rejected, match=replaced):
            what = ["id=1" if "key" in clauses else "name=Rome"]
            update(shops, "City", where=["country=no"], values=what, batch_size=batch_size)
    assert cities(shops) == OURS
    assert add(shops, "City", values=["name=Bern"]).count == 1
    assert add(shops, "City", values=["id=1", "name=Roma"], upsert=True).overwritten == 1
    assert update(shops, "City", pk=["2"], values=["name=Olso"]).matched == 1


@on_sqlite
def test_sql_does_not_count_what_a_table_replaces(shops: Project) -> None:
    with_conflicts(shops, REPLACED[0])
    for statement in (
        "INSERT INTO city VALUES (5, 'Rome', 'us')",
        "UPDATE CITY SET name = 'Rome' WHERE id = 2",
    ):
        with pytest.raises(Refused, match="does not say how many rows"):
            with sql(shops, statement, write=True, expect=1) as results:
                list(results)
    assert cities(shops) == OURS
