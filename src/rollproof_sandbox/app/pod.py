"""One pod's process: listens on the pod's address, answers, and acts at SIGTERM as its settings say.

stdin: {"app": settings.App as JSON, "sha", "old_sha", "pod", "ip", "port", "table": the
folder of the jobs' runs, "" for none}; its end ends the process at once.
stdout: {"listening": true} once.
"""

from __future__ import annotations

import os
import signal
import time

from rollproof_sandbox.app.answers import Answers
from rollproof_sandbox.app.client import Client
from rollproof_sandbox.app.cron import Cron
from rollproof_sandbox.app.troubles import Troubles
from rollproof_sandbox.wire.loop import Loop, become_quick, first_line, now, say
from rollproof_sandbox.wire.stream import Listener

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

__all__ = ["main"]

_LINGER_S = 0.2  # how long a draining pod keeps an idle connection, to answer one more request with "Connection: close"
_CHECK_S = 0.01


def main(born_s: float) -> None:
    """Serve until killed."""
    told, rest = first_line()
    become_quick()
    time.sleep(max(0.0, told["app"]["start_s"] - (now() - born_s)))
    pod = Pod(told)
    pod.start(rest)
    pod.loop.run()


class Pod:
    """The listener, its connections, and its termination."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.loop = Loop()
        self._told = told
        self.settings: dict[str, Any] = told["app"]
        self.answers = Answers(told)
        self.troubles = Troubles(self.loop)
        self.clients: set[Client] = set()
        self.draining = False
        self._heard_ready = False
        self._leave_s = 0.0
        self._listener = Listener(self.loop, told["ip"], told["port"], self._taken)
        self._cron = Cron(self.loop, told)

    def start(self, rest: bytes) -> None:
        """Listen."""
        self.loop.on_signal(signal.SIGTERM, self._terminate)
        self.loop.on_stdin(lambda _: None, rest)
        self._listener.open()
        self._cron.start()
        if (crash_s := self.settings["crash_after_s"]) is not None:
            self.loop.later(crash_s, lambda: os._exit(1))
        say({"listening": True})

    def called_ready(self) -> None:
        """A readiness probe got a good answer: the first one triggers troubles."""
        if not self._heard_ready:
            self._heard_ready = True
            self._expect(self.settings["on_ready"])

    def _expect(self, troubles: list[dict[str, Any]]) -> None:
        for trouble in troubles:
            if trouble["kind"] == "refuse":
                self.loop.later(trouble["after_s"], self._listener.close)
                self.loop.later(trouble["after_s"] + trouble["for_s"], self._listen_again)
            else:
                self.troubles.expect(trouble)

    def _listen_again(self) -> None:
        if not self.draining:
            self._listener.open()

    def _taken(self, raw: socket.socket) -> None:
        self.clients.add(Client(self, raw))

    def _terminate(self) -> None:
        how = self.settings["at_sigterm"]
        if how == "exit":
            os._exit(0)
        self._expect(self.settings["on_term"])
        if how == "ignore" or self.draining:
            return
        self.draining = True
        self._listener.close()
        if how == "drain":
            self._cron.end()
            self._leave_s = now() + _LINGER_S
            for client in self.clients:
                client.last = True
            self._leave()

    def _leave(self) -> None:
        """Exit when no request is active and idle connections had `_LINGER_S`, and no job is at work."""
        silent = not self.clients or (now() >= self._leave_s and not any(client.busy for client in self.clients))
        if silent and not self._cron.busy:
            os._exit(0)
        self.loop.later(_CHECK_S, self._leave)
