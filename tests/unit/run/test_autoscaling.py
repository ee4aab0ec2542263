"""The rise and fall of load: what is waited for, what is recorded, and that the added load always ends."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import story
import views
from recorder import ListRecorder

from rollproof.core.scaling import ScalingWord
from rollproof.core.target import AutoscalingSettings
from rollproof.errors import AbortedError, CannotJudgeError
from rollproof.loadgen.added import Added
from rollproof.probes.views import those_that_serve
from rollproof.run import autoscaling
from rollproof.run.autoscaling import AutoscalingDrill

W = ScalingWord
HOLD_S = 0.5


class Watching:
    """Watches whose world goes one step on with each wait that is not fulfilled; each step is a change of it."""

    def __init__(self, *steps: Callable[[Watching], None]) -> None:
        self.wanted, self.there, self.ready, self.blind = 2, 2, 2, ""
        self.steps = list(steps)
        self.view = views.autoscaler()

    def autoscaler(self) -> Any:
        return self.view

    def deployment(self) -> Any:
        return views.deployment(spec_replicas=self.wanted) if self.wanted >= 0 else None

    def pods(self) -> dict[str, Any]:
        return views.pods(self.ready) | dict(list(views.pods(self.there, ready=False).items())[self.ready :])

    def serving(self) -> dict[str, Any]:
        return those_that_serve(self.pods(), {one.ip for one in views.pods(self.ready).values()})

    def away(self) -> str:
        return self.blind

    def poll(self, condition: Callable[[], Any], *, timeout_s: float) -> Any:
        while (found := condition()) is None:
            if not self.steps or timeout_s == HOLD_S:
                return None
            self.steps.pop(0)(self)
        return found


def scaled(wanted: int, there: int | None = None, ready: int | None = None) -> Callable[[Watching], None]:
    def change(world: Watching) -> None:
        world.wanted = wanted
        world.there = wanted if there is None else there
        world.ready = world.there if ready is None else ready

    return change


class World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps: Callable[[Watching], None]) -> None:
        self.watches, self.recorder = Watching(*steps), ListRecorder()
        self.load: list[str] = []
        target = story.target(autoscaling=AutoscalingSettings(path="/jobs", rate_per_s=40.0, hold_s=HOLD_S))
        context = SimpleNamespace(
            target=target, watches=self.watches, folder=self.recorder, environ={}, status=lambda _: None,
            clients=SimpleNamespace(kube=None),
        )  # fmt: skip
        monkeypatch.setattr(autoscaling, "AddedLoad", lambda *_, **__: self)
        self.drill = AutoscalingDrill(context)  # type: ignore[arg-type]
        self.drill._name = "web"

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.load.append("closed")

    def start(self) -> None:
        self.load.append("started")

    def check(self) -> None:
        """It lives."""

    def stop(self) -> Added:
        self.load.append("stopped")
        return Added(2200, 1, 40.0, {"http.503": 1})

    def told(self) -> list[tuple[str, str]]:
        return [(event.what, event.outcome.value) for event in self.recorder.events]


def test_up_and_down(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, scaled(4, 4, 2), scaled(4), scaled(3, 4), scaled(2, 3), scaled(2))
    world.drill.rise_and_fall()
    words = [W.PLANNED, W.RAISED, W.SCALED_UP, W.READY, W.LOWERED, W.SCALED_DOWN, W.FLOOR]
    assert world.told() == [(word, "ok") for word in words]
    assert world.load == ["started", "stopped", "closed"]
    planned, lowered = world.recorder.events[0].data, world.recorder.events[4].data
    assert (planned["floor"], planned["path"], planned["window_s"]) == (2, "/jobs", 30.0)
    assert lowered["outcomes"] == {"http.503": 1}


def test_too_little_load_is_ended_and_nothing_more_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.drill.rise_and_fall()
    assert world.told()[-2:] == [(W.NOT_SCALED_UP, "fail"), (W.LOWERED, "ok")]
    assert "cpu 4 % of 80 %" in world.recorder.events[-2].data["last_seen"]


def test_what_nobody_could_see_is_not_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.watches.blind = "Deployment: it is silent"
    world.drill.rise_and_fall()
    assert world.told()[2] == (W.NOT_SCALED_UP, "unknown")


def test_replicas_without_traffic_are_waited_for_on_their_way_down_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, scaled(4, 4, 2))
    world.drill.rise_and_fall()
    assert world.told()[3:] == [(W.NOT_READY, "fail"), (W.LOWERED, "ok"), (W.NOT_FLOOR, "fail")]


def test_replicas_that_were_taken_away_again_are_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, scaled(4, 4, 2), scaled(2))
    world.drill.rise_and_fall()
    assert world.told()[3] == (W.NOT_READY, "fail")
    assert world.told()[-1] == (W.FLOOR, "ok")


def test_a_deployment_that_is_gone_is_not_one_of_fewer_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, scaled(4), scaled(-1, 0))
    world.drill.rise_and_fall()
    assert world.told()[-1] == (W.NOT_FLOOR, "fail")
    assert W.SCALED_DOWN not in dict(world.told())


def test_more_replicas_before_the_rise_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    scaled(3)(world.watches)
    with pytest.raises(CannotJudgeError, match=r"before any load was added .* 3 replicas are wanted"):
        world.drill.rise_and_fall()
    assert world.load == []


def test_the_added_load_ends_with_whatever_ends_the_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(_: Watching) -> None:
        raise AbortedError("too much is lost")

    world = World(monkeypatch, lose)
    with pytest.raises(AbortedError):
        world.drill.rise_and_fall()
    assert world.load == ["started", "closed"]
