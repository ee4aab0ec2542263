"""Waiting: until something outside of this process is so; the one loop that looks again and again."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["PATIENCE_S", "until"]

PATIENCE_S = 120.0  # nothing waits that long but on a machine that is busy with other work
_STEP_S = 0.01


def until(
    is_so: Callable[[], object], what: str | Callable[[], str] = "it to come to that", *, patience_s: float = PATIENCE_S
) -> None:
    """Look until it is so; AssertionError with `what` after `patience_s`."""
    end_s = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > end_s:
            raise AssertionError(f"waited {patience_s:g} s for {what if isinstance(what, str) else what()}")
        time.sleep(_STEP_S)
