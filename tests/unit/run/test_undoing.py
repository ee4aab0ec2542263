"""Which runs `undo` means, what is left over, and what one exit code says of several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import story
from recorder import ListRecorder

from rollproof.errors import InputError, LockedError
from rollproof.reports.console import LiveConsole
from rollproof.run import undoing
from rollproof.run.leftovers import tell_leftovers, unfinished_folders
from rollproof.run.undoing import undo_runs
from rollproof.store.folderfiles import FolderLock
from rollproof.store.journal import FolderStore, Journal, Undone
from rollproof.store.runfolder import RunFolder


def a_run(reports: Path, name: str, *states: str, **target: Any) -> Path:
    """A stored run whose changes ended so; "open" is one that did not."""
    with RunFolder.create(reports / name, story.plan(target=story.target(**target))) as folder:
        journal = Journal(FolderStore(folder.path / "undo.jsonl"), ListRecorder())
        for state in states:
            entry = journal.write("tag", "overlay", {})
            if state != "open":
                journal.settle(entry, Undone(state))
        return folder.path


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    a_run(tmp_path, "20260101T000000Z-a", "done", "left")
    a_run(tmp_path, "20260102T000000Z-b", "open", "done", "open")
    a_run(tmp_path, "20260103T000000Z-c", "open")
    (tmp_path / "something-else").mkdir()
    return tmp_path


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that were undone, in order; those in `codes` end so."""
    names: list[str] = []

    def undo_stored(path: Path, *_: object, **__: object) -> int:
        names.append(path.name)
        return 0

    monkeypatch.setattr(undoing, "undo_stored", undo_stored)
    return names


def undo(reports: Path, run: Path | None = None, *, last: bool = False, every: bool = False) -> int:
    return undo_runs(LiveConsole(), run, reports, last=last, every=every, target=None)


def test_unfinished_is_what_has_open_entries_and_nobody_at_work(reports: Path) -> None:
    names = [(path.name, number) for path, number in unfinished_folders(reports)]
    assert names == [("20260102T000000Z-b", 2), ("20260103T000000Z-c", 1)]
    with FolderLock.take(reports / "20260103T000000Z-c", "a live run"):
        assert [path.name for path, _ in unfinished_folders(reports)] == ["20260102T000000Z-b"]
    assert list(unfinished_folders(reports / "nowhere")) == []


def test_each_is_told_with_the_command_that_ends_it(reports: Path) -> None:
    said: list[str] = []
    tell_leftovers(None, reports, said.append)
    path = reports / "20260102T000000Z-b"
    assert said[0] == f"unfinished run 20260102T000000Z-b: 2 changes not undone: `rollproof undo {path}`"
    assert len(said) == 2


def test_all_means_the_unfinished_newest_first(reports: Path, undone: list[str]) -> None:
    assert undo(reports, every=True) == 0
    assert undone == ["20260103T000000Z-c", "20260102T000000Z-b"]


def test_last_means_the_newest_and_a_name_that_one(reports: Path, undone: list[str]) -> None:
    assert undo(reports, last=True) == 0
    assert undo(reports, reports / "20260101T000000Z-a") == 0
    assert undone == ["20260103T000000Z-c", "20260101T000000Z-a"]


@pytest.mark.parametrize("asked", [{}, {"last": True, "every": True}, {"run": Path("x"), "every": True}])
def test_exactly_one_of_them_is_asked_for(reports: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="name a run folder, or say --last or --all"):
        undo(reports, **asked)


@pytest.mark.parametrize(("codes", "expected"), [((0, 0), 0), ((3, 0), 3), ((4, 3), 4), ((0, 4), 4), ((2, 4), 4)])
def test_one_that_fails_keeps_no_other_from_being_undone(
    reports: Path, monkeypatch: pytest.MonkeyPatch, codes: tuple[int, ...], expected: int
) -> None:
    left = list(codes)

    def undo_stored(*_: object, **__: object) -> int:
        code = left.pop(0)
        if code in (2, 3):
            raise LockedError("busy") if code == 3 else InputError("not trusted")
        return code

    monkeypatch.setattr(undoing, "undo_stored", undo_stored)
    assert undo(reports, every=True) == expected
    assert left == []
