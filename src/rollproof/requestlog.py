"""The one reader of a request log: the generator's record and the run folder's file are the same."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

from rollproof.core.requests import REQUEST_DTYPE, EngineFacts, RequestLog
from rollproof.folderfiles import open_regular

__all__ = ["DAMAGED", "TABLES", "OtherLayoutError", "read"]

TABLES = ("lanes", "outcomes", "versions", "pods", "open_loop")
DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)  # what `read` raises on a bad file


class OtherLayoutError(ValueError):
    """The rows have other columns than this version knows."""


def read(path: Path) -> RequestLog:
    """The log in the file. Raises OtherLayoutError, or one of DAMAGED: the caller knows what to tell the user."""
    with open_regular(path) as stream, np.load(stream, allow_pickle=False) as packed:  # no pickle: a stranger's?
        rows, late_ns, meta = packed["rows"], packed["late_ns"], json.loads(str(packed["meta"]))
    if rows.dtype != REQUEST_DTYPE:
        raise OtherLayoutError("the rows have other columns than this version knows")
    pairs = {name: tuple(meta["engine"][name]) for name in ("monotonic_ns", "wall_s")}
    engine = EngineFacts(**{**meta["engine"], **pairs, "late_ns": late_ns})
    tables = {name: tuple(meta[name]) for name in TABLES}
    return RequestLog(rows=rows, control=meta["control"], engine=engine, **tables)
