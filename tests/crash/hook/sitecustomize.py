"""Imported by Python at its start because `tests.crash` puts this folder first: ends the run at a write of its journal.

ROLLPROOF_CRASH_AT="N:WHEN": at the Nth append, `before` it, in the middle of it (`torn`), or `after` it (before the
change is made). Only in the process that runs the drills; nothing else of it is changed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

_AT = os.environ.get("ROLLPROOF_CRASH_AT", "")


def _crash_at(number: int, when: str) -> None:
    from rollproof.store.journal import FolderStore

    real, seen = FolderStore.append, 0

    def append(store: FolderStore, line: Mapping[str, Any]) -> None:
        nonlocal seen
        seen += 1
        if seen != number:
            return real(store, line)
        if when == "after":
            real(store, line)
        if when == "torn":
            text = json.dumps(line, default=str).encode()
            with store.path.open("ab") as file:
                file.write(text[: len(text) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    FolderStore.append = append  # type: ignore[method-assign]


if _AT and "rollproof.plugin" in sys.orig_argv:
    _crash_at(int(_AT.partition(":")[0]), _AT.partition(":")[2])
