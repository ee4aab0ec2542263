"""One run from lock to undo, on the small platform: the undo always comes; lock and clocks count."""

from __future__ import annotations

import runpy
import time
from dataclasses import replace

import pytest
import story
from release.platform import OVERLAY
from run.world import SILENT, Prover, World, judged, told

from rollproof.clients.kube import Kube
from rollproof.core.journal import LEASE_KIND
from rollproof.core.reasons import StageCause
from rollproof.errors import LockedError
from rollproof.loadgen.child import LoadError
from rollproof.loadgen.selftest import SelfTest
from rollproof.preflight.lock import LEASE_NAME, RunLock
from rollproof.probes.proof import NotProven
from rollproof.run.drill import Run
from rollproof.suites import drill_table

pytestmark = pytest.mark.processes


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


def test_a_drill_that_only_looks_takes_no_lock_and_changes_nothing(world: World) -> None:
    run = world.session("posture")
    drill = Run(run.begin("posture"), "posture")
    drill.look()
    judged(drill, "posture")
    assert run.close() == 0
    assert {query.get("dryRun", "") for method, _, query in world.api.asked if method != "GET"} <= {"All"}
    assert ("leases", LEASE_NAME) not in world.api.objects
    assert (world.verdicts()["undo"], world.results()["undo"]) == ("clean", "PASS")


def test_the_undo_comes_after_an_error_in_the_drill_too(world: World) -> None:
    run = world.session()
    run.begin("release")
    run.context.release.deploy()
    run.end("error", "a bug")
    run.end("finished")  # only the first word counts
    run.close()
    assert world.platform.tag() == story.OLD
    assert (world.verdicts()["exit_code"], world.results()["harness"]) == (3, "INCONCLUSIVE")


def test_each_drill_says_which_version_should_be_running_at_its_start(world: World) -> None:
    run = world.session("release", "drift")
    first = Run(run.begin("release"), "release")
    first.keep(run.context.release.deploy())
    run.end("finished")
    run.begin("drift")
    run.close()
    started = [event for event in told(run, "started") if event.subject == "drill"]
    assert [(event.drill, event.data) for event in started] == [
        ("release", {"sha": story.OLD}), ("drift", {"sha": story.NEW}),
    ]  # fmt: skip


def test_after_a_rollback_the_version_from_before_should_be_running(world: World) -> None:
    run = world.session("rollback", "drift")
    first = Run(run.begin("rollback"), "rollback")
    deployed = first.deployed()
    assert run.context.running_sha() == story.NEW
    run.context.release.revert(deployed)
    run.end("finished")
    second = Run(run.begin("drift"), "drift")
    assert run.context.running_sha() == story.OLD
    second.settle()
    assert second.deployed() is not deployed, "a drill that needs a release makes one"
    run.close()
    assert (world.platform.tag(), world.verdicts()["undo"]) == (story.OLD, "clean")
    started = [event.data["sha"] for event in told(run, "started") if event.subject == "drill"]
    assert started == [story.OLD, story.OLD]


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
        action for word, action in runpy.run_path(str(drill_table()[name].path)).items() if word.startswith("test_")
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
    assert [event.data.keys() for event in told(run, "read") if event.source == "run"] == [
        {"monotonic_s", "wall_s"}
    ] * 2
