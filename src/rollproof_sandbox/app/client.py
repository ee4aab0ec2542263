"""Client: one connection to the pod. One request at a time is answered; further ones wait."""

from __future__ import annotations

from rollproof_sandbox.app.answers import slow_s
from rollproof_sandbox.wire.http1 import MalformedError, Requests
from rollproof_sandbox.wire.loop import now
from rollproof_sandbox.wire.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any, Protocol

    from rollproof_sandbox.app.answers import Answers
    from rollproof_sandbox.app.troubles import Troubles
    from rollproof_sandbox.wire.http1 import Request
    from rollproof_sandbox.wire.loop import Loop

    class Pod(Protocol):
        """The pod of a connection, as far as it needs it."""

        loop: Loop
        settings: dict[str, Any]
        answers: Answers
        troubles: Troubles
        clients: set[Client]
        draining: bool

        def called_ready(self) -> None:
            """A readiness probe got a good answer."""


__all__ = ["Client"]

_RESETS = frozenset(("reset", "reset-reused"))
_BAD = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Client(Stream):
    """`last`: the next response is the connection's last one. `busy`: a request is being answered."""

    __slots__ = ("_pod", "_requests", "_used", "busy", "last")

    def __init__(self, pod: Pod, raw: socket.socket) -> None:
        super().__init__(pod.loop, raw)
        self.busy = False
        self.last = pod.draining and pod.settings["at_sigterm"] == "drain"
        self._pod = pod
        self._used = False
        self._requests = Requests()

    def received(self, data: bytes) -> None:
        """Bytes of requests have arrived."""
        try:
            self._requests.feed(data)
            if not self.busy:
                self._next()
        except MalformedError:
            self.send(_BAD)
            self.finish()

    def ended(self) -> None:
        """The client has closed the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        super().close()
        self._pod.clients.discard(self)

    def _next(self) -> None:
        request = self._requests.next()
        if request is None:
            return
        path = request.target.partition(b"?")[0]
        hit = self._pod.troubles.hit(path, reused=self._used)
        self._used = True
        if not _RESETS.isdisjoint(hit):
            self.reset()
            return
        self.busy = True
        delay_s = self._pod.settings["latency_s"]
        if path == b"/slow":
            delay_s = slow_s(request.target) or 0.0
        if "slow" in hit:
            delay_s += self._pod.settings["slow_s"]
        if "stall" in hit:
            delay_s = max(delay_s, hit["stall"] - now())
        if path == b"/slow" and not hit:
            self._stream(request, path, delay_s)
        elif delay_s > 0:
            self.loop.later(delay_s, lambda: self._answer(request, path, hit))
        else:
            self._answer(request, path, hit)

    def _answer(self, request: Request, path: bytes, hit: dict[str, float]) -> None:
        if not self.is_open:
            return
        last = self.last or not request.keeps_alive
        status, message = self._pod.answers.to(request, path, hit, last=last)
        if "truncate" in hit:
            self.send(message[: -(len(message) - message.find(b"\r\n\r\n") - 4 + 1) // 2])
            self.finish()
            return
        self.send(message)
        if path == b"/ready" and status == 200:
            self._pod.called_ready()
        self._done(last=last)

    def _stream(self, request: Request, path: bytes, delay_s: float) -> None:
        """A long response is sent as it is made: no proxy can retry it at another pod."""
        last = self.last or not request.keeps_alive
        _, message = self._pod.answers.to(request, path, {}, last=last)
        begin = message.find(b"\r\n\r\n") + 5
        self.send(message[:begin])
        self.loop.later(delay_s, lambda: self._end_stream(message[begin:], last=last))

    def _end_stream(self, rest: bytes, *, last: bool) -> None:
        if self.is_open:
            self.send(rest)
            self._done(last=last or self.last)  # drain may have begun meanwhile

    def _done(self, *, last: bool) -> None:
        """The response is sent: close the connection, or handle the next request."""
        if last:
            self.finish()
            return
        self.busy = False
        if self._requests.begun:
            self.received(b"")
