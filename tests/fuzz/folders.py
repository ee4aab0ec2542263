"""Mutated run folders: `rollproof judge` must end with a verdict or a clear refusal for each."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np

from . import mutate
from .harness import Ending, command

CORPUS = Path(__file__).resolve().parents[1] / "histories"
HISTORIES = (
    "good/drift", "good/sandbox-sound-drift", "good/sandbox-sound-load", "good/sandbox-sound-rollback",
    "bad/sandbox-partial-restore", "bad/sandbox-refused-100ms", "bad/sandbox-claims-new-revision",
    "bad/sandbox-rollback-too-slow", "inconclusive/sandbox-clock-step", "inconclusive/somebody-else-changed",
    "inconclusive/sandbox-api-away-5s", "inconclusive/watch-lost-facts",
)  # fmt: skip
_PASS = 0


def cases(count: int, seed: int, work: Path) -> Iterator[tuple[str, Ending]]:
    """(name, ending) of each. A case that is PASS although its history is not is wrong."""
    sound = {}
    for history in HISTORIES:
        folder = _copy(history, work)
        sound[history] = command("judge", str(folder)).exit_code
        shutil.rmtree(folder)
    for number in range(count):
        history = HISTORIES[number % len(HISTORIES)]
        chance = mutate.chance_of(seed, "folder", number)
        folder = _copy(history, work)
        what = _damage(folder, chance)
        ending = command("judge", str(folder))
        became = ending.exit_code == _PASS and sound[history] != _PASS
        if became and not ending.wrong:
            ending = Ending(ending.exit_code, ending.output, ending.took_s, "PASS: it was none before")
        yield f"folder {number} ({history}: {what})", ending
        shutil.rmtree(folder, ignore_errors=True)


def _copy(history: str, work: Path) -> Path:
    folder = work / history.replace("/", "-")
    shutil.copytree(CORPUS / history, folder, ignore=shutil.ignore_patterns("expected.json"))
    return folder


def _damage(folder: Path, chance: Random) -> str:
    """Mutate one file of the folder; returns which and how."""
    files = sorted(path.name for path in folder.iterdir())
    name = chance.choice([*files, "plan.json", "timeline.jsonl", "timeline.jsonl", "environment.json"])
    path = folder / name
    if chance.random() < 0.08:
        return f"{name} {_replaced(path, chance)}"
    content = path.read_bytes()
    if chance.random() < 0.2:
        path.write_bytes(mutate.of_bytes(content, chance))
        return f"{name} bytes"
    if name.endswith(".npz"):
        how = _bend_npz(path, chance)
        return f"{name} {how}"
    if name.endswith(".jsonl"):
        bent = mutate.of_lines(content, chance)
        keep = chance.random() < 0.6
        path.write_bytes(mutate.renumbered(bent) if keep else bent)
        return f"{name} lines{' renumbered' if keep else ''}"
    path.write_bytes(mutate.of_json(content, chance))
    return f"{name} values"


def _replaced(path: Path, chance: Random) -> str:
    path.unlink()
    how = chance.choice(("gone", "empty", "a folder", "a dangling link", "a loop", "unreadable", "a fifo", "a device"))
    if how == "empty":
        path.write_bytes(b"")
    elif how == "a folder":
        path.mkdir()
    elif how == "a dangling link":
        path.symlink_to("nowhere")
    elif how == "a loop":
        path.symlink_to(path.name)
    elif how == "a fifo":
        os.mkfifo(path)
    elif how == "a device":
        path.symlink_to("/dev/zero")
    elif how == "unreadable":
        path.write_bytes(b"{}")
        path.chmod(0)
    return how


def _bend_npz(path: Path, chance: Random) -> str:
    with np.load(path, allow_pickle=False) as packed:
        parts = {name: packed[name] for name in packed.files}
    how = chance.choice(("meta", "meta", "meta", "rows", "column", "late", "gone", "shape", "type", "zip"))
    rows = parts["rows"].copy()
    if how == "meta":
        meta = mutate.bend(json.loads(str(parts["meta"])), chance, chance.choice((1, 1, 3)))
        parts["meta"] = np.array(mutate.text(meta).decode())
    elif how == "rows":
        rows[chance.randrange(len(rows))] = np.frombuffer(chance.randbytes(rows.dtype.itemsize), dtype=rows.dtype)[0]
        parts["rows"] = rows
    elif how == "column":
        field = chance.choice(rows.dtype.names or ())
        kind = rows.dtype[field].kind
        rows[field] = chance.choice((0, 1, 255 if kind != "b" else 1))
        parts["rows"] = rows
    elif how == "late":
        parts["late_ns"] = chance.choice(
            (np.zeros(3), np.zeros((2, 5), dtype=np.int64), np.array("x"), np.zeros((0, 2)))
        )
    elif how == "gone":
        del parts[chance.choice(sorted(parts))]
    elif how == "shape":
        parts["rows"] = chance.choice((rows[:0], rows[: len(rows) // 2], rows.reshape(-1, 1), rows[0]))
    elif how == "type":
        parts[chance.choice(sorted(parts))] = chance.choice((np.zeros(4), np.array("x"), np.array([True]), rows["k"]))
    else:
        path.write_bytes(_other_zip(chance))
        return how
    np.savez_compressed(path, **parts)
    return how


def _other_zip(chance: Random) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(chance.choice(("rows.npy", "x", "../meta.npy")), b"\x00" * chance.choice((0, 10, 10**7)))
    return packed.getvalue()
