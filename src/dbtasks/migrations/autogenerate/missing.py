"""What the models have and the history has not, in words."""

from dataclasses import dataclass

from alembic.runtime.migration import MigrationContext

from dbtasks.migrations.autogenerate import naming, reading
from dbtasks.migrations.autogenerate.extensions import (
    has_comparators_of_others,
    operations_of_others,
)
from dbtasks.migrations.autogenerate.places import OnNote, compared
from dbtasks.migrations.autogenerate.trial import Trial
from dbtasks.migrations.execution.env_session import read_history
from dbtasks.migrations.history.resolve_target import check_heads
from dbtasks.project import Project


@dataclass(frozen=True)
class Missing:
    """Hold in words what the models have and the history has not.

    `replayed` is whether nothing else was compared: not the project's own database, and nothing by
    the comparators of other packages, which may look at anything.
    """

    changes: tuple[str, ...]
    replayed: bool


def find_missing(project: Project, *, from_database: bool, on_note: OnNote) -> Missing:
    """Compare the models with the history; see `check.missing`."""
    check_heads(read_history(project), project.settings.heads)

    def work(scratch: Project, trial: Trial) -> Missing:
        operations = trial.compare()
        unmade = [] if operations else map(str, trial.changes)
        told = naming.tell_all([*operations, *operations_of_others(trial.context)])
        replayed = not from_database and not has_comparators_of_others(trial.context)
        return Missing((*told, *unmade), replayed)

    def read(context: MigrationContext) -> Missing:
        return Missing(naming.tell_all(reading.compare(context)), replayed=False)

    return compared(project, work, read, from_database=from_database, on_note=on_note)
