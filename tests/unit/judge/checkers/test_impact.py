"""What a fault cost: each number from the fact that shows it, and none where nobody saw it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import Requests
from story import Story, plan, target

from rollproof.core.facts import Facts
from rollproof.core.fault import find_faults
from rollproof.core.requests import RequestLog
from rollproof.core.target import Traffic
from rollproof.judge.checkers import fault as checker
from rollproof.judge.checkers.impact import impact

TIMES = {"after_old_gone_s": 5.0, "tail_s": 1.0}


def told(*, until: str = "undone") -> Story:
    """pod-delete at 100 s: the victim leaves the endpoints at 100.4, the other one is there at 101 and ready at 108."""
    story = Story("pod-delete", plan=plan(drills=("pod-delete",), target=target(traffic=Traffic(**TIMES))))
    slices: list[tuple[float, list[str]]] = [(90, ["10.0.0.1", "10.0.0.2"]), (100.4, ["10.0.0.2"])]
    for at, ready in slices:
        story.tell("watch", "EndpointSlice/shop/web-x", "modified", at=at, ready=ready)
    pod(story, "old-1", "added", 90, initial=True, ip="10.0.0.1", node="a", ready=True)
    story.fault(until=until)
    pod(story, "old-1", "modified", 101, ip="10.0.0.1", node="a", terminating=True)
    pod(story, "new-1", "added", 100.9, ip="")
    pod(story, "new-1", "modified", 101, node="b")
    pod(story, "new-1", "modified", 108, node="b", ready=True, ip="10.0.0.3")
    pod(story, "old-1", "deleted", 112, ip="10.0.0.1", terminating=True)
    return story


def pod(story: Story, name: str, what: str, at: float, **data: Any) -> None:
    data = {"uid": f"uid-{name}", "member": True, **data}
    story.tell("watch", f"Pod/shop/{name}", what, at=at, **data)


def numbers(story: Story, log: RequestLog | None = None) -> dict[str, Any]:
    facts: Facts = replace(story.facts(), requests=log)
    (fault,) = find_faults(facts)
    return dict(impact(facts, fault))


def test_when_it_was_noticed_and_mended() -> None:
    assert numbers(told()) == {"detected_s": 0.4, "rescheduled_s": 1.0, "ready_s": 8.0, "end_to_end_s": 20.0}


def test_a_pod_that_was_there_before_is_no_replacement() -> None:
    story = told()
    pod(story, "old-2", "added", 80, node="b", ready=True)
    pod(story, "old-2", "modified", 100.1, node="b", ready=True)
    pod(story, "job-1", "added", 100.1, node="b", ready=True, member=False)
    assert numbers(story)["ready_s"] == 8.0


def test_what_nobody_felt_cost_nothing_that_is_known() -> None:
    assert numbers(told(until="injected"), Requests().build()) == {}


def test_what_was_not_seen_has_no_number() -> None:
    story = Story("pod-delete").fault(until="effect")
    assert numbers(story) == {}


def lost(requests: Requests, **traffic: float) -> dict[str, Any]:
    story = told()
    wanted = replace(story.plan.target, traffic=Traffic(**{**TIMES, **traffic}))
    story.plan = replace(story.plan, target=wanted)
    return numbers(story, requests.build())


def test_lost_requests_by_lane_and_class() -> None:
    requests = Requests(start=90.0, seconds=50.0)
    requests.fail(at=95.0)  # before it
    requests.fail(at=101.0, until=101.2, outcome="http.503", lane="keepalive-get")
    requests.fail(at=102.0, outcome="read.timeout", lane="new-get")
    requests.fail(at=103.0, outcome="read.eof", lane="new-get")
    requests.fail(at=104.0, lane="control")
    requests.fail(at=139.0)  # long after it
    found = lost(requests)
    assert found["lost_stalled"] == 1
    assert found["lost_honest_503"] == found["lost_on_keepalive-get"] > 10
    assert found["lost_on_new-get"] == 2
    assert found["lost"] == found["lost_on_keepalive-get"] + 2
    assert found["outage_ms_upper"] > 200
    assert "budget_spent" not in found


@pytest.mark.parametrize(
    ("sent_ns", "counted"), [(-1, False), (0, True), (26_000_000_000, True), (26_000_000_001, False)]
)
def test_lost_requests_count_from_the_start_to_the_end_of_the_window(sent_ns: int, counted: bool) -> None:
    """It is over after 20 s; the target file adds 5 s and 1 s to that."""
    log = Requests(start=90.0, seconds=50.0).fail(at=110.0).build()
    log.rows["send_ns"][log.rows["outcome"] > 0] = 100 * 10**9 + sent_ns
    assert numbers(told(), log)["lost"] == int(counted)


def test_the_share_of_the_budget_that_was_spent() -> None:
    requests = Requests(start=90.0, seconds=50.0).fail(at=101.0, until=101.5, outcome="http.503", lane="keepalive-get")
    found = lost(requests, downtime_budget_ms=1000.0)
    assert 0.5 <= found["budget_spent"] <= 0.7
    assert lost(Requests(start=90.0, seconds=50.0), downtime_budget_ms=1000.0)["budget_spent"] == 0.0


def test_a_ghost_answers_after_its_object_was_gone() -> None:
    log = Requests(start=90.0, seconds=50.0).build()
    assert "ghost_s" not in numbers(told(), log), "no answer names a pod"
    rows = log.rows.copy()
    rows["served_by"] = 1
    rows["served_by"][rows["send_ns"] <= 115 * 10**9] = 2
    named = replace(log, rows=rows, pods=("", "new-1", "old-1"))
    assert 2.9 < numbers(told(), named)["ghost_s"] < 3.1
    rows["served_by"] = 1
    assert numbers(told(), replace(named, rows=rows))["ghost_s"] == 0.0


def test_a_victim_whose_end_nobody_saw_is_no_ghost() -> None:
    story = told()
    story.events = [event for event in story.events if event.what != "deleted"]
    log = Requests(start=90.0, seconds=50.0).build()
    assert "ghost_s" not in numbers(story, replace(log, pods=("", "new-1", "old-1")))


def test_they_are_numbers_of_the_verdict() -> None:
    facts = replace(told().facts(), requests=Requests(start=90.0, seconds=50.0).build())
    (verdict,) = checker.check(facts)
    assert (verdict.numbers["lost"], verdict.numbers["ready_s"], verdict.numbers["effect_s"]) == (0, 8.0, 1.0)
