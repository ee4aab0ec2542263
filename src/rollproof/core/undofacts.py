"""Undofacts: the undo journal as the timeline tells of it, for runs that kept no journal, and for evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.journal import ENDS, Entry, Record
from rollproof.core.oldfacts import was_kept

__all__ = ["record_told", "undo_events"]

_WORDS = ("written", *ENDS, "failed", "unknown")


def undo_events(facts: Facts) -> Iterator[Event]:
    """What was told of the journal's entries, in order."""
    return (event for event in facts.find(source="undo") if event.what in _WORDS)


def record_told(facts: Facts) -> Record:
    """The entries as the timeline tells of them; an entry is known by its subject, and its last word counts."""
    entries: dict[str, Entry] = {}
    for event in undo_events(facts):
        entries[event.subject] = _entry(event, len(entries) + 1, entries.get(event.subject))
    return Record(tuple(sorted(entries.values(), key=lambda entry: entry.number)))


def _entry(event: Event, number: int, before: Entry | None) -> Entry:
    named = re.fullmatch(r"Undo/(\d{1,9})(?:-(.*))?", event.subject)
    number, kind = (int(named[1]), named[2] or "") if named else (number, event.subject.removeprefix("Undo/"))
    state = event.what if event.what in ENDS else "open"
    tried = event.what if event.what in ("failed", "unknown") else ""
    data = event.data
    return Entry(
        before.number if before else number, kind, str(data.get("object", "")), {}, state, tried=tried,
        reason=str(data.get("reason") or ""), expected=data.get("expected"), found=data.get("found"),
        kept=event.what == "not-needed" and was_kept(data),
    )  # fmt: skip
