"""The guards as a library: the marker, what it refuses, and the journal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy import inspect, select, text

from conftest import Database
from dbtasks import Project, databases, fixtures, guards, migrations, own_tables
from dbtasks.errors import Refused, Rejected, Unreachable, UsageError
from dbtasks.settings import known_environment

ENVIRONMENTS = st.text(st.characters(max_codepoint=126, min_codepoint=33), min_size=1, max_size=100)


def in_environment(project: Project, environment: str, source: str = "environment") -> Project:
    """Let the project be where DBTASKS_ENV says this."""
    sources = {**project.settings.sources, "environment": source}
    project.settings = replace(project.settings, environment=environment, sources=sources)
    return project


GUARDS = ("dbtasks_environment", "dbtasks_journal")


def own_tables_in(project: Project) -> list[str]:
    with project.connect() as connection:
        names = inspect(connection).get_table_names(schema=project.backend.own_schema)
    return sorted(name for name in names if name in GUARDS)


def journal_of(project: Project) -> list[tuple[object, ...]]:
    table = own_tables.journal(project.backend.own_schema)
    with project.connect() as connection:
        rows = connection.execute(select(table).order_by(table.c.id))
        return [tuple(row)[1:] for row in rows]


def now_of(project: Project) -> datetime:
    with project.connect() as connection:
        return datetime.fromisoformat(
            str(connection.scalar(text("SELECT CURRENT_TIMESTAMP")))
        ).replace(tzinfo=None)


def test_marker_is_read_back_and_replaced(project: Project) -> None:
    migrations.migrate(project)
    assert databases.protect(project) == databases.Protection(project.name, None)
    assert databases.protect(project, "production").marker == "production"
    assert databases.protect(project, "staging").marker == "staging"
    assert guards.marker_of(in_environment(project, "production")) == "staging"
    table = own_tables.environment(project.backend.own_schema)
    with project.connect() as connection:
        assert connection.execute(select(table)).all() == [(1, "staging")]


def test_what_only_reads_makes_no_table(project: Project) -> None:
    migrations.migrate(project)
    guards.marker_of(project)
    guards.check_write(project, destructive=True)
    databases.protect(project)
    fixtures.seed(project)
    assert own_tables_in(project) == []
    guards.mark(project, "test")
    assert own_tables_in(project) == ["dbtasks_environment", "dbtasks_journal"]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_tables_are_in_a_schema_of_their_own(project: Project) -> None:
    guards.mark(project, "test")
    with project.connect() as connection:
        assert inspect(connection).get_table_names() == []
        assert "dbtasks" in inspect(connection).get_schema_names()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_file_that_is_not_there_is_unmarked_and_not_made(project: Project, tmp_path: Path) -> None:
    assert guards.marker_of(project) is None
    with pytest.raises(Unreachable):
        guards.mark(project, "production")
    assert not (tmp_path / "test.db").exists()


def test_unmarked_database_allows_everything(project: Project) -> None:
    migrations.migrate(project)
    for environment in ("development", "production", "x"):
        guards.check_write(in_environment(project, environment), destructive=True)


def test_other_environment_takes_no_write(project: Project) -> None:
    migrations.migrate(project)
    guards.mark(project, "staging")
    guards.check_write(in_environment(project, "staging"), destructive=True)
    for environment in ("production", "development", "Staging"):
        with pytest.raises(Refused) as caught:
            other = in_environment(project, environment)
            guards.check_write(other, allow_production=project.name)
        assert f"marked as staging, and the environment here is {environment}" in str(caught.value)
        assert caught.value.state == "nothing was changed"
    with pytest.raises(Refused, match="development, as DBTASKS_ENV is not set"):
        guards.check_write(in_environment(project, "development", "default"))


def test_production_is_destroyed_by_its_name_only(project: Project) -> None:
    migrations.migrate(project)
    guards.mark(project, "production")
    production = in_environment(project, "production")
    guards.check_write(production)
    for name in (None, "production", project.name + "x", project.name.upper()):
        with pytest.raises(Refused, match="is marked as production"):
            guards.check_write(production, destructive=True, allow_production=name)
    guards.check_write(production, destructive=True, allow_production=project.name)
    with pytest.raises(Refused, match="environment here is development"):
        development = in_environment(project, "development")
        guards.check_write(development, destructive=True, allow_production=project.name)


def test_new_database_is_marked_where_the_environment_is_set(project: Project) -> None:
    migrations.migrate(project)
    guards.mark_new(project)
    assert guards.marker_of(project) is None
    guards.mark_new(in_environment(project, "staging", ".env: DBTASKS_ENV"))
    assert guards.marker_of(project) == "staging"
    guards.mark_new(in_environment(project, "production"))
    assert guards.marker_of(project) == "staging"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "\x00"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_name_that_cannot_be(project: Project, name: str) -> None:
    migrations.migrate(project)
    with pytest.raises(UsageError, match="cannot be the name of an environment"):
        guards.mark(project, name)
    assert own_tables_in(project) == []


def test_journal_has_each_write_on_a_marked_database(project: Project) -> None:
    migrations.migrate(project)
    guards.mark(project, "test")
    fixtures.seed(project, only="default")
    fixtures.seed(project, dry_run=True)
    [(written_at, user, host, command, rows)] = journal_of(project)
    assert (command, rows) == ("seed --only default", 3)
    assert user
    assert host
    assert isinstance(written_at, datetime)
    if written_at.tzinfo is not None:
        assert abs(datetime.now(UTC) - written_at) < timedelta(seconds=60)
    else:
        assert abs(now_of(project) - written_at) < timedelta(seconds=60)


def test_journal_is_rolled_back_with_the_write(project: Project) -> None:
    migrations.migrate(project)
    guards.mark(project, "test")
    with pytest.raises(Rejected), project.connect(writes=True) as connection:
        guards.note_write(project, connection, "update", 1)
        connection.execute(text("INSERT INTO employee (id, name) VALUES (1, NULL)"))
    assert journal_of(project) == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_journal_has_options_without_the_values_that_are_stored(project: Project) -> None:
    migrations.migrate(project)
    guards.mark(project, "test")
    with project.connect(writes=True) as connection:
        guards.note_write(
            project,
            connection,
            "update",
            2,
            model="Employee",
            where=["name=A", "id__gt=1"],
            set=("name=secret=1", "dept_id=2"),
            param=["x=secret"],
            set_null=["note"],
            as_="x",
            all=True,
            expect=2,
            limit=None,
            echo=False,
            pk=(),
        )
    assert journal_of(project)[0][3] == (
        "update --model Employee --where name=A --where id__gt=1 --set name=… --set dept_id=… "
        "--param x=… --set-null note --as x --all --expect 2"
    )


@given(marker=ENVIRONMENTS, environment=ENVIRONMENTS)
def test_any_other_name_is_refused(
    marker: str, environment: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assume(known_environment(marker) == marker)
    with Project.configure(tmp_path_factory.getbasetemp(), url="sqlite://") as project:
        guards.mark(project, marker)
        assert guards.marker_of(project) == marker
        in_environment(project, environment)
        if environment == marker:
            guards.check_write(project)
        else:
            with pytest.raises(Refused):
                guards.check_write(project)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_role_that_may_not_make_tables(project: Project, database: Database) -> None:
    migrations.migrate(project)
    role = f"app_{project.name}"
    with project.connect(writes=True) as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'x'"))
    engine = project.engine()
    limited = Project(replace(project.settings, environment="production"))
    limited.backend.url = engine.url.set(username=role, password="x")
    try:
        with pytest.raises(Rejected, match="permission denied"):
            guards.mark(limited, "production")
        assert guards.marker_of(limited) is None
        guards.mark(project, "production")
        with pytest.raises(Rejected, match="permission denied"):  # unread is not unmarked
            guards.check_write(limited)
        with project.connect(writes=True) as connection:
            connection.execute(text(f"GRANT USAGE ON SCHEMA dbtasks TO {role}"))
            connection.execute(text(f"GRANT SELECT ON dbtasks.dbtasks_environment TO {role}"))
            connection.execute(text(f"GRANT INSERT ON dbtasks.dbtasks_journal TO {role}"))
        guards.check_write(limited)
        with limited.connect(writes=True) as connection:
            guards.note_write(limited, connection, "seed", 1)
        assert len(journal_of(project)) == 1
    finally:
        limited.close()
        with project.connect(writes=True) as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))


@pytest.mark.parametrize("name", ["Production", " PROD\t", "prd", "Live"])
def test_production_is_production_in_any_case(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    migrations.migrate(project)
    guards.mark(project, name)
    assert guards.marker_of(project) == "production"
    monkeypatch.setenv("DBTASKS_ENV", name)
    url, _ = project.settings.url_of("default")
    with Project.configure(project.settings.root, url=url) as same:
        guards.check_write(same)
        with pytest.raises(Refused, match="is marked as production"):
            guards.check_write(same, destructive=True)


def test_long_command_does_not_stop_the_write(project: Project) -> None:
    migrations.migrate(project)
    guards.mark(project, "development")
    with project.connect(writes=True) as connection:
        guards.note_write(project, connection, "delete", 1, where=["id__in=" + "1," * 60_000])
