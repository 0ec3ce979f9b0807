"""The command lines that messages advise, as the project at hand has the commands."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from shlex import join
from typing import Any

Writer = Callable[[str, Mapping[str, Any]], str]


def command_line(name: str, /, **options: Any) -> str:
    """Return what the user types to run a command, with its options and quoted values.

    An option is named as in Python: `from_`, `dry_run`. True is a flag, a list an option given
    several times; None and False leave it out.
    """
    return _writer.get()(name, options)


def write(prefix: str, options: Mapping[str, Any]) -> str:
    """Return a command line: its beginning, as in `inv migrate`, and its options."""
    return " ".join([prefix, *filter(None, [join(_words(options))])])


@contextmanager
def written_by(writer: Writer) -> Iterator[None]:
    """Let a function write the command lines of the block: it knows how commands are mounted."""
    token = _writer.set(writer)
    try:
        yield
    finally:
        _writer.reset(token)


def _words(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        option = "--" + name.strip("_").replace("_", "-")
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is True:
                yield option
            elif str(one).startswith("-"):  # without = it would be an option
                yield f"{option}={one}"
            elif one is not None and one is not False:
                yield from (option, str(one))


def _plain(name: str, options: Mapping[str, Any]) -> str:
    return write(f"inv {name}", options)


_writer: ContextVar[Writer] = ContextVar("writer", default=_plain)
