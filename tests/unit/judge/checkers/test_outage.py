"""What may be promised while an outage is expected, each promise kept, broken and not seen."""

from __future__ import annotations

import pytest
from expected_outage_verdicts import dependencies, held, outages
from story import Story

from rollproof.core.event import Outcome
from rollproof.core.verdict import Result
from rollproof.judge.checkers import dependency, fault, outage

PASS, FAIL, INCONCLUSIVE = Result.PASS, Result.FAIL, Result.INCONCLUSIVE
DEPENDENCY = {
    "alive and honest": PASS, "alive and honest, and not recovered": PASS, "a restart before": PASS,
    "a restart of somebody else's": PASS, "said in time": PASS,
    "no answer on either path": PASS, "skipped": Result.SKIPPED, "said soon": PASS,
    "the health path fails too": FAIL, "another version answers": FAIL, "away with status 200": FAIL, "a restart": FAIL,
    "a restart, for its memory": FAIL, "a restart, by the liveness probe": FAIL,
    "a restart, and a kill for its memory before it": FAIL,
    "said late": FAIL, "no answer, and alive": FAIL, "another version answers in one pod": FAIL,
    "said late by the second answer": FAIL, "said late, after an answer whose way was as slow": FAIL,
    "said late, and how long the way takes was not told": FAIL,
}  # fmt: skip
OUTAGE = {
    "nothing was lost": PASS, "refused at once while it lasted": PASS, "a background, before it and after": PASS,
    "a background, and two in a row after it": FAIL, "more than a background after it": FAIL,
    "a wrong answer beside a background": FAIL,
    "stalled": FAIL, "a wrong answer": FAIL,
    "wrong answers of the entry itself": FAIL, "one of a pod among them": FAIL,
    "lost after the recovery": FAIL,
}  # fmt: skip


@pytest.mark.parametrize(("name", "story"), [*dependencies()], ids=lambda one: one if isinstance(one, str) else "")
def test_what_each_pod_owes_while_its_database_is_away(name: str, story: Story) -> None:
    (verdict,) = dependency.check(story.facts())
    assert verdict.result is DEPENDENCY.get(name, INCONCLUSIVE), verdict.why


@pytest.mark.parametrize(("name", "story"), [*outages()], ids=lambda one: one if isinstance(one, str) else "")
def test_what_is_owed_to_each_request(name: str, story: Story) -> None:
    verdict = outage.check(story.facts())
    assert verdict.result is OUTAGE.get(name, INCONCLUSIVE), verdict.why


def test_the_recovery_from_a_held_fault_counts_from_its_end() -> None:
    (verdict,) = fault.check(held(recovered=59.0).facts())  # 71 s after the start
    assert (verdict.result, verdict.numbers["recovery_s"]) == (PASS, 59.0)
    (verdict,) = fault.check(held(recovered=60.5).facts())
    assert verdict.result is FAIL
    (verdict,) = fault.check(held(until="undone").facts())
    assert verdict.result is INCONCLUSIVE


@pytest.mark.parametrize(("at", "result"), [(172.0, FAIL), (171.0, INCONCLUSIVE)])
def test_no_recovery_is_one_only_if_it_was_watched_for_as_long_as_the_limit(at: float, result: Result) -> None:
    story = held(until="undone").tell("fault", "Fault/database-refused", "not-recovered", at=at, outcome=Outcome.FAIL)
    (verdict,) = fault.check(story.facts())
    assert verdict.result is result, verdict.why


@pytest.mark.parametrize(("health_first", "result"), [(True, INCONCLUSIVE), (False, FAIL)])
def test_where_the_health_path_was_not_asked_before_nothing_is_taken_off(health_first: bool, result: Result) -> None:
    """The readiness path took 2.5 s, the limit is 2 s; the health path had taken 0.6 s, or was asked afterwards.

    What the way took just before it need not have taken this time.
    """
    told = held()
    for at, what, took_s in sorted(((104.0 if health_first else 106.0, "version", 0.6), (105.0, "database", 2.5))):
        told.tell(
            "proof", "Pod/shop/old-1", what, at=at, outcome=Outcome.OK if what == "version" else Outcome.FAIL,
            status=200 if what == "version" else 503, value="down", version="aaaaaaa", expected="x", took_s=took_s,
        )  # fmt: skip
    (verdict,) = dependency.check(told.facts())
    assert verdict.result is result, verdict.why


def answered(told: Story, what: str, *answers: tuple[str, int, str], outcome: Outcome = Outcome.FAIL) -> Story:
    """Single pods asked while it is away: pod, status, and what it said."""
    for pod, status, said in answers:
        told.tell(
            "proof", f"Pod/shop/{pod}", what, at=105.0, outcome=outcome, status=status, value=said, version=said,
            expected="x",
        )  # fmt: skip
    return told


def test_the_first_pod_that_breaks_a_promise_is_named_with_its_own_words() -> None:
    told = answered(held(), "version", ("old-1", 502, ""), ("old-2", 503, ""), outcome=Outcome.UNKNOWN)
    (verdict,) = dependency.check(told.facts())
    assert verdict.why.endswith("Pod/shop/old-1 answered 502 while the database was away")
    told = answered(held(), "version", ("old-1", 200, "one"), ("old-2", 200, "two"))
    (verdict,) = dependency.check(told.facts())
    assert verdict.why.endswith("Pod/shop/old-1 said version one instead of x")
    told = answered(held(), "database", ("old-1", 200, "gone"), ("old-2", 204, "away"))
    (verdict,) = dependency.check(told.facts())
    assert verdict.why.endswith("Pod/shop/old-1 said 'gone' with HTTP status 200")
