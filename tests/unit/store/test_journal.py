"""The journal: durable before the change, replayed in reverse and whole, and safe after a crash at any byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from owntime import own_time
from recorder import ListRecorder

from rollproof.core.event import Outcome
from rollproof.errors import CannotJudgeError, RunFolderError
from rollproof.store import journal as journal_module
from rollproof.store.journal import FolderStore, Journal, Late, Undone, replay


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "undo.jsonl"


def journal(path: Path, recorder: ListRecorder | None = None) -> Journal:
    return Journal(FolderStore(path), recorder or ListRecorder())


def done(_: Mapping[str, Any]) -> Undone:
    return Undone("done")


def test_an_entry_is_on_disk_when_write_returns_and_told_afterwards(path: Path) -> None:
    recorder = ListRecorder()
    entry = journal(path, recorder).write("tag", "overlay", {"from": "a", "to": "b"})
    assert journal(path).open_entries() == [entry]
    assert [(event.subject, event.what) for event in recorder.events] == [("Undo/1-tag", "written")]


@pytest.mark.processes
def test_it_survives_sigkill_right_after_write(path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from rollproof.store.journal import FolderStore, Journal
class Nobody:
    def record(self, *a, **k): pass
Journal(FolderStore(Path({str(path)!r})), Nobody()).write("tag", "overlay", {{"from": "a"}})
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [dict(entry.args) for entry in journal(path).open_entries()] == [{"from": "a"}]


def test_replay_runs_in_reverse_and_goes_on_after_failures(path: Path) -> None:
    recorder = ListRecorder()
    book = journal(path, recorder)
    for number in range(4):
        book.write("bug" if number == 2 else "refused" if number == 1 else "fine", f"object {number}", {"n": number})
    ran: list[int] = []

    def fine(args: Mapping[str, Any]) -> Undone:
        ran.append(args["n"])
        return Undone("done")

    def bug(args: Mapping[str, Any]) -> Undone:
        ran.append(args["n"])
        raise KeyError("oops")

    def refused(args: Mapping[str, Any]) -> Undone:
        ran.append(args["n"])
        raise CannotJudgeError("no answer", "wait")

    ended = replay(book, {"fine": fine, "bug": bug, "refused": refused})
    assert ran == [3, 2, 1, 0]
    assert [undone.how for _, undone in ended] == ["done", "failed", "failed", "done"]
    assert [undone.reason for _, undone in ended][1:3] == ["KeyError: 'oops'", "no answer wait"]
    outcomes = {event.subject: event.outcome for event in recorder.events if event.what != "written"}
    assert outcomes["Undo/3-bug"] is Outcome.FAIL
    assert outcomes["Undo/1-fine"] is Outcome.OK


def test_what_failed_is_tried_again_by_a_later_process_and_what_is_done_is_not(path: Path) -> None:
    book = journal(path)
    book.write("a", "first", {})
    book.write("b", "second", {})
    replay(book, {"a": done})  # this version knows no b
    later = journal(path)
    assert [entry.kind for entry in later.open_entries()] == ["b"]
    assert [undone.how for _, undone in replay(later, {"b": done})] == ["done"]
    assert replay(journal(path), {}) == []


def test_left_alone_is_an_end_and_says_why(path: Path) -> None:
    recorder = ListRecorder()
    book = journal(path, recorder)
    book.write("a", "first", {})
    replay(book, {"a": lambda _: Undone("left", "changed by others", expected="x", found="y")})
    event = recorder.events[-1]
    assert (event.what, event.outcome) == ("left", Outcome.UNKNOWN)
    assert (event.data["expected"], event.data["found"]) == ("x", "y")
    assert journal(path).open_entries() == []


def test_numbers_go_on_in_a_later_process(path: Path) -> None:
    journal(path).write("a", "first", {})
    assert journal(path).write("a", "second", {}).number == 2


def test_a_crash_at_any_byte_of_an_append_loses_that_entry_only(path: Path) -> None:
    journal(path).write("a", "first", {"k": 1})
    first = path.read_bytes()
    journal(path).write("b", "second", {"k": 2})
    longer = path.read_bytes()
    for size in range(len(first), len(longer)):
        path.write_bytes(longer[:size])
        whole = ["b", "a"] if size == len(longer) - 1 else ["a"]  # only the end of its line is missing
        assert [entry.kind for entry in journal(path).open_entries()] == whole
        journal(path).write("c", "third", {})  # the torn line must not spoil the next one
        assert [entry.kind for entry in journal(path).open_entries()] == ["c", *whole]


def test_a_disk_that_refuses_means_no_deed(tmp_path: Path) -> None:
    recorder = ListRecorder()
    book = journal(tmp_path / "nowhere" / "undo.jsonl", recorder)
    with pytest.raises(RunFolderError, match="cannot be written"):
        book.write("a", "first", {})
    assert book.open_entries() == []
    assert recorder.events == []


def test_every_append_is_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), real(descriptor)))
    journal(path).write("a", "first", {})
    assert len(synced) == 2, "the file and its folder's entry"


def test_an_entry_held_since_before_it_was_made_is_not_taken_for_unanswered(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drift drill holds the entry as it was written; only the journal's own copy knows that an answer came."""
    own_time(monkeypatch, journal_module, sleep=lambda _: pytest.fail("waited for what cannot come any more"))
    journal = Journal(FolderStore(path), ListRecorder())
    entry = journal.write("field-restore", "Deployment/shop", {})
    journal.made(entry)
    handlers = {"field-restore": lambda _: Undone("not-needed", reason="it is as before")}
    late = Late(90.0, quiet_s=time.time())
    assert [undone.how for _, undone in replay(journal, handlers, entries=[entry], late=late)] == ["not-needed"]
