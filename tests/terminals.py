"""`inv` on a terminal: what a person types, and sees."""

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import warm


def run_on_terminal(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str],
    answer: str = "",
    width: int | None = None,
) -> tuple[int, str]:
    """Run `inv` in a folder, type an answer, and return the exit code and all it showed."""
    ours, theirs = pty.openpty()
    if width is not None:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    if answer:
        os.write(ours, answer.encode())
    with ThreadPoolExecutor() as reader:
        shown = reader.submit(_read, ours)
        try:
            code = warm.call(("invoke", *arguments), 3 * (theirs,), cwd=folder, env=environment)
        finally:
            os.close(theirs)
    return code, shown.result().decode()


def _read(terminal: int) -> bytes:
    shown = b""
    with open(terminal, "rb", buffering=0) as file, suppress(OSError):  # the other side is closed
        while part := file.read(4096):
            shown += part
    return shown
