"""What a sound pod answers, and what each setting of App changes."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from rollproof_sandbox.app.answers import slow_s
from rollproof_sandbox.settings import App
from tests.sandbox.app.driven import PATIENCE_S, Pod, ask

Start = Callable[..., Pod]


def test_a_sound_pod_answers_every_path_and_says_who_it_is(start: Start) -> None:
    pod = start()
    found = {path: pod.ask(path) for path in ("/", "/health", "/ready", "/slow?ms=1", "/nope")}
    echo = pod.ask("/echo", "POST", b"hallo")

    assert [answer.status for answer in found.values()] == [200, 200, 200, 200, 404]
    for answer in (*found.values(), echo):
        assert answer.headers["x-app-version"] == "b7a2e11"
        assert answer.headers["x-served-by"] == pod.name
        assert "connection" not in answer.headers  # keep-alive is what HTTP/1.1 does
    assert found["/health"].json["version"] == "b7a2e11"
    assert found["/ready"].json["database"] == "ok"
    assert (echo.status, echo.body) == (200, b"hallo")


def test_a_connection_can_be_used_for_ever(start: Start) -> None:
    with contextlib.closing(start().connect()) as connection:
        assert {ask(connection).status for _ in range(300)} == {200}


def test_a_slow_request_holds_nobody_up(start: Start) -> None:
    pod = start()
    with contextlib.closing(pod.connect()) as slow:
        slow.request("GET", "/slow?ms=5000")
        assert pod.ask("/ready").status == 200
        assert pod.ask("/").status == 200


def test_requests_in_pieces_and_requests_in_a_row_are_both_read(start: Start) -> None:
    pod = start()
    post = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    with socket.create_connection((pod.ip, pod.port), PATIENCE_S) as raw:
        for byte in post:
            raw.send(bytes([byte]))
        raw.sendall(post + b"GET /nope HTTP/1.1\r\nConnection: close\r\n\r\n")
        got = b"".join(iter(lambda: raw.recv(65_536), b""))
    assert got.count(b"HTTP/1.1 200 OK") == 2
    assert got.count(b"abc") == 2
    assert got.count(b"HTTP/1.1 404") == 1
    assert got.count(b"Connection: close") == 1


def test_what_is_not_http_is_refused(start: Start) -> None:
    pod = start()
    with socket.create_connection((pod.ip, pod.port), PATIENCE_S) as raw:
        raw.sendall(b"hello\r\n\r\n")
        assert raw.recv(65_536).startswith(b"HTTP/1.1 400 ")
        assert raw.recv(1) == b""


@pytest.mark.parametrize(
    ("settings", "path", "status", "field", "value"),
    [
        ({"health_version": "0badbad"}, "/health", 200, "version", "0badbad"),
        ({"never_ready": True}, "/ready", 503, "database", "ok"),
        ({"database": "down"}, "/ready", 503, "database", "down"),
        ({"database": "down"}, "/health", 200, "status", "ok"),
        ({"database": "down", "ready_status_lies": True}, "/ready", 200, "database", "down"),
        ({"database": "down", "health_follows_database": True}, "/health", 503, "status", "down"),
        ({"health_follows_database": True}, "/health", 200, "status", "ok"),
        ({"database_field": False}, "/ready", 200, "database", None),
    ],
)
def test_health_and_readiness_say_what_the_settings_say(
    start: Start, settings: dict[str, Any], path: str, status: int, field: str, value: str | None
) -> None:
    answer = start(App(start_s=0.0, **settings)).ask(path)
    assert (answer.status, answer.json.get(field)) == (status, value)


def test_another_version_is_in_the_header_too(start: Start) -> None:
    answer = start(App(start_s=0.0, health_version="0badbad")).ask("/")
    assert answer.headers["x-app-version"] == "0badbad"
    assert b"0badbad" in answer.body


def test_every_third_answer_is_the_old_version(start: Start) -> None:
    pod = start(App(start_s=0.0, old_version_every=3))
    found = [pod.ask("/health") for _ in range(6)]
    assert [answer.headers["x-app-version"] for answer in found] == ["b7a2e11", "b7a2e11", "5f1c0de"] * 2
    assert [answer.json["version"] for answer in found] == ["b7a2e11", "b7a2e11", "5f1c0de"] * 2


def test_it_listens_after_its_start_and_not_before(start: Start) -> None:
    begun_s = time.monotonic()
    start(App(start_s=0.4))
    assert time.monotonic() - begun_s >= 0.4


def test_it_crashes_when_told_to(start: Start) -> None:
    assert start(App(start_s=0.0, crash_after_s=0.05)).child.wait(PATIENCE_S) == 1


def test_an_answer_takes_its_latency(start: Start) -> None:
    pod = start(App(start_s=0.0, latency_s=0.2))
    begun_s = time.monotonic()
    pod.ask("/")
    assert time.monotonic() - begun_s >= 0.2


@pytest.mark.parametrize(
    ("target", "seconds"),
    [(b"/slow?ms=300", 0.3), (b"/slow?ms=99999", 5.0), (b"/slow", 0.3), (b"/slow?ms=x", None), (b"/slow?ms=-1", None)],
)
def test_slow_is_asked_for_in_milliseconds(target: bytes, seconds: float | None) -> None:
    assert slow_s(target) == seconds


def test_slow_with_nonsense_is_400(start: Start) -> None:
    assert start().ask("/slow?ms=x").status == 400


def test_the_end_of_stdin_ends_it_at_once(start: Start) -> None:
    pod = start(App(start_s=0.0, at_sigterm="ignore"))
    with contextlib.closing(pod.connect()) as connection:
        connection.request("GET", "/slow?ms=5000")
        pod.child._close()
        assert pod.child.wait(PATIENCE_S) == 0
