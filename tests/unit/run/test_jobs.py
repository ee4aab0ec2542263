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
        self.asked_s: list[float] = []
        self.first_run_s = 0.0  # before it the report has no run
        own_time(monkeypatch, jobs, time=lambda: self.now_s)
        target = story.target(jobs=JobSettings(report_path="/jobs", periods=3, reported_within_s=20.0))
        context = SimpleNamespace(
            target=target, watches=SimpleNamespace(poll=self.poll), clients=SimpleNamespace(http=None), folder=None,
            status=lambda _: None,
        )  # fmt: skip
        report = SimpleNamespace(read=lambda: self.read_s.append(self.now_s), reaches_back=self.reaches_back)
        monkeypatch.setattr(jobs, "JobReport", lambda *_: report)
        self.drill = JobsDrill(context, lambda _: nullcontext())  # type: ignore[arg-type]

    def reaches_back(self) -> bool:
        self.asked_s.append(self.now_s)
        return self.now_s >= self.first_run_s

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


def test_an_app_that_has_just_been_installed_is_watched_from_its_first_runs_on(world: World) -> None:
    world.first_run_s = 1_000_083.5
    with world.drill.watched():
        assert world.read_s == [1_000_084.0]  # a look each two seconds
    assert world.read_s[-1] == 1_000_140 + 3 * 60 + 20.5


def test_a_report_that_stays_empty_is_not_waited_for_forever(world: World) -> None:
    world.first_run_s = float("inf")
    with world.drill.watched():
        assert world.read_s == [1_000_140 + 20.0]  # its first period is over, and its runs had their time to show
    assert world.read_s[-1] == 1_000_200 + 3 * 60 + 20.5


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
