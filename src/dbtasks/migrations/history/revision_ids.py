"""Ids of revisions: a number and a name, where the project's others have numbers."""

import re

from alembic.script import ScriptDirectory
from alembic.util import rev_id

from dbtasks.migrations.history.template import DEFAULT_TEMPLATE

LONGEST = 32
"""Characters that Alembic's version table takes."""

LONGEST_NAME = LONGEST - len("0001_")

TEMPLATES = ("%(rev)s", DEFAULT_TEMPLATE)
"""Templates of files whose names begin with the id."""

NUMBERED = re.compile(r"(\d+)(_|$)")


def new_id(scripts: ScriptDirectory, name: str, *, number: int | None = None) -> str:
    """Return the id of a new revision: a number and its name, where the others have numbers.

    The first one has none if the project's own template makes other names of files.
    """
    numbers = [NUMBERED.match(one.revision) for one in scripts.walk_revisions()]
    if not all(numbers) or (not numbers and scripts.file_template not in TEMPLATES):
        return str(rev_id())
    width = max((len(one[1]) for one in numbers if one), default=4)
    highest = max((int(one[1]) for one in numbers if one), default=0)
    start = f"{number or highest + 1:0{width}}_"
    return start + _shortened(slug(name), LONGEST - len(start))


def numbered_after(other: str, revision: str, place: int) -> str:
    """Return a revision's id with the number that is `place` after another's, if both have one."""
    theirs, ours = NUMBERED.match(other), NUMBERED.match(revision)
    if theirs is None or ours is None:
        return revision
    return f"{int(theirs[1]) + place:0{len(ours[1])}}{revision[len(ours[1]) :]}"


def number_of(revision: str) -> int:
    """Return the number that an id begins with; 0 where it has none."""
    found = NUMBERED.match(revision)
    return int(found[1]) if found else 0


def _shortened(name: str, most: int) -> str:
    """Return a name without the words that are too many: one that is too long is cut."""
    if len(name) <= most:
        return name
    return (name[: most + 1].rpartition("_")[0] or name[:most]).rstrip("_")


def slug(name: str) -> str:
    """Return a name as it stands in the name of a file."""
    return re.sub(r"\W+", "_", name.lower()).strip("_") or "change"
