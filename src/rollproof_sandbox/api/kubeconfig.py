"""Kubeconfig: a file with one context for the sandbox's API server."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["write_kubeconfig"]


def write_kubeconfig(path: Path, *, url: str, token: str, context: str = "sandbox") -> None:
    """Write it, readable only by its owner: it holds the token."""
    item = {
        "apiVersion": "v1", "kind": "Config", "current-context": context,
        "clusters": [{"name": context, "cluster": {"server": url}}],
        "users": [{"name": context, "user": {"token": token}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }  # fmt: skip
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(json.dumps(item, indent=2) + "\n")
