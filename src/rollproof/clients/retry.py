"""Retry: do something again while the other side is away, for a bounded time.

Only for what may be done twice: reading, compare-and-set, asking for a refresh. A refusal is an answer and is never
asked for again. Nothing whose time is measured may come here: it would be one answer and several attempts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from rollproof.clients.kube import ApiError, UnreachableError
from rollproof.clients.repo import GitError, PushRefusedError
from rollproof.errors import RollproofError, UnansweredError

__all__ = ["is_away", "retried"]

T = TypeVar("T")
_AGAIN_S = 0.5
_BUSY = 429  # and everything from 500 on: the server, or what is before it, cannot answer now


def is_away(error: RollproofError) -> bool:
    """Whether the same request may be answered in a moment."""
    if isinstance(error, ApiError):
        return error.status == _BUSY or error.status >= 500
    if isinstance(error, UnansweredError):
        return True  # what may be done twice is asked for again: the second look finds what the first one did
    return isinstance(error, UnreachableError | GitError) and not isinstance(error, PushRefusedError)


def retried(action: Callable[[], T], *, until_s: float) -> T:
    """What it returns; the last error once the monotonic clock has passed `until_s`."""
    while True:
        try:
            return action()
        except RollproofError as error:
            if not is_away(error) or time.monotonic() + _AGAIN_S > until_s:
                raise
        time.sleep(_AGAIN_S)
