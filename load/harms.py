"""The harms that the fault server can do, one a class of the taxonomy: what it sends, and how it ends the connection.

`HARMS` maps the outcome that an honest client must report to the harm that causes it; several harms may cause the same
outcome. `ODD` answers look strange but are good: a client that reports them is wrong too. Pure data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["BODY", "GOOD", "HARMS", "ODD", "End", "Harm", "answer"]

BODY = b'{"status":"ok","pod":"fault-server","version":"v1"}\n'


class End(StrEnum):
    """What happens to the connection after the bytes were sent."""

    KEEP = "keep"
    CLOSE = "close"  # FIN
    RESET = "reset"  # RST
    HOLD = "hold"  # nothing more is ever sent


@dataclass(frozen=True, slots=True)
class Harm:
    """`data` is sent, then the connection ends so. `reused_only`: never done to the first request of a connection.

    `trickle` sends one byte of `data` every 50 ms, so that no single read is ever late but the whole answer is.
    """

    outcome: str
    data: bytes = b""
    end: End = End.KEEP
    reused_only: bool = False
    trickle: bool = False


def answer(status: str, body: bytes = BODY, *headers: bytes, version: bytes = b"v1", length: bool = True) -> bytes:
    """An HTTP/1.1 answer as bytes."""
    lines = [b"HTTP/1.1 " + status.encode(), b"Server: fault-server", b"Content-Type: application/json", *headers]
    if version:
        lines += [b"X-Version: " + version, b"X-Served-By: fault-server"]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


_CHUNKED = b"Transfer-Encoding: chunked"
_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)

GOOD = answer("200 OK")

HARMS: Mapping[str, Harm] = {
    "reset-reused": Harm("read.ECONNRESET", end=End.RESET, reused_only=True),
    "close-reused": Harm("read.eof", end=End.CLOSE, reused_only=True),
    "reset": Harm("read.ECONNRESET", end=End.RESET),
    "close": Harm("read.eof", end=End.CLOSE),
    "cut-length": Harm("read.truncated", GOOD[:-20], End.CLOSE),
    "cut-chunk": Harm("read.truncated", answer("200 OK", _CHUNKS, _CHUNKED, length=False)[:-5], End.CLOSE),
    "cut-reset": Harm("read.truncated", GOOD[:-20], End.RESET),
    "silence": Harm("read.timeout", end=End.HOLD),
    "trickle": Harm("read.timeout", GOOD, End.HOLD, trickle=True),
    "garbage": Harm("read.malformed", b"SSH-2.0-OpenSSH_9.9\r\n\r\n", End.CLOSE),
    "bad-length": Harm("read.malformed", answer("200 OK", BODY, b"Content-Length: many", length=False), End.CLOSE),
    "bad-chunk": Harm("read.malformed", answer("200 OK", b"zz\r\nhello\r\n", _CHUNKED, length=False), End.CLOSE),
    "wrong-body": Harm("body.wrong", answer("200 OK", b"<html>welcome</html>", version=b"")),
    "http-500": Harm("http.500", answer("500 Internal Server Error")),
    "http-502": Harm("http.502", answer("502 Bad Gateway", version=b"")),
    "http-503": Harm("http.503", answer("503 Service Unavailable", version=b"")),
    "http-504": Harm("http.504", answer("504 Gateway Timeout", version=b"")),
    "http-404": Harm("http.404", answer("404 Not Found")),
    "http-403": Harm("http.403", answer("403 Forbidden", version=b"")),
    "http-429": Harm("http.429", answer("429 Too Many Requests", version=b"")),
    "http-301": Harm("http.301", answer("301 Moved Permanently", b"", b"Location: /elsewhere")),
}

ODD: Mapping[str, Harm] = {
    "no-content": Harm("", answer("204 No Content", b"", length=False)),
    "chunked": Harm("", answer("200 OK", _CHUNKS, _CHUNKED, length=False)),
    "until-close": Harm("", answer("200 OK", length=False), End.CLOSE),
    "interim": Harm("", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + GOOD),
    "close-when-idle": Harm("", GOOD, End.CLOSE),  # says keep-alive, closes after: stale, but no failure
    "slow-headers": Harm("", GOOD[:30]),  # the rest follows 20 ms later
}
