"""The list of revisions, and which of them a database has."""

from dataclasses import dataclass
from pathlib import Path

from dbtasks.migrations.runner import read_heads
from dbtasks.migrations.scripts import Revision, applied_of, describe, our_errors
from dbtasks.project import Project


@dataclass(frozen=True)
class Entry:
    """Describe a revision as one database has it; `known` is false where no file describes it."""

    revision: Revision
    applied: bool
    known: bool = True


def showmigrations(project: Project) -> list[Entry]:
    """Return all revisions, oldest first, and then those that only the database knows."""
    scripts, heads = read_heads(project)
    applied = applied_of(scripts, heads)
    with our_errors():
        revisions = [describe(script) for script in reversed(list(scripts.walk_revisions()))]
    known = {revision.id for revision in revisions}
    entries = [Entry(revision, revision.id in applied) for revision in revisions]
    strays = [Revision(head, "", (), Path(scripts.dir)) for head in heads if head not in known]
    return entries + [Entry(stray, applied=True, known=False) for stray in strays]
