"""What a sound ingress passes on, to whom, and what it writes into its log."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable

import pytest

from rollproof_sandbox.settings import App, Ingress
from tests.sandbox.app.driven import PATIENCE_S, Pod
from tests.sandbox.ingress.proxied import CONTROL, HOST, Listen, Script
from tests.waiting import until

Start = Callable[..., Pod]


def test_requests_go_to_the_pods_in_turn(start: Start, listen: Listen) -> None:
    one, two, proxy = start(), start(), listen()
    proxy.route(one.peer, two.peer)
    until(lambda: proxy.status_of() == 200)
    seen = [proxy.served_by() for _ in range(6)]
    assert seen in ([one.name, two.name] * 3, [two.name, one.name] * 3)


def test_hosts(start: Start, listen: Listen) -> None:
    pod, proxy = start(), listen()
    assert proxy.status_of() == 503  # no table yet
    assert proxy.ask(host=CONTROL).body == b"control\n"
    proxy.route(pod.peer)
    until(lambda: proxy.status_of() == 200)
    assert proxy.ask(host=f"{HOST.upper()}:8080").status == 200
    assert proxy.ask(host="other").status == 404
    proxy.route()
    until(lambda: proxy.status_of() == 503)


def test_what_is_passed_on(listen: Listen, script: Script) -> None:
    told = script(b"HTTP/1.1 200 OK\r\nServer: x\r\nX-Own: 1\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
    proxy = listen()
    proxy.route(told.peer)
    answer = proxy.ask("/a?b=c", "POST", b"hallo", request_id="rp-1", Accept="x/y")
    sent = told.requests[0]
    assert sent.startswith(b"POST /a?b=c HTTP/1.1\r\nHost: shop.sandbox\r\n")
    assert b"X-Request-ID: rp-1\r\n" in sent
    assert b"Accept: x/y\r\n" in sent
    assert b"onnection:" not in sent
    assert sent.endswith(b"\r\n\r\nhallo")
    assert (answer.body, answer.headers["x-own"], answer.headers["x-request-id"]) == (b"ok", "1", "rp-1")
    assert (answer.headers["server"], answer.headers["connection"]) == ("sandbox-ingress", "keep-alive")


def test_a_log_line_a_request(start: Start, listen: Listen) -> None:
    pod, proxy = start(), listen()
    proxy.route(pod.peer)
    proxy.ask("/health?a=1", request_id="rp-1")
    proxy.ask(host=CONTROL, request_id="rp-2")
    proxy.ask()
    app, control, nameless = proxy.lines()
    assert isinstance(app.pop("t"), float)
    assert isinstance(app.pop("took"), float)
    assert app == {
        "id": "rp-1", "method": "GET", "uri": "/health?a=1", "status": 200, "upstream": pod.peer,
        "upstream_status": "200", "host": HOST,
    }  # fmt: skip
    assert (control["id"], control["upstream"], control["status"]) == ("rp-2", "", 200)
    assert len(nameless["id"]) == 32


def test_a_client_connection_lives_for_ever(start: Start, listen: Listen) -> None:
    pod, proxy = start(), listen()
    proxy.route(pod.peer)
    with contextlib.closing(proxy.connect()) as connection:
        for host in (HOST, CONTROL, HOST, "other") * 50:
            assert proxy.ask(host=host, connection=connection).headers["connection"] == "keep-alive"


def test_connections_to_pods_are_used_again(listen: Listen, script: Script) -> None:
    pod, proxy = script(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", closes=False), listen()
    proxy.route(pod.peer)
    assert [proxy.status_of() for _ in range(5)] == [200] * 5
    assert len(pod._held) == 1


def test_a_pod_that_closes_its_idle_connections_costs_nobody_a_request(listen: Listen, script: Script) -> None:
    pod, proxy = script(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), listen()
    proxy.route(pod.peer)
    assert [proxy.status_of() for _ in range(20)] == [200] * 20
    assert len(pod._held) == 20


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
def test_every_kind_of_body(listen: Listen, script: Script, said: bytes, body: bytes) -> None:
    pod, proxy = script(said), listen()
    proxy.route(pod.peer)
    assert proxy.ask().body == body


def test_head_has_no_body(start: Start, listen: Listen) -> None:
    pod, proxy = start(), listen()
    proxy.route(pod.peer)
    with contextlib.closing(proxy.connect()) as connection:
        answer = proxy.ask("/", "HEAD", connection=connection)
        assert (answer.status, answer.body) == (200, b"")
        assert proxy.ask("/", connection=connection).status == 200


def test_a_request_in_chunks(listen: Listen, script: Script) -> None:
    pod, proxy = script(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), listen()
    proxy.route(pod.peer)
    with contextlib.closing(proxy.connect()) as connection:
        connection.request("POST", "/", iter([b"abc", b"de"]), {"Host": HOST}, encode_chunked=True)
        assert connection.getresponse().status == 200
    assert pod.requests[0].endswith(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")


def test_requests_in_a_row_and_a_last_one(start: Start, listen: Listen) -> None:
    pod, proxy = start(), listen()
    proxy.route(pod.peer)
    get = f"GET /health HTTP/1.1\r\nHost: {HOST}\r\n".encode()
    with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S) as raw:
        raw.sendall((get + b"\r\n") * 3 + get + b"Connection: close\r\n\r\n")
        got = b"".join(iter(lambda: raw.recv(65_536), b""))
    assert got.count(b"HTTP/1.1 200 OK") == 4
    assert got.count(b"Connection: close") == 1


def test_what_is_not_http_is_refused(listen: Listen) -> None:
    with socket.create_connection(("127.0.0.1", listen().port), PATIENCE_S) as raw:
        raw.sendall(b"hello\r\n\r\n")
        assert b"".join(iter(lambda: raw.recv(65_536), b"")).startswith(b"HTTP/1.1 400 ")


def test_a_big_body_goes_both_ways(start: Start, listen: Listen) -> None:
    pod, proxy = start(App(start_s=0.0, latency_s=0.0)), listen()
    proxy.route(pod.peer)
    body = os.urandom(3 << 20)
    assert proxy.ask("/echo", "POST", body).body == body


def test_a_client_that_goes_away_is_499(start: Start, listen: Listen) -> None:
    pod, proxy = start(), listen()
    proxy.route(pod.peer)
    with contextlib.closing(proxy.connect()) as connection:
        connection.request("GET", "/slow?ms=5000", headers={"Host": HOST})
    until(lambda: [line["status"] for line in proxy.lines()] == [499])
    assert proxy.status_of() == 200


def test_the_table_is_applied_after_its_lag_but_the_first_one_at_once(start: Start, listen: Listen) -> None:
    one, two, proxy = start(), start(), listen(Ingress(lag_s=0.5))
    proxy.route(one.peer)
    assert proxy.served_by() == one.name
    proxy.route(two.peer)
    assert proxy.served_by() == one.name
    until(lambda: proxy.served_by() == two.name)
    assert proxy.served_by() == two.name


def test_the_end_of_stdin_ends_it_at_once(listen: Listen) -> None:
    proxy = listen()
    proxy.child._close()
    assert proxy.child.wait(PATIENCE_S) == 0


def test_a_port_that_is_taken_is_said(listen: Listen) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        proxy = listen(port=port)
        assert proxy.said == {"error": "port", "why": "Address already in use"}
        assert proxy.child.wait(PATIENCE_S) == 1
