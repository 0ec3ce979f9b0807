"""Both histories on scratch databases: whether squashes leave what the revisions left."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from alembic.runtime.migration import RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from dbtasks.errors import (
    DbtasksError,
    NoScratch,
    ProjectFailed,
    Refused,
    Unreachable,
    UsageError,
)
from dbtasks.migrations.editing.squash_contents import Contents, take
from dbtasks.migrations.editing.squash_plan import Segment
from dbtasks.migrations.execution.replay import play
from dbtasks.migrations.history.directory import Amend, load, put_in_place
from dbtasks.project import Project


@dataclass(frozen=True)
class Squash:
    """Hold the text of one squash and the file that it is to have."""

    segment: Segment
    text: str
    path: Path
    reversible: bool

    @property
    def revision(self) -> str:
        """Return its id, which is that of the last it replaces."""
        return self.segment.ids[-1]


def prove(
    project: Project, squashes: Sequence[Squash], volatile: Collection[str]
) -> Mapping[str, str]:
    """Run both histories on each kind of database that the project declares, and compare.

    `volatile` are the tables whose rows no two replays leave alike. Returns why which databases
    could not be reached. Raises Refused for any difference.
    """
    unseen = {}
    for other in kinds_of(project):
        with closing(other):
            try:
                _prove(other, squashes, volatile)
            except (NoScratch, Unreachable) as error:
                alias = other.settings.database
                if alias == project.settings.database:
                    raise
                unseen[alias] = error.message
    return unseen


def kinds_of(project: Project) -> Iterator[Project]:
    """Yield the project on its own database, and on one of each other kind that it declares."""
    own = project.settings.database
    known: set[str] = set()
    for alias in dict.fromkeys([own, *project.settings.databases]):
        other = project.on(alias)
        try:
            kind = other.backend.url.get_backend_name()
        except DbtasksError:  # it has no URL here
            if alias == own:
                raise
            continue
        if kind not in known:
            known.add(kind)
            yield other


def _prove(project: Project, squashes: Sequence[Squash], volatile: Collection[str]) -> None:
    ends = [squash.revision for squash in squashes]
    # A bootstrap function makes its tables wherever no revision is applied, after a revert too.
    reverted = [
        squash for squash in squashes if squash.reversible and not project.settings.bootstrap
    ]
    amend = put_in_place(
        {revision for squash in squashes for revision in squash.segment.ids},
        lambda: (load(squash.revision, squash.path, squash.text) for squash in squashes),
    )
    old = _observe(project, [_upgrades], ends)
    try:
        runs = [_to_and_fro(squash) for squash in reverted]
        new = _observe(project, [*runs, _upgrades], ends, amend)
    except DbtasksError as error:
        if isinstance(error, UsageError) and not isinstance(error, ProjectFailed):
            raise
        raise Refused(
            f"the squashed history fails on {project.backend.title} where the present one runs: "
            f"{error.message}",
            hint="see its code with --dry-run",
        ) from error
    serve = project.backend.keys_need_indexes
    for place, before in old.items():
        told = before.difference(new[place], indexes_serve=serve, without=volatile)
        if told is not None:
            raise _different(project, place, told)
    for squash in reverted:
        schema = Contents(new[_before(squash)].schema)
        told = schema.difference(new[_reverted(squash)], indexes_serve=serve)
        if told is not None:
            raise _different(project, _reverted(squash), told)


def _different(project: Project, place: str, told: str) -> Refused:
    return Refused(
        f"the squashed history is not the same on {project.backend.title}, {place}: {told}",
        hint="end the range before the revision that makes it, or see the code with --dry-run",
    )


def _before(squash: Squash) -> str:
    return f"before {squash.revision}"


def _reverted(squash: Squash) -> str:
    return f"with {squash.revision} reverted"


Steps = Callable[[ScriptDirectory, tuple[str, ...]], Iterator[tuple[RevisionStep, str]]]
"""Yield the steps of a replay, each with the place that it leads to."""


def _upgrades(
    scripts: ScriptDirectory, heads: tuple[str, ...]
) -> Iterator[tuple[RevisionStep, str]]:
    for step in scripts._upgrade_revs("heads", heads):  # type: ignore[arg-type]  # as Alembic does
        yield step, f"at {step.revision.revision}"


def _to_and_fro(squash: Squash) -> Steps:
    """Return the upgrade to a squash, and its revert."""
    last = squash.revision

    def steps(
        scripts: ScriptDirectory, heads: tuple[str, ...]
    ) -> Iterator[tuple[RevisionStep, str]]:
        for step in scripts._upgrade_revs(last, heads):  # type: ignore[arg-type]  # as Alembic does
            revision = step.revision.revision
            yield step, _before(squash) if revision == last else f"at {revision}"
        script = scripts.get_revision(last)
        yield RevisionStep(scripts.revision_map, script, is_upgrade=False), _reverted(squash)

    return steps


def _observe(
    project: Project, runs: Sequence[Steps], ends: Collection[str], amend: Amend | None = None
) -> dict[str, Contents]:
    """Return what a history leaves at the ends of squashes, around them, and at its heads.

    Each run begins with what Alembic remembers of none, as which enums it has created.
    """
    contents: dict[str, Contents] = {}
    places: list[str] = []
    wanted = {f"at {revision}" for revision in ends}

    def followed(scripts: ScriptDirectory, heads: tuple[str, ...]) -> Iterator[RevisionStep]:
        for step, place in current[-1](scripts, heads):
            if place.startswith("before "):
                contents[place] = take(scratch.backend, connections[-1])
            places.append(place)
            yield step

    def watch(connection: Connection, step: RevisionStep | None) -> None:
        connections.append(connection)
        if step is not None and (places[-1] in wanted or places[-1].startswith("with ")):
            contents[places[-1]] = take(scratch.backend, connection)

    connections: list[Connection] = []
    current: list[Steps] = []
    with project.scratch() as scratch:
        for steps in runs:
            current.append(steps)
            play(scratch, followed, amend, watch=watch)
        with scratch.connect() as connection:
            contents["at its heads"] = take(scratch.backend, connection)
    return contents
