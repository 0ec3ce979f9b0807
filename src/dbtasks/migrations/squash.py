"""Put one revision in the place of several that follow each other."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from alembic.script import ScriptDirectory

from dbtasks.errors import LocalFailure, Refused
from dbtasks.migrations.others import check_squashable
from dbtasks.migrations.scripts import Revision, describe, read_config, read_scripts
from dbtasks.migrations.squashing.folding import fold
from dbtasks.migrations.squashing.merging import Head, merge
from dbtasks.migrations.squashing.proving import prove
from dbtasks.migrations.squashing.ranges import Range, find_range
from dbtasks.migrations.squashing.sources import read_source
from dbtasks.migrations.targets import is_reversible
from dbtasks.project import Project

DRAFT, ASIDE = ".draft", ".squashed"
"""Endings of files that Alembic does not take for revisions."""


@dataclass(frozen=True)
class Squashed:
    """Hold the revision that stands in the place of others, its file, and what it replaces.

    `folded` says what is done at once that was done one after the other, `barriers` which
    functions have statements that nothing was moved past, and `unseen` why which of the project's
    databases could not be looked at.
    """

    text: str
    path: Path
    replaced: tuple[Revision, ...]
    folded: tuple[str, ...] = ()
    barriers: tuple[str, ...] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)


def squashmigrations(
    project: Project,
    *,
    first: str,
    last: str,
    name: str | None = None,
    optimize: bool = False,
    dry_run: bool = False,
) -> Squashed:
    """Put one revision in the place of those from `first` to `last`, and remove their files.

    It has the id of the last, so that databases there or beyond need nothing. Before it is
    written, both histories are run on scratch databases; with `dry_run` it is only returned. With
    `optimize` what is made and then changed or dropped is made so, or not at all, where that is
    clear from the code.
    Raises Refused for any difference, and where something else hangs, or a database that the
    project declares stands, inside the range.
    """
    scripts = read_scripts(read_config(project))
    inside = find_range(scripts, first, last)
    fixed = [one.revision for one in inside.scripts if not is_reversible(one)]
    sources = [read_source(one) for one in inside.scripts]
    message = name.replace("_", " ") if name else inside.last.doc
    text = merge(sources, _head(inside), message, fixed[-1] if fixed else None)
    path = _path(scripts, inside, message) if name else Path(inside.last.path)
    squashed = Squashed(text, path, tuple(describe(one) for one in inside.scripts))
    if optimize:
        squashed = replace(squashed, **asdict(fold(text)))
    if not dry_run:
        unseen = check_squashable(project, inside.ids, inside.last.revision)
        squashed = replace(squashed, unseen=unseen)
        _prove(project, inside, squashed, reversible=not fixed)
        _replace(project, squashed, scripts.get_heads())
    return squashed


def _prove(project: Project, inside: Range, squashed: Squashed, *, reversible: bool) -> None:
    try:
        prove(project, inside, squashed.text, str(squashed.path), reversible=reversible)
    except Refused as error:
        if squashed.folded:
            error.hint = "leave out --optimize: the code as it was may come out the same"
        raise


def _head(inside: Range) -> Head:
    parents = inside.parents
    return Head(
        inside.last.revision,
        parents if len(parents) > 1 else next(iter(parents), None),
        inside.labels or None,
        inside.depends_on or None,
        [*inside.ids],
    )


def _path(scripts: ScriptDirectory, inside: Range, message: str) -> Path:
    """Return the path that the project's template gives to a revision of this name."""
    folder = Path(inside.last.path).parent
    path = scripts._rev_path(folder, inside.last.revision, message, datetime.now(UTC))
    if path.exists() and str(path) not in {one.path for one in inside.scripts}:
        raise Refused(f"there is a {path} already", hint="take another --name")
    return path


def _replace(project: Project, squashed: Squashed, heads: Sequence[str]) -> None:
    """Write the file and remove those of the others, once Alembic finds it in their place."""
    draft = squashed.path.with_name(squashed.path.name + DRAFT)
    try:
        draft.write_text(squashed.text, encoding="utf-8")
        with _aside([one.path for one in squashed.replaced]):
            draft.replace(squashed.path)
            try:
                _check(project, squashed, heads)
            except BaseException:
                squashed.path.unlink()
                raise
    except OSError as error:
        raise LocalFailure(
            f"cannot write {squashed.path}: {error.strerror or error}", hint="mend that first"
        ) from error
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _aside(paths: Sequence[Path]) -> Iterator[None]:
    """Have files out of the way; at the end they are removed, after an error put back."""
    moved: list[tuple[Path, Path]] = []
    try:
        for path in paths:
            moved.append((path, path.rename(path.with_name(path.name + ASIDE))))
        yield
    except BaseException:
        for path, aside in moved:
            aside.rename(path)
        raise
    for _, aside in moved:
        with suppress(OSError):  # it is no revision any more
            aside.unlink()


def _check(project: Project, squashed: Squashed, heads: Sequence[str]) -> None:
    """Raise Refused unless the history ends where it did, with the file in it."""
    found = read_scripts(read_config(project))
    paths = {Path(one.path) for one in found.walk_revisions()}
    if squashed.path not in paths or {*found.get_heads()} != {*heads}:
        raise Refused(
            f"{squashed.path} is not found in the history",
            hint="which folders has it? See version_locations in alembic.ini",
        )
