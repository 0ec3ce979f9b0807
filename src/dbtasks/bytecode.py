"""Bytecode of the project's code that may be older than its file, kept away from Python.

Python recognizes a file by its size and by the second of its last change
(https://docs.python.org/3/reference/import.html#cached-bytecode-invalidation). A file that is
written twice within a second, at the same size, would run as it was the first time.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import cache_from_source
from types import ModuleType

SETTLED = 2.0
"""Seconds after which a change of a file has another time: FAT keeps every other second only."""

_folders: set[str] = set()


def watch(folder: str) -> None:
    """Let `current` check the modules in a folder and in its packages."""
    _folders.add(folder + os.sep)


@contextmanager
def current(files: Iterable[str | os.PathLike[str]] = ()) -> Iterator[None]:
    """Import modules of the watched folders in the block, and these files, as they are now.

    Nor does any bytecode of these files remain that a change within the same second would leave
    in use, by dbtasks or by plain Alembic.
    """
    sources = [*map(str, files)]
    for source in sources:
        discard_doubtful(source)
    sys.meta_path.insert(0, _Doubtful)
    try:
        yield
    finally:
        sys.meta_path.remove(_Doubtful)
        for source in sources:
            discard_doubtful(source)


def discard_doubtful(source: str) -> None:
    """Remove the bytecode of a file, unless the file has long been as it was compiled."""
    try:
        compiled = cache_from_source(source)
        if os.stat(compiled).st_mtime < int(os.stat(source).st_mtime) + SETTLED:
            os.unlink(compiled)
    except (OSError, NotImplementedError):
        return  # there is none, or it is not ours to remove


class _Doubtful:
    """Discard the doubtful bytecode of each module before it is imported; find no module."""

    @staticmethod
    def find_spec(
        name: str, path: Iterable[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        entries = [*filter(_is_watched, sys.path if path is None else path)]
        spec = PathFinder.find_spec(name, entries) if entries else None
        if spec is not None and spec.has_location and spec.origin is not None:
            discard_doubtful(spec.origin)
        return None


def _is_watched(entry: str) -> bool:
    inside = (entry + os.sep).startswith(tuple(_folders))
    return inside and "site-packages" not in entry
