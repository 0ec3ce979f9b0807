"""Projects: threads, mistakes in a URL, and secrets in whatever is printed."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from dbtasks import Project, fixtures, migrations, records
from dbtasks.errors import UsageError


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


def test_outcome(project: Project) -> None:
    assert project.outcome == "nothing was changed"
    migrations.migrate(project)
    assert project.outcome == "committed"
    with pytest.raises(ZeroDivisionError):
        with project.connect(writes=True) as connection:
            connection.execute(text("DELETE FROM employee"))
            1 / 0  # noqa: B018  # what raises
    assert project.outcome == "rolled back"
