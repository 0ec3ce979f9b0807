"""Variables: what the environment and a project's .env file say, read by name.

A variable that is present but cannot be read is an error, never a reason to use a default: the
default is another database.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from dbtasks.errors import LocalFailure, UsageError

OWN = ("DBTASKS_ENV", "DBTASKS_DATABASE")
WORD = re.compile(r"\w+", re.ASCII)
TEXT_FILE = "save it as UTF-8 text, with NAME=value lines"


@dataclass(frozen=True)
class Variables:
    """Look names up in the real environment first, then in the .env file."""

    environ: Mapping[str, str] = field(repr=False)
    dotenv: Mapping[str, str] = field(repr=False)

    def get(self, name: str) -> tuple[str, str] | None:
        """Return the value and its source, or None.

        Raises UsageError for a name that is set to nothing, and for one that is only set under
        another spelling, as database_url or DBTASKS_ENVIRONMENT.
        """
        value, source = next(self.values_of(name), (None, ""))
        if value is None:
            self._check_spelling(name)
            return None
        if not value.strip():
            raise UsageError(
                f"{name} is set but empty ({source.partition(':')[0]})",
                hint=f"give {name} a value, or unset it",
            )
        return value.strip(), source

    def values_of(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield every value of a name and its source, the strongest first."""
        for values, source in self.sources:
            if name in values:
                yield values[name], f"{source}: {name}"

    @property
    def sources(self) -> tuple[tuple[Mapping[str, str], str], ...]:
        """Return each source of variables and its name, the strongest first."""
        return (self.environ, "environment"), (self.dotenv, ".env")

    def _check_spelling(self, name: str) -> None:
        """Refuse a variable that differs only by case, or by characters that no name has."""
        for values, source in self.sources:
            for other in values:
                words = WORD.findall(other.upper())
                if name in (*words, "_".join(words)):
                    raise UsageError(
                        f"{name} is not set, but {other!r} is ({source})", hint=f"write it {name}"
                    )
        for other in self.dotenv if name in OWN else ():
            if other.upper().startswith("DBTASK") and other not in OWN:
                raise UsageError(
                    f"{other!r} is no setting of dbtasks (.env)",
                    hint=f"there are {' and '.join(OWN)}",
                )


def read_dotenv(path: Path) -> Mapping[str, str]:
    """Return what a .env file says, without putting it into the process's environment.

    A byte-order mark is not a part of the first name, and UTF-16 is read where one says so. Of a
    name that comes twice the last value counts, as in a shell. Raises LocalFailure for what is
    not a text file, and UsageError for a line that is not NAME=value.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        if os.path.lexists(path):  # a link that leads nowhere
            raise LocalFailure(f"cannot read {path}: {error}", hint="fix or remove it") from error
        return {}
    except OSError as error:
        raise LocalFailure(f"cannot read {path}: {error}", hint=TEXT_FILE) from error
    return _parse(path, _decode(path, content)) if content else {}


def _decode(path: Path, content: bytes) -> str:
    # python-dotenv before 1.2.2 takes a byte-order mark for a part of the first name.
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise LocalFailure(f"cannot read {path}: {error}", hint=TEXT_FILE) from error
    if "\0" in text:
        raise LocalFailure(f"cannot read {path}: it has a NUL byte", hint=TEXT_FILE)
    return text


def _parse(path: Path, text: str) -> Mapping[str, str]:
    from dotenv import dotenv_values  # only a project that has a .env pays for it
    from dotenv.parser import parse_stream

    wrong = [one.original for one in parse_stream(StringIO(text)) if one.error]
    if wrong:
        number = wrong[0].line + _blank_lines(wrong[0].string)
        raise UsageError(
            f"{path}, line {number}, is not NAME=value", hint="fix the line, or its quotes"
        )
    found = dotenv_values(stream=StringIO(text))
    return {name: value or "" for name, value in found.items()}


def _blank_lines(text: str) -> int:
    """Return the number of line ends before the first character of a line."""
    return text[: len(text) - len(text.lstrip())].count("\n")
