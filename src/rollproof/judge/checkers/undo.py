"""Is everything as it was before? Judged by the journal, entry by entry; for a run without one, by the facts of the
timeline about it.

An entry that failed is FAIL (exit code 4); one that was left because somebody else changed the object after us is
INCONCLUSIVE: we must not overwrite it, and cannot call the state restored. An entry without an end is FAIL: the undo
did not run. So is a journal that cannot be read whole: its lost entries are unknown.
"""

from __future__ import annotations

from rollproof.core.commandline import typed
from rollproof.core.counts import many, were
from rollproof.core.facts import Facts
from rollproof.core.fault import find_faults
from rollproof.core.journal import CHECK, Entry, Record, missing_entries
from rollproof.core.undofacts import record_told, undo_events
from rollproof.core.verdict import Finding, Result, Verdict

__all__ = ["check"]

_CHANGES = (("drift", "injected"), ("release", "pushed"))  # each is in the journal before it is made


def check(facts: Facts) -> Verdict:
    """The worst of all journal entries."""
    record = facts.journal if facts.journal is not None else record_told(facts)
    damage = (*record.damage, *missing_entries(record, facts.events)) if facts.journal is not None else ()
    newest_first = tuple(reversed(record.entries))  # the order in which they are undone
    failed = [entry for entry in newest_first if entry.state == "open" and entry.tried == "failed"]
    unfinished = [entry for entry in record.entries if entry.state == "open" and entry.tried != "failed"]
    if any(entry.kind != CHECK for entry in (*failed, *unfinished)):
        unfinished = [entry for entry in unfinished if entry.kind != CHECK]  # it is judged by the others
    left = [entry for entry in newest_first if entry.state == "left"]
    numbers = {"entries": len(record.entries), "failed": len(failed), "left": len(left), "open": len(unfinished)}
    evidence = _evidence(facts)
    if failed or unfinished or damage:
        why, what = _what_failed(record, failed, unfinished, damage)
        again = typed("undo", facts.plan.run_id)
        hint = f"run {again}, then look at {what}"
        if failed and all(entry.kind == CHECK for entry in failed):  # no undo of ours is left that could mend it
            hint = f"our own changes are back: mend what is said here by hand, then {again} looks again"
        if unfinished and not failed and not damage and all(entry.kind == CHECK for entry in unfinished):
            hint = f"our own changes are back, and nobody saw whether all else is as before: {again} looks"
        finding = Finding("UNDO_FAILED", why, hint)
        return Verdict("undo", "Undo", Result.FAIL, why, numbers=numbers, evidence=evidence, findings=(finding,))
    if left:
        why = (
            f"{left[0].name} was changed by somebody else after us and was left alone: "
            f"expected {left[0].expected!r}, found {left[0].found!r}"
        )
        if left[0].expected is None and left[0].reason:  # its undo says why, and it need not be that of others
            why = f"{left[0].name} was left as it is: {left[0].reason}"
        finding = Finding("LEFT_ALONE", why, "decide by hand which state is wanted")
        if left[0].expected is None and left[0].found is None:  # nobody changed it, and its state could not be read
            why = f"{left[0].name} could not be verified: {left[0].reason or 'no reason'}"
            finding = Finding("NOT_SEEN", why, f"look again later: {typed('undo', facts.plan.run_id)}")
        return Verdict(
            "undo", "Undo", Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence, findings=(finding,)
        )
    changes = [event for event in facts.events if (event.source, event.what) in _CHANGES]
    changes += [fault.started for fault in find_faults(facts) if fault.begun]  # faults that need no undo are included
    if changes and not record.changes:
        first = min(changes, key=lambda event: (event.start_s, event.subject))
        gone = "is missing" if facts.journal is None else "has no change" if record.entries else "is empty"
        why = f"the record of what was undone {gone}, although something was changed ({first.subject})"
        return Verdict("undo", "Undo", Result.INCONCLUSIVE, why, numbers=numbers, evidence=(first.seq,))
    return Verdict("undo", "Undo", Result.PASS, _all_well(record), numbers=numbers, evidence=evidence)


def _all_well(record: Record) -> str:
    """The sentence where every entry ended well. What stays on purpose was not undone."""
    kept = sum(1 for entry in record.changes if entry.kept)
    count = len(record.changes) - kept
    if not record.changes:
        return "nothing was changed, so nothing had to be undone"
    undone = "the one change was undone" if count == 1 else f"all {count} changes were undone"
    stays = f"{many(kept, 'change')} stays on purpose" if kept == 1 else f"{many(kept, 'change')} stay on purpose"
    return "; ".join([undone] * bool(count) + [stays] * bool(kept))


def _evidence(facts: Facts) -> tuple[int, ...]:
    """The seq of each entry's first and last event."""
    told = list(undo_events(facts))
    written = {event.subject: event.seq for event in told if event.what == "written"}
    ended = {event.subject: event.seq for event in told if event.what != "written"}
    return tuple(sorted((*written.values(), *ended.values())))


def _what_failed(
    record: Record, failed: list[Entry], unfinished: list[Entry], damage: tuple[str, ...]
) -> tuple[str, str]:
    """The sentence, and the name of the first object to look at."""
    bad = [*failed, *unfinished]
    if not bad:
        return damage[0], "undo.jsonl"
    first = bad[0]
    if first.tried == "failed":
        reason = first.reason or "no reason"
    elif first.tried == "unknown":
        reason = f"unknown: {first.reason}"
    else:
        reason = "its undo never ran"
    of = sum(1 for entry in record.entries if entry.is_change or entry in bad)
    why = f"{len(bad)} of {many(of, 'change')} {were(len(bad))} not undone; first {first.name}: {reason}"
    return "; ".join((why, *damage[:1])), first.name
