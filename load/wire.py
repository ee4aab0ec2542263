"""One open connection below HTTP: send all, receive some, and is it still alive? Each bounded by a deadline.

PlainWire goes past gevent's socket methods, which cost more than everything else that we do for a request (a getsockopt
and a vain recv each time). Both wires raise OSError only; TimeoutError when the deadline has passed.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Protocol

import gevent
import gevent.socket
from gevent.hub import Hub

__all__ = ["Address", "PlainWire", "TlsWire", "Wire", "left_s", "open_wire"]

_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT
_SIZE = 65_536
_now = time.monotonic_ns

Address = tuple[str, int] | tuple[str, int, int, int]  # IPv4 or IPv6, as a socket takes it


class Wire(Protocol):
    """What a connection needs from below."""

    def send(self, data: bytes, deadline_ns: int) -> None:
        """Send all of it."""

    def receive(self, deadline_ns: int) -> bytes:
        """Wait for bytes; b"" when the peer has closed."""

    def is_alive(self) -> bool:
        """False if the peer has closed the idle connection, or sent what nobody asked for."""

    def close(self) -> None:
        """Close it."""


def left_s(deadline_ns: int) -> float:
    """Seconds until the deadline; TimeoutError if it has passed."""
    left_ns = deadline_ns - _now()
    if left_ns <= 0:
        raise TimeoutError
    return left_ns / 1e9


def open_wire(
    family: int, address: Address, context: ssl.SSLContext | None, server_name: str, deadline_ns: int
) -> PlainWire | TlsWire:
    """Connect, and shake hands if there is a TLS context."""
    connection = gevent.socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(left_s(deadline_ns))
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            return PlainWire(connection)
        with gevent.Timeout(left_s(deadline_ns), TimeoutError):
            return TlsWire(context.wrap_socket(connection, server_hostname=server_name))
    except BaseException:
        connection.close()
        raise


class PlainWire:
    """TCP. One watcher stays on while the connection is open: it wakes whoever waits for an answer, and turns itself
    off when bytes or a FIN come that nobody waits for. (Turning it on for each wait costs a system call each time.)"""

    __slots__ = ("_hub", "_on", "_raw", "_socket", "_timer", "_waiter", "_watcher")

    def __init__(self, connection: gevent.socket.socket) -> None:
        self._socket = connection
        self._raw = connection._sock  # noqa: SLF001 - non-blocking; gevent has no public name for it
        self._hub: Hub = gevent.get_hub()
        self._watcher = self._hub.loop.io(connection.fileno(), 1)
        self._on = False
        self._waiter: Callable[[bool], object] | None = None
        self._timer: Any = None

    def send(self, data: bytes, deadline_ns: int) -> None:
        """Send all of it."""
        rest = self.send_some(data)
        if rest:  # the peer does not read: rare, so gevent may do it
            self._socket.settimeout(left_s(deadline_ns))
            self._socket.sendall(rest)

    def send_some(self, data: bytes) -> bytes:
        """Send what can be sent without waiting; the rest, usually b""."""
        try:
            sent = self._raw.send(data)
        except BlockingIOError:
            sent = 0
        return data[sent:]

    def expect(self, waiter: Callable[[bool], object], seconds: float) -> None:
        """Call `waiter` once: with True when there is something to receive, with False when the time is over."""
        self._waiter = waiter
        if not self._on:
            self._on = True
            self._watcher.start(self._readable)
        timer = self._timer = self._hub.loop.timer(seconds)
        timer.start(self._wake, False)

    def call_soon(self, waiter: Callable[[bool], object]) -> None:
        """Call `waiter` in the loop's next turn, with True."""
        self._hub.loop.run_callback(waiter, True)

    def receive(self, deadline_ns: int) -> bytes:
        """Wait for bytes. Permission after a request there are none yet, so it waits first and reads then."""
        while True:
            self.expect(gevent.getcurrent().switch, left_s(deadline_ns))
            try:
                ready = self._hub.switch()
            finally:
                self._stop_waiting()
            if not ready:
                raise TimeoutError
            if (data := self.received()) is not None:
                return data

    def received(self) -> bytes | None:
        """What has come, b"" if the peer has closed; None if there is nothing after all."""
        try:
            data: bytes = self._raw.recv(_SIZE)
        except BlockingIOError:  # woken for nothing
            return None
        return data

    def is_alive(self) -> bool:
        """No byte and no FIN may be waiting."""
        try:
            self._raw.recv(1, _PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def close(self) -> None:
        """Close it, the watcher first: it must not outlive its file descriptor."""
        self._stop_waiting()
        self._watcher.stop()
        self._watcher.close()
        with contextlib.suppress(OSError):  # it may be gone already, which is what is wanted
            self._socket.close()

    def _readable(self) -> None:
        if self._waiter is None:
            self._on = False
            self._watcher.stop()
        else:
            self._wake(True)

    def _wake(self, ready: bool) -> None:
        waiter = self._waiter
        self._stop_waiting()
        if waiter is not None:
            waiter(ready)

    def _stop_waiting(self) -> None:
        self._waiter = None
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()


class TlsWire:
    """TLS, by gevent's own methods."""

    __slots__ = ("_socket",)

    def __init__(self, connection: gevent.socket.socket) -> None:
        self._socket = connection

    def send(self, data: bytes, deadline_ns: int) -> None:
        """Send all of it."""
        self._socket.settimeout(left_s(deadline_ns))
        self._socket.sendall(data)

    def receive(self, deadline_ns: int) -> bytes:
        """Wait for bytes."""
        self._socket.settimeout(left_s(deadline_ns))
        data: bytes = self._socket.recv(_SIZE)
        return data

    def is_alive(self) -> bool:
        """Bytes that wait below TLS may be a session ticket (alive) or a closing alert (not)."""
        try:
            if not self._socket._sock.recv(1, _PEEK):  # noqa: SLF001 - gevent's own recv would wait
                return False
            self._socket.settimeout(0.0)
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        return False

    def close(self) -> None:
        """Close it."""
        with contextlib.suppress(OSError):  # it may be gone already, which is what is wanted
            self._socket.close()
