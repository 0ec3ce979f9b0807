"""A history that brings rows, and what the models are missing tried on them."""

from collections.abc import Sequence

import pytest

from cases import ROWS, parent
from dbtasks import migrations
from dbtasks.errors import DbtasksError
from dbtasks.migrations.autogenerate.answers import Answers
from worlds import World


@pytest.fixture
def filled(world: World) -> World:
    """Return a project whose first revision makes two tables, and their rows."""
    world.models(parent())
    world.make()
    (path,) = (world.root / "migrations" / "versions").glob("*.py")
    inserts = "".join(f"\n    op.execute({one!r})" for one in ROWS)
    path.write_text(
        path.read_text().replace("\n\n\ndef downgrade", f"{inserts}\n\n\ndef downgrade")
    )
    return world


@pytest.mark.parametrize(
    ("more", "changes"),
    [
        ('sa.Column("a", sa.Integer, nullable=False)', ["add column parent.a"]),
        (
            'sa.Column("a", sa.ForeignKey("parent.id", name="fk_a"), nullable=False)',
            ["add column parent.a", "add foreign key fk_a"],
        ),
        (
            'sa.CheckConstraint("length(name) > 9", name="long")',
            ["add constraint long"],
        ),
    ],
)
def test_what_is_missing_is_told_whatever_rows_there_are(
    filled: World, more: str, changes: Sequence[str]
) -> None:
    filled.models(parent(more))
    with filled.project() as project:
        assert [*migrations.missing(project)] == changes


def test_a_value_that_the_rows_cannot_have_is_refused_before_anything_is_written(
    filled: World,
) -> None:
    filled.models(parent('sa.Column("a", sa.ForeignKey("parent.id"), nullable=False)'))
    versions = filled.root / "migrations" / "versions"
    before = {*versions.glob("*.py")}
    with filled.project() as project, pytest.raises(DbtasksError) as refused:
        migrations.makemigrations(project, answers=Answers(defaults={"parent.a": "99"}))
    assert refused.value.exit_code in (3, 8)
    assert "--default" in str(refused.value.hint)
    assert refused.value.state == "nothing was changed"
    assert {*versions.glob("*.py")} == before
    filled.make(Answers(defaults={"parent.a": "1"}))
