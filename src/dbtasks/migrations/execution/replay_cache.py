"""What is kept in the user's cache for as long as nothing changes that it was made of.

That is the replayed history, as a SQLite file, and the verdict that the models equal it. Alembic is
not imported before a history is replayed.
"""

import hashlib
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

from sqlalchemy.sql.visitors import Visitable

from dbtasks.project import Project

DIGITS = 20
INFO = (".dist-info", ".egg-info")

IMPORTS = re.compile(rb"(?:^|[;:])[ \t\f]*(?:from|import)\b([^\n;#]*)", re.MULTILINE)
ALIASES = re.compile(rb"\bas\s+(\w+)\s*:")
"""What a context manager is called, as the operations of `op.batch_alter_table`."""

# A revision that imports nothing else, and has none of the names below, does the same to any empty
# database of one kind. The time and random identifiers can be had (datetime, uuid): data migrations
# need them for values of rows, and a schema that depends on the clock differs from every model.
PURE = frozenset(
    (
        *("__future__", "abc", "base64", "calendar", "collections", "contextlib", "copy"),
        *("dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib"),
        *("itertools", "json", "logging", "math", "operator", "re", "sqlalchemy", "string"),
        *("textwrap", "types", "typing", "unicodedata", "uuid", "warnings", "zoneinfo"),
    )
)
REACHES_OUT = re.compile(
    rb"\b(?:open|exec|eval|getattr|globals|vars|__(?:import|file|builtins|loader|spec|dict)__"
    rb"|create_engine|engine_from_config|create_mock_engine|target_metadata|opts)\b"
    rb"|\bop\s+as\b|=\s*op\b(?!\.)|\r(?!\n)|coding[:=][ \t]*(?!utf-?8)"
)
OPERATIONS = frozenset(
    (
        *("add_column", "alter_column", "batch_alter_table", "bulk_insert", "context"),
        *("create_check_constraint", "create_exclude_constraint", "create_foreign_key"),
        *("create_index", "create_primary_key", "create_table", "create_table_comment"),
        *("create_unique_constraint", "drop_column", "drop_constraint", "drop_index"),
        *("drop_table", "drop_table_comment", "execute", "f", "get_bind", "get_context"),
        *("inline_literal", "rename_table"),
    )
)
"""Alembic's own operations; any other is code of the project, or of a package that it uses."""


LIBRARIES = ("alembic", "dbtasks", "sqlalchemy")


class Kept:
    """Find the file that has a project's history, and put it there."""

    def __init__(self, project: Project) -> None:
        # They import Alembic.
        from dbtasks.migrations.execution.env_session import read_history
        from dbtasks.migrations.history.directory import version_folders

        scripts = read_history(project)
        folders = version_folders(scripts)
        self._revisions = sorted(path for folder in folders for path in folder.rglob("*.py"))
        self._others = (Path(scripts.dir, "env.py"), *configurations(project))
        # Revisions without a source are not read here.
        self._runs_more = project.settings.bootstrap is not None or scripts.sourceless
        self._project = project_of(project)

    @property
    def path(self) -> Path | None:
        """Return the file; None where the revisions run code that is not theirs alone."""
        if self._runs_more or any(map(_is_compiled_by_project, _constructs(Visitable))):
            return None
        digest = hashlib.sha256(f"{installed()}\0{sqlite3.sqlite_version}".encode())
        sources = read(digest, self._revisions)
        read(digest, self._others)
        if not stand_alone(sources):
            return None
        return folder() / f"{self._project}-{digest.hexdigest()[:DIGITS]}.db"

    def keep(self, database: Path, path: Path) -> None:
        """Keep a copy of a database, in the place of the one before; it is no harm if not."""
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = path.with_suffix(f".{uuid4().hex}")
            shutil.copyfile(database, beside)
            for one in path.parent.glob(f"{self._project}-*.db"):
                one.unlink(missing_ok=True)
            os.replace(beside, path)


def folder() -> Path:
    """Return the folder of all that is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dbtasks"


def project_of(project: Project) -> str:
    """Return what a project is called there."""
    return hashlib.sha256(str(project.settings.root).encode()).hexdigest()[:DIGITS]


def configurations(project: Project) -> list[Path]:
    """Return the files that Alembic takes its configuration from."""
    path = project.settings.alembic
    return [one for one in (path, path.with_name("pyproject.toml")) if one.is_file()]


@cache
def installed() -> str:
    """Return which Python this is, and each installed distribution with its version.

    Of dbtasks that is not installed from a wheel, the files are read: its version stays the same.
    """
    names = {sys.version, sys.platform}
    for entry in {*sys.path}:
        with suppress(OSError):
            names |= {name for name in os.listdir(entry) if name.endswith(INFO)}
    own = Path(__file__).parents[1]
    if "-packages" not in str(own):
        digest = hashlib.sha256()
        read(digest, sorted(own.rglob("*.py")))
        names.add(digest.hexdigest())
    return "\0".join(sorted(names))


def read(digest: "hashlib._Hash", paths: Iterable[Path]) -> list[bytes]:
    """Add files and their names to a digest, and return what they have."""
    sources = []
    for path in paths:
        source = path.read_bytes()
        digest.update(f"\0{path}\0{len(source)}\0".encode() + source)
        sources.append(source)
    return sources


def stand_alone(sources: Iterable[bytes]) -> bool:
    """Whether revisions run no code but their own and libraries', and read nothing else.

    Where that cannot be known for certain, as where a comment has one of the names, it is False.
    """
    text = b"\n".join(sources)
    if REACHES_OUT.search(text) or any(not _is_pure(one) for one in IMPORTS.findall(text)):
        return False
    names = b"|".join({b"op", b"batch_op", *ALIASES.findall(text)})
    used = re.findall(rb"\b(?:" + names + rb")\.(\w+)", text)
    return OPERATIONS.issuperset(name.decode() for name in used)


def _constructs(parent: type[Visitable]) -> Iterator[type[Visitable]]:
    """Yield all that SQLAlchemy compiles."""
    for construct in parent.__subclasses__():
        yield construct
        yield from _constructs(construct)


def _is_compiled_by_project(construct: type[Visitable]) -> bool:
    """Whether a function of the project, by @compiles, makes the SQL of a construct of SQLAlchemy.

    Revisions use these too, and no file of the history tells of it.
    """
    dispatcher = vars(construct).get("_compiler_dispatcher")
    if dispatcher is None or not construct.__module__.startswith("sqlalchemy."):
        return False
    modules = [*sys.modules.values()]
    return any(
        function.__module__.partition(".")[0] not in LIBRARIES
        and any(vars(module) is function.__globals__ for module in modules)
        for function in dispatcher.specs.values()
    )


def _is_pure(imported: bytes) -> bool:
    """Whether what comes after the word `import`, or `from`, names modules of PURE alone."""
    text = imported.decode("ascii", errors="replace").strip()
    module, is_from, names = text.partition(" import ")
    if is_from and module == "alembic":
        return {name.strip() for name in names.split(",")} <= {"context", "op"}
    modules = [module] if is_from else text.split(",")
    return all(one.strip().partition(" ")[0].partition(".")[0] in PURE for one in modules)
