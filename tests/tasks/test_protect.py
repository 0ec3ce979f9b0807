"""The guards as a user meets them: `protect`, and a database marked as production."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, make_url, text

import warm
from conftest import Database, Result, clean_environment

Inv = Callable[..., Result]

BACK = ("migrate", "--to", "base")
PRODUCTION = {"DBTASKS_ENV": "production"}


@pytest.fixture
def production(inv: Inv, database: Database) -> Database:
    """Return a database of the reference project, with its rows, marked as production."""
    done = inv(
        "migrate", "seed", "protect", "--as", "production", env={"DATABASE_URL": database.url}
    )
    assert done.code == 0, done.err
    return database


def name_of(database: Database) -> str:
    name = make_url(database.url).database
    assert name
    return Path(name).name


def spellings(database: Database) -> list[str]:
    """Return other URLs of the same database."""
    url = make_url(database.url)
    if database.kind == "sqlite":
        path = Path(str(url.database))
        others = [url.set(database=f"../{path.name}"), url.set(drivername="sqlite+aiosqlite")]
    else:
        drivers = {
            "postgresql": ["postgresql+psycopg2", "postgres"],
            "mariadb": ["mariadb", "mysql"],
        }
        host = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}.get(str(url.host), url.host)
        others = [url.set(drivername=one, host=host) for one in drivers[database.kind]]
    return [one.render_as_string(hide_password=False) for one in others]


def rows_in(database: Database) -> int:
    engine = create_engine(database.url)
    try:
        with engine.connect() as connection:
            return int(connection.scalar(text("SELECT count(*) FROM employee")) or 0)
    finally:
        engine.dispose()


GUARDS = ("dbtasks_environment", "dbtasks_journal")


def own_tables_in(database: Database) -> list[str]:
    engine = create_engine(database.url)
    schema = "dbtasks" if database.kind == "postgresql" else None
    try:
        names = inspect(engine).get_table_names(schema=schema)
        return sorted(name for name in names if name in GUARDS)
    finally:
        engine.dispose()


def journal_of(database: Database) -> list[tuple[object, ...]]:
    engine = create_engine(database.url)
    prefix = "dbtasks." if database.kind == "postgresql" else ""
    columns = "os_user, host, command, row_count"
    try:
        with engine.connect() as connection:
            found = connection.execute(text(f"SELECT {columns} FROM {prefix}dbtasks_journal"))
            return [tuple(row) for row in found]
    finally:
        engine.dispose()


def set_marker(database: Database, marker: str) -> None:
    """Store a marker as another program may."""
    engine = create_engine(database.url)
    prefix = "dbtasks." if database.kind == "postgresql" else ""
    try:
        with engine.begin() as connection:
            statement = text(f"UPDATE {prefix}dbtasks_environment SET name = :name")
            connection.execute(statement, {"name": marker})
    finally:
        engine.dispose()


def assert_refused(done: Result, words: str) -> None:
    assert done.code == 3, done
    assert words in done.err
    assert done.err.endswith("state: nothing was changed\n")
    assert "Reverting" not in done.out


def test_shows_and_writes_the_marker(inv: Inv, database: Database) -> None:
    url = {"DATABASE_URL": database.url}
    name = name_of(database)
    inv("migrate", env=url)
    shown = inv("protect", env=url)
    assert (shown.code, shown.out, shown.err) == (0, f"{name} is not marked\n", "")
    assert own_tables_in(database) == []
    dry = inv("protect", "--as", "production", "--dry-run", env=url)
    assert dry.out == f"{name} would be marked as production\n"
    assert own_tables_in(database) == []
    marked = inv("protect", "--as", "production", env=url)
    assert marked.out == f"{name} is marked as production\n"
    assert marked.err.startswith("database: default, ")
    again = inv("protect", "--as", "production", env=url)
    assert (again.code, again.out) == (0, f"{name} is marked as production\n")
    assert inv("protect", env=url).out == f"{name} is marked as production\n"


def test_destructive_commands_need_the_name(inv: Inv, production: Database) -> None:
    url = {"DATABASE_URL": production.url, **PRODUCTION}
    words = f"error: {name_of(production)} is marked as production"
    assert_refused(inv(*BACK, env=url), words)
    assert_refused(inv(*BACK, "--no-input", env=url), words)
    for wrong in ("production", "default", name_of(production) + "x"):
        done = inv(*BACK, "--no-input", "--allow-production", wrong, env=url)
        assert_refused(done, f"--allow-production names {wrong!r}")
    named = ("--allow-production", name_of(production))
    assert_refused(inv(*BACK, *named, env=url), "there is no terminal to ask on")
    assert rows_in(production) == 2
    done = inv(*BACK, *named, "--no-input", env=url)
    assert (done.code, "Reverting 0001_department_employee ... OK" in done.out) == (0, True)


def test_marker_holds_through_another_alias_and_url(inv: Inv, production: Database) -> None:
    words = f"error: {name_of(production)} is marked as production"
    for url in (production.url, *spellings(production)):
        env = {"DATABASE_URL": "sqlite:///other.db", "BACKUP_DATABASE_URL": url, **PRODUCTION}
        assert_refused(inv(*BACK, "--no-input", "--database", "backup", env=env), words)
        assert_refused(inv(*BACK, "--no-input", env={**PRODUCTION, "DATABASE_URL": url}), words)
    assert rows_in(production) == 2


@pytest.mark.parametrize("environment", [None, "test", "staging"])
def test_no_write_from_another_environment(
    inv: Inv, production: Database, environment: str | None
) -> None:
    env = {"DATABASE_URL": production.url}
    if environment:
        env["DBTASKS_ENV"] = environment
    here = environment or "development, as DBTASKS_ENV is not set"
    words = f"{name_of(production)} is marked as production, and the environment here is {here}\n"
    allowed = ("--no-input", "--allow-production", name_of(production))
    for arguments in (["seed"], ["migrate"], [*BACK, *allowed], ["protect", "--as", "x", *allowed]):
        assert_refused(inv(*arguments, env=env), words)
    assert rows_in(production) == 2
    assert journal_of(production) == []


@pytest.mark.parametrize("marker", ["", "  ", "\ufeffproduction", "a\nb"])
def test_marker_that_no_environment_can_have_is_removed(
    inv: Inv, production: Database, marker: str
) -> None:
    """Another program has stored it: the advice works as it is printed."""
    env = {"DATABASE_URL": production.url}
    name = name_of(production)
    set_marker(production, marker)
    words = f"{name} is marked as {marker.strip()!r}, and the environment here is development"
    advice = f"inv protect --remove --allow-production {name}"
    for line in (["seed"], ["protect", "--remove", "--no-input"], ["protect", "--as", "x"]):
        done = inv(*line, env=env)
        assert_refused(done, words)
        assert f"If it is, remove the marker, which no environment can have: {advice}\n" in done.err
    assert_refused(inv("seed", env={**env, **PRODUCTION}), words.partition(",")[0])
    assert inv("protect", env=env).out == f"{name} is marked as {marker.strip()!r}\n"
    done = inv(*advice.split()[1:], "--no-input", env=env)
    assert (done.code, done.out) == (0, f"{name} is not marked\n"), done
    assert inv("seed", env=env).code == 0


def test_marker_of_several_words_is_quoted(inv: Inv, production: Database) -> None:
    set_marker(production, "my env")
    done = inv("seed", env={"DATABASE_URL": production.url})
    assert_refused(done, "If it is, set DBTASKS_ENV='my env'\n")
    assert inv("seed", env={"DATABASE_URL": production.url, "DBTASKS_ENV": "my env"}).code == 0


def test_reading_is_allowed_from_any_environment(inv: Inv, production: Database) -> None:
    env = {"DATABASE_URL": production.url, "DBTASKS_ENV": "test"}
    for arguments in (
        ["query"],
        ["showmigrations"],
        ["migrate", "--check"],
        ["migrate", "--dry-run", "--to", "base"],
        ["seed", "--dry-run"],
        ["protect"],
    ):
        done = inv(*arguments, env=env)
        assert (done.code, "error" in done.err) == (0, False), done
    assert rows_in(production) == 2


def test_forwards_and_seed_are_allowed_and_seed_is_noted(inv: Inv, production: Database) -> None:
    env = {"DATABASE_URL": production.url, **PRODUCTION, "LOGNAME": "alice"}
    assert inv("migrate", env=env).out == "Nothing to apply.\n"
    assert inv("seed", "--only", "default", env=env).code == 0
    [(user, host, command, rows)] = journal_of(production)
    assert (user, command, rows) == ("alice", "seed --only default", 0)
    assert host


def test_marker_is_changed_as_something_is_destroyed(inv: Inv, production: Database) -> None:
    env = {"DATABASE_URL": production.url, **PRODUCTION}
    name = name_of(production)
    weaker = ("protect", "--as", "staging")
    assert_refused(inv(*weaker, "--no-input", env=env), f"{name} is marked as production")
    assert_refused(inv(*weaker, "--allow-production", name, env=env), "no terminal to ask on")
    done = inv(*weaker, "--no-input", "--allow-production", name, env=env)
    assert (done.code, done.out) == (0, f"{name} is marked as staging\n")
    env["DBTASKS_ENV"] = "staging"
    assert_refused(inv("protect", "--as", "production", env=env), "no terminal to ask on")
    assert inv("protect", "--as", "production", "-y", env=env).code == 0


def test_migrate_marks_where_the_environment_is_set(
    inv: Inv, database: Database, company: Path
) -> None:
    env = {"DATABASE_URL": database.url}
    name = name_of(database)
    inv("migrate", env=env)
    for arguments in (["migrate", "--dry-run"], ["migrate", "--check"], ["seed"], ["query"]):
        assert inv(*arguments, env={**env, **PRODUCTION}).code == 0
    assert own_tables_in(database) == []
    (company / ".env").write_text("DBTASKS_ENV=production\n")
    done = inv("migrate", env=env)
    assert done.code == 0
    assert f"{name} is now marked as production, as DBTASKS_ENV says" in done.err
    assert "now marked" not in inv("migrate", env=env).err
    assert inv("protect", env=env).out == f"{name} is marked as production\n"
    assert inv("migrate", env={**env, "DBTASKS_ENV": "test"}).code == 3


def test_marker_is_removed_as_something_is_destroyed(inv: Inv, production: Database) -> None:
    env = {"DATABASE_URL": production.url, **PRODUCTION}
    name = name_of(production)
    remove = ("protect", "--remove")
    assert inv(*remove, "--as", "test", env=env).code == 2
    dry = inv(*remove, "--dry-run", env=env)
    assert (dry.code, dry.out) == (0, f"{name} would be not marked\n")
    assert_refused(inv(*remove, "--no-input", env=env), f"{name} is marked as production")
    assert_refused(inv(*remove, "--allow-production", name, env=env), "no terminal to ask on")
    development = {"DATABASE_URL": production.url}
    named = ("--no-input", "--allow-production", name)
    assert_refused(inv(*remove, *named, env=development), "environment here is development")
    assert journal_of(production) == []
    done = inv(*remove, *named, env=env)
    assert (done.code, done.out) == (0, f"{name} is not marked\n")
    [(_, _, command, rows)] = journal_of(production)
    assert (command, rows) == ("protect --remove", 1)
    again = inv(*remove, env=development)
    assert (again.code, again.out) == (0, f"{name} is not marked\n")
    assert (
        inv("protect", "--as", " PRD ", env=development).out == f"{name} is marked as production\n"
    )


@pytest.mark.parametrize("word", ["prod", "Live"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_words_that_mean_production(
    inv: Inv, production: Database, word: str, company: Path
) -> None:
    """In DBTASKS_ENV, in Invoke's configuration, and in a marker that an older version stored."""
    schema = "dbtasks." if production.kind == "postgresql" else ""
    engine = create_engine(production.url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {schema}dbtasks_environment SET name = '{word}'"))
    engine.dispose()
    words = f"{name_of(production)} is marked as production"
    url = {"DATABASE_URL": production.url}
    assert inv("protect", env=url).out == f"{words}\n"
    assert_refused(inv("seed", env=url), words)
    for env in ({"DBTASKS_ENV": f" {word.upper()} "}, {"INVOKE_DB_ENVIRONMENT": word}):
        assert inv("seed", env=url | env).code == 0
        assert_refused(inv("flush", "--no-input", env=url | env), words)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_migrate_stands_where_it_may_not_mark(inv: Inv, database: Database) -> None:
    engine = create_engine(database.url, isolation_level="AUTOCOMMIT")
    role = f"owner_{name_of(database)}"
    url = make_url(database.url).set(username=role, password="x")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'x'"))
        connection.execute(text(f"GRANT CREATE, USAGE ON SCHEMA public TO {role}"))
        try:
            env = {"DATABASE_URL": url.render_as_string(hide_password=False), **PRODUCTION}
            done = inv("migrate", env=env)
            assert (done.code, "OK" in done.out) == (0, True)
            assert "warning: not marked as production: dbtasks cannot make its own" in done.err
        finally:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))
    engine.dispose()


def test_autogenerate_does_not_see_our_tables(
    inv: Inv, production: Database, company: Path
) -> None:
    assert own_tables_in(production) == ["dbtasks_environment", "dbtasks_journal"]
    told = clean_environment() | {"DATABASE_URL": production.url}
    done = warm.run("alembic", "check", cwd=company, env=told)
    assert (done.returncode, "No new upgrade operations" in done.stdout) == (0, True), done


def test_reading_on_an_unmarked_database_makes_no_table(inv: Inv, database: Database) -> None:
    env = {"DATABASE_URL": database.url}
    inv("migrate", env=env)
    for arguments in (["protect"], ["query"], ["seed"], ["showmigrations"], [*BACK, "-y"]):
        assert inv(*arguments, env=env).code == 0
    assert own_tables_in(database) == []


@pytest.mark.parametrize("option", ["--as", "--allow-production"])
def test_empty_option_is_bad_usage(inv: Inv, company: Path, option: str) -> None:
    done = inv("protect", option, "")
    assert (done.code, done.err.splitlines()[0]) == (2, f"error: {option} needs a value")
    assert not list(company.glob("*.db"))


def test_missing_file_is_unmarked_and_not_made(inv: Inv, company: Path) -> None:
    assert inv("protect").out == "app.db is not marked\n"
    done = inv("protect", "--as", "production")
    assert (done.code, "hint: inv migrate makes it" in done.err) == (5, True)
    assert not list(company.glob("*.db"))


def test_unreachable_database_gives_its_own_error(inv: Inv) -> None:
    env = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    for arguments in (["seed"], ["migrate"], ["protect"], ["protect", "--as", "x"]):
        done = inv(*arguments, env=env)
        assert (done.code, "error: cannot connect to PostgreSQL" in done.err) == (5, True)


def test_a_number_lets_only_changes_of_rows_through(inv: Inv, production: Database) -> None:
    env = {"DATABASE_URL": production.url, **PRODUCTION}
    schema = "dbtasks." if production.kind == "postgresql" else ""
    words = f"{name_of(production)} is marked as production"
    for number, statement in (
        ("0", "DROP TABLE employee"),
        ("1", f"UPDATE {schema}dbtasks_environment SET name = 'test'"),
    ):
        write = ("sql", "--write", "--expect", number, "--statement", statement)
        assert_refused(inv(*write, "--no-input", env=env), words)
    assert inv("protect", env=env).out == f"{words}\n"
    one = ("sql", "--write", "--expect", "1", "--statement", "DELETE FROM employee WHERE id = 1")
    assert inv(*one, env=env).code == 0
    assert rows_in(production) == 1
