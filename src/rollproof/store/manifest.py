"""Manifest: whether a run folder's facts are still those of its run, and whether its plan was made on this machine.

`manifest.json` has the size and SHA-256 of every file of facts; it is written when all is put back. It shows an edit,
not a forger: whoever may write the folder may write the manifest. `origin.json` has a keyed mark of the plan; its key
is this machine's, and so a folder from elsewhere, or one whose plan was changed, has none that fits.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from contextlib import suppress
from pathlib import Path

from rollproof.core.outside import Outside, parsed
from rollproof.errors import OutsideDataError, RunFolderError
from rollproof.store.folderfiles import read_whole, write_whole

__all__ = ["changes", "made_here", "mark", "seal"]

MANIFEST, ORIGIN = "manifest.json", "origin.json"
_FACTS = ("plan.json", "environment.json", "timeline.jsonl", "undo.jsonl")
_GROWING = {"timeline.jsonl", "undo.jsonl"}  # an undo goes on in them
_KEPT = ("requests-*.npz", "podlog-*.log", "podevents-*.txt")
_KEYS = (Path("/etc/machine-id"), Path("/proc/sys/kernel/random/boot_id"))
_PURPOSE = b"rollproof run folder\0"


def seal(folder: Path) -> None:
    """Write the manifest. One that does not fit any more is left: what was changed stays changed. OSError: the disk."""
    if changes(folder):
        return
    files = {}
    for name in _names(folder):
        content = read_whole(folder / name)
        files[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    write_whole(folder / MANIFEST, (json.dumps({"schema": 1, "files": files}, indent=1) + "\n").encode())


def changes(folder: Path) -> tuple[str, ...]:
    """A sentence for each file of facts that is not as it was when the run was sealed; none without a manifest."""
    if not os.path.lexists(folder / MANIFEST):
        return ()
    try:
        content = read_whole(folder / MANIFEST, size_max=1 << 20)
        sealed = Outside.of(parsed(content, MANIFEST), MANIFEST).child("files")
        found = [_change(folder, name, sealed.child(name)) for name in sealed.value]
    except (OSError, OutsideDataError) as error:
        return (f"{MANIFEST} cannot be read: {error}",)
    added = [f"{name} was added" for name in _names(folder) if name not in sealed.value and name not in _GROWING]
    return tuple(one for one in (*found, *added) if one)


def mark(folder: Path, plan: str) -> None:
    """Note that this plan was made here. OSError as the disk."""
    made = _mark(read_whole(folder / plan))
    write_whole(folder / ORIGIN, (json.dumps({"schema": 1, "mark": made}) + "\n").encode())


def made_here(folder: Path, plan: str) -> bool:
    """Whether this machine and user made the plan, as it stands in the folder."""
    try:
        said = Outside.of(parsed(read_whole(folder / ORIGIN, size_max=4096), ORIGIN), ORIGIN).text("mark")
        own = _mark(read_whole(folder / plan))
    except (OSError, OutsideDataError, RunFolderError):
        return False
    return bool(own) and hmac.compare_digest(own.encode(), said.encode(errors="replace"))


def _names(folder: Path) -> list[str]:
    of_drills = (path.name for pattern in _KEPT for path in folder.glob(pattern))
    return [name for name in _FACTS if os.path.lexists(folder / name)] + sorted(of_drills)


def _change(folder: Path, name: str, sealed: Outside) -> str:
    if "/" in name or not os.path.lexists(folder / name):
        return f"{name} is missing"
    content, size = read_whole(folder / name), sealed.count("bytes")
    rest = content[size:]
    if hashlib.sha256(content[:size]).hexdigest() != sealed.text("sha256") or (rest and name not in _GROWING):
        return f"{name} was changed"
    if name == "timeline.jsonl" and any(_drill(line) != "undo" for line in rest.split(b"\n")[:-1]):
        return f"{name} was added to"
    return ""


def _drill(line: bytes) -> str:
    try:
        return Outside.of(parsed(line, "a fact"), "a fact").text("drill")
    except OutsideDataError:
        return ""


def _mark(content: bytes) -> str:
    """A keyed hash of it; "" where this machine has no key. The key itself cannot be told from it (machine-id(5))."""
    for path in _KEYS:
        with suppress(OSError):
            if key := path.read_bytes().strip():
                return hmac.new(key + f":{os.getuid()}".encode(), _PURPOSE + content, hashlib.sha256).hexdigest()
    return ""
