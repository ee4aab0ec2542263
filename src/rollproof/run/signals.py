"""Ctrl-C, SIGTERM and SIGHUP: the first ends the drill, and no later one may interrupt the undo.

A signal that arrives while an event is being written is sent again a moment later, so that no record is incomplete.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["Interrupts", "ending_signals"]

_AGAIN_S = 0.02


def ending_signals() -> tuple[signal.Signals, ...]:
    """The signals that end a run. Not SIGHUP where it is ignored: with `nohup` the run is to go on."""
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM, *(() if nohup else (signal.SIGHUP,)))


class Interrupts:
    """Signal handling of one run. `busy(thread)`: whether the main thread must not be interrupted now."""

    def __init__(self, busy: Callable[[int | None], bool]) -> None:
        self._busy = busy
        self._before: dict[int, Any] = {}
        self._came = False
        self._held: Callable[[], None] | None = None

    def catch(self) -> None:
        """From now on the first signal raises KeyboardInterrupt in the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in ending_signals()}

    def hold(self, say: Callable[[], None]) -> None:
        """From now on a signal only calls `say`."""
        self._held = say

    def release(self) -> None:
        """Restore the handlers from before; a signal that was handled is not reported again at the end."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._came else handler)
        self._before = {}

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self._busy(threading.main_thread().ident):
            again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
        elif self._held is not None:
            self._held()
        elif not self._came:  # it comes twice from a terminal: directly, and forwarded by the command line
            self._came = True
            raise KeyboardInterrupt(signal.Signals(number).name)
