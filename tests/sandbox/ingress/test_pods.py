"""The pool of idle connections, looked at while the loop has no time to notice anything."""

from __future__ import annotations

import socket
from typing import cast

from rollproof_sandbox.ingress.exchange import Exchange
from rollproof_sandbox.ingress.pods import _IDLE_S, Pods, Upstream
from rollproof_sandbox.wire.loop import Loop, now
from tests.sandbox.app.driven import PATIENCE_S


def connected(pods: Pods, server: socket.socket) -> tuple[Upstream, socket.socket]:
    peer = f"127.0.0.1:{server.getsockname()[1]}"
    upstream = Upstream(pods, peer, cast(Exchange, None))
    pod, _ = server.accept()
    pod.settimeout(PATIENCE_S)
    pods.keep(upstream)
    return upstream, pod


def test_the_connection_used_last_is_used_first() -> None:
    pods = Pods(Loop())
    with socket.create_server(("127.0.0.1", 0)) as server:
        (one, its), (two, other) = connected(pods, server), connected(pods, server)
        assert [pods.idle(one.peer), pods.idle(one.peer), pods.idle(one.peer)] == [two, one, None]
        for raw in (its, other, one, two):
            raw.close()


def test_a_connection_that_the_pod_has_just_closed_is_not_used() -> None:
    pods = Pods(Loop())
    with socket.create_server(("127.0.0.1", 0)) as server:
        upstream, pod = connected(pods, server)
        pod.close()
        assert pods.idle(upstream.peer) is None
        assert not upstream.is_open


def test_idle_connections_are_closed_after_a_while() -> None:
    pods = Pods(Loop())
    with socket.create_server(("127.0.0.1", 0)) as server:
        upstream, pod = connected(pods, server)
        pods.sweep(now())
        assert upstream.is_open
        pods.sweep(now() + _IDLE_S + 1)
        assert pod.recv(1) == b""
        pod.close()
