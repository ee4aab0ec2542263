"""A release as told by watches: what ends a stage, what ends the whole road early, and what is only unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from owntime import own_time
from story import NEW, OLD, plan, target

from rollproof.clients.repo import GitError, PushRefusedError, PushUnansweredError
from rollproof.core.event import Outcome
from rollproof.core.reasons import StageCause
from rollproof.core.target import ArgoCd, ReleaseSettings
from rollproof.errors import CannotJudgeError
from rollproof.probes.keeping import WITHIN_ABORTED_S, WITHIN_S
from rollproof.probes.proof import NotProven
from rollproof.release import TAG_KIND, deploy, restore_tag, wait
from rollproof.release.wait import StageFailedError

from .scripted import (
    BACK,
    CLOCK,
    GOOD,
    NEW_PODS,
    OLD_REVISION,
    OTHERS,
    OURS,
    SHORT,
    WRONG,
    Ending,
    Prover,
    Repo,
    View,
    World,
    at,
    deployment,
    pod,
)


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    own_time(monkeypatch, deploy, wait, sleep=pauses.append, monotonic=CLOCK.monotonic)
    return pauses


def test_a_release_goes_leg_by_stage() -> None:
    world = World(View(*GOOD))
    rollout = world.release.deploy()
    assert rollout.proven
    assert world.said() == [
        "started", "committed", "pushed", "refresh-asked", "seen", "synced", "rolled-out", "old-gone", "proven",
    ]  # fmt: skip
    started = world.recorder.events[0].data
    assert {one["uid"] for one in started["old_pods"]} == {"uid-old-1", "uid-old-2"}
    assert rollout.stages["old-gone"].data["uids"] == ("uid-old-1", "uid-old-2")
    assert world.argo.asked >= 1


def test_the_undo_is_on_disk_before_the_push() -> None:
    world = World(View(), repo=Repo(PushRefusedError("no right")))
    rollout = world.release.deploy()
    assert world.repo.pushed == []
    written = [line for line in world.store.lines if "kind" in line]
    assert [(line["kind"], line["args"]["from"], line["args"]["to"]) for line in written] == [(TAG_KIND, OLD, NEW)]
    assert rollout.failed is not None
    assert rollout.failed.outcome is Outcome.UNKNOWN


def test_a_git_server_that_is_away_for_a_moment_ends_nothing(slept: list[float]) -> None:
    world = World(View(*GOOD), repo=Repo(GitError("away"), GitError("away")), run=plan())
    assert world.release.deploy().proven
    assert slept == [2.0, 2.0]


def test_a_git_server_that_stays_away_is_unknown_and_no_failure() -> None:
    rollout = World(View(), repo=Repo(GitError("away"))).release.deploy()
    assert rollout.failed is not None
    assert (rollout.failed.outcome, rollout.failed.data["cause"]) == (Outcome.UNKNOWN, "PushFailed")


@pytest.mark.parametrize(
    ("errors", "settled"),
    [
        ([GitError("no route")], True),
        ([GitError("no route"), PushRefusedError("a hook")], True),
        ([PushUnansweredError("silence")], False),
        ([PushUnansweredError("silence"), GitError("no route")], False),
        ([PushUnansweredError("silence"), PushRefusedError("a hook")], False),
    ],
)
def test_b1_a_push_without_an_answer_leaves_its_undo_open_and_one_that_was_never_sent_does_not(
    slept: list[float], errors: list[Exception], settled: bool
) -> None:
    short = plan(target=target(release=ReleaseSettings(deadline_s=2.5 if len(errors) > 1 else 0.001)))
    world = World(View(), repo=Repo(*errors, *[errors[-1]] * 5), run=short)
    assert world.release.deploy().failed is not None
    assert slept is not None
    assert (world.store.lines[-1].get("state") == "not-needed") is settled


def test_synced_and_healthy_on_the_old_revision_is_never_taken_for_ours() -> None:
    rollout = World(View()).release.deploy()
    assert rollout.failed is not None
    assert (rollout.failed.data["stage"], rollout.failed.outcome) == ("seen", Outcome.UNKNOWN)


def test_a_later_commit_that_contains_ours_is_superseded() -> None:
    world = World(View({"application": at(OTHERS)}, *GOOD[2:]))
    rollout = world.release.deploy()
    assert rollout.proven
    assert rollout.stages["seen"].data["superseded"]
    assert rollout.stages["synced"].data["operation_revision"] == OTHERS


def test_a_comparison_with_ours_is_no_sync_of_ours() -> None:
    compared = at(OURS, operation_revision=OLD_REVISION)  # as for a commit that changes nothing of this app
    rollout = World(View({"application": compared}, *GOOD[2:])).release.deploy()
    assert rollout.failed is not None
    assert rollout.failed.data["stage"] == "synced"


def test_a_commit_that_changes_nothing_that_runs_is_said_so_and_not_waited_for() -> None:
    """Argo CD compared with ours, has nothing to sync, and the Deployment still has the old image."""
    rollout = World(View({"application": at(OURS, operation_revision=OLD_REVISION)})).release.deploy()
    assert rollout.failed is not None
    said = rollout.failed.data
    assert (said["stage"], said["cause"], rollout.failed.outcome) == ("synced", "NothingChanged", Outcome.UNKNOWN)
    assert f"ghcr.io/shop/web:{OLD}" in said["reason"]


RETRIED = "one or more objects failed to apply. Retrying attempt #1 at 5:00PM."


@pytest.mark.parametrize(
    ("revision", "finished_at", "message", "outcome"),
    [
        (OURS, "2026-01-01T00:00:00Z", RETRIED, Outcome.FAIL),
        (OURS, "", "Retrying operation. Attempt #2", Outcome.FAIL),
        (OURS, "", "waiting for completion of hook batch/Job/migrate", Outcome.UNKNOWN),
        (OLD_REVISION, "2026-01-01T00:00:00Z", RETRIED, Outcome.UNKNOWN),
    ],
)
def test_a_sync_that_is_tried_again_until_the_deadline_has_failed(
    revision: str, finished_at: str, message: str, outcome: Outcome
) -> None:
    scene = at(
        OURS, operation_revision=revision, sync_status="OutOfSync", phase="Running", finished_at=finished_at,
        message=message,
    )  # fmt: skip
    failed = World(View({"application": scene})).release.deploy().failed
    assert failed is not None
    assert (failed.data["stage"], failed.outcome) == ("synced", outcome)
    if outcome is Outcome.FAIL:
        assert failed.data["cause"] == "SyncFailed"
        assert message in failed.data["reason"]


def test_a_pod_of_the_old_template_that_came_later_counts_as_old() -> None:
    replaced = {"pods": {"old-3": pod("old-3", OLD), **NEW_PODS}}  # the old ReplicaSet replaced one of its own
    rollout = World(View(*GOOD[:-1], replaced)).release.deploy()
    assert rollout.failed is not None
    assert rollout.failed.data["stage"] == "old-gone"


def test_ready_pods_are_no_rollout_until_the_deployment_counts_them() -> None:
    behind = {"deployment": deployment(NEW, updated=1), "pods": NEW_PODS}
    rollout = World(View(*GOOD[:2], behind)).release.deploy()
    assert rollout.failed is not None
    assert rollout.failed.data["stage"] == "rolled-out"


def test_a_failed_sync_ends_the_road_at_once() -> None:
    broken = at(OURS, phase="Failed", sync_status="OutOfSync", message="one or more objects failed to apply")
    rollout = World(View({"application": broken})).release.deploy()
    assert rollout.failed is not None
    assert rollout.failed.outcome is Outcome.FAIL
    assert rollout.failed.data["cause"] == "SyncFailed"


@pytest.mark.parametrize(
    ("condition", "ended"),
    [
        ("ComparisonError: Failed to load target state: kustomize build failed: no such file", True),
        ("ComparisonError: failed to generate manifest: dial tcp: connection refused", False),
    ],
)
def test_a_broken_commit_ends_the_road_but_an_absent_server_does_not(condition: str, ended: bool) -> None:
    away = at(OLD_REVISION, conditions=(condition,))
    rollout = World(View({"application": away}, *GOOD)).release.deploy()
    assert rollout.proven is not ended
    if ended:
        assert rollout.failed is not None
        assert rollout.failed.data["cause"] == "ComparisonError"


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CrashLoopBackOff"])
def test_a_new_pod_that_cannot_start_ends_the_road_and_an_old_one_does_not(reason: str) -> None:
    hopeless = pod("new-1", NEW, ready=False, reason=reason)
    scene = {"pods": {"old-1": pod("old-1", OLD), "new-1": hopeless}}
    rollout = World(View(*GOOD[:3], scene)).release.deploy()
    assert rollout.failed is not None
    assert (rollout.failed.outcome, rollout.failed.data["cause"]) == (Outcome.FAIL, reason)
    old = {"pods": {"old-1": pod("old-1", OLD, ready=False, reason=reason)}}
    assert World(View(*GOOD[:3], old, *GOOD[3:])).release.deploy().proven


def test_what_the_pods_say_is_kept_when_a_rollout_has_failed_and_not_else() -> None:
    failing = World(View(*GOOD[:2], {"deployment": deployment(NEW, updated=1)}))
    failing.release.deploy()
    assert failing.kept == [("failed", WITHIN_S)]
    sound = World(View(*GOOD))
    assert sound.release.deploy().proven
    assert sound.kept == []


def test_of_a_release_that_was_ended_at_once_the_pods_are_asked_for_a_moment_only() -> None:
    """Users are without an answer until it is taken back."""
    ended = World(View(*GOOD), prover=Ending())
    assert not ended.release.deploy().proven
    assert ended.kept == [("failed", WITHIN_ABORTED_S)]


def test_an_old_pod_that_never_goes_is_a_failure() -> None:
    rollout = World(View(*GOOD[:-1])).release.deploy()
    assert rollout.failed is not None
    assert (rollout.failed.data["stage"], rollout.failed.outcome) == ("old-gone", Outcome.FAIL)


def test_an_old_pod_that_nobody_owns_will_never_go() -> None:
    orphan = replace(pod("old-1", OLD), replicaset="")
    rollout = World(View(*GOOD[:-1], {"pods": {"old-1": orphan, **NEW_PODS}})).release.deploy()
    assert rollout.failed is not None
    assert (rollout.failed.data["cause"], rollout.failed.outcome) == ("Orphaned", Outcome.FAIL)
    assert "no owner" in rollout.failed.data["reason"]


@pytest.mark.parametrize(
    ("why", "outcome"),
    [
        (WRONG, Outcome.FAIL),
        (NotProven(StageCause.NO_ANSWER, "Ingress: no version (read.timeout)"), Outcome.UNKNOWN),
        # A12: words of a page are words of a page
        (
            NotProven(StageCause.NO_ANSWER, "Ingress: no version (not JSON: a page instead of the shop)"),
            Outcome.UNKNOWN,
        ),
    ],
    ids=["wrong", "silent", "a12-page"],
)
def test_without_the_proof_it_did_not_arrive(why: NotProven, outcome: Outcome) -> None:
    rollout = World(View(*GOOD), prover=Prover(why)).release.deploy()
    assert not rollout.proven
    assert rollout.failed is not None
    assert rollout.failed.outcome is outcome


def test_the_same_sha_again_restarts_the_deployment_and_touches_no_repository() -> None:
    again = replace(plan(), new_sha=OLD, restart=True)
    fresh = {name: replace(one, template_hash="hash-again") for name, one in (
        ("new-1", pod("new-1", OLD)), ("new-2", pod("new-2", OLD)))}  # fmt: skip
    world = World(View({"pods": fresh}), run=again)
    assert world.release.deploy().proven
    assert world.said() == ["started", "restarted", "rolled-out", "old-gone", "proven"]
    assert world.repo.pushed == []
    assert [kind for kind, _, _ in world.kube.patches] == ["Deployment"]


def test_a_pod_that_only_looks_new_does_not_count() -> None:
    """The same template as before is no rollout, whatever its image says."""
    again = replace(SHORT, new_sha=OLD, restart=True)
    assert not World(View(), run=again).release.deploy().proven


def test_observing_waits_for_somebody_elses_commit() -> None:
    observing = plan(target=target(release=ReleaseSettings(mode="observe")))
    world = World(View(*GOOD), run=observing)
    world.repo.current = NEW
    assert world.release.deploy().proven
    assert world.repo.pushed == []
    assert world.store.lines == []


def test_a_read_only_profile_asks_for_no_refresh() -> None:
    world = World(View(*GOOD), run=plan(target=target(argocd=ArgoCd(application="shop", profile="read-only"))))
    assert world.release.deploy().proven
    assert world.argo.asked == 0


def test_a_revert_names_both_shas_and_needs_no_undo_of_its_own() -> None:
    world = World(View(*GOOD, *BACK))
    deployed = world.release.deploy()
    entries = len(world.store.lines)
    rollback = world.release.revert(deployed)
    assert rollback.proven
    assert (rollback.from_sha, rollback.to_sha) == (NEW, OLD)
    started = next(event for event in world.recorder.events if event.source == "rollback")
    assert (started.data["old_sha"], started.data["new_sha"], started.data["reverts"]) == (OLD, NEW, OURS)
    assert len(world.store.lines) == entries


def test_the_revert_of_a_bad_release_replaces_its_pods_only() -> None:
    kept = {"old-1": pod("old-1", OLD), "old-2": pod("old-2", OLD)}
    crashed = {"pods": {**kept, "bad-1": pod("bad-1", NEW, ready=False, reason="CrashLoopBackOff")}}
    back = ({"application": at(OTHERS)}, {"deployment": deployment(OLD), "pods": kept})
    world = World(View(*GOOD[:2], {"deployment": deployment(NEW, updated=1), **crashed}, *back))
    world.release._plan = replace(world.release._plan, bad="crash_loop")
    deployed = world.release.deploy()
    assert deployed.failed is not None
    assert deployed.failed.data["cause"] == "CrashLoopBackOff"
    rollback = world.release.revert(deployed)
    assert rollback.proven, rollback.failed
    first, second = (event.data for event in world.recorder.events if event.what == "started")
    assert (first["bad"], second["bad"]) == ("crash_loop", "")
    assert [one["name"] for one in second["old_pods"]] == ["bad-1"]
    assert rollback.stages["old-gone"].data["uids"] == ("uid-bad-1",)


def test_what_is_done_after_the_push_takes_nothing_of_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(View(*GOOD))
    said: list[list[str]] = []
    extended: list[float] = []
    monkeypatch.setattr(deploy.Waits, "extend", lambda _, more_s: extended.append(more_s))
    assert world.release.deploy(after_push=lambda: said.append(world.said())).proven
    assert said == [["started", "committed", "pushed"]]
    assert len(extended) == 1


def test_nothing_is_done_after_a_push_that_was_refused() -> None:
    world = World(View(), repo=Repo(PushRefusedError("no right")))
    world.release.deploy(after_push=lambda: pytest.fail("it was not pushed"))


def test_nothing_is_reverted_that_was_not_pushed() -> None:
    world = World(View(), repo=Repo(PushRefusedError("no right")))
    deployed = world.release.deploy()
    with pytest.raises(CannotJudgeError, match="was not pushed"):
        world.release.revert(deployed)


@pytest.mark.parametrize(
    ("found", "how", "pushes"), [(NEW, "done", 1), (OLD, "not-needed", 0), ("somebody", "left", 0)]
)
def test_the_undo_of_a_tag_compares_first(found: str, how: str, pushes: int) -> None:
    repo = Repo()
    repo.current = found
    undone = restore_tag(repo, "run", {"from": OLD, "to": NEW, "commit": OURS})  # type: ignore[arg-type]
    assert undone.how == how
    assert len(repo.pushed) == pushes


@pytest.mark.parametrize(
    ("sha", "reason", "cause"),
    [(OLD, "ImagePullBackOff", "ImagePullBackOff"), (OLD, "CrashLoopBackOff", "DeadlineExceeded"),
     (NEW, "ImagePullBackOff", "DeadlineExceeded")],
)  # fmt: skip
def test_an_undo_does_not_wait_for_an_image_that_cannot_be_had(sha: str, reason: str, cause: str) -> None:
    """But a pod that crashes may recover, and one of the version that is taken back goes."""
    world = World(
        View({"application": at(OURS, health="Degraded"), "pods": {"x": pod("x", sha, ready=False, reason=reason)}})
    )
    with pytest.raises(StageFailedError) as caught:
        world.release.settle(OLD, deadline_s=0.01)
    assert caught.value.cause == cause
