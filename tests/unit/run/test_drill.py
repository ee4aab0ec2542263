"""The load around a block of any kind: baseline before it, the rest of the judged window after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import story
import views
from owntime import own_time
from recorder import ListRecorder

from rollproof.core.abort import LaneCount
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import Traffic as TrafficSettings
from rollproof.errors import AbortedError
from rollproof.loadgen.session import LiveCounts
from rollproof.run import drill
from rollproof.run.drill import Traffic

TIMES = {"baseline_s": 0.2, "after_old_gone_s": 0.3, "tail_s": 0.1}


class Generator:
    """Stands in for the load's process."""

    def __init__(self, *_: object, **__: object) -> None:
        self.said: list[str] = []
        self.counts = LiveCounts(0, {})
        self.request_id_prefix = "rp1"

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, *_: object) -> None:
        self.said.append("closed")

    def self_test(self) -> None:
        self.said.append("tested")

    def start(self) -> None:
        self.said.append("started")

    def progress(self) -> tuple[int, int]:
        return 0, 0

    def live(self) -> LiveCounts:
        return self.counts

    def stop(self) -> None:
        self.said.append("stopped")


class Run:
    """Stands in for the run: says which phase took how long."""

    drill = "x"
    injections = ()

    def __init__(self) -> None:
        self.now_s = 100.0  # it passes only while somebody sleeps
        self.target = story.target(traffic=replace(TrafficSettings(), **TIMES))
        self.phases: list[tuple[str, float]] = []

    def settle(self) -> None:
        self.phases.append(("settle", 0.0))

    def take_back(self) -> None:
        self.phases.append(("taken back", 0.0))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun_s = self.now_s
        yield
        self.phases.append((name, self.now_s - begun_s))

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> tuple[Traffic, Any, Run]:
    generator = Generator()
    monkeypatch.setattr(drill, "LoadSession", lambda *_, **__: generator)
    monkeypatch.setattr(drill, "IngressFollow", lambda *_: nullcontext())
    monkeypatch.setattr(drill, "record_retries", lambda *_, **__: generator.said.append("log"))
    run = Run()
    own_time(monkeypatch, drill, monotonic=lambda: run.now_s, sleep=run.sleep)
    console = SimpleNamespace(progress=lambda *_: None)
    folder = SimpleNamespace(path=None)
    clients = SimpleNamespace(kube=None)
    watches = SimpleNamespace(asking=nullcontext, deployment=lambda: None)
    context: Any = SimpleNamespace(
        status=lambda _: None, console=console, folder=folder, clients=clients, environ={}, watches=watches, probe=None
    )  # fmt: skip
    return Traffic(context, run), generator, run  # type: ignore[arg-type]


NAME = "drift-argocd-redis-away"
FAULT, DRIFT = "argocd-redis-away", "drift-revision-history"


def injection(name: str) -> Injection:
    return Injection(
        fault=name, drill=NAME, subject="x", change="", undo="", args={}, affects_traffic=False, effect_within_s=1.0,
        limit_s=1.0,
    )  # fmt: skip


def skip(name: str, why: str) -> Skip:
    return Skip(fault=name, drill=NAME, reason=why)


@pytest.mark.parametrize(
    ("planned", "why"),
    [
        ((injection(FAULT), injection(DRIFT)), ""),
        ((skip(FAULT, "there is no redis"), injection(DRIFT)), "there is no redis"),
        ((injection(FAULT), skip(DRIFT, "git does not declare it")), "git does not declare it"),
        ((skip(FAULT, "there is no redis"), skip(DRIFT, "git does not declare it")), "there is no redis"),
        ((skip(DRIFT, "git does not declare it"),), ""),  # a drill of drifts alone tells of each
        ((injection(FAULT),), ""),
    ],
)
def test_nothing_is_taken_away_for_a_drift_that_cannot_be_made(
    planned: tuple[Injection | Skip, ...], why: str
) -> None:  # fmt: skip
    injections = tuple(one for one in planned if isinstance(one, Injection))
    plan = story.plan(injections=injections, skips=tuple(one for one in planned if isinstance(one, Skip)))
    context: Any = SimpleNamespace(plan=plan)
    assert drill.Run(context, NAME).skipped == why


def test_any_block_is_held_until_its_judged_window_is_over(made: tuple[Traffic, Any, Run]) -> None:
    traffic, generator, run = made
    with traffic.steady():
        assert run.phases[-1][0] == "baseline"
    assert [name for name, _ in run.phases] == ["settle", "baseline", "recovery", "steady"]
    took = dict(run.phases)
    assert took["recovery"] == pytest.approx(0.3)
    assert took["steady"] == pytest.approx(0.6)  # the window's end lies inside the load
    assert generator.said == ["tested", "started", "stopped", "closed", "log"]


def test_a_rollout_is_over_when_its_last_old_pod_is_gone(made: tuple[Traffic, Any, Run]) -> None:
    traffic, _, run = made
    with traffic.steady() as load:
        load.over_with(SimpleNamespace(old_gone_s=run.now_s - 0.3))  # type: ignore[arg-type]
    assert dict(run.phases)["recovery"] == pytest.approx(0.0, abs=1e-6)


def test_a_block_that_breaks_ends_the_load_at_once(made: tuple[Traffic, Any, Run]) -> None:
    traffic, generator, run = made
    with pytest.raises(ValueError, match="broken"), traffic.steady():
        raise ValueError("broken")
    assert [name for name, _ in run.phases] == ["settle", "baseline"]
    assert generator.said == ["tested", "started", "stopped", "closed"]


def test_an_abort_ends_the_load_and_the_drill_goes_on_to_be_judged(
    made: tuple[Traffic, Any, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic, generator, run = made
    monkeypatch.setattr(traffic._context, "folder", SimpleNamespace(path=None, record=lambda *_, **__: None))
    with traffic.steady() as load:
        generator.counts = LiveCounts(1, {"get": LaneCount({"http.502": 10_000}, 0, 10_000)})
        with pytest.raises(AbortedError):
            load._probe.look()
        raise AbortedError("whoever waited was interrupted")
    assert generator.said[-3:] == ["stopped", "closed", "log"]
    assert run.phases[-1][0] == "taken back", "at once, and not when the run ends"
    assert not [name for name, _ in run.phases if name in ("recovery", "steady")]


def test_after_an_abort_nothing_is_measured_on(made: tuple[Traffic, Any, Run]) -> None:
    """A release notes the interruption itself and returns."""
    traffic, generator, run = made
    with traffic.steady() as load:
        load._probe.fired = True
    assert "stopped" in generator.said
    assert [name for name, _ in run.phases].count("taken back") == 1
    assert not [name for name, _ in run.phases if name in ("recovery", "steady")]


@pytest.mark.parametrize(("word", "asked"), [("recovered", "proof"), ("not-recovered", "glance")])
def test_an_app_that_did_not_come_back_is_not_asked_for_minutes(
    monkeypatch: pytest.MonkeyPatch, word: str, asked: str
) -> None:
    """Two pods that hang took 110 s, before anything was put right."""
    said: list[str] = []
    recorder = ListRecorder()

    class Faults:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def run(self, _: Any) -> None:
            recorder.record("fault", "Fault/pod-delete", word, data={})

    prover = SimpleNamespace(prove=lambda *_: said.append("proof"), glance=lambda *_: said.append("glance"))
    monkeypatch.setattr(drill, "FaultRunner", Faults)
    monkeypatch.setattr(drill, "Prover", lambda *_: prover)
    clients = SimpleNamespace(kube=None, argo=None, repo=None, http=None, ways=None)
    pods = views.pods(1)
    context: Any = SimpleNamespace(
        clients=clients, watches=SimpleNamespace(pods=lambda: pods),
        folder=SimpleNamespace(events=lambda: recorder.events),
        journal=None, status=lambda _: None, probe=None, keeper=SimpleNamespace(keep=None), running_sha=lambda: "a",
        plan=None,
    )  # fmt: skip
    run: Any = SimpleNamespace(
        drill="", target=story.target(), plan=story.plan(drills=("",)), phase=lambda _: nullcontext()
    )
    drill.FaultDrill(context, run).run()
    assert said == [asked]
