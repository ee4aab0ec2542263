"""A generator that was not on time: which failures are evidence all the same, and which it may have made itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import Requests
from expected_outage_verdicts import held
from story import NEW, OLD, Story, good_release, plan, target

from rollproof.core.requests import RequestLog
from rollproof.core.target import Traffic
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers import availability, load_soundness, loss, outage
from rollproof.judge.judging import judge_drill

PASS, FAIL, INCONCLUSIVE = Result.PASS, Result.FAIL, Result.INCONCLUSIVE
SELF_MADE = ("connect.timeout", "send.timeout", "read.timeout", "http.408")
OF_OTHERS = (
    "connect.ECONNREFUSED", "connect.EHOSTUNREACH", "connect.tls", "http.404", "http.500", "http.502", "http.503",
    "http.504", "body.wrong", "read.malformed", "read.truncated", "read.eof", "read.ECONNRESET", "send.EPIPE",
)  # fmt: skip
# read.EPIPE: over TLS a read may have to write
CLOSED = ("read.eof", "read.ECONNRESET", "read.EPIPE", "send.EPIPE", "send.ECONNRESET")
# What says that it was not on time: each trouble of its own, whatever the others say.
TROUBLES = ("busy", "late", "still", "slow")


def clean() -> Requests:
    return Requests(start=88.0, seconds=53.0, rate_per_s=100.0, version=OLD).says(NEW, at=115.0).with_slow()


def troubled(requests: Requests, trouble: str) -> Requests:
    """The load with one trouble of its generator, long before anything failed."""
    if trouble == "busy":
        return requests.engine(cpu_s=50.0)
    if trouble == "slow":
        return requests.without(at=102.0, until=106.0)
    if trouble == "still":
        return requests.blind(at=102.0, until=103.2)
    for at in np.arange(102.0, 106.0, 0.25):
        requests.blind(at=at, until=at + 0.1)
    return requests


def judged(requests: Requests, **traffic: object) -> Verdict:
    return availability.check(story(requests, **traffic).facts())


def story(requests: Requests, **traffic: object) -> Story:
    told = good_release()
    told.tell("run", "phase", "baseline", start=89, at=99.5)
    told.tell("load", "Load", "self-test", at=80, classes={"read.eof": [2, 2]}, passed=True)
    told.plan = plan(target=target(traffic=Traffic(**{"resolution_ms": 5000.0, **traffic})))  # type: ignore[arg-type]
    told.requests = requests.build()
    return told


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("outcome", SELF_MADE)
def test_what_its_lateness_makes_is_no_evidence(outcome: str, trouble: str) -> None:
    load = troubled(clean().fail(at=118, until=119, outcome=outcome, took_ms=2000.0), trouble)
    told = story(load).facts()
    assert load_soundness.check(told).result is INCONCLUSIVE
    verdict = availability.check(told)
    assert verdict.result is INCONCLUSIVE, verdict.why
    (found,) = [finding for finding in verdict.findings if finding.code == "GENERATOR_STALL"]
    assert found.text == verdict.why
    assert found.text.startswith(f"50 requests failed (50 {outcome}) as they do by themselves when the generator is")
    assert judged(clean().fail(at=118, until=119, outcome=outcome, took_ms=2000.0)).result is FAIL  # in time: it is


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("outcome", OF_OTHERS)
def test_what_somebody_else_did_is_evidence_however_late_it_was(outcome: str, trouble: str) -> None:
    verdict = judged(troubled(clean().fail(at=118, until=119, outcome=outcome), trouble))
    assert verdict.result is FAIL, verdict.why
    assert verdict.numbers["failures"] == 50


@pytest.mark.parametrize("outcome", CLOSED)
def test_an_idle_connection_that_it_came_late_to_may_have_been_closed_for_that(outcome: str) -> None:
    def sent_late(requests: Requests, *, reused: bool) -> Requests:
        chosen = requests.rows["outcome"] > 0
        requests.rows["send_ns"][chosen] += 6_000_000
        requests.rows["done_ns"][chosen] += 6_000_000
        requests.rows["reused"][chosen] = reused
        return requests

    load = sent_late(clean().fail(at=118, until=119, outcome=outcome), reused=True).engine(cpu_s=50.0)
    assert judged(load).result is INCONCLUSIVE
    new = sent_late(clean().fail(at=118, until=119, outcome=outcome), reused=False).engine(cpu_s=50.0)
    assert judged(new).result is FAIL
    on_time = sent_late(clean().fail(at=118, until=119, outcome=outcome), reused=True)
    assert judged(on_time).result is FAIL


@pytest.mark.parametrize(("late_ns", "result"), [(5_000_000, FAIL), (5_000_001, INCONCLUSIVE)])
def test_it_came_late_to_a_connection_after_more_than_5_ms(late_ns: int, result: Result) -> None:
    load = clean().fail(at=118, until=119, outcome="read.eof").engine(cpu_s=50.0)
    hurt = load.rows["outcome"] > 0
    load.rows["send_ns"][hurt] = load.rows["intended_ns"][hurt] + late_ns
    load.rows["done_ns"][hurt] = load.rows["send_ns"][hurt] + 1_000_000
    assert judged(load).result is result


def test_a_fail_counts_what_is_believed_and_says_what_is_not() -> None:
    """1,098 time-outs and 17 of 503 were seen on a starved machine."""
    load = clean().fail("new-get", at=110, until=130, outcome="read.timeout", took_ms=2000.0)
    verdict = judged(troubled(load.fail(at=118, until=118.1, outcome="http.503"), "late"))
    assert verdict.result is FAIL
    assert verdict.why.startswith("5 of ")
    assert "(5 http.503)" in verdict.why
    assert verdict.why.endswith("; not counted: 400 read.timeout, which the generator may have made itself")
    assert verdict.numbers["failures_of_a_late_generator"] == 400


def test_silence_is_evidence_where_the_generator_was_late_but_believed() -> None:
    load = clean().fail(at=118, until=119, outcome="read.timeout", took_ms=2000.0).blind(at=117.9, until=118.1)
    told = story(load).facts()
    assert load_soundness.check(told).result is PASS
    assert availability.check(told).result is FAIL


@pytest.mark.parametrize(("took_ms", "result"), [(399.0, INCONCLUSIVE), (401.0, FAIL)])
def test_a_wait_of_which_the_generator_stood_still_for_half_is_no_evidence(took_ms: float, result: Result) -> None:
    load = clean().blind(at=118.0, until=118.2)
    due = (load.rows["intended_ns"] == int(118e9)) & (load.rows["lane"] < 4)
    load.outcomes.append("read.timeout")  # by hand: `fail` would have sent it in time
    load.rows["outcome"][due] = 1
    load.rows["done_ns"][due] = load.rows["send_ns"][due] + int(took_ms * 1e6)
    verdict = judged(load)
    assert verdict.result is result, verdict.why


def test_requests_that_the_target_held_back_are_no_lateness() -> None:
    """It hangs until no more may be in flight: the rate is missed by the target's doing, its silence is evidence."""
    hung = clean().fail("", at=110, until=111, outcome="read.timeout", took_ms=2000.0).without(at=111, until=114)
    hung.rows["outcome"][hung.rows["lane"] == 3] = 0  # the control lane is well
    load = hung.build()
    held = replace(load, engine=replace(load.engine, dropped=300, planned=load.engine.planned + 300))
    assert judged_log(held).result is FAIL
    assert judged_log(load).result is INCONCLUSIVE


def judged_log(log: RequestLog) -> Verdict:
    told = story(clean())
    told.requests = log
    return availability.check(told.facts())


@pytest.mark.parametrize(("budget_ms", "result"), [(3000.0, PASS), (100.0, INCONCLUSIVE), (0.0, INCONCLUSIVE)])
def test_a_budget_that_would_cover_them_all_the_same_covers_them(budget_ms: float, result: Result) -> None:
    load = clean().fail(at=118, until=119, outcome="read.timeout", took_ms=20.0).engine(cpu_s=50.0)
    assert judged(load, downtime_budget_ms=budget_ms).result is result


def test_where_an_outage_is_expected_a_request_that_need_not_have_hung_is_not_known() -> None:
    def told(outcome: str, *, until: float = 104.0, late: bool) -> Story:
        load = Requests(start=90.0, seconds=45.0, version=OLD).fail(
            at=103.0, until=until, outcome=outcome, took_ms=2000.0
        )
        story = held()
        story.requests = (load.engine(cpu_s=50.0) if late else load).build()
        return story

    assert outage.check(told("read.timeout", late=False).facts()).result is FAIL
    verdict = outage.check(told("read.timeout", late=True).facts())
    assert verdict.result is INCONCLUSIVE
    assert "whose failures these are is not known: the generator was not on time: it used 111% of a core" in verdict.why
    assert outage.check(told("http.503", late=True).facts()).result is PASS
    assert outage.check(told("body.wrong", late=True).facts()).result is FAIL
    assert loss.check(told("read.timeout", late=True).facts()).result is PASS  # lost within the budget, whoever lost it
    assert loss.check(told("read.timeout", until=130.0, late=True).facts()).result is INCONCLUSIVE
    assert loss.check(told("read.timeout", until=130.0, late=False).facts()).result is FAIL


def test_the_first_cause_of_what_nobody_can_claim_is_the_generator() -> None:
    load = troubled(clean().fail(at=118, until=119, outcome="read.timeout", took_ms=2000.0), "late")
    told = (
        story(load)
        .tell("run", "drill", "started", at=80)
        .tell("run", "judge", "asked", at=150, checkers=["availability"])
    )
    (verdict,) = [one for one in judge_drill(told.facts()) if one.checker == "availability"]
    assert [finding.code for finding in verdict.findings][:1] == ["GENERATOR_STALL"]


def test_the_longest_of_the_slow_answers_is_one_of_them() -> None:
    """The slow lane is slow on purpose, and left out of the percentiles: the longest is not theirs."""
    verdict = judged(clean().slow("slow", at=120, took_ms=1500.0))
    (slow,) = [finding for finding in verdict.findings if finding.code == "SLOW"]
    assert slow.text == "1 answer took longer than 1000 ms (the longest 1500 ms)"
