"""Both sides of every border of a checker whose limits the stories only come near to: which side has the limit itself.

A row is a history and what it must lead to. The sentences are in tests/golden/verdicts/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest
from builders import Requests
from expected_bad_release_verdicts import bad_release
from expected_drift_verdicts import healed, shared
from expected_job_verdicts import FOUR, NOON_S, job_run, read, story_of, watched
from expected_job_verdicts import told as runs_told
from expected_meanwhile_verdicts import healed as healed_meanwhile
from expected_meanwhile_verdicts import made
from expected_outage_verdicts import asked, held
from expected_scaling_verdicts import begun, lowered, not_back, not_up, replicas, say, scaler
from story import Story, plan, target

from rollproof.core.act import find_act
from rollproof.core.event import Outcome
from rollproof.core.scaling import ScalingWord
from rollproof.core.target import FaultSettings
from rollproof.core.verdict import Result
from rollproof.judge.checkers import autoscaling, dependency, drift, fault, jobs, loss, meanwhile, outage
from rollproof.judge.checkers import bad_release as bad
from rollproof.judge.checkers.window import baseline_event

PASS, FAIL, OPEN = Result.PASS, Result.FAIL, Result.INCONCLUSIVE
EARLIER = (job_run(-1), job_run(0, "web-b"))
Rows = Iterator[tuple[str, Story, Result]]
CLOCKED: Mapping[ModuleType, Callable[[], Story]] = {  # the checkers that believe the wall clock, and what is sound
    drift: lambda: healed(shared()),
    fault: lambda: Story().fault(),
    jobs: watched,
    meanwhile: lambda: healed_meanwhile(made(held()), at=120),
}


def by_name(rows: Rows) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("told", "result"), [pytest.param(*row[1:], id=row[0]) for row in rows])


# ---- scheduled jobs: a period of 60 s, in the report 20 s after its end ----


def job_borders() -> Rows:
    yield "begins as its period ends", runs_told(*FOUR[:3], job_run(4, at_s=60)), FAIL
    yield "begins just before", runs_told(*FOUR[:3], job_run(4, at_s=59.999)), PASS
    yield "begins as its period begins", runs_told(*FOUR[:3], job_run(4, at_s=0)), PASS
    yield "the app's clock is ahead by what is allowed", watched(clock_s=[1.0, 1.5]), PASS
    yield "the app's clock is ahead by more", watched(clock_s=[1.001, 1.5]), OPEN
    yield "the app's clock is behind by what is allowed", watched(clock_s=[-1.5, -1.0]), PASS
    yield "the app's clock is behind by more", watched(clock_s=[-1.5, -1.001]), OPEN
    yield "a run begins after the reading by what is allowed", runs_told(*FOUR, job_run(5, at_s=31.0)), PASS
    yield "a run begins after the reading by more", runs_told(*FOUR, job_run(5, at_s=31.001)), OPEN
    yield "no reading after the last period's runs must be there reaches back", reaching_by(5 + 19.9 / 60), OPEN
    yield "one does, and a later one does not", reaching_by(5 + 20 / 60), PASS
    yield "as many periods as are needed", runs_told(*FOUR, periods_min=4), PASS
    yield "one less than is needed", runs_told(*FOUR, periods_min=5), OPEN
    yield "as many replicas as are needed, at one reading", replicas_at(1, 2), PASS
    yield "the report reaches back to before the first period", reaching(NOON_S + 59.999), PASS
    yield "the report begins with the first period", reaching(NOON_S + 60), OPEN
    yield "the second reading covers nothing, the first comes too early", reaching(None), OPEN


def replicas_at(first: int, last: int) -> Story:
    return read(read(story_of(), 0.5, EARLIER, replicas=first), 5.5, (*EARLIER, *FOUR), replicas=last)


def reaching(oldest_s: float | None) -> Story:
    """The last reading's oldest row; the first reading was before the end of any period that is judged."""
    return read(read(story_of(), 0.5, EARLIER), 5.5, FOUR, oldest_s=oldest_s)


def reaching_by(minute: float) -> Story:
    """A reading that reaches back, and a last one that does not."""
    told = read(read(story_of(), 0.5, EARLIER), minute, (*EARLIER, *FOUR))
    return read(told, 5.5, FOUR, oldest_s=None)


@by_name(job_borders())
def test_jobs(told: Story, result: Result) -> None:
    (verdict,) = jobs.check(told.facts())
    assert verdict.result is result, verdict.why


@pytest.mark.parametrize(
    ("first", "last", "periods"),
    [
        (0.5, 5.5, 4),
        (1.0, 5.5, 4),  # the period begins with the reading: it is whole
        (1.001, 5.5, 3),
        (0.5, 5 + 20 / 60, 4),  # the last moment by which the runs of 12:04 must be in the report
        (0.5, 5 + 19.9 / 60, 3),
        (0.5, 6 + 20 / 60, 5),
    ],
)
def test_the_periods_that_are_whole(first: float, last: float, periods: int) -> None:
    runs = (*EARLIER, *FOUR, job_run(5))
    (verdict,) = jobs.check(read(read(story_of(), first, EARLIER), last, runs).facts())
    assert verdict.result is PASS, verdict.why
    assert verdict.numbers["periods"] == periods


@pytest.mark.parametrize(("missing", "said"), [(3, False), (4, True)])
def test_three_periods_are_named_and_of_more_their_number(missing: int, said: bool) -> None:
    (verdict,) = jobs.check(runs_told(*FOUR[missing:]).facts())
    assert verdict.numbers["missed"] == missing
    assert (" and 1 more" in verdict.why) is said
    assert (" more" in verdict.why) is said


# ---- autoscaling: looks each 15 s; 30 s of window on the way down; 10 % of tolerance ----


def scaling_borders() -> Rows:
    yield "above for two looks", not_up((160, 2.5)), FAIL
    yield "above for less", not_up((160.1, 2.5)), OPEN
    yield "not above any more as the wait ends", not_up((115, 2.5), (190, 0.9)), OPEN
    yield "not above any more after it", not_up((115, 2.5), (190.1, 0.9)), FAIL
    yield "above for two looks and its own window", slow_up(145), FAIL
    yield "above for less than these", slow_up(145.1), OPEN
    yield "above for two looks and the window that it has in the end", slow_up(140, before=(110, 60.0)), FAIL
    yield "within a tolerance of its own", slow_up(130, use=1.5, tolerance=0.5), OPEN
    yield "beyond a tolerance of its own", slow_up(130, use=1.06, tolerance=0.05), FAIL
    yield "low enough for the window and two looks", not_back((215, 0.2)), FAIL
    yield "low enough for less", not_back((165, 1.0), (215.1, 0.2)), OPEN
    yield "a use that three replicas bear", not_back((165, 0.75)), FAIL
    yield "a use that needs all four", not_back((165, 0.76)), OPEN
    yield "not low any more as the wait ends", not_back((165, 0.2), (275, 1.0)), OPEN
    yield "not low any more after it", not_back((165, 0.2), (275.1, 1.0)), FAIL
    yield "low, and at its tolerance", tolerant(0.5), OPEN
    yield "low, and beyond its tolerance", tolerant(0.499), FAIL
    yield "at the floor by what it counts, and nobody saw it go down", counted(2), FAIL
    yield "above the floor by what it counts, with a use that needs them all", counted(4), OPEN
    yield "at the floor, and up again in the end", again(), OPEN
    yield "one replica above the floor, by a use that the floor bears", one_above(0.66), FAIL
    yield "one replica above the floor, by a use that it does not bear", one_above(0.67), OPEN


def slow_up(
    since: float, *, use: float = 2.5, tolerance: float = 0.1, before: tuple[float, float] | None = None
) -> Story:
    """An autoscaler that wants to see the use above its target for 15 s before it acts; `before`: since when it has
    wanted another time."""
    told = begun()
    for at, up_window_s in (*([before] if before is not None else []), (since, 15.0)):
        told.tell(
            "watch", "HorizontalPodAutoscaler/shop/web", "modified", at=at, use=use, current=2, desired=2, metrics=[],
            reason="", window_s=30.0, up_window_s=up_window_s, tolerance=tolerance,
        )  # fmt: skip
    return lowered(say(told, ScalingWord.NOT_SCALED_UP, at=190, outcome=Outcome.FAIL, last_seen="2 are wanted"))


def tolerant(use: float) -> Story:
    told = lowered()
    told.tell(
        "watch", "HorizontalPodAutoscaler/shop/web", "modified", at=165, use=use, current=4, desired=4, metrics=[],
        reason="", window_s=30.0, up_window_s=0.0, tolerance=0.5,
    )  # fmt: skip
    return say(told, ScalingWord.NOT_FLOOR, at=275, outcome=Outcome.FAIL)


def counted(current: int) -> Story:
    told = scaler(lowered(), 0.95, at=165, current=current)
    return say(told, ScalingWord.NOT_FLOOR, at=275, outcome=Outcome.FAIL)


def again() -> Story:
    told = say(scaler(lowered(), 0.2, at=165, current=2), ScalingWord.SCALED_DOWN, at=195, replicas=2)
    return say(scaler(told, 2.0, at=260, current=4), ScalingWord.NOT_FLOOR, at=275, outcome=Outcome.FAIL)


def one_above(use: float) -> Story:
    told = scaler(replicas(scaler(lowered(), 0.2, at=160, current=4), 3, at=195), use, at=200, current=3)
    say(told, ScalingWord.SCALED_DOWN, at=195, replicas=3)
    return say(told, ScalingWord.NOT_FLOOR, at=275, outcome=Outcome.FAIL, last_seen="3 are wanted")


@by_name(scaling_borders())
def test_autoscaling(told: Story, result: Result) -> None:
    followed, _ = autoscaling.check(told.facts())
    assert followed.result is result, followed.why


# ---- a dependency that is away from 101 s (felt) to 112 s (undone); all is well at 117 s ----


def dependency_borders() -> Rows:
    yield "ready with the least error", asked(held(), ready=500), PASS
    yield "ready with what is no error", asked(held(), ready=499), FAIL
    yield "health with the least error", asked(held(), health=500), FAIL
    yield "health with what is no error", asked(held(), health=499), OPEN
    yield "no answer for no longer than the limit", silent(2.0), PASS
    yield "no answer for longer", silent(2.001), FAIL
    yield "ready within the limit with the way", asked(held(), took=2.0), PASS
    yield "ready within the limit and the way", asked(held(), took=2.1), OPEN
    yield "ready later than these", asked(held(), took=2.101), FAIL
    yield "asked as it is felt", asked(held(), at=101.0), PASS
    yield "asked before", asked(held(), at=100.999), OPEN
    yield "asked as it is undone", asked(held(), at=112.0), PASS
    yield "asked after", asked(held(), at=112.001), OPEN
    yield "restarted as it begins", restarted(100.0), FAIL
    yield "restarted before", restarted(99.999), PASS
    yield "restarted as all is well", restarted(117.0), FAIL
    yield "restarted after", restarted(117.001), PASS


def silent(took: float) -> Story:
    """The readiness path does not answer, between two answers of the health path."""
    return asked(asked(held(), ready=0, value=None, took=took), at=109.0)


def restarted(at: float) -> Story:
    told = asked(held()).tell("watch", "Pod/shop/old-1", "added", at=90, uid="uid-old-1", restarts=0, member=True)
    return told.tell("watch", "Pod/shop/old-1", "modified", at=at, uid="uid-old-1", restarts=1, member=True)


@by_name(dependency_borders())
def test_dependency(told: Story, result: Result) -> None:
    (verdict,) = dependency.check(told.facts())
    assert verdict.result is result, verdict.why


# ---- requests that may be lost from 100 s on, for 9 s; all is well at 117 s, and the load ends at 138 s ----


def loss_borders() -> Rows:
    yield "the last is lost before the budget ends", loaded(load().fail(at=108.99)), PASS
    # sent 60 µs after it is due; the fault took 0.2 s to be asked for
    yield "the last is lost after it", loaded(load().fail(at=109.0)), OPEN
    yield "the last is lost just before it could have ended", loaded(load().fail(at=109.19)), OPEN
    yield "the last is lost after it, also from the answer on", loaded(load().fail(at=109.2)), FAIL
    yield "a fellow gets unready as it begins", fellow(100.0), PASS
    yield "nobody is asked for one second afterwards", loaded(load(seconds=29.995)), OPEN
    yield "somebody is", loaded(load(seconds=30.0)), PASS
    yield "failed as it began", loaded(load().fail(at=99.9, took_ms=99.94)), PASS
    yield "failed just before", loaded(load().fail(at=99.9, took_ms=99.9)), OPEN


def load(*, seconds: float = 50.0) -> Requests:
    return Requests(start=88.0, seconds=seconds)


def loaded(requests: Requests, told: Story | None = None) -> Story:
    settings = FaultSettings(loss_budgets_s={"database-refused": 9.0})
    told = told or held(by_plan=plan(target=target(faults=settings)))
    told.tell("run", "phase", "baseline", start=89.0, at=99.0)
    told.requests = requests.build()
    return told


def fellow(at: float) -> Story:
    """A pod that the fault was not done to."""
    told = held().tell("watch", "Pod/shop/old-2", "added", at=90, uid="uid-old-2", ready=True, member=True)
    return loaded(
        load(), told.tell("watch", "Pod/shop/old-2", "modified", at=at, uid="uid-old-2", ready=False, member=True)
    )


@by_name(loss_borders())
def test_loss(told: Story, result: Result) -> None:
    verdict = loss.check(told.facts())
    assert verdict.result is result, verdict.why


@pytest.mark.parametrize(("at", "named"), [(99.999, False), (100.0, True), (117.0, True), (117.001, False)])
def test_a_fellow_counts_while_the_fault_lasts(at: float, named: bool) -> None:
    codes = [finding.code for finding in loss.check(fellow(at).facts()).findings]
    assert codes == (["FELLOWS_UNREADY"] if named else [])


@pytest.mark.parametrize(
    ("before", "what", "then", "named"),
    [
        ({"ready": True}, "modified", {}, True),
        (None, "modified", {}, False),  # seen for the first time
        ({"ready": False}, "modified", {}, False),
        ({"ready": True}, "modified", {"member": False}, False),
        ({"ready": True}, "modified", {"terminating": True}, False),
        ({"ready": True}, "deleted", {}, False),
        ({"ready": True}, "modified", {"uid": "uid-old-1"}, False),  # which the fault was done to
    ],
)
def test_a_fellow_is_a_ready_pod_of_ours_that_was_left_alone(
    before: dict[str, bool] | None, what: str, then: dict[str, Any], named: bool
) -> None:
    told, pod = held(), {"uid": "uid-old-2", "member": True, "ready": False, **then}
    if before is not None:
        told.tell("watch", "Pod/shop/old-2", "added", at=90, **{**pod, "member": True, "terminating": False, **before})
    told = loaded(load(), told.tell("watch", "Pod/shop/old-2", what, at=105, **pod))
    assert bool(loss.check(told.facts()).findings) is named


@pytest.mark.parametrize(("at", "result"), [(116.95, PASS), (117.0, FAIL)])
def test_a_request_sent_as_all_is_well_is_lost_afterwards(at: float, result: Result) -> None:
    told = loaded(load().fail(at=at, outcome="http.503"))
    verdict = outage.check(told.facts())
    assert verdict.result is result, verdict.why
    assert verdict.numbers["failures_after_recovery"] == (result is FAIL)


def test_a_pod_that_was_ready_after_an_earlier_fault_was_not_so_before_this_one() -> None:
    told = held()
    for at, ready in ((105.0, False), (108.0, True)):  # it came meanwhile, and started as it must
        told.tell("watch", "Pod/shop/new-1", "modified", at=at, uid="uid-new-1", ready=ready, member=True)
    told.fault("node-lost", at=102.0, until="effect")
    assert loss.check(loaded(load(), told).facts()).findings == ()


@pytest.mark.parametrize(
    ("checker", "sent_ns", "result"),
    [
        (loss, 109_000_000_000, PASS), (loss, 109_000_000_050, OPEN),
        (loss, 109_199_999_000, OPEN), (loss, 109_200_001_000, FAIL),
        (outage, 116_999_999_999, PASS), (outage, 117_000_000_000, FAIL),
    ],
)  # fmt: skip
def test_a_lost_request_by_the_nanosecond_of_its_sending(checker: ModuleType, sent_ns: int, result: Result) -> None:
    """The budget of `loss` is 9 s, and the fault took 0.2 s to be asked for; `outage` allows no loss from 117 s on."""
    told = loaded(load().fail(at=105, outcome="http.503"))
    assert told.requests is not None
    rows = told.requests.rows
    lost = rows["outcome"] > 0
    rows["send_ns"][lost] = sent_ns
    rows["done_ns"][lost] = sent_ns + 1
    verdict = checker.check(told.facts())
    assert verdict.result is result, verdict.why


def test_the_baseline_is_the_runs_own_and_the_last_before_the_act() -> None:
    told = Story().tell("run", "phase", "baseline", start=60, at=70).tell("run", "phase", "baseline", start=80, at=90)
    told.tell("run", "other", "baseline", start=91, at=92).tell("load", "phase", "baseline", start=93, at=94)
    facts = told.tell("run", "phase", "tail", start=95, at=96).fault().facts()
    act = find_act(facts)
    assert act is not None
    assert baseline_event(facts, act) is facts.events[1]


# ---- the wall clock against the monotonic one ----


@pytest.mark.parametrize(("wall_s", "believed"), [(1041.0, True), (1041.001, False), (1039.0, True), (1038.999, False)])
@pytest.mark.parametrize("checker", CLOCKED)
def test_a_clock_that_moved_by_a_second_is_believed_and_by_more_is_not(
    checker: ModuleType, wall_s: float, believed: bool
) -> None:
    told = CLOCKED[checker]().tell("run", "clock", "read", at=90, monotonic_s=90.0, wall_s=1000.0)
    verdicts = checker.check(told.tell("run", "clock", "read", at=130, monotonic_s=130.0, wall_s=wall_s).facts())
    results = {one.result for one in (verdicts if isinstance(verdicts, tuple) else (verdicts,))}
    assert results == {PASS if believed else OPEN}


@pytest.mark.parametrize(("named_at", "result"), [(760.5, FAIL), (760.4, OPEN)])
def test_a_bad_release_that_nobody_named_was_waited_for_until_the_limit(named_at: float, result: Result) -> None:
    verdict = bad.check(bad_release("never_ready", "DeadlineExceeded", named_at=named_at).facts())
    assert verdict.result is result, verdict.why
