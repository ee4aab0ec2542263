"""The record that the generator's process leaves behind, as a RequestLog."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

from rollproof.core.requests import REQUEST_DTYPE, EngineFacts, RequestLog
from rollproof.load.child import LoadError

__all__ = ["read_record"]

_TABLES = ("lanes", "outcomes", "versions", "pods", "open_loop")


def read_record(path: Path) -> RequestLog:
    """Read the file. LoadError if it is missing, cut short, or of another layout."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as packed:
            rows, late_ns, meta = packed["rows"], packed["late_ns"], json.loads(str(packed["meta"]))
        if rows.dtype != REQUEST_DTYPE:
            raise LoadError(f"{path} has rows of another layout; it was written by another version of the generator")
        pairs = {name: tuple(meta["engine"][name]) for name in ("monotonic_ns", "wall_s")}
        engine = EngineFacts(**{**meta["engine"], **pairs, "late_ns": late_ns})
        tables = {name: tuple(meta[name]) for name in _TABLES}
        return RequestLog(rows=rows, control=meta["control"], engine=engine, **tables)
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile, EOFError) as error:
        message = f"the load generator's record {path} cannot be read: {type(error).__name__}: {error}"
        raise LoadError(message) from error
