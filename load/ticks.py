"""Absolute ticks on CLOCK_MONOTONIC: the k-th is due at start + k * period, however late the earlier ones came.

timerfd on Linux, gevent.sleep elsewhere (about 0.6 ms late). The timerfd expires a little early, because waking up
takes longer than anything else; only the rest is spun (`wait_until`): a longer busy wait would delay our own I/O. Never
skips: ticks missed during a stall are delivered together, at once.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from typing import Any

import gevent

__all__ = ["Ticks", "wait_until"]

EARLY_NS = 80_000  # the most that waking up and finding the next request takes
EARLY_PART = 5  # .. but at most this part of a period: the rest of it is spun
_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("first", _Timespec))


class Ticks:
    """Calls `due` with the number of ticks (at least 1) that have become due since the last call, until `stop`.

    With a timerfd the event loop itself makes that call: `due` must not block.
    """

    def __init__(self, start_ns: int, period_ns: int, due: Callable[[int], None]) -> None:
        self._due = due
        self._fd = _timerfd(start_ns - min(EARLY_NS, period_ns // EARLY_PART), period_ns)
        self._watcher: Any = None
        self._sleeper: gevent.Greenlet | None = None
        if self._fd is None:
            self._sleeper = gevent.spawn(self._sleep, start_ns, period_ns)
        else:
            self._watcher = gevent.get_hub().loop.io(self._fd, 1)
            self._watcher.start(self._read)

    def stop(self) -> None:
        """End the calls."""
        if self._sleeper is not None:
            self._sleeper.kill()
        if self._fd is not None:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._fd)
            self._fd = None

    def _read(self) -> None:
        if self._fd is not None:
            self._due(int.from_bytes(os.read(self._fd, 8), "little"))

    def _sleep(self, start_ns: int, period_ns: int) -> None:
        given = 0
        while True:
            now_ns = time.monotonic_ns()
            due = 0 if now_ns < start_ns else (now_ns - start_ns) // period_ns + 1
            if due > given:
                self._due(due - given)
                given = due
            else:
                gevent.sleep((start_ns + given * period_ns - now_ns) / 1e9)


def wait_until(moment_ns: int) -> int:
    """Return the time as soon as it is not before the moment. It spins, for EARLY_NS at most."""
    while (now_ns := time.monotonic_ns()) < moment_ns:
        pass
    return now_ns


def _timerfd(start_ns: int, period_ns: int) -> int | None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "timerfd_create"):
        return None
    fd: int = libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        return None
    timer = _Timer(_Timespec(*divmod(period_ns, 10**9)), _Timespec(*divmod(start_ns, 10**9)))
    if libc.timerfd_settime(fd, _ABSOLUTE, ctypes.byref(timer), None) != 0:
        os.close(fd)
        return None
    return fd
