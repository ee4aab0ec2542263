"""When is the generator not to be believed? Each of its own limits, broken one at a time."""

from __future__ import annotations

from typing import Any

import pytest
from builders import Requests
from story import Story, good_release, plan, target

from rollproof.core.target import Traffic
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers import load_soundness


def judge(requests: Requests, *, tested: bool = True, passed: bool = True, story: Story | None = None) -> Verdict:
    story = story or good_release()
    story.plan = plan(target=target(traffic=Traffic()))
    if tested:
        reported = 2 if passed else 0
        story.tell("load", "Load", "self-test", at=80.0, classes={"read.eof": [2, reported]}, passed=passed)
    story.requests = requests.build()
    return load_soundness.check(story.facts())


def test_a_healthy_generator_passes_and_names_its_scheduling() -> None:
    verdict = judge(Requests().with_slow())
    assert verdict.result is Result.PASS, verdict.why
    assert "SCHED_FIFO 50" in verdict.why
    assert verdict.numbers["rate_per_s"] == 200.0


def test_without_load_there_is_nothing_to_judge() -> None:
    assert load_soundness.check(good_release().facts()).result is Result.INCONCLUSIVE


@pytest.mark.parametrize(
    ("words", "because"),
    [
        ({"dropped": 3}, "not sent"),
        ({"unfinished": 1}, "no outcome"),
        ({"locust_requests": 5}, "locust counted 5"),
        ({"planned": 99_999}, "planned"),
        ({"cpu_s": 50.0}, "of a core"),
        ({"wall_s": (1e9, 1e9 + 75.0)}, "suspended"),
    ],
)
def test_each_word_of_its_own_can_make_it_unbelievable(words: dict[str, Any], because: str) -> None:
    verdict = judge(Requests().engine(**words))
    assert verdict.result is Result.INCONCLUSIVE
    assert because in verdict.why


def test_it_must_have_been_tested_and_told_the_truth() -> None:
    assert judge(Requests(), tested=False).result is Result.INCONCLUSIVE
    liar = judge(Requests(), passed=False)
    assert liar.result is Result.INCONCLUSIVE
    assert "read.eof 2 done, 0 reported" in liar.why


def test_too_many_late_dispatches() -> None:
    verdict = judge(Requests().blind(at=110.0, until=112.0))
    assert verdict.result is Result.INCONCLUSIVE
    assert "late" in verdict.why
    assert judge(Requests().blind(at=110.0, until=110.5)).result is Result.PASS


@pytest.mark.parametrize(("stalled_s", "result"), [(0.9, Result.PASS), (1.1, Result.INCONCLUSIVE)])
def test_a_stop_is_a_stop_however_small_its_share(stalled_s: float, result: Result) -> None:
    stopped = Requests(start=0.0, seconds=200.0).blind(at=50.0, until=50.0 + stalled_s)
    verdict = judge(stopped)
    assert float(verdict.numbers["late_share"] or 0) < 0.01
    assert verdict.result is result, verdict.why
    assert ("it stood still" in verdict.why) is (result is Result.INCONCLUSIVE)


@pytest.mark.parametrize(("at", "part"), [(92.0, "before"), (110.0, "during"), (130.0, "after")])
def test_a_rate_that_was_not_reached_in_any_part_of_the_run(at: float, part: str) -> None:
    verdict = judge(Requests().without(at=at, until=at + 3.0))
    assert verdict.result is Result.INCONCLUSIVE
    assert f"reached {part} the act" in verdict.why


@pytest.mark.parametrize(("share", "troubles"), [(0.949, 1), (0.95, 0), (None, 0)])
def test_a_rate_at_its_limit_was_reached(share: float | None, troubles: int) -> None:
    parts = {"before": (0, 10 * 10**9)}
    assert len(load_soundness._rate(Requests().build(), parts, {"rate_share_before": share})) == troubles


def test_of_a_part_that_lost_less_than_one_request_beyond_what_may_fall_outside_it_the_rate_was_missed_too() -> None:
    """10.8 planned before the act, 9 sent, and one may lie at its edge."""
    verdict = judge(Requests(rate_per_s=1.08).without(at=92.0, until=94.0))
    assert verdict.numbers["rate_share_before"] == 0.926
    assert "only 93% of the rate was reached before the act (10 s)" in verdict.why


def test_a_client_that_failed_by_itself_is_not_the_target() -> None:
    assert judge(Requests().fail(at=110.0, outcome="client.error")).result is Result.INCONCLUSIVE


def test_ordinary_priority_and_a_moved_clock_are_only_said() -> None:
    verdict = judge(Requests().engine(scheduling="normal", wall_s=(1e9, 1e9 + 55.2)))
    assert verdict.result is Result.PASS
    assert [finding.code for finding in verdict.findings] == ["ORDINARY_PRIORITY", "CLOCK_MOVED"]
