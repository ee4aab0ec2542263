"""A time that is later than its limit only because a watch was away until it was seen: nothing is claimed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from expected_bad_release_verdicts import bad_release
from expected_meanwhile_verdicts import meanwhiles
from story import OLD, Story, plan, target

from rollproof.core.backoff import model
from rollproof.core.event import Outcome
from rollproof.core.facts import Facts
from rollproof.core.target import DriftSettings
from rollproof.core.verdict import Result, Verdict
from rollproof.core.watched import seen_late_s
from rollproof.judge.checkers import bad_release as bad_release_checker
from rollproof.judge.checkers import drift, fault, meanwhile, rollback


def of_fault() -> tuple[Story, float, Callable[[Facts], Verdict]]:
    """Recovered 2 s later than its limit, and when that was seen."""
    return Story("pod-delete").fault(recovered=62.0), 162.0, lambda facts: fault.check(facts)[0]


def of_drift() -> tuple[Story, float, Callable[[Facts], Verdict]]:
    """Healed 0.33 s later than the limit."""
    trials = DriftSettings(trials=("image",), limit_s=5.0)
    told = Story("drift", plan=plan(target=target(drift=trials)))
    told.tell("drift", "Drift", "model", at=190, version="v3.2.6", **asdict(model("v3.2.6")))
    told.tell("drift", "Drift/image", "planned", at=199, object="Deployment/shop/web", change="x", kind="heal")
    operation = {"operation_revision": "c" * 40, "sync_revision": "c" * 40}
    before = {"attempts": 1, "gap_s": 2.0, "quiet_s": 5.0, "fair": True, "started_at": "2026-01-01T00:00:00Z"}
    told.tell("drift", "Drift/image", "before", at=200, **before, **operation)
    told.tell("drift", "Drift/image", "injected", at=200, field="image", **{"from": "a", "to": "b"})
    told.tell("drift", "Drift/image", "restored", at=205.33, start=200, manager="argocd-controller", value="a")
    told.tell(
        "drift", "Drift/image", "after", at=205.5, attempts=2, automated=True, started_at="2026-01-01T00:01:00Z",
        **operation,
    )  # fmt: skip
    return told, 205.33, lambda facts: drift.check(facts)[0]


def of_rollback() -> tuple[Story, float, Callable[[Facts], Verdict]]:
    """Proven 1.5 s later than the limit, after the last old pod had gone at 124 s."""
    told = Story("rollback").release_started(source="rollback").pods_replaced(sha=OLD)
    return told.stages(source="rollback", proven_at=132.0), 124.0, rollback.check


def of_bad_release() -> tuple[Story, float, Callable[[Facts], Verdict]]:
    """Called bad 0.5 s later than the limit of 60 s from the push."""
    return bad_release(named_at=161.0), 161.0, bad_release_checker.check


def of_meanwhile() -> tuple[Story, float, Callable[[Facts], Verdict]]:
    """Healed 0.5 s later than the limit after the fault was undone."""
    told = next(told for name, told in meanwhiles() if name == "too late")
    return told, 172.5, meanwhile.check


KINDS = [of_fault, of_drift, of_rollback, of_bad_release, of_meanwhile]


def away(told: Story, since_s: float, until_s: float, **data: Any) -> Story:
    return told.tell(
        "watch", "Watch/Pod", "gap", start=since_s, at=until_s, outcome=Outcome.UNKNOWN,
        **{"lost": False, "reason": "the API server did not answer", **data},
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("since_s", "until_s", "result"),
    [
        (-4.0, -0.1, Result.INCONCLUSIVE),  # it may have been up to 4 s before
        (-0.2, -0.1, Result.FAIL),  # too short to explain it
        (-20.0, -10.0, Result.FAIL),  # over long before
        (0.1, 4.0, Result.FAIL),  # after it was seen
    ],
)
def test_what_was_seen_late_is_no_failure(
    kind: Callable[[], tuple[Story, float, Callable[[Facts], Verdict]]], since_s: float, until_s: float, result: Result
) -> None:
    told, seen_s, check = kind()
    assert check(told.facts()).result is Result.FAIL
    verdict = check(away(told, seen_s + since_s, seen_s + until_s).facts())
    assert (verdict.result, "a watch was away" in verdict.why) == (result, result is Result.INCONCLUSIVE), verdict.why


def test_nothing_was_done_before_it_was_asked_for() -> None:
    """A watch that had been away since before the drift: up to 5.53 s less than 5.33 s was said."""
    told, seen_s, check = of_drift()
    assert "or up to 5.33 s less" in check(away(told, seen_s - 5.53, seen_s).facts()).why


def test_a_drills_own_watch_says_for_how_long_it_was_away_within_its_time() -> None:
    told = away(Story(), 100.0, 110.0, blind_s=0.3)
    assert seen_late_s(told.facts(), 105.0) == pytest.approx(0.3)
    assert seen_late_s(told.facts(), 100.1) == pytest.approx(0.1)
    assert seen_late_s(told.facts(), 111.0) == 0.0


def test_two_interruptions_add_up_and_one_counts_once() -> None:
    told = away(away(Story(), 100.0, 102.0), 110.0, 113.0)
    assert seen_late_s(told.facts(), 102.1, 102.2, 113.0) == pytest.approx(5.0)
