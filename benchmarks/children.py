"""Processes that a benchmark starts: run one at a time, in a clean environment, and measured."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import IO

CHECKOUT = Path(__file__).resolve().parent.parent
PROJECT = ("tasks.py", "alembic.ini", "migrations", "src/company")
BLOCK = 1 << 16

VERSIONS = (
    "import sys; from importlib.metadata import version; "
    "print('Python', sys.version.split()[0], *(f'{n} {version(n)}' for n in sys.argv[1:]))"
)

# What would change how Python, Invoke, dbtasks or Django run. PYTHONDONTWRITEBYTECODE above all:
# with it every run compiles the project anew.
PREFIXES = ("PYTHON", "INVOKE_", "DBTASKS_", "DJANGO_", "DATABASE_URL")


@dataclass(frozen=True)
class Usage:
    """Hold what a process used, as the kernel counted it, and the lines that it wrote.

    `seconds` is all its time, `first_ms` that to its first line; `end` is the last that it wrote.
    """

    cpu_ms: float
    peak_mb: float
    lines: int
    seconds: float
    first_ms: float
    end: str


def measure(
    arguments: Sequence[str | Path], folder: Path, extra: Mapping[str, str] | None = None
) -> Usage:
    """Run a process in a folder and return what it used; stop the benchmark where it fails."""
    start = perf_counter()
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            arguments,
            cwd=folder,
            env=environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as child,
    ):
        assert child.stdout is not None
        lines, first, last = _read_lines(child.stdout)
        _, status, used = os.wait4(child.pid, 0)
        end = perf_counter()
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            raise SystemExit(_failure(arguments, child.returncode, errors.read()))
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(
        cpu_ms=(used.ru_utime + used.ru_stime) * 1000,
        peak_mb=used.ru_maxrss * unit / 1e6,
        lines=lines,
        seconds=end - start,
        first_ms=(first - start) * 1000,
        end=last.decode(errors="replace"),
    )


def run(arguments: Sequence[str | Path], folder: Path | None = None) -> str:
    """Run a process that is not measured, and return its stdout; stop where it fails."""
    done = subprocess.run(arguments, cwd=folder, env=environment(), capture_output=True)
    if done.returncode:
        raise SystemExit(_failure(arguments, done.returncode, done.stderr or done.stdout))
    return done.stdout.decode()


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: ours, without what would change its work."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}
    return {**kept, **(extra or {})}


def copy_project(folder: Path) -> Path:
    """Copy the reference project of this checkout into a folder, and return it."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in PROJECT:
        source, target = CHECKOUT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignore)
        else:
            shutil.copy(source, target)
    return folder


def warm_bytecode(python: Path, *folders: Path) -> None:
    """Compile the folders and dbtasks: `inv` writes no bytecode, so it would stay cold."""
    where = run([python, "-c", "import dbtasks; print(dbtasks.__path__[0])"]).strip()
    run([python, "-m", "compileall", "-q", where, *folders])


def make_venv(folder: Path, *packages: str) -> Path:
    """Make a virtual environment with packages from pip, and return its Python."""
    run([sys.executable, "-m", "venv", folder])
    python = folder / "bin" / "python"
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
    return python


def script(python: Path, name: str) -> Path:
    """Return a console script that is installed beside a Python."""
    return python.with_name(name)


def versions(python: Path, *packages: str) -> str:
    """Return the version of a Python and of its packages."""
    return run([python, "-c", VERSIONS, *packages]).strip()


def _read_lines(stream: IO[bytes]) -> tuple[int, float, bytes]:
    """Read a stream to its end: the number of its lines, when the first came, and the last block.

    A stream without lines has its end instead of a first.
    """
    count, first, last = 0, None, b""
    while block := os.read(stream.fileno(), BLOCK):
        last = block
        count += block.count(b"\n")
        if count and first is None:
            first = perf_counter()
    return count, first or perf_counter(), last


def _failure(arguments: Sequence[str | Path], code: int, output: bytes) -> str:
    """Return what to say of a process that failed."""
    line = " ".join(str(one) for one in arguments)
    return f"{line} exited {code}:\n{output.decode(errors='replace')}"
