"""Credentials that are not in a URL: functions, engines and files, asked for each connection."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from conftest import Database, Result
from dbtasks import Project, fixtures, migrations, records
from dbtasks.errors import DbtasksError, LocalFailure, UsageError

Inv = Callable[..., Result]

TASKS = """
from dbtasks import collection

ns = collection(
    metadata="company.models:Base",
    seeds="company.seeds:seed",
    default_model="Employee",
    {option},
)
"""

VAULT = """
from pathlib import Path
from sqlalchemy import create_engine, make_url

URL = make_url({url!r})
asked = Path(__file__).with_name("asked")


def database_url():
    asked.open("a").write("x")
    return URL


def make_engine():
    return create_engine(URL, echo=False)


def make_connector():
    plain = make_engine()
    positional, named = plain.dialect.create_connect_args(URL)
    connect = plain.dialect.loaded_dbapi.connect
    return create_engine(URL, creator=lambda: connect(*positional, **named))


def fail():
    raise RuntimeError("the vault is sealed")
"""


@pytest.fixture
def vault(company: Path, database: Database) -> Callable[[str], Path]:
    """Return a function that writes tasks.py with an option, beside a module with credentials."""
    (company / "src" / "vault.py").write_text(VAULT.format(url=database.url))

    def write(option: str) -> Path:
        (company / "tasks.py").write_text(TASKS.format(option=option))
        return company / "src" / "asked"

    return write


def main_job(inv: Inv, env: dict[str, str] | None = None) -> None:
    done = inv("migrate", "seed", "query", "--name", "A", env=env)
    assert done.code == 0, done
    assert done.out.endswith("Alice → Engineering\n")


def test_url_of_a_function(inv: Inv, vault: Callable[[str], Path]) -> None:
    asked = vault('url="vault:database_url"')
    main_job(inv)
    before = len(asked.read_text())
    assert inv("query", "--count").code == 0
    assert len(asked.read_text()) > before + 1  # for the command, and for its connection
    assert inv("makemigrations", "--check").out == "No changes.\n"
    assert "url of default" in inv("settings").out


def test_engine_of_a_function(inv: Inv, vault: Callable[[str], Path], database: Database) -> None:
    vault('engine="vault:make_engine"')
    main_job(inv)
    assert inv("makemigrations", "--check").out == "No changes.\n"
    vault('engine="vault:make_connector"')
    assert inv("query", "--count").out == "2\n"
    if database.kind != "sqlite":
        checked = inv("makemigrations", "--check")
        assert checked.out == "No changes.\n", checked
        assert "only read: engine= leads to one database" in checked.err


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("option", "told"),
    [
        ('url="vault:fail"', "url= of database 'default' raised RuntimeError: the vault is sealed"),
        ('engine="vault:fail"', "engine= of database 'default' raised RuntimeError"),
        ('url="vault:missing"', "has no attribute 'missing'"),
        ('engine="vault:database_url"', "engine= of database 'default' gives URL"),
        ('url="nowhere:url"', "there is no module 'nowhere'"),
    ],
)
def test_function_that_fails(
    inv: Inv, vault: Callable[[str], Path], option: str, told: str
) -> None:
    vault(option)
    done = inv("query")
    assert done.code == 2, done
    assert told in done.err


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_password_in_a_file(inv: Inv, database: Database, tmp_path: Path) -> None:
    with owner(database) as (url, change):
        secret = tmp_path / "password"
        secret.write_text("first-secret\n")
        change("first-secret")
        env = {"DATABASE_URL": url, "DATABASE_PASSWORD_FILE": str(secret)}
        main_job(inv, env)
        assert "first-secret" not in inv("settings", env=env).out
        secret.write_text("another")
        assert inv("query", env=env).code == 5
        secret.write_text("")
        assert "is empty" in inv("query", env=env).err
        secret.unlink()
        done = inv("query", env=env)
        assert (done.code, "DATABASE_PASSWORD_FILE names it" in done.err) == (9, True)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_password_that_changes_meanwhile(company: Path, database: Database) -> None:
    """A connection that is open stays; each new one asks again: lock, lease, scratch, batches."""
    with owner(database) as (url, change):
        current = [f"secret-{uuid4().hex}"]
        change(current[0])
        ended = threading.Event()

        def rotate() -> None:
            while not ended.wait(0.3):
                password = f"secret-{uuid4().hex}"
                change(password)
                current[0] = password

        def now() -> str:
            return make_url(url).set(password=current[0]).render_as_string(hide_password=False)

        changing = threading.Thread(target=rotate)
        changing.start()
        try:
            rounds(company, now)
        finally:
            ended.set()
            changing.join()


def rounds(company: Path, now: Callable[[], str]) -> None:
    with Project.configure(
        company,
        metadata="company.models:Base",
        seeds="company.seeds:seed",
        default_model="Employee",
        url=now,
    ) as project:
        for _ in range(3):
            again(lambda: migrations.migrate(project))
            again(lambda: fixtures.generate(project, "Employee", 3_000, random_seed=1))
            again(
                lambda: records.update(
                    project, everything=True, values=["name=Bob"], batch_size=500, pause=0.1
                )
            )
            again(lambda: fixtures.dumpdata(project, output=company / "all.jsonl"))
            again(lambda: fixtures.loaddata(project, company / "all.jsonl", truncate=True))
            again(lambda: migrations.migrate(project, to="base"))


def again(work: Callable[[], object]) -> None:
    """Do it; once more where the password changed between the question and the answer."""
    try:
        work()
    except DbtasksError as error:
        if "password authentication failed" not in error.message:
            raise
        work()


@contextmanager
def owner(database: Database) -> Iterator[tuple[str, Callable[[str], None]]]:
    """Yield the URL of a user who owns the database, and what changes the user's password."""
    name = f"user_{uuid4().hex[:8]}"
    url = make_url(database.url)
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    postgresql = database.kind == "postgresql"

    def run(*statements: str) -> None:
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def change(password: str) -> None:
        if postgresql:
            run(f"ALTER USER {name} PASSWORD '{password}'")
        else:
            run(f"ALTER USER {name} IDENTIFIED BY '{password}'")

    if postgresql:
        run(f"CREATE USER {name} CREATEDB", f"ALTER DATABASE {url.database} OWNER TO {name}")
        run(f"ALTER SCHEMA public OWNER TO {name}")
    else:
        run(f"CREATE USER {name}", f"GRANT ALL ON {url.database}.* TO {name}")
    try:
        yield url.set(username=name, password=None).render_as_string(), change
    finally:
        if postgresql:
            run(f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP OWNED BY {name}")
        run(f"DROP USER {name}")


def test_password_file_belongs_to_the_alias(tmp_path: Path) -> None:
    from dbtasks.sources import password_in_file, password_variable
    from dbtasks.variables import Variables

    assert password_variable("DATABASE_URL") == "DATABASE_PASSWORD_FILE"
    assert password_variable("REPLICA_DATABASE_URL") == "REPLICA_DATABASE_PASSWORD_FILE"
    path = tmp_path / "secret"
    variables = Variables({"DATABASE_PASSWORD_FILE": str(path)}, {})
    assert password_in_file("OTHER_URL", variables) is None
    with pytest.raises(LocalFailure):
        password_in_file("DATABASE_URL", variables)
    path.write_text("")
    with pytest.raises(UsageError):
        password_in_file("DATABASE_URL", variables)
