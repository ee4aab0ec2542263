"""Input file: a file that a person names, read whole: a regular one or a pipe (`<(...)`), of a bounded size.

What has no end (`/dev/zero`), what nobody writes to (a pipe without a writer) and what is no file at all must not keep
a command waiting or fill the memory. Every refusal is an OSError whose `strerror` is for people.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from pathlib import Path

__all__ = ["KUBECONFIG_MAX", "check_regular", "read_input"]

_MIB = 1 << 20
SIZE_MAX = 1 * _MIB  # of what a person writes by hand
KUBECONFIG_MAX = 4 * _MIB  # of what tools write for hundreds of clusters
_PIPE_S = 10.0  # for whoever writes into a pipe to come to the end
_CHUNK = 65_536


def read_input(path: Path, *, size_max: int = SIZE_MAX) -> bytes:
    """All of it. OSError if it cannot be read, is neither file nor pipe, has no end in time, or is too large."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer is opened, too
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise _refused(mode)
        return _read(descriptor, size_max, pipe=stat.S_ISFIFO(mode))
    finally:
        os.close(descriptor)


def check_regular(path: Path, *, size_max: int = SIZE_MAX) -> None:
    """OSError if somebody else's reader could not read it whole: it is there, and is no regular file, or too large."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise _refused(found.st_mode)
    if found.st_size > size_max:
        raise _too_large(size_max)


def _read(descriptor: int, size_max: int, *, pipe: bool) -> bytes:
    until_s, found = time.monotonic() + _PIPE_S, b""
    while True:
        if pipe and not select.select([descriptor], [], [], max(0.0, until_s - time.monotonic()))[0]:
            raise OSError(errno.ETIMEDOUT, f"it is a pipe, and nobody wrote it to its end within {_PIPE_S:g} s")
        chunk = os.read(descriptor, _CHUNK)
        if not chunk:
            return found
        found += chunk
        if len(found) > size_max:
            raise _too_large(size_max)


def _refused(mode: int) -> OSError:
    if stat.S_ISDIR(mode):
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return OSError(errno.EINVAL, "it is no regular file")


def _too_large(size_max: int) -> OSError:
    return OSError(errno.EFBIG, f"it has more than {size_max:,} bytes")
