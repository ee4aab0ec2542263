"""Every trouble of a pod: it begins at its moment, hits what it says, spares what it does not, and ends."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Callable
from typing import Any

import pytest

from rollproof_sandbox.settings import App, Trouble
from tests.sandbox.app.driven import Pod, ask
from tests.waiting import until

Start = Callable[..., Pod]
LONG_S = 60.0


def trouble(kind: str, for_s: float = LONG_S, **more: Any) -> App:
    return App(start_s=0.0, on_ready=(Trouble(kind=kind, for_s=for_s, **more),), slow_s=0.4)


def outcome(pod: Pod, path: str = "/") -> str:
    """What an attempt over a new connection comes to."""
    try:
        answer = pod.ask(path)
    except http.client.IncompleteRead:
        return "truncated"
    except ConnectionResetError:
        return "reset"
    except ConnectionRefusedError:
        return "refused"
    return f"{answer.status} {answer.headers.get('x-app-version', '-')}"


GOOD = "200 b7a2e11"
HITS = [
    ("http-500", "500 b7a2e11"),
    ("http-503", "503 b7a2e11"),
    ("truncate", "truncated"),
    ("wrong-body", "200 -"),
    ("refuse", "refused"),
    ("reset", "reset"),
]


@pytest.mark.parametrize(("kind", "expected"), HITS)
def test_it_begins_with_readiness(start: Start, kind: str, expected: str) -> None:
    pod = start(trouble(kind))
    assert outcome(pod) == GOOD
    assert pod.ask("/ready").status == 200
    until(lambda: outcome(pod) == expected)


@pytest.mark.parametrize(("kind", "expected"), HITS)
def test_it_ends(start: Start, kind: str, expected: str) -> None:
    pod = start(trouble(kind, 0.3))
    pod.ask("/ready")
    until(lambda: outcome(pod) == expected)
    until(lambda: outcome(pod) == GOOD)


@pytest.mark.parametrize("kind", ["http-500", "http-503", "truncate", "wrong-body", "reset", "stall", "slow"])
def test_probes_are_spared(start: Start, kind: str) -> None:
    pod = start(trouble(kind))
    pod.ask("/ready")
    assert [outcome(pod, path) for path in ("/ready", "/health") * 3] == [GOOD] * 6


def test_it_begins_some_time_after_its_moment(start: Start) -> None:
    pod = start(trouble("http-500", after_s=0.3))
    pod.ask("/ready")
    assert outcome(pod) == GOOD
    until(lambda: outcome(pod) == "500 b7a2e11")


def test_it_does_not_begin_before_readiness_was_answered_well(start: Start) -> None:
    pod = start(App(start_s=0.0, never_ready=True, on_ready=(Trouble(kind="http-500", for_s=LONG_S),)))
    pod.ask("/ready")
    assert outcome(pod) == GOOD


def test_sigterm_is_a_moment_too(start: Start) -> None:
    pod = start(App(start_s=0.0, at_sigterm="ignore", on_term=(Trouble(kind="reset", for_s=LONG_S),)))
    pod.ask("/ready")
    assert outcome(pod) == GOOD
    pod.terminate()
    until(lambda: outcome(pod) == "reset")


def test_reset_reused_spares_new_connections(start: Start) -> None:
    pod = start(trouble("reset-reused"))
    with contextlib.closing(pod.connect()) as connection:
        assert ask(connection, "/ready").status == 200
        assert outcome(pod) == GOOD
        with pytest.raises(ConnectionResetError):
            ask(connection)


def test_refuse_lets_open_connections_go_on(start: Start) -> None:
    pod = start(trouble("refuse"))
    with contextlib.closing(pod.connect()) as connection:
        ask(connection, "/ready")
        until(pod.refuses)
        assert ask(connection).status == 200


@pytest.mark.parametrize(("kind", "at_least_s"), [("stall", 0.6), ("slow", 0.4)])
def test_answers_that_come_late(start: Start, kind: str, at_least_s: float) -> None:
    pod = start(trouble(kind, 0.6))
    begun_s = time.monotonic()
    pod.ask("/ready")
    assert outcome(pod) == GOOD
    assert time.monotonic() - begun_s >= at_least_s
