"""HTTP/1.1 messages: whole requests, and how much of a body is missing. Pure: bytes in, state out."""

from __future__ import annotations

__all__ = ["Body", "Head", "MalformedError", "Request", "Requests"]

_HEAD_MAX = 65_536
_BODY_MAX = 8 << 20
_END = b"\r\n\r\n"


class MalformedError(ValueError):
    """Not HTTP/1.1, or longer than allowed."""


class Head:
    """A message's first line and headers. `fields` has the names in lower case; the last of several counts."""

    __slots__ = ("fields", "first", "lines")

    def __init__(self, text: bytes) -> None:
        self.first, *lines = text.split(b"\r\n")
        self.lines: list[tuple[bytes, bytes]] = []  # (name in lower case, the line as received)
        self.fields: dict[bytes, bytes] = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon:
                message = f"not a header: {line[:40]!r}"
                raise MalformedError(message)
            name = name.lower()
            self.lines.append((name, line))
            self.fields[name] = value.strip()

    @property
    def is_chunked(self) -> bool:
        """Whether its body comes in chunks."""
        return b"chunked" in self.fields.get(b"transfer-encoding", b"").lower()

    @property
    def length(self) -> int | None:
        """The value of Content-Length, or None."""
        said = self.fields.get(b"content-length")
        if said is None:
            return None
        if not said.isdigit():
            message = f"Content-Length is {said[:20]!r}"
            raise MalformedError(message)
        return int(said)

    def keeps_alive(self, version: bytes) -> bool:
        """Whether the connection may be used again after this message."""
        said = self.fields.get(b"connection", b"").lower()
        return b"keep-alive" in said if version == b"HTTP/1.0" else b"close" not in said


class Body:
    """A body being received: `feed` counts the bytes that belong to it. Without length or chunks the peer ends it."""

    __slots__ = ("_chunked", "_left", "_line", "_trailers", "done")

    def __init__(self, length: int | None, *, chunked: bool) -> None:
        self._chunked = chunked
        self._left: int | None = 0 if chunked else length
        self._line = b""
        self._trailers = False
        self.done = not chunked and length == 0

    @property
    def ends_with_peer(self) -> bool:
        """Whether only the peer's close ends it."""
        return self._left is None

    def feed(self, data: bytes) -> int:
        """The number of bytes at the begin of `data` that belong to it."""
        if self._chunked:
            return self._feed_chunks(data)
        if self._left is None:
            return len(data)
        taken = min(len(data), self._left)
        self._left -= taken
        self.done = self._left == 0
        return taken

    def _feed_chunks(self, data: bytes) -> int:
        at = 0
        while at < len(data) and not self.done:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            newline = data.find(b"\n", at)
            end = len(data) if newline < 0 else newline + 1
            self._line += data[at:end]
            at = end
            if newline >= 0:
                self._line_ended(self._line.strip())
                self._line = b""
            elif len(self._line) > _HEAD_MAX:
                raise MalformedError("a chunk's size line does not end")
        return at

    def _line_ended(self, line: bytes) -> None:
        if self._trailers:
            self.done = not line
            return
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            message = f"not a chunk size: {line[:20]!r}"
            raise MalformedError(message) from None
        self._trailers = size == 0
        self._left = size + 2 if size else 0


class Request:
    """One whole request. `body` is as received: still chunked if the head says so."""

    __slots__ = ("body", "head", "method", "target", "version")

    def __init__(self, head: Head) -> None:
        parts = head.first.split(b" ")
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
            message = f"not a request line: {head.first[:40]!r}"
            raise MalformedError(message)
        self.head = head
        self.method, self.target, self.version = parts
        self.body = b""

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants to use the connection again."""
        return self.head.keeps_alive(self.version)


class Requests:
    """Splits received bytes into requests."""

    __slots__ = ("_body", "_buffer", "_pending")

    def __init__(self) -> None:
        self._buffer = b""
        self._pending: Request | None = None
        self._body: Body | None = None

    @property
    def begun(self) -> bool:
        """Whether part of a request is here."""
        return bool(self._buffer) or self._pending is not None

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._buffer += data
        if len(self._buffer) > _BODY_MAX:
            raise MalformedError("too much")

    def next(self) -> Request | None:
        """The next request, if it is complete."""
        if self._pending is None:
            end = self._buffer.find(_END)
            if end < 0:
                if len(self._buffer) > _HEAD_MAX:
                    raise MalformedError("the headers do not end")
                return None
            request = Request(Head(self._buffer[:end].lstrip(b"\r\n")))
            self._buffer = self._buffer[end + 4 :]
            head = request.head
            body = Body(head.length or 0, chunked=head.is_chunked)
            if body.done:
                return request
            self._pending, self._body = request, body
        return self._take_body(self._pending)

    def _take_body(self, request: Request) -> Request | None:
        body = self._body
        if body is None:
            return None
        taken = body.feed(self._buffer)
        request.body += self._buffer[:taken]
        self._buffer = self._buffer[taken:]
        if len(request.body) > _BODY_MAX:
            raise MalformedError("the body is too long")
        if not body.done:
            return None
        self._pending = self._body = None
        return request
