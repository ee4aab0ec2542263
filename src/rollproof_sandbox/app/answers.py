"""The pod's responses to each path, as bytes. Knows no sockets."""

from __future__ import annotations

import json
import time

from rollproof_sandbox.app.cron import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rollproof_sandbox.wire.http1 import Request

__all__ = ["Answers", "slow_s"]

_SLOW_MAX_MS = 5000
_JSON, _HTML = b"application/json", b"text/html; charset=utf-8"
_WORDS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 405: b"Method Not Allowed", 411: b"Length Required",
          500: b"Internal Server Error", 503: b"Service Unavailable"}  # fmt: skip
_OTHER_BODY = b"<!doctype html><title>Welcome</title><h1>It works!</h1>\n"


def slow_s(target: bytes) -> float | None:
    """The delay that `/slow?ms=N` asks for, in seconds; None if N is not a whole number."""
    _, _, query = target.partition(b"?")
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == b"ms":
            return min(int(value), _SLOW_MAX_MS) / 1000 if value.isdigit() else None
    return 0.3


class Answers:
    """Counts responses, because some settings apply to every n-th."""

    def __init__(self, told: dict[str, Any]) -> None:
        app = told["app"]
        self._app: dict[str, Any] = app
        self._version: str = app["health_version"] or told["sha"]
        self._old_version: str = told["old_sha"] or told["sha"]
        self._pod: str = told["pod"]
        self._every: int = app["old_version_every"]
        self._table: str = told["table"]
        self._count = 0
        self._second, self._dated = 0, b""

    def to(self, request: Request, path: bytes, hit: dict[str, float], *, last: bool) -> tuple[int, bytes]:
        """Status and bytes of the response; `hit` are the troubles that apply to it."""
        self._count += 1
        old = self._every > 0 and self._count % self._every == 0
        version = self._old_version if old else self._version
        if "http-500" in hit:
            status, kind, body = 500, _JSON, b'{"error":"internal error"}\n'
        elif "http-503" in hit:
            status, kind, body = 503, _JSON, b'{"error":"busy"}\n'
        elif "wrong-body" in hit:
            return 200, self._message(200, _HTML, _OTHER_BODY, "", last=last, bare=request.method == b"HEAD")
        else:
            status, kind, body = self._content(request, path, version)
        return status, self._message(status, kind, body, version, last=last, bare=request.method == b"HEAD")

    def _content(self, request: Request, path: bytes, version: str) -> tuple[int, bytes, bytes]:
        if path == b"/":
            return 200, _HTML, self._page(version)
        if path == b"/health":
            down = self._app["health_follows_database"] and self._app["database"] != "ok"
            return (503 if down else 200), _JSON, self._json({"status": "down" if down else "ok", "version": version})
        if path == b"/ready":
            return self._ready(version)
        if path == b"/echo":
            if request.method != b"POST":
                return 405, _JSON, b'{"error":"POST only"}\n'
            if request.head.is_chunked:
                return 411, _JSON, b'{"error":"a Content-Length is needed"}\n'
            return 200, request.head.fields.get(b"content-type", b"application/octet-stream"), request.body
        if path == b"/slow":
            if (seconds := slow_s(request.target)) is None:
                return 400, _JSON, b'{"error":"ms must be a whole number of milliseconds"}\n'
            return 200, _JSON, self._json({"version": version, "slept_ms": round(seconds * 1000)})
        if path == b"/jobs" and self._table:
            return 200, _JSON, self._json({"version": version, **report(self._table)})
        return 404, _JSON, b'{"error":"no such path"}\n'

    def _ready(self, version: str) -> tuple[int, bytes, bytes]:
        app = self._app
        good = app["database"] == "ok" or app["ready_status_lies"]
        if app["never_ready"]:
            good = False
        body = {"status": "ready" if good else "unready", "version": version}
        if app["database_field"]:
            body["database"] = app["database"]
        return (200 if good else 503), _JSON, self._json(body)

    def _page(self, version: str) -> bytes:
        return f"<!doctype html><title>Shop</title><p>Version <code>{version}</code> on {self._pod}</p>\n".encode()

    def _json(self, body: dict[str, Any]) -> bytes:
        return json.dumps({**body, "pod": self._pod}, separators=(",", ":")).encode() + b"\n"

    def _date(self) -> bytes:
        """The pod's time, as HTTP spells it; made once a second."""
        second = int(time.time() + self._app["clock_ahead_s"])
        if second != self._second:
            self._second = second
            self._dated = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second)).encode()
        return self._dated

    def _message(self, status: int, kind: bytes, body: bytes, version: str, *, last: bool, bare: bool) -> bytes:
        head = b"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nX-Served-By: %s\r\nDate: %s\r\n" % (
            status, _WORDS[status], kind, len(body), self._pod.encode(), self._date(),
        )  # fmt: skip
        if version:
            head += b"X-App-Version: %s\r\n" % version.encode()
        if last:
            head += b"Connection: close\r\n"
        return head + b"\r\n" + (b"" if bare else body)
