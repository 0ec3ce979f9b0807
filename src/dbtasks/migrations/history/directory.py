"""The project's revisions: Alembic's configuration and script directory, with our errors."""

import configparser
import os
import re
import sys
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import alembic
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionMap
from alembic.util import CommandError, coerce_resource_to_filename, to_tuple

from dbtasks import bytecode
from dbtasks.errors import Refused, UsageError
from dbtasks.hints import command_line
from dbtasks.migrations.history.integrity import check_finished, check_whole
from dbtasks.migrations.history.revision import Revision
from dbtasks.migrations.history.template import write_whole
from dbtasks.project import Project
from dbtasks.references import project_raised

READS_TOML = hasattr(Config, "get_alembic_option")
"""Whether Alembic reads pyproject.toml, and splits all lists at path_separator: from 1.16 on."""

SEPARATORS = {"space": " ", "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}
LISTED = {"version_locations": r", *| +", "prepend_sys_path": r", *| +|:"}
"""The options that are lists of folders, and where Alembic splits them without a separator."""

Amend = Callable[[Iterator[Script]], Iterator[Script]]


def describe(script: Script) -> Revision:
    """Return what is worth knowing of one of Alembic's scripts."""
    return Revision(script.revision, script.doc, parents_of(script), Path(script.path))


def parents_of(script: Script) -> tuple[str, ...]:
    """Return the names of the revisions that a script comes after."""
    return to_tuple(script.down_revision, default=())


def read_config(project: Project) -> Config:
    """Return the project's Alembic configuration, its folders counted from its own file."""
    path = project.settings.alembic
    if not path.is_file():
        raise UsageError(
            f"there is no {path}",
            hint="dbtasks init writes one; where there is one, alembic= in tasks.py names it",
        )
    # Alembic reads both, the .ini first.
    ini = path.parent / "alembic.ini" if path.suffix == ".toml" else path
    toml = path if path.suffix == ".toml" else path.parent / "pyproject.toml"
    if toml == path and not READS_TOML:
        raise UsageError(
            f"Alembic {alembic.__version__} does not read {path}",
            hint='pip install "alembic>=1.16", or move the configuration to an alembic.ini',
        )
    given: dict[str, Any] = {"toml_file": _if_there(toml)} if READS_TOML else {}
    config = Config(_if_there(ini), stdout=StringIO(), **given)
    try:
        _anchor(config, path.parent)
    except (configparser.Error, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        named = toml if isinstance(error, tomllib.TOMLDecodeError) else path
        raise UsageError(
            f"{named} cannot be read: {' '.join(str(error).split())}",
            hint="fix it; in an .ini file a % is written %%",
        ) from error
    return config


def read_scripts(
    config: Config, amend: Amend | None = None, *, changing: bool = False
) -> ScriptDirectory:
    """Return the project's script directory; `amend` changes which revisions it has.

    Raises Refused where its files are being changed, unless that is by the caller.
    """
    scripts = _open(config)
    if not changing:
        check_finished(Path(scripts.dir))
    # Not before it is asked for: an env.py may choose the folders of the versions.
    scripts.revision_map = RevisionMap(lambda: (amend or iter)(_unique(scripts)))
    env = Path(scripts.dir, "env.py")
    if not env.is_file():
        raise UsageError(f"there is no {env}", hint="docs/migrations.md has its three lines")
    return scripts


def put_in_place(gone: Collection[str], scripts: Callable[[], Iterable[Script]]) -> Amend:
    """Return what puts scripts in the place of others whenever a history is loaded.

    They are made anew each time, as Alembic loads files: a module may use up what it has.
    """

    def amend(loaded: Iterator[Script]) -> Iterator[Script]:
        yield from (script for script in loaded if script.revision not in gone)
        yield from scripts()

    return amend


def load(revision: str, path: Path, content: str | bytes) -> Script:
    """Return a revision as Alembic would load it from a file that is not there yet.

    Raises ProjectFailed for what its code raises.
    """
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)
    except Exception as error:
        raise project_raised(revision, error) from error
    return Script(module, revision, str(path))


def folder_of(config: Config) -> Path:
    """Return the folder that has env.py."""
    return Path(_open(config).dir)


def _open(config: Config) -> ScriptDirectory:
    try:
        scripts = ScriptDirectory.from_config(config)
    except CommandError as error:  # its advice is for `alembic init`
        raise UsageError(
            str(error).partition(".  Please use")[0],
            hint=f"fix script_location in {config.config_file_name or config.toml_file_name}",
        ) from error
    write_whole(scripts)
    return scripts


def _unique(scripts: ScriptDirectory) -> Iterator[Script]:
    """Load the files, and refuse two with one id, of which Alembic takes the last, and a gap."""
    found: dict[str, Script] = {}
    loaded = load_files(scripts)
    for script in loaded:
        if script.revision in found:
            files = " and ".join(Path(one.path).name for one in (found[script.revision], script))
            raise Refused(
                f"several files have one revision id: {script.revision}, in {files}",
                hint=f"give each its own, in {Path(script.path).parent}",
            )
        found[script.revision] = script
    check_whole(loaded, lambda: folders_of(scripts, loaded))
    yield from loaded


def load_files(scripts: ScriptDirectory) -> list[Script]:
    """Return the revisions as their files have them, whether they make a history or not."""
    with _bytecode(), bytecode.current([*_sources(scripts)]):
        try:
            return list(scripts._load_revisions())
        except CommandError as error:
            raise UsageError(str(error), hint="fix that file, or remove it") from error
        except Exception as error:
            raise project_raised("a revision", error) from error


def folders_of(scripts: ScriptDirectory, loaded: Iterable[Script]) -> set[Path]:
    """Return the folders that have revisions, or may have."""
    return {Path(one.path).parent for one in loaded} | {*version_folders(scripts)}


def version_folders(scripts: ScriptDirectory) -> list[Path]:
    """Return the folders that the configuration or env.py names, as they are at this moment."""
    named = [*map(coerce_resource_to_filename, map(str, scripts.version_locations or ()))]
    return [*map(Path.absolute, map(Path, named or [Path(scripts.dir, "versions")]))]


def _sources(scripts: ScriptDirectory) -> Iterator[Path]:
    """Yield the files of the revisions, by the paths under which Alembic loads them."""
    for folder in version_folders(scripts):
        pattern = "**/*.py" if scripts.recursive_version_locations else "*.py"
        for path in folder.resolve().glob(pattern):
            yield path.resolve() if path.is_symlink() else path


@contextmanager
def _bytecode() -> Iterator[None]:
    """Let Python keep the files' bytecode, as it does for plain Alembic: `inv` forbids it."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


@contextmanager
def our_errors() -> Iterator[None]:
    """Turn Alembic's errors, which are about what the user asked for, into ours."""
    try:
        yield
    except CommandError as error:
        raise UsageError(
            str(error), hint=f"see the revisions with: {command_line('showmigrations')}"
        ) from error


def applied_of(scripts: ScriptDirectory, heads: tuple[str, ...]) -> set[str]:
    """Return the ids of all revisions that a database at these heads has."""
    known = [head for head in heads if exists(scripts, head)]
    with our_errors():
        walk = scripts.iterate_revisions(tuple(known), "base") if known else ()
        return {script.revision for script in walk}


def dependencies(scripts: ScriptDirectory, script: Script) -> tuple[str, ...]:
    """Return the ids of what a revision depends on beside its parents."""
    named = to_tuple(script.dependencies, default=())
    return tuple(scripts.get_revision(name).revision for name in named)


def exists(scripts: ScriptDirectory, revision: str) -> bool:
    """Whether there is a file of this revision."""
    try:
        return scripts.get_revision(revision) is not None
    except CommandError:
        return False


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _anchor(config: Config, folder: Path) -> None:
    """Alembic counts a relative folder from where the command is run; we from its file."""
    read = config.get_alembic_option if READS_TOML else config.get_main_option
    location = read("script_location")
    if not location and (folder / "env.py").is_file():
        location = "."  # Flask-Migrate's alembic.ini is in the folder that it does not name
    if location:
        config.set_main_option("script_location", _from(folder, location).replace("%", "%%"))
    lists = {name: [_from(folder, path) for path in _split(config, name)] for name in LISTED}
    # Alembic splits both at what path_separator says, which may be a space: between lines
    # every path stays whole.
    config.set_main_option("path_separator" if READS_TOML else "version_path_separator", "newline")
    if not READS_TOML:  # it splits a sys.path at each space
        sys.path[:0] = lists.pop("prepend_sys_path")
        config.remove_main_option("prepend_sys_path")
    for name, paths in lists.items():
        if paths:
            config.set_main_option(name, "\n".join(paths).replace("%", "%%"))


def _split(config: Config, name: str) -> list[str]:
    """Return the folders of an option."""
    if READS_TOML:
        return {
            "version_locations": config.get_version_locations_list,
            "prepend_sys_path": config.get_prepend_sys_paths_list,
        }[name]() or []
    text = config.get_main_option(name) or ""
    named = (config.get_main_option(f"{before}path_separator") for before in ("", "version_"))
    separator = next(filter(None, named), None)
    parts = text.split(SEPARATORS[separator]) if separator else re.split(LISTED[name], text)
    return [part.strip() for part in parts if part.strip()]


def _from(folder: Path, location: str) -> str:
    """Return a location as an absolute path, unless it is inside a package."""
    return location if ":" in location else str(folder / location)
