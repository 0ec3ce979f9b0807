"""The only writer of files: a file or a folder appears under its name whole, or not at all.

The content is written to `.NAME.<random>.part` beside the target, synchronized to the disk and
renamed. The writer holds a lock (flock) on the part, so that the next writer of the same target
knows the parts of killed writers and removes them.
"""

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EEXIST, ENOTEMPTY
from pathlib import Path
from shlex import quote
from typing import IO

from dbtasks.errors import LocalFailure, Refused, UsageError

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, and no part of another writer is removed
    fcntl = None  # type: ignore[assignment]  # the module is missing

PART, ASIDE = ".part", ".old"
LONGEST_STEM = 230
"""Bytes of a target's name in the name of its part; most filesystems allow 255 in all."""

LINKS = 40  # as many as Linux follows
Listed = Callable[[Path], Iterable[str]]
UNTOUCHED = "free some space, or write to another place; the old content is untouched"
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of linux/fcntl.h and linux/fs.h


@contextmanager
def whole_file(path: Path, *, new: bool = False, like: Path | None = None) -> Iterator[IO[bytes]]:
    """Write a file that replaces the old one, or appears, when the block ends without an error.

    A new file gets the mode of the umask, another one keeps its mode and owner; `like` names a
    file whose mode and owner are taken instead. A symbolic link leads to the file that is
    replaced. A pipe, a device or an open descriptor (/dev/stdout) is written to directly. With
    `new` an existing file is never replaced. Raises LocalFailure, UsageError for a folder, and
    Refused for an existing file with `new`.
    """
    target = _target_of(path)
    if os.path.isdir(target):
        raise UsageError(f"{path} is a folder", hint="give the path of a file")
    if isinstance(target, int) or (os.path.exists(target) and not os.path.isfile(target)):
        with _reported(path, "the beginning may be written already"):
            # A descriptor is not opened again: that would write over what it has already.
            opened = os.dup(target) if isinstance(target, int) else target
            with open(opened, "wb") as direct:
                yield direct
        return
    with staged_file(path, new=new, like=like) as (part, commit):
        yield part
        commit()


@contextmanager
def staged_file(
    path: Path, *, new: bool = False, like: Path | None = None
) -> Iterator[tuple[IO[bytes], Callable[[], None]]]:
    """Give the stream of a part, and the function that puts the part in the place of the file.

    Without a call of the function nothing changes.
    """
    target = Path(os.path.realpath(path))
    with _reported(path, UNTOUCHED):
        old = _stat(like or target)
        _sweep(target)
        part, descriptor = _begin(target, lambda one: _create(one, 0o666 if old is None else 0o600))
        stream = open(descriptor, "wb")  # noqa: SIM115 - an error of its end must not hide another

        def commit() -> None:
            if old is not None:
                _keep_mode(descriptor, old)
            stream.flush()
            os.fsync(descriptor)
            if fcntl is None:
                stream.close()  # Windows does not rename an open file
            (_rename_new if new else os.replace)(part, target)
            _sync(target.parent)

        try:
            yield stream, commit
        finally:
            with suppress(OSError):  # the name is gone after a rename
                os.unlink(part)
            with suppress(OSError):
                stream.close()


def write(path: Path, content: bytes, *, new: bool = False, like: Path | None = None) -> None:
    """Write a whole file; see `whole_file`."""
    with whole_file(path, new=new, like=like) as stream:
        stream.write(content)


@contextmanager
def whole_folder(path: Path, manifest: str, listed: Listed) -> Iterator[Path]:
    """Fill a folder that takes the place of the old one when the block ends without an error.

    A folder is replaced only if it has nothing but what `listed` finds in its manifest. Where the
    system can exchange two names in one step (Linux), one of the two folders always has the name;
    elsewhere the old one is renamed for a moment, and `recover_folder` knows what a kill left.
    """
    target = _target_of(path)
    if isinstance(target, int):
        raise UsageError(f"{path} is no folder", hint="give the path of a new folder")
    recover_folder(target)
    _check_replaceable(path, target, listed)
    with _reported(path, UNTOUCHED):
        _sweep(target)
        old = _stat(target)
        part, descriptor = _begin(target, lambda one: _make(one, 0o777 if old is None else 0o700))
        try:
            yield part
            if old is not None:
                _keep_modes(part, target, manifest)
                _keep_mode(descriptor, old)
            for one in (*part.iterdir(), part):
                _sync(one)
            while not _place(part, target):
                _check_replaceable(path, target, listed)
            _sync(target.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)
            os.close(descriptor)


def recover_folder(path: Path) -> None:
    """Bring back the folder that a killed writer renamed; wait for one that is alive."""
    target = Path(os.path.realpath(path))
    for aside in _beside(target, ASIDE) if not os.path.lexists(target) else ():
        with suppress(OSError), locked(aside):
            if not os.path.lexists(target):
                os.rename(aside, target)
                _sync(target.parent)


# -- the target -------------------------------------------------------------------------------


def _target_of(path: Path) -> Path | int:
    """Return the file that a path leads to through links, or the descriptor that it names."""
    with _reported(path, "write to another place"), suppress(FileNotFoundError):
        found = os.stat(path)  # the system refuses circles, and links that others planted in /tmp
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            return _descriptor_of(path) or path
    if descriptor := _descriptor_of(path):
        return descriptor
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        leads_away = any(one.is_symlink() and not one.exists() for one in (path, *path.parents))
        folder = target.parent if leads_away else path.parent
        raise LocalFailure(
            f"{path} cannot be written: there is no folder {folder}",
            hint=f"make it with: mkdir -p {quote(str(folder))}",
        )
    from dbtasks.engines.base.urls import refuse_database  # it needs SQLAlchemy

    refuse_database(path, target)
    return target


def _descriptor_of(path: Path) -> int | None:
    """Return the descriptor of this process that a path names, as /dev/stdout does."""
    link, own = path, {os.path.realpath("/proc/self/fd"), "/dev/fd"}
    for _ in range(LINKS):
        folder = os.path.realpath(link.parent)
        if folder in own and link.name.isdecimal():
            return int(link.name)
        if not os.path.islink(link):
            break
        link = Path(folder, os.readlink(link))
    return None


def _stat(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _check_replaceable(path: Path, target: Path, listed: Listed) -> None:
    """Refuse to replace what is no dump, or more. Another writer may move it meanwhile."""
    while (found := _stat(target)) is not None:
        why = "is no dump"
        with suppress(FileNotFoundError, NotADirectoryError):
            there, dump = {*os.listdir(target)}, {*listed(target)}
            if there <= dump:
                return
            why = f"has {min(there - dump)}, which is no part of a dump" if dump else why
        if _stat(target) == found:
            hint = "give the path of a new folder, or remove it"
            raise UsageError(f"{path} exists, and {why}", hint=hint)


# -- parts ------------------------------------------------------------------------------------


def _stem(target: Path) -> str:
    name = os.fsencode(target.name)[:LONGEST_STEM]
    return f".{os.fsdecode(name)}."


def _name_beside(target: Path, ending: str) -> Path:
    return target.with_name(f"{_stem(target)}{os.urandom(8).hex()}{ending}")


def _create(path: Path, mode: int) -> int:
    binary = getattr(os, "O_BINARY", 0)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | binary, mode)


def _make(path: Path, mode: int) -> int:
    path.mkdir(mode)
    return os.open(path, os.O_RDONLY)


def _begin(target: Path, make: Callable[[Path], int]) -> tuple[Path, int]:
    """Make and lock a part. Another writer may remove it before it is locked: then again."""
    while True:
        part = _name_beside(target, PART)
        try:
            descriptor = make(part)
        except FileNotFoundError:  # a folder is opened after it was made
            if target.parent.is_dir():
                continue
            raise
        if fcntl is None:
            return part, descriptor
        with suppress(OSError):  # a filesystem without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_at(part, descriptor):
            return part, descriptor
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether a name still belongs to what is open."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _beside(target: Path, *endings: str) -> list[Path]:
    """Return the parts of a target, or the folders aside, that are there."""
    wanted = re.compile(
        rf"{re.escape(_stem(target))}[0-9a-f]{{16}}(?:{'|'.join(map(re.escape, endings))})"
    )
    try:
        return [
            Path(target.parent, one) for one in os.listdir(target.parent) if wanted.fullmatch(one)
        ]
    except OSError:  # a folder that may be written to, and not read
        return []


def _sweep(target: Path) -> None:
    """Remove what killed writers of a target left. Their locks are gone with them."""
    # A folder aside is all of a dump, until something has its name.
    endings = (PART, ASIDE) if os.path.lexists(target) else (PART,)
    for left in _beside(target, *endings) if fcntl is not None else ():
        with suppress(OSError), locked(left, wait=False):
            if stat.S_ISDIR(os.lstat(left).st_mode):
                shutil.rmtree(left)
            else:
                os.unlink(left)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Lock a file or folder. Raises OSError for a link; BlockingIOError means another's lock."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if not _is_at(path, descriptor):
            raise FileNotFoundError(path)
        yield
    finally:
        os.close(descriptor)


# -- modes ------------------------------------------------------------------------------------


def _keep_mode(descriptor: int, old: os.stat_result) -> None:
    """Give a part the old owner and mode, as far as the system allows it.

    A file of another group gives it no more than all others have.
    """
    if not hasattr(os, "fchown"):
        return
    mode = stat.S_IMODE(old.st_mode) & 0o777
    try:
        os.fchown(descriptor, old.st_uid, old.st_gid)
    except OSError:
        try:
            os.fchown(descriptor, -1, old.st_gid)
        except OSError:
            mode = mode & ~0o070 | (mode & 0o007) << 3
    with suppress(PermissionError):  # a filesystem without modes
        os.fchmod(descriptor, mode)


def _keep_modes(part: Path, target: Path, manifest: str) -> None:
    """Give the files of a folder the modes that they had; a new one is as its manifest was."""
    for file in part.iterdir():
        old = _stat(target / file.name) or _stat(target / manifest)
        if old is not None:
            descriptor = os.open(file, os.O_RDONLY)
            try:
                _keep_mode(descriptor, old)
            finally:
                os.close(descriptor)


def _rename_new(part: Path, target: Path) -> None:
    """Give a part its name, if nothing has it: also where another writer was faster."""
    try:
        os.link(part, target)
    except FileExistsError as error:
        raise Refused(f"{target} exists already", hint="take another name") from error
    except OSError:  # a filesystem without hard links
        if os.path.lexists(target):
            raise
        os.rename(part, target)


def _place(part: Path, target: Path) -> bool:
    """Give a folder its name, and what had it the name of the part; False: look again."""
    try:
        os.rename(part, target)  # over nothing, or an empty folder
    except OSError as error:
        if error.errno not in (EEXIST, ENOTEMPTY):
            raise
        return exchange(part, target) or _place_in_two_steps(part, target)
    return True


def exchange(one: Path, other: Path) -> bool:
    """Let two folders exchange their names in one step; False where the system cannot."""
    import ctypes  # only where a folder is replaced

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    names = os.fsencode(one), os.fsencode(other)
    return bool(rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0)


def _place_in_two_steps(part: Path, target: Path) -> bool:
    aside = _name_beside(target, ASIDE)
    with suppress(FileNotFoundError), locked(target):  # another writer may have put it aside
        os.rename(target, aside)
        try:
            os.rename(part, target)
        except OSError as error:
            if error.errno not in (EEXIST, ENOTEMPTY):
                os.rename(aside, target)
                raise
            shutil.rmtree(aside, ignore_errors=True)  # another writer's folder has taken its place
            return False
        shutil.rmtree(aside, ignore_errors=True)
        return True
    return False


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # of a folder that may not be read; of any on Windows
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _reported(path: Path, hint: str) -> Iterator[None]:
    """Report which file cannot be written."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LocalFailure(
            f"{path} cannot be written: {error.strerror or error}", hint=hint
        ) from error
