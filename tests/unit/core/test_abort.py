"""When a drill is ended: which budget is spent, from counts alone, and never from silence."""

from __future__ import annotations

from typing import Any

import pytest
import story

from rollproof.core.abort import LaneCount, Limits, aborted, exceeded, limits_of
from rollproof.core.reasons import AbortCause
from rollproof.core.target import FaultSettings, Traffic

S = 10**9
LIMITS = Limits(dead_s=10.0, failures=100, pods=1)


def lane(*, good_s: float = 100.0, bad: int = 0, **outcomes: int) -> LaneCount:
    return LaneCount(
        {"": 500, **{name.replace("_", "."): count for name, count in outcomes.items()}}, int(good_s * S), bad
    )


def look(lanes: dict[str, LaneCount], *, limits: Limits = LIMITS, now_s: float = 111.0, **more: Any) -> Any:
    asked: dict[str, Any] = {"since_ns": 90 * S, "lost_before": 0, "pods_away": 0, "control": "control", **more}
    return exceeded(limits, lanes, now_ns=int(now_s * S), **asked)


def dead(good_s: float = 100.0) -> LaneCount:
    return lane(good_s=good_s, bad=3, http_502=3)


def test_all_lanes_dead_for_too_long() -> None:
    found = look({"get": dead(99.0), "post": dead(), "control": lane(good_s=111.0)})
    assert found.cause is AbortCause.DEAD
    assert "no lane of the app had a good answer for 11.0 s, 10 s are allowed; 6 requests lost" in found.reason
    assert found.numbers == {"lost": 6, "dead_s": 11.0, "pods_away": 0, "control_failed": False}


@pytest.mark.parametrize(
    ("lanes", "why"),
    [
        ({"get": dead(), "post": lane(good_s=110.9)}, "one lane answers"),
        ({"get": dead(101.0), "post": dead()}, "not long enough"),
        ({"get": dead(), "post": lane(good_s=100.0)}, "a lane is silent and has lost nothing"),
        ({}, "nothing was counted"),
        ({"control": dead(0.0)}, "the control lane alone"),
    ],
)
def test_it_goes_on(lanes: dict[str, LaneCount], why: str) -> None:
    assert look(lanes) is None, why


def test_a_lane_that_never_answered_is_dead_since_the_act_began() -> None:
    assert look({"get": dead(0.0)}, now_s=99.0) is None
    assert look({"get": dead(0.0)}, now_s=101.0).numbers["dead_s"] == 11.0


def test_too_many_lost_requests() -> None:
    lanes = {"get": lane(good_s=111.0, http_502=90, read_eof=11), "control": lane(http_502=900)}
    found = look(lanes)
    assert (found.cause, found.numbers["lost"]) == (AbortCause.FAILURES, 101)
    assert found.reason == "101 requests were lost, 100 are allowed"
    assert look(lanes, lost_before=1) is None, "what was lost in the baseline is not the act's"
    assert look(lanes, limits=Limits(dead_s=10.0, failures=None)) is None


def test_what_says_nothing_about_the_app_is_not_lost() -> None:
    assert look({"get": lane(good_s=111.0, http_429=900, unfinished=900, client_stalled=900)}) is None


def test_too_many_pods_away() -> None:
    good = {"get": lane(good_s=111.0)}
    found = look(good, pods_away=2)
    assert (found.cause, found.reason) == (AbortCause.PODS, "2 pods do not serve, 1 may; 0 requests lost")
    assert found.numbers == {"lost": 0, "dead_s": 0.0, "pods_away": 2}
    assert look(good, pods_away=1) is None
    assert look(good, pods_away=9, limits=Limits(dead_s=10.0, failures=100)) is None


def test_too_many_nodes_away() -> None:
    good, strict = {"get": lane(good_s=111.0)}, Limits(dead_s=10.0, failures=100, nodes=0)
    found = look(good, nodes_away={"n3"}, limits=strict)
    assert (found.cause, found.numbers["nodes_away"]) == (AbortCause.NODES, 1)
    assert found.reason == "1 nodes are NotReady that no fault of ours names, 0 may (n3); 0 requests lost"
    assert look(good, nodes_away={"n3"}, limits=Limits(dead_s=10.0, failures=100, nodes=1)) is None
    assert look(good, nodes_away={"n3"}) is None, "nobody has asked to look at nodes"


def test_the_limits_of_a_target() -> None:
    """What would still pass does not end a drill; of an outage by design only the time counts."""
    plain = limits_of(story.target())
    assert (plain.dead_s, plain.failures, plain.pods) == (10.0, 2000, None)
    allowed = story.target(traffic=Traffic(downtime_budget_ms=5000.0, rate_per_s=10.0))
    assert limits_of(allowed) == Limits(dead_s=15.0, failures=150)
    assert limits_of(allowed, outage_s=60.0) == Limits(dead_s=75.0, failures=None)
    assert limits_of(allowed, loss_s=60.0) == Limits(dead_s=75.0, failures=750)  # of a lost node
    own = story.target(faults=FaultSettings(abort_after_s=3.0, abort_failures=7, abort_pods=1, abort_nodes=0))
    assert limits_of(own, loss_s=60.0).failures == 7  # as the target file says
    assert limits_of(own) == Limits(dead_s=3.0, failures=7, pods=1, nodes=0)


def test_the_fact_is_the_drills_own() -> None:
    told = story.Story("pod-delete").tell("run", "abort", "aborted", at=100, cause="dead", reason="why")
    assert aborted(told.facts()) is not None
    assert aborted(story.Story("pod-delete").facts()) is None


def test_the_numbers_are_in_ms_and_tell_of_the_control_lane() -> None:
    found = look({"get": dead(99.0), "control": lane(good_s=111.0, bad=1)}, now_s=110.12345)
    assert found.numbers == {"lost": 3, "dead_s": 11.123, "pods_away": 0, "control_failed": True}


@pytest.mark.parametrize(
    ("away", "named"), [("ba", "(a, b)"), ("edcba", "(a, b, c, d, e)"), ("fedcba", "(a, b, c, d, e)")]
)
def test_five_nodes_are_named(away: str, named: str) -> None:
    found = look({"get": lane(good_s=111.0)}, limits=Limits(dead_s=10.0, failures=100, nodes=1), nodes_away=[*away])
    assert found.reason == (
        f"{len(away)} nodes are NotReady that no fault of ours names, 1 may {named}; 0 requests lost"
    )
    assert found.numbers["nodes_away"] == len(away)


def test_the_last_of_the_drills_own_counts_whatever_another_drill_said() -> None:
    told = story.Story("pod-delete").tell("run", "abort", "aborted", at=1).tell("run", "abort", "aborted", at=2)
    told.drill = "node-drain"
    told.tell("run", "abort", "aborted", at=3)
    told.drill = "pod-delete"
    assert aborted(told.facts()) == told.events[1]
