"""A little web server of the tests' own on 127.0.0.1 that is not the app: it redirects."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Elsewhere(BaseHTTPRequestHandler):
    """Answers like a server that is not the app."""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", f"https://shop.example.com{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def elsewhere(certificate: Path | None = None) -> Iterator[str]:
    """A little server of ours: its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.02), daemon=True).start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
