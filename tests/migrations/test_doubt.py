"""What a killed run has begun may be done or not: it is looked up, or refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Database, clean_environment
from dbtasks import Project, migrations
from dbtasks.errors import Refused
from kills import arm, kill_on
from places import COLUMN, INDEX, INSERT, PLACE, failed, indexes, rows, write

mariadb = pytest.mark.parametrize("database", ["mariadb"], indirect=True)


@pytest.fixture
def kill(company: Path, database: Database) -> Callable[..., None]:
    """Return a function that runs `inv migrate`, killed before or after a statement."""
    arm(company)
    return lambda when, words: kill_on(company, database.url, clean_environment(), when, words)


@mariadb
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("words", "number"),
    [("CREATE TABLE place", 1), ("INSERT INTO place", 2), ("CREATE INDEX", 3), ("ADD COLUMN", 4)],
)
def test_operation_in_doubt_is_looked_up(
    company: Path,
    project: Project,
    kill: Callable[..., None],
    when: str,
    words: str,
    number: int,
) -> None:
    write(company, PLACE, INSERT, INDEX, COLUMN)
    kill(when, words)
    refused = failed(project)
    assert isinstance(refused, Refused)
    assert f"stopped at operation {number} of 4 (" in refused.message
    assert "), which may or may not be done; " in refused.message
    migrations.migrate(project, resume=True)
    assert rows(project, "SELECT name, code FROM place") == [("Oslo", None)]
    assert indexes(project) == {"ix_place_name"}


@mariadb
@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ((PLACE, 'op.execute("ALTER TABLE place ADD code INT")'), "ALTER TABLE place ADD"),
        ((f'{PLACE[:-1]}, mysql_engine="MyISAM")', INSERT), "INSERT INTO place"),
        ((f'{PLACE[:-1]}, mysql_engine="Aria")', INSERT), "INSERT INTO place"),
    ],
    ids=["raw DDL", "MyISAM", "Aria"],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_doubt_that_cannot_be_cleared_refuses_every_time(
    company: Path,
    project: Project,
    kill: Callable[..., None],
    operations: tuple[str, ...],
    words: str,
    when: str,
) -> None:
    write(company, *operations)
    kill(when, words)
    for _ in range(2):
        refused = failed(project, resume=True)
        assert isinstance(refused, Refused)
        assert "whether operation 2 of 0002_more was done" in refused.message
        assert "cannot be seen" in refused.message
        assert "--applied, or inv resolve --revision 0002_more --rolled-back" in (
            refused.hint or ""
        )
    assert "which may or may not be done; operation 1 is applied" in failed(project).message
    with pytest.raises(Refused, match="cannot be seen"):
        migrations.resolve(project, revision="0002", undo=True)
    migrations.resolve(project, revision="0002", applied=True)
    assert migrations.migrate(project).steps == ()


@mariadb
def test_undo_clears_the_doubt_too(
    company: Path, project: Project, kill: Callable[..., None]
) -> None:
    write(company, PLACE, INDEX, COLUMN)
    kill("after", "ADD COLUMN")
    taken = migrations.resolve(project, revision="0002", undo=True)
    assert taken == [
        "add_column place.code",
        "create_index ix_place_name on place",
        "create_table place",
    ]
    migrations.migrate(project)
    assert rows(project, "SELECT code FROM place") == []


@mariadb
def test_an_operation_in_doubt_must_not_be_another(
    company: Path, project: Project, kill: Callable[..., None]
) -> None:
    path = write(company, PLACE, INDEX, COLUMN)
    kill("after", "CREATE INDEX")
    path.write_text(path.read_text().replace(INDEX, "pass"))
    error = failed(project, resume=True)
    assert isinstance(error, Refused)
    assert "operation 2 of 0002_more was create_index ix_place_name on place" in error.message
