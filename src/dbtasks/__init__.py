"""The manage.py that SQLAlchemy never had: a project's database commands as Invoke tasks.

The names are imported when they are first used, so that `inv --list` pays for none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbtasks.errors import DbtasksError
    from dbtasks.fixtures import add_missing
    from dbtasks.project import Project
    from dbtasks.tasks import collection

    __version__: str

__all__ = ["DbtasksError", "Project", "__version__", "add_missing", "collection"]

_HOMES = {
    "DbtasksError": "dbtasks.errors",
    "Project": "dbtasks.project",
    "add_missing": "dbtasks.fixtures",
    "collection": "dbtasks.tasks",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("dbtasks")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
