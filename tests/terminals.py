"""`inv` on a terminal: what a person types, and sees."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path


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
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", *arguments],
        cwd=folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    if answer:
        os.write(ours, answer.encode())
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # the other side is closed
        pass
    finally:
        os.close(ours)
    return process.wait(), shown.decode()
