"""Time under a test's control, for the modules that are tested and for nobody else.

`monkeypatch.setattr(module.time, "sleep", ...)` replaces the whole process's: a thread that another test left asleep
then calls the stand-in, in the middle of this one.
"""

from __future__ import annotations

import threading
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

__all__ = ["ScriptedClock", "SteadyClock", "own_time"]


def own_time(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType, **functions: Any) -> None:
    """Give these modules a `time` of their own, with these functions (sleep, monotonic, time) replaced."""
    own = SimpleNamespace(**{**vars(time), **functions})
    for module in modules:
        monkeypatch.setattr(module, "time", own)


class SteadyClock:
    """A monotonic clock on which no two readings are further apart than STEP_S, however long the machine stood still.

    A limit of half a second, measured by it, is over after many looks and not after one stall of the machine. Whoever
    waits by it must read it at least every STEP_S (`waiting._WAKE_S`), or its limits last longer.
    """

    STEP_S = 0.02

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_s = self._at_s = time.monotonic()

    def monotonic(self) -> float:
        """Seconds since some moment, as time.monotonic."""
        with self._lock:
            now_s = time.monotonic()
            self._at_s += min(now_s - self._read_s, self.STEP_S)
            self._read_s = now_s
            return self._at_s


class ScriptedClock:
    """A monotonic clock that goes on only where a test says so, and where it is waited by it.

    As the `lock` of a `Changes` no change ever wakes it: each wait passes all of its time, and takes none.
    """

    TICK_S = 1e-6  # what each reading takes, so that no two are the same

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        """Seconds since some moment, as time.monotonic."""
        self.now_s += self.TICK_S
        return self.now_s

    def wait(self, timeout: float) -> None:
        """As threading.Condition.wait."""
        self.now_s += max(0.0, timeout)

    def __enter__(self) -> ScriptedClock:
        return self

    def __exit__(self, *_: object) -> None:
        return None
