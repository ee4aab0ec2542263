"""The job report around what a drill does: read before it, after it, and until enough whole periods are over."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import story
from owntime import own_time

from rollproof.core.target import JobSettings
from rollproof.run import jobs
from rollproof.run.jobs import JobsDrill


class World:
    """A clock that moves by what is waited for, and a report that notes when it was read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1_000_030.0  # 10 s into a period of a minute
        self.read_s: list[float] = []
        own_time(monkeypatch, jobs, time=lambda: self.now_s)
        target = story.target(jobs=JobSettings(report_path="/jobs", periods=3, reported_within_s=20.0))
        context = SimpleNamespace(
            target=target, watches=SimpleNamespace(poll=self.poll), clients=SimpleNamespace(http=None), folder=None,
            status=lambda _: None,
        )  # fmt: skip
        monkeypatch.setattr(jobs, "JobReport", lambda *_: SimpleNamespace(read=lambda: self.read_s.append(self.now_s)))
        self.drill = JobsDrill(context, lambda _: nullcontext())  # type: ignore[arg-type]

    def poll(self, _: object, *, timeout_s: float) -> None:
        self.now_s += timeout_s


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_at_rest(world: World) -> None:
    with world.drill.watched():
        assert world.read_s == [1_000_030.0]
    assert world.read_s[-1] == 1_000_080 + 3 * 60 + 20.5  # three whole periods, and the last run's time to show
    assert all(after - before <= 60 for before, after in zip(world.read_s, world.read_s[1:], strict=False))


def test_around_an_act_that_takes_longer(world: World) -> None:
    with world.drill.watched():
        world.now_s += 300
    assert world.read_s[-1] == 1_000_440 + 20.5  # it ended in the period before, and one more is whole


def test_an_act_that_breaks_ends_it(world: World) -> None:
    with pytest.raises(KeyboardInterrupt), world.drill.watched():
        raise KeyboardInterrupt
    assert len(world.read_s) == 1


def test_to_a_boundary(world: World) -> None:
    world.drill.to_boundary()
    assert world.now_s == pytest.approx(1_000_080.2)


def test_to_just_before_a_boundary(world: World) -> None:
    world.drill.to_boundary(early_s=10.0)
    assert world.now_s == pytest.approx(1_000_070.0)
    world.now_s += 1.0  # nearer than that: to the one after it
    world.drill.to_boundary(early_s=10.0)
    assert world.now_s == pytest.approx(1_000_130.0)


def test_without_a_report(world: World) -> None:
    assert world.drill.skipped == ""
    world.drill._context.target = story.target()  # type: ignore[misc]
    assert "jobs.report_path" in world.drill.skipped
