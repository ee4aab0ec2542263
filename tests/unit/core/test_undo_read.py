"""The undo journal, as its file and as the timeline tell it: each entry, what is wrong, and what is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from story import Story

from rollproof.core.journal import Entry, missing_entries, read_journal
from rollproof.core.undofacts import record_told


@pytest.mark.parametrize(
    ("subject", "words", "data", "entry"),
    [
        ("Undo/3-drain", ("written",), {"object": "Node/a"}, Entry(3, "drain", "Node/a", {})),
        ("Undo/3-drain", ("written",), {}, Entry(3, "drain", "", {})),
        ("Undo/3", ("written",), {}, Entry(3, "", "", {})),
        ("Undo/check", ("written",), {}, Entry(1, "check", "", {})),
        ("Undo/3-drain", ("written", "done"), {}, Entry(3, "drain", "", {}, "done")),
        ("Undo/3-drain", ("written", "not-needed"), {}, Entry(3, "drain", "", {}, "not-needed")),
        (
            "Undo/3-drain",
            ("written", "left"),
            {"reason": "why", "expected": 1, "found": 2},
            Entry(3, "drain", "", {}, "left", reason="why", expected=1, found=2),
        ),
        ("Undo/3-drain", ("written", "failed"), {}, Entry(3, "drain", "", {}, tried="failed")),
        ("Undo/3-drain", ("written", "unknown"), {}, Entry(3, "drain", "", {}, tried="unknown")),
        ("Undo/3-drain", ("written", "failed", "done"), {}, Entry(3, "drain", "", {}, "done")),
        ("Undo/check", ("written", "failed"), {}, Entry(1, "check", "", {}, tried="failed")),
        ("Undo/3-drain", ("not-needed",), {"kept": True}, Entry(3, "drain", "", {}, "not-needed", kept=True)),
        ("Undo/3-drain", ("done",), {"kept": True}, Entry(3, "drain", "", {}, "done")),
    ],
)
def test_an_entry_as_the_timeline_tells_it(
    subject: str, words: tuple[str, ...], data: dict[str, Any], entry: Entry
) -> None:
    told = Story()
    for at, word in enumerate(words):
        told.tell("undo", subject, word, at=at, **data)
    assert record_told(told.facts()).entries == (entry,)


def test_entries_are_in_the_order_of_their_numbers_whichever_was_told_first() -> None:
    told = Story().tell("undo", "Undo/4-a", "written", at=1).tell("undo", "Undo/3-b", "written", at=2)
    assert [entry.kind for entry in record_told(told.facts()).entries] == ["b", "a"]


def journal(*lines: dict[str, Any]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


DRAIN = {"number": 1, "kind": "drain", "subject": "Node/a", "args": {"uid": "u"}}
LOOK = {"number": 2, "kind": "check", "subject": "app", "args": {}}


@pytest.mark.parametrize(
    ("lines", "entries"),
    [
        ((DRAIN,), (Entry(1, "drain", "Node/a", {"uid": "u"}),)),
        ((DRAIN, {"number": 1, "made": True}), (Entry(1, "drain", "Node/a", {"uid": "u"}, made=True),)),
        ((DRAIN, {"number": 1, "gave_up_s": 7}), (Entry(1, "drain", "Node/a", {"uid": "u"}, gave_up_s=7.0),)),
        ((LOOK, DRAIN), (Entry(1, "drain", "Node/a", {"uid": "u"}), Entry(2, "check", "app", {}))),
    ],
)
def test_an_entry_as_the_journal_tells_it(lines: tuple[dict[str, Any], ...], entries: tuple[Entry, ...]) -> None:
    record = read_journal(journal(*lines))
    assert (record.entries, record.damage) == (entries, ())
    assert record.changes == tuple(one for one in entries if one.kind != "check")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (b"[]", "it is no JSON object"),
        (b"{", "it is no JSON object"),
        (b'{"number": NaN}', "it is no JSON object"),
        (b'{"kind": "x"}', "it has no number"),
        (b'{"number": true}', "it has no number"),
        (b'{"number": 0}', "it has no number"),
        (b'{"number": 2, "kind": 1, "subject": "x", "args": {}}', "kind, subject or args are of a wrong type"),
        (b'{"number": 1, "kind": "x", "subject": "x", "args": {}}', "there is an entry 1 already"),
        (b'{"number": 3, "state": "done"}', "it is about entry 3, which is not there"),
        (b'{"number": 1, "state": "done", "reason": null}', "it says nothing that this version knows"),
    ],
)
def test_what_is_wrong_with_a_line_of_the_journal(line: bytes, wrong: str) -> None:
    record = read_journal(journal(DRAIN) + line + b"\n")
    assert record.damage == (f"undo.jsonl line 2 cannot be read: {wrong}",)
    assert record.entries == (Entry(1, "drain", "Node/a", {"uid": "u"}),)


@pytest.mark.parametrize("end", [{"state": "done"}, {"state": "done", "reason": ""}])
def test_an_undo_that_failed_and_then_worked(end: dict[str, Any]) -> None:
    failed = {"number": 1, "state": "failed", "reason": "403", "expected": 1, "found": 2}
    record = read_journal(journal(DRAIN, failed, {"number": 1, **end}))
    assert record.entries == (Entry(1, "drain", "Node/a", {"uid": "u"}, "done"),)


@pytest.mark.parametrize(
    ("lines", "told", "missing"),
    [
        ((DRAIN, LOOK), ("1-drain", "check"), ()),
        ((DRAIN,), ("1-drain", "check"), ("check",)),
        ((LOOK,), ("1-drain", "check"), ("1-drain",)),
        ((), ("1-drain", "check"), ("1-drain", "check")),
    ],
)
def test_an_entry_that_only_the_timeline_has(
    lines: tuple[dict[str, Any], ...], told: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    timeline = Story()
    for at, name in enumerate(told):
        timeline.tell("undo", f"Undo/{name}", "written", at=at)
    sentences = tuple(f"Undo/{name} is on the timeline, and the journal has no such entry" for name in missing)
    assert missing_entries(read_journal(journal(*lines)), timeline.events) == sentences
    for name in told:
        timeline.tell("undo", f"Undo/{name}", "done", at=9)
    assert missing_entries(read_journal(journal(*lines)), timeline.events) == ()
