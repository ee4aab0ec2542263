"""Journal: the one record of what a run changed and of how each change ended. What the timeline says of it is derived.

Pure: the bytes of `undo.jsonl` in, entries and what could not be read out. A line that cannot be read never hides the
others, and is never forgotten: whoever reads is told of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rollproof.core.event import Event

__all__ = ["CHECK", "ENDS", "LEASE_KIND", "Entry", "Record", "missing_entries", "read_journal"]

ENDS = ("done", "not-needed", "left")
_TRIES = ("failed", "unknown")  # of an undo; the entry stays open
CHECK = "check"  # the kind of the entry that stands for the last look: it changes nothing, and is owed until it is done
LEASE_KIND = "lease-release"  # the kind of the entry of the run's own lock


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: its number, the kind that names its handler, what the handler needs, and "open" or how it ended.

    `made`: an answer said that it was made; without one nobody knows whether it was, or still will be. `gave_up_s`: the
    wall clock (seconds since 1970) when the last request for it ended without an answer, 0 if that is not known.
    `tried`: how the last undo of an open entry ended (failed, unknown). `kept`: the change stays on purpose. The rest
    explains the last undo.
    """

    number: int
    kind: str
    subject: str
    args: Mapping[str, Any] = field(repr=False)
    state: str = "open"
    made: bool = False
    gave_up_s: float = 0.0
    tried: str = ""
    reason: str = ""
    expected: Any = None
    found: Any = None
    kept: bool = False

    @property
    def name(self) -> str:
        """The entry's subject on the timeline."""
        return f"Undo/{CHECK}" if self.kind == CHECK else f"Undo/{self.number}-{self.kind}".removesuffix("-")

    @property
    def is_change(self) -> bool:
        """Whether it stands for a change of the target: the last look and the run's own lock are none."""
        return self.kind not in (CHECK, LEASE_KIND)


@dataclass(frozen=True, slots=True)
class Record:
    """All entries by their number, and a sentence for each thing that is wrong with the journal."""

    entries: tuple[Entry, ...] = ()
    damage: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Entry, ...]:
        """The entries that stand for a change of the target."""
        return tuple(entry for entry in self.entries if entry.is_change)


def read_journal(content: bytes) -> Record:
    """Every entry that can be read. An incomplete last line is left by a crash: its change was never made."""
    entries: dict[int, Entry] = {}
    damage: list[str] = []
    *whole, last = content.split(b"\n")
    lines = [*whole, last] if _parsed(last) is not None else whole
    for number, text in enumerate(lines, 1):
        line = _parsed(text)
        wrong = "it is no JSON object" if line is None else _take(line, entries)
        if wrong:
            damage.append(f"undo.jsonl line {number} cannot be read: {wrong}")
    return Record(tuple(entries[number] for number in sorted(entries)), tuple(damage))


def missing_entries(record: Record, events: Iterable[Event]) -> tuple[str, ...]:
    """A sentence for each change that the timeline tells of, without an end, and that the journal does not have."""
    known = {entry.name for entry in record.entries}
    told: dict[str, bool] = {}
    for event in events:
        if event.source == "undo" and event.subject not in known:
            told[event.subject] = event.what in ENDS
    return tuple(
        f"{subject} is on the timeline, and the journal has no such entry"
        for subject, ended in told.items()
        if not ended
    )


def _take(line: Mapping[str, Any], entries: dict[int, Entry]) -> str:
    """Take one line into the entries; what is wrong with it, or ""."""
    number = line.get("number")
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        return "it has no number"
    if "args" in line:
        kind, subject, args = line.get("kind"), line.get("subject"), line["args"]
        if not (isinstance(kind, str) and isinstance(subject, str) and isinstance(args, dict)):
            return "kind, subject or args are of a wrong type"
        if number in entries:
            return f"there is an entry {number} already"
        entries[number] = Entry(number, kind, subject, args)
        return ""
    entry = entries.get(number)
    if entry is None:
        return f"it is about entry {number}, which is not there"
    if line.get("made") is True:
        entries[number] = replace(entry, made=True)
        return ""
    gave_up_s = line.get("gave_up_s")
    if isinstance(gave_up_s, int | float):
        entries[number] = replace(entry, gave_up_s=float(gave_up_s))
        return ""
    return _ended(line, entry, entries)


def _ended(line: Mapping[str, Any], entry: Entry, entries: dict[int, Entry]) -> str:
    state, reason = line.get("state"), line.get("reason", "")
    if state not in (*ENDS, *_TRIES) or not isinstance(reason, str):
        return "it says nothing that this version knows"
    told: dict[str, Any] = {
        "reason": reason,
        "expected": line.get("expected"),
        "found": line.get("found"),
        "kept": line.get("kept") is True,
    }
    if state in _TRIES:
        entries[entry.number] = replace(entry, tried=state, **told)
    else:
        entries[entry.number] = replace(entry, state=state, tried="", **told)
    return ""


def _parsed(text: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; None if it is something else, or holds what JSON does not know (NaN, half a pair)."""
    try:
        line = json.loads(text, parse_constant=_refuse)
        json.dumps(line, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _refuse(word: str) -> object:
    raise ValueError(word)
