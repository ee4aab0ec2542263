"""HTTP/1.1 answers, parsed strictly: an answer is whole, cut short, or not HTTP.

Pure: bytes in, state out; no socket, no clock. Must never guess: a length that is not a number, a chunk without its
size or a line that is not a header is `MalformedError`, because a lenient parser turns a broken proxy into a good
answer.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

__all__ = ["BODY_KEPT", "Answer", "Heads", "MalformedError", "plain"]

HEAD_MAX = 65_536
BODY_KEPT = 262_144  # bytes of a body that are kept for the version pointer; the rest is counted, not stored
_NO_BODY = frozenset({204, 304})
_JSON_BEGINS = frozenset(bytes((one,)) for one in b'{["-0123456789tfn \t\r\n\xef')
_FRAMING = frozenset({b"transfer-encoding", b"connection"})
_LENGTHS = _FRAMING | {b"content-length"}
_BLANKS = (b" ", b"\t")
_HEADS_KEPT = 64
_LENGTH_MAX = 20  # characters of a Content-Length: Python makes no number of thousands of digits

Heads = dict[bytes, tuple[int, bool, dict[bytes, bytes], int | None, bool]]  # fields of a head that was parsed strictly

_GZIP_BEGINS = b"\x1f\x8b"
_MEMBERS_MAX = 100
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def plain(body: bytes) -> bytes:
    """The JSON text in a body, also if a proxy has compressed it although `identity` was requested.

    Decided by its first bytes, since no JSON text begins like gzip or zlib. At most BODY_KEPT bytes; ValueError if it
    is neither. The proofs (rollproof.clients.exchange) read the same encodings, so that both see one version.
    """
    if not body or body[:1] in _JSON_BEGINS:
        return body
    for bits in (_GZIP_OR_ZLIB, -zlib.MAX_WBITS):
        try:
            return _inflated(body, bits)
        except zlib.error:
            continue
    raise ValueError("neither JSON nor compressed")


def _inflated(body: bytes, bits: int) -> bytes:
    """gzip may have several members, one behind the other (RFC 1952, 2.2): all of them are the body."""
    found = b""
    for _ in range(_MEMBERS_MAX):
        engine = zlib.decompressobj(bits)
        found += engine.decompress(body, BODY_KEPT - len(found))
        body = engine.unused_data
        if len(found) >= BODY_KEPT or not body.startswith(_GZIP_BEGINS):
            break
    return found


class MalformedError(ValueError):
    """The peer's answer is not HTTP/1.x."""


class Answer:
    """One answer as it arrives. `feed` returns True once it is whole; `end` whether the peer's close made it whole.

    `wanted` names headers (lower case) whose values are kept in `headers`. `head_only` is for answers to HEAD. `heads`
    may be shared by answers with the same `wanted` and `head_only`: while their Date is the same, most heads of an app
    are identical, and are parsed once.
    """

    __slots__ = (
        "_buffer", "_chunked", "_heads", "_in_trailers", "_left", "_wanted", "_whole", "body", "head_only", "headers",
        "reusable", "status",
    )  # fmt: skip

    def __init__(self, wanted: Iterable[bytes] = (), *, head_only: bool = False, heads: Heads | None = None) -> None:
        self._heads: Heads = {} if heads is None else heads
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.reusable = False
        self.head_only = head_only
        self._wanted = frozenset(wanted)
        self._buffer = b""
        self._left: int | None = None  # bytes still to come; None: until the peer closes (or, chunked, not known)
        self._chunked = False
        self._in_trailers = False
        self._whole = False

    def feed(self, data: bytes) -> bool:
        """Add received bytes; True when the answer is whole."""
        if self.status >= 200:
            return self._feed_body(data)
        buffer = self._buffer + data if self._buffer else data
        while True:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = buffer
                self._check_beginning(buffer)
                return False
            self._take_head(buffer[:end])
            buffer = buffer[end + 4 :]
            if self.status >= 200:
                break
        self._buffer = b""
        return self._feed_body(buffer)

    def end(self) -> bool:
        """The peer closed: True if that made the answer whole (a body without a length ends so), False if it is cut."""
        if self.status >= 200 and self._left is None and not self._chunked:
            self._whole = True
        self.reusable = False
        return self._whole

    def _check_beginning(self, buffer: bytes) -> None:
        if not b"HTTP/1.".startswith(buffer[:7]):
            raise MalformedError(f"the answer begins with {buffer[:20]!r}, not with HTTP/1.")
        if len(buffer) > HEAD_MAX:
            raise MalformedError(f"no end of the headers within {HEAD_MAX} bytes")

    def _take_head(self, head: bytes) -> None:
        known = self._heads.get(head)
        if known is not None:
            self.status, self.reusable, self.headers, self._left, self._chunked = known
            return
        self._parse_head(head)
        if self.status >= 200:
            if len(self._heads) >= _HEADS_KEPT:
                self._heads.clear()
            self._heads[head] = (self.status, self.reusable, self.headers, self._left, self._chunked)

    def _parse_head(self, head: bytes) -> None:
        lines = head.split(b"\r\n")
        first = lines[0]
        code = first[9:12]
        if first[:7] != b"HTTP/1." or first[8:9] != b" " or not code.isdigit() or first[12:13] not in (b"", b" "):
            raise MalformedError(f"not a status line: {first[:40]!r}")
        self.status = int(code)
        if self.status < 100 or self.status == 101:
            raise MalformedError(f"status {self.status} cannot answer our request")
        self.reusable = first[7:8] != b"0"
        self.headers = {}
        length = b""
        self._chunked = False
        wanted, name = self._wanted, b""
        for line in lines[1:]:
            if line[:1] in _BLANKS and name and name not in _LENGTHS:  # RFC 9112 5.2: the header before it goes on
                if name in wanted:
                    self.headers[name] += b" " + line.strip()
                continue
            name, colon, value = line.partition(b":")
            if not colon or not name or name[:1] in _BLANKS or name[-1:] in _BLANKS:
                raise MalformedError(f"not a header: {line[:40]!r}")
            name = name.lower()
            if name == b"content-length":
                if not value.strip().isdigit() or len(value) > _LENGTH_MAX or length not in (b"", value.strip()):
                    raise MalformedError(f"Content-Length is {value[:20]!r}")
                length = value.strip()
            elif name in _FRAMING:
                self._take_framing(name, value.strip().lower())
            if name in wanted:
                self.headers[name] = value.strip()
        if self.status >= 200:
            self._left = self._body_length(length)

    def _take_framing(self, name: bytes, value: bytes) -> None:
        if name == b"transfer-encoding":
            self._chunked = value.split(b",")[-1].strip() == b"chunked"
        elif b"close" in value:
            self.reusable = False
        elif b"keep-alive" in value:
            self.reusable = True

    def _body_length(self, length: bytes) -> int | None:
        if self.head_only or self.status in _NO_BODY:
            self._chunked = False
            return 0
        return int(length) if length and not self._chunked else None

    def _feed_body(self, data: bytes) -> bool:
        if self._chunked:
            return self._feed_chunks(data)
        if self._left is None:
            self._keep(data)
            return False
        self._keep(data[: self._left])
        if len(data) > self._left:
            self.reusable = False  # unrequested bytes: what comes next on this connection cannot be trusted
        self._left -= min(len(data), self._left)
        self._whole = self._left == 0
        return self._whole

    def _keep(self, data: bytes) -> None:
        room = BODY_KEPT - len(self.body)
        if room > 0 and data:
            self.body += data[:room]

    def _feed_chunks(self, data: bytes) -> bool:
        """By a place in the buffer: to cut each chunk off its front is work that grows with its square."""
        buffer = self._buffer + data if self._buffer else data
        at = 0
        pieces: list[bytes] = []
        while True:
            if self._left:  # inside a chunk: its bytes and their CRLF
                taken = buffer[at : at + self._left]
                pieces.append(taken[: max(0, self._left - 2)])
                self._left -= len(taken)
                at += len(taken)
                if self._left:
                    break
                if not taken.endswith(b"\n"):
                    raise MalformedError("a chunk is longer than it said")
            end = buffer.find(b"\r\n", at)
            if end < 0:
                if len(buffer) - at > HEAD_MAX:
                    raise MalformedError("a chunk's size line does not end")
                break
            line, at = buffer[at:end], end + 2
            if self._in_trailers:
                if not line:
                    self._whole = True
                    self.reusable = self.reusable and at == len(buffer)
                    break
            elif (size := _chunk_size(line)) == 0:
                self._in_trailers = True
            else:
                self._left = size + 2
        self._buffer = buffer[at:]
        self._keep(b"".join(pieces))
        return self._whole


def _chunk_size(line: bytes) -> int:
    digits = line.split(b";", 1)[0].strip()
    if not digits or any(byte not in b"0123456789abcdefABCDEF" for byte in digits) or len(digits) > 15:
        raise MalformedError(f"not a chunk size: {line[:20]!r}")
    return int(digits, 16)
