"""Fixtures of the ingress process's tests."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rollproof_sandbox.processes import Processes
from rollproof_sandbox.settings import Ingress
from tests.sandbox.app.driven import Pod, pods
from tests.sandbox.ingress.proxied import Listen, Proxy, Script, Scripted


@pytest.fixture
def start() -> Iterator[Callable[..., Pod]]:
    with pods() as starter:
        yield starter


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Listen]:
    """Start an ingress."""
    processes = Processes(tmp_path / "children.log")

    def begin(settings: Ingress | None = None, *, impatient: bool = False, port: int = 0) -> Proxy:
        return Proxy(processes, tmp_path / "access.log", settings, impatient=impatient, port=port)

    yield begin
    processes.end_all()


@pytest.fixture
def script() -> Iterator[Script]:
    """Start a scripted pod."""
    with contextlib.ExitStack() as stack:

        def begin(*said: bytes | None, closes: bool = True) -> Scripted:
            pod = Scripted(*said, closes=closes)
            stack.callback(pod.close)
            return pod

        yield begin


@pytest.fixture
def dead() -> Iterator[Callable[[], str]]:
    """Peers that refuse every connection."""
    held = []

    def one() -> str:
        raw = socket.socket()
        raw.bind(("127.0.0.1", 0))
        held.append(raw)
        return f"127.0.0.1:{raw.getsockname()[1]}"

    yield one
    for raw in held:
        raw.close()
