"""Is everything as it was before? Judged from the journal's own events, one entry at a time.

An entry that failed is FAIL (exit code 4); one that was left because somebody else changed the object after us is
INCONCLUSIVE: we must not overwrite it, and cannot call the state restored. An entry without an end is FAIL: the undo
did not run.
"""

from __future__ import annotations

from rollproof.core.event import Event, by_time
from rollproof.core.facts import Facts
from rollproof.core.verdict import Finding, Result, Verdict

__all__ = ["check"]

_DEEDS = (("drift", "injected"), ("release", "pushed"))  # each is in the journal before it is done
_ENDS = ("done", "not-needed", "left", "failed")


def check(facts: Facts) -> Verdict:
    """The worst of all journal entries."""
    written = {event.subject: event for event in facts.find(source="undo", what="written")}
    ends: dict[str, Event] = {}
    for event in facts.find(source="undo"):
        if event.what in _ENDS:
            ends[event.subject] = event
    open_entries = sorted(written.keys() - ends.keys())
    failed = by_time(event for event in ends.values() if event.what == "failed")
    left = by_time(event for event in ends.values() if event.what == "left")
    numbers = {"entries": len(written), "failed": len(failed), "left": len(left), "open": len(open_entries)}
    evidence = tuple(sorted(event.seq for event in (*written.values(), *ends.values())))
    if failed or open_entries:
        what = failed[0].subject if failed else open_entries[0]
        reason = failed[0].data.get("reason", "no reason") if failed else "its undo never ran"
        why = f"{len(failed) + len(open_entries)} of {len(written)} changes were not undone; first {what}: {reason}"
        finding = Finding("UNDO_FAILED", why, f"run `rollproof undo {facts.plan.run_id}`, then look at {what}")
        return Verdict("undo", "Undo", Result.FAIL, why, numbers=numbers, evidence=evidence, findings=(finding,))
    if left:
        data = left[0].data
        why = (
            f"{left[0].subject} was changed by somebody else after us and was left alone: "
            f"expected {data.get('expected')!r}, found {data.get('found')!r}"
        )
        finding = Finding("LEFT_ALONE", why, "decide by hand which state is wanted")
        if data.get("expected") is None and data.get("found") is None:  # nobody changed it: nobody could look
            why = f"{left[0].subject} could not be told: {data.get('reason', 'no reason')}"
            finding = Finding("NOT_SEEN", why, f"look again later: `rollproof undo {facts.plan.run_id}`")
        return Verdict(
            "undo", "Undo", Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence, findings=(finding,)
        )
    deeds = [event for event in facts.events if (event.source, event.what) in _DEEDS]
    if deeds and not written:
        why = f"the record of what was undone is missing, although something was changed ({deeds[0].subject})"
        return Verdict("undo", "Undo", Result.INCONCLUSIVE, why, numbers=numbers, evidence=(deeds[0].seq,))
    why = f"all {len(written)} changes were undone" if written else "nothing was changed, so nothing had to be undone"
    return Verdict("undo", "Undo", Result.PASS, why, numbers=numbers, evidence=evidence)
