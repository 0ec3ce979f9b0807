"""A connection that is lost, or a transaction that has ended: which error is reported."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.orm import Session

from company.models import Department, Employee
from conftest import Database, Result
from cutting import Cut, cutting
from dbtasks import Project, fixtures, migrations
from dbtasks.errors import Locked, Rejected

Inv = Callable[..., Result]

networked = pytest.mark.parametrize(
    "drivers",
    ["postgresql+psycopg", "postgresql+psycopg2", "mysql+pymysql", "mysql+mysqldb"],
    indirect=True,
)
ROWS = 3000
ROLLBACK = {"postgresql": b"ROLLBACK", "mariadb": b"\x03ROLLBACK"}


@contextmanager
def cut_at(database: Database, word: bytes, *, mark: bytes = b"") -> Iterator[tuple[Cut, str]]:
    """Yield a proxy, and the URL through it, that cuts where a client sends a word."""
    url = make_url(database.url)
    assert url.host
    assert url.port
    with cutting((url.host, url.port), when="after", mark=mark, word=word) as cut:
        through = url.set(host="127.0.0.1", port=cut.port)
        yield cut, through.render_as_string(hide_password=False)


@pytest.fixture
def filled(company: Path, drivers: Database) -> Iterator[Project]:
    """Return the reference project with two departments, and with functions of ours as seeds."""
    with Project.configure(
        company,
        url=drivers.url,
        metadata="company.models:Base",
        seeds={
            "deadlock": f"{__name__}:deadlock",
            "ended": f"{__name__}:ended",
            "nested": f"{__name__}:nested",
        },
    ) as project:
        migrations.migrate(project)
        with project.session(writes=True) as session:
            session.add_all([Department(id=1, name="a"), Department(id=2, name="b")])
        yield project


@networked
def test_inside_the_rows_of_a_load(
    company: Path, drivers: Database, filled: Project, inv_process: Inv
) -> None:
    names = ("middle" if number == ROWS // 2 else "x" for number in range(ROWS))
    lines = [f"{number},{name}\n" for number, name in enumerate(names, start=10)]
    (company / "rows.csv").write_text("".join(["id,name\n", *lines]), encoding="utf-8")
    with cut_at(drivers, b"middle") as (cut, url):
        load = ("loaddata", "--input", "rows.csv", "--model", "Department")
        done = inv_process(*load, env={"DATABASE_URL": url})
        assert cut.cut, done.err
    assert (done.code, "the connection was lost" in done.err) == (5, True), done.err
    assert "state: rolled back" in done.err
    with filled.session() as session:
        assert session.query(Department).count() == 2


@pytest.mark.parametrize(
    "drivers", ["postgresql+psycopg", "mysql+pymysql", "mysql+mysqldb"], indirect=True
)
def test_inside_the_rows_of_a_dump(drivers: Database, filled: Project, inv_process: Inv) -> None:
    word = b"COPY" if drivers.kind == "postgresql" else b"FROM department"
    with cut_at(drivers, word) as (cut, url):
        done = inv_process("dumpdata", env={"DATABASE_URL": url})
        assert cut.cut, done.err
    assert (done.code, "the connection was lost" in done.err) == (5, True), done.err


def deadlock(session: Session) -> None:
    """Lock the first row, and let another lock the second and wait for the first."""
    session.execute(text("UPDATE department SET name = 'seed' WHERE id = 1"))
    session.info["other"]()
    session.add(Department(id=3, name="c"))
    session.flush()
    session.get_one(Department, 2).name = "seed"
    session.flush()


def nested(session: Session) -> None:
    with session.begin_nested():
        deadlock(session)


def ended(session: Session) -> None:
    session.add(Department(id=3, name="ends"))
    session.flush()


def victim(project: Project, database: Database, only: str) -> Exception:
    """Return the error of a seed that loses a deadlock with another connection."""
    from threading import Barrier, Thread

    from sqlalchemy import create_engine, event

    meets, engine = Barrier(2), create_engine(database.url)

    def other() -> None:
        with engine.connect() as connection, connection.begin():
            if database.kind == "mariadb":  # the one that has changed less gives up
                many = ", ".join(f"({number}, 'x')" for number in range(100, 400))
                connection.execute(text(f"INSERT INTO department (id, name) VALUES {many}"))
            else:  # the one that looks for a deadlock first gives up
                connection.execute(text("SET deadlock_timeout = '10s'"))
            connection.execute(text("UPDATE department SET name = 'other' WHERE id = 2"))
            meets.wait(20)
            connection.execute(text("UPDATE department SET name = 'other' WHERE id = 1"))

    thread = Thread(target=other)

    def start(session: Session) -> None:
        session.info["other"] = meet

    def meet() -> None:
        thread.start()
        meets.wait(20)

    session_began = lambda session, transaction, connection: start(session)  # noqa: E731
    event.listen(Session, "after_begin", session_began)
    try:
        with pytest.raises(Locked) as caught:
            fixtures.seed(project, only=only)
    finally:
        event.remove(Session, "after_begin", session_began)
        thread.join(30)
        engine.dispose()
    return caught.value


@networked
@pytest.mark.parametrize("only", ["deadlock", "nested"])
def test_a_deadlock_is_not_a_missing_savepoint(
    drivers: Database, filled: Project, only: str
) -> None:
    error = victim(filled, drivers, only)
    assert "eadlock" in str(error)
    assert (error.exit_code, error.state) == (4, "rolled back")


@pytest.mark.parametrize("drivers", ["sqlite+pysqlite"], indirect=True)
def test_a_trigger_that_rolls_back_is_not_a_missing_savepoint(filled: Project) -> None:
    with filled.connect(writes=True) as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER ends BEFORE INSERT ON department WHEN NEW.name = 'ends' "
            "BEGIN SELECT RAISE(ROLLBACK, 'that name ends all'); END"
        )
    with pytest.raises(Rejected, match="that name ends all"):
        fixtures.seed(filled, only="ended")


@networked
@pytest.mark.parametrize(
    "command", [("query", "-m", "Department"), ("get", "-m", "Department", "--pk", "1")]
)
def test_reply_to_the_closing_rollback(
    drivers: Database, filled: Project, inv_process: Inv, command: tuple[str, ...]
) -> None:
    """All was read by then, and nothing is to be changed."""
    with filled.session(writes=True) as session:
        session.add(Employee(id=1, name="Alice", dept_id=1))
    with cut_at(drivers, ROLLBACK[drivers.kind], mark=b"FROM department") as (cut, url):
        done = inv_process(*command, env={"DATABASE_URL": url})
        assert cut.cut
    assert "Traceback" not in done.err
    assert (done.code, "error" in done.err) == (0, False), done.err
