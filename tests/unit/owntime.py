"""Time under a test's control, for the modules that are tested and for nobody else.

`monkeypatch.setattr(module.time, "sleep", ...)` replaces the whole process's: a thread that another test left asleep
then calls the stand-in, in the middle of this one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
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

    Where nothing comes any more it goes `quickly` times as fast, so that a limit which is to run out costs little:
    after QUIET_S in which nobody called what it `hears` of and no thread was alive but those before it and daemons. So
    whoever plays a part of the cluster, later than in the answer to a request, does it in a thread that is no daemon.
    """

    STEP_S = 0.02
    QUIET_S = 0.3  # from the last deed of the fake cluster to its being heard: with 0.1 some were not, at a load of 15

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_s = self._at_s = time.monotonic()
        self._quiet_s, self._speed, self.quickly = 0.0, 1, 10
        self._before = {thread for thread in threading.enumerate() if not thread.daemon}

    def monotonic(self) -> float:
        """Seconds since some moment, as time.monotonic."""
        with self._lock:
            now_s = time.monotonic()
            passed_s = min(now_s - self._read_s, self.STEP_S)
            self._read_s = now_s
            self._quiet_s = 0.0 if self._somebody_acts() else self._quiet_s + passed_s
            self._speed = self.quickly if self._quiet_s > self.QUIET_S else 1
            self._at_s += passed_s * self._speed
            return self._at_s

    def sleep(self, seconds: float) -> None:
        """As time.sleep, by this clock."""
        end_s = self.monotonic() + seconds
        while (left_s := end_s - self.monotonic()) > 0:
            time.sleep(min(left_s / self._speed, self.STEP_S))

    def hears(self, monkeypatch: pytest.MonkeyPatch, owner: type, *names: str) -> None:
        """Whoever calls one of these methods does something, and more may come of it."""
        for name in names:
            monkeypatch.setattr(owner, name, self._heard(getattr(owner, name)))

    def _heard(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def heard(*args: Any, **words: Any) -> Any:
            self.stir()
            return method(*args, **words)

        return heard

    def stir(self) -> None:
        """Something comes: more may come of it."""
        with self._lock:
            self._quiet_s = 0.0

    def _somebody_acts(self) -> bool:
        return any(not thread.daemon and thread not in self._before for thread in threading.enumerate())


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
