"""Dumps and loads on a disk that has less room than they need, from none to nearly all of it."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from pwd import getpwnam

from children import CHECKOUT
from revival import Revival
from sqlalchemy import NullPool, create_engine, text
from stages import (
    Content,
    Points,
    Stage,
    faults_left,
    files_of,
    server_of,
    stage,
)

sys.path.append(str(CHECKOUT / "tests"))

from disks import Disk, small_disk  # type: ignore[import-not-found]  # the tests'

ROWS, FEW = 20_000, 500
POINTS = 12
PAGE = 4096
FORMS = {"d.jsonl": "jsonl", "d.jsonl.gz": "jsonl", "d": "csv", "d.gz": "csv"}
LOCAL = 9
FULL = {"sqlite": (LOCAL,), "postgresql": (8,), "mariadb": (8,)}
"""The exit codes of a full disk: ours, and that of a server, which refuses."""

GONE = (5, 7)
"""Those of a server that dies of it, as InnoDB does where it cannot roll back for want of room."""


def dumps_on_a_full_disk(kind: str, server: str, folder: Path, options: Namespace) -> Points:
    """Dump where an older dump is: it must stay, with nothing beside it."""
    for name, form in FORMS.items():
        with (
            stage(kind, server, folder, FEW) as here,
            small_disk(folder / "disk") as disk,
        ):
            here.make()
            here.fill()
            path = here.dump(disk.path / name, form)
            before, used = files_of(path), disk.used
            here.rows = ROWS
            here.fill(FEW + 1)
            needed = _size(here.dump(folder / name, form))
            for size in range(used + PAGE, used + needed, max(needed // POINTS, PAGE)):
                disk.resize(size)
                done = here.inv("dumpdata", "--format", form, "--output", path)
                faults = [] if done.returncode == LOCAL else [f"{done.returncode}: {done.stderr}"]
                if files_of(path) != before or [one.name for one in disk.path.iterdir()] != [name]:
                    faults.append(f"it left {[*disk.path.rglob('*')]}")
                yield f"{name}, {size} bytes", faults
            disk.resize(used + 2 * needed + (1 << 20))
            done = here.inv("dumpdata", "--format", form, "--output", path)
            whole = here.content()
            here.empty()
            faults = [] if done.returncode == 0 else [done.stderr]
            yield f"{name}, enough", faults + faults_left(here, whole, here.load(path), (0,))


def loads_on_a_full_disk(kind: str, server: str, folder: Path, options: Namespace) -> Points:
    """Load where the database has no room: no row may stay, and with more room all come."""
    file, whole, needed = _dump_and_size(kind, folder)
    for part in range(0, POINTS, options.every if options.every < POINTS else 1):
        with _on_disk(kind, folder) as (here, disk, revival):
            here.make()
            size = disk.used + PAGE + needed * part // POINTS
            disk.resize(size)
            code = here.inv("loaddata", "--input", file).returncode
            disk.resize()
            died = revival is not None and revival.revive()
            allowed = (*FULL[kind], *(GONE if died else ()))
            faults = faults_left(here, whole, code, allowed)
            here.empty()
            faults += faults_left(here, whole, here.load(file), (0,))
            yield f"{size} bytes{', and the server died' if died else ''}", faults


def _dump_and_size(kind: str, folder: Path) -> tuple[Path, Content, int]:
    """Return a dump, its rows, and how much room they take in a database."""
    with _on_disk(kind, folder) as (here, disk, _):
        here.make()
        empty = disk.used
        here.fill()
        return here.dump(folder / "d.jsonl"), here.content(), disk.used - empty


@contextmanager
def _on_disk(kind: str, folder: Path) -> Iterator[tuple[Stage, Disk, Revival | None]]:
    """Make a stage whose tables are on a small disk, on a server of its own: it may die of it."""
    with ExitStack() as stack:
        server, revival = stack.enter_context(server_of(kind)), None
        if kind == "sqlite":
            disk = stack.enter_context(small_disk(folder / "disk"))
            here = stack.enter_context(stage(kind, server, folder, ROWS, file_in=disk.path))
            yield here, disk, None
            return
        if kind == "mariadb":
            data = Path(_administer(server, "SELECT @@datadir"))
            revival = Revival(server, data)
            stack.callback(revival.end)
        here = stack.enter_context(stage(kind, server, folder, ROWS))
        name = str(here.project.backend.url.database)
        if kind == "postgresql":
            place = Path("/tmp") / f"{folder.name}-disk"  # its server may not look into ours
            disk = stack.enter_context(small_disk(place, _owner("postgres")))
            stack.callback(_drop_space, here)
            _administer(server, f"CREATE TABLESPACE small LOCATION '{place}'")
            _administer(server, f"ALTER DATABASE {name} SET default_tablespace = small")
        else:
            disk = stack.enter_context(small_disk(data / name, _owner("mysql")))
        yield here, disk, revival


def _owner(name: str) -> str:
    account = getpwnam(name)
    return f"uid={account.pw_uid},gid={account.pw_gid},mode=700"


def _drop_space(here: Stage) -> None:
    """Take the tables off the disk, and the server's word of it."""
    here.project.metadata[0].drop_all(create_engine(here.url, poolclass=NullPool))
    server = here.url.rpartition("/")[0]
    _administer(f"{server}/postgres", "DROP TABLESPACE small")


def _administer(url: str, statement: str) -> str:
    """Execute a statement outside of a transaction, and return the first value."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        result = connection.execute(text(statement))
        return str(result.scalar()) if result.returns_rows else ""


def _size(dump: Path) -> int:
    """Return how many bytes a dump takes."""
    return sum(len(content) for _, content in files_of(dump))
