"""Pods: the routing table, the round robin, and the connections to each pod.

As nginx's upstream block: round robin, at most 64 idle connections to all pods, the most recently used first, closed
after 60 s. Before reuse a connection is checked: one that its pod has closed must not cost a request.
"""

from __future__ import annotations

import errno
import socket

from rollproof_sandbox.wire.loop import IN, OUT, now
from rollproof_sandbox.wire.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from rollproof_sandbox.wire.loop import Loop

    class Exchange(Protocol):
        """The user of a connection to a pod, and what it is notified of."""

        def connected(self) -> None:
            """The connection stands."""

        def received(self, data: bytes) -> None:
            """Bytes of the answer."""

        def lost(self) -> None:
            """The pod closed or reset the connection, or refused it."""


__all__ = ["Pods", "Upstream"]

_IDLE_MAX = 64
_IDLE_S = 60.0


class Upstream(Stream):
    """A connection to a pod: connecting, in use by an exchange, or idle."""

    __slots__ = ("_connecting", "_error", "_pods", "exchange", "idle_since_s", "peer")

    def __init__(self, pods: Pods, peer: str, exchange: Exchange) -> None:
        raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host, _, port = peer.rpartition(":")
        self._error = raw.connect_ex((host, int(port)))
        self.peer = peer
        self.idle_since_s = 0.0
        self.exchange: Exchange | None = exchange
        self._pods = pods
        self._connecting = True
        super().__init__(pods.loop, raw, OUT)

    def received(self, data: bytes) -> None:
        """Part of a response; on an idle connection nothing was requested."""
        if self.exchange is None:
            self._pods.drop(self)
        else:
            self.exchange.received(data)

    def ended(self) -> None:
        """The pod closed or reset it, or could not be reached."""
        if not self.is_open:
            return
        exchange = self.exchange
        if exchange is None:
            self._pods.drop(self)
        else:
            exchange.lost()

    def happened(self, events: int) -> None:
        """The first event says whether it is connected."""
        if not self._connecting:
            super().happened(events)
            return
        if self._error not in (0, errno.EINPROGRESS) or self.raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.ended()
            return
        self._connecting = False
        self.loop.change(self.fd, IN)
        if self.exchange is not None:
            self.exchange.connected()

    def is_sound(self) -> bool:
        """Whether neither data nor an end is waiting in it."""
        try:
            self.raw.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False


class Pods:
    """`table` is replaced as a whole: an exchange keeps the one that it began with, as in nginx."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.table: Sequence[str] = ()
        self._turn = 0
        self._idle: list[Upstream] = []  # oldest first

    def next_turn(self) -> int:
        """A counter of requests; modulo the number of pods it gives the next pod."""
        self._turn += 1
        return self._turn

    def idle(self, peer: str) -> Upstream | None:
        """An idle connection to that pod, removed from the idle ones; None if there is none."""
        for upstream in reversed(self._idle):
            if upstream.peer == peer:
                self._idle.remove(upstream)
                if upstream.is_sound():
                    return upstream
                upstream.close()
                return self.idle(peer)
        return None

    def keep(self, upstream: Upstream) -> None:
        """Take a connection back from an exchange."""
        upstream.exchange = None
        upstream.idle_since_s = now()
        self._idle.append(upstream)
        if len(self._idle) > _IDLE_MAX:
            self._idle.pop(0).close()

    def drop(self, upstream: Upstream) -> None:
        """An idle connection ended."""
        self._idle.remove(upstream)
        upstream.close()

    def sweep(self, moment_s: float) -> None:
        """Close what was idle for too long."""
        while self._idle and moment_s - self._idle[0].idle_since_s > _IDLE_S:
            self._idle.pop(0).close()

    def close_idle(self) -> None:
        """Close all idle connections, as the workers do that a reload replaces."""
        while self._idle:
            self._idle.pop().close()
