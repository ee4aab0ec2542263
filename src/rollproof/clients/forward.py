"""Forward: one HTTP question to a pod through a port-forward of the API server (`podstream`).

Channel 0 of the protocol is data, channel 1 errors; each begins with a frame that holds the port's number.
"""

from __future__ import annotations

import http.client
import io
from typing import Any

from rollproof.clients.exchange import FinalResponse, decoded
from rollproof.clients.podstream import CLOSE, opened

__all__ = ["ask"]

_DATA, _ERROR = 0, 1
_FRAMES_MAX = 100_000  # a peer that sends empty frames for ever is ended by this or by the deadline


def ask(api: Any, place: str, port: int, path: str, *, timeout_s: float, limit: int) -> tuple[int, bytes]:
    """GET `path` of the pod whose portforward subresource is `place`: (status, body). StreamError if none came."""
    with opened(api, place, f"ports={port}", timeout_s=timeout_s, limit=limit) as web:
        return _answer(_Pipe(web, port), path, limit)


def _answer(pipe: _Pipe, path: str, limit: int) -> tuple[int, bytes]:
    head = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept: */*", "Accept-Encoding: identity", "Connection: close"]
    pipe.send("\r\n".join([*head, "", ""]).encode())
    answer = FinalResponse(pipe)  # type: ignore[arg-type] # of a socket it takes `makefile` alone
    answer.begin()
    body = answer.read(limit + 1)
    if len(body) > limit:
        raise ValueError("the pod's answer is too large")
    if answer.length:  # what `read` with a size does not say
        raise http.client.IncompleteRead(body, answer.length)
    return answer.status, decoded(body, answer.headers.get("Content-Encoding", ""), limit=limit)


class _Pipe(io.RawIOBase):
    """The data channel as a file that ends where the pod, or the API server, ends it."""

    def __init__(self, web: Any, port: int) -> None:
        super().__init__()
        self._web = web
        self._port = port
        self._rest = b""
        self._begun = {_DATA: False, _ERROR: False}
        self._over = False

    def makefile(self, *_: object) -> io.BufferedReader:
        """As a socket does."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """It is."""
        return True

    def send(self, data: bytes) -> None:
        """To the pod."""
        self._web.send_binary(bytes((_DATA,)) + data)

    def readinto(self, buffer: Any) -> int:
        """What is there; 0 at the end."""
        frames = 0
        while not self._rest and not self._over:
            frames += 1
            if frames > _FRAMES_MAX:
                raise OSError("the API server sends frames without data")
            self._take()
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def _take(self) -> None:
        kind, data = self._web.recv_data()
        if kind == CLOSE:
            self._over = True
            return
        channel = data[0] if data else -1
        if channel not in self._begun:
            raise OSError(f"the API server sent a frame of channel {channel}")
        if not self._begun[channel]:
            self._begun[channel] = True
            if int.from_bytes(data[1:3], "little") != self._port:
                raise OSError("the API server forwards another port")
        elif channel == _ERROR:
            raise OSError(f"the API server says: {data[1:301].decode(errors='replace')}")
        else:
            self._rest = data[1:]
