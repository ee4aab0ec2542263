"""Responses of the ingress itself."""

from __future__ import annotations

__all__ = ["CONTROL", "page"]

CONTROL = b"control\n"
_WORDS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 502: b"Bad Gateway",
          503: b"Service Temporarily Unavailable", 504: b"Gateway Time-out"}  # fmt: skip


def page(status: int, request_id: bytes, *, last: bool, bare: bool = False) -> bytes:
    """A whole response; `bare` without its body, for HEAD."""
    title = b"%d %s" % (status, _WORDS[status])
    kind, body = b"text/html", b"<html><head><title>%s</title></head><body>%s</body></html>\n" % (title, title)
    if status == 200:
        kind, body = b"text/plain", CONTROL
    lines = [
        b"HTTP/1.1 " + title,
        b"Server: sandbox-ingress",
        b"Content-Type: " + kind,
        b"Content-Length: %d" % len(body),
        b"Connection: close" if last else b"Connection: keep-alive",
        b"X-Request-ID: " + request_id,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if bare else body)
