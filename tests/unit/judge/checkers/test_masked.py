"""What was masked: when, and by whom; the log is of the whole load, and the act only of the window."""

from __future__ import annotations

import pytest
from builders import Requests
from story import NEW, OLD, Story, good_release, plan, target

from rollproof.core.target import Ingress, Traffic
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers import availability
from rollproof.judge.checkers.masked import Masked


def clean() -> Requests:
    return Requests(start=88.0, seconds=53.0, version=OLD).says(NEW, at=115.0).with_slow()


def judge(story: Story, *, masked: str = "warn") -> Verdict:
    story.plan = plan(target=target(traffic=Traffic(tail_s=5.0), ingress=Ingress(masked=masked)))
    story.tell("run", "phase", "baseline", at=99.5, start=89.0)
    story.requests = clean().build()
    return availability.check(story.facts())


@pytest.mark.parametrize(
    ("asked_s", "count", "result", "said"),
    [
        (95.0, 1, Result.INCONCLUSIVE, "1 request of the baseline got an answer only because the ingress tried"),
        (110.0, 1, Result.FAIL, "1 request got an answer only because the ingress tried again; for this target"),
        (139.9, 1, Result.PASS, "no outage longer"),  # long after the act
        (95.0, 60, Result.INCONCLUSIVE, "of the baseline"),  # and of 59 nobody knows
        (139.9, 60, Result.INCONCLUSIVE, "59 requests got an answer only because"),
    ],
)
def test_what_was_masked_before_or_after_the_act_is_not_the_acts(
    asked_s: float, count: int, result: Result, said: str
) -> None:
    log = clean().build()
    k = next(int(row["k"]) for row in log.rows if row["send_ns"] >= asked_s * 1e9)
    story = good_release().tell(
        "ingress", "Ingress", "log", at=140.0, retried=count, masked=count, retried_ids=[log.request_id(k)]
    )
    verdict = judge(story, masked="fail")
    assert (verdict.result, said in verdict.why) == (result, True), verdict.why


def test_who_asked_again_is_said_as_the_log_shows_it() -> None:
    told = [
        good_release().tell("ingress", "Ingress", "log", at=140.0, retried=3, masked=3, in_front=in_front)
        for in_front in (0, 1, 3)
    ]
    own, both, front = (judge(story).findings[0].text for story in told)
    assert own.startswith("the ingress tried 3 requests again, so that")
    assert both.startswith("the ingress tried 2 requests again and something in front of the ingress (a balancer)")
    assert front.startswith("something in front of the ingress (a balancer) asked again for 3 requests, so that")


@pytest.mark.parametrize(
    ("count", "in_front", "who"),
    [
        (3, 0, "the ingress tried again"),
        (3, 1, "the ingress tried again or something in front of the ingress (a balancer) asked again (1 times)"),
        (3, 3, "something in front of the ingress (a balancer) asked again"),
    ],
)
def test_who_asked_again_at_the_end_of_a_sentence(count: int, in_front: int, who: str) -> None:
    assert Masked(count=count, in_front=in_front).who() == who


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Masked(count=9, during=9), "of a pod"),
        (Masked(count=9, during=5, before=1, undated=2), "of a pod (2 of them not in the window)"),
        (Masked(count=9, during=4, undated=5), "of a pod"),  # of what has no time nobody says when it was not
        (Masked(count=1200, before=1200), "of a pod (1,200 of them not in the window)"),
    ],
)
def test_how_many_were_surely_not_of_the_window_is_said(found: Masked, said: str) -> None:
    assert found.finding().text.endswith(f"no client saw the failure {said}")
