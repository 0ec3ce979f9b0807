"""Files of rows that are damaged in one place, by a number, and whether a load of one goes well."""

import hashlib
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dbtasks import Project, fixtures
from dbtasks.errors import DbtasksError

MODELS = '''"""A table of many types, and another that refers to it."""

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, mapped_column


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "thing"
    id = mapped_column(sa.Integer, primary_key=True)
    big = mapped_column(sa.BigInteger)
    price = mapped_column(sa.Numeric(12, 4))
    ratio = mapped_column(sa.Double)
    sure = mapped_column(sa.Boolean)
    name = mapped_column(sa.String(60))
    day = mapped_column(sa.Date)
    instant = mapped_column(sa.DateTime)
    zoned = mapped_column(sa.DateTime(timezone=True))
    length = mapped_column(sa.Interval)
    colour = mapped_column(sa.Enum("red", "green", name="colour"))
    number = mapped_column(sa.Uuid)
    raw = mapped_column(sa.LargeBinary)
    data = mapped_column(sa.JSON)


class Part(Base):
    __tablename__ = "part"
    id = mapped_column(sa.Integer, primary_key=True)
    thing_id = mapped_column(sa.ForeignKey("thing.id"), nullable=False)
'''

ROWS = """INSERT INTO thing VALUES
 (1, 9007199254740993, 1.5, 0.1, 1, 'a ''"," b', '2024-02-29', '2024-02-29 01:02:03.000004',
  '2024-02-29 01:02:03.000000', '1970-01-02 00:00:00.000000', 'red',
  '0123456789abcdef0123456789abcdef', x'00ff', '{"a": [1, null]}'),
 (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (3, -1, -2, 1e300, 0, '', '0001-01-01', '9999-12-31 23:59:59.999999', NULL, NULL, 'green',
  NULL, x'', 'null')"""

DEEP = "[" * 5000
VALUES = (
    *("NaN", "Infinity", "-Infinity", "1e999999999", "1e400", "-1e-999999999", "1.5", "-1", "0"),
    *("1" * 300, "1" * 5000, "-" + "9" * 20, "true", "null", '""', '" "', r'"\ud800"', r'"\u0000"'),
    *(DEEP, DEEP + "]" * 5000, '{"a":' * 5000, "[]", "{}", "[[1]]", '{"a":1,"a":2}', '"'),
    *('"1e99999999"', '"NaN"', '"9999-99-99"', '"24:00"', '"-0001-01-01"', '"thing"', '"part"'),
    *('"P1Y"', '"=="', '"a\\nb"', '"../manifest.json"', '"/etc/passwd"', '"[[[["', '"{"', '"\\\\"'),
    *(json.dumps("x" * 100_000), json.dumps("é" * 70), json.dumps(DEEP), "1 2", ",", "", "\x00"),
)
"""What stands in the place of a value, as JSON has it, or as it has not."""

PLACE = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|\b(?:true|false|null)\b|[\[\]{},:]')
BYTES = (b"", b"\x00", b"\xff", b"\xed\xa0\x80", b'"', b"\n", b"[", b"\xef\xbb\xbf", b"\r")
DOCUMENTED = (2, 3, 8, 9)


def spoil(content: bytes, chosen: random.Random) -> bytes:
    """Return a content with bytes replaced, removed, repeated or cut off."""
    at = chosen.randrange(len(content) + 1)
    end = min(len(content), at + chosen.choice([0, 1, 2, 30, 1000]))
    if chosen.random() < 0.2:
        return content[:at]
    if chosen.random() < 0.2:
        return content[:end] + content[at:]
    return content[:at] + chosen.choice(BYTES) + content[end:]


def falsify(text: str, chosen: random.Random) -> str:
    """Return a text of JSON with another value, or name, or sign, in one place."""
    places = [*PLACE.finditer(text)]
    if not places:
        return text
    place = chosen.choice(places)
    return text[: place.start()] + chosen.choice(VALUES) + text[place.end() :]


class Dumps:
    """Dumps of a project, whose database is emptied before each load."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.folder = folder
        with project.migrating(writes=True) as connection, connection.begin():
            project.metadata[0].create_all(connection)
            connection.execute(sa.text(ROWS))
            connection.execute(sa.text("INSERT INTO part VALUES (1, 1), (2, 3)"))
        self.content = self.read()
        for name, form in (("jsonl", None), ("jsonl.gz", None), ("jsonl.zst", None)):
            fixtures.dumpdata(project, format_=form, output=folder / f"d.{name}")
        for form in ("csv", "parquet"):
            fixtures.dumpdata(project, format_=form, output=folder / form)
        self._write_others()
        self.kept = {one: one.read_bytes() for one in self._files()}
        fixtures.flush(project)
        self.empty = self.read()

    def read(self) -> dict[str, list[Any]]:
        """Return all rows."""
        with self.project.connect() as connection:
            return {
                name: sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {name}")))
                for name in ("thing", "part")
            }

    def faults_of(self, kind: str, seed: int) -> list[str]:
        """Damage a file of a kind, load it, and return what went wrong."""
        path, options, checked = DAMAGES[kind](self, random.Random(seed))
        try:
            fixtures.loaddata(self.project, str(path), **options)
        except DbtasksError as error:
            bad = [] if error.exit_code in DOCUMENTED else [f"exit {error.exit_code}: {error}"]
            found = self.read()
            return bad if found == self.empty else [*bad, f"something was loaded: {error}"]
        except Exception as error:
            return [f"{type(error).__name__}: {str(error)[:300]}"]
        else:
            found = self.read()
            bad = ["another content was loaded"] if checked and found != self.content else []
            fixtures.flush(self.project)
            return bad
        finally:
            self._put_back()

    def _files(self) -> Iterator[Path]:
        return (one for one in self.folder.rglob("*") if one.is_file())

    def _put_back(self) -> None:
        for path in [one for one in self._files() if one not in self.kept]:
            path.unlink()
        for path, content in self.kept.items():
            path.write_bytes(content)

    def _write_others(self) -> None:
        """Write files as others have them."""
        fields = {"big": 5, "price": "1.5", "sure": True, "name": "x", "day": "2024-01-01"}
        records = [{"model": "shop.thing", "pk": n, "fields": fields} for n in (1, 2)]
        rows = [{"id": n, **fields, "data": {"a": [1, "x", None]}, "ratio": 1.5} for n in (1, 2)]
        for name, found in (("django", records), ("rows", rows)):
            lines = "".join(f"{json.dumps(one)}\n" for one in found)
            (self.folder / f"{name}.json").write_text(json.dumps(found))
            (self.folder / f"{name}.jsonl").write_text(lines)
        shutil.copy(self.folder / "csv" / "thing.csv", self.folder / "rows.csv")
        shutil.copy(self.folder / "parquet" / "thing.parquet", self.folder / "rows.parquet")


Damaged = tuple[Path, dict[str, Any], bool]
"""The path of a damaged file, how it is loaded, and whether a checksum has to see it."""

MODEL = {"model": "Thing"}


def _raw(name: str) -> Callable[[Dumps, random.Random], Damaged]:
    def damage(dumps: Dumps, chosen: random.Random) -> Damaged:
        path = dumps.folder / name
        path.write_bytes(spoil(path.read_bytes(), chosen))
        return path, {}, True

    return damage


def _raw_in(name: str) -> Callable[[Dumps, random.Random], Damaged]:
    """Damage any file of a folder."""

    def damage(dumps: Dumps, chosen: random.Random) -> Damaged:
        path = chosen.choice(sorted((dumps.folder / name).iterdir()))
        if chosen.random() < 0.1:
            path.unlink()
        else:
            path.write_bytes(spoil(path.read_bytes(), chosen))
        return path.parent, {}, True

    return damage


def _signed(dumps: Dumps, chosen: random.Random) -> Damaged:
    """Change a dump, and let its checksum be right again."""
    path = dumps.folder / "d.jsonl"
    *lines, last = path.read_text().splitlines()
    at = chosen.randrange(len(lines) + 1)
    if at < len(lines):
        lines[at] = falsify(lines[at], chosen)
    text = "".join(f"{one}\n" for one in lines).encode()
    last = re.sub(r"[0-9a-f]{64}", hashlib.sha256(text).hexdigest(), last)
    path.write_bytes(text + (falsify(last, chosen) if at == len(lines) else last).encode() + b"\n")
    return path, {}, False


def _signed_manifest(name: str) -> Callable[[Dumps, random.Random], Damaged]:
    def damage(dumps: Dumps, chosen: random.Random) -> Damaged:
        path = dumps.folder / name / "manifest.json"
        if chosen.random() < 0.5:
            _sign_a_file(path, chosen)
            return path.parent, {}, False
        document = json.loads(path.read_text())
        document.pop("sha256")
        text = falsify(json.dumps(document), chosen)
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            text = _sign(document)
        path.write_text(text, errors="surrogatepass")
        return path.parent, {}, False

    return damage


def _sign_a_file(path: Path, chosen: random.Random) -> None:
    """Change the file of a table, and let all checksums be right again."""
    document = json.loads(path.read_text())
    document.pop("sha256")
    table = chosen.choice(document["tables"])
    file = path.with_name(table["file"])
    file.write_bytes(spoil(file.read_bytes(), chosen))
    table["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    path.write_text(_sign(document))


def _sign(document: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return json.dumps({**document, "sha256": digest})


def _others(name: str, options: dict[str, Any]) -> Callable[[Dumps, random.Random], Damaged]:
    def damage(dumps: Dumps, chosen: random.Random) -> Damaged:
        path = dumps.folder / name
        if "json" in name and chosen.random() < 0.7:
            path.write_text(falsify(path.read_text(), chosen))
        else:
            path.write_bytes(spoil(path.read_bytes(), chosen))
        return path, options, False

    return damage


DAMAGES: dict[str, Callable[[Dumps, random.Random], Damaged]] = {
    "d.jsonl": _raw("d.jsonl"),
    "d.jsonl.gz": _raw("d.jsonl.gz"),
    "d.jsonl.zst": _raw("d.jsonl.zst"),
    "d.jsonl, signed": _signed,
    "csv": _raw_in("csv"),
    "parquet": _raw_in("parquet"),
    "csv, signed": _signed_manifest("csv"),
    "parquet, signed": _signed_manifest("parquet"),
    "django.json": _others("django.json", {}),
    "django.jsonl": _others("django.jsonl", {}),
    "rows.json": _others("rows.json", MODEL),
    "rows.jsonl": _others("rows.jsonl", MODEL),
    "rows.csv": _others("rows.csv", MODEL),
    "rows.parquet": _others("rows.parquet", MODEL),
}


@contextmanager
def damageable(folder: Path) -> Iterator[Dumps]:
    """Give the dumps of a project in a folder that is empty."""
    (folder / "things.py").write_text(MODELS)
    (folder / "dumps").mkdir()
    url = f"sqlite:///{folder / 'things.db'}"
    with Project.configure(folder, metadata="things:Base", url=url) as project:
        yield Dumps(project, folder / "dumps")
