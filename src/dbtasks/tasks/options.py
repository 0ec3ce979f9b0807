"""Options of the command line: their help, their short forms, and how their texts are read."""

from collections.abc import Iterable

from dbtasks.errors import UsageError

HELP = {
    "check": "Exit 1 when a revision is pending; change nothing.",
    "database": "The database, by its alias; `all` is every declared one that may be written to.",
    "dry-run": "Show what would be done, and change nothing.",
    "echo": "Show the SQL, on stderr.",
    "format": "The form of the result: {formats}.",
    "limit": "The highest number of records.",
    "model": "The mapped class; without it the project's default model.",
    "name": "The beginning of the record's name.",
    "no-input": "Do not ask; --noinput is the same.",
    "only": "One of several seed functions, by its name.",
    "timeout": "Keep trying for so many seconds.",
    "to": "A revision or its beginning, +N, -N (--to=-10), `heads` or `base`.",
    "traceback": "Show where an error was raised.",
    "where": "FIELD=VALUE; several must all be met.",
}

# The same few short forms on every command.
SHORT = {"model": ("m",), "where": ("w",), "no-input": ("y", "noinput")}

LONGEST_NUMBER = 15


def whole(text: str | None, option: str) -> int | None:
    """Read a whole number that is not negative."""
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > LONGEST_NUMBER:
        raise UsageError(f"{option} {text!r} is not a whole number", hint=f"as in {option} 10")
    return int(text)


def seconds(text: str | None, option: str) -> float:
    """Read a number of seconds; none is 0."""
    if text is None:
        return 0
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 10**LONGEST_NUMBER:  # NaN is not either
        raise UsageError(f"{option} {text!r} is no number of seconds", hint=f"as in {option} 30")
    return value


def choice(text: str | None, option: str, known: Iterable[str]) -> str:
    """Read one of the known words; without a text it is the first."""
    words = tuple(known)
    if text is None:
        return words[0]
    if text not in words:
        raise UsageError(f"{option} {text!r} is not known", hint=f"take {', '.join(words)}")
    return text


def check_text(option: str, text: str) -> None:
    """Refuse an option that was given empty, or whose bytes are not UTF-8."""
    if not text:
        raise UsageError(
            f"--{option} is empty",
            hint=f"give --{option} a value, or leave it out: is a variable unset?",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"--{option} is not valid UTF-8, at character {error.start + 1}",
            hint="check the encoding of the terminal or of the script",
        ) from error
