"""The proof: every pod by the first way that is allowed, then a row of answers through the way in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from fakeapi import FakeApi
from owntime import ScriptedClock, own_time
from recorder import ListRecorder

from rollproof.clients.http import Answer
from rollproof.clients.kube import ApiError, Kube, UnreachableError
from rollproof.core.event import Outcome
from rollproof.core.reasons import StageCause
from rollproof.core.target import ReleaseSettings
from rollproof.probes import proof, ways
from rollproof.probes.proof import Prover
from rollproof.probes.ways import PodWays

NEW = "bbbbbbb"
PODS = ("web-1", "web-2")


def healthy(version: str = NEW) -> str:
    return json.dumps({"version": version, "database": "ok"})


class Ingress:
    """Answers in turn; the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers) or [Answer(200, healthy().encode())]
        self.asked: list[str] = []

    def get(self, path: str) -> Answer:
        self.asked.append(path)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def api() -> FakeApi:
    fake = FakeApi()
    fake.proxied = lambda _pod, _path: (200, healthy())
    return fake


@pytest.fixture
def kube(api: FakeApi, tmp_path: Path) -> Iterator[Kube]:
    with api.serve(tmp_path) as kubeconfig:
        yield Kube("fake", str(kubeconfig))


@pytest.fixture
def recorder() -> ListRecorder:
    return ListRecorder()


@pytest.fixture
def prove(kube: Kube, recorder: ListRecorder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    clock = [0.0]
    own_time(
        monkeypatch, proof, ways, monotonic=lambda: clock[0], sleep=lambda s: clock.__setitem__(0, clock[0] + s)
    )  # fmt: skip

    def run(ingress: Ingress | None = None, *, cause: StageCause | None = None) -> str:
        target = story.target(release=ReleaseSettings(proof_count=3))
        missing = Prover(target, kube, ingress or Ingress(), recorder).prove(PODS, NEW)  # type: ignore[arg-type]
        assert cause is None or (missing is not None and missing.cause is cause)
        return missing.why if missing is not None else ""

    return run


def told(recorder: ListRecorder, what: str = "version") -> list[tuple[str, str, Outcome]]:
    return [
        (e.subject.rpartition("/")[2], str(e.data.get("via")), e.outcome) for e in recorder.events if e.what == what
    ]


def test_every_pod_then_a_row_through_the_ingress(prove: Callable[..., str], recorder: ListRecorder) -> None:
    assert prove() == ""
    pods = [(pod, "pods/proxy", Outcome.OK) for pod in PODS]
    assert told(recorder) == [*pods, *[("Ingress", "ingress", Outcome.OK)] * 3]
    assert told(recorder, "database") == [*pods, ("Ingress", "ingress", Outcome.OK)]


def test_one_wrong_pod_is_enough(prove: Callable[..., str], api: FakeApi, recorder: ListRecorder) -> None:
    api.proxied = lambda pod, _: (200, healthy("aaaaaaa" if pod == "web-2" else NEW))
    assert prove(cause=StageCause.WRONG_VERSION) == "Pod/shop/web-2: version aaaaaaa instead of bbbbbbb"
    assert told(recorder)[-1] == ("web-2", "pods/proxy", Outcome.FAIL)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(200, "{}", "no /version"), (200, "<html> instead of ", "not JSON"), (500, healthy(), "HTTP status 500")],
)
def test_no_version_is_unknown_and_never_wrong(
    prove: Callable[..., str], api: FakeApi, recorder: ListRecorder, status: int, body: str, said: str
) -> None:
    api.proxied = lambda _pod, _path: (status, body)
    assert said in prove(cause=StageCause.NO_ANSWER)
    assert told(recorder)[0][2] is Outcome.UNKNOWN


PAGE = b"<html>The holiday page is shown instead of the shop; version 7 instead of 8</html>"


def test_a12_a_page_that_reads_like_a_wrong_version_is_no_answer(prove: Callable[..., str], api: FakeApi) -> None:
    assert "only 0 of 3 answers" in prove(Ingress(Answer(200, PAGE)), cause=StageCause.NO_ANSWER)
    api.proxied = lambda *_: (200, PAGE.decode())
    assert "not JSON" in prove(cause=StageCause.NO_ANSWER)


def test_a_503_still_tells_about_the_database(prove: Callable[..., str], api: FakeApi, recorder: ListRecorder) -> None:
    api.proxied = lambda _, path: (503, '{"database": "down"}') if path == "/ready" else (200, healthy())
    assert prove() == "", "the database does not decide about the version"
    assert told(recorder, "database")[0] == ("web-1", "pods/proxy", Outcome.FAIL)


def test_a_pod_that_is_not_ready_is_asked_alone_and_proves_nothing(
    kube: Kube, api: FakeApi, recorder: ListRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_time(monkeypatch, ways, sleep=lambda _: None)
    api.proxied = lambda *_: (503, '{"database": "down"}')
    prover = Prover(story.target(), kube, Ingress(), recorder)  # type: ignore[arg-type]
    prover.ask_unready("web-2", NEW)
    assert told(recorder) == [("web-2", "pods/proxy", Outcome.UNKNOWN)]
    assert told(recorder, "database") == [("web-2", "pods/proxy", Outcome.FAIL)]


@pytest.mark.parametrize(
    ("first", "missed_s"), [((), None), ((Answer(None, error="refused"), Answer(503)), 0.2)], ids=["at once", "third"]
)
def test_it_knows_when_the_last_question_began_that_was_not_answered_as_wanted(
    kube: Kube, recorder: ListRecorder, monkeypatch: pytest.MonkeyPatch, first: tuple[Answer, ...],
    missed_s: float | None,
) -> None:  # fmt: skip
    clock = ScriptedClock()
    clock.TICK_S, clock.now_s = 0.0, 0.0
    own_time(monkeypatch, proof, monotonic=clock.monotonic, sleep=clock.wait)
    ingress = Ingress(*first, Answer(200, healthy().encode()))
    prover = Prover(story.target(release=ReleaseSettings(proof_count=3)), kube, ingress, recorder)  # type: ignore[arg-type]
    assert prover.prove(PODS, NEW) is None
    assert prover.missed_s == missed_s


def test_a_pod_of_another_version_was_asked_in_vain(kube: Kube, api: FakeApi, recorder: ListRecorder) -> None:
    api.proxied = lambda pod, _: (200, healthy("aaaaaaa" if pod == "web-2" else NEW))
    prover = Prover(story.target(), kube, Ingress(), recorder)  # type: ignore[arg-type]
    assert prover.prove(("web-1",), NEW) is None
    assert prover.missed_s is None
    assert prover.prove(PODS, NEW) is not None
    assert prover.missed_s is not None


def test_without_pods_proxy_a_port_forward(
    prove: Callable[..., str], api: FakeApi, recorder: ListRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.refusing["/proxy/"] = 403
    monkeypatch.setattr(Kube, "pod_forward", lambda *_, **__: (200, healthy().encode()))
    assert prove() == ""
    assert told(recorder)[:2] == [(pod, "port-forward", Outcome.OK) for pod in PODS]
    assert api.refused == 1, "what is forbidden is not tried again"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_e4_pods_proxy_that_is_granted_and_cannot_dial_pods(
    prove: Callable[..., str], api: FakeApi, recorder: ListRecorder, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """The API server's own 5xx is no answer of the pod: the other way is tried, and remembered."""
    api.refusing["/proxy/"] = status
    monkeypatch.setattr(Kube, "pod_forward", lambda *_, **__: (200, healthy().encode()))
    assert prove() == ""
    assert told(recorder)[:2] == [(pod, "port-forward", Outcome.OK) for pod in PODS]
    assert api.refused == 1, "the way that worked is tried first from then on"


def test_e4_each_way_is_tried_before_a_run_and_what_works_comes_first(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.refusing["/proxy/"] = 503
    monkeypatch.setattr(Kube, "pod_forward", lambda *_, **__: (200, healthy().encode()))
    ways = PodWays(kube, "shop", 8080)
    found = ways.look(PODS, "/health")
    assert [count for count, _ in found.values()] == [0, len(PODS)]
    assert "503" in found["pods/proxy"][1]
    assert ways.names == ["port-forward", "pods/proxy"]


@pytest.mark.parametrize(
    ("body", "wanted", "good"),
    [
        ({"database": True}, "true", True), ({"database": True}, "True", True), ({"database": False}, "true", False),
        ({"database": "true"}, "true", True), ({"database": 1}, "1", True), ({"database": None}, "null", False),
        ({"database": {"ok": True}}, '{"ok": true}', True), ({"database": "True"}, "true", False),
    ],
)  # fmt: skip
def test_e10_an_answer_is_compared_as_json_spells_it(
    kube: Kube, api: FakeApi, recorder: ListRecorder, body: dict[str, Any], wanted: str, good: bool
) -> None:
    target = story.target(app=replace(story.target().app, database_ok=wanted))
    api.proxied = lambda _, path: (200, json.dumps(body) if path == "/ready" else healthy())
    Prover(target, kube, Ingress(), recorder).prove(["web-1"], NEW)  # type: ignore[arg-type]
    assert (told(recorder, "database")[0][2] is Outcome.OK) is good


def test_with_neither_the_ingress_alone_and_that_is_on_record(
    prove: Callable[..., str], api: FakeApi, recorder: ListRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise ApiError("pods/portforward: 403", status=403)

    api.refusing["/proxy/"] = 403
    monkeypatch.setattr(Kube, "pod_forward", forbidden)
    assert prove() == ""
    assert told(recorder) == [("Ingress", "ingress", Outcome.OK)] * 3
    assert [event.outcome for event in recorder.events if event.what == "not-reachable"] == [Outcome.UNKNOWN]


def test_silence_starts_the_row_again_and_a_wrong_answer_ends_it(
    prove: Callable[..., str], recorder: ListRecorder
) -> None:
    right, silent, wrong = Answer(200, healthy().encode()), Answer(None, error="read.timeout"), healthy("aaaaaaa")
    assert prove(Ingress(right, right, silent, right)) == ""
    assert len([one for one in told(recorder) if one[0] == "Ingress"]) == 6
    assert prove(Ingress(right, right, Answer(200, wrong.encode()))) == "Ingress: version aaaaaaa instead of bbbbbbb"


def test_a_row_that_never_comes_ends(prove: Callable[..., str]) -> None:
    said = prove(Ingress(Answer(None, error="connect.refused")))
    assert said == "only 0 of 3 answers in a row through the ingress within 30 s"


@pytest.mark.parametrize(("silent", "proven"), [(20, True), (200, False)])
def test_an_api_server_that_is_away_is_waited_for_and_is_no_silence_of_the_pod(
    prove: Callable[..., str], api: FakeApi, recorder: ListRecorder, silent: int, proven: bool
) -> None:
    api.hang_ups["web-1"] = silent
    assert (prove() == "") is proven
    (answer,) = [e for e in recorder.events if (e.subject, e.what) == ("Pod/shop/web-1", "version")]
    assert answer.outcome is (Outcome.OK if proven else Outcome.UNKNOWN)


def test_a_glance_asks_each_pod_once_and_one_that_is_silent_no_more() -> None:
    asked: list[tuple[str, str, float]] = []

    class Hanging:
        def pod_proxy(self, _ns: str, name: str, _port: int, path: str, *, timeout_s: float) -> tuple[int, bytes]:
            asked.append((name, path, timeout_s))
            if name == "web-1":
                raise UnreachableError("no answer in time")
            return 200, healthy().encode()

    recorder, kube = ListRecorder(), Hanging()
    ways_to = PodWays(kube, "shop", 8080)  # type: ignore[arg-type]
    Prover(story.target(), kube, Ingress(), recorder, ways_to).glance(PODS, NEW)  # type: ignore[arg-type]
    app = story.target().app
    assert [(name, path) for name, path, _ in asked] == [
        ("web-1", app.health_path), ("web-2", app.health_path), ("web-2", app.ready_path),
    ]  # fmt: skip
    assert max(timeout_s for *_, timeout_s in asked) <= 2.0
    assert [event.outcome for event in recorder.events] == [Outcome.UNKNOWN, Outcome.OK, Outcome.OK]
