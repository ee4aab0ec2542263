"""Files of a run folder: nothing is followed, nothing hangs, for their owner only, and one owner at a time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from story import plan

from rollproof.core.verdict import Result
from rollproof.errors import LockedError, RollproofError, RunFolderError
from rollproof.judge.judging import judge_run, write_reports
from rollproof.store.folderfiles import OWNER, FolderLock, open_append, read_whole, write_whole
from rollproof.store.runfolder import RunFolder, UnwritableError

FACTS = ("plan.json", "environment.json", "timeline.jsonl", "verdicts.json", "requests-zero-downtime.npz")


def link(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere)


def fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def folder_there(path: Path, _: Path) -> None:
    path.mkdir()


def device(path: Path, _: Path) -> None:
    path.symlink_to("/dev/zero")


ODD = (link, fifo, folder_there, device)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with RunFolder.create(tmp_path / "run", plan()) as folder:
        folder.write_environment({})
        folder.drill = "zero-downtime"
        folder.record("run", "drill", "started")
        write_reports(folder, judge_run(folder))
    return tmp_path / "run"


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", FACTS)
def test_c8_no_fact_is_read_through_a_link_a_pipe_or_a_device(
    run: Path, tmp_path: Path, name: str, odd: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "elsewhere").write_text("{}")
    (run / name).unlink(missing_ok=True)
    odd(run / name, tmp_path / "elsewhere")
    with pytest.raises(RunFolderError, match=r"no regular file|damaged"):
        judge_run(RunFolder.open(run))


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["timeline.jsonl", OWNER])
def test_c8_nothing_is_appended_through_one(
    run: Path, tmp_path: Path, name: str, odd: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "elsewhere").write_text("keep me")
    (run / name).unlink()
    odd(run / name, tmp_path / "elsewhere")
    with pytest.raises(RollproofError), RunFolder.open_for_undo(run) as folder:
        folder.record("undo", "Undo/1", "done")
    assert (tmp_path / "elsewhere").read_text() == "keep me"


@pytest.mark.parametrize("name", ["verdicts.json", "report.html", "junit.xml", "environment.json"])
@pytest.mark.parametrize("form", ["{}", ".{}.part"])
def test_c8_what_is_written_replaces_a_link_and_is_never_written_through_it(
    run: Path, tmp_path: Path, name: str, form: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("keep me")
    place = run / form.format(name)
    place.unlink(missing_ok=True)
    place.symlink_to(elsewhere)
    write_whole(run / name, b"new")
    assert elsewhere.read_text() == "keep me"
    assert (run / name).read_bytes() == b"new"
    assert not (run / name).is_symlink()


def test_c8_reports_go_neither_into_nor_from_a_place_outside(run: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.json").write_text("keep me")
    (outside / "secret.html").write_text("a secret of another page")
    shutil.rmtree(run / "allure-results")
    (run / "allure-results").symlink_to(outside)
    (run / "locust-x.html").symlink_to(outside / "secret.html")
    folder = RunFolder.open(run)
    write_reports(folder, judge_run(folder))
    assert sorted(path.name for path in outside.iterdir()) == ["mine.json", "secret.html"]
    attached = [path.read_text() for path in (run / "allure-results").iterdir()]
    assert attached
    assert not any("a secret of another page" in text for text in attached)


def test_c8_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # a hole: it takes no room on the disk
    with pytest.raises(RunFolderError, match="at most"):
        read_whole(path)


def test_c10_a_run_is_for_its_owner_only(run: Path) -> None:
    before = os.umask(0o022)
    try:
        with RunFolder.create(run.with_name("other"), plan()) as folder:
            folder.record("run", "drill", "started")
            write_reports(folder, judge_run(folder))
        paths = [folder.path, *folder.path.rglob("*")]
    finally:
        os.umask(before)
    assert len(paths) > 7
    modes = {path.relative_to(run.parent): stat.S_IMODE(path.lstat().st_mode) for path in paths}
    assert {path: mode for path, mode in modes.items() if mode & 0o077} == {}


def test_b4_verdicts_are_written_last_so_that_they_are_there_only_with_all_the_rest(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "verdicts.json").unlink()
    folder = RunFolder.open(run)
    report = judge_run(folder)
    for name in ("write_html", "write_junit", "write_allure"):
        with monkeypatch.context() as patch:
            patch.setattr(f"rollproof.judge.judging.{name}", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
            with pytest.raises(UnwritableError, match="disk full"):
                write_reports(folder, report)
        assert not (run / "verdicts.json").exists()
    write_reports(folder, report)
    assert json.loads((run / "verdicts.json").read_text())["result"] == Result.INCONCLUSIVE


# -- the lock ---------------------------------------------------------------------------------------------------------


def test_b5_one_owner_at_a_time_and_the_other_is_told_who(run: Path) -> None:
    with FolderLock.take(run, "the undo of run-1"), pytest.raises(LockedError, match=r"the undo of run-1 on .* \(pid"):
        FolderLock.take(run, "rollproof judge")
    FolderLock.take(run, "rollproof judge").release()


@pytest.mark.processes
def test_b5_the_lock_of_a_live_run_is_seen_from_another_process_and_ends_with_it_however_it_ends(run: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from rollproof.store.folderfiles import FolderLock
lock = FolderLock.take(Path({str(run)!r}), "the run run-1")
print("held", flush=True)
sys.stdin.read()
"""
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match="the run run-1"):
            RunFolder.open_for_undo(run)
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate()
    RunFolder.open_for_undo(run).close()


def test_b5_a_copy_says_nothing_about_the_process_of_the_run(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "copy")
    for path, original in ((run, True), (tmp_path / "copy", False)):
        for _ in range(2):
            with FolderLock.take(path, "undo") as lock:
                assert lock.original is original


def test_c9_the_name_of_an_owner_is_made_harmless(run: Path) -> None:
    with FolderLock.take(run, "\x1b[2Jevil\nPASS"), pytest.raises(LockedError) as refused:
        FolderLock.take(run, "judge")
    assert str(refused.value).isprintable()


def test_an_append_goes_on_at_the_end(tmp_path: Path) -> None:
    for text in (b"a", b"b"):
        descriptor = open_append(tmp_path / "log")
        os.write(descriptor, text)
        os.close(descriptor)
    assert (tmp_path / "log").read_bytes() == b"ab"
