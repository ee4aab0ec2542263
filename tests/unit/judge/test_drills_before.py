"""A drill of several begins with what the drills before it have left, not with the first lists of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from expected_kept_verdicts import UNREAD, away, back, scaler
from expected_outage_verdicts import asked, held
from story import Story

from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.fault import find_faults
from rollproof.core.verdict import Result, Verdict
from rollproof.core.watched import pods_seen
from rollproof.judge.checkers import judge
from rollproof.judge.checkers.impact import impact
from rollproof.judge.checkers.others import others
from rollproof.store.reading import of_drill


def pod(told: Story, *, at: float, name: str = "old-1", what: str = "modified", **data: Any) -> Story:
    data = {"uid": f"uid-{name}", "member": True, "ready": True, **data}
    return told.tell("watch", f"Pod/shop/{name}", what, at=at, **data)


def first(told: Story, **data: Any) -> Story:
    """What the run's first list says of a pod, before all drills."""
    return pod(told, at=10, what="added", initial=True, **data)


def run(lists: Story, before: Story, story: Story) -> Facts:
    """A run that began with those lists, and did one drill before the one of the story."""
    stamped = [(lists, ""), (before, "container-stop"), (story, story.drill)]
    events = [replace(event, drill=drill) for told, drill in stamped for event in told.events]
    numbered = tuple(replace(event, seq=number) for number, event in enumerate(events, 1))
    return replace(story.facts(), events=of_drill(numbered, story.drill))


def dependency(facts: Facts) -> Verdict:
    return judge(facts, ("dependency",))[0]


def kept(facts: Facts) -> Verdict:
    return judge(facts, ("replicas_kept",))[0]


def test_a_restart_of_the_drill_before_is_none_of_this_one() -> None:
    lists, before = first(Story(), restarts=0), pod(Story(), at=40, restarts=1)
    unready = pod(asked(held()), at=105, restarts=1, ready=False)
    assert dependency(run(lists, before, unready)).result is Result.PASS
    again = pod(back(without(away(), "Pod/")), at=120, restarts=1)
    assert kept(run(lists, before, again)).result is Result.PASS


def test_a_restart_of_a_pod_that_the_drill_before_has_brought_is_seen() -> None:
    lists = first(Story(), restarts=0)
    before = pod(pod(Story(), at=40, what="deleted", restarts=0), at=41, name="new-1", what="added", restarts=0)
    restarted = pod(asked(held()), at=105, name="new-1", restarts=1)
    assert dependency(run(lists, before, restarted)).result is Result.FAIL


def without(told: Story, subject: str) -> Story:
    told.events = [event for event in told.events if not event.subject.startswith(subject)]
    return told


def deployment(told: Story, count: int, *, at: float) -> Story:
    return told.tell(
        "watch", "Deployment/shop/web", "modified", at=at, spec_replicas=count, replicas_by=["kube-controller-manager"]
    )


def test_replicas_that_were_taken_away_before_are_no_change_of_this_drill() -> None:
    lists, before = deployment(Story(), 3, at=10), deployment(Story(), 2, at=40)
    story = back(scaler(deployment(without(away(), "Deployment/"), 2, at=130), at=125, reason=UNREAD))
    verdict = kept(run(lists, before, story))
    assert (verdict.result, verdict.numbers["replicas"]) == (Result.PASS, 2)


def test_a_pod_of_others_that_went_before_is_not_in_the_service_any_more() -> None:
    data = {"name": "job-1", "member": False, "in_service": True, "owner": "Job/migrate"}
    gone = pod(Story(), at=40, what="deleted", **data)
    assert others(run(first(Story(), **data), gone, Story().fault())) == ()
    assert len(others(run(first(Story(), **data), Story(), Story().fault()))) == 1
    there = others(run(Story(), pod(Story(), at=40, what="added", **data), Story().fault()))
    assert [one.since_s for one in there] == [float("-inf")]


def test_a_pod_that_the_drill_before_has_brought_is_no_replacement() -> None:
    before = pod(Story(), at=41, name="new-1", what="added", node="a")
    story = pod(Story().fault(), at=100.5, name="new-1", node="a")
    facts = run(first(Story(), name="old-1"), before, story)
    (fault,) = find_faults(facts)
    assert not {"ready_s", "rescheduled_s"} & set(impact(facts, fault))


def seen(facts: Facts) -> list[tuple[str, str, bool]]:
    return [(one.name, one.event.what, one.initial) for one in pods_seen(facts)]


def test_the_pods_of_a_fault_before_whose_watch_has_ended_say_nothing() -> None:
    beside = pod(Story(), at=40, name="db-1", what="added", member=False, in_service=False)
    assert seen(run(first(Story()), beside, Story().fault())) == [("old-1", "added", True)]


def test_a_drill_that_was_not_begun_and_the_first_one_see_what_they_saw() -> None:
    lists, drill = first(Story()), pod(Story(), at=40, restarts=1)
    events = [*lists.events, *drill.events]
    named = [(replace(events[0], drill="")), replace(events[1], seq=2, drill="drift")]
    assert of_drill(tuple(named), "rollback") == (named[0],)
    assert of_drill(tuple(named), "drift") == tuple(named)


@pytest.mark.parametrize("lost", [True, False])
def test_a_gap_of_the_drill_before_stays_out(lost: bool) -> None:
    gap = Story().tell("watch", "Watch/Pod", "gap", at=40, start=39, lost=lost, reason="410")
    found: tuple[Event, ...] = run(first(Story()), gap, Story().fault()).events
    assert all(event.what != "gap" for event in found)
