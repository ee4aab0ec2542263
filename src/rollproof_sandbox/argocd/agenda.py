"""Agenda: the controller's actions, each at its time, run by one thread.

The clock is a parameter, so that a test can skip an hour of back-off. Must not know the actions.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Agenda", "Clock", "SystemClock"]

Action = Callable[[], None]


class Clock(Protocol):
    """Two clocks that advance together: one for waits, one for time stamps."""

    def now_s(self) -> float:
        """Seconds that never decrease."""
        ...

    def utc_s(self) -> float:
        """Seconds since 1970."""
        ...


class SystemClock:
    """The host's clocks."""

    def now_s(self) -> float:
        """CLOCK_MONOTONIC."""
        return time.monotonic()

    def utc_s(self) -> float:
        """The wall clock."""
        return time.time()


class Agenda:
    """Actions by their time. Any thread may add one; one thread runs them.

    `failed` receives the exception of an action; the next one runs all the same.
    """

    def __init__(self, clock: Clock, failed: Callable[[BaseException], None]) -> None:
        self._clock = clock
        self._failed = failed
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()  # equal times run in the order in which they were added
        self._stopped = False

    def soon(self, action: Action) -> None:
        """Run it after the actions that are due already."""
        self.after(0.0, action)

    def after(self, delay_s: float, action: Action) -> None:
        """Run it in so many seconds."""
        with self._changed:
            heapq.heappush(self._due, (self._clock.now_s() + delay_s, next(self._numbers), action))
            self._changed.notify()

    def next_s(self) -> float | None:
        """Time of the next action, by `Clock.now_s`; None if there is none."""
        with self._changed:
            return self._due[0][0] if self._due else None

    def work(self) -> None:
        """Run actions until `stop`; for the controller's thread."""
        while (action := self._wait()) is not None:
            try:
                action()
            except Exception as error:  # noqa: BLE001 - a bug of ours must show, and not as a cluster that stands still
                self._failed(error)

    def work_due(self) -> bool:
        """Run the next action if it is due: for a test, which sets the clock."""
        with self._changed:
            if not self._due or self._due[0][0] > self._clock.now_s():
                return False
            action = heapq.heappop(self._due)[2]
        action()
        return True

    def stop(self) -> None:
        """End `work` after the running action."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _wait(self) -> Action | None:
        with self._changed:
            while not self._stopped:
                left_s = self._due[0][0] - self._clock.now_s() if self._due else None
                if left_s is not None and left_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(left_s)
            return None
