"""Commands that write files, killed at a system call: the old content or the new one, whole."""

import re
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import warm
from syscalls import arm, run
from trees import ADD, DROP, FIRST, add_revision

KILLED = -signal.SIGKILL
VERSIONS = "migrations/versions"
CHANGES = frozenset(("write", "rename", "unlink", "rmdir", "mkdir", "fsync", "fdatasync"))
"""Calls that change files."""

LEFT = re.compile(r"\.[^/]+\.[0-9a-f]{16}\.(?:part|old)(?:/|$)|\.(?:draft|squashed)$")
EARLIER = 16
UNEQUAL = re.compile(rb"^Created: .*$", re.MULTILINE)

Content = Mapping[str, bytes]
Prepare = Callable[[Path, Callable[..., None]], None]


def _nothing(root: Path, inv: Callable[..., None]) -> None:
    """Write to a name that nothing has."""


def _with_old(root: Path, inv: Callable[..., None]) -> None:
    """Write over what the same command wrote before, when there were less rows."""
    inv(*COMMANDS[_name_of(root)].arguments)
    inv("add", "-m", "Department", "-s", "name=More")


def _with_change(root: Path, inv: Callable[..., None]) -> None:
    models = root / "src" / "company" / "models.py"
    text = models.read_text()
    name = re.search(r"^    name: .*$", text, re.MULTILINE)
    assert name is not None
    column = name[0].replace("name:", "nick:").replace("Mapped[str]", "Mapped[str | None]")
    models.write_text(text.replace(name[0], f"{name[0]}\n{column}", 1))


def _with_revision(root: Path, inv: Callable[..., None]) -> None:
    _with_change(root, inv)
    add_revision(root, "0002_hand")


def _with_heads(root: Path, inv: Callable[..., None]) -> None:
    for revision, after in (("0002_a", FIRST), ("0003_b", "0002_a"), ("0002_c", FIRST)):
        column = ("department", revision[5:])
        add_revision(
            root, revision, ADD.format(*column), downgrade=DROP.format(*column), after=after
        )


def _with_line(root: Path, inv: Callable[..., None]) -> None:
    for revision, after in (("0002_a", FIRST), ("0003_b", "0002_a"), ("0004_c", "0003_b")):
        column = ("department", revision[5:])
        add_revision(
            root, revision, ADD.format(*column), downgrade=DROP.format(*column), after=after
        )


@dataclass(frozen=True)
class Writing:
    """A command line, the file or folder that it writes, and what there is before."""

    arguments: tuple[str, ...]
    target: str = VERSIONS
    prepare: Prepare = _nothing
    check: tuple[str, ...] = ("showmigrations",)
    between: bool = False
    """Whether a kill may leave neither, so that other commands refuse (exit 3) until it is run
    again: it changes several files."""


def _dump(target: str, *options: str, prepare: Prepare) -> Writing:
    check = ("loaddata", "--input", target, "--truncate", "--dry-run", "--no-input")
    return Writing(("dumpdata", *options, "--output", target), target, prepare, check)


_QUERY = ("query", "-m", "Department", "--format", "csv", "--output", "out.csv")
_MAKE = ("makemigrations", "--no-input")
COMMANDS = {
    "query": Writing(_QUERY, "out.csv"),
    "query over": Writing(_QUERY, "out.csv", _with_old),
    "jsonl": _dump("d.jsonl.gz", prepare=_nothing),
    "jsonl over": _dump("d.jsonl", prepare=_with_old),
    "csv": _dump("d", "--format", "csv", prepare=_nothing),
    "csv over": _dump("d", "--format", "csv", prepare=_with_old),
    "parquet over": _dump("d", "--format", "parquet", prepare=_with_old),
    "makemigrations": Writing(_MAKE, prepare=_with_change),
    "update": Writing((*_MAKE, "--update"), prepare=_with_revision),
    "merge": Writing((*_MAKE, "--merge"), prepare=_with_heads),
    "rebase": Writing((*_MAKE, "--rebase", "0003_b"), prepare=_with_heads, between=True),
    "squash": Writing(
        ("squashmigrations", "--from", "0002_a", "--to", "0004_c", "--name", "all"),
        prepare=_with_line,
        between=True,
    ),
}


def _left(root: Path) -> list[str]:
    """Return what a kill has left beside the files."""
    return sorted(str(one) for one in root.rglob("*") if LEFT.search(str(one)))


def _name_of(root: Path) -> str:
    return root.name


@dataclass
class Kills:
    """One of the commands, on copies of a project that has what there is before."""

    template: Path
    environment: Mapping[str, str]
    writing: Writing
    before: Content = field(default_factory=dict)
    after: Content = field(default_factory=dict)

    def count(self) -> list[str]:
        """Return the calls of a run that is not killed."""
        for _ in range(2):  # the first one finds no cache of the history
            with _copied(self.template) as root:
                done, calls = run(
                    root, self.environment, *self.writing.arguments, kind=signal.SIGKILL
                )
                assert done.returncode == 0, done.stderr
                self.after = self.read(root)
        self.before = self.read(self.template)
        assert self.after != self.before
        return calls

    def read(self, root: Path) -> Content:
        """Return the content of the target: of a file, or of those of a folder."""
        target = root / self.writing.target
        files = [target] if target.is_file() else [*target.rglob("*")]
        return {
            str(one.relative_to(root)): UNEQUAL.sub(b"", one.read_bytes())
            for one in files
            if one.is_file() and "__pycache__" not in one.parts and not LEFT.search(str(one))
        }

    def faults_at(self, at: int) -> list[str]:
        """Kill at a call, look, run it again, and return what is wrong.

        No two runs have the same number of calls: where one ends before, an earlier call is taken.
        """
        with _copied(self.template) as root:
            done, calls = run(
                root, self.environment, *self.writing.arguments, kind=signal.SIGKILL, at=at
            )
            where = f"at {at} ({calls[0] if calls else 'not reached'})"
            if done.returncode == KILLED:
                return [f"{where}: {one}" for one in self._faults_after(root)]
            if done.returncode != 0 or self.read(root) != self.after:
                return [f"{where}: {done.returncode}, {done.stderr}"]
        return self.faults_at(at - EARLIER)

    def _faults_after(self, root: Path) -> Iterator[str]:
        found, left = self.read(root), _left(root)
        whole = found in (self.before, self.after)
        if not whole and not self.writing.between:
            yield f"neither the old content nor the new one: {sorted(found)}"
        if whole and not left:
            return  # it is as no kill would have left it
        if found:
            checked = self._run(root, *self.writing.check)
            if checked.returncode not in ((0, 3) if self.writing.between else (0,)):
                yield f"{self.writing.check}: {checked.returncode}, {checked.stderr}"
        again = self._run(root, *self.writing.arguments)
        if again.returncode != 0 and found != self.after:
            yield f"run again: {again.returncode}, {again.stderr}"
        if self.read(root) != self.after:
            yield f"run again: {sorted(self.read(root))}"
        versions = self.writing.target == VERSIONS
        if (found != self.after or not versions) and _left(root):
            yield f"left after the next run: {_left(root)}"

    def _run(self, root: Path, *arguments: str) -> "warm.subprocess.CompletedProcess[str]":
        return warm.run("invoke", *arguments, cwd=root, env=self.environment, timeout=120)


def prepare(root: Path, environment: Mapping[str, str], name: str) -> Kills:
    """Return a command to kill; `root` is a copy of the reference project, which is moved."""
    template = root.rename(root.with_name(name))
    own = {"DATABASE_URL": "sqlite:///rows.db", "XDG_CACHE_HOME": f"{template} cache"}
    environment = {**environment, **own}

    def inv(*arguments: str) -> None:
        done = warm.run("invoke", *arguments, cwd=template, env=environment, timeout=120)
        assert done.returncode == 0, done.stderr

    inv("migrate", "seed")
    COMMANDS[name].prepare(template, inv)
    arm(template)
    return Kills(template, environment, COMMANDS[name])


def spread(calls: Sequence[str], number: int) -> list[int]:
    """Choose points: three of four before what changes files, the others elsewhere."""
    changes = [at for at, name in enumerate(calls, 1) if name in CHANGES]
    others = [at for at, name in enumerate(calls, 1) if name not in CHANGES]
    few = max(number // 4, number - len(changes))
    return sorted({*_last_evenly(changes, number - few), *_last_evenly(others, few)})


def _last_evenly(points: Sequence[int], number: int) -> list[int]:
    """Choose points, the closer the later: files are written at the end."""
    number = min(number, len(points))
    chosen = {points[-1 - int(len(points) * (index / number) ** 2)] for index in range(number)}
    rest = [one for one in reversed(points) if one not in chosen]
    return sorted(chosen | {*rest[: number - len(chosen)]})


@contextmanager
def _copied(template: Path) -> Iterator[Path]:
    root = template.with_name(f"{template.name} killed")
    shutil.copytree(template, root, symlinks=True)
    try:
        yield root
    finally:
        shutil.rmtree(root)
