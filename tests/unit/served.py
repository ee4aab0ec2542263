"""A server of a test, from when it may be asked to its end, which nobody waits for.

`serve_forever` looks only now and then whether it is to end: of a thousand tests each waited ten milliseconds.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer

__all__ = ["served"]


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[str]:
    """It answers in the block; gives its URL. A request that is still answered at the end is not waited for.

    Not for a server that accepts TLS: a handshake that is refused is an error of `accept` like its end.
    """
    server.daemon_threads = True

    def accept() -> None:
        with suppress(OSError):  # it is over
            while True:
                server.process_request(*server.get_request())

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.socket.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.server_close()
