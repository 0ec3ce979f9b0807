"""A listener that the project's models register sees the connections of every command."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, Pool, event

from conftest import Database
from dbtasks import Project, fixtures, guards, migrations
from dbtasks.records import add, delete, query, update

LISTENERS = {
    "connect": (Engine, "connect"),
    "connect of a pool": (Pool, "connect"),
    "do_connect": (Engine, "do_connect"),
}


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """Return what the listeners of a test are told; they are removed after it."""
    removed = []

    def listen(target: type, name: str, told: list[str]) -> None:
        def note(*given: object) -> None:
            told.append(name)

        event.listen(target, name, note)
        removed.append((target, name, note))

    class Heard(list[str]):
        def listen(self, name: str) -> None:
            listen(*LISTENERS[name], self)

    yield Heard()
    for one in removed:
        event.remove(*one)


@pytest.mark.parametrize("name", LISTENERS)
def test_connections_that_were_there_before_are_opened_anew(
    company: Path, database: Database, heard: list[str], name: str
) -> None:
    with Project.configure(company, metadata="company.models:Base", url=database.url) as project:
        migrations.migrate(project)
        guards.check_write(project)  # it connects before the models are imported
        commands = [
            lambda: add(project, "Department", values=["name=a"]),
            lambda: update(project, "Department", everything=True, values=["name=b"]),
            lambda: query(project, "Department").count(),
            lambda: fixtures.dumpdata(project, output=company / "d.jsonl"),
            lambda: delete(project, "Department", everything=True),
            lambda: fixtures.loaddata(project, str(company / "d.jsonl")),
        ]
        for command in commands:
            guards.check_write(project)
            before = len(heard)
            heard.listen(name)
            command()
            assert len(heard) > before
        with project.connect() as one:
            first = one.connection.driver_connection
        with project.connect() as one:  # what has heard all of them is kept
            assert one.connection.driver_connection is first
