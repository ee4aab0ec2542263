"""A pod process for a test, and a client that hides no failure."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import rollproof_sandbox
from rollproof_sandbox.addresses import Addresses
from rollproof_sandbox.processes import Child, Processes, script_words
from rollproof_sandbox.settings import App

FOLDER = Path(rollproof_sandbox.__file__).parent
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def connect(host: str, port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
    connection.auto_open = 0  # a lost connection must be visible
    connection.connect()
    return connection


def ask(
    connection: http.client.HTTPConnection, path: str = "/", method: str = "GET", body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:  # fmt: skip
    connection.request(method, path, body, headers or {})
    got = connection.getresponse()
    return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())


class Started:
    """A child process that has reported that it listens; `said` is that line."""

    def __init__(self, processes: Processes, words: list[str], name: str, first: dict[str, Any]) -> None:
        heard = threading.Event()
        self.said: dict[str, Any] = {}

        def hear(item: dict[str, Any]) -> None:
            self.said.update(item)
            heard.set()

        self.child: Child = processes.start(words, name=name, first=first, heard=hear)
        assert heard.wait(PATIENCE_S), f"{name} says nothing"


class Pod(Started):
    """A running pod; `get` uses a new connection each time."""

    def __init__(
        self, processes: Processes, ip: str, port: int, app: App, name: str = "pod-1", table: str = ""
    ) -> None:
        first = {
            "app": asdict(app), "sha": "b7a2e11", "old_sha": "5f1c0de", "pod": name, "ip": ip, "port": port,
            "table": table,
        }  # fmt: skip
        super().__init__(processes, script_words(FOLDER / "app" / "server.py"), name, first)
        self.ip, self.port, self.name = ip, port, name

    @property
    def peer(self) -> str:
        return f"{self.ip}:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        return connect(self.ip, self.port)

    def ask(self, path: str = "/", method: str = "GET", body: bytes | None = None) -> Answer:
        with contextlib.closing(self.connect()) as connection:
            return ask(connection, path, method, body)

    def refuses(self) -> bool:
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return True
        return False

    def terminate(self) -> None:
        self.child.signal(signal.SIGTERM)


@contextlib.contextmanager
def pods() -> Iterator[Callable[..., Pod]]:
    """Starts pods: `start(App(...))`. All are ended afterwards."""
    processes, addresses = Processes(), Addresses()
    names = itertools.count(1)
    try:
        yield lambda app=App(start_s=0.0), table="": Pod(  # noqa: B008 - frozen
            processes, addresses.take(), addresses.port, app, f"pod-{next(names)}", table
        )
    finally:
        processes.end_all()
        addresses.close()
