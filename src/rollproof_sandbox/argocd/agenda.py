"""Agenda: what the controller does next, each thing at its time, worked off by one thread.

Time comes in from outside, so that a test can let an hour of back-off pass in a moment. Must not know what is done.
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
    """Two times that pass together: one for waiting, one for time stamps."""

    def now_s(self) -> float:
        """Seconds that only grow."""
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
    """Actions by their time. Any thread may add one; only one thread works them off.

    `failed` hears what an action of that thread has died of; the next one is done all the same.
    """

    def __init__(self, clock: Clock, failed: Callable[[BaseException], None]) -> None:
        self._clock = clock
        self._failed = failed
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()  # equal times are worked off in the order of their coming
        self._stopped = False

    def soon(self, action: Action) -> None:
        """Do it as soon as what was added before is done."""
        self.after(0.0, action)

    def after(self, delay_s: float, action: Action) -> None:
        """Do it in so many seconds."""
        with self._changed:
            heapq.heappush(self._due, (self._clock.now_s() + delay_s, next(self._numbers), action))
            self._changed.notify()

    def next_s(self) -> float | None:
        """When the next action is due, by `Clock.now_s`; None if there is none."""
        with self._changed:
            return self._due[0][0] if self._due else None

    def work(self) -> None:
        """Work until `stop`; for the controller's thread."""
        while (action := self._wait()) is not None:
            try:
                action()
            except Exception as error:  # noqa: BLE001 - a bug of ours must show, and not as a cluster that stands still
                self._failed(error)

    def work_due(self) -> bool:
        """Do the next action if its time has come: for a test, which moves the clock by itself."""
        with self._changed:
            if not self._due or self._due[0][0] > self._clock.now_s():
                return False
            action = heapq.heappop(self._due)[2]
        action()
        return True

    def stop(self) -> None:
        """End `work` after the action that is being done."""
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
