"""A new revision's file: rendered by the project's script.py.mako, verified, and written whole.

Alembic's own way writes in place, and its template has the message raw in a docstring.
"""

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alembic.script import ScriptDirectory

from dbtasks import files
from dbtasks.errors import UsageError
from dbtasks.migrations.history.reader import FILE
from dbtasks.output import CONTROL

Render = Callable[..., None]

DEFAULT_TEMPLATE = "%(rev)s_%(slug)s"
"""Alembic's own template of a file's name."""

NAMED = re.compile(r"\d+_\w")
"""How an id begins that has the name in it."""

IMPORT = re.compile(r"^(?:import|from) [^$\n(]*$", re.MULTILINE)
"""A line of a template that imports something in each revision."""

QUOTES = re.compile(r"[\"']")
PLACEHOLDER = "the_message_of_a_revision"
"""What a rendering with the real message is compared with."""


def write_whole(scripts: ScriptDirectory) -> None:
    """Let Alembic write a new revision whole or not at all, with the message as text."""
    # The only place between Alembic's checks and its hooks; there is no public one.
    scripts._generate_template = partial(  # type: ignore[method-assign]  # Alembic calls it by name
        _generate, scripts._generate_template
    )


def name_once(scripts: ScriptDirectory, revision: str) -> None:
    """Let the next revision's file have its name once, where its id has it too."""
    if scripts.file_template == DEFAULT_TEMPLATE and NAMED.match(revision):
        scripts.file_template = "%(rev)s"


def path_of(scripts: ScriptDirectory, folder: Path, revision: str, message: str) -> Path:
    """Return the path that the project's template gives to a revision."""
    name_once(scripts, revision)
    # Alembic has the names of file_template nowhere else, and no public function of it.
    return Path(scripts._rev_path(folder, revision, message, datetime.now(UTC)))


def imports_of(scripts: ScriptDirectory) -> list[str]:
    """Return the imports that the project's template gives to each revision."""
    path = Path(scripts.dir, "script.py.mako")
    return IMPORT.findall(path.read_text(encoding="utf-8")) if path.is_file() else []


def amend_new(scripts: ScriptDirectory, amend: Callable[[str], str]) -> None:
    """Change the text of a new revision before it is written, so that it is written once."""
    scripts._generate_template = partial(  # type: ignore[method-assign]  # as in write_whole
        scripts._generate_template, amend=amend
    )


def _generate(
    render: Render,
    src: Path,
    dest: str | Path,
    *,
    message: str,
    amend: Callable[[str], str] = str,
    **values: Any,
) -> None:
    dest = Path(dest)  # a text before Alembic 1.15
    if not FILE.match(dest.name):
        raise UsageError(
            f"Alembic does not find a revision in a file {dest.name!r}",
            hint="take another --name, or another file_template in alembic.ini",
        )
    plain = _rendered(render, src, message=PLACEHOLDER, **values)
    _check_python(src, plain)
    for text in _spellings(message):
        content = _rendered(render, src, message=text, **values)
        if _is_equal(content, plain, text, message):
            dest.parent.mkdir(parents=True, exist_ok=True)  # not by Alembic before 1.16
            files.write(dest, amend(content.decode()).encode(), new=True)
            return
    raise UsageError(
        f"{src} cannot render the message {message!r} as Python",
        hint='the template has it in a docstring, as in: """${message}"""; '
        "or take a simpler --name",
    )


def _rendered(render: Render, src: Path, **values: Any) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "revision.py")
        render(src, path, **values)
        return path.read_bytes()


def _check_python(template: Path, content: bytes) -> None:
    try:
        ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise UsageError(
            f"{template} renders no valid Python: {error}", hint="fix the template"
        ) from error


def check_message(message: str | None) -> None:
    """Refuse a message that is more than one line of text. Raises UsageError."""
    if message is not None and (control := CONTROL.search(message)):
        raise UsageError(
            f"--name has the control character {control[0]!r}", hint="take one line of text"
        )


def docstring(text: str) -> str:
    """Return the literal of a docstring, with no more escapes than it needs."""
    body = re.sub(r'"(?="|\Z)', r"\"", _without_control(text))
    return f'"""{body}"""'


def _spellings(message: str) -> Iterator[str]:
    """Yield a message as it is, and as it may have to be spelled inside of a literal."""
    yield message
    spelled = _without_control(message)
    yield spelled
    yield QUOTES.sub(r"\\\g<0>", spelled)


def _without_control(text: str) -> str:
    """Escape backslashes and control characters, but not the end of a line."""
    escaped = text.replace("\\", "\\\\")
    return "\n".join(
        CONTROL.sub(lambda one: one[0].encode("unicode_escape").decode("ascii"), line)
        for line in escaped.split("\n")
    )


def _is_equal(content: bytes, plain: bytes, text: str, message: str) -> bool:
    """Whether a file is the same code as with another message, and its docstring has the message.

    A backslash that is no escape, which Python only warns of, counts as none.
    """
    tree = ast.parse(plain)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error" if text == message else "ignore")
            found = ast.parse(content)
    except (SyntaxError, ValueError):
        return False
    before, after = (ast.get_docstring(one, clean=False) or "" for one in (tree, found))
    shown = PLACEHOLDER not in before or message in after
    return shown and _shape(found) == _shape(tree)


def _shape(tree: ast.AST) -> str:
    """Return a syntax tree without the texts in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)
