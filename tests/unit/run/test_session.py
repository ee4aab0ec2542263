"""One run from lock to undo, on the small platform: the undo always comes; lock, clocks and disk count."""

from __future__ import annotations

import errno
import io
import json
import os
import runpy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from fakeapi import FakeApi
from release.platform import IMAGE, OVERLAY, Platform

from rollproof.clients.argo import Argo
from rollproof.clients.kube import Kube
from rollproof.clients.repo import EnvRepo
from rollproof.core.event import Event
from rollproof.core.plan import Plan
from rollproof.core.reasons import StageCause
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.core.target import ReleaseSettings, UndoSettings
from rollproof.core.verdict import Result
from rollproof.errors import Inconclusive, LockedError, RollproofFailure
from rollproof.judge.judging import judge_run
from rollproof.loadgen.child import LoadError
from rollproof.loadgen.selftest import SelfTest
from rollproof.preflight.checks import Clients
from rollproof.preflight.lock import LEASE_NAME, RunLock
from rollproof.preflight.planning import Order
from rollproof.probes.proof import NotProven
from rollproof.reports.console import LiveConsole
from rollproof.run import session, teardown
from rollproof.run.drill import Run
from rollproof.run.session import Session
from rollproof.run.teardown import LEASE_KIND, undo_stored
from rollproof.store import folderfiles
from rollproof.store.runfolder import TIMELINE, RunFolder, UnwritableError
from rollproof.suites import drill_table
from rollproof.target.file import LoadedTarget

SILENT = NotProven(StageCause.NO_ANSWER, "Ingress: no version (read.timeout)")


class Prover:
    """Stands in for the proof, which has tests of its own."""

    why: NotProven | None = None

    def __init__(self, *_: object) -> None:
        pass

    def prove(self, *_: object) -> NotProven | None:
        return Prover.why


class World:
    """A platform, and sessions on it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, api: FakeApi, kubeconfig: Path) -> None:
        self.api, self.platform, self.out = api, Platform(folder, api), io.StringIO()
        self.path = folder / "reports" / "run-1"
        self._patch = monkeypatch
        repo = EnvRepoTarget(url=f"file://{self.platform.bare}", overlay="overlays/dev", image=IMAGE)
        settings = {"release": ReleaseSettings(deadline_s=5.0), "undo": UndoSettings(late_s=0.1)}
        self.target = story.target(env_repo=repo, **settings)
        kube = Kube("fake", str(kubeconfig))

        def clients(_: object) -> Clients:
            return Clients(kube, Argo(kube, "argocd", "shop"), None, EnvRepo(repo, {}))  # type: ignore[arg-type]

        monkeypatch.setattr(session.Clients, "of", clients)
        monkeypatch.setattr(session, "load", lambda _: LoadedTarget.stored(self.target))
        monkeypatch.setattr(session, "gather", lambda _: {})
        monkeypatch.setattr(teardown, "Prover", Prover)
        monkeypatch.setattr(teardown, "_PATIENCE_S", 5.0)
        monkeypatch.setattr(Prover, "why", None)

    def session(self, *drills: str, keep: str = "never") -> Session:
        plan: Plan = story.plan(target=self.target, drills=drills or ("release",), keep=keep, run_id="run-1")
        self._patch.setattr(session, "look", lambda *_, **__: plan)
        opened = Session(Order(drills=plan.drills), Path("t.toml"), self.path, self.out)
        opened.open()
        return opened

    def verdicts(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.path / "verdicts.json").read_text())
        return document

    def results(self) -> dict[str, str]:
        return {one["checker"]: one["result"] for one in self.verdicts()["verdicts"]}

    def lease(self) -> Mapping[str, Any]:
        return self.api.objects["leases", LEASE_NAME]

    def steal(self) -> None:
        lease = self.lease()
        self.api.put("leases", {**lease, "spec": {**lease["spec"], "holderIdentity": "run-2 on x (pid 1)"}})


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    api = FakeApi()
    with api.serve(tmp_path) as kubeconfig:
        yield World(tmp_path, monkeypatch, api, kubeconfig)


def told(run: Session, what: str) -> list[Event]:
    return [event for event in run.folder.events() if event.what == what]


def judged(run: Run, *names: str) -> str:
    """What the drill's end says."""
    try:
        run.judge(*names)
    except (RollproofFailure, Inconclusive) as verdict:
        return f"{type(verdict).__name__}: {verdict}"
    return "PASS"


def test_a_release_is_judged_and_undone_and_the_lock_is_given_back_last(world: World) -> None:
    run = world.session()
    drill = Run(run.begin("release"), "release")
    drill.settle()
    drill.keep(run.context.release.deploy())
    assert world.platform.tag() == story.NEW
    assert judged(drill, "release", "watches") == "PASS"
    assert run.close() == 0
    assert (world.platform.tag(), world.verdicts()["exit_code"], world.verdicts()["undo"]) == (story.OLD, 0, "clean")
    ends = [event.subject for event in run.folder.events() if event.source == "undo" and event.what == "done"]
    assert [subject.split("/")[1] for subject in ends] == ["2-env-repo-tag", "check", f"1-{LEASE_KIND}"]
    assert ("leases", LEASE_NAME) not in world.api.objects
    assert run.close() == 0  # again: nothing


def test_the_undo_comes_after_an_error_in_the_drill_too(world: World) -> None:
    run = world.session()
    run.begin("release")
    run.context.release.deploy()
    run.end("error", "a bug")
    run.end("finished")  # only the first word counts
    run.close()
    assert world.platform.tag() == story.OLD
    assert (world.verdicts()["exit_code"], world.results()["harness"]) == (3, "INCONCLUSIVE")


@pytest.mark.parametrize(("why", "kept"), [(None, True), (SILENT, False)], ids=["proven", "silent"])
def test_a_release_is_kept_only_if_it_passed(world: World, why: NotProven | None, kept: bool) -> None:
    Prover.why = why
    run = world.session(keep="on-pass")
    drill = Run(run.begin("release"), "release")
    drill.keep(run.context.release.deploy())
    judged(drill, "release")
    run.close()
    assert world.platform.tag() == (story.NEW if kept else story.OLD)
    assert world.verdicts()["undo"] == ("kept" if kept else "clean")


def test_whatever_came_it_is_kept_if_that_was_asked_for(world: World) -> None:
    Prover.why = SILENT
    run = world.session(keep="always")
    run.begin("release")
    run.context.release.deploy()
    run.end("error", "a bug")
    run.close()
    assert world.platform.tag() == story.NEW


@pytest.mark.parametrize("name", ["zero-downtime", "rollback"])
def test_a_generator_that_lies_ends_a_drill_before_anything_is_touched(
    world: World, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, name: str
) -> None:
    request.config.addinivalue_line("markers", "drill(name): as the plugin does, which these tests do without")
    monkeypatch.setattr("rollproof.loadgen.session.self_test", lambda _: SelfTest({"read.eof": (2, 0)}, "read.eof: 0"))
    head = world.platform.head()
    run = world.session(name)
    held = Run(run.begin(name), name)
    drill = next(
        deed for word, deed in runpy.run_path(str(drill_table()[name].path)).items() if word.startswith("test_")
    )
    with pytest.raises(LoadError, match=r"failed its self-test.*read\.eof: 0"):
        drill(run=held, release=held.release(), traffic=held.traffic())
    run.end("error", "it lied")
    run.close()
    assert world.platform.head() == head
    assert (world.verdicts()["exit_code"], world.results()["harness"]) == (3, "INCONCLUSIVE")


@pytest.mark.parametrize("landed", [True, False])
def test_a_commit_that_we_observe_may_have_landed_before_the_drill(world: World, landed: bool) -> None:
    world.target = replace(world.target, release=replace(world.target.release, mode="observe"))
    commit = OVERLAY.replace(story.OLD, story.NEW)
    if landed:
        world.platform.commit(commit)
    run = world.session()
    drill = Run(run.begin("release"), "release")
    drill.settle()  # it would never end: the old version comes to rest no more
    if not landed:
        world.platform.commit(commit)
    drill.keep(run.context.release.deploy())
    assert judged(drill, "release", "rollout") == "PASS"
    run.close()
    assert world.platform.tag() == story.NEW


# -- the lock ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stolen", "deleted"])
def test_a_run_that_lost_its_lock_claims_nothing_and_is_undone(world: World, how: str) -> None:
    run = world.session()
    drill = Run(run.begin("release"), "release")
    run.context.release.deploy()
    world.steal() if how == "stolen" else world.api.remove("leases", LEASE_NAME)
    assert "the lock on this target was lost" in judged(drill, "release")
    run.close()
    assert (world.verdicts()["exit_code"], world.platform.tag()) == (3, story.OLD)
    (lost,) = told(run, "lost")
    assert (lost.source, lost.subject, lost.outcome) == ("run", "lock", "unknown")
    assert lost.start_s < lost.end_s
    assert (("leases", LEASE_NAME) in world.api.objects) is (how == "stolen")


def test_a_failure_is_not_blamed_on_the_target_when_another_run_may_have_done_it(world: World) -> None:
    Prover.why = NotProven(StageCause.WRONG_VERSION, "Ingress: version aaaaaaa instead of bbbbbbb")
    run = world.session()
    drill = Run(run.begin("release"), "release")
    run.context.release.deploy()
    world.steal()
    assert judged(drill, "release").startswith("Inconclusive")
    run.close()
    assert set(world.results().values()) <= {"INCONCLUSIVE", "PASS"}
    assert world.verdicts()["exit_code"] == 3


def test_a_lock_that_is_lost_after_the_last_drill_takes_nothing_from_it(world: World) -> None:
    run = world.session()
    drill = Run(run.begin("release"), "release")
    drill.keep(run.context.release.deploy())
    assert judged(drill, "release") == "PASS"
    world.steal()
    run.close()
    assert world.results()["release"] == "PASS"
    assert len(told(run, "lost")) == 1


def test_no_drill_begins_without_the_lock_and_those_before_it_stand(world: World) -> None:
    run = world.session("release", "drift")
    drill = Run(run.begin("release"), "release")
    drill.keep(run.context.release.deploy())
    assert judged(drill, "release") == "PASS"
    RunLock.check(run._lock)  # type: ignore[arg-type] # as the renewal does
    later = Run(run.begin("drift"), "drift")
    world.steal()
    with pytest.raises(LockedError):
        later.settle()
    run.end("error", "the lock")
    run.close()
    verdicts = [(one["drill"], one["checker"], one["result"]) for one in world.verdicts()["verdicts"]]
    assert ("release", "release", "PASS") in verdicts
    assert ("drift", "harness", "INCONCLUSIVE") in verdicts
    assert ("release", "harness", "INCONCLUSIVE") not in verdicts


def test_a_lock_that_cannot_be_asked_for_counts_as_ours_while_the_lease_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = RunLock(Kube("fake", str(world.path.parents[1] / "kubeconfig")), "shop", "run-1", lease_s=60)
    lock.acquire()
    world.api.refusing["leases"] = 503
    lock.check()
    with monkeypatch.context() as patch:
        later_s = lock.held_until_s + 61
        patch.setattr(time, "monotonic", lambda: later_s)
        with pytest.raises(LockedError, match="could not be renewed for 61 s"):
            lock.check()
    world.api.refusing.clear()
    lock.release()


# -- the clocks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step_s", "result"), [(0.0, "PASS"), (0.9, "PASS"), (5.0, "INCONCLUSIVE"), (-5.0, "INCONCLUSIVE")]
)
def test_a_step_of_the_wall_clock_during_a_drill_without_load(
    world: World, monkeypatch: pytest.MonkeyPatch, step_s: float, result: str
) -> None:
    run = world.session()
    drill = Run(run.begin("release"), "release")
    drill.keep(run.context.release.deploy())
    wall = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: wall() + step_s)
        judged(drill, "release", "watches")
    run.close()
    assert world.results()["watches"] == result
    assert [event.data.keys() for event in told(run, "read")] == [{"monotonic_s", "wall_s"}] * 2


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
    assert watches.poll(lambda: True if watches.pods()["web-3-0"].phase == "Running" else None, timeout_s=10), "blind"
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
