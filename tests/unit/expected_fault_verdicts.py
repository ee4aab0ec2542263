"""Histories for the golden of verdicts: the fault checker's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from expected_outage_verdicts import held
from story import Story

from rollproof.core.event import Outcome
from rollproof.core.fault import FaultWord, subject_of

__all__ = ["faults", "say"]

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN
Told = Iterator[tuple[str, Story]]


def say(told: Story, word: FaultWord, *, at: float, outcome: Outcome = Outcome.OK, **data: Any) -> Story:
    return told.tell("fault", subject_of("pod-delete"), word, at=at, outcome=outcome, **data)


def unrecovered(outcome: Outcome = FAIL, *, at: float = 161.0, **data: Any) -> Story:
    data = {"waited_s": 60.0, "last_seen": "1 of 2 pods ready", **data}
    return say(Story().fault(until="effect"), FaultWord.NOT_RECOVERED, at=at, outcome=outcome, **data)


def faults() -> Told:
    yield from _not_judged()
    yield "recovered in time", Story().fault()
    told = say(Story().fault(until="injecting"), FaultWord.INJECTED, at=100.2, margin_s=7.12345)
    say(say(told, FaultWord.EFFECT, at=101.0, watched="x", pods=[]), FaultWord.RECOVERED, at=120.12345)
    yield "recovered in time, with a margin that was reckoned before", told
    yield "exactly in time", Story().fault(recovered=60.0)
    yield "too late", Story().fault(recovered=60.5)
    yield from _between_looks()
    stale = say(Story().fault(until="effect"), FaultWord.RECOVERED, at=120.0, by="no-running-pod")
    yield "recovered, and no running pod has the setting that was changed", stale
    for by in ("in-part", "mounted-file", "new-pods"):
        story = say(Story().fault(until="effect"), FaultWord.RECOVERED, at=120.0, by=by)
        yield f"recovered, and the setting that was changed came by {by}", story
    yield "recovered in time after it was undone", held(recovered=5.0)
    yield "recovered too late after it was undone", held(recovered=60.5)
    yield "not recovered", unrecovered()
    yield "a process that nobody started again", unrecovered(by="nobody")
    yield "pods that wait on connections to a server that is gone", unrecovered(cause="connections-held")
    yield "a process that nobody started again, and readiness noticed", unrecovered(by="nobody", cause="not-restarted")
    yield "a process that came back with a new container", unrecovered(by="kubelet")
    yield "not recovered, and nobody noted what was seen", unrecovered(last_seen="")
    late = say(unrecovered(), FaultWord.RECOVERED, at=170.0)
    yield "not recovered, and then after all", late
    yield "not recovered, but not watched until the limit", unrecovered(at=159.0)
    yield "not recovered, but nobody could look", unrecovered(UNKNOWN)
    yield "felt, and then nothing is known", Story().fault(until="effect")
    yield "recovered, but before it was felt", Story().fault(recovered=0.5)
    yield "no limit is known", say(say(Story(), FaultWord.INJECTING, at=100), FaultWord.EFFECT, at=101)
    yield "several", Story().fault("pod-delete").fault("node-drain", at=200, limit_s=10.0)


def _between_looks() -> Told:
    """`not_before_s`: when the last look that missed something began."""
    for name, missed_s, back_s in (
        ("in time, and looked at for 2 s", 157.0, 159.5),
        ("too late, or in time within a look of 2 s", 159.4, 161.5),
        ("too late, and missed after the limit too", 160.2, 161.5),
    ):
        yield name, say(Story().fault(until="effect"), FaultWord.RECOVERED, at=back_s, not_before_s=missed_s)
        undone = held(until="undone").tell(
            "fault", subject_of("database-refused"), FaultWord.RECOVERED, at=back_s + 12, not_before_s=missed_s + 12
        )
        yield f"{name}, after it was undone", undone
    stale = say(Story().fault(until="effect"), FaultWord.RECOVERED, at=162.0, not_before_s=160.5)
    stale.tell("watch", "Watch/Pod", "gap", at=160.6, start=150.0, outcome=UNKNOWN, lost=False)
    yield "too late, and what was missed after the limit was known by a watch that was away", stale
    yield "not recovered, and looked at to the limit", unrecovered(at=163.0, not_before_s=160.01)
    yield "not recovered, and the last look began before the limit", unrecovered(at=163.0, not_before_s=159.0)
    away = unrecovered(at=163.0, not_before_s=160.01).tell(
        "watch", "Watch/Pod", "gap", at=164.0, start=150.0, outcome=UNKNOWN, lost=False
    )
    yield "not recovered, but a watch was away at the limit", away


def _not_judged() -> Told:
    yield "nothing at all", Story()
    yield "planned and not begun", Story().fault(until="planned")
    skipped = say(Story().fault(until="planned"), FaultWord.SKIPPED, at=100, reason="there is one replica only")
    yield "skipped", skipped
    yield "skipped without a word", say(Story(), FaultWord.SKIPPED, at=100)
    gone = "Pod/shop/old-1 is not there any more"
    yield "the plan is not true any more", say(Story().fault(until="planned"), FaultWord.VOID, at=100, reason=gone)
    yield "it changed nothing", say(Story().fault(until="injecting"), FaultWord.VOID, at=100.1, reason="no such pod")
    broken = say(Story().fault(until="injecting"), FaultWord.ERROR, at=101, outcome=UNKNOWN, reason="no answer")
    yield "the harness failed", broken
    ended = say(Story().fault(until="effect"), FaultWord.ABORTED, at=105, outcome=UNKNOWN, reason="2,001 lost")
    yield "ended at once", ended
    yield "about to begin", Story().fault(until="injecting")
    vain = Story().fault(until="injected")
    yield "no effect", say(vain, FaultWord.NO_EFFECT, at=111, outcome=UNKNOWN, waited_s=10.0)
    unsure = say(Story().fault(until="injected"), FaultWord.EFFECT, at=101, outcome=UNKNOWN)
    yield "an effect that is not sure", unsure
    early = say(Story().fault(until="injected"), FaultWord.EFFECT, at=99.5)
    yield "what is called an effect was there before", say(early, FaultWord.RECOVERED, at=110)
    blind = (
        Story()
        .fault()
        .tell("watch", "Watch/Pod", "gap", at=112, start=110, outcome=UNKNOWN, lost=True, reason="410 and a jump")
    )
    yield "a watch was blind", blind
    yield (
        "a watch was blind, and it did not recover",
        unrecovered().tell("watch", "Watch/Pod", "gap", at=112, start=110, outcome=UNKNOWN, lost=True),
    )
    before = Story().fault().tell("watch", "Watch/Pod", "gap", at=99, start=98, outcome=UNKNOWN, lost=True)
    yield "a watch was blind before", before
    routine = Story().fault().tell("watch", "Watch/Pod", "gap", at=112, start=110, outcome=UNKNOWN, lost=False)
    yield "a watch was away and lost nothing", routine
    clock = Story().tell("run", "clock", "read", at=90, monotonic_s=90.0, wall_s=1000.0).fault()
    yield "the clock was set", clock.tell("run", "clock", "read", at=130, monotonic_s=130.0, wall_s=1043.0)
