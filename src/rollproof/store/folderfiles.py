"""Files of a run folder: regular ones of a bounded size, for their owner's eyes only; and one owner of it at a time.

A run folder may come from somebody else, so nothing in it is followed: no symbolic link, no pipe, no device. What is
written is new and whole, or not there. It knows nothing of what the files mean.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from rollproof.errors import CannotJudgeError, LockedError, RunFolderError

__all__ = [
    "OWNER",
    "FolderLock",
    "check_still",
    "folders_in",
    "is_file",
    "is_folder",
    "is_owned",
    "make_folder",
    "open_append",
    "open_regular",
    "read_whole",
    "write_whole",
]

OWNER = "owner.lock"  # the name of the file that is locked; it says by whom
_MIB = 1 << 20
SIZE_MAX = 512 * _MIB  # of any file: a run of a day at 2000 requests/s stays below it
_SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}  # what file systems without locks say
_SHOWN = 80


def is_file(path: Path) -> bool:
    """Whether there is such a file. Unlike `Path.is_file` it never raises: where nobody may look there is none."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; likewise."""
    return stat.S_ISDIR(_mode(path))


def folders_in(path: Path) -> list[Path]:
    """The folders in a folder, by name; none where there is no such folder, or nobody may look."""
    with suppress(OSError):
        return sorted(one for one in path.iterdir() if is_folder(one))
    return []


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):  # a name of too many characters, a folder of somebody else's, a NUL in it
        return 0


def make_folder(path: Path) -> None:
    """Make a new folder that only its owner may enter. OSError as mkdir says."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # a file is in the way above it: the new folder itself is not there
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent)) from None
    path.mkdir(mode=0o700)


def open_regular(path: Path, *, size_max: int = SIZE_MAX) -> BinaryIO:
    """Open a regular file to read. RunFolderError if it is something else or too large; OSError if it cannot be."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _SAFE)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link; a socket
            raise _irregular(path) from None
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise _irregular(path)
    if found.st_size > size_max:
        os.close(descriptor)
        message = f"{path} has {found.st_size / _MIB:.0f} MiB; at most {size_max / _MIB:.0f} MiB are read"
        raise RunFolderError(message, "no run of ours is that large: is it damaged?")
    return os.fdopen(descriptor, "rb")


def read_whole(path: Path, *, size_max: int = SIZE_MAX) -> bytes:
    """The content of a regular file, as `open_regular` opens it; not more than `size_max`, even if it grows."""
    with open_regular(path, size_max=size_max) as stream:
        return stream.read(size_max)


def open_append(path: Path) -> int:
    """A descriptor that appends to a regular file, which is made if there is none. OSError, or RunFolderError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _SAFE, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _irregular(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _irregular(path)
    return descriptor


def check_still(path: Path, descriptor: int) -> None:
    """OSError if the open file is not what is there by that name any more: what is written into it nobody will find.

    Its folder may have been moved or removed since; the file itself takes every byte all the same.
    """
    if not os.path.samestat(path.lstat(), os.fstat(descriptor)):
        raise OSError(errno.ESTALE, "another file is in its place")


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file, whole or not at all: a reader sees the old one or the new one. OSError if the disk refuses.

    What stands in the way, a link above all, is replaced and never written through.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


class FolderLock:
    """A run folder has one owner: the live run, an undo or a judge. Held until `release`, or until the process ends.

    It is a lock of the kernel's (flock), so that it is seen from another container that shares the folder, and gone
    with its process, however that ended. `original`: the folder is the one that was made here and not a copy, so that
    whoever got the lock knows that the run's own process has ended.
    """

    def __init__(self, path: Path, descriptor: int, original: bool) -> None:
        self._path = path
        self._descriptor: int | None = descriptor
        self.original = original

    @classmethod
    def take(cls, folder: Path, who: str, *, new: bool = False) -> Self:
        """Take it or raise LockedError with the name of the owner; `new` for a folder that was made just now."""
        path = folder / OWNER
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _SAFE, 0o600)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise _irregular(path) from None
            raise CannotJudgeError(f"{folder} cannot be locked: {error.strerror}", "may it be written?") from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _irregular(path)
            _lock(descriptor, folder)
            said = _owner(descriptor)
            inode = os.fstat(descriptor).st_ino if new else said.get("inode")
            _sign(descriptor, who, inode)
            return cls(path, descriptor, inode == os.fstat(descriptor).st_ino)
        except BaseException:
            os.close(descriptor)
            raise

    def release(self) -> None:
        """Give it back. May be called again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_owned(folder: Path) -> bool:
    """Whether somebody is at work in the folder now. It asks, and leaves no trace. OSError if it cannot be asked."""
    try:
        descriptor = os.open(folder / OWNER, os.O_RDONLY | _SAFE)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said = _owner(descriptor)
        words = f"{said.get('who', 'another process')} on {said.get('host', '?')} (pid {said.get('pid', '?')})"
        shown = "".join(letter for letter in words if letter.isascii() and letter.isprintable())[:_SHOWN]
        raise LockedError(f"{folder} is in use by {shown}", "wait until it has ended") from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise CannotJudgeError(f"{folder} cannot be locked: {error.strerror}") from None


def _owner(descriptor: int) -> Mapping[str, Any]:
    """What the last owner wrote; nothing if it cannot be read."""
    try:
        said = json.loads(os.pread(descriptor, 4096, 0))
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _sign(descriptor: int, who: str, inode: object) -> None:
    """Write whose it is; on a full disk nobody learns the name, and the lock holds all the same."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    said = {"who": who, "pid": os.getpid(), "host": socket.gethostname(), "since": since, "inode": inode}
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(said).encode(), 0)


def _irregular(path: Path) -> RunFolderError:
    message = f"{path} is no regular file: links, pipes and devices in a run folder are not followed"
    return RunFolderError(message, "is this folder yours? Look at it by hand")
