"""Cases of changes that share a project and a database, each with names of its own there.

What a project costs (its imports, scratch databases and connections) is paid once a group.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cases import Case
from conftest import KINDS, copy_company, fresh_database
from dbtasks.migrations.autogenerate.answers import Answers
from worlds import CONVENTION, World

SIZE = 20
"""The cases of a group at most: with more, little is left to save."""

TABLE = re.compile(r"""\btable\(["']([^"']+)["']""")
NAME = re.compile(r"""\b(?:(?:table|Index|Sequence)\(|(?:name|schema)=)["']([^"']+)["']""")
LONGEST = 40
"""A longer name has no room for the number of its case."""

CHECKED: set[tuple[str, str]] = set()
"""The kinds of databases, and the models of which a first revision has made all that they have.

Many changes begin with the same.
"""


def groups(cases: Sequence[Case]) -> list[tuple[Case, ...]]:
    """Return the cases in groups; a case that needs others to be away is alone in its group."""
    alike: dict[object, list[Case]] = defaultdict(list)
    for case in cases:
        # New values of an enum end the transaction in which the others would be made.
        key = (case.convention, "sa.Enum" in _models(case))
        alike[case.name if is_alone(case) else key].append(case)
    return [
        tuple(members[start : start + SIZE])
        for members in alike.values()
        for start in range(0, len(members), SIZE)
    ]


def is_alone(case: Case) -> bool:
    """Whether a case looks at the code of a revision, or at a name's length.

    The imports that a type needs there might be another case's.
    """
    models = _models(case)
    is_long = any(len(name) > LONGEST for name in names(case))
    return bool(case.code or is_long or "postgresql." in models or "company." in models)


def numbered(case: Case, number: int) -> Case:
    """Return the case with a number after each name that its models give."""
    name = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, names(case)))})(?!\w)")

    def new(text: str) -> str:
        return name.sub(rf"\1_{number}", text)

    return replace(
        case,
        before=new(f"{case.before}\n"),
        after=new(f"{case.after}\n"),
        rows=[*map(new, case.rows)],
        defaults={new(column): value for column, value in case.defaults.items()},
        expressions={new(column): value for column, value in case.expressions.items()},
        renames={new(old): new(after) for old, after in case.renames.items()},
        dropped=[*map(new, (*case.dropped, *_gone(case)))],
        lost=[*map(new, case.lost)],
    )


def names(case: Case) -> set[str]:
    """Return the names of tables, schemas, types, indexes and constraints in a case's models."""
    return {*NAME.findall(_models(case))} - {"public"}


def tables(case: Case) -> set[str]:
    """Return the names of a case's tables, before and after its change."""
    return {*TABLE.findall(_models(case))}


def _gone(case: Case) -> set[str]:
    """Return the tables that a group's answers have to say more of: others make tables."""
    gone = {*TABLE.findall(case.before)} - {*TABLE.findall(case.after)}
    return gone - {*case.dropped} - {name.rpartition(".")[2] for name in case.renames}


def _models(case: Case) -> str:
    return f"{case.before}\n{case.after}"


def faults_of(
    request: pytest.FixtureRequest,
    folder: Path,
    kind: str,
    group: Sequence[Case],
    check: Callable[[World, Sequence[Case]], None],
) -> dict[str, str]:
    """Return what is wrong with cases by their names: with all of them, if with none alone."""

    def fault_of(name: str, cases: Sequence[Case]) -> str:
        (folder / name).mkdir()
        try:
            with new_world(request, folder / name, kind) as world:
                check(world, cases)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    fault = fault_of("group", [numbered(case, number) for number, case in enumerate(group)])
    if not fault:
        return {}
    alone = {case.name: fault_of(f"case{n}", [case]) for n, case in enumerate(group)}
    wrong = {name: told for name, told in alone.items() if told}
    return wrong or dict.fromkeys(alone, fault)


@contextmanager
def new_world(request: pytest.FixtureRequest, folder: Path, kind: str) -> Iterator[World]:
    with fresh_database(request, folder, kind, KINDS[kind]) as database:
        yield World(copy_company(folder / "project"), database)


def check(world: World, cases: Sequence[Case]) -> None:
    """Make the change of all the cases, take it back, and make it again."""
    head = CONVENTION if cases[0].convention else ""
    before = head + "".join(case.before for case in cases)
    world.models(before)
    beginning = (world.database.kind, before)
    world.make(checks=beginning not in CHECKED)
    snapshot = world.snapshot()
    assert beginning in CHECKED or world.missing(snapshot) == []
    CHECKED.add(beginning)
    world.run([statement for case in cases for statement in case.rows])
    counted, schema = world.counts(), world.schema(snapshot)
    world.models(head + "".join(case.after for case in cases))
    source = world.make(
        Answers(
            {old: new for case in cases for old, new in case.renames.items()},
            [name for case in cases for name in case.dropped],
            {column: value for case in cases for column, value in case.defaults.items()},
            {column: value for case in cases for column, value in case.expressions.items()},
        )
    )
    snapshot = world.snapshot()
    assert world.missing(snapshot) == []
    after, changed = world.counts(), world.schema(snapshot)
    assert {name: after[name] for name in counted if name in after} == {
        name: number for name, number in counted.items() if name in after
    }
    world.migrate("-1")
    assert world.schema() == schema
    lost = {name: 0 for case in cases for name in case.lost}
    assert {**world.counts(), **lost} == {**counted, **lost}
    world.migrate("heads")
    assert world.schema() == changed
    upgrade = source.partition("def upgrade")[2].partition("def downgrade")[0]
    for case in cases:
        assert all(code in source for code in case.code)
        is_made = any(re.search(rf"\b{re.escape(name)}\b", upgrade) for name in names(case))
        assert is_made or len(cases) == 1, case.name
        if world.database.kind == "sqlite" and case.batch is not None:
            rebuilt = {*re.findall(r'batch_alter_table\(\s*"([^"]+)"', upgrade)}
            assert bool(rebuilt & tables(case)) == case.batch, case.name
