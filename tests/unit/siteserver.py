"""Site: a web server of the tests own on 127.0.0.1, which answers by method and path: an app, a registry, CI."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from served import served

__all__ = ["Site", "serving"]


class Site:
    """Answers by (method, path); with "+" behind the method where credentials are sent. Remembers every question."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[int, dict[str, str], str]] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.peers: set[Any] = set()
        self.url = ""

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")


class _Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # see fakeapi.py

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.site.asked.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        self.site.peers.add(self.client_address)
        known = "Authorization" in self.headers
        found = self.site.answers.get((self.command + ("+" if known else ""), self.path))
        status, headers, body = found or self.site.answers.get((self.command, self.path)) or (404, {}, "")
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    do_HEAD = do_GET  # noqa: N815


@contextlib.contextmanager
def serving() -> Iterator[Site]:
    """One that runs."""
    found = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": found}))
    with served(server) as found.url:
        yield found
