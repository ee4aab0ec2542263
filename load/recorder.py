"""The record: one packed row an attempt, in memory while the load runs, written once when it has ended.

Rows have the layout of rollproof.core.requests.REQUEST_DTYPE. Nothing is written, logged or allocated in bulk while
requests are being timed. A row is never changed after it was added.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from load.client import Attempt
from rollproof.core.requests import LAYOUT, REQUEST_DTYPE
from rollproof.redaction import SECRETS

__all__ = ["Recorder", "Table"]

_ROW = struct.Struct("<iBqqqqqhB??fiBH")
if REQUEST_DTYPE.itemsize != _ROW.size:
    raise RuntimeError(f"a row is packed into {_ROW.size} bytes but REQUEST_DTYPE has {REQUEST_DTYPE.itemsize}")


class Table:
    """Strings by index, in order of first appearance; the last index stands for all that came after it was full."""

    def __init__(self, first: str, *, size: int) -> None:
        self.values = [first]
        self._index = {first: 0}
        self._size = size

    def index(self, value: str) -> int:
        """The index of `value`, which is added if it is new."""
        known = self._index.get(value)
        if known is not None:
            return known
        if len(self.values) == self._size - 1:
            self.values.append("(others)")
        if len(self.values) >= self._size:
            return self._size - 1
        self._index[value] = len(self.values)
        self.values.append(value)
        return self._index[value]


class Recorder:
    """All attempts of the session, and how many of them failed."""

    def __init__(self) -> None:
        self._rows = bytearray()
        self.count = 0
        self.failed = 0
        self.late: list[tuple[int, int]] = []
        self.outcomes = Table("", size=256)
        self.versions = Table("", size=256)
        self.pods = Table("", size=65_536)

    def add(self, lane: int, attempt: Attempt, version: str) -> None:
        """Append one finished (or given up) attempt."""
        a = attempt
        self._rows += _ROW.pack(
            a.k, lane, a.intended_ns, a.send_ns, a.connected_ns, a.first_byte_ns, a.done_ns, a.status,
            self.outcomes.index(a.error) if a.error else 0, a.reused, a.stale, a.idle_ms, a.connection_requests,
            self.versions.index(version) if version else 0,
            self.pods.index(a.served_by.decode("latin-1")) if a.served_by else 0,
        )  # fmt: skip
        self.count += 1
        if a.error:
            self.failed += 1

    def rows_from(self, first: int) -> NDArray[np.void]:
        """The rows from the `first`-th on, as they were added."""
        return np.frombuffer(bytes(self._rows[first * _ROW.size :]), REQUEST_DTYPE)

    def write(self, path: Path, meta: dict[str, Any]) -> None:
        """Write the record: under a temporary name first, so that a half-written one is never taken for a whole one."""
        rows = np.frombuffer(bytes(self._rows), REQUEST_DTYPE)
        rows = rows[np.argsort(rows["send_ns"], kind="stable")]
        late_ns = np.array(self.late, dtype=np.int64).reshape(-1, 2)
        tables = {"outcomes": self.outcomes.values, "versions": self.versions.values, "pods": self.pods.values}
        temporary = path.with_name(f".{path.name}.part")
        with temporary.open("wb") as file:
            text = json.dumps(meta | SECRETS.value(tables) | {"layout": LAYOUT})  # an answer may say what it was sent
            np.savez_compressed(file, rows=rows, late_ns=late_ns, meta=np.array(text))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
