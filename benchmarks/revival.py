"""A server that dies of a fault, and is started again on what it has left on the disk."""

import subprocess
import time
from pathlib import Path
from pwd import getpwnam

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

PATIENCE = 60
"""Seconds that a server may take to recover."""


class Revival:
    """Start MariaDB again where it has died, by the command line that it had."""

    def __init__(self, url: str, data: Path) -> None:
        self.url = url
        self.folder = data.parent
        number = (self.folder / "pid").read_text().strip()
        line = Path("/proc", number, "cmdline").read_bytes()
        self.command = [one.decode() for one in line.split(b"\0") if one]
        self.process: subprocess.Popen[bytes] | None = None

    def revive(self) -> bool:
        """Return whether it had died; it has recovered then."""
        if self._lives():
            return False
        self.end()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=getpwnam("mysql").pw_uid,
                group=getpwnam("mysql").pw_gid,
                extra_groups=[],
            )
        deadline = time.monotonic() + PATIENCE
        while not self._lives():
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.command[0]} does not start again")
            time.sleep(0.1)
        return True

    def end(self) -> None:
        """Kill what was started here: what has the first one's folder removes its data."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _lives(self) -> bool:
        try:
            create_engine(self.url, poolclass=NullPool).connect().close()
        except OperationalError:
            return False
        return True
