"""The ingress's access log as `kubectl logs --since` would give it."""

from __future__ import annotations

import json
import time
from pathlib import Path

__all__ = ["read_log"]


def read_log(path: Path, since_s: int) -> str:
    """The lines of the last `since_s` seconds (0: all), by their field `t`."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    if since_s <= 0:
        return "".join(lines)
    begin_s = time.time() - since_s
    first = len(lines)
    while first and json.loads(lines[first - 1])["t"] >= begin_s:
        first -= 1
    return "".join(lines[first:])
