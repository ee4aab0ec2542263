"""Stream and Listener: non-blocking TCP, with full control over how a connection ends (FIN or RST) and when.

A listener that closes must not lose connections that the kernel has accepted: they are taken first.
"""

from __future__ import annotations

import select
import socket
import struct

from rollproof_sandbox.wire.loop import IN, OUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rollproof_sandbox.wire.loop import Loop

__all__ = ["Listener", "Stream"]

_SIZE = 65_536
_BACKLOG = 4096
_UNSENT_MAX = 8 << 20  # limit for a peer that does not read
_BIND_TO_INTERFACE, _NO_INTERFACE = 62, 0x7FFF_FFFF  # SO_BINDTOIFINDEX, which Python has no name for
_NO_LINGER = struct.pack("ii", 1, 0)
_READABLE = IN | select.EPOLLHUP | select.EPOLLERR


class Stream:
    """One connection. Subclasses implement `received` (bytes) and `ended` (the peer closed it)."""

    __slots__ = ("_closing", "_unsent", "fd", "is_open", "loop", "raw")

    def __init__(self, loop: Loop, raw: socket.socket, events: int = IN) -> None:
        self.loop = loop
        self.raw = raw
        self.fd = raw.fileno()
        self.is_open = True
        self._unsent = b""
        self._closing = False
        loop.watch(self.fd, events, self.happened)

    def received(self, data: bytes) -> None:
        """The peer has sent data."""
        raise NotImplementedError

    def ended(self) -> None:
        """The peer closed or reset the connection; it must still be closed here."""
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        """Send now, or as soon as the peer takes it."""
        if not self.is_open or self._closing:
            return
        if self._unsent:
            self._unsent += data
        else:
            try:
                sent = self.raw.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return  # the next read reports the error
            if sent == len(data):
                return
            self._unsent = data[sent:]
            self.loop.change(self.fd, IN | OUT)
        if len(self._unsent) > _UNSENT_MAX:
            self.reset()

    def finish(self) -> None:
        """Close it once everything is sent."""
        self._closing = True
        if not self._unsent:
            self.close()

    def close(self) -> None:
        """Close it now (FIN)."""
        if self.is_open:
            self.is_open = False
            self.loop.forget(self.fd)
            self.raw.close()

    def reset(self) -> None:
        """Close it with RST."""
        if self.is_open:
            self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.close()

    def happened(self, events: int) -> None:
        """Called by the loop for events of the socket."""
        if events & OUT and self._unsent:
            self._flush()
        if events & _READABLE and self.is_open:
            try:
                data = self.raw.recv(_SIZE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if data:
                self.received(data)
            else:
                self.ended()

    def _flush(self) -> None:
        try:
            sent = self.raw.send(self._unsent)
        except OSError:
            return  # not ready, or broken: the next read reports it
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self.loop.change(self.fd, IN)
            if self._closing:
                self.close()


class Listener:
    """Accepts connections at one address; can be closed and opened again.

    `port` 0 takes a free one and keeps it. While closed, the port stays reserved (a second socket is bound to it and
    does not listen): connections are refused at once, and no other program can take it meanwhile.
    """

    def __init__(self, loop: Loop, address: str, port: int, taken: Callable[[socket.socket], None]) -> None:
        self._loop = loop
        self._taken = taken
        self._keeper = _bound(address, port)
        self._address = address
        self.port: int = self._keeper.getsockname()[1]
        self._listening: socket.socket | None = None

    def open(self) -> None:
        """Listen; does nothing if it already does."""
        if self._listening is None:
            self._listening = _bound(self._address, self.port)
            self._listening.listen(_BACKLOG)
            self._loop.watch(self._listening.fileno(), IN, self._ready)

    def close(self) -> None:
        """Refuse new connections. Those that the kernel has accepted are served."""
        if self._listening is not None:
            self._loop.forget(self._listening.fileno())
            _hide(self._listening)
            self._ready(IN)
            self._listening.close()
            self._listening = None

    def _ready(self, _: int) -> None:
        listening = self._listening
        while listening is not None:
            try:
                raw, _peer = listening.accept()
            except BlockingIOError:
                return
            except OSError:
                return  # the peer has disconnected, or there are no free descriptors
            raw.setblocking(False)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._taken(raw)


def _hide(listening: socket.socket) -> None:
    """Make the kernel refuse new connections before the last ones are accepted, so that none is lost in between."""
    try:
        listening.setsockopt(socket.SOL_SOCKET, _BIND_TO_INTERFACE, _NO_INTERFACE)
    except OSError:
        return  # kernels before 5.7: a connection can be reset within a few microseconds


def _bound(address: str, port: int) -> socket.socket:
    raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    raw.bind((address, port))
    return raw
