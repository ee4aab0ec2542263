"""The one reader of a request log: the generator's record and the run folder's file are the same."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollproof.core.outside import Outside, parsed
from rollproof.core.requests import LAYOUT, OPTIONAL, REQUEST_DTYPE, EngineFacts, RequestLog
from rollproof.errors import OutsideDataError
from rollproof.store.unpacking import Unpack, unpacked

__all__ = ["DAMAGED", "TABLES", "OtherLayoutError", "read", "read_for_judging"]

TABLES = ("lanes", "outcomes", "versions", "pods", "open_loop")
DAMAGED = (  # what `read` raises on a bad file; the last two come from zip's own parts
    OSError, ValueError, KeyError, TypeError, EOFError, OverflowError, MemoryError, zipfile.BadZipFile, zlib.error,
    NotImplementedError, RuntimeError,
)  # fmt: skip

_ASKED = ("send_ns", "intended_ns", "done_ns")  # by nearly every checker of load, and by the page
_INDICES = {"lane": "lanes", "outcome": "outcomes", "version": "versions", "served_by": "pods"}
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_ENGINE_FIELDS = tuple(field.name for field in fields(EngineFacts) if field.name != "late_ns")
_WHOLE = ("start_ns", "end_ns", "planned", "dispatched", "unfinished", "dropped", "locust_requests")


class OtherLayoutError(ValueError):
    """The file is of a newer layout, or lacks a column that a verdict needs; the message says which."""


def read(path: Path, unpack: Unpack = unpacked) -> RequestLog:
    """The log in the file. Raises OtherLayoutError, or one of DAMAGED: the caller knows what to tell the user.

    Columns, tables and engine facts that this version does not know are left out (a newer minor), optional columns
    that are missing get their defaults (an older one).
    """
    parts = unpack(path)
    rows, late_ns, text = _array(parts["rows"]), _array(parts["late_ns"]), str(_array(parts["meta"]))
    if rows.ndim != 1 or late_ns.ndim != 2 or late_ns.shape[1] != 2 or late_ns.dtype.kind not in "iu":
        raise ValueError(f"its arrays have the shapes {rows.shape} and {late_ns.shape}")
    try:
        meta = Outside.of(parsed(text, "meta"), "meta")
        _check_layout(meta)
        rows = _known_columns(rows)
        tables = {name: meta.texts(name) for name in TABLES}
        engine = _engine(meta.child("engine"), late_ns)
        control = meta.text("control")
    except OutsideDataError as error:
        raise ValueError(str(error)) from None
    if not {*tables["open_loop"], *([control] if control else [])} <= {*tables["lanes"]}:
        raise ValueError("it names a lane that is not among its lanes")
    log = RequestLog(rows=rows, control=control, engine=engine, **tables)
    for column, table in _INDICES.items():
        if rows.size and int(log.column(column).max()) >= len(tables[table]):
            raise ValueError(f"column {column} points beyond the table {table}")
    return log


def read_for_judging(path: Path, unpack: Unpack = unpacked) -> RequestLog:
    """As `read`, with the columns that judging is going to ask for: made where nobody waits for them."""
    log = read(path, unpack)
    for name in _ASKED:
        log.column(name)
    return log


def _check_layout(meta: Outside) -> None:
    layout = meta.value.get("layout", [1, 0])
    if not isinstance(layout, list) or len(layout) != len(LAYOUT) or not all(type(part) is int for part in layout):
        meta.refuse("layout", "two whole numbers")
    if layout[0] > LAYOUT[0]:
        theirs, ours = ".".join(map(str, layout)), f"{LAYOUT[0]}.x"
        raise OtherLayoutError(f"it has layout {theirs} of the request log, and this rollproof reads up to {ours}")


def _known_columns(stored: NDArray[np.void]) -> NDArray[np.void]:
    """The rows with exactly the columns of REQUEST_DTYPE."""
    if stored.dtype == REQUEST_DTYPE:
        return stored
    names, wanted = stored.dtype.names or (), REQUEST_DTYPE.names or ()
    missing = [name for name in wanted if name not in names and name not in OPTIONAL]
    if missing:
        raise OtherLayoutError(f"its rows lack the columns {', '.join(missing)}")
    rows = np.zeros(len(stored), dtype=REQUEST_DTYPE)
    for name in wanted:
        if name not in names:
            rows[name] = OPTIONAL[name]
            continue
        rows[name] = stored[name].astype(REQUEST_DTYPE[name], casting="same_kind")  # TypeError: text for a number
        if (rows[name] != stored[name]).any():
            raise ValueError(f"column {name} holds numbers that do not fit")
    return rows


def _array(content: bytes) -> NDArray[Any]:
    """The array of an .npy file, which stays where it is: a copy of a million rows takes as long as their check.

    Objects are refused by numpy, as no buffer has any: a stranger's pickle is never read.
    """
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"it has version {version} of numpy's format")
    shape, by_columns, dtype = _HEADERS[version](stream)
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape, order="F" if by_columns else "C")


def _engine(meta: Outside, late_ns: np.ndarray[Any, np.dtype[np.int64]]) -> EngineFacts:
    """What the generator said of itself; every field must be there, and none may be negative."""
    for name in _ENGINE_FIELDS:
        if meta.value.get(name) is None:
            meta.refuse(name, "there")
    whole: dict[str, Any] = {name: meta.count(name) for name in _WHOLE}
    words: dict[str, Any] = {name: meta.text(name) for name in ("scheduling", "request_id_prefix")}
    return EngineFacts(
        rate_per_s=meta.real("rate_per_s"), cpu_s=meta.real("cpu_s"), late_ns=late_ns.astype(np.int64, copy=False),
        monotonic_ns=_pair(meta, "monotonic_ns", int), wall_s=_pair(meta, "wall_s", float), **whole, **words,
    )  # fmt: skip


def _pair(meta: Outside, name: str, kind: type[Any]) -> Any:
    found = meta.value.get(name)
    numbers = isinstance(found, list) and len(found) == 2 and all(type(one) in (int, float) for one in found)
    if not isinstance(found, list) or not numbers:
        meta.refuse(name, "two numbers")
    return tuple(kind(one) for one in found)
