"""An HTTP/1.1 server on 127.0.0.1 that causes failures on order, and reports each one that it caused.

Standard library only.

usage: faultserver.py [--port N] [--tls CERT KEY]
stdin:  JSON lines, one command each; its end ends the server
  {"failures": {name: k, ...}, "every": n}   inflicts each exactly k times, at every n-th eligible request
  {"windows": [{"at": s, "for": s, "mode": name}, ...]}   fails by the clock, counted from this line's arrival
stdout: JSON lines: {"ready": port, "refusing": port, "swallowing": port}; for "failures", when all are done,
  {"inflicted": {name: k}}; for each window {"truth": mode, "start_ns": .., "end_ns": .., "victims": n}

Times are of CLOCK_MONOTONIC. Window modes: the name of a failure mode (for every request), "refuse" (listener closed,
all connections reset), "close-listener" (connections are served on), "stall" (answers are held until the window's end),
"close-idle" (all connections closed once).
On the port "refusing" nobody listens; on "swallowing" a full backlog lets every connect time out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import ssl
import struct
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from load.failuremodes import FAILURE_MODES, GOOD, ODD, End, FailureMode

__all__ = ["main"]

_NO_LINGER = struct.pack("ii", 1, 0)
_ALL = {**FAILURE_MODES, **ODD}
_now = time.monotonic_ns


class Server:
    """The listener, its connections, and the failures that are due."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.port = port
        self.connections: set[_Connection] = set()
        self.window: str = ""
        self.held: list[_Connection] = []
        self.victims = 0
        self._tls = tls
        self._queue: list[str] = []
        self._every = 1
        self._eligible = 0
        self._done: Counter[str] = Counter()
        self._listener: asyncio.Server | None = None

    async def listen(self) -> None:
        """Open the listener; port 0 takes a free one and keeps it."""
        listener = socket.socket(proto=socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY only for this protocol number
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(4096)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Connection(self), sock=listener, backlog=4096, ssl=self._tls)

    def close_listener(self) -> None:
        """New connections are refused from now on."""
        if self._listener is not None:
            self._listener.close()

    def expect(self, counts: dict[str, int], every: int) -> None:
        """Queue each named failure so many times, in a random order."""
        queue = [name for name, k in counts.items() for _ in range(k)]
        random.Random(len(queue)).shuffle(queue)  # noqa: S311 - an order, no secret
        self._queue, self._every, self._done = queue, max(1, every), Counter()

    def due(self, request: int) -> FailureMode | None:
        """The failure for the `request`-th request of a connection, or None to serve it well."""
        if self.window in _ALL:
            failure = _ALL[self.window]
            return None if failure.reused_only and request == 1 else failure
        if not self._queue:
            return None
        name = self._queue[-1]
        if _ALL[name].reused_only and request == 1:
            return None
        self._eligible += 1
        if self._eligible % self._every:
            return None
        self._queue.pop()
        self._done[name] += 1
        if not self._queue:
            say({"inflicted": dict(self._done)})
        return _ALL[name]

    async def run_windows(self, windows: list[dict[str, Any]]) -> None:
        """Run each window in turn; report its real times when it is over."""
        begun_ns = _now()
        for window in windows:
            await _until(begun_ns + int(window["at"] * 1e9))
            victims = self.victims
            start_ns, end_ns = await self._one_window(window["mode"], int(window["for"] * 1e9))
            truth = {"truth": window["mode"], "start_ns": start_ns, "end_ns": end_ns}
            say(truth | {"victims": self.victims - victims})
        say({"windows": len(windows)})

    async def _one_window(self, mode: str, length_ns: int) -> tuple[int, int]:
        if mode == "close-idle":
            start_ns = _now()
            for connection in list(self.connections):
                connection.transport.close()
            return start_ns, _now()
        if mode in ("refuse", "close-listener"):
            self.close_listener()
            start_ns = _now()
            for connection in list(self.connections) if mode == "refuse" else ():
                connection.reset()
            await _until(start_ns + length_ns)
            await self.listen()
            return start_ns, _now()
        self.window, start_ns = mode, _now()
        await _until(start_ns + length_ns)
        self.window, end_ns = "", _now()
        held, self.held = self.held, []
        for connection in held:
            connection.transport.write(GOOD)
        return start_ns, end_ns


class _Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = b""
        self._requests = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # of a stream protocol it is always one
        self._server.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Requests carry at most the two bytes of our own POST body, so the end of the headers is enough to count."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :].removeprefix(b"{}")
            self._requests += 1
            if self._server.window == "stall":
                self._server.victims += 1
                self._server.held.append(self)
                continue
            failure = self._server.due(self._requests)
            if failure is None:
                self.transport.write(GOOD)
                if b"\r\nConnection: close" in head:
                    self.transport.close()
                continue
            self._server.victims += 1
            self._do(failure)

    def reset(self) -> None:
        """End the connection with RST."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def _do(self, failure: FailureMode) -> None:
        loop = asyncio.get_running_loop()
        if failure.trickle:
            for i in range(len(failure.data)):
                loop.call_later(0.05 * i, self._write, failure.data[i : i + 1])
            return
        if failure.end is End.CLOSE:
            self._hold_back()
        self.transport.write(failure.data)
        if failure is ODD["slow-headers"]:
            loop.call_later(0.02, self._write, GOOD[len(failure.data) :])
        if failure.end is End.CLOSE:
            if self.transport.can_write_eof():  # now: close() alone takes one more iteration of the loop
                self.transport.write_eof()
            self.transport.close()
        elif failure.end is End.RESET and failure.data:
            loop.call_later(0.02, self.reset)  # a reset at once would overtake the bytes
        elif failure.end is End.RESET:
            self.reset()

    def _hold_back(self) -> None:
        """Send the bytes together with the FIN: between them a quick client could send one more request, in vain.

        Linux holds them for 200 ms at most (tcp(7), TCP_CORK); an overloaded machine may need that for one iteration.
        """
        sock = self.transport.get_extra_info("socket")
        if sock is not None and hasattr(socket, "TCP_CORK"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)

    def _write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


def say(message: dict[str, Any]) -> None:
    """Write one JSON line to stdout."""
    print(json.dumps(message), flush=True)


async def _until(moment_ns: int) -> None:
    """Sleep, and spin for the last 1.5 ms: the reported times must be more exact than what is measured with them."""
    while (left_ns := moment_ns - _now()) > 0:
        await asyncio.sleep(left_ns / 1e9 - 0.0015 if left_ns > 3_000_000 else 0)


def _special_ports() -> tuple[list[socket.socket], int, int]:
    """A port on which nothing listens, and one whose backlog is full."""
    refusing = socket.socket()
    refusing.bind(("127.0.0.1", 0))
    swallowing = socket.socket()
    swallowing.bind(("127.0.0.1", 0))
    swallowing.listen(0)
    kept = [refusing, swallowing]
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(swallowing.getsockname())
        kept.append(filler)
    return kept, refusing.getsockname()[1], swallowing.getsockname()[1]


async def _serve(port: int, tls: ssl.SSLContext | None) -> None:
    server = Server(port, tls)
    await server.listen()
    loop = asyncio.get_running_loop()
    commands: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(commands.put_nowait, line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    kept, refusing, swallowing = _special_ports()
    say({"ready": server.port, "refusing": refusing, "swallowing": swallowing})
    while kept:
        command = json.loads(await commands.get())
        if "failures" in command:
            server.expect(command["failures"], command.get("every", 1))
        elif "windows" in command:
            await server.run_windows(command["windows"])


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(description="a server that causes failures on order")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    arguments = parser.parse_args()
    tls = None
    if arguments.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*arguments.tls)
    asyncio.run(_serve(arguments.port, tls))


if __name__ == "__main__":
    main()
