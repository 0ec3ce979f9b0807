"""squashmigrations: the code of several revisions becomes that of one."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from alembic.script import Script

from conftest import Result
from dbtasks import Project, migrations
from dbtasks.errors import Refused
from dbtasks.migrations.squashing.merging import Head, merge
from dbtasks.migrations.squashing.sources import read_source
from trees import add_revision, revisions

Inv = Callable[..., Result]

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@ONE
def test_options_of_env_py_are_handed_on(company: Path, project: Project) -> None:
    path = add_revision(company, "0002_odd", "assert name == 'it'")
    path.write_text(path.read_text().replace("upgrade()", "upgrade(name)"))
    add_revision(company, "0003_last", after="0002_odd")
    text = migrations.squashmigrations(project, first="0002", last="0003", dry_run=True).text
    assert "def upgrade(**options: object) -> None:\n    upgrade_0002_odd(**options)" in text


UNREADABLE = {
    "import *": ("from datetime import *", "import \\*"),
    "globals": ("globals()['x'] = 1", "globals"),
    "one line": ("a = 1; b = 2", "two statements"),
    "a class of its own": (
        "class Box:\n    FUNCTIONS = [upgrade]\n    upgrade = 1",
        "upgrade is another thing there, and is used in a way that cannot be rewritten",
    ),
    "a function less": ("del upgrade", "it has no upgrade"),
}


@ONE
@pytest.mark.parametrize(("line", "told"), UNREADABLE.values(), ids=UNREADABLE)
def test_code_that_cannot_be_put_together(
    line: str, told: str, company: Path, project: Project
) -> None:
    path = add_revision(company, "0002_odd")
    path.write_text(path.read_text() + f"\n{line}\n")
    add_revision(company, "0003_last", after="0002_odd")
    before = revisions(company)
    with pytest.raises(Refused, match=told):
        migrations.squashmigrations(project, first="0002", last="0003")
    assert revisions(company) == before


TRICKY = '''"""tricky"""

from __future__ import annotations

import os.path as place
from collections import {imported} as Kind
from collections.abc import Sequence

revision: str = "{id}"
down_revision: str | Sequence[str] | None = None

VALUE = {value}  # ä comes before it
ALL: list[object] = []
COUNT = 0


class Box:
    ALL = VALUE
    def get(self):
        return "ä", VALUE


def shadow(VALUE=VALUE, *, ALL=None):
    return VALUE, ALL


def count():
    global COUNT
    COUNT += VALUE
    return COUNT


def upgrade():
    ALL.append([VALUE for VALUE in range(2)] + [VALUE])
    ALL.append((lambda VALUE: VALUE)(5))
    ALL.append(f"{{VALUE}} {{revision}}")
    ALL.append(f\"\"\"
        ä {{VALUE}} {{VALUE:>{{VALUE}}}}

# -- as in a file --
    \"\"\" f"ä {{VALUE!r}}")
    ALL.append((Box().get(), Box.ALL, shadow(ALL=3), count(), count()))
    ALL.append(Kind.__name__)
    try:
        raise ValueError(VALUE)
    except ValueError as error:
        ALL.append(str(error))
    return ALL


def downgrade():
    return {{"VALUE": VALUE, "place": place.__name__, **dict(VALUE=1)}}
'''


def test_names_do_not_collide(tmp_path: Path) -> None:
    sources, expected = [], []
    for id_, value, imported in (("a1", 1, "OrderedDict"), ("b.2", 2, "Counter")):
        path = tmp_path / f"{id_}.py"
        path.write_text(TRICKY.format(id=id_, value=value, imported=imported))
        module = ModuleType(id_)
        exec(path.read_text(), module.__dict__)
        expected.append((module.upgrade(), module.downgrade()))
        sources.append(read_source(Script(module, id_, str(path))))
    merged = merge(sources, Head("b.2", None, None, None, ["a1", "b.2"]), "both", None)
    together: dict[str, Callable[[], object]] = {}
    exec(merged, together)
    assert [
        (together["upgrade_a1"](), together["downgrade_a1"]()),
        (together["upgrade_b_2"](), together["downgrade_b_2"]()),
    ] == expected
    assert merged.count("import os.path as place") == 1
    assert merged.count("# ä comes before it") == 2
