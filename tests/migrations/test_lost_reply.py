"""The connection is lost at COMMIT: what became of it is looked at before anything is claimed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from conftest import Database, Result
from cutting import cutting
from dbtasks import Project, migrations
from trees import FIRST, add_revision

Inv = Callable[..., Result]

PLACE = 'op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True))'
servers = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
LOST = "the connection was lost while committing"


def applied(project: Project) -> list[str]:
    return [one.revision.id for one in migrations.showmigrations(project) if one.applied]


def migrate_cut(
    inv_process: Inv,
    database: Database,
    *options: str,
    when: str,
    number: int = 1,
    closes: bool = False,
) -> Result:
    url = make_url(database.url)
    assert url.host
    assert url.port
    with cutting((url.host, url.port), when=when, number=number, closes=closes) as cut:
        through = url.set(host="127.0.0.1", port=cut.port)
        shown = through.render_as_string(hide_password=False)
        done = inv_process("migrate", *options, env={"DATABASE_URL": shown})
        assert cut.cut
    assert "Traceback" not in done.err
    return done


@postgresql
def test_done_is_done(database: Database, project: Project, inv_process: Inv) -> None:
    done = migrate_cut(inv_process, database, when="after")
    assert done.code == 0, done.err
    assert applied(project) == [FIRST]


@postgresql
def test_not_done_is_told_as_rolled_back(
    database: Database, project: Project, inv_process: Inv
) -> None:
    done = migrate_cut(inv_process, database, when="before")
    assert done.code == 5
    assert LOST in done.err
    assert "state: rolled back, 0 of 1 applied" in done.err
    assert applied(project) == []
    assert inv_process("migrate", env={"DATABASE_URL": database.url}).code == 0


@postgresql
@pytest.mark.parametrize("when", ["before", "after"])
def test_nobody_can_be_asked(
    database: Database, project: Project, inv_process: Inv, when: str
) -> None:
    done = migrate_cut(inv_process, database, when=when, closes=True)
    assert done.code == 7
    assert LOST in done.err
    assert "state: unknown" in done.err
    assert applied(project) == ([FIRST] if when == "after" else [])


@postgresql
@pytest.mark.parametrize(
    ("when", "number", "code", "state"),
    [
        ("before", 1, 5, "state: rolled back, 0 of 2 applied"),
        ("after", 1, 5, "state: 1 of 2 applied"),
        ("before", 2, 5, "state: 1 of 2 applied"),
        ("after", 2, 0, ""),
    ],
)
def test_one_of_several_commits(
    company: Path,
    database: Database,
    project: Project,
    inv_process: Inv,
    when: str,
    number: int,
    code: int,
    state: str,
) -> None:
    add_revision(company, "0002_place", PLACE)
    done = migrate_cut(inv_process, database, "--per-revision", when=when, number=number)
    assert (done.code, state in done.err) == (code, True), done.err
    assert "FAILED" not in done.out or code
    after = number if when == "after" else number - 1
    assert applied(project) == [FIRST, "0002_place"][:after]
    assert inv_process("migrate", env={"DATABASE_URL": database.url}).code == 0


BLOCK = """
with op.get_context().autocommit_block():
    op.execute("CREATE TABLE kept (id INTEGER)")
"""


@postgresql
@pytest.mark.parametrize("when", ["before", "after"])
def test_commit_before_a_block(
    company: Path, database: Database, project: Project, inv_process: Inv, when: str
) -> None:
    add_revision(company, "0002_place", f"{PLACE}\n{BLOCK.strip()}")
    done = migrate_cut(inv_process, database, when=when)
    if when == "before":
        assert (done.code, "state: rolled back, 0 of 2 applied" in done.err) == (5, True), done.err
        assert inv_process("migrate", env={"DATABASE_URL": database.url}).code == 0
    else:
        assert done.code == 6, done.err
        assert "state: 1 of 2 applied, 0002_place stopped part way" in done.err
        assert "operation 1 is applied" in done.err
        assert inv_process("migrate", "--resume", env={"DATABASE_URL": database.url}).code == 0
    assert applied(project) == [FIRST, "0002_place"]


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 12, 2))
def test_every_commit_without_transactional_ddl(
    company: Path, database: Database, project: Project, inv_process: Inv, when: str, number: int
) -> None:
    """Whatever is claimed, the database is so, and the way out that is named works."""
    rows = 'op.execute("INSERT INTO place VALUES (1)")'
    add_revision(company, "0002_place", f"{PLACE}\n{rows}")
    done = migrate_cut(inv_process, database, when=when, number=number)
    direct = {"DATABASE_URL": database.url}
    has = len(applied(project))
    if done.code == 0:
        assert has == 2
    else:
        assert done.code in (5, 6), done.err
        assert f"{has} of 2 applied" in done.err
        assert done.err.count("stopped part way") <= 1
        again = inv_process("migrate", env=direct)
        assert again.code == (3 if done.code == 6 else 0), done.err + again.err
        assert inv_process("migrate", "--resume", env=direct).code == 0
    with project.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM place").scalar() == 1
