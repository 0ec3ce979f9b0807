"""Where a URL comes from when it is not a text: functions, engines, and files with passwords.

Each is asked again for every new connection, so that a token that expires is renewed.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from dbtasks.errors import LocalFailure, UsageError
from dbtasks.variables import Variables

UrlSource = str | Callable[[], Any]

REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""`module:function`; a URL has slashes."""


def is_asked(source: UrlSource | None) -> bool:
    """Whether a source is a function, or a reference to one, and not a URL itself."""
    return callable(source) or (isinstance(source, str) and REFERENCE.fullmatch(source) is not None)


def url_text(alias: str, source: UrlSource, root: Path) -> str:
    """Return the URL that a source gives now, with its password.

    Raises UsageError where it is empty, and for a function that raises.
    """
    value = _ask(alias, "url", source, root) if is_asked(source) else source
    # A sqlalchemy.URL hides its password as text; this is how it gives the whole.
    text = value.render_as_string(False) if hasattr(value, "render_as_string") else str(value or "")
    if not text.strip():
        raise UsageError(f"the URL of database {alias!r} is empty", hint="see url= in tasks.py")
    return text.strip()


@cache
def engine_of(alias: str, source: UrlSource, root: Path) -> Any:
    """Return the engine that `engine=` makes, once in a process: it may keep a connector open."""
    engine = _ask(alias, "engine", source, root)
    if not hasattr(engine, "raw_connection"):
        raise UsageError(
            f"engine= of database {alias!r} gives {type(engine).__name__}",
            hint='it should be "module:function", which returns an Engine of SQLAlchemy',
        )
    return engine


def password_variable(url_variable: str) -> str:
    """Return the variable that names the file with the password of a URL."""
    return f"{url_variable.removesuffix('_URL')}_PASSWORD_FILE"


def password_in_file(url_variable: str, variables: Variables) -> str | None:
    """Return the password in the file that a variable names, or None where none does.

    Raises LocalFailure for a file that cannot be read, UsageError for an empty one.
    """
    name = password_variable(url_variable)
    found = variables.get(name)
    if found is None:
        return None
    path = Path(found[0])
    try:
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LocalFailure(f"cannot read {path}: {error}", hint=f"{name} names it") from error
    if not password:
        raise UsageError(f"{path} is empty", hint=f"{name} names it: write the password into it")
    return password


def _ask(alias: str, option: str, source: UrlSource, root: Path) -> Any:
    from dbtasks.references import load, project_raised, put_on_path  # few projects pay for it

    if isinstance(source, str):
        put_on_path(root)
        source = load(source, option)
    if not callable(source):
        return source
    try:
        return source()
    except Exception as error:
        what = f"{option}= of database {alias!r}"
        raise project_raised(what, error, function=source) from error
