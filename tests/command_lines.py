"""Command lines at random: every command, every option, and what should not be its value.

Most are lines that work with one value drawn anew, so that they come further than to exit 2. They
run by `inv` or `dbtasks`, some of them with a project of which one file fails.

`Fuzz` runs them on a project and says what is wrong with what they do: a traceback, an exit code
that is not documented, or a database that is not the one before though `state:` says so. Whether
it is, an independent dump decides: sqlite3's own, or a SELECT of all tables by the bare driver.
"""

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hypothesis import assume
from hypothesis import strategies as st

import runner
from dbtasks.tasks import FAMILIES
from dbtasks.tasks.command_line import OTHER_TOOLS, POSITIONAL
from dbtasks.tasks.edge import Command
from dbtasks.tasks.options import SHORT, Option

COMMANDS: dict[str, Command] = {one.name: one for family in FAMILIES for one in family.COMMANDS}
READS = {
    *("query", "get", "settings", "showmigrations", "sqlmigrate", "dumpdata", "waitdb"),
    *("init", "makemigrations", "squashmigrations", "test", "check", "doctor"),
}
"""Commands that never write to the database."""

CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
"""What may come of a command line: the others of docs/errors.md are bugs, or signals."""

UNCHANGED = re.compile(r"(?m)^state: (nothing was changed|rolled back)$")
PARSE_ERROR = re.compile("No idea what|'.*' did not receive|Flag ")

MODELS = """
import datetime as dt
import decimal
import enum
import uuid
from typing import Any
from sqlalchemy import JSON, Enum, LargeBinary, Numeric, Text, Uuid

class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"

class Order(Base):
    __tablename__ = "order"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str | None] = mapped_column(String(5), unique=True)
    note: Mapped[str | None] = mapped_column(Text)
    amount: Mapped[decimal.Decimal | None] = mapped_column(Numeric(8, 2))
    weight: Mapped[float | None]
    at: Mapped[dt.datetime | None]
    day: Mapped[dt.date | None]
    clock: Mapped[dt.time | None]
    span: Mapped[dt.timedelta | None]
    done: Mapped[bool | None]
    data: Mapped[Any] = mapped_column(JSON, nullable=True)
    colour: Mapped[Colour | None] = mapped_column(Enum(Colour))
    blob: Mapped[bytes | None] = mapped_column(LargeBinary)
    uid: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    employee_id: Mapped[int | None] = mapped_column(ForeignKey("employee.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"))
    employee: Mapped[Employee | None] = relationship()

class Line(Base):
    __tablename__ = "line"
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str | None] = mapped_column(String(20))
"""

ROWS = [
    ["add", "-m", "Order", "-s", "id=1", "-s", "code=a", "-s", "amount=1.50", "-s", "done=true"],
    [
        "add",
        "-m",
        "Order",
        "-s",
        "id=2",
        "-s",
        "note=é",
        "-s",
        "parent_id=1",
        "-s",
        "day=2026-01-02",
    ],
    ["add", "-m", "Line", "-s", "order_id=1", "-s", "number=1", "-s", "text=one"],
]

BASES: dict[str, Sequence[Sequence[str]]] = {
    "add": [
        ["-s", "name=x", "-s", "dept_id=1"],
        ["-m", "Order"],
        ["-m", "Line", "-s", "order_id=2", "-s", "number=5", "-s", "text=x"],
        ["-m", "Department", "--from-file", "rows.csv"],
        ["-m", "Department", "--from-file", "rows.json", "--upsert", "--expect", "0", "-y"],
    ],
    "copydata": [
        ["--from", "default", "--to", "other", "--no-input"],
        ["--from", "default", "--to", "other", "-m", "Line", "--truncate", "--no-input"],
    ],
    "delete": [
        ["--where", "name=Bob", "-y"],
        ["--all", "-y"],
        ["--pk", "1"],
        ["-m", "Order", "-w", "code=a", "--expect", "1", "-y"],
        ["-m", "Line", "--all", "--batch-size", "1", "-y"],
    ],
    "dumpdata": [
        [],
        ["-o", "out.jsonl"],
        ["--sample", "1"],
        ["--format", "csv", "-o", "out"],
        ["-m", "Order", "--mask", "order.note=null", "-o", "out.jsonl.gz"],
        ["--exclude", "Line", "-w", "order.id=1", "-o", "out.jsonl"],
    ],
    "flush": [["-y"], ["--dry-run"], ["-y", "-m", "Line"], ["-y", "--exclude", "Line"]],
    "get": [["--pk", "1"], ["-m", "Line", "--pk", "order_id=1", "--pk", "number=1"]],
    "loaddata": [
        ["--input", "dump.jsonl", "--upsert", "-y"],
        ["--input", "dump.jsonl", "--truncate", "-y"],
        ["--input", "rows.csv", "-m", "Department", "--columns", "id,name", "-y"],
        ["--input", "rows.json", "-m", "Department", "--batch-size", "1"],
        ["--input", "broken.jsonl", "-m", "Department"],
    ],
    "makemigrations": [[], ["-y"], ["--check"], ["--empty", "--name", "x"], ["--dry-run"]],
    "migrate": [
        [],
        ["--to", "base", "-y"],
        ["--to", "0001", "-y", "--wait", "1", "--lock-timeout", "1"],
        ["--plan"],
        ["--dry-run"],
        ["--fake"],
    ],
    "protect": [[], ["--as", "staging"], ["--as", "production"]],
    "query": [
        [],
        ["-m", "Order", "-w", "amount__gt=1", "--format", "csv", "-o", "out.csv"],
        ["--columns", "id,name", "--order-by", "-id", "--limit", "1", "--offset", "1"],
        ["-w", "department.name=Engineering", "--format", "json"],
        ["-m", "Line", "--count"],
    ],
    "redo": [["-y"], ["--steps", "1", "-y"]],
    "resolve": [["--revision", "0002", "--applied"], ["--revision", "0001", "--undo", "-y"]],
    "rollback": [["-y"], ["--steps", "2", "-y"], ["--dry-run"]],
    "seed": [
        [],
        ["--replant", "-y"],
        ["-m", "Department", "--count", "2", "--random-seed", "7"],
    ],
    "showmigrations": [[], ["--plan", "--format", "json"], ["--graph", "-o", "out"]],
    "sql": [
        ["--statement", "SELECT * FROM employee", "--format", "csv"],
        ["--statement", "SELECT :name", "--param", "name=1"],
        ["--write", "--file", "x.sql", "-y"],
        ["--write", "--statement", "DELETE FROM line", "--expect", "1", "-y"],
    ],
    "sqlmigrate": [["--revision", "0001"], ["--revision", "0002", "--backwards", "-o", "out"]],
    "squashmigrations": [["--from", "base", "--to", "heads", "--name", "all"]],
    "test": [["--dry"]],
    "update": [
        ["--all", "-s", "name=x", "-y"],
        ["--pk", "1", "-s", "name=x"],
        ["-m", "Order", "-w", "id=2", "-s", "code=b", "--expect", "1", "-y"],
        ["-m", "Order", "--all", "-s", "note=n", "--batch-size", "1", "-y"],
    ],
    "waitdb": [["--timeout", "1"]],
}
"""What a command needs to come to the point where it works."""

FIELDS = (
    *(
        "id",
        "name",
        "dept_id",
        "department",
        "department.name",
        "nope",
        "employees.name",
        "",
        "a.b",
    ),
    *("code", "note", "amount", "weight", "at", "day", "clock", "span", "done", "data", "colour"),
    *("blob", "uid", "employee", "employee_id", "parent_id", "number", "order_id", "__class__"),
)
LOOKUPS = (
    *(
        "",
        "__exact",
        "__iexact",
        "__ne",
        "__contains",
        "__icontains",
        "__startswith",
        "__gt",
        "__lte",
    ),
    *("__in", "__range", "__isnull", "__regex", "__nope", "__", "__gte__gt"),
)
TYPED = (
    *(
        "x",
        "1",
        "2",
        "1.5",
        "-1",
        "1e400",
        "nan",
        "true",
        "no",
        "2026-01-02",
        "2026-01-02 03:04:05",
    ),
    *(
        "2026-01-02T03:04:05+02:00",
        "03:04",
        "1 day",
        "a,b",
        "1,2",
        "RED",
        "r",
        '{"a": [1]}',
        "[",
        "null",
    ),
    *("00000000-0000-0000-0000-000000000001", "Bob", "0xff", "99999999999", "9999-99-99", "é", ""),
)
NAMES = ("Employee", "Department", "Order", "Line", "order", "nope", "company.models.Order", "a.b")
STATEMENTS = (
    *(
        "SELECT 1",
        "SELECT * FROM nowhere",
        "DELETE FROM line",
        "DROP TABLE line",
        "",
        ";",
        "SELECT",
    ),
    *(
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SELECT :name",
        "UPDATE employee SET name = NULL",
        "'",
        '"',
        "--",
    ),
    *(
        "INSERT INTO line VALUES (1, 2, 'x')",
        "CREATE TABLE t (id INTEGER)",
        "PRAGMA user_version = 5",
    ),
    *(
        "SELECT 1; SELECT 2",
        "DELETE FROM employee; DELETE FROM nowhere",
        "VACUUM",
        "SET x = 1",
        "é",
    ),
)
NUMBERS = (
    *(
        "0",
        "1",
        "2",
        "3",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "nan",
        "inf",
        "-0",
        "0x10",
        "1_0",
        "٣",
        "²",
        "x",
    ),
    *("9" * 20, "9" * 400, "1e400", "999999999999999", "9223372036854775808"),
)
REVISIONS = ("0001", "0002", "000", "base", "heads", "head", "-1", "+1", "+9", "nope", "0001:0002")
PATHS = (
    *(
        "out.jsonl",
        "out.csv",
        "out.parquet",
        "out.json.gz",
        "out/",
        "no/such/folder/x",
        ".",
        "/dev/null",
        "/dev/full",
    ),
    *(
        "dump.jsonl",
        "rows.csv",
        "rows.json",
        "broken.jsonl",
        "empty.csv",
        "x.sql",
        "-",
        "out",
        "~",
        "é",
    ),
)
GONE, LOCKED = "gone", "locked"
ALIASES = ("default", "other", "all", "nope", "DEFAULT", "a b", GONE, LOCKED)
PLAUSIBLE: dict[str, Sequence[str]] = {
    **dict.fromkeys(("model", "exclude", "table"), (*NAMES, "main.employee", "sqlite_master")),
    **dict.fromkeys(("order-by", "set-null", "drop"), (*FIELDS, "-name", "employee.name", "--")),
    **dict.fromkeys(("limit", "offset", "expect", "sample", "batch-size", "steps"), NUMBERS),
    **dict.fromkeys(("timeout", "wait", "lock-timeout", "random-seed"), NUMBERS),
    **dict.fromkeys(("revision", "rebase", "to", "from"), (*REVISIONS, *ALIASES)),
    **dict.fromkeys(("input", "output", "file", "from-file"), PATHS),
    **dict.fromkeys(("database", "not-applied-in"), ALIASES),
    "allow-production": ("app.db", "x"),
    "as": ("production", "staging", "test", "PROD", "x" * 300),
    "columns": ("id", "name,id", "id,", "nope", "department.name", "id,id", "*", "__class__"),
    "count": ("0", "2", "-1", "x", "9" * 20, "1.5"),
    "format": (
        "text",
        "table",
        "json",
        "jsonl",
        "csv",
        "markdown",
        "parquet",
        "nope",
        "dot",
        "mermaid",
    ),
    "mask": (
        "employee.name=name",
        "order.note=null",
        "order.nope=email",
        "x",
        "employee.name=nope",
    ),
    "name": ("A", "%", "_", "\\", "x" * 300, '"""', "a\nb", "{x}", "../x"),
    "only": ("default", "nope"),
    "param": ("name=1", "name=", "=1", "1=1", "x"),
    "pause": ("0", "x", "-1", "nan"),
    "pk": (*NUMBERS, "id=1", "id=x", "number=1", "order_id=1", "nope=1"),
    "rename": ("employee.name:employee.title", "x", "x:y", ":", "employee:person"),
    "statement": STATEMENTS,
}
"""What a person may give; what is plainly not a value comes beside."""

REFUSED = ("", " ", "\t\n", "\0", "a\0b", "--x", "--where=x", "\udcff", "a\ud800")
"""What no option takes."""

ODD = st.one_of(
    st.sampled_from(
        ["-", "--", "---", "-x", "-w", "é", "😀", "\u202e", "\ufeff", "'", '"', "%", "{}"]
    ),
    st.sampled_from(
        ["9" * 30, "-" + "9" * 30, "1e999", "null", "[]", '{"a": 1}', "x" * 5000, "%(x)s"]
    ),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=6),
)


def _rarely(draw: st.DrawFn, times: int) -> bool:
    """Whether it is one of so many times; st.integers would draw 0 far more often."""
    return draw(st.sampled_from(range(times))) == times // 2


@st.composite
def option_value(draw: st.DrawFn, option: str) -> str:
    """Draw a value for an option: plausible two times of three, or odd."""
    odd = _rarely(draw, 3)
    if _rarely(draw, 20):
        return draw(st.sampled_from(REFUSED))
    if option in ("count", "pause"):  # a huge number is what would be done
        return draw(st.sampled_from(["-", "é", "x"] if odd else PLAUSIBLE[option]))
    if option in ("where", "set", "default", "default-sql") and not _rarely(draw, 10):
        prefix = draw(st.sampled_from(["", "employee.", "order."])) if option != "set" else ""
        field = draw(st.sampled_from(FIELDS)) + draw(
            st.sampled_from(LOOKUPS) if odd else st.just("")
        )
        return f"{prefix}{field}={draw(ODD if odd else st.sampled_from(TYPED))}"
    value = draw(ODD if odd else st.sampled_from(PLAUSIBLE.get(option, ("x", "1"))))
    outside = value.startswith("/") and value not in PATHS
    return f"x{value}" if outside else value


@st.composite
def _given(draw: st.DrawFn, option: Option) -> list[str]:
    """Draw one option as it is typed."""
    name = draw(st.sampled_from(option.names))
    flag = f"-{name}" if len(name) == 1 else f"--{name}"
    if not option.takes_value:
        return [f"{flag}=x" if _rarely(draw, 30) else flag]
    if _rarely(draw, 20):
        return [flag]
    value = draw(option_value(option.names[0]))
    return draw(st.sampled_from([[flag, value], [f"{flag}={value}"]]))


def _is_in(option: Option, line: Sequence[str]) -> bool:
    names = {f"--{name}" if len(name) > 1 else f"-{name}" for name in option.names}
    return option.kind is not list and not names.isdisjoint(line)


TORN = """
import sqlalchemy as sa
from alembic import op

revision = "0003_torn"
down_revision = "0002_orders"


def upgrade():
    op.create_table("torn", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO nowhere (id) VALUES (1)")


def downgrade():
    op.drop_table("torn")
"""
SEED = """
from company.models import Department, Line


def seed(session):
    session.add(Department(name="seeded"))
    session.flush()
    {}
"""
BROKEN: Mapping[str, tuple[str, str]] = {
    "a revision that the database refuses": ("migrations/versions/0003_torn.py", TORN),
    "a seed that the database refuses": (
        "src/company/seeds.py",
        SEED.format("session.add(Line(order_id=99, number=1))"),
    ),
    "a seed that raises": ("src/company/seeds.py", SEED.format("raise ValueError")),
    "a seed with a syntax error": ("src/company/seeds.py", "def seed(:"),
}
"""Files of a project with which a plain command fails."""

WORDS = ("nope", "--nope", "-Q", "-", "--", "é", "", "--help", "--version", "--list", "-1", "=x")
SLOW = {"count", "pause", "wait", "timeout", "lock-timeout"}
"""Options whose number is how long it takes."""


@dataclass(frozen=True)
class Case:
    """A command line, the program that reads it, and the file of the project that is broken."""

    line: Sequence[str]
    program: str = "inv"
    broken: str | None = None


@st.composite
def cases(draw: st.DrawFn, names: Sequence[str] = tuple(COMMANDS)) -> Case:
    """Draw a command with what it needs, and change one value, add options, or put in a word."""
    name = draw(st.sampled_from(names))
    program = draw(st.sampled_from(["inv", "inv", "dbtasks"])) if name != "test" else "inv"
    line = [name, *draw(st.sampled_from(BASES.get(name, [[]])))]
    change = draw(st.sampled_from([_changed, _changed, _changed, _extended, _extended, _disturbed]))
    line = draw(change(line))
    if program == "dbtasks" and draw(st.booleans()):
        line = _with_positional(line)
    if name == "test" and "--dry" not in line:  # pytest takes its time
        line.append("--dry")
    unreached = any(GONE in word or LOCKED in word or word == "all" for word in line)
    assume(not (unreached and any("wait" in word or "timeout" in word for word in line)))
    broken = draw(st.sampled_from([*BROKEN])) if _rarely(draw, 8) else None
    return Case(line, program, broken)


@st.composite
def _changed(draw: st.DrawFn, line: Sequence[str]) -> list[str]:
    """Draw one value of a line anew, or leave it out; a line without values gets an option."""
    flags = {
        f"{'-' if len(name) == 1 else '--'}{name}": option
        for option in COMMANDS[line[0]].get_arguments()
        for name in option.names
        if option.takes_value
    }
    places = [at for at, word in enumerate(line) if word in flags]
    if not places:
        return draw(_extended(line))
    at = draw(st.sampled_from(places))
    flag, name = line[at], flags[line[at]].names[0]
    value = draw(
        st.one_of(
            *[option_value(name)] * 5,
            st.sampled_from(ALIASES if name == "database" else [*COMMANDS, *REFUSED]),
            st.sampled_from(("0", "1", "-1", "x", "1.5", "nan") if name in SLOW else NUMBERS),
        )
    )
    new = draw(st.sampled_from([[flag, value]] * 8 + [[f"{flag}={value}"], [flag], []]))
    return [*line[:at], *new, *line[at + 2 :]]


@st.composite
def _extended(draw: st.DrawFn, line: Sequence[str]) -> list[str]:
    """Draw up to three options more."""
    options = [one for one in COMMANDS[line[0]].get_arguments() if not _is_in(one, line)]
    own = [one for one in options if one.names[0] not in COMMON] or options
    chosen = draw(st.lists(st.sampled_from(own), max_size=2, unique_by=id))
    if _rarely(draw, 3):
        chosen.append(draw(st.sampled_from(options)))
    return [*line, *(word for option in chosen for word in draw(_given(option)))]


@st.composite
def _disturbed(draw: st.DrawFn, line: Sequence[str]) -> list[str]:
    """Draw a word more or less."""
    at = draw(st.integers(1, len(line)))
    if line[0] == "test" or draw(st.booleans()):
        return [*line[:at], *line[at + 1 :]]
    others = sorted(set(COMMANDS) - {"test", "waitdb"})
    return [*line[:at], draw(st.sampled_from([*others, *OTHER_TOOLS, *WORDS])), *line[at:]]


def _with_positional(line: Sequence[str]) -> list[str]:
    """Return a line with the values of its first options in the places of `dbtasks`."""
    rest, values = list(line[1:]), []
    for name in POSITIONAL.get(line[0], ()):
        flags = [f"--{name}", *(f"-{one}" for one in SHORT.get(name, ()))]
        at = next((at for at, word in enumerate(rest[:-1]) if word in flags), None)
        if at is not None:
            values.append(rest[at + 1])
            del rest[at : at + 2]
    return [line[0], *values, *rest]


COMMON = {"database", "traceback", "echo", "dry-run", "no-input", "allow-production"}
FILES = {
    "rows.csv": "id,name\n7,seven\n",
    "rows.json": '[{"id": 8, "name": "eight"}]',
    "broken.jsonl": '{"dbtasks": 1, "rows": \n',
    "empty.csv": "",
    "x.sql": "UPDATE employee SET name = 'y'; UPDATE department SET name = 'z'",
}


class Fuzz:
    """Run command lines on a project, each on the same database and files.

    `clear` empties the database of a URL, where it is not a file in the project's folder.
    """

    def __init__(
        self,
        root: Path,
        env: Mapping[str, str],
        url: str,
        other: str,
        clear: Callable[[str], None] | None = None,
    ) -> None:
        self.root = root
        self.template = root.with_name(f"{root.name} template")
        self.env = {**env, "DATABASE_URL": url, "OTHER_DATABASE_URL": other}
        self.env["GONE_DATABASE_URL"] = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
        self.url, self.other = url, other
        self.clear = clear
        self.lines = 0
        self.code = 0
        models = root / "src" / "company" / "models.py"
        models.write_text(models.read_text(encoding="utf-8") + MODELS, encoding="utf-8")
        for name, text in FILES.items():
            (root / name).write_text(text, encoding="utf-8")
        for line in (["migrate"], ["makemigrations", "--name", "orders"]):
            self._must(*line)
        self._fill()
        self._must("migrate", "--database", "other")
        self._lock()
        self._must("dumpdata", "--output", "dump.jsonl")
        shutil.copytree(root, self.template, ignore=shutil.ignore_patterns("__pycache__"))
        self.files = {one for one in root.rglob("*") if one.is_file()}
        self.before = self.dump()

    def faults(self, case: Case) -> list[str]:
        """Run a command line, and return what is wrong with what it did."""
        self.lines += 1
        if case.broken is not None:
            path, text = BROKEN[case.broken]
            (self.root / path).write_text(text, encoding="utf-8")
        done = runner.run(
            *case.line,
            cwd=self.root,
            env=self.env,
            input='{"id": 9, "name": "nine"}\n',
            program=case.program,
        )
        self.code = done.returncode
        after = self.dump()
        faults = self._faults(case, done, after)
        self._restore()
        # Our own tables are not in the dump: a marker or a journal would be in the next one's way.
        wrote = not _only_reads(case.line) and done.returncode not in (1, 2)
        if self.clear is not None and (wrote or after != self.before):
            self.clear(self.url)
            self._fill()
            assert self.dump() == self.before, f"{case} left what cannot be cleared"
        used = any("other" in word or "all" in word for word in case.line)
        if self.clear is not None and used:
            self.clear(self.other)
            self._must("migrate", "--database", "other")
        return faults

    def _lock(self) -> None:
        """Have another database that a connection of our own has locked."""
        path = self.root.with_name(f"{self.root.name} locked.db")
        self.env["LOCKED_DATABASE_URL"] = f"sqlite:///{path}?timeout=0.1"
        self.lock = sqlite3.connect(path, isolation_level=None)
        self.lock.execute("CREATE TABLE note (id INTEGER)")
        self.lock.execute("BEGIN EXCLUSIVE")

    def _restore(self) -> None:
        """Let all files be as they were, a database among them."""
        for one in self.root.rglob("*"):
            if one.is_file() and one not in self.files:
                one.unlink()
        shutil.copytree(self.template, self.root, dirs_exist_ok=True)

    def _faults(
        self, case: Case, done: "subprocess.CompletedProcess[str]", after: object
    ) -> list[str]:
        faults = []
        line = case.line
        if "Traceback" in done.stderr and "--traceback" not in line:
            faults.append("a traceback")
        if done.returncode not in CODES:
            faults.append(f"exit {done.returncode}")
        told = UNCHANGED.search(done.stderr) is not None
        told = told and "done before: " not in done.stderr
        parsed = case.program == "dbtasks" or not PARSE_ERROR.match(done.stderr)
        if done.returncode and parsed and "state: " not in done.stderr:
            faults.append("no state")
        alone = sum(word in COMMANDS for word in line) == 1
        unwritten = ("--dry-run" in line and alone) or _only_reads(line) or not parsed
        if after != self.before and ((done.returncode and told) or unwritten):
            faults.append("the database has changed")
        return faults and [*faults, f"{done.returncode}: {done.stderr[-700:]}"]

    def _fill(self) -> None:
        for line in (["migrate"], ["seed"], *ROWS):
            self._must(*line)

    def _must(self, *line: str) -> None:
        done = runner.run(*line, cwd=self.root, env=self.env)
        assert done.returncode == 0, done

    def dump(self) -> object:
        """Return all that the database holds, by its own driver, but for times of ours."""
        if self.url.startswith("sqlite"):
            connection = sqlite3.connect(self.url.partition("///")[2])
            try:
                return [one for one in connection.iterdump() if "dbtasks_" not in one]
            finally:
                connection.close()
        return _dump_server(self.url)


def _only_reads(line: Sequence[str]) -> bool:
    return all(word in READS for word in line if word in COMMANDS)


def _dump_server(url: str) -> dict[str, list[Any]]:
    """Return the rows of all tables in the order of all columns, and their columns."""
    parts = urlsplit(url)
    where: dict[str, Any] = {"host": parts.hostname, "port": parts.port, "user": parts.username}
    where["password"] = unquote(parts.password or "")
    if parts.scheme.startswith("postgresql"):
        import psycopg

        connection: Any = psycopg.connect(**where, dbname=parts.path[1:])
        schema, quote = "'public'", '"'
    else:
        import pymysql

        connection = pymysql.connect(**where, database=parts.path[1:])
        schema, quote = "database()", "`"
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            f"WHERE table_schema = {schema} AND table_name NOT LIKE 'dbtasks_%%' "
            "ORDER BY table_name, ordinal_position".replace("%%", "%")
        )
        columns = cursor.fetchall()
        found: dict[str, list[Any]] = {"columns": list(columns)}
        for table in {row[0] for row in columns}:
            cursor.execute(f"SELECT * FROM {quote}{table}{quote}")
            found[table] = sorted(map(repr, cursor.fetchall()))
    return found
