"""Unpacking of request logs: file to the bytes of its arrays, also ahead of their reader, beside what it does first.

It imports no numpy: what is unpacked ahead goes on while that is imported. zlib lets other threads run as long as it is
in one call, so that each part of a file is one call. Nor is anything imported in its thread: two threads that import
what imports each other can find half a module.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from rollproof.errors import RollproofError
from rollproof.store.folderfiles import read_whole

__all__ = ["Ahead", "Unpack", "ahead", "requests_path", "unpacked"]

_Made = TypeVar("_Made")
Unpack = Callable[[Path], Mapping[str, bytes]]
_PARTS = ("rows", "late_ns", "meta")
_UNPACKED_MAX = 1 << 30
_WAYS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # others are not ours, and know no limit while they unpack
_DRILL = re.compile(r"[a-z][a-z0-9-]{0,40}")
_PLAN_MAX = 16 << 20  # bytes
_AHEAD_MAX = 64  # logs; a run of all drills has half as many


def requests_path(folder: Path, drill: str) -> Path:
    """Where a run folder has the request log of a drill."""
    return folder / f"requests-{drill}.npz"


def unpacked(path: Path) -> Mapping[str, bytes]:
    """Each array of the file as the content of an .npy file. Raises what zipfile, zlib and the disk do.

    A few bytes may say that they become many: the sum of what the parts say is looked at before they are read, and no
    part becomes larger than it says.
    """
    with zipfile.ZipFile(io.BytesIO(read_whole(path))) as archive:
        if sum(part.file_size for part in archive.infolist()) > _UNPACKED_MAX:
            raise ValueError("it becomes too large when it is unpacked")
        return {name: _part(archive, f"{name}.npy") for name in _PARTS}


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    part = archive.getinfo(name)
    if part.compress_type not in _WAYS:
        raise ValueError(f"{name} is packed in a way that no request log is")
    with archive.open(part) as stream:
        return stream.read(part.file_size)


class Ahead:
    """Files that are unpacked in a thread, in turn. An error of theirs is raised by whoever asks for the file."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._worker = ThreadPoolExecutor(1, "unpacking")
        self._paths = tuple(paths)
        self._begun = {path: self._worker.submit(unpacked, path) for path in self._paths}

    def unpack(self, path: Path) -> Mapping[str, bytes]:
        """The bytes of a file, as `unpacked` gives them; they live as long as what is made of them."""
        found = self._begun.pop(path, None)
        return found.result() if found is not None else unpacked(path)

    def reader(self, read: Callable[[Path, Unpack], _Made]) -> Callable[[Path], _Made]:
        """`read` of a file: begun now for each of the files, in their thread, as soon as the file is unpacked."""
        begun = {path: self._worker.submit(read, path, self.unpack) for path in self._paths}

        def taken(path: Path) -> _Made:
            found = begun.pop(path, None)
            return found.result() if found is not None else read(path, unpacked)

        return taken

    def end(self) -> None:
        """Nothing more is begun."""
        self._worker.shutdown(wait=False, cancel_futures=True)


@contextmanager
def ahead(folder: Path) -> Iterator[Ahead]:
    """The request logs of a run folder, unpacked from now on."""
    found = Ahead(_planned(folder))
    try:
        yield found
    finally:
        found.end()


def _planned(folder: Path) -> list[Path]:
    """The logs of the drills in its plan. Whether that is a plan is found out later: until then no name is believed."""
    plan: object = None
    with suppress(OSError, ValueError, RecursionError, RollproofError):
        plan = json.loads(read_whole(folder / "plan.json", size_max=_PLAN_MAX))
    names = plan.get("drills") if isinstance(plan, dict) else None
    if not isinstance(names, list):
        return []
    drills = [name for name in names[:_AHEAD_MAX] if isinstance(name, str) and _DRILL.fullmatch(name)]
    return [requests_path(folder, drill) for drill in dict.fromkeys(drills)]
