"""The fingerprint of the models in the newest revision: a model without a migration is noticed."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Enum, ForeignKey, Index, Integer, MetaData, String, Table, text

from conftest import ROOT
from dbtasks import Project
from dbtasks.migrations.history.fingerprint import digest, found_in, line_of
from office import Inv, add_column, change, on_sqlite, revisions
from trees import add_revision

NICK = "nick: Mapped[str | None] = mapped_column(String(50))"
LOG = """

class Log(Base):
    __tablename__ = "log"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
TOLD = "the models have changed since {}\nhint: inv makemigrations\n"


def line(company: Path, name: str = "") -> str:
    """Return the line of the newest revision, or of one with this in its name."""
    found = [one for one in revisions(company) if name in one]
    return found_in((company / "migrations" / "versions" / found[-1]).read_text())


@on_sqlite
def test_a_model_without_a_migration_is_noticed(office: Inv, company: Path) -> None:
    assert "changed" not in office("migrate").err + office("query").err
    add_column(company, NICK)
    told = TOLD.format("0001_department_employee")
    done = office("migrate")
    assert (done.code, done.out) == (0, "Nothing to apply.\n")
    assert done.err.endswith(told)
    assert office("query", "--model", "Department", "--format", "json").err.endswith(told)
    assert office("makemigrations", "--no-input").code == 0
    for args in (["migrate"], ["migrate"], ["query"]):
        done = office(*args)
        assert (done.code, "changed" in done.err) == (0, False), done
    change(company, "String(50))", "String(60))")
    assert TOLD.format("0002_employee_nick") in office("query").err
    assert office("makemigrations", "--update", "--no-input").code == 3
    assert office("rollback", "--no-input").code == 0
    assert office("makemigrations", "--update", "--no-input").code == 0
    assert "changed" not in office("migrate").err


@on_sqlite
def test_nothing_is_said_where_no_revision_says_it(office: Inv, company: Path) -> None:
    add_revision(company, "0002_by_hand")
    add_column(company, NICK)
    assert "changed" not in office("query", "--model", "Department").err
    change(company, NICK, "nick: Mapped[int]")
    assert "0002" not in office("migrate").err


@on_sqlite
def test_a_revision_by_hand_keeps_the_line(office: Inv, company: Path) -> None:
    assert office("makemigrations", "--empty", "--message", "fill").code == 0
    assert line(company, "fill") == line(company, "0001") != ""


@on_sqlite
def test_no_changes_means_that_the_models_are_noted(office: Inv, company: Path) -> None:
    """What no migration can bring is said once, and not for ever."""
    change(company, "String(100)", "sqlalchemy.VARCHAR(100)")
    models = company / "src" / "company" / "models.py"
    models.write_text("import sqlalchemy\n" + models.read_text())
    before = line(company)
    assert "changed" in office("query").err
    assert office("makemigrations", "--dry-run").out == "No changes.\n"
    assert line(company) == before
    assert office("makemigrations").out == "No changes.\n"
    assert line(company) != before
    assert "changed" not in office("query").err


@on_sqlite
def test_merge_rebase_and_squash_note_the_models(office: Inv, company: Path) -> None:
    add_column(company, NICK)
    assert office("makemigrations", "--no-input", "--message", "left").code == 0
    add_revision(company, "0002_right")
    assert office("migrate", "--to", "0001").code == 0
    right = company / "migrations" / "versions" / "0002_right.py"
    right.write_text(f"{right.read_text()}# models: 0123456789abcdef\n")
    add_column(company, NICK.replace("nick", "sick"))  # as the right branch has it, after a merge
    assert "changed" not in office("query", "--model", "Department").err
    change(company, NICK.replace("nick", "sick"), "")
    merged = office("makemigrations", "--merge")
    assert merged.code == 0, merged
    assert line(company, "merge") == line(company, "left") != ""
    (company / "migrations" / "versions" / revisions(company)[-1]).unlink()
    rebased = office("makemigrations", "--rebase", "0002_right", "--no-input")
    assert rebased.code == 0, rebased
    assert line(company, "right") == line(company, "left")
    squashed = office("squashmigrations", "--from", "0002", "--to", "0003")
    assert squashed.code == 0, squashed
    (path,) = (company / "migrations" / "versions").glob("0003*.py")
    assert path.read_text().count("# models: ") == 1
    assert "changed" not in office("migrate").err


@on_sqlite
def test_models_that_env_py_does_not_name(office: Inv, company: Path) -> None:
    """The fingerprint is that of all models in tasks.py: makemigrations says why it makes none."""
    models = (company / "src" / "company" / "models.py").read_text()
    log = models.partition("class Department")[0] + LOG
    (company / "src" / "company" / "log.py").write_text(log)
    tasks = company / "tasks.py"
    both = 'metadata=["company.models:Base", "company.log:Base"]'
    tasks.write_text(tasks.read_text().replace('metadata="company.models:Base"', both))
    done = office("makemigrations")
    assert (done.code, done.out) == (0, "No changes.\n")
    assert done.err == "not compared, as target_metadata in env.py does not have them: log\n"
    env = company / "migrations" / "env.py"
    env.write_text(env.read_text().replace("run(Base.metadata)", "run()"))
    done = office("makemigrations")
    assert (done.code, "not compared" in done.err, "create table log" in done.err) == (
        0,
        False,
        True,
    )


def test_the_reference_project_says_what_its_models_are() -> None:
    """By whatever version of SQLAlchemy this runs with."""
    (path,) = (ROOT / "migrations" / "versions").glob("0001*.py")
    project = Project.configure(ROOT, metadata="company.models:Base")
    assert found_in(path.read_text()) == line_of(project.metadata)


CHANGES = {
    "type": lambda: Column("a", String(11)),
    "length": lambda: Column("a", String(10, collation="C")),
    "null": lambda: Column("a", String(10), nullable=False),
    "default": lambda: Column("a", String(10), server_default="x"),
    "expression": lambda: Column("a", String(10), server_default=text("x")),
    "unique": lambda: Column("a", String(10), unique=True),
    "index": lambda: Column("a", String(10), index=True),
    "key": lambda: Column("a", String(10), ForeignKey("b.id")),
    "action": lambda: Column("a", String(10), ForeignKey("b.id", ondelete="CASCADE")),
    "primary": lambda: Column("a", String(10), primary_key=True),
    "enum": lambda: Column("a", Enum("x", "y", name="e")),
    "value": lambda: Column("a", Enum("x", "z", name="e")),
    "variant": lambda: Column("a", String(10).with_variant(Integer(), "sqlite")),
    "comment": lambda: Column("a", String(10), comment="x"),
    "name": lambda: Column("b", String(10)),
}


def test_each_attribute_counts() -> None:
    def of(column: Column[object], *more: object) -> str:
        return digest([Table("t", MetaData(), Column("id", Integer), column, *more).metadata])

    found = [of(make()) for make in CHANGES.values()]
    found.append(of(Column("a", String(10))))
    found.append(of(Column("a", String(10)), Index("i", "a")))
    assert len({*found}) == len(CHANGES) + 2


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_models_have_the_same_fingerprint(name: str) -> None:
    """Whatever the order of columns and tables."""

    def of(names: str) -> str:
        metadata = MetaData()
        for one in names:
            Table(
                one,
                metadata,
                *(CHANGES[name](), Column("id", Integer))[:: 1 if names == "tu" else -1],
            )
        return digest([metadata])

    assert of("tu") == of("ut")
