"""Podstream: a WebSocket to a subresource of one pod (portforward, exec), with one deadline for all of it.

The official client's streams have no time-out, and a thread that keeps whatever comes; so their few frames are spoken
here, with the WebSocket library that the client brings. The only importer of `websocket`. Each frame begins with the
number of its channel.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import websocket

from rollproof.clients.exchange import open_socket, said

__all__ = ["CLOSE", "ClosedError", "StreamError", "opened"]

CLOSE = websocket.ABNF.OPCODE_CLOSE
ClosedError = websocket.WebSocketConnectionClosedException  # the other side ended it without a word


class StreamError(Exception):
    """No answer. `status` is the API server's refusal, 0 if there was none; `begun`: the stream had been opened."""

    def __init__(self, message: str, status: int = 0, *, begun: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.begun = begun


@contextmanager
def opened(api: Any, place: str, query: str, *, timeout_s: float, limit: int) -> Iterator[Any]:
    """The WebSocket of the subresource at `place`. StreamError if it cannot be had, or breaks within the block."""
    until_s = time.monotonic() + timeout_s
    web, begun = websocket.WebSocket(), False
    try:
        sock = open_socket(api.rest_client.pool_manager, api.configuration.host, timeout_s=timeout_s, limit=2 * limit)
        headers = {"User-Agent": "rollproof"}
        api.update_params_for_auth(headers, [], ["BearerToken"], place, "GET", None)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        url = urlsplit(f"{api.configuration.host}{place}?{query}")
        web.connect(
            url._replace(scheme={"http": "ws"}.get(url.scheme, "wss")).geturl(), header=lines, socket=sock,
            subprotocols=["v4.channel.k8s.io"], redirect_limit=0, suppress_origin=True,
        )  # fmt: skip
        sock.settimeout(max(0.001, until_s - time.monotonic()))
        begun = True
        yield web
    except websocket.WebSocketBadStatusException as error:
        status = int(error.status_code)
        message = f"the API server answered {status}, not 101 Switching Protocols"
        raise StreamError(message, status if status >= 400 else 0) from None
    except (websocket.WebSocketException, http.client.HTTPException, OSError, ValueError) as error:
        raise StreamError(said(error), begun=begun) from None
    finally:
        with suppress(OSError, websocket.WebSocketException):
            web.shutdown()
