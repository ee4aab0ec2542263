"""One open connection below HTTP: send all, receive some, check whether it is alive; each with a deadline.

Both wires bypass gevent's socket methods, which cost more than the rest of a request (a getsockopt and an unsuccessful
recv each time). They raise OSError only; TimeoutError when the deadline has passed.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import time
from collections.abc import Callable

import gevent
import gevent.socket
import gevent.ssl
from gevent.hub import Hub

__all__ = ["Address", "TlsWire", "Wire", "left_s", "open_wire"]

_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT
_SIZE = 65_536
_CLOSED = 7  # TCP_CLOSE of the kernel's tcp_states.h, the first byte of its tcp_info
_now = time.monotonic_ns

Address = tuple[str, int] | tuple[str, int, int, int]  # IPv4 or IPv6, as a socket takes it


def left_s(deadline_ns: int) -> float:
    """Seconds until the deadline; TimeoutError if it has passed."""
    left_ns = deadline_ns - _now()
    if left_ns <= 0:
        raise TimeoutError
    return left_ns / 1e9


def open_wire(
    family: int, address: Address, context: ssl.SSLContext | None, server_name: str, deadline_ns: int
) -> Wire:
    """Connect, and shake hands if there is a TLS context."""
    connection = gevent.socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(left_s(deadline_ns))
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            return Wire(connection)
        with gevent.Timeout(left_s(deadline_ns), TimeoutError):
            return TlsWire(context.wrap_socket(connection, server_hostname=server_name))
    except BaseException:
        connection.close()
        raise


class Wire:
    """TCP. One watcher is active while the connection is open: it wakes the waiter of an answer, and stops when bytes
    or a FIN come that nothing waits for. (Starting it for each wait costs a system call each time.)"""

    __slots__ = ("_hub", "_on", "_raw", "_socket", "_waiter", "_watcher")

    def __init__(self, connection: gevent.socket.socket) -> None:
        self._socket = connection
        self._raw = connection._sock  # noqa: SLF001 - non-blocking; gevent has no public name for it
        self._hub: Hub = gevent.get_hub()
        self._watcher = self._hub.loop.io(connection.fileno(), 1)
        self._on = False
        self._waiter: Callable[[bool], object] | None = None

    def send(self, data: bytes, deadline_ns: int) -> None:
        """Send all of it."""
        rest = self.send_some(data)
        if rest:  # the peer does not read: rare, so gevent may handle it
            self._socket.settimeout(left_s(deadline_ns))
            self._socket.sendall(rest)

    def send_some(self, data: bytes) -> bytes:
        """Send what can be sent without waiting; the rest, usually b""."""
        try:
            sent = self._raw.send(data)
        except BlockingIOError:
            sent = 0
        return data[sent:]

    def expect(self, waiter: Callable[[bool], object]) -> None:
        """Call `waiter` once, with True, when there is something to receive; with False after `give_up`."""
        self._waiter = waiter
        if not self._on:
            self._on = True
            self._watcher.start(self._readable)

    def give_up(self) -> None:
        """The deadline has passed: notify the waiter, if any."""
        self._wake(False)

    def receive(self, deadline_ns: int) -> bytes:
        """Wait for bytes; b"" when the peer has closed. Right after a request there are none: so wait, then read."""
        while True:
            timer = self._hub.loop.timer(left_s(deadline_ns))
            try:
                self.expect(gevent.getcurrent().switch)
                timer.start(self._wake, False)
                ready = self._hub.switch()
            finally:
                self._waiter = None
                timer.stop()
                timer.close()
            if not ready:
                raise TimeoutError
            if (data := self.received()) is not None:
                return data

    def received(self) -> bytes | None:
        """The received bytes, b"" if the peer has closed; None if there are none after all."""
        try:
            data: bytes = self._raw.recv(_SIZE)
        except BlockingIOError:  # a spurious wake-up
            return None
        return data

    def is_alive(self) -> bool:
        """False if the peer has closed the idle connection, or sent unrequested bytes."""
        try:
            self._raw.recv(1, _PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def close(self) -> None:
        """Close it, the watcher first: it must not outlive its file descriptor."""
        self._waiter = None
        self._watcher.stop()
        self._watcher.close()
        with contextlib.suppress(OSError):  # it may be closed already
            self._socket.close()

    def _readable(self) -> None:
        if self._waiter is None:
            self._on = False
            self._watcher.stop()
        else:
            self._wake(True)

    def _wake(self, ready: bool) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter(ready)


class TlsWire(Wire):
    """TLS over TCP, with the same short way: records are read and written without waiting, and the watcher waits.

    An incomplete record, a session ticket or a new key counts as nothing received.
    """

    __slots__ = ("_tls",)

    def __init__(self, connection: gevent.ssl.SSLSocket) -> None:
        super().__init__(connection)
        self._tls = connection._sslobj  # noqa: SLF001 - OpenSSL's object; the socket's own methods would wait

    def send_some(self, data: bytes) -> bytes:
        """Send what can be sent without waiting; the rest, usually b""."""
        try:
            sent: int = self._tls.write(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            sent = 0
        except ssl.SSLEOFError:
            number = errno.ECONNRESET if self._was_reset() else errno.EPIPE
            raise OSError(number, "closed by the peer") from None
        return data[sent:]

    def received(self) -> bytes | None:
        """The received bytes, b"" if the peer has closed; None if there are none after all."""
        try:
            data: bytes = self._tls.read(_SIZE)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):  # without a closing alert, or with one
            if self._was_reset():
                raise ConnectionResetError(errno.ECONNRESET, "reset by the peer") from None
            return b""
        return data

    def _was_reset(self) -> bool:
        """Python's ssl reports EOF for both; after a FIN the kernel is in CLOSE_WAIT."""
        return (
            hasattr(socket, "TCP_INFO") and self._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSED
        )

    def is_alive(self) -> bool:
        """Bytes below TLS may be a session ticket (alive) or a closing alert (not)."""
        try:
            if not self._raw.recv(1, _PEEK):
                return False
            self._tls.read(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        return False
