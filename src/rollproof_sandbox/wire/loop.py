"""Loop: one thread that waits for sockets, timers, signals and lines on stdin, and calls their handlers.

The end of stdin means that the parent is gone: the process ends at once, whatever it is doing.
"""

from __future__ import annotations

import gc
import heapq
import json
import os
import select
import signal
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["IN", "OUT", "Loop", "Timer", "become_quick", "first_line", "now", "say"]

IN, OUT = select.EPOLLIN, select.EPOLLOUT
now = time.monotonic
_STDIN = 0
_PRIORITY = 10
_CHUNK = 65_536


def become_quick() -> None:
    """Take real-time priority if permitted (only root), and disable garbage collection.

    A response that waits for a busy machine looks like a slow target. The load generator has precedence (`SCHED_FIFO`
    50).
    """
    gc.freeze()
    gc.disable()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
    except OSError:
        return


class Timer:
    """A call at a later time; `cancel` revokes it."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Revoke the call."""
        self.call = None


class Loop:
    """Runs handlers in `run`, one at a time."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._fresh: set[int] = set()
        self._due: list[tuple[float, int, Timer]] = []
        self._count = 0

    def watch(self, fd: int, events: int, handler: Callable[[int], None]) -> None:
        """Call `handler(events)` whenever the file descriptor is ready."""
        self._handlers[fd] = handler
        self._fresh.add(fd)
        self._epoll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Wait for other events on it."""
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop waiting; call this before a file descriptor is closed."""
        del self._handlers[fd]
        self._epoll.unregister(fd)

    def later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call it after that time."""
        timer = Timer(call)
        self._count += 1  # order of equal times, so that timers are never compared
        heapq.heappush(self._due, (now() + delay_s, self._count, timer))
        return timer

    def on_signal(self, number: int, call: Callable[[], None]) -> None:
        """Call it after the signal, from the loop. For one signal only."""
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        signal.set_wakeup_fd(writing.fileno())
        signal.signal(number, lambda *_: None)

        def woken(_: int) -> None:
            reading.recv(_CHUNK)
            call()

        self._kept = (reading, writing)
        self.watch(reading.fileno(), IN, woken)

    def on_stdin(self, heard: Callable[[dict[str, Any]], None], rest: bytes) -> None:
        """Call `heard` with each further line of stdin; `rest` was read together with the first one."""
        lines = _Lines(rest)

        def readable(_: int) -> None:
            data = os.read(_STDIN, _CHUNK)
            if not data:
                os._exit(0)
            for item in lines.feed(data):
                heard(item)

        self.watch(_STDIN, IN, readable)
        for item in lines.feed(b""):
            heard(item)

    def run(self) -> None:
        """Run for ever."""
        handlers, fresh, due = self._handlers, self._fresh, self._due
        while True:
            wait_s = max(0.0, due[0][0] - now()) if due else -1
            happened = self._epoll.poll(wait_s)
            fresh.clear()
            for fd, events in happened:
                # A descriptor opened in this iteration may have the number of one that was closed in it.
                handler = None if fd in fresh else handlers.get(fd)
                if handler is not None:
                    handler(events)
            while due and due[0][0] <= now():
                call = heapq.heappop(due)[2].call
                if call is not None:
                    call()


class _Lines:
    def __init__(self, rest: bytes) -> None:
        self._rest = rest

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in whole if line.strip()]


def first_line() -> tuple[dict[str, Any], bytes]:
    """Wait for the first line of stdin; returns it, and the bytes after it. Ends the process if there is none."""
    data = b""
    while b"\n" not in data:
        more = os.read(_STDIN, _CHUNK)
        if not more:
            os._exit(0)
        data += more
    line, _, rest = data.partition(b"\n")
    item: dict[str, Any] = json.loads(line)
    return item, rest


def say(item: dict[str, Any]) -> None:
    """Send one JSON line to the parent."""
    try:
        os.write(1, json.dumps(item).encode() + b"\n")
    except OSError:
        os._exit(0)  # the parent is gone
