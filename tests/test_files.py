"""The writer of files: the old content or the new one, whole, whoever else writes or is killed."""

import fcntl
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from conftest import Result
from dbtasks import files
from dbtasks.errors import DbtasksError, LocalFailure, Refused, UsageError

Inv = Callable[..., Result]

MANIFEST = "manifest.json"


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def listed(folder: Path) -> list[str]:
    return ["rows.csv", MANIFEST] if (folder / MANIFEST).exists() else []


def fill(path: Path, content: str) -> None:
    """Write a folder of two files."""
    with files.whole_folder(path, MANIFEST, listed) as part:
        (part / "rows.csv").write_text(content)
        (part / MANIFEST).write_text(content)


def content(folder: Path) -> set[str]:
    return {one.read_text() for one in folder.iterdir()}


def killed(work: Callable[[], object]) -> None:
    """Run what kills its process, in another one."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def kill_now(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# -- modes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [0o600, 0o640, 0o444, 0o755])
def test_the_old_mode_is_kept(tmp_path: Path, old: int) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(old)
    seen = []
    with files.whole_file(path) as stream:
        seen = [mode(one) for one in tmp_path.glob(".f.*.part")]
        stream.write(b"new")
    assert (path.read_text(), mode(path), seen) == ("new", old, [0o600])


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_of_the_umask(tmp_path: Path, mask: int) -> None:
    os.umask(mask)
    files.write(tmp_path / "f", b"")
    fill(tmp_path / "d", "new")
    assert mode(tmp_path / "f") == 0o666 & ~mask
    assert mode(tmp_path / "d") == 0o777 & ~mask


def test_a_folder_and_its_files_keep_their_modes(tmp_path: Path) -> None:
    fill(tmp_path / "d", "old")
    (tmp_path / "d").chmod(0o750)
    (tmp_path / "d" / MANIFEST).chmod(0o600)
    (tmp_path / "d" / "rows.csv").unlink()
    fill(tmp_path / "d", "new")
    assert {mode(one) for one in (tmp_path / "d").iterdir()} == {0o600}
    assert (content(tmp_path / "d"), mode(tmp_path / "d")) == ({"new"}, 0o750)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    os.chown(path, 1234, 4321)
    files.write(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_group_gets_no_more_than_all() -> None:
    with TemporaryDirectory() as folder:  # of pytest's own, no other user can enter any
        os.chown(folder, 1000, 1000)
        path = Path(folder, "f")
        path.write_text("old")
        os.chown(path, 1234, 4321)
        path.chmod(0o660)
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setgid(1000)
            os.setuid(1000)
            files.write(path, b"new")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert (path.read_text(), mode(path), path.stat().st_gid) == ("new", 0o600, 1000)


# -- errors, kills, and what they leave -------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_an_error_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "f").write_text("old")
    fill(tmp_path / "d", "old")
    expected = LocalFailure if error is OSError else error
    with pytest.raises(expected), files.whole_file(tmp_path / "f") as stream:
        stream.write(b"new")
        raise error
    with pytest.raises(expected), files.whole_folder(tmp_path / "d", MANIFEST, listed) as part:
        (part / MANIFEST).write_text("new")
        raise error
    assert (names(tmp_path), (tmp_path / "f").read_text()) == (["d", "f"], "old")
    assert content(tmp_path / "d") == {"old"}


def test_a_full_disk_does_not_hide_an_interrupt(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), files.whole_file(tmp_path / "f") as stream:
        stream.write(b"more")
        os.dup2(os.open("/dev/full", os.O_WRONLY), stream.fileno())
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_parts_of_killed_writers_are_removed(tmp_path: Path) -> None:
    def write() -> None:
        with files.whole_file(tmp_path / "f") as stream:
            stream.write(b"half")
            stream.flush()
            kill_now()

    def write_folder() -> None:
        with files.whole_folder(tmp_path / "d", MANIFEST, listed) as part:
            (part / "rows.csv").write_text("half")
            kill_now()

    others = [".g.0123456789abcdef.part", ".f.0123456789abcdef.part.x", ".f.part", "f.part"]
    for name in others:
        (tmp_path / name).write_text("")
    killed(write)
    killed(write_folder)
    assert len(names(tmp_path)) == len(others) + 2
    files.write(tmp_path / "f", b"new")
    fill(tmp_path / "d", "new")
    assert names(tmp_path) == sorted([*others, "f", "d"])


def test_the_part_of_a_living_writer_stays(tmp_path: Path) -> None:
    with files.whole_file(tmp_path / "f") as first:
        files.write(tmp_path / "f", b"second")
        first.write(b"first")
    assert (names(tmp_path), (tmp_path / "f").read_text()) == (["f"], "first")


def test_a_part_that_is_removed_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer may take a part for one of a killed writer until it is locked."""
    lock, removed = fcntl.flock, []

    def flock(descriptor: int, flags: int) -> None:
        for one in tmp_path.glob(".f.*.part") if not removed else ():
            removed.append(one)
            one.unlink()
        lock(descriptor, flags)

    monkeypatch.setattr(fcntl, "flock", flock)
    files.write(tmp_path / "f", b"new")
    assert (len(removed), names(tmp_path), (tmp_path / "f").read_text()) == (1, ["f"], "new")


# -- links, pipes, devices --------------------------------------------------------------------


def test_a_link_leads_to_the_file_that_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/f")  # there is none yet
    for text in (b"one", b"two"):
        files.write(tmp_path / "link", text)
        assert (tmp_path / "real" / "f").read_bytes() == text
    (tmp_path / "d").symlink_to("real/d")
    for text in ("one", "two"):
        fill(tmp_path / "d", text)
        assert content(tmp_path / "real" / "d") == {text}
    assert (names(tmp_path / "real"), (tmp_path / "link").is_symlink()) == (["d", "f"], True)


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    monkeypatch.setattr(os, "urandom", lambda size: b"\0" * size)
    for ending in (files.PART, files.ASIDE):
        (tmp_path / f".f.{'00' * 8}{ending}").symlink_to(victim)
    with pytest.raises(LocalFailure):
        files.write(tmp_path / "f", b"new")
    assert victim.read_text() == "theirs"


def test_a_circle_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for write in (lambda: files.write(tmp_path / "a", b""), lambda: fill(tmp_path / "a", "")):
        with pytest.raises(LocalFailure, match="a cannot be written"):
            write()


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_what_stdout_has_already_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    code = f"from pathlib import Path; from dbtasks import files; files.write(Path({name!r}), b'b')"
    command = ["sh", "-c", f'{{ echo a; {sys.executable} -c "$0"; }} >> out', code]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / "out").read_text() == "a\nb"
    assert names(tmp_path) == ["link", "out"]


def test_pipes_and_devices_are_written_to_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    files.write(pipe, b"new")
    reader.join(10)
    files.write(Path("/dev/null"), b"new")
    with pytest.raises(LocalFailure, match="No space left"):
        files.write(Path("/dev/full"), b"new")
    assert (read, names(tmp_path)) == ([b"new"], ["pipe"])


def test_bad_targets(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("theirs")
    (tmp_path / "d" / "theirs").write_text("theirs")
    bad: list[tuple[Callable[[], object], type[DbtasksError]]] = [
        (lambda: files.write(tmp_path / "d", b""), UsageError),
        (lambda: files.write(tmp_path / "none" / "f", b""), LocalFailure),
        (lambda: files.write(tmp_path / "f" / "f", b""), LocalFailure),
        (lambda: files.write(tmp_path / ("n" * 300), b""), LocalFailure),
        (lambda: files.write(tmp_path / "f", b"", new=True), Refused),
        (lambda: fill(tmp_path / "d", ""), UsageError),
        (lambda: fill(tmp_path / "f", ""), UsageError),
        (lambda: fill(Path("/dev/null"), ""), UsageError),
    ]
    for write, error in bad:
        with pytest.raises(error):
            write()
    assert ((tmp_path / "f").read_text(), names(tmp_path)) == ("theirs", ["d", "f"])
    files.write(tmp_path / ("ü" * 127), b"long")
    files.write(tmp_path / ("ü" * 127), b"longer")
    assert (tmp_path / ("ü" * 127)).read_bytes() == b"longer"


@pytest.mark.parametrize("name", ["app.db", "app.db-wal", "app.db-shm", "app.db-journal", "link"])
def test_a_database_is_not_written_over(tmp_path: Path, name: str) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
    before = (tmp_path / "app.db").read_bytes()
    (tmp_path / "link").symlink_to("app.db")
    writes = [lambda: files.write(tmp_path / name, b"new"), lambda: fill(tmp_path / name, "new")]
    for write in writes:
        with pytest.raises(UsageError, match=r"belongs to the SQLite database .*app\.db,"):
            write()
    assert ((tmp_path / "app.db").read_bytes(), names(tmp_path)) == (before, ["app.db", "link"])
    files.write(tmp_path / "other-wal", b"new")


def test_what_a_killed_writer_put_aside_stays_until_there_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "d", "old")
    aside = tmp_path / ".d.0123456789abcdef.old"
    with pytest.raises(KeyError), monkeypatch.context() as patched:
        # It is killed after the look for what others left.
        patched.setattr(files, "recover_folder", lambda _: os.rename(tmp_path / "d", aside))
        with files.whole_folder(tmp_path / "d", MANIFEST, listed):
            raise KeyError
    files.recover_folder(tmp_path / "d")
    assert content(tmp_path / "d") == {"old"}


# -- two at once, and folders -----------------------------------------------------------------


def both_ways(monkeypatch: pytest.MonkeyPatch, exchanges: bool) -> None:
    """Replace a folder in one step, or as where the system cannot."""
    if not exchanges:
        monkeypatch.setattr(files, "exchange", lambda *_: False)


def test_writer_that_is_overtaken_twice_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_ways(monkeypatch, exchanges=False)
    target, rename, tries = tmp_path / "d", os.rename, []

    def overtaken(source: Path, new_name: Path) -> None:
        if source.suffix == ".part" and tries != ["first", "second"]:
            tries.append("second" if tries else "first")
            if tries == ["first", "second"]:  # the old folder has just been put aside
                (target / "other").mkdir(parents=True)
                try:
                    rename(source, new_name)
                finally:  # before the loser can look, its folder is aside as well
                    rename(target, tmp_path / "overtaken")
        rename(source, new_name)

    fill(target, "old")
    monkeypatch.setattr(os, "rename", overtaken)
    fill(target, "new")
    assert (tries, content(target)) == (["first", "second"], {"new"})
    assert names(tmp_path) == ["d", "overtaken"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_several_at_once_leave_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    both_ways(monkeypatch, exchanges)
    failed: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for _ in range(20):
                files.write(tmp_path / "f", f"{number}".encode() * 9000)
                fill(tmp_path / "d", f"{number}")
        except BaseException as error:
            failed.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert failed == []
    assert names(tmp_path) == ["d", "f"]
    text = (tmp_path / "f").read_text()
    assert (len(text), len({*text}), len(content(tmp_path / "d"))) == (9000, 1, 1)


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("step", range(4))
def test_a_folder_is_there_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool, step: int
) -> None:
    both_ways(monkeypatch, exchanges)
    fill(tmp_path / "d", "old")

    def write() -> None:
        left, rename = step, os.rename

        def renamed(*paths: Path) -> None:
            nonlocal left
            if left == 0:
                kill_now()
            left -= 1
            rename(*paths)

        monkeypatch.setattr(os, "rename", renamed)
        monkeypatch.setattr(files.shutil, "rmtree", kill_now)
        fill(tmp_path / "d", "new")

    killed(write)
    if exchanges:  # nobody has to know how to recover
        assert content(tmp_path / "d") in ({"old"}, {"new"})
    files.recover_folder(tmp_path / "d")
    assert content(tmp_path / "d") in ({"old"}, {"new"})
    fill(tmp_path / "d", "newer")
    assert (content(tmp_path / "d"), names(tmp_path)) == ({"newer"}, ["d"])


def test_recovery_waits_for_a_living_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_ways(monkeypatch, exchanges=False)
    fill(tmp_path / "d", "old")
    rename = os.rename
    reader = threading.Thread(target=files.recover_folder, args=(tmp_path / "d",))

    def renamed(old: Path, new: Path) -> None:
        if not (tmp_path / "d").exists() and not reader.is_alive():
            reader.start()
            reader.join(0.3)
            assert reader.is_alive()
        rename(old, new)

    monkeypatch.setattr(os, "rename", renamed)
    fill(tmp_path / "d", "new")
    reader.join(10)
    assert (content(tmp_path / "d"), names(tmp_path)) == ({"new"}, ["d"])
