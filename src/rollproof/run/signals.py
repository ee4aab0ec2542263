"""Ctrl-C, SIGTERM and SIGHUP: the first ends the drill, and no later one may interrupt the undo.

A signal that arrives while an event is being written is sent again a moment later, so that no record is incomplete.
So is one that arrives in code that may drop the exception: an exception raised in a destructor is lost without a word
(CPython's `iobase_finalize` asks urllib3's response whether it is `closed`, and clears what that raises).
"""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["Interrupts", "as_interrupts", "ending_signals", "ignore_endings", "signals_held_at_start"]

_AGAIN_S = 0.02
_ANYWHERE_S = 2.0  # a signal that found no such place for that long is raised wherever the main thread is,
_ANYWHERE_TRIES = 20  # if it was looked at as often: this process may have had no CPU meanwhile
_OURS = f"{Path(__file__).parents[1]}{os.sep}"
_STANDARD_LIBRARY = f"{sysconfig.get_path('stdlib')}{os.sep}"
_LIBRARIES = (_STANDARD_LIBRARY, "<frozen ", f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_WAITING = tuple(
    f"{_STANDARD_LIBRARY}{name}.py" for name in ("queue", "selectors", "socket", "ssl", "subprocess", "threading")
)


def ending_signals() -> tuple[signal.Signals, ...]:
    """The signals that end a run. Not SIGHUP where it is ignored: with `nohup` the run is to go on."""
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM, *(() if nohup else (signal.SIGHUP,)))


@contextmanager
def as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP end a command as Ctrl-C does, so that what it has made for itself (a clone) is removed.

    One that a library drops (pydantic's core asks Python things whose errors it cannot hand on) is sent again: else the
    command would go on to its end, with a traceback.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    hook = sys.unraisablehook

    def dropped(what: sys.UnraisableHookArgs) -> None:
        if issubclass(what.exc_type, KeyboardInterrupt):
            _send_again(signal.SIGINT)
        else:
            hook(what)

    before = {number: signal.getsignal(number) for number in ending_signals()}
    for number in before:
        if number != signal.SIGINT:
            signal.signal(number, end)
    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _send_again(number: int) -> None:
    again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def ignore_endings() -> None:
    """The last words are being said: one more Ctrl-C must change neither them nor the exit code."""
    if threading.current_thread() is threading.main_thread():
        for number in ending_signals():
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def signals_held_at_start() -> Iterator[None]:
    """What is started in this block gets ending signals only when it can take one (`Interrupts.catch`); none is lost.

    It imports for half a second before that, in which Ctrl-C would be a traceback and SIGTERM an end without a word.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Interrupts:
    """Signal handling of one run. `busy(thread)`: whether the main thread must not be interrupted now."""

    def __init__(self, busy: Callable[[int | None], bool]) -> None:
        self._busy = busy
        self._before: dict[int, Any] = {}
        self._came = False
        self._first_s: float | None = None  # when a signal came that was not raised yet, on the monotonic clock
        self._tries = 0  # how often it was looked at since
        self._held: Callable[[], None] | None = None

    def catch(self) -> None:
        """From now on the first signal raises KeyboardInterrupt in the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in ending_signals()}
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ending_signals())  # held since the command line started us

    def hold(self, say: Callable[[], None]) -> None:
        """From now on a signal only calls `say`."""
        self._held = say

    def release(self) -> None:
        """Restore the handlers from before; a signal that was handled is not reported again at the end."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._came else handler)
        self._before = {}

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._busy(threading.main_thread().ident) or not (self._held or self._came or self._is_kept(frame)):
            _send_again(number)
        elif self._held is not None:
            self._held()
        elif not self._came:  # it comes twice from a terminal: directly, and forwarded by the command line
            self._came = True
            raise KeyboardInterrupt(signal.Signals(number).name)

    def _is_kept(self, frame: FrameType | None) -> bool:
        """Whether an exception raised in that frame arrives: not in a library, but where it waits."""
        if self._first_s is None:
            self._first_s = time.monotonic()
        self._tries += 1
        where = frame.f_code.co_filename if frame else ""
        kept = where.startswith((_OURS, *_WAITING)) or not any(folder in where for folder in _LIBRARIES)
        return kept or (self._tries > _ANYWHERE_TRIES and time.monotonic() > self._first_s + _ANYWHERE_S)
