"""What a pod does at SIGTERM."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable

import pytest

from rollproof_sandbox.settings import App
from tests.sandbox.app.driven import PATIENCE_S, Pod, ask
from tests.waiting import until

Start = Callable[..., Pod]


def test_drain_finishes_what_runs_says_close_and_leaves(start: Start) -> None:
    pod = start()
    with contextlib.closing(pod.connect()) as running, contextlib.closing(pod.connect()) as idle:
        assert ask(idle).status == 200
        running.request("GET", "/slow?ms=1000")
        ask(idle)  # the slow request was read before
        pod.terminate()
        until(pod.refuses)
        last = ask(idle)
        assert (last.status, last.headers["connection"]) == (200, "close")
        answer = running.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, None)  # it was promised before the SIGTERM
        assert b"slept_ms" in answer.read()
        assert not running.sock.recv(1)  # and closed all the same
    assert pod.child.wait(PATIENCE_S) == 0


def test_drain_does_not_wait_for_idle_connections_for_ever(start: Start) -> None:
    pod = start()
    with contextlib.closing(pod.connect()) as idle:
        ask(idle)
        pod.terminate()
        assert pod.child.wait(PATIENCE_S) == 0


def test_exit_cuts_what_runs(start: Start) -> None:
    pod = start(App(start_s=0.0, at_sigterm="exit"))
    with contextlib.closing(pod.connect()) as running:
        ask(running)
        running.request("GET", "/slow?ms=5000")
        pod.ask("/")
        pod.terminate()
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            running.getresponse().read()
    assert pod.child.wait(PATIENCE_S) == 0


def test_cut_stops_listening_and_goes_on_until_it_is_killed(start: Start) -> None:
    pod = start(App(start_s=0.0, at_sigterm="cut"))
    with contextlib.closing(pod.connect()) as running, contextlib.closing(pod.connect()) as other:
        ask(other)
        running.request("GET", "/slow?ms=5000")
        ask(other)
        pod.terminate()
        until(pod.refuses)
        assert "connection" not in ask(other).headers
        assert not pod.child.ended.is_set()
        pod.child.kill()
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            running.getresponse().read()
    assert pod.child.wait(PATIENCE_S) == -9


def test_ignore_goes_on_as_before(start: Start) -> None:
    pod = start(App(start_s=0.0, at_sigterm="ignore"))
    pod.terminate()
    for _ in range(20):
        assert "connection" not in pod.ask("/").headers
    assert not pod.child.ended.is_set()
