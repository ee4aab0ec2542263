"""The ingress process: one listener, a routing table that arrives over stdin, an access log.

stdin: {"port", "settings": settings.Ingress as JSON, "log": path, "app_host", "control_host"}, then a line
{"endpoints": ["ip:port", ...], "rollout": bool} whenever they change; its end ends the process at once.
stdout: {"listening": true, "port": n}, or {"error": "port" or "log", "why"}: the one that cannot be had; later
{"reloads": n}: it reloads, and n connections end with their next answer.
"""

from __future__ import annotations

import os

from rollproof_sandbox.ingress.accesslog import AccessLog
from rollproof_sandbox.ingress.client import Client
from rollproof_sandbox.ingress.pods import Pods
from rollproof_sandbox.ingress.troubles import Troubles
from rollproof_sandbox.wire.loop import Loop, become_quick, first_line, now, say
from rollproof_sandbox.wire.stream import Listener

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any, NoReturn

    from rollproof_sandbox.ingress.exchange import Exchange

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
    worker.loop.run()


def _give_up(what: str, error: OSError) -> NoReturn:
    say({"error": what, "why": error.strerror})
    os._exit(1)


class Worker:
    """What all connections share: the table, the pods, the log, and what goes wrong."""

    def __init__(self, told: dict[str, Any], log: AccessLog) -> None:
        self.loop = Loop()
        self.app_host: bytes = told["app_host"].encode().lower()
        self.control_host: bytes = told["control_host"].encode().lower()
        self.log = log
        self.pods = Pods(self.loop)
        self.clients: set[Client] = set()
        self.exchanges: set[Exchange] = set()
        self.listener = Listener(self.loop, _ADDRESS, told["port"], self._taken)
        self._lag_s: float = told["settings"]["lag_s"]
        self._has_table = False
        self.troubles = Troubles(self, told["settings"])

    def start(self, rest: bytes) -> None:
        """Listen."""
        self.listener.open()
        self.loop.on_stdin(self._heard, rest)
        self.loop.later(_SWEEP_S, self._sweep)
        say({"listening": True, "port": self.listener.port})

    def _heard(self, item: dict[str, Any]) -> None:
        table = [str(pod) for pod in item["endpoints"]]
        if self._has_table:
            self.loop.later(self._lag_s, lambda: self._route(table))
        else:  # a fresh ingress has nothing old to go on serving
            self._has_table = True
            self._route(table)
        if item["rollout"]:
            self.troubles.rollout_begun()

    def _route(self, table: list[str]) -> None:
        self.pods.table = table

    def _taken(self, raw: socket.socket) -> None:
        self.clients.add(Client(self, raw))

    def _sweep(self) -> None:
        moment_s = now()
        for exchange in [one for one in self.exchanges if one.due_s <= moment_s]:
            exchange.timed_out()
        self.pods.sweep(moment_s)
        self.loop.later(_SWEEP_S, self._sweep)
