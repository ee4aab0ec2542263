"""Relay: hears the signals of this process in a thread of its own, and passes them on to a command.

Not in Python's handlers: the kernel may give a signal to any thread, and the main thread, which alone runs handlers, is
then not woken from its wait for a process (seen for 1 signal in 3,000 on an idle machine, more often on a busy one).
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

__all__ = ["Relay"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Relay:
    """A context manager of the main thread. The first signal sets `came`; each is passed on while there is a command.

    After one, later signals are ignored until the process ends.
    """

    def __init__(self, came: threading.Event) -> None:
        self._came = came
        self._lock = threading.Lock()
        self._pipe = -1
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)  # the interpreter writes to it in the handler of a signal
        self._thread = threading.Thread(target=self._hear, name="signals", daemon=True)

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._writer)
        self._thread.join()
        os.close(self._reader)
        for number, handler in self._before.items():  # one more Ctrl-C must not interrupt the exit of Python
            signal.signal(number, signal.SIG_IGN if self._came.is_set() else handler)

    def begin(self, pipe: int) -> None:
        """From now on each signal is a byte in that pipe; SIGTERM at once if one has come before the command began."""
        with self._lock:
            self._pipe = pipe
            if self._came.is_set():
                self._pass_on(signal.SIGTERM)

    def end(self) -> None:
        """The command has ended: close the pipe."""
        with self._lock:
            os.close(self._pipe)
            self._pipe = -1

    def _hear(self) -> None:
        while numbers := os.read(self._reader, 64):
            for number in numbers:
                if number in _SIGNALS:
                    with self._lock:
                        self._came.set()
                        self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        if self._pipe >= 0:
            with suppress(BrokenPipeError):  # the command has just ended
                os.write(self._pipe, bytes([signal.SIGTERM if number == signal.SIGHUP else number]))
