"""Waiting for the cluster: event driven and bounded; never a loop with a sleep.

Code that learns something calls `Changes.wake`; code that waits checks its condition after each wake-up. A state that
must last is required several times in a row, like Jubilant's `wait(successes=...)`: a single check may fall between two
bad states.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Between", "Changes"]

T = TypeVar("T")
_WAKE_S = 1.0  # a condition may depend on more than the watches: it is checked at least this often


class Changes:
    """A counter of changes that can be waited for. `lock` guards the state shared by the threads that wake and wait."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self._count = 0  # so that a change between a check and the next wait is not missed

    def wake(self) -> None:
        """Something has changed: all waiting threads check again."""
        with self.lock:
            self._count += 1
            self.lock.notify_all()

    def wait(
        self, look: Callable[[], T | None], *, timeout_s: float, in_a_row: int = 1, apart_s: float = 0.0,
        give_up: Callable[[], bool] = lambda: False,
    ) -> T | None:  # fmt: skip
        """The first value of `look` that is not None; None when the time is over, or when `give_up` says so.

        in_a_row: so many looks, at least `apart_s` seconds apart, must all have a value, and those after each change
          in between as well; the value of the first of them is returned.
        timeout_s: within which the first of the row must come; the row itself may end later. The last look is begun
          when that time is over: one that was begun before, and took long, says nothing of its end.
        """
        deadline_s = time.monotonic() + timeout_s
        first: T | None = None
        held, next_s = 0, 0.0
        while True:
            seen, begun_s = self._count, time.monotonic()
            value, now_s = look(), time.monotonic()
            if value is None:
                first, held = None, 0
            elif held == 0 or now_s >= next_s:
                first = value if held == 0 else first
                held, next_s = held + 1, now_s + apart_s
            if held >= in_a_row:
                return first
            if give_up() or (held == 0 and begun_s >= deadline_s):
                return None
            left_s = (next_s if held else deadline_s) - now_s
            with self.lock:
                if self._count == seen:
                    self.lock.wait(min(left_s, _WAKE_S))


class Between:
    """A look for `Changes.wait` at what is missing, and between which two moments all was there.

    A look takes time, and what it looks at may come meanwhile. So it came after the last look that missed something had
    begun (`not_before_s`), and before the first that missed nothing had ended, which is the value of `look`.
    missing: what is missing now, in words; "" for nothing. since_s: before that it cannot have come.
    """

    def __init__(self, missing: Callable[[], str], *, since_s: float) -> None:
        self._missing = missing
        self.not_before_s, self.missed = since_s, ""  # `missed`: what the last look that missed something said

    def look(self) -> float | None:
        """The moment by which all was there; None if something is missing."""
        begun_s = time.monotonic()
        if missed := self._missing():
            self.missed, self.not_before_s = missed, begun_s
            return None
        return time.monotonic()
