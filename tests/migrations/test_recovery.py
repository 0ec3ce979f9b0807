"""What a run leaves that fails or is interrupted part way, what is said, and every way out."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine

from conftest import Database, Result, clean_environment
from dbtasks import Project, migrations
from dbtasks.errors import PartlyApplied, Refused, Rejected
from places import (
    BROKEN,
    COLUMN,
    INDEX,
    INSERT,
    PLACE,
    STEPS,
    applied,
    failed,
    indexes,
    rows,
    tables,
    write,
)
from trees import FIRST, add_revision

Inv = Callable[..., Result]

mariadb = pytest.mark.parametrize("database", ["mariadb"], indirect=True)
postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


# -- without transactional DDL -------------------------------------------------------------------


@mariadb
def test_what_stopped_is_told_refused_and_resumed(
    company: Path, database: Database, project: Project, inv: Inv
) -> None:
    url = {"DATABASE_URL": database.url}
    path = write(company, *STEPS)
    add_revision(company, "0003_last", after="0002_more")
    place = "0002_more stopped at operation 4 of 5 (UPDATE nowhere SET a = 1); "
    place += "operations 1-3 are applied"
    first = inv("migrate", env=url)
    assert first.code == 6
    assert f"error: {place}: " in first.err
    assert "state: 1 of 3 applied, 0002_more stopped part way" in first.err
    again = inv("migrate", env=url)
    assert again.code == 3
    assert f"error: {place} (begun " in again.err
    assert "state: nothing was changed" in again.err
    for way in ("--resume", "--undo", "--applied", "--rolled-back"):
        assert way in first.err
        assert way in again.err
    path.write_text(path.read_text().replace(BROKEN, "pass"))
    assert inv("migrate", "--resume", env=url).code == 0
    assert rows(project, "SELECT name, code FROM place") == [("Oslo", None)]
    assert indexes(project) == {"ix_place_name"}
    assert applied(project) == [FIRST, "0002_more", "0003_last"]
    assert inv("migrate", env=url).out == "Nothing to apply.\n"


@mariadb
@pytest.mark.parametrize(
    ("old", "new"),
    [("Oslo", "Rome"), ("sa.String(50)", "sa.String(60)"), (INSERT, "pass"), (INDEX, "pass")],
)
def test_resume_refuses_when_the_applied_part_was_edited(
    company: Path, project: Project, old: str, new: str
) -> None:
    path = write(company, *STEPS)
    assert isinstance(failed(project), PartlyApplied)
    text = path.read_text()
    path.write_text(text.replace(old, new).replace(BROKEN, "pass"))
    for _ in range(2):
        error = failed(project, resume=True)
        assert isinstance(error, Refused), error
        assert "operations 1-3, was another when it ran" in error.message
        assert "0002_more stopped part way" in error.state
    assert rows(project) == [("Oslo",)]
    path.write_text(text.replace(BROKEN, "pass"))
    migrations.migrate(project, resume=True)
    assert applied(project) == [FIRST, "0002_more"]


@mariadb
def test_resume_may_fail_again_and_counts_on(company: Path, project: Project) -> None:
    path = write(company, *STEPS, BROKEN)
    failed(project)
    assert "operation 4 of 6" in failed(project, resume=True).message
    path.write_text(path.read_text().replace(BROKEN, "pass", 1))
    error = failed(project, resume=True)
    assert isinstance(error, PartlyApplied)
    assert "operation 5 of 5 (UPDATE nowhere SET a = 1); operations 1-4 are applied" in (
        error.message
    )
    path.write_text(path.read_text().replace(BROKEN, ""))
    migrations.migrate(project, resume=True)
    assert rows(project) == [("Oslo",)]


@mariadb
def test_exception_after_rows_keeps_what_it_says(company: Path, project: Project) -> None:
    """Rows that are told as applied are committed, though nothing came after them."""
    path = write(company, PLACE, INSERT, 'raise KeyError("colour")')
    error = failed(project)
    assert isinstance(error, PartlyApplied)
    assert error.message.startswith("0002_more stopped at operation 3; operations 1-2 are applied")
    assert "raised KeyError: 'colour'" in error.message
    assert rows(project) == [("Oslo",)]
    assert "stopped at operation 3; operations 1-2" in failed(project).message
    path.write_text(path.read_text().replace('raise KeyError("colour")', COLUMN))
    migrations.migrate(project, resume=True)
    assert rows(project) == [("Oslo",)]


@mariadb
def test_rows_of_a_table_that_cannot_roll_back(company: Path, project: Project) -> None:
    """The first row of two stays there when the second is refused."""
    two = 'op.execute("INSERT INTO place (id) VALUES (1), (1)")'
    write(company, f'{PLACE[:-1]}, mysql_engine="MyISAM")', two)
    error = failed(project)
    assert isinstance(error, PartlyApplied)
    assert "(INSERT INTO place (id) VALUES (1), (1)), which may or may not be done" in error.message
    assert isinstance(failed(project, resume=True), Refused)


@mariadb
def test_first_operation_that_is_refused_leaves_nothing(company: Path, project: Project) -> None:
    path = write(company, BROKEN)
    error = failed(project)
    assert isinstance(error, Rejected)
    assert error.state == "1 of 2 applied"
    path.write_text(path.read_text().replace(BROKEN, "pass"))
    migrations.migrate(project)


@mariadb
def test_undo_takes_back_all(company: Path, project: Project) -> None:
    path = write(
        company,
        PLACE,
        INDEX,
        COLUMN,
        'op.create_unique_constraint("uq_place", "place", ["code"])',
        'op.rename_table("place", "site")',
        BROKEN,
    )
    failed(project)
    taken = migrations.resolve(project, revision="0002", undo=True)
    assert [one.split()[0] for one in taken] == [
        "rename_table",
        "create_constraint",
        "add_column",
        "create_index",
        "create_table",
    ]
    assert tables(project) == {"alembic_version", "department", "employee"}
    path.write_text(path.read_text().replace(BROKEN, ""))
    migrations.migrate(project)
    assert "site" in tables(project)


@mariadb
def test_undo_refuses_what_has_no_reverse(company: Path, project: Project, inv: Inv) -> None:
    write(company, *STEPS)
    failed(project)
    with pytest.raises(Refused, match=r"INSERT INTO place .* has no reverse") as caught:
        migrations.resolve(project, revision="0002_more", undo=True)
    assert "--rolled-back" in (caught.value.hint or "")
    assert indexes(project) == {"ix_place_name"}
    asked = inv(
        "resolve", "--revision", "0002", "--undo", env={"DATABASE_URL": str(project.backend.url)}
    )
    assert asked.code == 3  # nobody is there to confirm it


@mariadb
def test_undo_that_fails_tells_and_goes_on(company: Path, project: Project) -> None:
    write(company, PLACE, INDEX, COLUMN, BROKEN)
    failed(project)
    with project.autocommitting() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE child (id INT, p INT, FOREIGN KEY (p) REFERENCES place (id))"
        )
    with pytest.raises(PartlyApplied, match="create_table place of 0002_more was not taken back"):
        migrations.resolve(project, revision="0002", undo=True)
    assert indexes(project) == set()
    assert "stopped at operation 1" in failed(project).message
    with project.autocommitting() as connection:
        connection.exec_driver_sql("DROP TABLE child")
    migrations.resolve(project, revision="0002", undo=True)
    assert "place" not in tables(project)


@mariadb
def test_resolved_by_hand(company: Path, project: Project) -> None:
    path = write(company, *STEPS)
    failed(project)
    migrations.resolve(project, revision="0002", applied=True)
    assert applied(project) == [FIRST, "0002_more"]
    assert migrations.migrate(project).steps == ()
    with pytest.raises(Refused, match="0002_more did not stop part way"):
        migrations.resolve(project, revision="0002", rolled_back=True)
    migrations.migrate(project, to=FIRST)
    with project.autocommitting() as connection:
        connection.exec_driver_sql("DROP TABLE place")
    failed(project)
    with project.autocommitting() as connection:
        connection.exec_driver_sql("DROP TABLE place")
    migrations.resolve(project, revision="0002", rolled_back=True)
    path.write_text(path.read_text().replace(BROKEN, ""))
    migrations.migrate(project)
    assert rows(project) == [("Oslo",)]


BACK = 'op.drop_column("place", "code")\nop.execute("DROP nonsense")\nop.drop_table("place")'


@mariadb
@pytest.mark.parametrize("way", ["resume", "applied", "rolled_back"])
def test_way_back_that_fails(company: Path, project: Project, way: str) -> None:
    path = write(company, PLACE, COLUMN, downgrade=BACK)
    migrations.migrate(project)
    with pytest.raises(PartlyApplied) as caught:
        migrations.migrate(project, to="-1")
    assert caught.value.message.startswith(
        "0002_more stopped on its way back at operation 2 of 3 (DROP nonsense); "
        "operation 1 is applied: "
    )
    assert isinstance(failed(project), Refused)
    with pytest.raises(Refused, match=r"drop_column place\.code has no reverse"):
        migrations.resolve(project, revision="0002", undo=True)
    path.write_text(path.read_text().replace('op.execute("DROP nonsense")', ""))
    if way == "resume":
        migrations.migrate(project, to=migrations.resumed_target(project), resume=True)
        assert "place" not in tables(project)
    else:
        migrations.resolve(project, revision="0002", **{way: True})
    assert applied(project) == ([FIRST, "0002_more"] if way == "rolled_back" else [FIRST])


# -- any engine ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_interrupted_in_a_statement(
    company: Path, database: Database, project: Project, number: signal.Signals, code: int
) -> None:
    slow = "SELECT pg_sleep(9)" if database.kind == "postgresql" else "DO SLEEP(9)"
    path = write(company, PLACE, INSERT, f"op.execute({slow!r})")
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "migrate"],
        cwd=company,
        env=clean_environment() | {"DATABASE_URL": database.url},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(project, slow)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in err
    lasting = database.kind == "mariadb"
    state = "1 of 2 applied, 0002_more stopped part way" if lasting else "rolled back, 0 of 2"
    assert f"state: {state}" in err
    path.write_text(path.read_text().replace("(9)", "(0)"))
    if lasting:
        assert "operation 3 of 3 (DO SLEEP(9)), which may or may not be" in failed(project).message
        migrations.resolve(project, revision="0002", applied=True)
    else:
        migrations.migrate(project)
    assert rows(project) == [("Oslo",)]


def wait_for(project: Project, statement: str) -> None:
    asked = "SELECT count(*) FROM information_schema.processlist WHERE info = %s"
    if project.backend.title == "PostgreSQL":
        asked = "SELECT count(*) FROM pg_stat_activity WHERE query = %s AND state = 'active'"
    until = time.monotonic() + 30
    engine = create_engine(project.backend.url, poolclass=NullPool)
    while True:
        with engine.connect() as connection:
            if connection.exec_driver_sql(asked, (statement,)).scalar():
                return
        assert time.monotonic() < until
        time.sleep(0.1)


LATE = """
op.create_table("late", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("p",
    sa.Integer(), sa.ForeignKey("late.id", deferrable=True, initially="DEFERRED")))
op.execute("INSERT INTO late VALUES (1, 2)")
"""


@postgresql
@pytest.mark.parametrize("per_revision", [False, True])
def test_commit_that_the_server_refuses(
    company: Path, project: Project, per_revision: bool
) -> None:
    """A constraint may speak at COMMIT only: nothing of it is applied then."""
    add_revision(company, "0002_late", LATE)
    with pytest.raises(Rejected) as caught:
        migrations.migrate(project, per_revision=per_revision)
    kept = "1 of 2 applied" if per_revision else "rolled back, 0 of 2 applied"
    assert caught.value.state == kept
    assert applied(project) == ([FIRST] if per_revision else [])


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_revision_that_commits_by_text(company: Path, project: Project) -> None:
    """An old way to leave the transaction: what came before it stays."""
    path = write(company, PLACE, 'op.execute("COMMIT")', INSERT, BROKEN)
    error = failed(project)
    assert isinstance(error, PartlyApplied)
    assert error.state == "1 of 2 applied, 0002_more stopped part way"
    alone = project.backend.title == "SQLite"  # which has no transaction from there on
    assert rows(project) == ([("Oslo",)] if alone else [])
    assert f"operation{'s 1-2 are' if alone else ' 1 is'} applied" in error.message
    assert isinstance(failed(project), Refused)
    path.write_text(path.read_text().replace(BROKEN, COLUMN))
    migrations.migrate(project, resume=True)
    assert rows(project, "SELECT name, code FROM place") == [("Oslo", None)]
    assert applied(project) == [FIRST, "0002_more"]
