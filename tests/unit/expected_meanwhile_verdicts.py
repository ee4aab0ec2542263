"""Histories for the golden of verdicts: the checker of a drift that was made while a fault was held (`meanwhile`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from expected_outage_verdicts import NAME, held
from story import Story, plan, target

from rollproof.core.event import Outcome
from rollproof.core.fault import FaultWord
from rollproof.core.target import DriftSettings

__all__ = ["meanwhiles"]

UNKNOWN = Outcome.UNKNOWN
DRIFT = "Drift/revision-history"
MADE = 102.0  # the fault is felt at 101 s, and undone at 112 s; its limit is 60 s from there
REVISION, OTHER = "c" * 40, "d" * 40
Told = Iterator[tuple[str, Story]]


def made(told: Story, *, at: float = MADE, **changes: Any) -> Story:
    """A fair trial that was made while the fault was held."""
    before = {
        "attempts": 0, "gap_s": 0.0, "remaining_s": 0.0, "quiet_s": 5.0, "sync_revision": REVISION,
        "operation_revision": REVISION, "fair": True, "started_at": "2026-01-01T00:00:00Z", **changes,
    }  # fmt: skip
    told.tell("drift", DRIFT, "planned", at=97, kind="heal").tell("drift", DRIFT, "before", at=98, **before)
    return told.tell("drift", DRIFT, "injected", at=at, field="spec.revisionHistoryLimit")


def healed(
    told: Story, *, at: float, revision: str = REVISION, automated: bool = True, read: bool = True,
    started_at: str = "2026-01-01T00:01:00Z", **said: Any,
) -> Story:  # fmt: skip
    restored = {"manager": "argocd-controller", "complete": True, "value": 5, **said}
    told.tell("drift", DRIFT, "restored", at=at, start=MADE, **restored)
    if not read:
        return told
    state = {"attempts": 1, "operation_revision": revision, "automated": automated, "started_at": started_at}
    return told.tell("drift", DRIFT, "after", at=at + 1, **state)


def unhealed(told: Story, *, at: float = 180.0, **said: Any) -> Story:
    data = {"stage": "not-detected", "checked": {"self_heal_off": False}, "seen": True, "found": "ours", **said}
    return told.tell("drift", DRIFT, "not-healed", at=at, start=MADE, waited_s=at - MADE, **data)


def _undone_until(told: Story, end_s: float) -> Story:
    """The undo was begun at 112 s, and answered then; its limit of 60 s counts from there."""
    told.tell("fault", NAME, FaultWord.UNDONE, start=112.0, at=end_s, by="harness")
    return told.tell("fault", NAME, FaultWord.RECOVERED, at=end_s + 5.0)


def meanwhiles() -> Told:
    yield from _judged()
    yield from _not_healed()
    yield from _unknown()


def _judged() -> Told:
    yield "healed after it was back", healed(made(held()), at=120)
    yield "exactly in time", healed(made(held()), at=172)
    yield "too late", healed(made(held()), at=172.5)
    for name, at in {"in time after an undo that took long": 174.0, "late after an undo that took long": 174.5}.items():
        yield name, healed(_undone_until(made(held(until="effect")), 114.0), at=at)
    yield "healed while it was undone", healed(_undone_until(made(held(until="effect")), 114.0), at=113.0)
    short = unhealed(_undone_until(made(held(until="effect")), 114.0), at=173.0)
    yield "not healed, and an undo that took long", short
    yield "healed while it was away", healed(made(held()), at=107)
    yield "healed while what heals was away", healed(made(held(healer_gone=True)), at=107)
    yield "not healed while what heals was away", healed(made(held(healer_gone=True)), at=120)


def _not_healed() -> Told:
    yield "not healed", unhealed(made(held()))
    yield "not healed, and not watched for as long as the limit", unhealed(made(held()), at=171)
    yield "not healed, and our own change was not seen", unhealed(made(held()), seen=False)
    off = {"checked": {"self_heal_off": True}, "stage": "not-synced"}
    yield "self-heal is off", unhealed(made(held()), **off)
    free = plan(target=target(drift=DriftSettings(must_heal=False)))
    yield "self-heal is off, by choice", unhealed(made(held(by_plan=free)), **off)
    ignored = {"checked": {"ignored_difference": True}, "stage": "not-detected"}
    yield "ignoreDifferences covers it, by choice", unhealed(made(held(by_plan=free)), **ignored)
    unread = {"checked": {"self_heal_off": False, "sync_window": None}, "stage": "not-synced"}
    yield "whether it is by choice could not be found out", unhealed(made(held(by_plan=free)), **unread)
    failed = {"checked": {"last_sync_failed": True, "ignored_difference": True}, "stage": "not-synced"}
    yield "by choice, and broken besides", unhealed(made(held(by_plan=free)), **failed)
    asked = unhealed(made(held())).tell("drift", DRIFT, "refreshed", at=181, restored=True, manager="argocd-controller")
    yield "healed after a refresh only", asked


def _unknown() -> Told:
    yield "nothing at all", Story()
    yield "no drift", held()
    yield "no fault", healed(made(Story()), at=107)
    yield "the fault was not felt", made(held(until="injected"))
    skipped = Story().tell("fault", NAME, FaultWord.SKIPPED, at=90, reason="there is no redis")
    yield "the fault was skipped", skipped.tell("drift", DRIFT, "planned", at=97, kind="heal")
    yield "it was somebody else who undid the fault", healed(made(held(until="effect")), at=107)
    void = healed(made(held()), at=120).tell("fault", NAME, FaultWord.VOID, at=111, reason="1 pod came back")
    yield "the fault ended by itself", void
    yield "the drift was skipped", held().tell("drift", DRIFT, "skipped", at=97, reason="git does not declare it")
    yield (
        "the drift was not fair",
        held().tell("drift", DRIFT, "before", at=98, fair=False, why_unfair="the Application is OutOfSync"),
    )
    yield "the patch changed nothing", held().tell("drift", DRIFT, "void", at=102)
    yield "the harness failed", held().tell("drift", DRIFT, "error", at=102, outcome=UNKNOWN, reason="403")
    yield "ended after the deed", made(held())
    yield "made after the fault", healed(made(held(), at=115), at=120)
    yield "Argo CD had moved on", healed(made(held()), at=120, revision=OTHER)
    yield "somebody asked for a sync", healed(made(held()), at=120, automated=False)
    same = "2026-01-01T00:00:00Z"
    yield "Argo CD began no operation", healed(made(held()), at=120, manager="", started_at=same)
    yield "Argo CD was not read afterwards", healed(made(held()), at=120, read=False)
    yield "somebody else restored it", healed(made(held()), at=120, manager="kubectl-edit")
    other = healed(made(held()), at=120).tell("drift", DRIFT, "interfered", at=121, manager="alice", value=9)
    yield "somebody else changed it", other
    blind = healed(made(held()), at=120).tell(
        "watch", "Watch/object", "gap", at=119, start=103, outcome=UNKNOWN, lost=True, reason="410 and a jump"
    )
    yield "a watch was blind", blind
    no_plan = healed(made(held()), at=120)
    no_plan.events = [event for event in no_plan.events if (event.source, event.what) != ("fault", "planned")]
    yield "the fault's plan was not recorded", no_plan
    clock = healed(made(held()), at=120).tell("run", "clock", "read", at=90, monotonic_s=90, wall_s=1000)
    yield "the clock was set", clock.tell("run", "clock", "read", at=130, monotonic_s=130, wall_s=1100)
