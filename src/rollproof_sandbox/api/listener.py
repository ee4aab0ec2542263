"""Listener: a TCP port that serves each connection in a thread, and can be closed and opened again.

http.server stops only after a poll interval, and does not keep the connections that it has accepted; a simulated outage
of the API server needs both at once.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

__all__ = ["Listener"]


class Listener:
    """Listens on 127.0.0.1:`port` (0: a free one, kept from then on). `serve` gets each connection, in its thread."""

    def __init__(self, port: int, serve: Callable[[socket.socket], None]) -> None:
        self.port = port
        self._serve = serve
        self._lock = threading.Lock()
        self._listening: socket.socket | None = None
        self._open: set[socket.socket] = set()

    def start(self) -> None:
        """Listen. OSError when the port is taken."""
        listening = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = listening.getsockname()[1]
        with self._lock:
            self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), name="api-accept", daemon=True).start()

    def stop(self) -> None:
        """Refuse new connections and close the open ones."""
        with self._lock:
            listening, self._listening = self._listening, None
            cut = [*self._open]
        for one in [*([listening] if listening else []), *cut]:
            with contextlib.suppress(OSError):  # it has ended already
                one.shutdown(socket.SHUT_RDWR)
        if listening:
            listening.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return  # stopped
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                kept = self._listening is listening
                if kept:
                    self._open.add(connection)
            if not kept:
                connection.close()
                return
            threading.Thread(target=self._run, args=(connection,), name="api-connection", daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError):  # the client went away, or we were cut
                self._serve(connection)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()
