"""loaddata and dumpdata while all goes wrong: points survived of points tried.

Run by hand: `python benchmarks/fixture_faults.py [sqlite] [postgresql] [mariadb]`, with --only for
some of the faults and --every to take fewer points. All run on throw-away servers of the tests. A
load that is damaged or out of space must leave all rows or none, and end as its exit code says; a
dump, the one that was there before. A full disk needs `mount`, so root. Kills and signals are sent
by interrupted.py.
"""

import random
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from children import CHECKOUT, versions
from full_disks import dumps_on_a_full_disk, loads_on_a_full_disk
from round_trips import comes_back, makes_up_the_same
from stages import DAMAGED, Points, faults_left, files_of, server_of, stage

sys.path += [str(CHECKOUT / "tests"), str(CHECKOUT / "tests" / "fixtures")]

import test_dump  # type: ignore[import-not-found]  # the same

KINDS = ("sqlite", "postgresql", "mariadb")
ROWS, FEW = 6000, 1500
FORMS = {"d.jsonl": "jsonl", "d.jsonl.gz": "jsonl", "d": "csv"}
STEP, FLIPS, MOMENTS, DUMPS = 997, 300, 20, 20


def main() -> None:
    """Print a line for each engine and fault; fail where a point was not survived."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)}; or all")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[*FAULTS])
    parser.add_argument("--every", type=int, default=1, help="take every Nth point only")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the round trip (1000000)")
    options = parser.parse_args()
    random.seed(5)
    print(versions(Path(sys.executable), "dbtasks", "SQLAlchemy"))
    well = True
    for kind in options.kinds or KINDS:
        with TemporaryDirectory() as name, server_of(kind) as server:
            for fault in options.only:
                well &= _tell(f"{kind}, {fault}", FAULTS[fault](kind, server, Path(name), options))
    if not well:
        raise SystemExit("not every point was survived")


def _tell(title: str, points: Points) -> bool:
    """Try the points, and print how many were survived."""
    tried = survived = 0
    start = time.monotonic()
    try:
        for where, faults in points:
            tried += 1
            survived += not faults
            for one in faults:
                print(f"  {where}: {one}", flush=True)
    except OSError as error:
        print(f"{title}: left out, {error}", flush=True)
        return True
    seconds = time.monotonic() - start
    print(f"{title}: {survived} of {tried} points survived ({seconds:.0f} s)", flush=True)
    return survived == tried > 0


def _cut(kind: str, server: str, folder: Path, options: Namespace) -> Points:
    """Load dumps that end early."""
    for name, form in FORMS.items():
        with stage(kind, server, folder, FEW) as here:
            here.make()
            here.fill()
            whole, dump = here.content(), here.dump(here.root / name, form)
            here.empty()
            for file, content in files_of(dump):
                path = dump / file if dump.is_dir() else dump
                for end in range(0, len(content), STEP * options.every):
                    path.write_bytes(content[:end])
                    faults = faults_left(here, whole, here.load(dump), DAMAGED)
                    yield f"{name}, {file} until {end}", faults
                path.write_bytes(content)
            yield f"{name}, whole", faults_left(here, whole, here.load(dump), (0,))


def _flipped(kind: str, server: str, folder: Path, options: Namespace) -> Points:
    """Load dumps with another byte at a random place; of a manifest it may be one of no matter."""
    for name, form in FORMS.items():
        with stage(kind, server, folder, FEW) as here:
            here.make()
            here.fill()
            whole, dump = here.content(), here.dump(here.root / name, form)
            here.empty()
            places = [(file, at) for file, text in files_of(dump) for at in range(len(text))]
            contents = dict(files_of(dump))
            for file, at in random.sample(places, FLIPS // options.every):
                path = dump / file if dump.is_dir() else dump
                content = contents[file]
                changed = bytes([content[at] ^ random.randrange(1, 256)])
                path.write_bytes(content[:at] + changed + content[at + 1 :])
                code = here.load(dump)
                allowed = (0, *DAMAGED) if _may_load(file, at) else DAMAGED
                faults = faults_left(here, whole, code, allowed)
                yield f"{name}, {file} at {at}: {changed!r}", faults
                path.write_bytes(content)
                if code == 0:
                    here.empty()


def _may_load(file: str, at: int) -> bool:
    """Whether a byte may be one that says nothing of the rows."""
    return file == "manifest.json" or (file.endswith(".gz") and 4 <= at < 10)


def _ended_early(kind: str, server: str, folder: Path, options: Namespace) -> Points:
    """Close stdin before all has come."""
    with stage(kind, server, folder, ROWS) as here:
        here.make()
        here.fill()
        whole, dump = here.content(), here.dump(folder / "d.jsonl").read_bytes()
        here.empty()
        for end in sorted(random.sample(range(len(dump)), MOMENTS // options.every)):
            done = subprocess.run(
                here.command("loaddata", "--input", "-", "--no-input"),
                cwd=here.root,
                env=here.environment(),
                input=dump[:end],
                capture_output=True,
                check=False,
            )
            yield f"until byte {end}", faults_left(here, whole, done.returncode, (9,))


def _written_meanwhile(kind: str, server: str, folder: Path, options: Namespace) -> Points:
    """Dump while four writers add parents and their children, and load each dump."""
    with stage(kind, server, folder, FEW) as here:
        here.make()
        here.fill()
        ended = Event()
        writers = [
            Thread(target=test_dump.write, args=(here.project, 10 + number, ended))
            for number in range(test_dump.WRITERS)
        ]
        for one in writers:
            one.start()
        try:
            dumps = [
                here.dump(folder / f"{number}.jsonl") for number in range(DUMPS // options.every)
            ]
        finally:
            ended.set()
            for one in writers:
                one.join()
        for dump in dumps:
            code = here.load(dump, truncate=True)
            found = {name: len(rows) for name, rows in here.content().items()}
            faults = [] if code == 0 else [f"exit code {code}"]
            if found["employee"] - FEW != found["department"] - 2:
                faults.append(f"it is no one moment: {found}")
            yield dump.name, faults


FAULTS: dict[str, Callable[[str, str, Path, Namespace], Points]] = {
    "a dump that is cut": _cut,
    "a flipped byte": _flipped,
    "stdin closed early": _ended_early,
    "writers": _written_meanwhile,
    "full disk, dump": dumps_on_a_full_disk,
    "full disk, load": loads_on_a_full_disk,
    "round trip": comes_back,
    "made-up rows": makes_up_the_same,
}


if __name__ == "__main__":
    main()
