"""Writes a report completely or not at all, so that a killed run never leaves half a page that looks complete."""

from __future__ import annotations

from pathlib import Path

from rollproof.redaction import SECRETS
from rollproof.store import folderfiles

__all__ = ["write_whole"]


def write_whole(path: Path, content: str) -> None:
    """Write beside the target and rename: a reader sees the old file or the new one. Secrets are removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folderfiles.write_whole(path, SECRETS.text(content).encode(errors="backslashreplace"))
