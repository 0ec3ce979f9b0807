"""Small disks in memory, to be full: real ones, as `mount` makes them for root on Linux."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOM = 64 << 20


class Disk:
    """A mounted disk, whose size can be changed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resize(self, size: int = ROOM) -> None:
        """Let it have room for so many bytes."""
        _run("mount", "-o", f"remount,size={size}", self.path)

    @property
    def used(self) -> int:
        """Return how many bytes are taken."""
        return shutil.disk_usage(self.path).used


@contextmanager
def small_disk(path: Path, options: str = "mode=1777") -> Iterator[Disk]:
    """Mount one on a folder. Raises OSError where that is not allowed."""
    path.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={ROOM},{options}", "tmpfs", path)
    try:
        yield Disk(path)
    finally:
        _run("umount", "-l", path)


def _run(*arguments: str | Path) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.strip())
