"""One attempt over one connection: a raw HTTP/1.1 client that hides no failure.

It never retries, never follows a redirect, never takes a second connection for the same attempt, and never invents a
status: the pools of ordinary clients hide dropped requests (docs/measurement.md 4). Every attempt ends within its
deadline with exactly one outcome. HTTP/2 is out of scope.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import socket
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import gevent
import gevent.socket
import gevent.ssl

from load.answer import Answer, Heads, MalformedError
from load.lanes import Lane, Settings, Tls
from load.ticks import wait_until
from load.wire import Address, Wire, left_s, open_wire

__all__ = ["Attempt", "Connection", "Endpoint", "request_parts"]

_OVERSLEPT_NS = 100_000_000  # a time-out noticed this much too late is our own delay, not the target's
_now = time.monotonic_ns


class Attempt:
    """What happened to one attempt; the fields are those of a row of the request log."""

    __slots__ = (
        "body", "connected_ns", "connection_requests", "done_ns", "error", "first_byte_ns", "idle_ms", "intended_ns",
        "k", "reused", "send_ns", "served_by", "stale", "status", "version",
    )  # fmt: skip

    def __init__(self, k: int = 0, intended_ns: int = 0) -> None:
        self.k = k
        self.intended_ns = intended_ns
        self.send_ns = self.connected_ns = self.first_byte_ns = self.done_ns = 0
        self.status = 0
        self.error = ""
        self.reused = self.stale = False
        self.idle_ms = 0.0
        self.connection_requests = 0
        self.version = self.served_by = self.body = b""


class Endpoint:
    """The address of a lane's URL, resolved again for every connection, as by a real client's cold start."""

    def __init__(self, url: str, host_header: str, tls: Tls) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"expected an http:// or https:// URL, got {url!r}")
        self.host = parts.hostname
        try:
            self.host.encode("idna")
        except UnicodeError as problem:
            raise ValueError(f"{self.host!r} in {url!r} cannot be a host name: {problem}") from problem
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.server_name = urlsplit(f"//{host_header}").hostname or self.host
        self.context = _tls_context(tls) if parts.scheme == "https" else None
        self.heads: Heads = {}  # of one lane's answers
        self._family = 0
        self._turn = itertools.count()
        self._literal = self._literal_address()

    def settle_family(self, timeout_s: float) -> None:
        """Choose IPv4 or IPv6 once, by trying: an attempt must use one address, and not fall back to another one."""
        if self._literal is not None:
            return
        with contextlib.suppress(OSError):  # no address at all: every attempt will report it
            for family, address in self._addresses(timeout_s):
                if _accepts(address, min(1.0, timeout_s)):
                    self._family = family
                    return

    def address(self, timeout_s: float) -> tuple[int, Address]:
        """One address to connect to; with several, each in turn. Raises gaierror or TimeoutError."""
        if self._literal is not None:
            return self._literal
        found = self._addresses(timeout_s)
        same = [entry for entry in found if entry[0] == self._family] or found
        return same[next(self._turn) % len(same)]

    def _addresses(self, timeout_s: float) -> list[tuple[int, Address]]:
        with gevent.Timeout(timeout_s, socket.gaierror(socket.EAI_AGAIN, "no answer in time")):
            found = gevent.socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]

    def _literal_address(self) -> tuple[int, Address] | None:
        forms: list[tuple[int, Address]] = [
            (socket.AF_INET, (self.host, self.port)), (socket.AF_INET6, (self.host, self.port, 0, 0)),
        ]  # fmt: skip
        for family, address in forms:
            try:
                socket.inet_pton(family, self.host)
            except OSError:
                continue
            return family, address
        return None


def _accepts(address: Address, timeout_s: float) -> bool:
    try:
        gevent.socket.create_connection(address[:2], timeout=timeout_s).close()
    except OSError:
        return False
    return True


def _tls_context(tls: Tls) -> ssl.SSLContext:
    context: ssl.SSLContext = gevent.ssl.create_default_context(cafile=tls.ca_file or None)
    context.set_alpn_protocols(["http/1.1"])
    if tls.client_cert_file:
        context.load_cert_chain(tls.client_cert_file, tls.client_key_file or None)
    return context


def request_parts(lane: Lane, settings: Settings) -> tuple[bytes, bytes]:
    """The bytes before and after the attempt's number, which ends the X-Request-ID."""
    url = urlsplit(lane.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = [f"{lane.method} {target} HTTP/1.1", f"Host: {lane.host or url.netloc.rpartition('@')[2]}"]
    lines += ["User-Agent: rollproof", "Accept: */*", "Accept-Encoding: identity"]
    if lane.secrets:
        lines += [f"{name}: {value}" for name, value in settings.headers.items()]
    if lane.new_connection:
        lines.append("Connection: close")
    body = ""
    if lane.method == "POST":
        body = "{}"
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    for line in lines:
        if "\r" in line or "\n" in line:
            raise ValueError(f"a header of lane {lane.name!r} contains a line break")
    head = "\r\n".join(lines) + f"\r\nX-Request-ID: {settings.request_id_prefix}-"
    return head.encode("latin-1"), f"\r\n\r\n{body}".encode("latin-1")


class Connection:
    """At most one open connection to an endpoint; `run` makes one attempt over it, opening it first if needed.

    If nothing has to be waited for, an attempt needs no greenlet: `begin` sends, in the caller of the schedule; `hear`
    reads the first bytes, and the time; `complete` says whether they were a whole answer. All other cases are left to
    `run`, which continues where they ended.
    """

    def __init__(self, endpoint: Endpoint, lane: Lane, settings: Settings) -> None:
        self._endpoint = endpoint
        self._new = lane.new_connection
        self._head_only = lane.method == "HEAD"
        self._timeout_ns = int(settings.timeout_s * 1e9)
        self._version = settings.version_header.lower().encode()
        self._served_by = settings.served_by_header.lower().encode()
        self._wanted = frozenset(name for name in (self._version, self._served_by) if name)
        self._wire: Wire | None = None
        self._requests = 0
        self._idle_since_ns = 0
        self._begun: Attempt | None = None
        self._unsent: bytes | OSError = b""
        self._heard: bytes | OSError | None = None
        self._heard_ns = 0

    def open(self) -> None:
        """Open the connection before the first request. If that fails, `run` will report it."""
        with contextlib.suppress(OSError):
            self._wire = self._connect(_now() + self._timeout_ns)
            self._idle_since_ns = _now()

    def begin(self, request: bytes, attempt: Attempt, waiter: Callable[[bool], object]) -> bool:
        """Send at once over an open connection, and have `waiter` called when there is something to `hear`.

        False if something has to be waited for: then `run` does what is left, which may be all of it.
        """
        wire = self._wire
        if wire is None:
            return False
        if not wire.is_alive():
            attempt.stale = True
            self.close()
            return False
        attempt.send_ns = wait_until(attempt.intended_ns)
        self._begun = attempt
        self._reuse(attempt)
        try:
            self._unsent = wire.send_some(request)
        except OSError as problem:
            self._unsent = problem
        if self._unsent:
            return False
        wire.expect(waiter)
        return True

    def give_up(self) -> None:
        """The deadline of the attempt that was begun has passed."""
        if self._wire is not None:
            self._wire.give_up()

    def hear(self, ready: bool) -> None:
        """Read the bytes that have arrived, with the time. Their content can wait, the next answer's time cannot."""
        self._heard = TimeoutError()
        if ready and self._wire is not None:
            try:
                self._heard = self._wire.received()
            except OSError as problem:
                self._heard = problem
        self._heard_ns = _now()

    def complete(self, attempt: Attempt) -> bool:
        """Fill in `attempt` if the bytes are a whole answer; else False, and `run` must continue."""
        if self._begun is not attempt or not isinstance(self._heard, bytes):
            return False
        answer = self._answer()
        try:
            if not answer.feed(self._heard):
                return False
        except MalformedError:
            return False
        self._begun = None
        attempt.first_byte_ns = attempt.done_ns = self._heard_ns
        self._settle(attempt, answer)
        return True

    def run(self, request: bytes, attempt: Attempt) -> None:
        """Fill in `attempt`: send `request`, read its answer. Never raises for anything the network does."""
        begun, self._begun = self._begun is attempt, None
        if not begun:
            attempt.send_ns = _now()
            if self._wire is not None and not self._wire.is_alive():
                attempt.stale = True
                self.close()
            self._reuse(attempt)
        deadline_ns = attempt.send_ns + self._timeout_ns
        phase = "connect"
        answer = self._answer()
        try:
            if self._wire is None:
                self._wire = self._connect(deadline_ns)
                attempt.connected_ns = _now()
            phase = "send"
            first = None
            if not begun:
                self._wire.send(request, deadline_ns)
            elif self._unsent:
                self._go_on_sending(self._wire, deadline_ns)
            else:
                phase = "read"
                first = self._first_bytes(attempt)
            phase = "read"
            attempt.error = _read(self._wire, attempt, answer, deadline_ns, first)
        except OSError as problem:
            attempt.error = _name(phase, problem, attempt.first_byte_ns, deadline_ns)
        except MalformedError:
            attempt.error = "read.malformed"
        attempt.done_ns = _now()
        self._settle(attempt, answer)

    def _answer(self) -> Answer:
        return Answer(self._wanted, head_only=self._head_only, heads=self._endpoint.heads)

    def _reuse(self, attempt: Attempt) -> None:
        if self._wire is not None:
            attempt.reused = True
            attempt.idle_ms = (attempt.send_ns - self._idle_since_ns) / 1e6
            attempt.connection_requests = self._requests

    def _go_on_sending(self, wire: Wire, deadline_ns: int) -> None:
        unsent, self._unsent = self._unsent, b""
        if isinstance(unsent, OSError):
            raise unsent
        wire.send(unsent, deadline_ns)

    def _first_bytes(self, attempt: Attempt) -> bytes | None:
        """The bytes that were read; None if there were none after all."""
        heard, self._heard = self._heard, None
        if isinstance(heard, OSError):
            raise heard
        if heard:
            attempt.first_byte_ns = self._heard_ns
        return heard

    def close(self) -> None:
        """Close the connection, if there is one."""
        wire, self._wire = self._wire, None
        self._requests = 0
        if wire is not None:
            wire.close()

    def _settle(self, attempt: Attempt, answer: Answer) -> None:
        attempt.version = answer.headers.get(self._version, b"")  # also of an answer that was cut: the version is known
        attempt.served_by = answer.headers.get(self._served_by, b"")
        if not attempt.error:
            attempt.status = answer.status
            attempt.body = answer.body
        if attempt.error or self._new or not answer.reusable:
            self.close()
        else:
            self._requests += 1
            self._idle_since_ns = attempt.done_ns

    def _connect(self, deadline_ns: int) -> Wire:
        endpoint = self._endpoint
        family, address = endpoint.address(left_s(deadline_ns))
        return open_wire(family, address, endpoint.context, endpoint.server_name, deadline_ns)


def _read(wire: Wire, attempt: Attempt, answer: Answer, deadline_ns: int, data: bytes | None) -> str:
    """Read until the answer is whole. The deadline is total: a peer that trickles must not hold an attempt for ever."""
    while True:
        if data is None:
            data = wire.receive(deadline_ns)
        if not data:
            if answer.end():
                return ""
            return "read.truncated" if attempt.first_byte_ns else "read.eof"
        if not attempt.first_byte_ns:
            attempt.first_byte_ns = _now()
        if answer.feed(data):
            return ""
        data = None


def _name(phase: str, problem: OSError, first_byte_ns: int, deadline_ns: int) -> str:
    """The outcome's name: phase and cause (docs/measurement.md 5)."""
    if isinstance(problem, TimeoutError):
        return "client.stalled" if _now() - deadline_ns > _OVERSLEPT_NS else f"{phase}.timeout"
    if isinstance(problem, socket.gaierror):
        return "connect.dns"
    if phase == "read" and first_byte_ns:
        return "read.truncated"
    if isinstance(problem, ssl.SSLError):
        return f"{phase}.tls"
    return f"{phase}.{errno.errorcode.get(problem.errno or 0, type(problem).__name__)}"
