"""Exchange: one request on its way to a pod and back, with nginx's rules for retries.

nginx 1.22 with `proxy_next_upstream error timeout` and three tries, as read in ngx_http_upstream.c:
* a connect that fails is tried at the next pod, whatever the method;
* once bytes were sent, POST, PATCH and LOCK are not tried again, other methods are;
* an error on a connection that was used before does not count as a try;
* once the head of an answer has arrived, nothing is tried again: what is cut stays cut;
* an answer that is not HTTP is 502 without another try; 502 for errors, 504 when time ran out, 503 without any pod.
"""

from __future__ import annotations

from rollproof_sandbox.ingress.pages import page
from rollproof_sandbox.ingress.pods import Upstream
from rollproof_sandbox.wire.http1 import Body, Head, MalformedError
from rollproof_sandbox.wire.loop import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from rollproof_sandbox.ingress.shared import Shared
    from rollproof_sandbox.wire.http1 import Request

    class Client(Protocol):
        """The client that waits for the response. `last`: it is the last one on the connection."""

        last: bool

        def send(self, data: bytes) -> None:
            """Pass bytes of the answer on."""

        def answered(self) -> None:
            """The exchange is over."""


__all__ = ["Exchange"]

_TRIES_MAX = 3
_CONNECT_S, _READ_S = 5.0, 60.0
_HEAD_MAX = 65_536
_SENT_ONCE = (b"POST", b"PATCH", b"LOCK")
_NOT_SENT = frozenset((b"connection", b"keep-alive", b"host", b"x-request-id", b"expect"))
_NOT_RETURNED = frozenset((b"connection", b"keep-alive", b"server", b"x-request-id"))


class Exchange:
    """`due_s`: time at which the pod has taken too long; the worker checks it."""

    __slots__ = (
        "_body", "_cached", "_client", "_host", "_id", "_keeps", "_peers", "_received", "_request", "_sent",
        "_shared", "_started_s", "_statuses", "_tries", "_turn", "_upstream", "_upstreams", "due_s",
    )  # fmt: skip

    def __init__(self, shared: Shared, client: Client, request: Request, host: bytes, request_id: bytes) -> None:
        self._shared, self._client, self._request = shared, client, request
        self._host, self._id = host, request_id
        self._started_s = now()
        self._peers = shared.pods.table
        self._turn = shared.pods.next_turn()
        self._tries = min(len(self._peers), _TRIES_MAX)
        self._upstreams: list[str] = []
        self._statuses: list[str] = []
        self._upstream: Upstream | None = None
        self._cached = self._keeps = self._sent = False
        self._received = b""
        self._body: Body | None = None  # of the answer, once its head is here
        self.due_s = 0.0

    @property
    def begun(self) -> bool:
        """Whether the head of the response has arrived, and was sent to the client."""
        return self._body is not None

    def start(self) -> None:
        """Ask the first pod."""
        self._shared.exchanges.add(self)
        if self._peers:
            self._try()
        else:
            self._refuse(503)

    def _try(self) -> None:
        peer = self._peers[self._turn % len(self._peers)]
        self._upstreams.append(peer)
        self._sent, self._received = False, b""
        upstream = self._shared.pods.idle(peer)
        self._cached = upstream is not None
        if upstream is None:
            self.due_s = now() + _CONNECT_S
            self._upstream = Upstream(self._shared.pods, peer, self)
        else:
            upstream.exchange = self
            self._upstream = upstream
            self.connected()

    def connected(self) -> None:
        """The connection is established: send the request."""
        if self._upstream is not None:
            self._sent = True
            self.due_s = now() + _READ_S
            self._upstream.send(self._wire())

    def _wire(self) -> bytes:
        request = self._request
        lines = [b"%s %s HTTP/1.1" % (request.method, request.target), b"Host: " + self._host]
        lines += [line for name, line in request.head.lines if name not in _NOT_SENT]
        return b"%s\r\nX-Request-ID: %s\r\n\r\n%s" % (b"\r\n".join(lines), self._id, request.body)

    # -- what becomes of it --------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Bytes of the response have arrived."""
        self.due_s = now() + _READ_S
        try:
            if self._body is None:
                data = self._take_head(data)
            if self._body is not None:
                self._take_body(self._body, data)
        except MalformedError:
            self._invalid()

    def lost(self) -> None:
        """The pod closed or reset the connection, or refused it."""
        if self._body is None:
            self._failed(502)
        elif self._body.ends_with_peer:
            self._end(keep=False)
        else:
            self._cut()

    def timed_out(self) -> None:
        """The pod took too long."""
        if self._body is None:
            self._failed(504)
        else:
            self._cut()

    def aborted(self) -> None:
        """The client has closed the connection."""
        if self._body is None:
            self._statuses.append("-")
        self._drop_upstream()
        self._log(499)

    # -- the answer ----------------------------------------------------------------------------------------------

    def _take_head(self, data: bytes) -> bytes:
        """Send the head to the client if it is complete; returns the bytes after it."""
        self._received += data
        while True:
            text, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                if len(text) > _HEAD_MAX:
                    raise MalformedError("the headers do not end")
                return b""
            head = Head(text)
            version, _, status = head.first.partition(b" ")
            if not version.startswith(b"HTTP/1.") or not status[:3].isdigit():
                raise MalformedError("not a status line")
            if not status.startswith(b"1"):
                break
            self._received = rest
        bare = self._request.method == b"HEAD" or status[:3] in (b"204", b"304")
        self._body = Body(0, chunked=False) if bare else Body(head.length, chunked=head.is_chunked)
        self._statuses.append(status[:3].decode())
        client = self._client
        client.last = client.last or self._body.ends_with_peer
        self._keeps = head.keeps_alive(version) and not self._body.ends_with_peer
        lines = [b"HTTP/1.1 " + status, b"Server: sandbox-ingress"]
        lines += [line for name, line in head.lines if name not in _NOT_RETURNED]
        lines.append(b"Connection: close" if client.last else b"Connection: keep-alive")
        self._received = b"%s\r\nX-Request-ID: %s\r\n\r\n" % (b"\r\n".join(lines), self._id)
        return rest

    def _take_body(self, body: Body, data: bytes) -> None:
        taken = body.feed(data)
        self._client.send(self._received + data[:taken])
        self._received = b""
        if body.done:
            self._end(keep=self._keeps and taken == len(data))

    def _end(self, *, keep: bool) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            if keep and upstream.is_open:
                self._shared.pods.keep(upstream)
            else:
                upstream.close()
        self._log(int(self._statuses[-1]))
        self._client.answered()

    def _cut(self) -> None:
        """Cut the response for the client where it was cut for us."""
        self._drop_upstream()
        self._log(int(self._statuses[-1]))
        self._client.last = True
        self._client.answered()

    def _failed(self, status: int) -> None:
        self._drop_upstream()
        self._statuses.append(str(status))
        if not (self._cached and status == 502):
            self._tries -= 1
        if self._tries <= 0 or (self._sent and self._request.method in _SENT_ONCE):
            self._refuse(status)
        else:
            self._turn += 1
            self._try()

    def _invalid(self) -> None:
        if self._body is not None:
            self._cut()
            return
        self._drop_upstream()
        self._statuses.append("502")
        self._refuse(502)

    def _refuse(self, status: int) -> None:
        client = self._client
        client.send(page(status, self._id, last=client.last, bare=self._request.method == b"HEAD"))
        self._log(status)
        client.answered()

    def _drop_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.exchange = None
            upstream.close()

    def _log(self, status: int) -> None:
        self._shared.exchanges.discard(self)
        request = self._request
        self._shared.log.write(
            self._id, request.method, request.target, self._host, status, now() - self._started_s,
            self._upstreams, self._statuses,
        )  # fmt: skip
