"""nginx's rules for another try (proxy_next_upstream error timeout, three tries; POST only before it was sent)."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable
from typing import Any

import pytest

from rollproof_sandbox.settings import App, Trouble
from tests.sandbox.app.driven import Pod
from tests.sandbox.ingress.proxied import HOST, Listen, Proxy, Script

Start = Callable[..., Pod]
Dead = Callable[[], str]
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def tried(proxy: Proxy) -> tuple[int, list[str]]:
    """Status and the statuses of each try, of the last line."""
    line: dict[str, Any] = proxy.lines()[-1]
    statuses = line["upstream_status"].split(", ")
    assert len(line["upstream"].split(", ")) == len(statuses)
    return line["status"], statuses


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH"])
def test_a_refused_connect_is_tried_at_the_next_pod(listen: Listen, script: Script, dead: Dead, method: str) -> None:
    proxy = listen()
    proxy.route(dead(), script(GOOD).peer)
    found = {(proxy.status_of("/", method), tuple(tried(proxy)[1])) for _ in range(4)}
    assert found == {(200, ("502", "200")), (200, ("200",))}


def test_three_tries_and_no_more(listen: Listen, dead: Dead) -> None:
    proxy = listen()
    proxy.route(dead(), dead(), dead(), dead())
    assert proxy.status_of() == 502
    assert tried(proxy) == (502, ["502", "502", "502"])


def test_no_more_tries_than_pods(listen: Listen, dead: Dead) -> None:
    proxy = listen()
    proxy.route(dead())
    assert proxy.status_of() == 502
    assert tried(proxy) == (502, ["502"])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_was_sent_and_lost_is_tried_again(listen: Listen, script: Script, method: str) -> None:
    proxy = listen()
    proxy.route(script(b"").peer, script(GOOD).peer)
    found = {(proxy.status_of("/", method), tuple(tried(proxy)[1])) for _ in range(4)}
    assert found == {(200, ("502", "200")), (200, ("200",))}


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_post_that_was_sent_is_not(listen: Listen, script: Script, method: str) -> None:
    proxy = listen()
    proxy.route(script(b"").peer, script(GOOD).peer)
    found = {(proxy.status_of("/", method), tuple(tried(proxy)[1])) for _ in range(4)}
    assert found == {(502, ("502",)), (200, ("200",))}


def test_half_a_head_is_lost_too(listen: Listen, script: Script) -> None:
    proxy = listen()
    proxy.route(script(b"HTTP/1.1 200 OK\r\nConte").peer, script(GOOD).peer)
    assert [proxy.status_of() for _ in range(4)] == [200] * 4


def test_an_error_on_a_used_connection_is_no_try(start: Start, listen: Listen) -> None:
    pod = start(App(start_s=0.0, on_ready=(Trouble(kind="reset-reused", for_s=60.0),)))
    proxy = listen()
    proxy.route(pod.peer)
    assert proxy.status_of("/ready") == 200
    assert proxy.status_of() == 200
    assert tried(proxy) == (200, ["502", "200"])
    assert proxy.status_of("/echo", "POST") == 502  # it was sent, on the connection that the GET has left
    assert tried(proxy) == (502, ["502"])


def test_what_is_not_http_is_502_at_once(listen: Listen, script: Script) -> None:
    proxy = listen()
    proxy.route(script(b"SSH-2.0-x\r\n\r\n").peer, script(b"SSH-2.0-x\r\n\r\n").peer)
    assert proxy.status_of() == 502
    assert tried(proxy) == (502, ["502"])


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_bad_statuses_of_pods_are_passed_on(listen: Listen, script: Script, status: int) -> None:
    said = b"HTTP/1.1 %d Bad\r\nContent-Length: 0\r\n\r\n" % status
    proxy = listen()
    proxy.route(script(said).peer, script(said).peer)
    assert proxy.status_of() == status
    assert tried(proxy) == (status, [str(status)])


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha",
    ],
)
def test_a_body_that_is_cut_stays_cut(listen: Listen, script: Script, said: bytes) -> None:
    proxy = listen()
    proxy.route(script(said).peer, script(said).peer)
    with contextlib.closing(proxy.connect()) as connection:
        connection.request("GET", "/", headers={"Host": HOST})
        with pytest.raises(http.client.IncompleteRead):
            connection.getresponse().read()
    assert tried(proxy) == (200, ["200"])


def test_silence_is_tried_at_the_next_pod_and_is_504_for_a_post(listen: Listen, script: Script) -> None:
    proxy = listen(impatient=True)
    proxy.route(script(None).peer, script(GOOD).peer)
    found = {(proxy.status_of("/"), tuple(tried(proxy)[1])) for _ in range(2)}
    assert found == {(200, ("504", "200")), (200, ("200",))}
    found = {(proxy.status_of("/", "POST"), tuple(tried(proxy)[1])) for _ in range(2)}
    assert found == {(504, ("504",)), (200, ("200",))}


def test_silence_of_all_is_504(listen: Listen, script: Script) -> None:
    proxy = listen(impatient=True)
    proxy.route(script(None).peer, script(None).peer)
    assert proxy.status_of() == 504
    assert tried(proxy) == (504, ["504", "504"])


def test_our_own_error_pages_keep_the_connection(listen: Listen, dead: Dead) -> None:
    proxy = listen()
    proxy.route(dead())
    with contextlib.closing(proxy.connect()) as connection:
        assert [proxy.ask(connection=connection).status for _ in range(3)] == [502] * 3
