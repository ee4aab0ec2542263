"""Exchange: one HTTP exchange has one deadline for all of it and a limit of bytes. Shared by all who speak HTTP here.

urllib3's time-outs are for each read: a peer that sends one byte a second keeps such a reader for ever. So the sockets
here take a time-out as a deadline: from `settimeout` on, all that is done with them must end within it. urllib3 sets
it when it connects (connect) and when it begins to read (what is left of the total), and never again: that covers
endless headers, endless interim answers and bodies that trickle. Must never retry, redirect, or wait for more than
the deadline, name resolution included.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import math
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

if TYPE_CHECKING:
    _Base = socket.socket
else:
    _Base = object

__all__ = [
    "MIB", "BodyError", "FinalResponse", "bounded", "dated_s", "decoded", "extend", "open_socket", "pools_by_scheme",
    "read_body", "said", "time_out", "was_sent", "watch_sending",
]  # fmt: skip

MIB = 1 << 20
CONNECT_S = 5.0  # at most, of the whole
_CHUNK = 1 << 16
_YEAR_MIN = 2000  # a clock that was never set tells no time
_NAMES_MAX = 8  # addresses of one name that are tried
_GZIP_BEGINS = b"\x1f\x8b"
_MEMBERS_MAX = 100
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS  # zlib tells the two apart by their first bytes
T = TypeVar("T")


class BodyError(ValueError):
    """A body that cannot be had: too large, of an encoding that nobody asked for, or not what its encoding says."""


def time_out(whole_s: float) -> urllib3.Timeout:
    """The time-out that makes an exchange end within `whole_s`, from connect to the last byte."""
    return urllib3.Timeout(total=whole_s, connect=min(CONNECT_S, whole_s))


def read_body(response: Any, *, limit: int) -> bytes:
    """The whole body, decoded, of at most `limit` bytes both as it comes and when it is decoded.

    BodyError if it is larger or cannot be decoded; urllib3's own errors if it breaks off or is late.
    """
    lengths = {length.strip() for length in response.headers.get("Content-Length", "").split(",")} - {""}
    if len(lengths) > 1 or not all(length.isdecimal() and length.isascii() for length in lengths):
        raise BodyError("the answer's Content-Length is no number")  # else it would count as a body until the close
    if (response.length_remaining or 0) > limit:
        raise _too_large(limit)
    body = bytearray()
    for chunk in response.stream(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return decoded(bytes(body), response.headers.get("Content-Encoding", ""), limit=limit)


def decoded(body: bytes, encoding: str, *, limit: int) -> bytes:
    """The body without its content encoding. We ask for `identity`; some fronts compress whatever passes."""
    name = encoding.strip().lower()
    if name in {"", "identity"} or not body:
        return body
    if name not in {"gzip", "x-gzip", "deflate"}:
        raise BodyError(f"the answer is encoded as {encoding[:40]!r}, although identity was asked for")
    try:
        return _inflated(body, _GZIP_OR_ZLIB, limit)
    except zlib.error as error:
        if name == "deflate":  # some send it without zlib's frame
            with contextlib.suppress(zlib.error):
                return _inflated(body, -zlib.MAX_WBITS, limit)
        raise BodyError(f"the answer says that it is {name}, and is not: {error}") from None


def _inflated(body: bytes, window_bits: int, limit: int) -> bytes:
    """gzip may have several members, one behind the other (RFC 1952, 2.2): all of them are the body."""
    found = b""
    for _ in range(_MEMBERS_MAX):
        engine = zlib.decompressobj(window_bits)
        found += engine.decompress(body, limit + 1 - len(found))
        if len(found) > limit:
            raise _too_large(limit)
        if not engine.eof:
            raise BodyError("the compressed answer is cut off")
        body = engine.unused_data
        if not body.startswith(_GZIP_BEGINS):  # the end, or what some pad it with
            return found
    raise BodyError(f"the compressed answer has more than {_MEMBERS_MAX} parts")


def _too_large(limit: int) -> BodyError:
    return BodyError(f"the answer is larger than {limit / MIB:g} MiB")


def bounded(call: Callable[[], T], whole_s: float, what: str) -> T:
    """What `call` returns or raises, if it does so in time; else TimeoutError, and the call is left to itself.

    For calls that have no time-out of their own (name resolution, a library's handshake).
    """
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(call())
        except BaseException as error:  # noqa: BLE001 - it is raised below, in the thread that asked
            failed.append(error)

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    thread.join(max(0.0, whole_s))
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError(f"{what} took longer than {whole_s:.0f} s")
    return found[0]


# -- was it sent? -----------------------------------------------------------------------------------------------------

_sending = threading.local()


@contextlib.contextmanager
def watch_sending() -> Iterator[None]:
    """In the block `was_sent` tells whether this thread has begun to send a request."""
    _sending.begun = False
    yield


def was_sent() -> bool:
    """Whether any byte of a request may have left since `watch_sending`: then it may have been done."""
    return bool(getattr(_sending, "begun", True))


# -- sockets with a deadline ------------------------------------------------------------------------------------------


class _Deadline(_Base):
    """A socket whose time-out is for all that is done from when it was set, not for each call."""

    _until_s = math.inf
    _left_bytes = math.inf

    def allow(self, limit: int) -> None:
        """From now on no more than so many bytes may be received."""
        self._left_bytes = limit

    def _count(self, received: int) -> None:
        self._left_bytes -= received
        if self._left_bytes < 0:
            raise OSError(errno.EMSGSIZE, "the peer sends more than it may")

    def settimeout(self, value: float | None) -> None:
        self._until_s = math.inf if value is None else time.monotonic() + value
        super().settimeout(value)

    def _hurry(self) -> None:
        if self._until_s == math.inf:
            return
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        super().settimeout(left_s)

    def recv(self, *args: Any) -> bytes:
        self._hurry()
        data = super().recv(*args)
        self._count(len(data))
        return data

    def recv_into(self, *args: Any) -> int:
        self._hurry()
        received = super().recv_into(*args)
        self._count(received)
        return received

    def send(self, *args: Any) -> int:
        self._hurry()
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
        self._hurry()
        super().sendall(*args)


class _PlainSocket(_Deadline, socket.socket):
    """TCP."""


class _TlsSocket(_Deadline, ssl.SSLSocket):
    """TLS; the SSL context makes these by itself."""


def _addresses(host: str, port: int, within_s: float) -> list[Any]:
    """What getaddrinfo says. An address is itself at once; only a name needs a thread that can be left waiting."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return bounded(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), within_s, "getaddrinfo")


class FinalResponse(http.client.HTTPResponse):
    """Passes over every interim answer (1xx: Early Hints, Processing), as RFC 9110 15.2 wants.

    The standard library passes over 100 alone, and takes any other for the answer, with an empty body.
    """

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            said: tuple[str, int, str] = super()._read_status()  # type: ignore[misc] # not in the stubs
            if not 100 < said[1] < 200 or said[1] == HTTPStatus.SWITCHING_PROTOCOLS:
                return said
            http.client.parse_headers(self.fp)


class _Connecting:
    """What both kinds of connection have in common: bounded name resolution, and noting that something was sent."""

    response_class: Any = FinalResponse

    def _new_conn(self: Any) -> socket.socket:
        whole_s = float(self.timeout)
        until_s = time.monotonic() + whole_s
        try:
            found = _addresses(self._dns_host, self.port, whole_s)
        except (socket.gaierror, UnicodeError) as error:
            raise urllib3.exceptions.NameResolutionError(self.host, self, socket.gaierror(str(error))) from error
        except TimeoutError as error:
            raise urllib3.exceptions.ConnectTimeoutError(self, f"{self.host} was not resolved in time") from error
        refused: OSError | None = None
        found = found[:_NAMES_MAX]
        for number, (family, kind, protocol, _, address) in enumerate(found):
            left_s = until_s - time.monotonic()  # shared out, so that one dead address does not take the others' time
            sock = _PlainSocket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(max(0.001, left_s / (len(found) - number)))
                sock.connect(address)
            except OSError as error:
                sock.close()
                refused = error
                continue
            return sock
        if isinstance(refused, TimeoutError):
            raise urllib3.exceptions.ConnectTimeoutError(self, f"no connection to {self.host} in time") from refused
        raise urllib3.exceptions.NewConnectionError(self, f"no connection: {refused}") from refused

    def send(self: Any, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _sending.begun = True
        try:
            super().send(data)  # type: ignore[misc] # mixed into HTTPConnection below
        except ssl.SSLEOFError as error:  # the peer has closed: urllib3 goes on to read why, as it does without TLS
            raise BrokenPipeError(errno.EPIPE, str(error)) from error

    def getresponse(self: Any) -> Any:
        sock = self.sock
        response = super().getresponse()  # type: ignore[misc] # mixed into HTTPConnection below
        response.deadline_socket = sock  # the connection forgets it when the server says that it will close
        return response


class _PlainConnection(_Connecting, HTTPConnection):
    """http://"""


class _TlsConnection(_Connecting, HTTPSConnection):
    """https://"""

    def connect(self) -> None:
        if self.ssl_context is None:  # as urllib3 makes it, but with our sockets
            self.ssl_context = create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs))
            if not (self.ca_certs or self.ca_cert_dir or self.ca_cert_data):
                self.ssl_context.load_default_certs()
        self.ssl_context.sslsocket_class = _TlsSocket
        super().connect()


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def pools_by_scheme() -> dict[str, Any]:
    """For a PoolManager's `pool_classes_by_scheme`: connections whose time-outs are deadlines."""
    return {"http": _PlainPool, "https": _TlsPool}


def dated_s(date: str) -> float | None:
    """What HTTP's Date says, in seconds since 1970 with a grain of one; None if it says nothing."""
    try:
        said = parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        return None
    # "-0000" is UTC of an unknown place (RFC 5322 3.3), and no time of ours.
    return said.replace(tzinfo=said.tzinfo or UTC).timestamp() if said.year > _YEAR_MIN else None


def extend(response: Any, whole_s: float) -> None:
    """From now on what is still to come of this answer has so long: for answers that go on, such as a watch."""
    response.deadline_socket.settimeout(whole_s)


def open_socket(manager: Any, url: str, *, timeout_s: float, limit: int) -> Any:
    """A connected socket to the URL's server, by the manager's TLS and proxy, for a protocol that is not plain HTTP.

    All that is done with it must end within `timeout_s` and `limit` bytes. urllib3's errors, OSError.
    """
    pool = manager.connection_from_url(url)
    connection = pool._new_conn()  # noqa: SLF001 - the library has no other way to a connection that is not pooled
    connection.timeout = min(CONNECT_S, timeout_s)
    try:
        if pool.proxy is not None and pool.scheme == "https":
            pool._prepare_proxy(connection)  # noqa: SLF001 - the tunnel
        else:
            connection.connect()
    except urllib3.exceptions.HTTPError as error:
        raise OSError(f"no connection: {said(error)}") from error
    sock, connection.sock = connection.sock, None
    sock.settimeout(timeout_s)
    sock.allow(limit)
    return sock


def said(error: BaseException) -> str:
    """What an error of urllib3's says, in one short line, without the library's own names of objects."""
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.strerror:
            return str(cause.strerror)
        if isinstance(cause, http.client.HTTPException):
            return f"{type(cause).__name__}: {cause}"[:200]
    text = str(error)
    if isinstance(error, urllib3.exceptions.PoolError):
        text = text.removeprefix(f"{error.pool}: ")
    return " ".join(text.split())[:200] or type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        inside = next((part for part in current.args if isinstance(part, BaseException)), None)
        current = (
            getattr(current, "reason", None)
            if isinstance(getattr(current, "reason", None), BaseException)
            else (inside or current.__cause__)
        )
