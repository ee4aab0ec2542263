"""What real servers do on the way to an answer: interim answers, several addresses of which one is dead, gzip in parts.

Nothing here asserts a time.
"""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hostile import answers, hostile, kubeconfig_of, says

from load.answer import plain
from rollproof.clients.exchange import BodyError, decoded
from rollproof.clients.http import request
from rollproof.clients.kube import Kube, LostAnswerError, UnreachableError

BODY = b'{"version": "abc"}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
INTERIM = {
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "processing": b"HTTP/1.1 102 Processing\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
    "several": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
}


@pytest.mark.parametrize("name", INTERIM)
def test_an_interim_answer_is_not_the_answer(name: str, tmp_path: Path) -> None:
    with hostile(says(INTERIM[name] + WHOLE)) as url:
        answer = request("GET", f"{url}/health", {})
        assert (answer.status, answer.body, answer.error) == (200, BODY, "")
        assert "link" not in answer.headers, "what an interim answer says is none of the answer's"
        assert Kube("fake", kubeconfig_of(url, tmp_path)).request("GET", "/version") == {"version": "abc"}


def test_another_protocol_is_no_interim_answer() -> None:
    with hostile(says(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + WHOLE)) as url:
        assert request("GET", url, {}).status == 101


@pytest.fixture
def dead() -> Iterator[Any]:
    """An address that takes no connection and refuses none: its queue is full, so the kernel drops what comes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()
        for one in waiting:
            one.close()


@pytest.mark.parametrize("dead_ones", [1, 3])
def test_a_dead_address_does_not_take_the_time_of_the_next(
    dead_ones: int, dead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    with hostile(says(WHOLE)) as url:
        alive = ("127.0.0.1", urlsplit(url).port)

        def resolve(host: str, *rest: Any, **more: Any) -> Any:
            if host != "shop.example.org" or more.get("flags"):
                return real(host, *rest, **more)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", one) for one in [dead] * dead_ones + [alive]]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        answer = request("GET", "http://shop.example.org/", {}, timeout_s=2)
    assert (answer.status, answer.error) == (200, "")


PARTS = gzip.compress(BODY[:7]) + gzip.compress(b"") + gzip.compress(BODY[7:])


@pytest.mark.parametrize("body", [PARTS, PARTS + b"\0" * 8], ids=["members", "padded"])
def test_all_members_of_gzip_are_the_body(body: bytes) -> None:
    with hostile(answers(body, "Content-Encoding: gzip")) as url:
        assert request("GET", url, {}).body == BODY
    assert plain(body) == BODY, "the load reads it alike"


def test_members_of_gzip_are_bounded_in_number_and_size() -> None:
    with pytest.raises(BodyError, match="parts"):
        decoded(gzip.compress(b"") * 200, "gzip", limit=1000)
    with pytest.raises(BodyError, match="larger"):
        decoded(gzip.compress(bytes(600)) * 2, "gzip", limit=1000)
    with pytest.raises(BodyError, match="cut off"):
        decoded(PARTS[:-3], "gzip", limit=1000)


# -- a login page in the place of the API server ----------------------------------------------------------------------

PAGE = b"<html><title>Log in</title></html>"
PAGES = {
    "redirect": answers(PAGE, "Location: /login", status="302 Found"),
    "page": answers(PAGE, "Content-Type: text/html; charset=utf-8"),
}
ASKING: dict[str, Callable[[Kube], object]] = {
    "log": lambda kube: kube.pod_log("shop", "web-1", "web", since_s=1),
    "end of a log": lambda kube: kube.pod_log_end("shop", "web-1", "web", lines=1, previous=False),
    "followed log": lambda kube: list(kube.follow_log("shop", "web-1", "web", since_s=1, silence_s=5)),
    "watch": lambda kube: list(kube.watch("Pod", "shop", resource_version="1", silence_s=5)),
    "get": lambda kube: kube.get("Pod", "shop", "web-1"),
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("asked", ASKING)
def test_a_login_page_is_no_log_and_no_watch(asked: str, page: str, tmp_path: Path) -> None:
    with hostile(PAGES[page]) as url, pytest.raises(UnreachableError, match=r"no JSON object or log: '<html>") as told:
        ASKING[asked](Kube("fake", kubeconfig_of(url, tmp_path)))
    assert "login page" in told.value.hint


@pytest.mark.parametrize("page", PAGES)
def test_a_change_that_met_a_login_page_is_unknown(page: str, tmp_path: Path) -> None:
    with hostile(PAGES[page]) as url, pytest.raises(LostAnswerError):
        Kube("fake", kubeconfig_of(url, tmp_path)).patch("Pod", "shop", "web-1", {})


@pytest.mark.parametrize("page", PAGES)
def test_a_pod_may_answer_with_a_page(page: str, tmp_path: Path) -> None:
    with hostile(PAGES[page]) as url:
        assert Kube("fake", kubeconfig_of(url, tmp_path)).pod_proxy("shop", "web-1", 80, "/", timeout_s=5)[1] == PAGE


# -- the cluster's clock ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_the_api_servers_clock_is_the_one_of_its_answers(zone: str, tmp_path: Path) -> None:
    with hostile(answers(BODY, f"Date: Tue, 01 Jan 2030 00:00:00 {zone}")) as url:
        kube = Kube("fake", kubeconfig_of(url, tmp_path))
        kube.request("GET", "/version")
        assert 0 <= kube.wall_s() - datetime(2030, 1, 1, tzinfo=UTC).timestamp() < 3600


@pytest.mark.parametrize("said", ["", "Date: soon", "Date: Thu, 01 Jan 1970 00:00:00 GMT"])
def test_where_it_tells_none_ours_is_taken(said: str, tmp_path: Path) -> None:
    with hostile(answers(BODY, *filter(None, [said]))) as url:
        kube = Kube("fake", kubeconfig_of(url, tmp_path))
        kube.request("GET", "/version")
    assert abs(kube.wall_s() - time.time()) < 3600
