"""The revisions as their files have them, read without Alembic and without running one.

What cannot be known for certain this way is None, never a guess: Alembic then has to be asked.
Whether a revision's functions would compile and its imports be found, is not looked at.
"""

import ast
import configparser
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from dbtasks.settings import Settings

NAMES = ("revision", "down_revision", "branch_labels", "depends_on", "replaces")
"""What Alembic reads of a revision's module, and what a squash says beside it."""

ILLEGAL = frozenset("@-+")
SEPARATORS = {"space": " ", "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}

# Alembic's own pattern for the names of revision files.
NOTE = ".unfinished.json"
"""The file, beside env.py, that says how a change of files ends: it outlives a kill."""

FILE = re.compile(r"(?!\.\#|__init__)(.*\.py)$")

# A file's beginning, where every line is a whole statement: comments, texts, imports, and the
# five names with literals. Its rest, where every line without indent begins a function, or ends
# a bracket inside one. Nothing else can bind a name; where a line is of another kind, the syntax
# tree has to tell.
_BOUND = "|".join(NAMES)
_END = r"[ \t]*(?:\#[^\n]*)?\n"
_TEXT = r"""(?:"[^"\\\n]*"|'[^'\\\n]*')"""
_LIST = rf"\s*(?:{_TEXT}\s*(?:,\s*|(?=[)\]])))*"
SKIPPED = re.compile(
    rf"""(?:
        [ \t]*\n
      | \#[^\n]*\n
      | \"\"\"[^"\\]*(?:""?[^"\\]+)*\"\"\"{_END}
      | \'\'\'[^'\\]*(?:''?[^'\\]+)*\'\'\'{_END}
      | (?:import|from)[ ](?![^\n]*\b(?:{_BOUND})\b)[\w., ]+{_END}
    )*""",
    re.ASCII | re.VERBOSE,
)
ASSIGNED = re.compile(
    rf"({_BOUND})[ ]*(?::[\w.\[\], |]+)?=[ ]*(None|{_TEXT}|\({_LIST}\)|\[{_LIST}\]){_END}", re.ASCII
)
_DEF = rf"(?:async )?def (?!(?:{_BOUND}|__getattr__)\b)\w+\([\w:., |\[\]]*\)[^\n()=]*:"
OTHER = re.compile(rf"^(?!\#|[)\]}}]|{_DEF})\S", re.ASCII | re.MULTILINE)
TEXT = re.compile(_TEXT)
CODING = re.compile(r"#[^\n]*?coding[:=][ \t]*utf-?8(?![-\w.])", re.ASCII | re.IGNORECASE)

# What reaches a module's names by other ways than a statement.
WAYS_AROUND = frozenset(
    ("globals", "locals", "vars", "exec", "eval", "setattr", "__dict__", "_getframe", "modules")
)

# What may change, from inside env.py, which revisions count or where the database keeps them.
UNUSUAL = re.compile(
    r"version_table|version_locations|script_location|search_path|schema_translate_map"
    r"|ScriptDirectory|revision_map|\*\*|^\s*(?:async\s+)?(?:for|while)\b",
    re.MULTILINE,
)
CONFIGURES = re.compile(r"\b(?:environment\.run|context\.configure)\(")


class RevisionFile(NamedTuple):
    """Describe one revision as its file has it."""

    id: str
    parents: tuple[str, ...]
    labels: tuple[str, ...]
    depends_on: tuple[str, ...]
    path: str


class Places(NamedTuple):
    """Name the file env.py, and the folders of the revisions; with those inside, if recursive."""

    environment: Path
    versions: Sequence[Path]
    recursive: bool


class Unusual(Exception):
    """Stand for what only Alembic can tell."""


def read_files(
    folders: Sequence[Path], *, recursive: bool = False
) -> tuple[RevisionFile, ...] | None:
    """Return the revisions in the folders, or None where a file is not so plain."""
    try:
        return tuple(_read(path) for path in _paths(folders, recursive))
    except (Unusual, OSError):
        return None


def find_heads(files: Sequence[RevisionFile]) -> frozenset[str] | None:
    """Return what a database has in its version table when all is applied.

    A revision that another depends on is no head there. None where Alembic would refuse, or
    warn, or where it takes a name for another thing than an id.
    """
    ids = {one.id for one in files}
    labels = {label: one.id for one in files for label in one.labels}
    if len(files) + sum(len(one.labels) for one in files) != len(ids | labels.keys()):
        return None
    below = {one.id: {*one.parents, *(labels.get(i, i) for i in one.depends_on)} for one in files}
    needed = set().union(*below.values())
    if needed - ids or any(not one or ILLEGAL & set(one) for one in ids):
        return None
    try:
        TopologicalSorter(below).prepare()
    except CycleError:
        return None
    return frozenset(ids - needed)


def files_of(settings: Settings) -> tuple[RevisionFile, ...] | None:
    """Return a project's revisions, or None where only Alembic can read them."""
    places = places_of(settings)
    return None if places is None else read_files(places.versions, recursive=places.recursive)


def places_of(settings: Settings) -> Places | None:
    """Return where a project's history is, or None where only Alembic can tell."""
    try:
        return _locate(_read_options(settings.alembic), settings.alembic.parent)
    except (
        Unusual,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        configparser.Error,
    ):
        return None


# -- which files ------------------------------------------------------------------------------


def list_files(places: Places) -> list[Path] | None:
    """Return the files that Alembic would take, or None where only Alembic can tell."""
    try:
        return [Path(path) for path in sorted(_paths(places.versions, places.recursive))]
    except (Unusual, OSError):
        return None


def _paths(folders: Sequence[Path], recursive: bool) -> Iterator[str]:
    """Yield the files that Alembic would take, each once."""
    seen: set[str] = set()
    for folder in folders:
        if not folder.exists():
            continue
        for path in _list(str(folder.resolve(strict=True)), recursive):
            if path not in seen:
                seen.add(path)
                yield path


def _list(folder: str, recursive: bool) -> Iterator[str]:
    if folder.endswith("__pycache__") and not recursive:
        raise Unusual
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if recursive:
                    yield from _list(entry.path, recursive)
            elif FILE.match(entry.name) and not folder.endswith("__pycache__"):
                if entry.is_symlink() or not entry.is_file():
                    raise Unusual  # Alembic goes by the name of what a link leads to
                yield entry.path


# -- what is in a file ------------------------------------------------------------------------


def _read(path: str) -> RevisionFile:
    with open(path, "rb", buffering=0) as file:
        source = file.read()
    found = _scan(source) or _parse(source)
    revision, parents = found.get("revision"), found.get("down_revision")
    if not revision or parents is None:
        raise Unusual
    return RevisionFile(
        revision[0], parents, found.get("branch_labels", ()), found.get("depends_on", ()), path
    )


def _scan(source: bytes) -> dict[str, tuple[str, ...]] | None:
    """Return the names' values by reading lines, or None where the syntax tree has to tell."""
    try:
        text = source.decode("utf-8-sig").replace("\r\n", "\n") + "\n"
    except UnicodeDecodeError:
        return None
    if "\r" in text or "\f" in text or "\0" in text or not _is_utf8(text):
        return None
    found: dict[str, tuple[str, ...]] = {}
    end = SKIPPED.match(text).end()  # type: ignore[union-attr]  # it matches nothing, too
    while assigned := ASSIGNED.match(text, end):
        name, value = assigned.groups()
        if name == "revision" and value[0] not in "\"'":
            return None
        found[name] = tuple(one[1:-1] for one in TEXT.findall(value))
        end = SKIPPED.match(text, assigned.end()).end()  # type: ignore[union-attr]  # the same
    return None if OTHER.search(text, end) else found


def _is_utf8(text: str) -> bool:
    """Whether the two lines where a file may name its encoding name no other."""
    for line in text.split("\n", 2)[:2]:
        if "coding" in line and not CODING.match(line):
            return False
    return True


def _parse(source: bytes) -> dict[str, tuple[str, ...]]:
    """Return the names' values by the syntax tree."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is odd in the file
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unusual from error
    if any(_reaches_around(node) for node in ast.walk(tree)):
        raise Unusual
    found: dict[str, tuple[str, ...]] = {}
    for statement in tree.body:
        found.update(_bound(statement))
    return found


def _reaches_around(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in WAYS_AROUND
        case ast.alias(name=name):
            return name == "*" or not WAYS_AROUND.isdisjoint(name.split("."))
        case ast.Global(names=names):
            return not set(names).isdisjoint(NAMES)
        case ast.NamedExpr(target=ast.Name(id=name)):
            return name in NAMES
    return False


def _bound(statement: ast.stmt) -> dict[str, tuple[str, ...]]:
    """Return what a statement of the module gives the names; raise Unusual where it might."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in NAMES:
            return {name: _literal(name, value)}
        case ast.AnnAssign(target=ast.Name(id=name), value=given) if name in NAMES:
            return {} if given is None else {name: _literal(name, given)}
    if not _names_of(statement).isdisjoint((*NAMES, "__getattr__")):
        raise Unusual
    return {}


def _names_of(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds."""
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Pass():
            return set()
        case ast.Assign() | ast.AnnAssign():
            found = (one for one in ast.walk(statement) if isinstance(one, ast.Name))
            return {one.id for one in found if isinstance(one.ctx, ast.Store)}
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return {one.asname or one.name.partition(".")[0] for one in aliases}
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
    raise Unusual


def _literal(name: str, value: ast.expr) -> tuple[str, ...]:
    """Return a text, None, or a list of texts, as Alembic takes them."""
    match value:
        case ast.Constant(value=str(text)):
            return (text,)
        case ast.Constant(value=None):
            return ()
        case ast.Tuple(elts=items) | ast.List(elts=items) if name != "revision":
            texts = [one.value for one in items if isinstance(one, ast.Constant)]
            found = tuple(text for text in texts if isinstance(text, str))
            if len(found) == len(items):
                return found
    raise Unusual


# -- what the configuration says --------------------------------------------------------------


def _read_options(path: Path) -> Mapping[str, object]:
    """Return what Alembic takes from alembic.ini and pyproject.toml, the first before the other."""
    if not path.is_file():
        raise Unusual
    here = {"here": path.absolute().parent.as_posix()}
    ini = path.with_name("alembic.ini") if path.suffix == ".toml" else path
    toml = path if path.suffix == ".toml" else path.with_name("pyproject.toml")
    found: dict[str, object] = {}
    for file, read in ((toml, _read_toml), (ini, _read_ini)):
        if file.is_file():
            found.update(read(file, here))
    return found


def _read_ini(path: Path, here: Mapping[str, str]) -> Mapping[str, object]:
    text = path.read_text(encoding="locale")  # as Alembic reads it
    if "version_table" in text:
        raise Unusual
    parser = configparser.ConfigParser(here)
    parser.read_string(text)
    found: dict[str, object] = dict(parser.items("alembic"))
    for name in found.keys() & {"sourceless", "recursive_version_locations"}:
        found[name] = found[name] == "true"
    if locations := str(found.pop("version_locations", "")):
        separator = SEPARATORS[str(found["path_separator"])]
        found["version_locations"] = [one.strip() for one in locations.split(separator) if one]
    return found


def _read_toml(path: Path, here: Mapping[str, str]) -> Mapping[str, object]:
    text = path.read_text(encoding="utf-8")
    if "alembic" not in text:
        return {}
    import tomllib  # most projects have nothing there for Alembic
    from importlib.metadata import version

    section = tomllib.loads(text).get("tool", {}).get("alembic", {})
    if section and not re.match(r"[2-9]|1\.(?:1[6-9]|[2-9]\d)\b", version("alembic")):
        raise Unusual  # it does not read this file
    if "version_table" in str(section):
        raise Unusual
    found = dict(section)
    if "script_location" in found:
        found["script_location"] %= here
    if "version_locations" in found:
        found["version_locations"] = [one % here for one in found["version_locations"]]
    return found


def _locate(options: Mapping[str, object], folder: Path) -> Places:
    """Return where the options say that the history is."""
    location, several = options["script_location"], options.get("version_locations") or ()
    recursive = options.get("recursive_version_locations", False)
    if not isinstance(recursive, bool) or options.get("sourceless", False) is not False:
        raise Unusual
    scripts = _from(folder, location)
    _check_environment(scripts / "env.py")
    if not isinstance(several, list | tuple):
        raise Unusual
    versions = [_from(folder, one) for one in several] or [scripts / "versions"]
    return Places(scripts / "env.py", versions, recursive)


def _from(folder: Path, location: object) -> Path:
    """Return a folder by its path; one inside a package only Python can find."""
    if not isinstance(location, str) or not location:
        raise Unusual
    if ":" in location and not os.path.isabs(location):
        raise Unusual
    return folder / location


def _check_environment(path: Path) -> None:
    """Raise Unusual where env.py may have settings of its own, or has them somewhere else."""
    text = path.read_text(encoding="utf-8")
    if UNUSUAL.search(text) or not CONFIGURES.search(text):
        raise Unusual
