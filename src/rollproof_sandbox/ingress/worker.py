"""The ingress process: one listener, a routing table that arrives over stdin, an access log.

stdin: {"port", "settings": settings.Ingress as JSON, "log": path, "app_host", "control_host"}, then a line
{"endpoints": ["ip:port", ...], "rollout": bool} whenever they change; its end ends the process at once.
stdout: {"listening": true, "port": n}, or {"error": "port" or "log", "why"}: what is not available; later
{"reloads": n}: it reloads, and n connections end with their next response.
"""

from __future__ import annotations

import os

from rollproof_sandbox.ingress.accesslog import AccessLog
from rollproof_sandbox.ingress.client import Client
from rollproof_sandbox.ingress.shared import Shared
from rollproof_sandbox.ingress.troubles import Troubles
from rollproof_sandbox.wire.loop import become_quick, first_line, now, say
from rollproof_sandbox.wire.stream import Listener

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any, NoReturn

__all__ = ["Worker", "main"]

_ADDRESS = "127.0.0.1"
_SWEEP_S = 0.5


def main() -> None:
    """Serve until killed."""
    told, rest = first_line()
    become_quick()
    try:
        log = AccessLog(told["log"])
    except OSError as error:
        _give_up("log", error)
    try:
        worker = Worker(told, log)
        worker.start(rest)
    except OSError as error:
        _give_up("port", error)
    worker.shared.loop.run()


def _give_up(what: str, error: OSError) -> NoReturn:
    say({"error": what, "why": error.strerror})
    os._exit(1)


class Worker:
    """The listener, the connections, the current table, and the troubles."""

    def __init__(self, told: dict[str, Any], log: AccessLog) -> None:
        self.shared = Shared(told, log)
        self._loop = self.shared.loop
        self._clients: set[Client] = set()
        self._listener = Listener(self._loop, _ADDRESS, told["port"], self._taken)
        self._lag_s: float = told["settings"]["lag_s"]
        self._has_table = False
        self._troubles = Troubles(self.shared, self._listener, self._clients, told["settings"]["troubles"])

    def start(self, rest: bytes) -> None:
        """Listen."""
        self._listener.open()
        self._loop.on_stdin(self._heard, rest)
        self._loop.later(_SWEEP_S, self._sweep)
        say({"listening": True, "port": self._listener.port})

    def _heard(self, item: dict[str, Any]) -> None:
        table = [str(pod) for pod in item["endpoints"]]
        if self._has_table:
            self._loop.later(self._lag_s, lambda: self._route(table))
        else:  # a fresh ingress has no old table to keep
            self._has_table = True
            self._route(table)
        if item["rollout"]:
            self._troubles.rollout_begun()

    def _route(self, table: list[str]) -> None:
        self.shared.pods.table = table

    def _taken(self, raw: socket.socket) -> None:
        self._clients.add(Client(self.shared, raw, self._clients.discard))

    def _sweep(self) -> None:
        moment_s = now()
        for exchange in [one for one in self.shared.exchanges if one.due_s <= moment_s]:
            exchange.timed_out()
        self.shared.pods.sweep(moment_s)
        self._loop.later(_SWEEP_S, self._sweep)
