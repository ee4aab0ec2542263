"""The record that the generator's process leaves behind, as a RequestLog."""

from __future__ import annotations

from pathlib import Path

from rollproof.core.requests import RequestLog
from rollproof.loadgen.child import LoadError
from rollproof.store import requestlog

__all__ = ["read_record"]


def read_record(path: Path) -> RequestLog:
    """Read the file. LoadError if it is missing, cut short, or of another layout."""
    try:
        return requestlog.read(path)
    except requestlog.OtherLayoutError as error:
        raise LoadError(f"the load generator's record {path} is of another version: {error}") from None
    except requestlog.DAMAGED as error:
        message = f"the load generator's record {path} cannot be read: {type(error).__name__}: {error}"
        raise LoadError(message) from error
