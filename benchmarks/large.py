"""Memory of large values: by how many bytes a command grows for each byte of the largest value.

`benchmarks/memory.py --large 200` runs it: every command is a process of its own, on a table with a
value of so many MB, and on one with a value of a kilobyte; the peak of the second is taken off.
On MySQL and MariaDB a value is as large as max_allowed_packet allows, if that is less.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from children import measure, script

MB = 1_000_000
SMALL = 1000
MANY = 1000
LIMITS = {"jsonl": 8.0, "parquet": 4.0}
CASES = ("blob", "text", "json", "objects", "many")

ESCAPED = b"\0\n\r\x1a\"'\\"
BESIDE = 8192
"""Bytes of a packet besides the value: more than what dbtasks leaves for the statement."""

Result = TypeVar("Result")

TASKS = """
from dbtasks import collection

ns = collection(
    metadata="papers:metadata",
    databases={"other": {"url_variable": "OTHER_DATABASE_URL"}},
)
"""
MODELS = """
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

metadata = sa.MetaData()
TYPES = {
    "blob": sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb"),
    "text": sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb"),
    "json": sa.JSON(),
    "objects": sa.JSON(),
}
for name, kind in TYPES.items():
    sa.Table(
        name, metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("value", kind)
    )
"""


@dataclass(frozen=True)
class Case:
    """Name a table, and how many values of which size it has."""

    table: str
    rows: int
    size: int

    @property
    def title(self) -> str:
        """Return how the report calls it."""
        number = f"{self.rows:,} × " if self.rows > 1 else ""
        return f"{self.table}, {number}{self.size / MB:.4g} MB"


def report(url: str, folder: Path, size: int, only: Sequence[str] = CASES) -> bool:
    """Measure all commands on these cases, print a Markdown table, and return if all is well."""
    (folder / "tasks.py").write_text(TASKS)
    (folder / "papers.py").write_text(MODELS)
    print(f"| {url.partition(':')[0]} | value | at most | bytes per byte | reached? |")
    print("|---|---|---|---|---|", flush=True)
    well = True
    for name in only:
        table = "blob" if name == "many" else name
        largest = min(size, _apart(_room, url, folder, table) or size)
        number, each = (MANY, max(largest // 200, SMALL)) if name == "many" else (1, largest)
        case = Case(table, number, each)
        small = [peak for _, _, peak in _peaks(url, folder, Case(table, number, SMALL))]
        for (title, most, peak), before in zip(_peaks(url, folder, case), small, strict=True):
            ratio = (peak - before) * MB / largest  # many may take as much as one large one
            verdict = "yes" if ratio <= most else "**no**"
            print(f"| `{title}` | {case.title} | {most:g} | {ratio:.2f} | {verdict} |", flush=True)
            well &= ratio <= most
    return well


def _peaks(url: str, folder: Path, case: Case) -> Iterator[tuple[str, float, float]]:
    """Yield each command, how much it may grow, and the MB of its peak."""
    _apart(_fill, url, folder, case)
    other = {"OTHER_DATABASE_URL": f"sqlite:///{folder / 'other.db'}"}
    (folder / "other.db").unlink(missing_ok=True)
    _apart(_make, other["OTHER_DATABASE_URL"], folder)
    for format_, most in LIMITS.items():
        dump = folder / f"dump.{format_}"
        commands = {
            f"dumpdata {format_}": ("dumpdata", "--model", case.table, "--output", dump),
            f"loaddata {format_}": (
                "loaddata",
                "--input",
                dump,
                "--truncate",
                "--no-input",
                "--database",
                "default",
            ),
        }
        for title, line in commands.items():
            yield title, most, _peak(url, folder, *line)
    yield (
        "copydata",
        8,
        _peak(
            url,
            folder,
            "copydata",
            "--from",
            "default",
            "--to",
            "other",
            "--model",
            case.table,
            "--no-input",
            extra=other,
        ),
    )
    if case.table == "objects":  # query and add make Python's values of it
        return
    query = ("query", "--model", case.table, "--format", "jsonl")
    yield "query jsonl", 8, _peak(url, folder, *query, "--output", folder / "rows.jsonl")
    _apart(_empty, url, folder, case.table)
    added = ("add", "--model", case.table, "--from-file", folder / "rows.jsonl")
    yield "add --from-file", 12, _peak(url, folder, *added)


def _peak(url: str, folder: Path, *line: str | Path, extra: dict[str, str] | None = None) -> float:
    command = [script(Path(sys.executable), "inv"), *line]
    return measure(command, folder, {"DATABASE_URL": url, **(extra or {})}).peak_mb


def _apart(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a process of its own, so that this one stays small."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _metadata(folder: Path) -> Any:
    sys.path.insert(0, str(folder))
    import papers  # type: ignore[import-not-found]  # it was written just now

    return papers.metadata


def _make(url: str, folder: Path) -> None:
    from sqlalchemy import create_engine

    _metadata(folder).create_all(create_engine(url))


def _room(url: str, folder: Path, table: str) -> int | None:
    """Return the size of the largest value that a packet holds; None where there are no packets."""
    from sqlalchemy import create_engine

    engine = create_engine(url)
    if engine.dialect.name not in ("mysql", "mariadb"):
        return None
    with engine.connect() as connection:
        packet = connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar() or 0
    value = _value(Case(table, 1, MB))
    text = json.dumps(value) if isinstance(value, (dict, list)) else value
    written = text.encode() if isinstance(text, str) else text
    size = len(written) + sum(map(written.count, ESCAPED))
    if isinstance(text, bytes) and engine.driver == "pymysql":  # it writes two digits for each
        size = 2 * len(text)
    return int((packet - BESIDE) / size * 0.999 * MB)


def _empty(url: str, folder: Path, table: str) -> None:
    from sqlalchemy import create_engine

    with create_engine(url).begin() as connection:
        connection.execute(_metadata(folder).tables[table].delete())


def _fill(url: str, folder: Path, case: Case) -> None:
    """Let the table have these values alone."""
    from sqlalchemy import create_engine

    metadata = _metadata(folder)
    engine = create_engine(url)
    metadata.create_all(engine)
    table = metadata.tables[case.table]
    with engine.begin() as connection:
        connection.execute(table.delete())
        for number in range(case.rows):
            connection.execute(table.insert().values(id=number + 1, value=_value(case)))


def _value(case: Case) -> bytes | str | dict[str, str] | list[dict[str, object]]:
    if case.table == "blob":
        return os.urandom(case.size)
    if case.table == "objects":
        item: dict[str, object] = {"id": 7, "name": "Größe", "price": 12.5, "tags": ["a", None]}
        return [item] * (case.size // len(json.dumps(item)))
    line = 'Größe "ä" \\ of a line\n' + "x" * 40
    text = line * (case.size // len(line.encode()))
    return {"text": text} if case.table == "json" else text
