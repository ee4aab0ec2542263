"""Journals, bent: `rollproof undo` of each undoes what can be read, and tells the rest. No cluster: its API is away.

The API server of the stored plan is a closed port of this machine, so every entry that is tried stays open. What is
looked for is how undo reads and tells.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from rollproof import putback

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
    """(name, ending) of each. An open entry that nobody undid must not end with 0."""
    kept, putback._PATIENCE_S = putback._PATIENCE_S, 0.0  # nobody is waited for: there is nobody
    try:
        for number in range(count):
            chance = mutate.chance_of(seed, "journal", number)
            folder = work / f"journal-{number}"
            shutil.copytree(CORPUS / HISTORY, folder, ignore=shutil.ignore_patterns("expected.json"))
            _away(folder)
            content = b"".join(json.dumps(entry).encode() + b"\n" for entry in ENTRIES)
            how = "lines" if chance.random() < 0.75 else "bytes"
            bent = mutate.of_lines(content, chance) if how == "lines" else mutate.of_bytes(content, chance)
            (folder / "undo.jsonl").write_bytes(bent)
            ending = command("undo", str(folder))
            if ending.exit_code == 0 and not ending.wrong and bent.strip() not in (b"", b"null"):
                ending = Ending(0, ending.output, ending.took_s, "undone: exit 0 although nobody could undo anything")
            yield f"journal {number} ({how})", ending
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        putback._PATIENCE_S = kept


def _away(folder: Path) -> None:
    """The plan's cluster is a closed port, and its kubeconfig is in the folder."""
    kubeconfig = folder / "kubeconfig"
    plan = json.loads((folder / "plan.json").read_text())
    context = plan["target"]["cluster"]["context"]
    kubeconfig.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "users": [{"name": "u", "user": {"token": "t"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
    }))  # fmt: skip
    plan["target"]["cluster"]["kubeconfig"] = plan["target"]["argocd"]["kubeconfig"] = str(kubeconfig)
    plan["target"]["env_file"] = ""
    plan["target"]["env_repo"] |= {"url": "http://127.0.0.1:1/env.git", "username_env": "", "password_env": ""}
    plan["target"]["app"] |= {"headers_env": {}, "basic_auth_env": []}
    (folder / "plan.json").write_text(json.dumps(plan))
