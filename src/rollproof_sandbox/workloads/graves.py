"""Graves: the addresses of removed pods do not answer at all, like a removed network namespace.

On loopback a closed port refuses at once, and a proxy that tries the next pod would hide what a real cluster shows: in
the lab every request to a removed pod timed out (tests/histories/bad/exits-at-sigterm). A listener that never accepts
and whose queue is full does the same: the kernel drops each further SYN.
"""

from __future__ import annotations

import socket
import threading

__all__ = ["Graves"]

_QUEUE = 0  # the kernel queues one more than that
_FILLERS = 2


class Graves:
    """Silent listeners, each until `fill`, all until `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: dict[str, list[socket.socket]] = {}

    def dig(self, ip: str, port: int) -> None:
        """From now on nothing answers there. Does nothing where a program still listens."""
        silent = socket.socket()
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            silent.bind((ip, port))
            silent.listen(_QUEUE)
        except OSError:
            silent.close()
            return
        fillers = []
        for _ in range(_FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((ip, port))
            fillers.append(filler)
        with self._lock:
            self._sockets.setdefault(ip, []).extend((silent, *fillers))

    def fill(self, ip: str) -> None:
        """The address may be used again."""
        with self._lock:
            sockets = self._sockets.pop(ip, [])
        for one in sockets:
            one.close()

    def close(self) -> None:
        """Close all of them."""
        for ip in list(self._sockets):
            self.fill(ip)
