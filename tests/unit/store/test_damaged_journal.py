"""A journal that is damaged: each good entry is undone, the rest is told (B6). And the timeline is brought up to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorder import ListRecorder

from rollproof.core.event import Event
from rollproof.core.journal import missing_entries, read_journal
from rollproof.store.journal import FolderStore, Journal, Undone, replay

ENTRY = {"number": 1, "kind": "a", "subject": "x", "args": {"k": 1}}
BAD_LINES = {
    "rubbish": b"rubbish",
    "no object": b"[1]",
    "no number": b'{"kind": "b", "subject": "y", "args": {}}',
    "number is text": b'{"number": "2", "kind": "b", "subject": "y", "args": {}}',
    "number is true": b'{"number": true, "kind": "b", "subject": "y", "args": {}}',
    "number 0": b'{"number": 0, "kind": "b", "subject": "y", "args": {}}',
    "kind is null": b'{"number": 2, "kind": null, "subject": "y", "args": {}}',
    "args are a list": b'{"number": 2, "kind": "b", "subject": "y", "args": []}',
    "NaN": b'{"number": 2, "kind": "b", "subject": "y", "args": {"n": NaN}}',
    "half a pair": b'{"number": 2, "kind": "b", "subject": "\\ud800", "args": {}}',
    "no UTF-8": b'{"number": 2, "kind": "b", "subject": "\xff", "args": {}}',
    "very deep": b"[" * 100_000,
    "the same number again": json.dumps({**ENTRY, "kind": "b"}).encode(),
    "an end of nothing": b'{"number": 7, "state": "done"}',
    "an end that nobody knows": b'{"number": 1, "state": "done-2"}',
    "an end that is no text": b'{"number": 1, "state": ["done"]}',
    "empty line": b"",
}


def done(_: Mapping[str, Any]) -> Undone:
    return Undone("done")


@pytest.mark.parametrize("name", BAD_LINES)
def test_b6_each_good_entry_is_undone_and_the_bad_line_is_told(tmp_path: Path, name: str) -> None:
    later = {"number": 3, "kind": "c", "subject": "z", "args": {}}
    lines = [json.dumps(ENTRY).encode(), BAD_LINES[name], json.dumps(later).encode()]
    path = tmp_path / "undo.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    journal = Journal(FolderStore(path), ListRecorder())
    assert [entry.kind for entry, _ in replay(journal, {"a": done, "c": done})] == ["c", "a"]
    (damage,) = journal.tell_missing(())
    assert damage.startswith("undo.jsonl line 2 cannot be read")
    again = Journal(FolderStore(path), ListRecorder())
    assert (again.open_entries(), again.tell_missing(())) == ([], (damage,))


def test_b6_a_last_line_without_its_end_is_an_entry_if_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "undo.jsonl"
    path.write_bytes(json.dumps(ENTRY).encode())
    journal = Journal(FolderStore(path), ListRecorder())
    assert [undone.how for _, undone in replay(journal, {"a": done})] == ["done"]
    assert journal.record.damage == ()
    assert Journal(FolderStore(path), ListRecorder()).open_entries() == []


def test_b6_what_only_the_timeline_knows_is_told() -> None:
    told = ListRecorder()
    told.record("undo", "Undo/1-lease-release", "written")
    told.record("undo", "Undo/2-env-repo-tag", "written")
    told.record("undo", "Undo/1-lease-release", "done")
    for content in (b"", b'{"number": 1, "kind": "lease-release", "subject": "l", "args": {}}\n'):
        (missing,) = missing_entries(read_journal(content), told.events)
        assert "Undo/2-env-repo-tag" in missing


@given(st.binary(max_size=300), st.integers(0, 300))
def test_b6_no_bytes_raise_and_no_good_entry_is_lost(rubbish: bytes, at: int) -> None:
    good = json.dumps({**ENTRY, "number": 999}).encode()
    content = rubbish[:at] + b"\n" + good + b"\n" + rubbish[at:]
    assert [entry.number for entry in read_journal(content).entries if entry.kind == "a"] == [999]


def names(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.subject, event.what) for event in events]


def test_b3_what_was_settled_without_a_word_on_the_timeline_is_told_later(tmp_path: Path) -> None:
    path, before = tmp_path / "undo.jsonl", ListRecorder()
    journal = Journal(FolderStore(path), before)
    first, second = (journal.write(kind, "x", {}) for kind in ("a", "b"))
    journal.settle(first, Undone("done"))
    before.events.pop()  # killed in between
    later = ListRecorder()
    again = Journal(FolderStore(path), later)
    assert again.tell_missing(before.events) == ()
    assert names(later.events) == [("Undo/1-a", "done")]
    again.settle(second, Undone("left", expected=1, found=2))
    whole = ListRecorder()
    Journal(FolderStore(path), whole).tell_missing([])
    assert names(whole.events) == [
        ("Undo/1-a", "written"), ("Undo/1-a", "done"), ("Undo/2-b", "written"), ("Undo/2-b", "left"),
    ]  # fmt: skip
    assert whole.events[-1].data["found"] == 2


def test_c10_the_timeline_does_not_repeat_what_is_needed_to_put_things_back(tmp_path: Path) -> None:
    told = ListRecorder()
    journal = Journal(FolderStore(tmp_path / "undo.jsonl"), told)
    journal.write("object-restore", "ConfigMap/shop/c", {"object": {"data": {"password": "hunter2"}}})
    replay(journal, {"object-restore": done})
    assert "hunter2" not in repr(told.events)
    assert b"hunter2" in (tmp_path / "undo.jsonl").read_bytes()


def test_a15_nothing_is_noted_once_it_may_not_be_done(tmp_path: Path) -> None:
    def lost() -> None:
        raise RuntimeError("the lock is lost")

    journal = Journal(FolderStore(tmp_path / "undo.jsonl"), ListRecorder(), allowed=lost)
    with pytest.raises(RuntimeError, match="lost"):
        journal.write("a", "x", {})
    assert journal.open_entries() == []
    assert journal.begin_look("aaaaaaa").kind == "check"  # it changes nothing
