"""Writes a report completely or not at all, so that a killed run never leaves half a page that looks complete."""

from __future__ import annotations

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
    """Print it, or write it to `out`, whole or not at all. InputError: that file cannot be written."""
    if out is None:
        print_all(content)
        return
    try:
        write_whole(out, content)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}") from None
