"""The replayed history, kept in the user's cache for as long as no file of it changes."""

import hashlib
import os
import re
import shutil
import sqlite3
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from dbtasks.migrations.scripts import read_config, read_scripts
from dbtasks.project import Project

IMPORTED = re.compile(r"^\s*(?:from|import)\s+([\w.]+)", re.MULTILINE)
LIBRARIES = sys.stdlib_module_names | {"alembic", "dbtasks", "sqlalchemy"}
DIGITS = 20


class Kept:
    """Find the file that has a project's history, and put it there."""

    def __init__(self, project: Project) -> None:
        scripts = read_scripts(read_config(project))
        folders = [Path(one) for one in scripts._version_locations]
        self._files = sorted(path for folder in folders for path in folder.rglob("*.py"))
        self._files.append(Path(scripts.dir, "env.py"))
        self._bootstrapped = project.settings.bootstrap is not None
        self._project = hashlib.sha256(str(project.settings.root).encode()).hexdigest()[:DIGITS]

    @property
    def path(self) -> Path | None:
        """Return the file; None where the revisions run code that is not theirs alone."""
        if self._bootstrapped:
            return None
        digest = hashlib.sha256()
        versions = (*map(version, ("dbtasks", "alembic", "sqlalchemy")), sqlite3.sqlite_version)
        digest.update("\0".join(versions).encode())
        for path in self._files:
            source = path.read_bytes()
            if path.name != "env.py" and not _stands_alone(source):
                return None
            digest.update(f"\0{path}\0{len(source)}\0".encode() + source)
        return _folder() / f"{self._project}-{digest.hexdigest()[:DIGITS]}.db"

    def keep(self, database: Path, path: Path) -> None:
        """Keep a copy of a database, in the place of the one before; it is no harm if not."""
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = path.with_suffix(f".{uuid4().hex}")
            shutil.copyfile(database, beside)
            for one in path.parent.glob(f"{self._project}-*.db"):
                one.unlink(missing_ok=True)
            os.replace(beside, path)


def _stands_alone(source: bytes) -> bool:
    """Whether a revision imports no code of the project, which the hash does not see."""
    text = source.decode("utf-8", errors="replace")
    return all(one.partition(".")[0] in LIBRARIES for one in IMPORTED.findall(text))


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dbtasks"
