"""Row D1 of faults.md: each exchange has one deadline for all of it, and a limit of bytes, whoever is asked.

Nothing here asserts a time: an exchange without a bound would never end, and pytest's own limit would say so.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import HOSTILE, answers, hostile, kubeconfig_of, says
from owntime import SteadyClock, own_time

from load.answer import BODY_KEPT, plain
from rollproof.clients import exchange
from rollproof.clients.exchange import BodyError, bounded, decoded
from rollproof.clients.http import Http, request
from rollproof.clients.kube import (
    KINDS,
    ApiError,
    Kube,
    LostAnswerError,
    OutsideDataError,
    SilenceError,
    UnreachableError,
)  # fmt: skip
from rollproof.core.target import App
from rollproof.errors import UnansweredError

SHORT_S = 0.1


@pytest.fixture(autouse=True)
def _stalls_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """What must be done before the time is over, the sending, is done before it however slow the machine is."""
    clock = SteadyClock()
    clock.quickly = 1
    own_time(monkeypatch, exchange, monotonic=clock.monotonic)


def ask_the_app(url: str, _: Path) -> str:
    return Http(App(base_url=url), {}, timeout_s=SHORT_S).get("/health").error


def ask_the_registry(url: str, _: Path) -> str:
    return request("GET", f"{url}/v2/", {}, timeout_s=SHORT_S).error


def of_the_api(action: Callable[[Kube], object]) -> Callable[[str, Path], str]:
    def ask(url: str, folder: Path) -> str:
        try:
            action(Kube("fake", kubeconfig_of(url, folder), timeout_s=SHORT_S))
        except (UnreachableError, OutsideDataError) as error:
            return str(error)
        return ""

    return ask


ASKING = {
    "app": ask_the_app,
    "registry": ask_the_registry,
    "get": of_the_api(lambda kube: kube.get("Pod", "shop", "web")),
    "list": of_the_api(lambda kube: kube.list("Pod", "shop")),
    "patch": of_the_api(lambda kube: kube.patch("Pod", "shop", "web", {})),
    "log": of_the_api(lambda kube: kube.pod_log_end("ns", "pod", "app", lines=1, previous=False, within_s=SHORT_S)),
    "pods/proxy": of_the_api(lambda kube: kube.pod_proxy("shop", "web", 80, "/health", timeout_s=SHORT_S)),
    "port-forward": of_the_api(lambda kube: kube.pod_forward("shop", "web", 80, "/health", timeout_s=SHORT_S)),
    "watch": of_the_api(lambda kube: list(kube.watch("Pod", "shop", resource_version="1", silence_s=SHORT_S))),
}


@pytest.mark.parametrize("answering", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("who", ["app", "get"])
def test_d1_every_bad_answer_ends_and_says_why(who: str, answering: Callable[..., None], tmp_path: Path) -> None:
    with hostile(answering) as url:
        assert ASKING[who](url, tmp_path)


@pytest.mark.parametrize("name", ["one header, a byte at a time", "body, a byte at a time", "endless body"])
@pytest.mark.parametrize("who", sorted(ASKING.keys() - {"app", "get"}))
def test_d1_whoever_is_asked(who: str, name: str, tmp_path: Path) -> None:
    with hostile(HOSTILE[name]) as url:
        assert ASKING[who](url, tmp_path)


def test_d1_an_event_that_trickles_is_silence(tmp_path: Path) -> None:
    """The watch was connected and a byte comes every 20 ms: it is deaf all the same."""
    with hostile(HOSTILE["body, a byte at a time"]) as url:
        events = Kube("fake", kubeconfig_of(url, tmp_path)).watch(
            "Pod", "shop", resource_version="1", silence_s=SHORT_S
        )
        with pytest.raises(SilenceError):
            list(events)


@pytest.mark.parametrize("tokens", [["a"] * 1000, [str(number) for number in range(1000)]], ids=["one", "many"])
def test_d1_a_list_without_an_end_is_given_up(tokens: list[str], tmp_path: Path) -> None:
    left = iter(tokens)

    def page(peer: socket.socket) -> None:
        body = json.dumps({"items": [], "metadata": {"continue": next(left), "resourceVersion": "1"}}).encode()
        answers(body)(peer)

    with hostile(page) as url, pytest.raises(OutsideDataError, match="does not end"):
        Kube("fake", kubeconfig_of(url, tmp_path)).list("Pod", "shop")


def test_d1_a_list_in_pieces_is_whole(tmp_path: Path) -> None:
    pods = [{"metadata": {"name": f"web-{number}"}} for number in range(3)]
    pieces = iter([
        {"items": pods[:2], "metadata": {"continue": "more", "resourceVersion": "7"}},
        {"items": pods[2:], "metadata": {"continue": "", "resourceVersion": "7"}},
    ])  # fmt: skip

    def piece(peer: socket.socket) -> None:
        answers(json.dumps(next(pieces)).encode())(peer)

    with hostile(piece) as url:
        listed = Kube("fake", kubeconfig_of(url, tmp_path)).list("Pod", "shop")
    assert listed["items"] == pods
    assert listed["metadata"]["resourceVersion"] == "7"


def test_d1_the_pieces_of_a_list_share_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece had all of it: what was to take 10 s at most could take 20, before an undo."""
    allowed_s: list[float] = []

    def request_(_: Kube, *_args: object, timeout_s: float, **_more: object) -> dict[str, object]:
        allowed_s.append(timeout_s)
        return {"metadata": {"continue": str(len(allowed_s)) if len(allowed_s) < 3 else "", "resourceVersion": "7"}}

    monkeypatch.setattr(Kube, "request", request_)
    Kube("fake", kubeconfig_of("http://127.0.0.1:1", tmp_path)).list("Pod", "shop", within_s=600.0)
    assert 600.0 >= allowed_s[0] > allowed_s[1] > allowed_s[2] > 0


@pytest.mark.parametrize(("name", "part"), [
    ("../../other/pods/x", "..%2F..%2Fother%2Fpods%2Fx"), ("..", "%2E%2E"), ("a?b#c", "a%3Fb%23c"),
    ("web-1:80", "web-1:80"),
])  # fmt: skip
def test_a_name_leads_into_no_other_namespace(name: str, part: str) -> None:
    assert KINDS["Pod"].path("shop", name) == f"/api/v1/namespaces/shop/pods/{part}"
    assert KINDS["Pod"].path(name) == f"/api/v1/namespaces/{part}/pods"


def test_d1_of_a_log_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    with hostile(answers(b"x" * 5000)) as url:
        kube = Kube("fake", kubeconfig_of(url, tmp_path))
        assert kube.pod_log_end("ns", "pod", "app", lines=1, previous=False, bytes_max=4000)
        with pytest.raises(UnreachableError, match="larger than"):
            kube.pod_log_end("ns", "pod", "app", lines=1, previous=False, bytes_max=2000)


# -- encodings (A11) --------------------------------------------------------------------------------------------------

BODY = b'{"version": "abc"}'
BARE = zlib.compressobj(wbits=-15)
ENCODED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    "deflate": zlib.compress(BODY),
    "deflate without a frame": BARE.compress(BODY) + BARE.flush(),
    "GZIP": gzip.compress(BODY),
    "identity": BODY,
}


@pytest.mark.parametrize("name", ENCODED)
def test_a11_an_answer_that_is_encoded_all_the_same_is_read(name: str, tmp_path: Path) -> None:
    header = f"Content-Encoding: {name.split(' ', maxsplit=1)[0]}"
    with hostile(answers(ENCODED[name], header)) as url:
        assert Http(App(base_url=url), {}).get("/health").field("/version") == "abc"
        assert plain(ENCODED[name]) == BODY, "the load reads it alike"
        assert Kube("fake", kubeconfig_of(url, tmp_path)).request("GET", "/version") == {"version": "abc"}


def test_a11_identity_is_asked_for(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def remember(peer: socket.socket) -> None:
        answers(BODY)(peer)

    with hostile(remember) as url:
        real = socket.socket.sendall

        def spy(self: socket.socket, data: bytes, *args: int) -> None:
            asked.append(bytes(data))
            real(self, data, *args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket.socket, "sendall", spy)
            Http(App(base_url=url), {}).get("/health")
            Kube("fake", kubeconfig_of(url, tmp_path)).request("GET", "/version")
    sent = [one for one in asked if one.startswith(b"GET ")]
    assert len(sent) == 2
    assert all(b"Accept-Encoding: identity" in one for one in sent)


def test_a11_the_load_reads_no_more_than_it_keeps_and_nothing_else() -> None:
    assert len(plain(gzip.compress(bytes(10 * BODY_KEPT)))) == BODY_KEPT
    assert plain(b"") == b""
    with pytest.raises(ValueError, match="neither"):
        plain(b"<html>")


def test_a11_the_load_asks_for_identity() -> None:
    from load.client import request_parts
    from load.lanes import Lane, Settings

    lane = Lane(name="get", url="http://127.0.0.1/health", share=1)
    head, _ = request_parts(lane, Settings(lanes=(lane,), rate_per_s=1, timeout_s=1, max_duration_s=1, record=""))
    assert b"\r\nAccept-Encoding: identity\r\n" in head


def test_a_body_is_limited_before_and_after_decoding() -> None:
    assert decoded(gzip.compress(bytes(1000)), "gzip", limit=1000) == bytes(1000)
    with pytest.raises(BodyError, match="larger"):
        decoded(gzip.compress(bytes(1001)), "gzip", limit=1000)


def test_a_call_without_a_time_out_of_its_own_is_bounded() -> None:
    for_ever = threading.Event()
    with pytest.raises(TimeoutError, match="the name"):
        bounded(for_ever.wait, 0.05, "the name")
    for_ever.set()
    assert bounded(lambda: 7, 5, "a number") == 7
    with pytest.raises(KeyError):
        bounded(lambda: {}["x"], 5, "a bug")


# -- a change without an answer (B1) ----------------------------------------------------------------------------------

CHANGES: dict[str, Callable[[Kube], object]] = {
    "PATCH": lambda kube: kube.patch("ConfigMap", "shop", "a", {}),
    "POST": lambda kube: kube.create("ConfigMap", "shop", {}),
    "PUT": lambda kube: kube.replace("ConfigMap", "shop", "a", {}),
    "DELETE": lambda kube: kube.delete("ConfigMap", "shop", "a"),
}
LOST = {
    "silence": HOSTILE["silence"],
    "a hang-up": HOSTILE["a hang-up"],
    "an answer that is cut off": HOSTILE["cut off"],
    "an answer that trickles": HOSTILE["body, a byte at a time"],
    "a gateway that lost it": answers(b"", status="504 Gateway Timeout"),
    "a bad gateway": answers(b"<html>", status="502 Bad Gateway"),
    "the server's own time-out": answers(b'{"kind": "Status", "reason": "Timeout"}', status="504 Gateway Timeout"),
    "an answer of somebody else": answers(b"<html>please log in</html>"),
}


@pytest.mark.parametrize("answering", LOST.values(), ids=LOST)
@pytest.mark.parametrize("verb", CHANGES)
def test_b1_a_change_that_was_sent_and_not_answered_is_unknown(
    verb: str, answering: Callable[..., None], tmp_path: Path
) -> None:
    with hostile(answering) as url, pytest.raises(UnansweredError, match=verb):
        CHANGES[verb](Kube("fake", kubeconfig_of(url, tmp_path), timeout_s=SHORT_S))


@pytest.mark.parametrize("verb", CHANGES)
def test_b1_a_change_that_was_never_sent_is_not_done(verb: str, tmp_path: Path) -> None:
    kube = Kube("fake", kubeconfig_of("http://127.0.0.1:1", tmp_path), timeout_s=SHORT_S)
    with pytest.raises(UnreachableError) as caught:
        CHANGES[verb](kube)
    assert not isinstance(caught.value, UnansweredError)


def test_b1_what_changes_nothing_is_no_lost_change(tmp_path: Path) -> None:
    with hostile(HOSTILE["a hang-up"]) as url:
        kube = Kube("fake", kubeconfig_of(url, tmp_path), timeout_s=SHORT_S)
        for ask in (
            lambda: kube.get("ConfigMap", "shop", "a"),
            lambda: kube.patch("ConfigMap", "shop", "a", {}, dry_run=True),
            lambda: kube.may("get", "pods", "shop"),
        ):
            with pytest.raises(UnreachableError) as caught:
                ask()
            assert not isinstance(caught.value, LostAnswerError)


def test_b1_a_refusal_is_an_answer(tmp_path: Path) -> None:
    with hostile(answers(b'{"kind": "Status", "reason": "Conflict"}', status="409 Conflict")) as url:
        for verb in CHANGES.values():
            with pytest.raises(ApiError):
                verb(Kube("fake", kubeconfig_of(url, tmp_path)))


def test_a_name_that_is_not_resolved_in_time_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    for_ever, real, asked = threading.Event(), socket.getaddrinfo, []

    def no_dns(host: str, *rest: Any, flags: int = 0, **more: Any) -> Any:
        """Numeric addresses need no name server."""
        if flags & socket.AI_NUMERICHOST:
            return real(host, *rest, flags=flags, **more)
        asked.append(host)
        return for_ever.wait() or []

    monkeypatch.setattr(socket, "getaddrinfo", no_dns)
    assert request("GET", "http://shop.example.org/", {}, timeout_s=0.1).error == "connect.timeout"
    for_ever.set()
    assert asked == ["shop.example.org"]
    with hostile(answers(b"{}")) as url:
        assert request("GET", url, {}, timeout_s=5).status == 200
    assert asked == ["shop.example.org"], "an address is asked of no name server"


def test_not_http_is_said_in_few_words(tmp_path: Path) -> None:
    with hostile(says(b"SSH-2.0-OpenSSH_9.2\r\n")) as url:
        assert len(ask_the_app(url, tmp_path)) < 200
