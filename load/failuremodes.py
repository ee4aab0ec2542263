"""The failure modes of the fault server, at least one a class of the taxonomy: the bytes, and the connection's end.

`FAILURE_MODES` has each by its name, with the outcome that a correct client must report; several may have the same
outcome. `ODD` answers look strange but are good: a client that reports them is wrong too. Pure data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["BODY", "FAILURE_MODES", "GOOD", "ODD", "End", "FailureMode", "answer"]

BODY = b'{"status":"ok","pod":"fault-server","version":"v1"}\n'


class End(StrEnum):
    """What happens to the connection after the bytes were sent."""

    KEEP = "keep"
    CLOSE = "close"  # FIN
    RESET = "reset"  # RST
    HOLD = "hold"  # nothing more is ever sent


@dataclass(frozen=True, slots=True)
class FailureMode:
    """`data` is sent, then the connection ends as `end` says. `reused_only`: never for a connection's first request.

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

FAILURE_MODES: Mapping[str, FailureMode] = {
    "reset-reused": FailureMode("read.ECONNRESET", end=End.RESET, reused_only=True),
    "close-reused": FailureMode("read.eof", end=End.CLOSE, reused_only=True),
    "reset": FailureMode("read.ECONNRESET", end=End.RESET),
    "close": FailureMode("read.eof", end=End.CLOSE),
    "cut-length": FailureMode("read.truncated", GOOD[:-20], End.CLOSE),
    "cut-chunk": FailureMode("read.truncated", answer("200 OK", _CHUNKS, _CHUNKED, length=False)[:-5], End.CLOSE),
    "cut-reset": FailureMode("read.truncated", GOOD[:-20], End.RESET),
    "silence": FailureMode("read.timeout", end=End.HOLD),
    "trickle": FailureMode("read.timeout", GOOD, End.HOLD, trickle=True),
    "garbage": FailureMode("read.malformed", b"SSH-2.0-OpenSSH_9.9\r\n\r\n", End.CLOSE),
    "bad-length": FailureMode(
        "read.malformed", answer("200 OK", BODY, b"Content-Length: many", length=False), End.CLOSE
    ),
    "bad-chunk": FailureMode("read.malformed", answer("200 OK", b"zz\r\nhello\r\n", _CHUNKED, length=False), End.CLOSE),
    "wrong-body": FailureMode("body.wrong", answer("200 OK", b"<html>welcome</html>", version=b"")),
    "http-500": FailureMode("http.500", answer("500 Internal Server Error")),
    "http-502": FailureMode("http.502", answer("502 Bad Gateway", version=b"")),
    "http-503": FailureMode("http.503", answer("503 Service Unavailable", version=b"")),
    "http-504": FailureMode("http.504", answer("504 Gateway Timeout", version=b"")),
    "http-404": FailureMode("http.404", answer("404 Not Found")),
    "http-403": FailureMode("http.403", answer("403 Forbidden", version=b"")),
    "http-429": FailureMode("http.429", answer("429 Too Many Requests", version=b"")),
    "http-301": FailureMode("http.301", answer("301 Moved Permanently", b"", b"Location: /elsewhere")),
}

ODD: Mapping[str, FailureMode] = {
    "no-content": FailureMode("", answer("204 No Content", b"", length=False)),
    "chunked": FailureMode("", answer("200 OK", _CHUNKS, _CHUNKED, length=False)),
    "until-close": FailureMode("", answer("200 OK", length=False), End.CLOSE),
    "interim": FailureMode("", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + GOOD),
    "close-when-idle": FailureMode("", GOOD, End.CLOSE),  # says keep-alive and closes: stale, but no failure
    "slow-headers": FailureMode("", GOOD[:30]),  # the rest follows 20 ms later
}
