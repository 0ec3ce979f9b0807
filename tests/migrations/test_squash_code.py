"""squashmigrations: the code of several revisions becomes that of one."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from alembic.script import Script
from sqlalchemy import text

from conftest import Result
from dbtasks import Project, migrations
from dbtasks.errors import Refused
from dbtasks.migrations.squashing.merging import Head, merge
from dbtasks.migrations.squashing.sources import read_source
from trees import FIRST, add_revision, revisions

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


FROZEN = """
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Department(Base):
    __tablename__ = "department"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    {employees}


class Employee(Base):
    __tablename__ = "employee"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    dept_id: Mapped[int] = mapped_column(sa.ForeignKey("department.id"))
    {department}


def fill():
    session = Session(bind=op.get_bind())
    session.add(Department(id={id}, name="ä", employees=[Employee(id={id}, name="Employee")]))
    session.flush()
"""

RELATED = {
    "by name": (
        'employees = relationship("Employee", back_populates="department")',
        "department = relationship('Department', back_populates='employees')",
    ),
    "by annotation": (
        'employees: Mapped[list["Employee"]] = relationship(back_populates="department")',
        'department: Mapped["Department"] = relationship(back_populates="employees")',
    ),
    "by expression": (
        'employees = relationship(argument="Employee", order_by="Employee.name.desc()", '
        "primaryjoin=\"and_(Department.id == Employee.dept_id, Employee.name != 'an Employee')\", "
        'foreign_keys="[Employee.dept_id]")',
        "",
    ),
    "by a function": ("employees = relationship(lambda: Employee)", ""),
}


def freeze(company: Path, employees: str, department: str) -> None:
    """Write two revisions that have classes of the same names."""
    back = 'op.execute("DELETE FROM employee WHERE id = {0}")\n'
    back += 'op.execute("DELETE FROM department WHERE id = {0}")'
    for number, after in ((2, FIRST), (3, "0002_fill")):
        path = add_revision(
            company, f"000{number}_fill", "fill()", downgrade=back.format(number), after=after
        )
        frozen = FROZEN.format(employees=employees, department=department, id=number)
        path.write_text(path.read_text() + frozen)


@pytest.mark.parametrize(("employees", "department"), RELATED.values(), ids=RELATED)
def test_classes_that_are_related_by_name(
    employees: str, department: str, company: Path, project: Project
) -> None:
    freeze(company, employees, department)
    squashed = migrations.squashmigrations(project, first="0002", last="0003")
    assert 'name="Employee")' in squashed.text
    assert "'an Employee'" in squashed.text or "expression" not in employees
    migrations.migrate(project)
    with project.connect() as connection:
        found = connection.execute(text("SELECT id, dept_id, name FROM employee ORDER BY id"))
        assert [*found] == [(2, 2, "Employee"), (3, 3, "Employee")]
    migrations.migrate(project, to=FIRST)


@ONE
def test_classes_that_are_related_in_an_odd_way(company: Path, project: Project) -> None:
    freeze(company, 'employees = relationship("Empl" "oyee")', "")
    with pytest.raises(Refused, match="failed to locate a name") as refused:
        migrations.squashmigrations(project, first="0002", last="0003")
    assert "relationship(lambda: Employee)" in str(refused.value.hint)
