"""One run whose disk is full or whose API server is away: nothing is left changed, and nothing is claimed."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from run.world import World, judged

from rollproof.core.verdict import Result
from rollproof.errors import RunFolderError
from rollproof.judge.judging import judge_run
from rollproof.preflight.lock import LEASE_NAME
from rollproof.reports.console import LiveConsole
from rollproof.run import session, teardown
from rollproof.run.drill import Run
from rollproof.run.session import Session
from rollproof.run.teardown import undo_stored
from rollproof.store import folderfiles
from rollproof.store.runfolder import TIMELINE, RunFolder, UnwritableError

pytestmark = pytest.mark.processes

# -- the disk ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """`disk(True)`: nothing more can be written below reports/, as the kernel says it of a full disk."""
    full = False
    opened, append, write = Path.open, folderfiles.open_append, folderfiles.write_whole

    def refusing(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if full and "reports" in path.parts and mode[0] in "awx":
            return opened(Path("/dev/full"), mode.replace("x", "w"), *rest, **more)
        return opened(path, mode, *rest, **more)

    def appending(path: Path) -> int:
        return os.open("/dev/full", os.O_WRONLY) if full else append(path)

    def writing(path: Path, content: bytes) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    monkeypatch.setattr(Path, "open", refusing)
    monkeypatch.setattr(folderfiles, "open_append", appending)
    monkeypatch.setattr(folderfiles, "write_whole", writing)

    def fill(is_full: bool) -> None:
        nonlocal full
        full = is_full

    return fill


def fill_up(run: Session, disk: Callable[[bool], None]) -> None:
    disk(True)
    run.folder.close()  # the timeline is opened anew for the next fact


def test_a_disk_that_fills_up_ends_the_drill_and_everything_is_undone(
    world: World, disk: Callable[[bool], None]
) -> None:
    run = world.session()
    drill = Run(run.begin("release"), "release")
    run.context.release.deploy()
    fill_up(run, disk)
    pod = world.api.objects["pods", "web-3-0"]
    world.api.put("pods", {**pod, "status": {**pod["status"], "phase": "Running"}})
    watches = run._watches
    assert watches is not None
    assert watches.poll(lambda: True if watches.pods()["web-3-0"].phase == "Running" else None, timeout_s=60), "blind"
    with pytest.raises(UnwritableError, match=r"timeline\.jsonl cannot be written: No space left on device"):
        drill.judge("release")
    run.end("error", "no space")
    assert run.close() == 3
    assert world.platform.tag() == story.OLD
    assert ("leases", LEASE_NAME) not in world.api.objects
    assert not (world.path / "verdicts.json").exists()
    said = world.out.getvalue()
    assert "the run is not whole in its folder, so it proves nothing" in " ".join(said.split())
    assert "Traceback" not in said

    disk(False)
    with RunFolder.open(world.path) as folder:
        assert judge_run(folder).exit_code == 4  # it cannot know that all was undone
    assert undo_stored(world.path, LiveConsole(world.out)) == 0
    with RunFolder.open(world.path) as folder:
        report = judge_run(folder)
    assert (report.exit_code, report.undo) == (3, "clean")
    assert world.verdicts()["exit_code"] == 3


def test_no_deed_is_done_whose_undo_cannot_be_written(world: World, disk: Callable[[bool], None]) -> None:
    run = world.session()
    run.begin("release")
    disk(True)  # the timeline is open already, the journal is not
    rollout = run.context.release.deploy()
    assert rollout.failed is not None
    assert "undo.jsonl cannot be written: No space left on device; nothing was changed" in rollout.failed.data["reason"]
    assert world.platform.tag() == story.OLD
    run.end("finished")
    disk(False)
    assert run.close() == 0
    assert world.verdicts()["exit_code"] == 3


def test_half_a_line_that_the_disk_still_took_is_cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = world.session()
    run.begin("release")
    timeline = run.folder._timeline
    assert timeline is not None

    class Part:
        """The kernel takes the first bytes of a write, and says so."""

        def __getattr__(self, name: str) -> Any:
            return getattr(timeline, name)

        def write(self, data: bytes) -> int:
            return timeline.write(data[:10])

    monkeypatch.setattr(run.folder, "_timeline", Part())
    before = (run.folder.path / TIMELINE).read_bytes()
    with pytest.raises(UnwritableError, match=os.strerror(errno.ENOSPC)):
        run.folder.record("run", "phase", "act")
    assert (run.folder.path / TIMELINE).read_bytes() == before
    run.close()


@pytest.mark.parametrize("moved", [True, False])
def test_a_folder_that_is_moved_or_removed_meanwhile_is_not_made_anew(world: World, moved: bool) -> None:
    """Its timeline takes every byte all the same: half a folder came to be in the old place, with its verdict."""
    run = world.session()
    drill = Run(run.begin("release"), "release")
    drill.keep(run.context.release.deploy())
    assert judged(drill, "release") == "PASS"
    aside = world.path.with_name("aside")
    world.path.rename(aside)
    if not moved:
        shutil.rmtree(aside)
    assert run.close() in (3, 4)  # the undo is done; where the folder is gone its journal could not be told
    assert world.platform.tag() == story.OLD
    assert not world.path.exists()
    said = " ".join(world.out.getvalue().split())
    assert "the run is not whole in its folder, so it proves nothing" in said
    assert "report could not be written" in said


# -- an API server that is away ---------------------------------------------------------------------------------------


def test_the_undo_waits_for_an_api_server_that_is_away_for_a_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.session()
    drill = Run(run.begin("release"), "release")
    drill.keep(run.context.release.deploy())
    judged(drill, "release")
    world.api.refusing["/apis/"] = 503
    refused = world.api.refused
    slept = time.sleep

    def back_soon(seconds: float) -> None:
        if world.api.refused > refused + 2:
            world.api.refusing.clear()
        slept(seconds)

    monkeypatch.setattr(time, "sleep", back_soon)
    assert run.close() == 0
    assert world.verdicts()["undo"] == "clean"
    assert world.verdicts()["exit_code"] != 4
    assert ("leases", LEASE_NAME) not in world.api.objects


def test_an_api_server_that_stays_away_is_a_failed_undo(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teardown, "_PATIENCE_S", 0.2)
    run = world.session()
    run.begin("release")
    world.api.refusing["/apis/"] = 503
    run.end("error", "away")
    run.close()
    assert world.verdicts()["exit_code"] == 4
    world.api.refusing.clear()
    assert undo_stored(world.path, LiveConsole(world.out)) == 0


def test_a_failed_undo_is_told_also_where_nothing_can_be_judged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(_: RunFolder) -> None:
        raise RunFolderError("requests-release.npz is damaged")

    monkeypatch.setattr(teardown, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(session, "judge_run", damaged)
    run = world.session()
    run.begin("release")
    world.api.refusing["/apis/"] = 503
    run.end("error", "away")
    assert run.close() == 4
    world.api.refusing.clear()


def test_results_that_cannot_be_told_are_no_pass(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = world.session()
    drill = Run(run.begin("release"), "release")
    drill.keep(run.context.release.deploy())
    assert judged(drill, "release") == "PASS"

    def full(*_: object, **__: object) -> None:
        raise UnwritableError(Path("verdicts.json"), OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr(RunFolder, "write_verdicts", full)
    assert run.close() == 3
    assert "INCONCLUSIVE" in world.out.getvalue()
    assert replace(judge_run(run.folder)).result is Result.PASS  # the facts are whole: judge can say it later
