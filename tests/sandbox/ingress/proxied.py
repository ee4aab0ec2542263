"""An ingress process for a test, and scripted pods."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rollproof_sandbox.processes import Processes, script_words
from rollproof_sandbox.settings import Ingress
from tests.sandbox.app.driven import FOLDER, PATIENCE_S, Answer, Started, ask, connect
from tests.waiting import until

HOST, CONTROL = "shop.sandbox", "control.sandbox"
# The process with shorter time limits, so that tests need not wait a minute.
_IMPATIENT = """
import sys
sys.path.insert(0, sys.argv[1])
from rollproof_sandbox.ingress import exchange, worker
exchange._READ_S = worker._SWEEP_S = 0.2
worker.main()
"""


class Proxy(Started):
    """A running ingress."""

    def __init__(
        self, processes: Processes, log: Path, settings: Ingress | None = None, *, impatient: bool = False,
        port: int = 0,
    ) -> None:  # fmt: skip
        words = script_words(FOLDER / "ingress" / "proxy.py")
        if impatient:
            words = [sys.executable, "-S", "-E", "-c", _IMPATIENT, str(FOLDER.parent)]
        first = {
            "port": port, "settings": asdict(settings or Ingress(lag_s=0.0)), "log": str(log), "app_host": HOST,
            "control_host": CONTROL,
        }  # fmt: skip
        super().__init__(processes, words, "ingress", first)
        self._log = log
        self._answered = 0
        self.port: int = self.said.get("port", 0)

    def route(self, *peers: str, rollout: bool = False) -> None:
        self._peers = peers
        self.child.tell({"endpoints": list(peers), "rollout": rollout})

    def begin_rollout(self) -> None:
        self.route(*self._peers, rollout=True)

    def connect(self) -> http.client.HTTPConnection:
        return connect("127.0.0.1", self.port)

    def ask(
        self, path: str = "/", method: str = "GET", body: bytes | None = None, *, host: str = HOST,
        request_id: str = "", connection: http.client.HTTPConnection | None = None, **headers: str,
    ) -> Answer:  # fmt: skip
        if request_id:
            headers["X-Request-ID"] = request_id
        used = connection or self.connect()
        try:
            answer = ask(used, path, method, body, {"Host": host, **headers})
            self._answered += 1
            return answer
        finally:
            if connection is None:
                used.close()

    def lines(self) -> list[dict[str, Any]]:
        """The log, once it has a line for each answer that `ask` has received."""
        until(lambda: self._log.read_text().count("\n") >= self._answered)
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def status_of(self, path: str = "/", method: str = "GET") -> int:
        return self.ask(path, method, b"{}" if method == "POST" else None).status

    def served_by(self) -> str:
        return self.ask().headers["x-served-by"]

    def refuses(self) -> bool:
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return True
        return False


class Scripted:
    """A pod that reads each request and answers it with the next bytes of its script (the last ones repeatedly).

    b"" closes the connection; None sends nothing, for ever. It closes after each answer if `closes`.
    """

    def __init__(self, *script: bytes | None, closes: bool = True) -> None:
        self._script: Sequence[bytes | None] = script
        self._closes = closes
        self.requests: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.peer = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        for raw in (self._listening, *self._held):
            with contextlib.suppress(OSError):  # closed by the ingress
                raw.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_S)
        for held in (*self._held, self._listening):
            held.close()

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._listening.accept()
            except OSError:
                return
            self._held.append(raw)
            raw.settimeout(PATIENCE_S)
            with contextlib.suppress(OSError):  # the ingress has ended
                while self._answer(raw):
                    pass

    def _answer(self, raw: socket.socket) -> bool:
        got = raw.recv(65_536)
        if not got:
            return False
        said = self._script[min(len(self.requests), len(self._script) - 1)]
        self.requests.append(got)
        if said is None:
            return False  # kept open
        raw.sendall(said)
        if not said or self._closes:
            raw.shutdown(socket.SHUT_RDWR)
            return False
        return True


Listen = Callable[..., Proxy]
Script = Callable[..., Scripted]
