"""Times of a release near their limits, where what is asked takes time: the deadline, a bad version's name, a proof.

A clock of the test's own: nothing waits. git and the proof take as long as the test says, and the cluster changes
meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import recorder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from owntime import ScriptedClock, own_time
from story import NEW, OLD, plan, target

from rollproof.core.facts import Facts
from rollproof.core.plan import Plan
from rollproof.core.reasons import BadKind
from rollproof.core.target import BadReleases, ReleaseSettings, RollbackSettings
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers import bad_release, rollback
from rollproof.probes import waiting
from rollproof.probes.proof import NotProven
from rollproof.probes.views import DeploymentView, PodView
from rollproof.probes.waiting import Changes
from rollproof.release import deploy, wait
from rollproof.release.wait import StageFailedError, Waits

from .scripted import NEW_PODS, OTHERS, OURS, Prover, Repo, View, World, at, deployment, pod

LIMIT_S = 30.0
STILL = 1e-2


class Timed(View):
    """The cluster by the clock: rolled out, or its new pod in CrashLoopBackOff, `after_s` after it began."""

    def __init__(self, clock: ScriptedClock, after_s: float, *, crashes: bool = False) -> None:
        super().__init__()
        self.clock, self.crashes = clock, crashes
        self.at_s = clock.now_s + after_s
        self.changes = Changes()
        self.changes.lock = clock  # type: ignore[assignment]
        self.to, self.before, self.revision = NEW, OLD, OURS

    def poll(self, condition: Callable[[], Any], *, timeout_s: float) -> Any:
        return self.changes.wait(condition, timeout_s=timeout_s)

    @property
    def there(self) -> bool:
        return self.clock.now_s >= self.at_s

    def application(self) -> Any:
        return at(self.revision)

    def deployment(self) -> DeploymentView:
        return deployment(self.to, updated=2 if self.there and not self.crashes else 1)

    def pods(self) -> dict[str, PodView]:
        if not self.there:
            return {"old-1": pod("old-1", self.before), "old-2": pod("old-2", self.before)}
        if self.crashes:
            return {"old-1": pod("old-1", OLD), "new-1": pod("new-1", NEW, ready=False, reason="CrashLoopBackOff")}
        return NEW_PODS if self.to == NEW else {name: pod(name, OLD) for name in ("back-1", "back-2")}


class SlowRepo(Repo):
    """Whoever asks it waits."""

    clock: ScriptedClock
    takes_s = 0.0

    def tag(self) -> str:
        self.clock.now_s += self.takes_s
        return super().tag()


class SlowProver(Prover):
    """The proof takes time, in which the app may answer as it should for a long time already."""

    clock: ScriptedClock
    takes_s = 0.0

    def prove(self, pods: Any, expected: str) -> NotProven | None:
        self.clock.now_s += self.takes_s
        return super().prove(pods, expected)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ScriptedClock:
    return clocked(monkeypatch)


def clocked(monkeypatch: pytest.MonkeyPatch) -> ScriptedClock:
    clock = ScriptedClock()

    def sleep(seconds: float) -> None:
        clock.now_s += seconds

    own_time(monkeypatch, deploy, wait, waiting, recorder, monotonic=clock.monotonic, sleep=sleep)
    return clock


def facts_of(world: World, run: Plan) -> Facts:
    return Facts(plan=run, drill="", events=tuple(world.recorder.events), requests=None, environment={})


@pytest.mark.parametrize(("rolled_out_s", "in_time"), [(19.9, True), (16.0, True), (14.0, True), (1e9, False)])
def test_what_is_rolled_out_while_git_is_asked_is_seen_before_it_is_given_up(
    clock: ScriptedClock, rolled_out_s: float, in_time: bool
) -> None:
    """git is asked at 15 s for 10 s, and the deadline of 20 s passes meanwhile."""
    view = Timed(clock, rolled_out_s)

    def asks_git(_: str) -> None:
        clock.now_s += 10.0 if clock.now_s >= 1015.0 else 0.0

    waits = Waits(target(), view, deadline_s=20.0, still_ours=asks_git)  # type: ignore[arg-type]
    if in_time:
        assert waits.rolled_out(NEW, frozenset({f"hash-{OLD}"})) == f"hash-{NEW}"
    else:
        with pytest.raises(StageFailedError):
            waits.rolled_out(NEW, frozenset({f"hash-{OLD}"}))
        assert waits.missed_s >= 1020.0, "it was looked at when the time was over"


def called_bad(clock: ScriptedClock, *, crashes_s: float, git_s: float) -> tuple[Verdict, float]:
    """What is said of a version that crashes so long after its push; and when it did, after the push."""
    bad = BadReleases(crash_loop=NEW, named_within_s=LIMIT_S)
    run = plan(target=target(release=ReleaseSettings(deadline_s=200.0, bad=bad)), bad=str(BadKind.CRASH_LOOP))
    repo = SlowRepo()
    repo.clock, repo.takes_s = clock, git_s
    world = World(Timed(clock, crashes_s, crashes=True), repo=repo, run=run)
    world.release.deploy()
    pushed = next(one for one in world.recorder.events if one.what == "pushed")
    return bad_release.check(facts_of(world, run)), 1000.0 + crashes_s - pushed.end_s


def rolled_back(clock: ScriptedClock, *, back_s: float, proof_s: float) -> tuple[Verdict, float]:
    """What is said of a version that is back so long after the push; and when it was, after the push."""
    run = plan(target=target(rollback=RollbackSettings(limit_s=LIMIT_S, deadline_s=200.0)))
    prover = SlowProver()
    prover.clock = clock
    view = Timed(clock, 5.0)
    world = World(view, prover=prover, run=run)
    deployed = world.release.deploy()
    assert deployed.proven, deployed.failed
    since_s = clock.now_s
    view.to, view.before, view.revision = OLD, NEW, OTHERS
    view.at_s, prover.takes_s = since_s + back_s, proof_s
    world.release.revert(deployed)
    pushed = [one for one in world.recorder.events if one.what == "pushed"][-1]
    return rollback.check(facts_of(world, run)), since_s + back_s - pushed.end_s


def test_a_bad_version_that_shows_it_while_git_is_asked_is_not_called_bad_late(clock: ScriptedClock) -> None:
    """It crashes at 28 s; from 25 s on git is asked for 10 s."""
    verdict, _ = called_bad(clock, crashes_s=28.0, git_s=10.0)
    assert verdict.result is Result.INCONCLUSIVE, verdict.why
    assert "release.bad.named_within_s" in verdict.why


def test_a_rollback_that_was_there_while_it_was_proven_is_not_late(clock: ScriptedClock) -> None:
    """It is back at 28 s, and the proof takes 5 s."""
    verdict, _ = rolled_back(clock, back_s=28.0, proof_s=5.0)
    assert verdict.result is Result.INCONCLUSIVE, verdict.why
    assert "allow for it in rollback.limit_s" in verdict.why


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    measure=st.sampled_from([called_bad, rolled_back]), came_s=st.floats(10.0, 50.0), asking_s=st.floats(0.0, 15.0)
)  # fmt: skip
def test_near_its_limit_nothing_is_claimed_that_is_not_so(
    measure: Callable[..., tuple[Verdict, float]], came_s: float, asking_s: float
) -> None:
    """Never FAIL of what came in time, never PASS of what did not; a claim where nothing was asked meanwhile."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        clock = clocked(monkeypatch)
        if measure is called_bad:
            verdict, true_s = called_bad(clock, crashes_s=came_s, git_s=asking_s)
        else:
            verdict, true_s = rolled_back(clock, back_s=came_s, proof_s=asking_s)
    away_s = true_s - LIMIT_S
    assert not (verdict.result is Result.FAIL and away_s < -STILL), verdict.why
    assert not (verdict.result is Result.PASS and away_s > STILL), verdict.why
    assert verdict.result is not Result.INCONCLUSIVE or abs(away_s) <= asking_s + waiting._WAKE_S + STILL, verdict.why
