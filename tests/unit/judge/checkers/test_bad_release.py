"""A bad release as one act of traffic: from its push until its last pod is gone, whatever became of it meanwhile."""

from __future__ import annotations

import pytest
from builders import Requests
from expected_bad_release_verdicts import bad_release
from story import NEW, OLD, Story

from rollproof.core.act import find_act
from rollproof.core.part import ActKind
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers import availability, rollback
from rollproof.judge.checkers import bad_release as checker


def judged(told: Story, requests: Requests) -> Verdict:
    told.tell("run", "phase", "baseline", at=99.5, start=89.5)
    told.requests = requests.build()
    verdict = availability.check(told.facts())
    assert isinstance(verdict, Verdict)
    return verdict


def test_the_act_lasts_from_the_push_until_the_last_bad_pod_is_gone() -> None:
    act = find_act(bad_release().facts())
    assert act is not None
    assert (act.kind, act.from_sha, act.to_sha, act.shas) == (ActKind.ROLLOUT, OLD, OLD, {OLD, NEW})
    assert (act.started.start_s, act.over_s, act.end_s) == (100.0, 117.0, 118.0)
    assert act.happened is not None
    assert (act.happened.source, act.happened.what) == ("release", "failed")
    assert act.void is act.unfinished is None


def test_users_who_feel_nothing_pass_it() -> None:
    verdict = judged(bad_release(), Requests(seconds=60))
    assert verdict.result is Result.PASS, verdict.why


def test_a_request_that_is_lost_before_the_revert_fails_it() -> None:
    verdict = judged(bad_release(), Requests(seconds=60).fail(at=105.0))
    assert verdict.result is Result.FAIL, verdict.why


def test_an_answer_of_the_bad_version_itself_is_no_loss_and_one_of_a_third_is() -> None:
    assert judged(bad_release(), Requests(seconds=60).says(NEW, at=105.0, until=106.0)).result is Result.PASS
    assert judged(bad_release(), Requests(seconds=60).says("ccccccc", at=105.0, until=106.0)).result is Result.FAIL


def test_what_was_not_taken_back_has_no_end() -> None:
    verdict = judged(bad_release(back=""), Requests(seconds=60))
    assert verdict.result is Result.INCONCLUSIVE
    assert "was not taken back" in verdict.why
    verdict = judged(bad_release(back="synced"), Requests(seconds=60))
    assert verdict.result is Result.INCONCLUSIVE
    assert "was not seen to go" in verdict.why


def test_a_release_of_which_nothing_was_seen_proves_nothing() -> None:
    verdict = judged(bad_release(cause="", back=""), Requests(seconds=60))
    assert verdict.result is Result.INCONCLUSIVE
    assert "nothing was seen of the bad release" in verdict.why


@pytest.mark.parametrize(
    ("not_before_s", "result"),
    [(160.4, Result.INCONCLUSIVE), (160.5, Result.INCONCLUSIVE), (160.51, Result.FAIL)],
)
def test_what_may_have_been_known_exactly_at_its_limit_may_have_been_in_time(
    not_before_s: float, result: Result
) -> None:
    told = bad_release(named_at=162, not_before_s=not_before_s)
    assert checker.check(told.facts()).result is result


def test_a_last_look_that_began_before_the_push_leaves_nothing_that_is_sure() -> None:
    why = checker.check(bad_release(named_at=162, not_before_s=99.0).facts()).why
    assert "sure only until 0.0 s" in why


def test_its_way_back_is_judged_as_any_rollback() -> None:
    assert rollback.check(bad_release().facts()).result is Result.PASS
    assert rollback.check(bad_release(back="").facts()).result is Result.INCONCLUSIVE
