"""Times that are measured by looks which take time themselves, near their limits: never a FAIL of what came in time.

A clock of the test's own: nothing waits. A look begins, sees what was true at one moment within it, and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import recorder
import story
from faults.test_runner import Unplug
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from owntime import ScriptedClock, own_time
from recorder import ListRecorder

from rollproof.clients.kube import Kube
from rollproof.core.facts import Facts
from rollproof.core.injection import Injection
from rollproof.core.target import FaultSettings, UndoSettings
from rollproof.core.verdict import Result, Verdict
from rollproof.faults import registry, runner
from rollproof.faults.base import LiveContext
from rollproof.faults.registry import plan_faults
from rollproof.faults.runner import FaultRunner
from rollproof.judge.checkers import fault as checker
from rollproof.probes import waiting
from rollproof.probes.waiting import Changes
from rollproof.store.journal import FolderStore, Journal, Undone

LIMIT_S = 60.0
STILL = 1e-3  # what a moment that takes no time takes all the same


class Slow(Unplug):
    """Its looks take `look_s` each, and see what is true `sees` (0 to 1) of that time after they began.

    It is back `back_s` after its limit began to count: after its start, of a held one after its undo was answered.
    """

    held: ClassVar[bool] = False
    clock: ScriptedClock
    look_s: float = 0.0
    sees: float = 0.0
    back_s: float = 0.0
    undo_s: float = 0.0  # how long the undo takes, and so long the look whether it is undone
    since_s: float | None = None

    def inject(self, injection: Injection, live: LiveContext) -> Any:
        if not self.held:
            self.since_s = self.clock.now_s
        return super().inject(injection, live)

    def missing(self, injection: Injection, live: LiveContext) -> str:  # noqa: ARG002
        self.clock.now_s += self.look_s * self.sees
        assert self.since_s is not None
        there = self.clock.now_s - self.since_s >= self.back_s
        self.clock.now_s += self.look_s * (1 - self.sees)
        return "" if there else f"missing at {self.clock.now_s:.1f}"

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:  # noqa: ARG002
        self.clock.now_s += self.undo_s
        first, self.since_s = self.since_s is None, self.since_s or self.clock.now_s
        return Undone("done" if first and self.held else "not-needed")


class Held(Slow):
    held: ClassVar[bool] = True


def judged(fault: Slow, folder: Path, monkeypatch: pytest.MonkeyPatch, *, hold_s: float = 1.0) -> Verdict:
    """What is said of that fault, from what the runner recorded of it."""
    clock = fault.clock = ScriptedClock()
    own_time(monkeypatch, runner, waiting, recorder, monotonic=clock.monotonic)
    monkeypatch.setattr(registry, "all_faults", lambda: {fault.name: fault})
    changes, told = Changes(), ListRecorder()
    changes.lock = clock  # type: ignore[assignment]
    limits = FaultSettings(effect_within_s=10.0, hold_s=hold_s, recovery_limits_s={"unplug": LIMIT_S})
    target = story.target(faults=limits, undo=UndoSettings(late_s=0.0))
    watches: Any = SimpleNamespace(poll=changes.wait)
    live = LiveContext(drill="pull", target=target, kube=None, argo=None, watches=watches)  # type: ignore[arg-type]
    journal = Journal(FolderStore(folder / "undo.jsonl"), told)
    (injection,) = plan_faults(["unplug"], live)
    assert isinstance(injection, Injection)
    plan = story.plan(drills=("pull",), target=target, injections=(injection,))
    FaultRunner(live, told, journal).run(plan)
    events = tuple(one for one in told.events if one.source == "fault")
    facts = Facts(plan=plan, drill="", events=events, requests=None, environment={})
    (verdict,) = checker.check(facts)
    return verdict


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Verdict]:
    def run(kind: type[Slow] = Slow, **how: float) -> Verdict:
        fault = kind()
        for name, value in how.items():
            setattr(fault, name, value)
        return judged(fault, tmp_path, monkeypatch)

    return run


@pytest.mark.parametrize("kind", [Slow, Held])
def test_what_came_in_time_and_was_seen_late_is_no_failure(judge: Callable[..., Verdict], kind: type[Slow]) -> None:
    """Back at 59.5 s; the look that finds it so begins at 59 s, and is over at 62 s."""
    verdict = judge(kind, look_s=3.0, sees=1.0, back_s=59.5)
    assert verdict.result is Result.INCONCLUSIVE, verdict.why
    assert "it is sure only until 5" in verdict.why
    assert 'faults.recovery_limits_s."unplug"' in verdict.why


@pytest.mark.parametrize("kind", [Slow, Held])
def test_what_came_after_the_last_look_had_begun_is_no_failure(judge: Callable[..., Verdict], kind: type[Slow]) -> None:
    """The look that goes on at the limit sees what was true when it began: one more look is made."""
    verdict = judge(kind, look_s=5.0, sees=0.0, back_s=59.9)
    assert verdict.result is Result.INCONCLUSIVE, verdict.why


@pytest.mark.parametrize("kind", [Slow, Held])
def test_what_never_comes_is_a_failure_however_long_looks_take(judge: Callable[..., Verdict], kind: type[Slow]) -> None:
    for look_s in (0.0, 0.7, 5.0, 59.0):
        verdict = judge(kind, look_s=look_s, sees=0.5, back_s=1e9)
        assert verdict.result is Result.FAIL, verdict.why


def test_an_undo_that_takes_long_and_the_look_after_it_are_no_time_of_the_recovery(
    judge: Callable[..., Verdict],
) -> None:
    """It is undone once the undo was answered: what is looked at again after that takes time of the limit."""
    assert judge(Held, undo_s=10.0, back_s=61.5).result is Result.FAIL
    assert judge(Held, undo_s=10.0, back_s=58.5).result is Result.PASS


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    back_s=st.floats(40.0, 80.0), look_s=st.floats(0.0, 15.0), sees=st.floats(0.0, 1.0),
    undo_s=st.floats(0.0, 5.0), kind=st.sampled_from([Slow, Held]),
)  # fmt: skip
def test_near_its_limit_nothing_is_claimed_that_is_not_so(
    tmp_path_factory: pytest.TempPathFactory, kind: type[Slow], back_s: float, look_s: float, sees: float, undo_s: float
) -> None:
    """Never FAIL of what was back in time, never PASS of what was not, and a claim where no look was at work."""
    fault = kind()
    fault.back_s, fault.look_s, fault.sees, fault.undo_s = back_s, look_s, sees, undo_s
    with pytest.MonkeyPatch.context() as monkeypatch:
        verdict = judged(fault, tmp_path_factory.mktemp("run"), monkeypatch)
    away_s = back_s - LIMIT_S
    assert not (verdict.result is Result.FAIL and away_s < -STILL), verdict.why
    assert not (verdict.result is Result.PASS and away_s > STILL), verdict.why
    # from the begin of a look that missed it to the end of the next
    apart_s = 2 * look_s + waiting._WAKE_S + STILL
    assert verdict.result is not Result.INCONCLUSIVE or abs(away_s) <= apart_s, verdict.why


def test_the_last_look_of_a_wait_is_begun_at_its_end() -> None:
    clock, changes, begun = ScriptedClock(), Changes(), list[float]()
    changes.lock = clock  # type: ignore[assignment]
    with pytest.MonkeyPatch.context() as monkeypatch:
        own_time(monkeypatch, waiting, monotonic=clock.monotonic)

        def look() -> None:
            begun.append(clock.now_s)
            clock.now_s += 7.0

        assert changes.wait(look, timeout_s=10.0) is None
    assert [round(one - 1000.0) for one in begun] == [0, 7, 14]


def test_the_facts_say_between_which_moments_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Slow()
    fault.look_s, fault.sees, fault.back_s = 2.0, 1.0, 10.0
    verdict = judged(fault, tmp_path, monkeypatch)
    assert verdict.result is Result.PASS
    least_s, most_s = verdict.numbers["recovery_least_s"], verdict.numbers["recovery_s"]
    assert isinstance(least_s, float)
    assert isinstance(most_s, float)
    assert least_s <= 10.0 <= most_s <= least_s + 2 * fault.look_s + waiting._WAKE_S + STILL
