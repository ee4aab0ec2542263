"""Mutated journals: `rollproof undo` undoes what can be read, and reports the rest. Its cluster does not answer.

The API server of the stored plan is a closed port of this machine, so every entry that is tried stays open. Tested is
how undo reads the journal, and what it reports.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from targettoml import target_toml

from rollproof.run import teardown
from rollproof.target.file import load

from . import mutate
from .folders import CORPUS
from .harness import Ending, command

HISTORY = "bad/sandbox-claims-new-revision"
ENTRIES = (
    {"number": 1, "kind": "lease-release", "subject": "Lease/shop/rollproof", "args": {
        "namespace": "shop", "run_id": "r"}},
    {"number": 2, "kind": "tag", "subject": "overlays/dev", "args": {"old": "aaaaaaa", "new": "bbbbbbb"}},
    {"number": 2, "made": True},
    {"number": 3, "kind": "restore-field", "subject": "Deployment/shop/web", "args": {
        "kind": "Deployment", "namespace": "shop", "name": "web", "path": ["spec", "replicas"], "from": 2, "to": 3}},
    {"number": 3, "state": "done", "reason": "restored"},
    {"number": 4, "kind": "recreate", "subject": "ConfigMap/shop/config", "args": {
        "object": {"kind": "ConfigMap", "metadata": {"name": "config", "namespace": "shop"}, "data": {"ZONE": "UTC"}}}},
)  # fmt: skip


def cases(count: int, seed: int, work: Path) -> Iterator[tuple[str, Ending]]:
    """(name, ending) of each. With an entry that was not undone the exit code must not be 0."""
    kept, teardown._PATIENCE_S = teardown._PATIENCE_S, 0.0  # nothing answers here: no wait
    try:
        for number in range(count):
            chance = mutate.chance_of(seed, "journal", number)
            folder = work / f"journal-{number}"
            shutil.copytree(CORPUS / HISTORY, folder, ignore=shutil.ignore_patterns("expected.json"))
            target = _away(folder)
            content = b"".join(json.dumps(entry).encode() + b"\n" for entry in ENTRIES)
            how = "lines" if chance.random() < 0.75 else "bytes"
            bent = mutate.of_lines(content, chance) if how == "lines" else mutate.of_bytes(content, chance)
            (folder / "undo.jsonl").write_bytes(bent)
            ending = command("undo", str(folder), "--target", str(target))
            if ending.exit_code == 0 and not ending.wrong and _open(bent):
                ending = Ending(0, ending.output, ending.took_s, "undone: exit 0 although nobody could undo anything")
            yield f"journal {number} ({how})", ending
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        teardown._PATIENCE_S = kept


def _open(content: bytes) -> set[int]:
    """The numbers of the entries, in complete lines, that have no end."""
    entries: dict[int, bool] = {}
    for text in content.split(b"\n")[:-1]:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        number = line.get("number") if isinstance(line, dict) else None
        if type(number) is int and isinstance(line.get("args"), dict) and isinstance(line.get("kind"), str):
            entries[number] = True
        elif type(number) is int and "state" in line:
            entries[number] = False
    return {number for number, is_open in entries.items() if is_open}


def _away(folder: Path) -> Path:
    """A target file whose cluster and git server are closed ports of this machine."""
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "users": [{"name": "u", "user": {"token": "t-0123456789"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "staging", "context": {"cluster": "c", "user": "u"}}],
    }))  # fmt: skip
    target = folder / "target.toml"
    target.write_text(target_toml(kubeconfig=str(kubeconfig), git_url="http://127.0.0.1:1/env.git"))
    plan = json.loads((folder / "plan.json").read_text())
    plan["target"] = asdict(load(target, {}).target)  # the same target as that of the run
    (folder / "plan.json").write_text(json.dumps(plan))
    return target
