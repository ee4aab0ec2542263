"""A server that results are sent to: a collector, a gateway. It answers everything alike, and keeps what came."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

__all__ = ["Receiver", "receiving"]


@dataclass
class Receiver:
    """What it answers, and of each request its method, path, body and Authorization header."""

    status: int
    body: bytes
    location: str
    url: str = ""
    methods: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    logins: list[str | None] = field(default_factory=list)


@contextmanager
def receiving(status: int = 200, body: bytes = b"", location: str = "http://127.0.0.1:1/") -> Iterator[Receiver]:
    """One that runs."""
    found = Receiver(status, body, location)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.methods.append(self.command)
            found.paths.append(self.path)
            found.logins.append(self.headers["Authorization"])
            found.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(found.status)
            self.send_header("Location", found.location)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        do_PUT = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        found.url = f"http://127.0.0.1:{server.server_port}"
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
