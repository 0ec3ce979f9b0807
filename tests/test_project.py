"""Projects: threads, mistakes in a URL, and secrets in whatever is printed."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from dbtasks import Project, fixtures, migrations, records
from dbtasks.errors import DbtasksError, UsageError
from dbtasks.settings import Options


def in_threads(number: int, work: Callable[[], object]) -> list[object]:
    """Do the same in several threads at once, and return what each gave or raised."""
    found: list[object] = []
    barrier = threading.Barrier(number)

    def run() -> None:
        barrier.wait()
        try:
            found.append(work())
        except BaseException as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_threads_migrate_once_and_ask_meanwhile(project: Project) -> None:
    plans = in_threads(6, lambda: migrations.migrate(project))
    assert sorted(len(plan.steps) for plan in plans) == [0] * 5 + [1]  # type: ignore[attr-defined]  # Plans
    fixtures.seed(project)

    def ask() -> tuple[int, int]:
        return len(migrations.showmigrations(project)), len(list(records.query(project).texts()))

    assert in_threads(6, ask) == [(1, 2)] * 6


def test_threads_share_a_database_in_memory(company: Path) -> None:
    with Project.configure(
        company,
        url="sqlite:///:memory:",
        metadata="company.models:Base",
        seeds="company.seeds:seed",
        default_model="Employee",
    ) as project:
        migrations.migrate(project)
        fixtures.seed(project)
        assert in_threads(8, lambda: len(list(records.query(project).texts()))) == [2] * 8


HERE = "sqlite:////tmp/here.db"
THERE = "sqlite:////tmp/there.db"


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_url_of_a_program_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """A test's own database, whatever the developer's environment says."""
    names = ("DATABASE_URL", "REPLICA_DATABASE_URL", "REPLICA_URL")
    variables = {**dict.fromkeys(names, THERE), "DBTASKS_DATABASE": "replica"}
    if where == "environment":
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
    else:
        lines = (f"{name}={value}\n" for name, value in variables.items())
        (tmp_path / ".env").write_text("".join(lines))

    def url_of(alias: str | None = None, **options: Any) -> str:
        project = Project.configure(tmp_path, **options)
        return str((project.on(alias) if alias else project).backend.url.database)

    here, there = "/tmp/here.db", "/tmp/there.db"
    by_variable: dict[str, Any] = {"replica": {"url_variable": "REPLICA_URL"}}
    assert url_of(url=HERE) == url_of(url=lambda: HERE) == here
    assert url_of(url=HERE, database="default") == here
    assert url_of(url=HERE, databases=by_variable) == here
    assert url_of("replica", url=HERE, databases=by_variable) == there
    assert url_of("default", url=HERE, database="replica") == here
    for databases in ({}, by_variable, {"replica": {"read_only": True}}):
        assert url_of(url=HERE, database="replica", databases=databases) == here
    own: dict[str, Any] = {"replica": {"url": HERE}}
    assert url_of(databases=own, database="replica") == here
    assert url_of(url=THERE, databases=own, database="replica") == here
    assert url_of("replica", url=THERE, databases=own) == here
    assert url_of(default_url=HERE) == there
    assert url_of(default_url=HERE, database="default") == there
    assert url_of() == there

    def engine() -> Engine:
        return create_engine(HERE)

    assert url_of(engine=engine) == here
    assert url_of(engine=engine, database="replica") == here
    assert url_of("replica", databases={"replica": {"engine": engine}}, engine=lambda: 0) == here
    assert url_of(engine=engine, url=THERE) == there


def test_flush_of_a_test_leaves_the_development_database(company: Path, tmp_path: Path) -> None:
    own, theirs = (f"sqlite:///{tmp_path / name}" for name in ("test.db", "development.db"))
    options = {"metadata": "company.models:Base", "seeds": "company.seeds:seed"}
    with Project.configure(company, url=theirs, **options) as development:
        migrations.migrate(development)
        fixtures.seed(development)
        (company / ".env").write_text(f"DATABASE_URL={theirs}\n")
        with Project.configure(company, url=own, **options) as project:
            migrations.migrate(project)
            fixtures.seed(project)
            fixtures.flush(project)
        with development.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM employee")) == 2


def test_url_of_none_is_refused(tmp_path: Path) -> None:
    """As from os.environ.get("TEST_URL"), where nobody set it."""
    for option in ("url", "engine"):
        with pytest.raises(UsageError, match=f"{option}=None.* names no database"):
            Project.configure(tmp_path, **{option: None})


@pytest.mark.parametrize(
    "query",
    ["connect_timeout=abc", "nonsense=1", "charset=nope"],
)
def test_mistake_in_a_url_is_the_users(tmp_path: Path, query: str) -> None:
    url = f"mysql+pymysql://u:s3cr3t@127.0.0.1:1/d?{query}"
    with pytest.raises(UsageError, match="does not take this URL") as caught:
        with Project.configure(tmp_path, url=url).connect():
            pass
    assert "s3cr3t" not in caught.value.message


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_option_that_libpq_does_not_know(project: Project) -> None:
    url, _ = project.settings.url_of("default")
    with pytest.raises(UsageError, match="invalid connection option"):
        with Project.configure(project.settings.root, url=f"{url}?nonsense=1").connect():
            pass


@pytest.mark.parametrize(
    ("password", "told", "shown"),
    [
        ("s3cr3t-and-long", "xs3cr3t-and-longx", "x***x"),
        ("e", "there is e here", "there is *** here"),
        ("p%40ss", "p@ss", "***"),
    ],
)
def test_scrub(tmp_path: Path, password: str, told: str, shown: str) -> None:
    project = Project.configure(tmp_path, url=f"postgresql://u:{password}@h/d")
    assert project.scrub(told) == shown


def test_no_secret_in_a_repr(tmp_path: Path) -> None:
    """As pytest and other tools show the values in a traceback."""
    secret = "postgresql://u:s3cr3t@h/d"
    (tmp_path / ".env").write_text(f"DATABASE_URL={secret}\n")
    options: dict[str, Any] = {"url": secret, "default_url": secret}
    databases: dict[str, Any] = {"replica": {"url": secret}}
    project = Project.configure(tmp_path, **options, databases=databases)
    assert "s3cr3t" not in repr(project.settings) + repr(Options(**options, databases=databases))


def test_driver_that_quotes_the_url(tmp_path: Path) -> None:
    url = "postgresql+psycopg2://u:s3cr3t@h/d?options=-cs3cr3t_option%3Dx&nonsense=s3cr3t_too"
    with pytest.raises(DbtasksError) as caught:
        with Project.configure(tmp_path, url=url).connect():
            pass
    assert "s3cr3t" not in str(caught.value)


def test_outcome(project: Project) -> None:
    assert project.outcome == "nothing was changed"
    migrations.migrate(project)
    assert project.outcome == "committed"
    with pytest.raises(ZeroDivisionError):
        with project.connect(writes=True) as connection:
            connection.execute(text("DELETE FROM employee"))
            1 / 0  # noqa: B018  # what raises
    assert project.outcome == "rolled back"
