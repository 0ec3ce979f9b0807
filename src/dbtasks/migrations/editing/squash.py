"""Replace several revisions with one: the schema that they leave, made at once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic.script import Script, ScriptDirectory

from dbtasks.errors import DbtasksError, Refused
from dbtasks.hints import command_line
from dbtasks.migrations.editing.folded_schema import FoldedSchema, Unfoldable
from dbtasks.migrations.editing.squash_code import Generator
from dbtasks.migrations.editing.squash_plan import ALONE, Plan, Planner, Segment
from dbtasks.migrations.editing.squash_proof import Squash, kinds_of, prove
from dbtasks.migrations.editing.squash_range import Range, depends_on, find_range
from dbtasks.migrations.editing.squash_reasons import CHANCE, reason_of
from dbtasks.migrations.editing.squash_replay import Replay, replay_range
from dbtasks.migrations.editing.squash_text import Head, write
from dbtasks.migrations.execution.applied_elsewhere import check_squashable
from dbtasks.migrations.execution.env_session import read_history
from dbtasks.migrations.history import fingerprint, source_edit
from dbtasks.migrations.history.directory import describe, folder_of, read_config
from dbtasks.migrations.history.file_transaction import (
    Change,
    begun,
    change_files,
    finish,
    read_changes,
)
from dbtasks.migrations.history.integrity import unfinished
from dbtasks.migrations.history.reader import FILE
from dbtasks.migrations.history.resolve_target import is_reversible
from dbtasks.migrations.history.revision import Revision
from dbtasks.migrations.history.source_edit import Code
from dbtasks.migrations.history.template import check_message, path_of
from dbtasks.migrations.history.turns import taking_turns
from dbtasks.project import Project


@dataclass(frozen=True)
class SquashedFile:
    """Hold one revision that replaces others, and its file."""

    text: str
    path: Path
    replaced: tuple[Revision, ...]


@dataclass(frozen=True)
class Squashed:
    """Hold the squashes of a range.

    `kept` has the revisions that stay, each with its reason; `unseen` why which of the project's
    databases could not be looked at, and `unverified` on which the squashes were not run.
    """

    files: tuple[SquashedFile, ...]
    kept: Mapping[str, str] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    unverified: Mapping[str, str] = field(default_factory=dict)


def squashmigrations(
    project: Project,
    *,
    first: str,
    last: str,
    name: str | None = None,
    dry_run: bool = False,
) -> Squashed:
    """Replace the revisions from `first` to `last` with as few as can be, and remove their files.

    A squash has the id of its last revision, so databases there or beyond need nothing. From an
    empty database it holds the schema that the revisions leave and the rows; elsewhere the
    difference of the schemas. A revision that does more stays as it is, and is in `kept`. Both
    histories are run on scratch databases before anything is written; with `dry_run` nothing is.
    Raises Refused where nothing can be squashed, for any difference, and where something else
    hangs, or a database that the project declares stands, inside the range.
    """
    check_message(name)
    with taking_turns(project, writes=not dry_run):
        folder = folder_of(read_config(project))
        command = command_line("squashmigrations", from_=first, to=last)
        if not dry_run and (note := begun(folder)) is not None:
            return _finished(folder, note, command)
        scripts = read_history(project)
        inside = find_range(scripts, first, last)
        unseen = {} if dry_run else check_squashable(project, inside.ids, inside.last.revision)
        work, squashes, unverified = _verified(project, scripts, inside, name, dry_run=dry_run)
        files = tuple(
            SquashedFile(squash.text, squash.path, tuple(map(describe, squash.segment.scripts)))
            for squash in squashes
        )
        if dry_run:
            return Squashed(files, work.plan.kept)
        heads = scripts.get_heads()
        changes = [change for squash in squashes for change in _changes(squash)]
        change_files(folder, changes, command, lambda: _check(project, files, heads))
        return Squashed(files, work.plan.kept, unseen, unverified)


def _finished(folder: Path, note: Mapping[str, Any], command: str) -> Squashed:
    """Finish the same squash, which a kill has stopped between its files; refuse another."""
    if note["command"] != command:
        raise unfinished(note)
    changes = read_changes(folder, note)
    finish(folder, changes)
    made: list[SquashedFile] = []
    replaced: list[Revision] = []
    for change in changes:
        replaced.append(Revision(change.old, "", (), change.old_path))
        if change.content is not None:
            made.append(SquashedFile(change.content.decode(), change.path, tuple(replaced)))
            replaced.clear()
    return Squashed(tuple(made))


def _changes(squash: Squash) -> Iterator[Change]:
    """Yield what becomes of each file, in the order of the history.

    The first goes first, and the last is there until the new one, which has its id, takes its
    place in one step: a history between has a revision that comes after one without a file.
    """
    *others, last = squash.segment.scripts
    new, path = last.revision, Path(last.path)
    for script in others:
        gone = Path(script.path)
        yield Change(script.revision, new, gone, gone, gone.read_bytes(), None)
    yield Change(new, new, path, squash.path, path.read_bytes(), squash.text.encode())


def _verified(
    project: Project, scripts: ScriptDirectory, inside: Range, name: str | None, *, dry_run: bool
) -> tuple["_Work", list[Squash], Mapping[str, str]]:
    """Return the squashes of a range, made on a kind of database whose code runs on all of them.

    Where a project declares several kinds, code from that which needs the fewest statements of its
    own, SQLite's, is tried first.
    """
    kinds = sorted(kinds_of(project), key=lambda other: not other.backend.batch_migrations)
    refused: list[DbtasksError] = []
    with ExitStack() as stack:
        for other in kinds:
            stack.enter_context(closing(other))
            try:
                work = _Work(other, scripts, inside, name)
                squashes = work.squashes()
                unverified = {} if dry_run else prove(project, squashes, work.volatile)
                return work, squashes, unverified
            except DbtasksError as error:
                refused.append(error)
    raise next((error for error in refused if isinstance(error, Refused)), refused[0])


class _Work:
    """Find what a range becomes."""

    def __init__(
        self, project: Project, scripts: ScriptDirectory, inside: Range, name: str | None
    ) -> None:
        self.project, self.scripts, self.inside, self.name = project, scripts, inside, name
        self.volatile: set[str] = set()
        self.chance: set[str] = set()
        self.kept: dict[str, str] = {}
        self.plan = Plan((), {})

    def squashes(self) -> list[Squash]:
        """Return the squashes. Raises Refused where there are none."""
        replay = replay_range(self.project, self.inside)
        while True:
            self.plan = self._planned(replay)
            generators = [
                Generator(self.project, self.inside, replay, segment)
                for segment in self.plan.segments
            ]
            if not generators:
                raise self._nothing()
            ends = {maker.segment.ids[-1]: maker.at_end for maker in generators}
            again = replay_range(self.project, self.inside, ends)
            if self._finds_chance(replay, again):
                continue
            with suppress(_Again):
                return [*self._written(generators)]

    def _planned(self, replay: Replay) -> Plan:
        backend = self.project.backend
        places = FoldedSchema(replay.context, backend.syntax.lexer)
        tables: set[str] = set()
        for record in replay.records.values():
            places.apply(record)
            tables |= {place.table for place in places.tables}

        def reason(script: Script, empty: bool) -> str | None:
            if script.revision in self.kept:
                return self.kept[script.revision]
            if script.revision in self.chance:
                return CHANCE
            record = replay.records[script.revision]
            return reason_of(record, script, backend.syntax, tables, empty=empty)

        return Planner(
            self.inside.scripts,
            replay.records,
            replay.empty_before,
            lambda: FoldedSchema(replay.context, backend.syntax.lexer),
            reason,
        ).plan()

    def _finds_chance(self, replay: Replay, again: Replay) -> bool:
        """Find the revision that leaves other rows each time; return whether it is in a squash."""
        squashed = {id_ for segment in self.plan.segments for id_ in segment.ids}
        before: set[str] = set()
        for revision, rows in replay.rows.items():
            other = again.rows.get(revision, {})
            differ = {name for name in rows if rows[name] != other.get(name)}
            if differ - before:
                self.chance.add(revision)
            before |= differ
        self.volatile |= before
        return not squashed.isdisjoint(self.chance)

    def _written(self, generators: Sequence[Generator]) -> Iterator[Squash]:
        for maker in generators:
            try:
                both = maker.code()
            except Unfoldable as reason:
                self.kept |= dict.fromkeys(maker.segment.ids, str(reason))
                raise _Again from reason
            yield self._squash(maker.segment, both.upgrade, both.downgrade)

    def _squash(self, segment: Segment, upgrade: Code, downgrade: Code) -> Squash:
        part = Range(
            segment.scripts,
            depends_on(self.scripts, dict(zip(segment.ids, segment.scripts, strict=True))),
        )
        fixed = [script.revision for script in part.scripts if not is_reversible(script)]
        if fixed:
            downgrade = Code(f'raise NotImplementedError("{fixed[-1]} cannot be reverted")')
        name = self.name if part.last is self.inside.last else None
        message = name.replace("_", " ") if name else part.last.doc
        text = write(_head(part), message, upgrade, downgrade)
        if line := fingerprint.found_in(source_edit.read(Path(part.last.path))):
            text = source_edit.note(text, line)
        path = _path(self.scripts, part, message) if name else Path(part.last.path)
        return Squash(segment, text, path, reversible=not fixed)

    def _nothing(self) -> Refused:
        kept = self.plan.kept
        told = {id_: why for id_, why in kept.items() if why != ALONE} or kept
        reasons = "; ".join(f"{id_}: {why}" for id_, why in told.items())
        return Refused(
            f"nothing of the range can be squashed: {reasons}",
            hint="begin the range at base, where rows and the schema are squashed together, or "
            "choose revisions that change the schema by Alembic's operations alone",
        )


class _Again(Exception):
    """Say that revisions turned out to stay, and that the range has to be cut otherwise."""


def _head(part: Range) -> Head:
    parents = part.parents
    return Head(
        part.last.revision,
        parents if len(parents) > 1 else next(iter(parents), None),
        part.labels or None,
        part.depends_on or None,
        [*part.ids],
    )


def _path(scripts: ScriptDirectory, part: Range, message: str) -> Path:
    """Return the path that the project's template gives to a revision of this name."""
    folder = Path(part.last.path).parent
    path = path_of(scripts, folder, part.last.revision, message)
    if path.exists() and str(path) not in {script.path for script in part.scripts}:
        raise Refused(f"there is a {path} already", hint="take another --name")
    outside = path.parent != folder and not scripts.recursive_version_locations
    if outside or not FILE.match(path.name):
        raise _not_found(path)
    return path


def _not_found(path: Path) -> Refused:
    return Refused(
        f"{path} is not found in the history",
        hint="which folders and names has it? See version_locations and file_template in "
        "alembic.ini",
    )


def _check(project: Project, files: Sequence[SquashedFile], heads: Sequence[str]) -> None:
    """Raise Refused unless the history ends where it did, with the files in it."""
    scripts = read_history(project, changing=True)
    paths = {Path(script.path) for script in scripts.walk_revisions()}
    for file in files:
        if file.path not in paths or {*scripts.get_heads()} != {*heads}:
            raise _not_found(file.path)
