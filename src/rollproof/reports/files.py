"""Writes a report completely or not at all, so that a killed run never leaves half a page that looks complete."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from rollproof.errors import InputError
from rollproof.redaction import SECRETS
from rollproof.reports.output import print_all
from rollproof.store import folderfiles

__all__ = ["deliver", "write_whole"]


def write_whole(path: Path, content: str) -> None:
    """Write beside the target and rename: a reader sees the old file or the new one. Secrets are removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folderfiles.write_whole(path, SECRETS.text(content).encode(errors="backslashreplace"))


def deliver(content: str, out: Path | None) -> None:
    """Print it, or write it to `out`, a file whole or not at all. InputError: it cannot be written.

    A device or a pipe (`/dev/stdout`, `/dev/null`) is written to: to put a file in its place would be to break it.
    Through a link what it leads to is written.
    """
    if out is None:
        print_all(content)
        return
    try:
        if out.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if _is_stream(out):
            _write_to(out, SECRETS.text(content).encode(errors="backslashreplace"))
        else:
            write_whole(Path(os.path.realpath(out)), content)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}") from None


def _is_stream(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _write_to(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe that nobody reads is refused
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
