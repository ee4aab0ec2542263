"""Which runs `undo` means, what is left over, and what one exit code says of several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import story
from recorder import ListRecorder
from targettoml import target_toml

from rollproof.core.journal import LEASE_KIND
from rollproof.errors import InputError, LockedError
from rollproof.reports.console import LiveConsole
from rollproof.run import undoing
from rollproof.run.leftovers import tell_leftovers, unfinished_folders
from rollproof.run.undoing import undo_runs
from rollproof.store.folderfiles import FolderLock
from rollproof.store.journal import FolderStore, Journal, Undone
from rollproof.store.runfolder import RunFolder
from rollproof.target.file import load


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
    names = [(path.name, what) for path, what in unfinished_folders(reports)]
    assert names == [("20260102T000000Z-b", "2 changes not undone"), ("20260103T000000Z-c", "1 change not undone")]
    with FolderLock.take(reports / "20260103T000000Z-c", "a live run"):
        assert [path.name for path, _ in unfinished_folders(reports)] == ["20260102T000000Z-b"]
    assert list(unfinished_folders(reports / "nowhere")) == []


@pytest.mark.parametrize("journal", [b"", b"\0" * 300 + b"\n", b"rubbish\n", None, "a link", "a folder"])
@pytest.mark.parametrize("plan", [True, False])
def test_b6_a_journal_that_does_not_tell_all_is_unfinished(reports: Path, journal: Any, plan: bool) -> None:
    """As a disk may leave it after a lost machine."""
    path = reports / "20260101T000000Z-a"
    with RunFolder.open_for_undo(path) as folder:
        folder.record("undo", "Undo/1-tag", "written")
    (path / "undo.jsonl").unlink()
    if journal == "a link":
        (path / "undo.jsonl").symlink_to("/dev/zero")
    elif journal == "a folder":
        (path / "undo.jsonl").mkdir()
    elif journal is not None:
        (path / "undo.jsonl").write_bytes(journal)
    if not plan:
        if journal is None:
            return  # neither plan nor journal: no run folder
        (path / "plan.json").unlink()
    assert next((one.name, what) for one, what in unfinished_folders(reports)) == (
        path.name,
        "its undo journal is damaged",
    )
    said: list[str] = []
    tell_leftovers(None, reports, said.append)
    assert said[0] == f"unfinished run {path.name}: its undo journal is damaged: `rollproof undo {path}`"


def test_b6_a_change_that_the_journal_has_lost_is_unfinished(reports: Path) -> None:
    path = reports / "20260101T000000Z-a"
    with RunFolder.open_for_undo(path) as folder:
        folder.record("undo", "Undo/7-tag", "written")
    assert path in dict(unfinished_folders(reports))
    with RunFolder.open_for_undo(path) as folder:
        folder.record("undo", "Undo/7-tag", "done")
    assert path not in dict(unfinished_folders(reports))


def test_each_is_told_with_the_command_that_ends_it(reports: Path) -> None:
    said: list[str] = []
    tell_leftovers(None, reports, said.append)
    path = reports / "20260102T000000Z-b"
    assert said[0] == f"unfinished run 20260102T000000Z-b: 2 changes not undone: `rollproof undo {path}`"
    assert len(said) == 2


def test_the_lock_and_the_last_look_are_no_changes(tmp_path: Path) -> None:
    """A run that was killed right after it had taken its lock said "1 change not undone"."""
    with RunFolder.create(tmp_path / "20260101T000000Z-a", story.plan()) as folder:
        journal = Journal(FolderStore(folder.path / "undo.jsonl"), ListRecorder())
        lock = journal.write(LEASE_KIND, "Lease/shop/rollproof", {})
    assert [what for _, what in unfinished_folders(tmp_path)] == ["its lock not given back"]
    tag = journal.write("tag", "overlay", {})
    journal.begin_look("")
    assert [what for _, what in unfinished_folders(tmp_path)] == ["1 change not undone"]
    for entry in (tag, lock):
        journal.settle(entry, Undone("done"))
    assert list(unfinished_folders(tmp_path)) == []


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


@pytest.fixture
def target_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a target whose journals are in its cluster, and which has no kubeconfig."""
    path = tmp_path_factory.mktemp("target") / "target.toml"
    path.write_text(f'{target_toml(load_host="127.0.0.1")}[journal]\nstore = "cluster"\n')
    return path


@pytest.mark.parametrize("content", [None, "", "{}", "\0" * 100], ids=["sound", "empty", "object", "zeros"])
def test_what_cannot_be_looked_at_keeps_no_other_from_being_undone(
    tmp_path: Path, undone: list[str], target_file: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a target file the plans are read first, to leave out the runs of others, and the cluster is asked."""
    for name in ("a", "b"):
        with RunFolder.create(tmp_path / name, story.plan(target=load(target_file).target)) as folder:
            Journal(FolderStore(folder.path / "undo.jsonl"), ListRecorder()).write("tag", "overlay", {})
    a_run(tmp_path, "of-another-target", "open")
    if content is not None:
        (tmp_path / "b/plan.json").write_text(content)
    code = undo_runs(LiveConsole(), None, tmp_path, last=False, every=True, target=target_file)
    assert undone == ["b", "a"]
    assert "error: the journals in the cluster: kubeconfig" in capsys.readouterr().out
    assert code == InputError.exit_code
