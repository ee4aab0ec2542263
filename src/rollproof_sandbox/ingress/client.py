"""Client: one connection from outside. It is never closed by us while it works, whatever its age."""

from __future__ import annotations

import os

from rollproof_sandbox.ingress.exchange import Exchange
from rollproof_sandbox.ingress.pages import page
from rollproof_sandbox.wire.http1 import MalformedError, Requests
from rollproof_sandbox.wire.loop import now
from rollproof_sandbox.wire.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rollproof_sandbox.ingress.shared import Shared
    from rollproof_sandbox.wire.http1 import Request

__all__ = ["Client"]


class Client(Stream):
    """`last`: the response being sent, or the next one, is the last. `doomed`: the next request will be reset.

    `used`: a request on it was answered before. `busy`: a request is being answered. `gone` is called at its end.
    """

    __slots__ = ("_exchange", "_gone", "_leaving", "_requests", "_shared", "doomed", "last", "used")

    def __init__(self, shared: Shared, raw: socket.socket, gone: Callable[[Client], None]) -> None:
        super().__init__(shared.loop, raw)
        self.last = self.doomed = self.used = self._leaving = False
        self._shared = shared
        self._gone = gone
        self._requests = Requests()
        self._exchange: Exchange | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is being answered or read."""
        return self._exchange is not None or self._requests.begun

    def received(self, data: bytes) -> None:
        """Bytes of requests have arrived."""
        if self.doomed:
            self.reset()
            return
        try:
            self._requests.feed(data)
            if self._exchange is None:
                self._next()
        except MalformedError:
            if self._exchange is None:
                self._log(b"-", b"-", b"-", b"-", 400, now())
                self.send(page(400, b"-", last=True))
                self.finish()
            else:
                self.ended()

    def ended(self) -> None:
        """The client has closed the connection: the response is not needed any more."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.aborted()
        self.close()

    def leave(self) -> None:
        """The next response says "close"; one that has begun said "keep-alive", and the client relies on it."""
        if self._exchange is not None and self._exchange.begun:
            self._leaving = True
        else:
            self.last = True

    def cut(self) -> None:
        """Reset it in the middle of a response."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.aborted()
        self.reset()

    def close(self) -> None:
        """Close it."""
        super().close()
        self._gone(self)

    def answered(self) -> None:
        """The exchange is over; handle the next request."""
        self._exchange = None
        self.used = True
        if self.last:
            self.finish()
        elif self._requests.begun:
            self.received(b"")

    def _next(self) -> None:
        request = self._requests.next()
        if request is None:
            return
        fields = request.head.fields
        host = fields.get(b"host", b"").partition(b":")[0].lower()
        if self.used and host == self._shared.app_host and self._shared.drops.next():
            self.reset()
            return
        self.last = self.last or self._leaving or not request.keeps_alive
        request_id = fields.get(b"x-request-id") or os.urandom(16).hex().encode()
        if host == self._shared.app_host:
            self._exchange = Exchange(self._shared, self, request, host, request_id)
            self._exchange.start()
        else:
            self._answer(request, host, request_id)

    def _answer(self, request: Request, host: bytes, request_id: bytes) -> None:
        begun_s = now()
        status = 200 if host == self._shared.control_host else 404
        self.send(page(status, request_id, last=self.last, bare=request.method == b"HEAD"))
        self._log(request_id, request.method, request.target, host, status, begun_s)
        self.answered()

    def _log(self, request_id: bytes, method: bytes, uri: bytes, host: bytes, status: int, begun_s: float) -> None:
        self._shared.log.write(request_id, method, uri, host, status, now() - begun_s)
