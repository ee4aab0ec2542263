"""Standstill: did this process itself stand still, so that everything was seen late?

It was stopped (Ctrl-Z, a debugger), its container was paused, or it had no CPU. The monotonic clock goes on meanwhile,
and no watch is interrupted: what waits in the sockets is read afterwards, all at once, and looks as if it had just
happened. A thread that only sleeps is too late by just as long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Standstill"]

_BEAT_S = 0.25
_STILL_S = 1.0  # late by more is no load of this machine; docs/verdicts.md
_LATELY_S = 5.0  # so long after it a watch may still be reading what has waited


class Standstill:
    """`told(since_s, until_s)` is called after each; times of the monotonic clock."""

    def __init__(self, told: Callable[[float, float], None], stopping: threading.Event) -> None:
        self._told, self._stopping = told, stopping
        self._lock = threading.Lock()
        self._beat_s = time.monotonic()
        self._ended_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="standstill", daemon=True)

    def start(self) -> None:
        """Notice from now on."""
        self._beat_s = time.monotonic()
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the thread, once `stopping` is set."""
        if self._thread.is_alive():
            self._thread.join()

    def lately(self) -> bool:
        """Whether it was so just now: who looks may be ahead of the watches."""
        self._look()
        return self._ended_s is not None and time.monotonic() < self._ended_s + _LATELY_S

    def _run(self) -> None:
        while not self._stopping.wait(_BEAT_S):
            self._look()
        self._look()

    def _look(self) -> None:
        with self._lock:
            since_s, self._beat_s = self._beat_s, time.monotonic()
            still = self._beat_s - since_s > _BEAT_S + _STILL_S
            self._ended_s = self._beat_s if still else self._ended_s
            until_s = self._beat_s
        if still:
            self._told(since_s, until_s)
