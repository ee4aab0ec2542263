"""Every trouble of the ingress: it begins with the rollout, hits what it says, and ends."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable

import pytest

from rollproof_sandbox.settings import App, Ingress, Trouble
from tests.sandbox.app.driven import Pod
from tests.sandbox.ingress.proxied import CONTROL, HOST, Listen, Proxy
from tests.waiting import until

Start = Callable[..., Pod]


def trouble(kind: str, for_s: float, *, drops: int = 3) -> Ingress:
    return Ingress(lag_s=0.0, drops=drops, troubles=(Trouble(kind=kind, for_s=for_s),))


@pytest.fixture
def begun(start: Start, listen: Listen) -> Callable[[Ingress], Proxy]:
    """An ingress with a pod behind it."""

    def begin(settings: Ingress) -> Proxy:
        proxy = listen(settings)
        proxy.route(start(App(start_s=0.0, latency_s=0.0)).peer)
        until(lambda: proxy.status_of() == 200)
        return proxy

    return begin


Begun = Callable[[Ingress], Proxy]


def lost(proxy: Proxy, connection: http.client.HTTPConnection, host: str = HOST) -> bool:
    """Whether one request over that connection gets no answer; it is opened again then."""
    try:
        proxy.ask(host=host, connection=connection)
    except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
        connection.close()
        connection.connect()
        return True
    return False


@pytest.mark.parametrize("kind", ["refuse", "reload-drop", "drop-reused"])
def test_nothing_happens_before_the_rollout(begun: Begun, kind: str) -> None:
    proxy = begun(trouble(kind, 30.0))
    with contextlib.closing(proxy.connect()) as connection:
        assert not any(lost(proxy, connection) for _ in range(50))
        assert not proxy.refuses()


def test_it_comes_once(begun: Begun) -> None:
    proxy = begun(trouble("reload", 0.0))
    said = []
    for _ in range(3):
        with contextlib.closing(proxy.connect()) as connection:
            proxy.ask(connection=connection)
            proxy.begin_rollout()
            proxy.ask()  # now it was heard of
            said.append(proxy.ask(connection=connection).headers["connection"])
    assert said == ["close", "keep-alive", "keep-alive"]


def test_refuse_lets_open_connections_go_on(begun: Begun) -> None:
    proxy = begun(trouble("refuse", 1.0))
    with contextlib.closing(proxy.connect()) as connection:
        proxy.begin_rollout()
        until(proxy.refuses)
        assert not lost(proxy, connection)
        until(lambda: not proxy.refuses())
        assert proxy.status_of() == 200
        assert not lost(proxy, connection)


def test_reload_says_close_loses_nothing_and_is_told(start: Start, listen: Listen) -> None:
    proxy = listen(trouble("reload", 0.0))
    proxy.route(start(App(start_s=0.0, latency_s=0.7)).peer)  # no answer of the app has begun when the reload comes
    with contextlib.closing(proxy.connect()) as idle, contextlib.closing(proxy.connect()) as busy:
        assert proxy.ask(host=CONTROL, connection=idle).headers["connection"] == "keep-alive"
        busy.request("GET", "/", headers={"Host": HOST})
        proxy.begin_rollout()
        until(lambda: proxy.ask(host=CONTROL, connection=idle).headers["connection"] == "close")
        answer = busy.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, "close")
    until(lambda: proxy.said.get("reloads") == 2)
    assert proxy.ask(host=CONTROL).headers["connection"] == "keep-alive"


def test_reload_keeps_a_connection_whose_answer_has_begun_for_one_more(begun: Begun) -> None:
    proxy = begun(trouble("reload", 0.0))
    with contextlib.closing(proxy.connect()) as busy:
        busy.request("GET", "/slow?ms=700", headers={"Host": HOST})
        answer = busy.getresponse()  # its head: a long answer begins at once
        assert answer.headers["connection"] == "keep-alive"
        proxy.begin_rollout()
        until(lambda: "reloads" in proxy.said)
        answer.read()
        busy.auto_open = 0  # the same connection, or none
        assert proxy.ask(connection=busy).headers["connection"] == "close"


def test_reload_drop_resets_what_was_idle_when_it_is_used(begun: Begun) -> None:
    proxy = begun(trouble("reload-drop", 30.0))
    with contextlib.closing(proxy.connect()) as one, contextlib.closing(proxy.connect()) as two:
        assert not lost(proxy, one)
        assert not lost(proxy, two, CONTROL)
        proxy.begin_rollout()
        assert proxy.status_of() == 200  # new connections are not hurt; and now the rollout was heard of
        assert [lost(proxy, one), lost(proxy, two, CONTROL)] == [True, True]
        assert not any(lost(proxy, one) or lost(proxy, two) for _ in range(20))


def test_reload_drop_cuts_what_runs_but_not_the_first_request_of_a_connection(begun: Begun) -> None:
    proxy = begun(trouble("reload-drop", 0.2))
    with contextlib.closing(proxy.connect()) as used, contextlib.closing(proxy.connect()) as new:
        assert not lost(proxy, used)
        for connection in (used, new):
            connection.request("GET", "/slow?ms=3000", headers={"Host": HOST})
        proxy.ask()  # both were read before
        proxy.begin_rollout()
        with pytest.raises(ConnectionResetError):  # a long answer begins at once
            used.getresponse().read()
        answer = new.getresponse()
        assert answer.status == 200
        assert answer.read()
    until(lambda: sorted(line["status"] for line in proxy.lines() if "slow" in line["uri"]) == [200, 499])


def test_reload_drop_resets_the_rest_at_its_end(begun: Begun) -> None:
    proxy = begun(trouble("reload-drop", 0.2))
    with contextlib.closing(proxy.connect()) as connection:
        assert not lost(proxy, connection)
        proxy.begin_rollout()
        with pytest.raises(ConnectionResetError):
            connection.sock.recv(1)


def test_drop_reused_drops_so_many_requests_to_the_app_and_spreads_them(begun: Begun) -> None:
    proxy = begun(trouble("drop-reused", 1.5, drops=3))
    with contextlib.closing(proxy.connect()) as connection, contextlib.closing(proxy.connect()) as control:
        assert not lost(proxy, connection)
        proxy.begin_rollout()
        until(lambda: lost(proxy, connection))
        found = []
        while sum(found) < 2:
            found.append(lost(proxy, connection))
            assert not lost(proxy, control, CONTROL)
        assert len(found) > 4  # never two in one moment
        assert not any(lost(proxy, connection) for _ in range(100))


def test_drop_reused_spares_other_hosts(begun: Begun) -> None:
    proxy = begun(trouble("drop-reused", 0.0, drops=2))
    with contextlib.closing(proxy.connect()) as app, contextlib.closing(proxy.connect()) as control:
        assert not lost(proxy, app)
        proxy.begin_rollout()
        assert not any(lost(proxy, control, CONTROL) for _ in range(20))
        assert [lost(proxy, app), lost(proxy, app)] == [True, False]  # the second was the first on a new connection
        assert [lost(proxy, app), lost(proxy, app), lost(proxy, app)] == [True, False, False]


def test_drop_reused_spares_new_connections(begun: Begun) -> None:
    proxy = begun(trouble("drop-reused", 30.0, drops=1000))
    proxy.begin_rollout()
    assert [proxy.status_of() for _ in range(30)] == [200] * 30
