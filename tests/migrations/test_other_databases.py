"""A revision that any database of the project has is neither changed nor moved, nor squashed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Database, Result, fresh_database
from office import add_column
from trees import ADD, DROP, add_revision, part, revisions

Inv = Callable[..., Result]

REBASE = ("makemigrations", "--rebase", "0002_nick", "--no-input", "--database", "default")
UPDATE = ("makemigrations", "--update", "--no-input")
SQUASH = ("squashmigrations", "--from", "0001", "--to", "0003")


@pytest.fixture
def staged(
    office: Inv, company: Path, database: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> Inv:
    """Return `inv` in a project with another database, and my revision, which neither has."""
    tasks = company / "tasks.py"
    declared = tasks.read_text().replace("(\n", '(\n    databases={"staging": {}},\n', 1)
    tasks.write_text(declared)
    add_revision(
        company,
        "0002_nick",
        ADD.format("employee", "nick"),
        downgrade=DROP.format("employee", "nick"),
    )
    scheme = database.url.partition(":")[0]
    folder = tmp_path / "staging"
    folder.mkdir()
    with fresh_database(request, folder, database.kind, scheme) as other:
        env = {"STAGING_DATABASE_URL": other.url}

        def run(*arguments: str, env: dict[str, str] = env) -> Result:
            return office(*arguments, env=env)

        yield run


def prepare(company: Path, command: tuple[str, ...]) -> None:
    """Write what the command has to do, beside my revision."""
    if command is REBASE:
        part(company)
    else:
        for name in ("nick", "room"):
            add_column(company, f"{name}: Mapped[str | None] = mapped_column(String(20))")


@pytest.mark.parametrize("command", [UPDATE, REBASE])
def test_not_where_another_database_has_it(
    staged: Inv, company: Path, command: tuple[str, ...]
) -> None:
    assert staged("migrate", "--database", "staging").code == 0
    prepare(company, command)
    files = revisions(company)
    refused = staged(*command)
    assert refused.code == 3, refused
    assert "the database 'staging' has 0002_nick" in refused.err
    assert revisions(company) == files
    back = staged("migrate", "--to", "0001", "--no-input", "--database", "staging")
    assert back.code == 0, back
    done = staged(*command)
    assert done.code == 0, done


@pytest.mark.parametrize("command", [UPDATE, REBASE])
def test_one_that_cannot_be_looked_at_is_told_of(
    staged: Inv, company: Path, command: tuple[str, ...]
) -> None:
    prepare(company, command)
    files = revisions(company)
    for env, why in (
        ({}, "staging: STAGING_DATABASE_URL is not set"),
        ({"STAGING_DATABASE_URL": "postgresql://me:secret@127.0.0.1:9/x"}, "staging: cannot"),
    ):
        refused = staged(*command, env=env)
        assert refused.code == 3, refused
        assert why in refused.err
        assert "--not-applied-in staging" in refused.err
        assert "secret" not in refused.err
        assert revisions(company) == files
    unknown = staged(*command, "--not-applied-in", "other", env={})
    assert (unknown.code, "take one of default, staging" in unknown.err) == (2, True), unknown
    done = staged(*command, "--not-applied-in", "staging", env={})
    assert done.code == 0, done


def test_two_names_of_one_database_are_one(staged: Inv, company: Path, database: Database) -> None:
    same = {"STAGING_DATABASE_URL": database.url}
    assert staged("migrate", env=same).code == 0
    part(company)
    done = staged(*REBASE, env=same)
    assert done.code == 0, done
    assert "database: default, " in done.err
    assert staged("migrate", "--check", "--database", "staging", env=same).code == 0


@pytest.fixture
def longer(staged: Inv, company: Path) -> Inv:
    """Return `inv` in that project, where another revision follows mine."""
    room = "employee", "room"
    add_revision(
        company,
        "0003_room",
        ADD.format(*room),
        downgrade=DROP.format(*room),
        after="0002_nick",
    )
    return staged


@pytest.mark.parametrize("alias", ["default", "staging"])
def test_no_squash_where_a_database_stands_inside(longer: Inv, company: Path, alias: str) -> None:
    back = longer("migrate", "--to", "base", "--no-input", "--database", "default")
    assert back.code == 0, back
    assert longer("migrate", "--to", "0002_nick", "--database", alias).code == 0
    files = revisions(company)
    refused = longer(*SQUASH)
    assert refused.code == 3, refused
    assert f"the database {alias!r} stands inside the range: " in refused.err
    assert "0002_nick, and not 0003_room" in refused.err
    assert revisions(company) == files
    assert longer(*SQUASH, "--dry-run").code == 0
    named = "" if alias == "default" else f" --database {alias}"
    hint = f"inv migrate --to 0003_room{named}"
    assert f": {hint}\n" in refused.err
    assert longer(*hint.split()[1:]).code == 0
    done = longer(*SQUASH)
    assert (done.code, "not seen" in done.err) == (0, False), done
    assert longer("migrate", "--check", "--database", alias).code == 0


def test_a_squash_tells_which_database_it_has_not_looked_at(longer: Inv, company: Path) -> None:
    assert longer("migrate", "--database", "default").code == 0
    nowhere = {"STAGING_DATABASE_URL": "postgresql://me:secret@127.0.0.1:9/x"}
    done = longer(*SQUASH, env=nowhere)
    assert (done.code, revisions(company)) == (0, ["0003_room.py"]), done
    assert "not seen: whether staging stands inside the range" in done.err
    assert "secret" not in done.err


@pytest.mark.parametrize("alias", ["default", "staging"])
def test_no_squash_where_a_database_stands_inside_an_earlier_one(
    longer: Inv, company: Path, alias: str
) -> None:
    assert longer("migrate", "--to", "0001", "--no-input", "--database", "default").code == 0
    assert longer("migrate", "--to", "0002_nick", "--database", alias).code == 0
    kept = {one: (company / "migrations" / "versions" / one) for one in revisions(company)}
    before = {path: path.read_text() for path in kept.values()}
    nowhere = "sqlite:////none/such.db"
    elsewhere = {"DATABASE_URL": nowhere, "STAGING_DATABASE_URL": nowhere}
    room = ("squashmigrations", "--from", "0002", "--to", "0003")
    assert longer(*room, env=elsewhere).code == 0  # where that is not seen
    add_revision(company, "0004_more", after="0003_room")
    files = revisions(company)
    again = ("squashmigrations", "--from", "0003", "--to", "0004")
    refused = longer(*again)
    assert refused.code == 3, refused
    assert f"of {alias!r}: the database stands at 0002_nick, inside the squashed" in refused.err
    assert revisions(company) == files
    squash = (company / "migrations" / "versions" / "0003_room.py").read_text()
    for path, text in before.items():  # as the hint says
        path.write_text(text)
    (company / "migrations" / "versions" / "0004_more.py").unlink()
    assert longer("migrate", "--to", "0003_room", "--database", alias).code == 0
    (company / "migrations" / "versions" / "0002_nick.py").unlink()
    (company / "migrations" / "versions" / "0003_room.py").write_text(squash)
    add_revision(company, "0004_more", after="0003_room")
    assert longer("migrate", "--database", alias).code == 0
    done = longer(*again)
    assert done.code == 0, done
    assert longer("migrate", "--check", "--database", alias).code == 0
