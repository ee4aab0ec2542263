"""Forward: one HTTP question to a pod through a port-forward of the API server, with one deadline for all of it.

The official client's port-forward has no time-out, and a thread that keeps whatever comes; so the few frames of one
question are spoken here, with the WebSocket library that the client brings. The only importer of `websocket`.
Channel 0 of the protocol is data, channel 1 errors; each begins with a frame that holds the port's number.
"""

from __future__ import annotations

import http.client
import io
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import websocket

from rollproof.clients.exchange import decoded, open_socket, said

__all__ = ["ForwardError", "ask"]

_DATA, _ERROR = 0, 1
_FRAMES_MAX = 100_000  # a peer that sends empty frames for ever is ended by this or by the deadline


class ForwardError(Exception):
    """No answer. `status` is the API server's refusal, 0 if there was none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def ask(api: Any, place: str, port: int, path: str, *, timeout_s: float, limit: int) -> tuple[int, bytes]:
    """GET `path` of the pod whose portforward subresource is `place`: (status, body). ForwardError if none came."""
    until_s = time.monotonic() + timeout_s
    web = websocket.WebSocket()
    try:
        sock = open_socket(api.rest_client.pool_manager, api.configuration.host, timeout_s=timeout_s, limit=2 * limit)
        headers = {"User-Agent": "rollproof"}
        api.update_params_for_auth(headers, [], ["BearerToken"], place, "GET", None)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        url = urlsplit(f"{api.configuration.host}{place}?ports={port}")
        web.connect(
            url._replace(scheme={"http": "ws"}.get(url.scheme, "wss")).geturl(), header=lines, socket=sock,
            subprotocols=["v4.channel.k8s.io"], redirect_limit=0, suppress_origin=True,
        )  # fmt: skip
        sock.settimeout(max(0.001, until_s - time.monotonic()))
        return _answer(_Pipe(web, port), path, limit)
    except websocket.WebSocketBadStatusException as error:
        status = int(error.status_code)
        message = f"the API server answered {status}, not 101 Switching Protocols"
        raise ForwardError(message, status if status >= 400 else 0) from None
    except (websocket.WebSocketException, http.client.HTTPException, OSError, ValueError) as error:
        raise ForwardError(said(error)) from None
    finally:
        with suppress(OSError, websocket.WebSocketException):
            web.shutdown()


def _answer(pipe: _Pipe, path: str, limit: int) -> tuple[int, bytes]:
    head = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept: */*", "Accept-Encoding: identity", "Connection: close"]
    pipe.send("\r\n".join([*head, "", ""]).encode())
    answer = http.client.HTTPResponse(pipe)  # type: ignore[arg-type] # of a socket it takes `makefile` alone
    answer.begin()
    body = answer.read(limit + 1)
    if len(body) > limit:
        raise ValueError("the pod's answer is too large")
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
        if kind == websocket.ABNF.OPCODE_CLOSE:
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
