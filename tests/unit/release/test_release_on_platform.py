"""A release on a small platform: every stage, every way in which it ends early, the way back, and the undo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import story
from fakeapi import FakeApi
from recorder import ListRecorder

from rollproof.clients.argo import Argo
from rollproof.clients.kube import Kube
from rollproof.clients.repo import Commit, EnvRepo
from rollproof.core.event import Event, Outcome
from rollproof.core.plan import Plan
from rollproof.core.reasons import StageCause
from rollproof.core.target import ArgoCd, ReleaseSettings, RollbackSettings
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.probes.proof import NotProven
from rollproof.probes.watches import Watches
from rollproof.release import TAG_KIND, Release, restore_tag
from rollproof.store.journal import FolderStore, Journal

from .platform import IMAGE, OVERLAY, Platform, git

pytestmark = pytest.mark.processes

STAGES = ("committed", "pushed", "refresh-asked", "seen", "synced", "rolled-out", "old-gone", "proven")


class Prover:
    """Stands in for the proof, which has tests of its own."""

    missed_s: float | None = None

    def __init__(self) -> None:
        self.why: NotProven | None = None
        self.asked: list[tuple[list[str], str]] = []
        self.asked_unready: list[tuple[str, str]] = []

    def ask_unready(self, pod: str, expected: str) -> None:
        self.asked_unready.append((pod, expected))

    def prove(self, pods: list[str], expected: str) -> NotProven | None:
        self.asked.append((sorted(pods), expected))
        return self.why


@dataclass
class Lab:
    platform: Platform
    release: Release
    recorder: ListRecorder
    prover: Prover
    journal: Journal
    repo: EnvRepo
    api: FakeApi

    def stages(self, source: str = "release") -> list[str]:
        return [event.what for event in self.recorder.events if event.source == source and event.what != "started"]

    def event(self, what: str, source: str = "release") -> Event:
        return next(event for event in self.recorder.events if (event.source, event.what) == (source, what))


# For what never comes: all else has the time that a busy machine needs.
never_comes = pytest.mark.parametrize(
    "changes", [{"target": {"release": ReleaseSettings(deadline_s=2.5)}}], ids=["soon"]
)


@pytest.fixture
def changes() -> dict[str, Any]:
    return {}


@pytest.fixture
def lab(tmp_path: Path, changes: dict[str, Any]) -> Iterator[Lab]:
    api, recorder, prover = FakeApi(), ListRecorder(), Prover()
    platform = Platform(tmp_path, api)
    settings = {"release": ReleaseSettings(deadline_s=60.0), "rollback": RollbackSettings(deadline_s=60.0)}
    env_repo = EnvRepoTarget(url=f"file://{platform.bare}", overlay="overlays/dev", image=IMAGE)
    target = story.target(env_repo=env_repo, **{**settings, **changes.get("target", {})})
    plan: Plan = story.plan(target=target, **{name: one for name, one in changes.items() if name != "target"})
    with api.serve(tmp_path) as kubeconfig, EnvRepo(env_repo, {}) as repo:
        kube = Kube("fake", str(kubeconfig))
        argo = Argo(kube, "argocd", "shop")
        journal = Journal(FolderStore(tmp_path / "undo.jsonl"), recorder)
        with Watches(target, kube, argo, recorder) as watches:
            release = Release(
                plan, kube=kube, argo=argo, repo=repo, view=watches, prover=prover,  # type: ignore[arg-type]
                recorder=recorder, journal=journal,
            )  # fmt: skip
            yield Lab(platform, release, recorder, prover, journal, repo, api)


def test_every_leg_is_a_fact_in_its_order(lab: Lab) -> None:
    before = lab.platform.head()
    rollout = lab.release.deploy()
    assert rollout.proven, rollout.failed
    assert lab.stages() == list(STAGES)
    head = lab.platform.head()
    assert lab.event("started").data["old_sha"] == "aaaaaaa"
    assert lab.event("committed").data["parent"] == before
    assert lab.event("pushed").data["commit"] == head
    assert lab.event("seen").data == {"revision": head, "superseded": False}
    assert lab.event("synced").data["operation_revision"] == head
    old = {pod["uid"] for pod in lab.event("started").data["old_pods"]}
    assert len(old) == 2
    assert set(lab.event("old-gone").data["uids"]) == old
    assert lab.prover.asked == [(["web-3-0", "web-3-1"], "bbbbbbb")]
    ends = [lab.event(stage).end_s for stage in STAGES if stage != "refresh-asked"]
    assert ends == sorted(ends)


def test_the_tag_before_is_in_the_journal_before_the_push(lab: Lab) -> None:
    lab.release.deploy()
    what = [event.what for event in lab.recorder.events if event.source in ("release", "undo")]
    assert what.index("committed") < what.index("written") < what.index("pushed")
    assert lab.journal.open_entries(TAG_KIND)[0].args["from"] == "aaaaaaa"


def test_a_lost_refresh_is_asked_for_again(lab: Lab) -> None:
    lab.platform.lost_refreshes = 1
    assert lab.release.deploy().proven
    assert lab.event("refresh-asked").data["count"] == 2


@pytest.mark.parametrize("changes", [{"target": {"release": ReleaseSettings(deadline_s=20.0)}}])
def test_an_api_server_that_is_away_when_argo_cd_is_asked_is_waited_for(lab: Lab) -> None:
    lab.api.hang_ups["applications/shop"] = 2
    assert lab.release.deploy().proven
    assert lab.api.hang_ups["applications/shop"] == 0


@pytest.mark.parametrize("changes", [{"target": {"release": ReleaseSettings(deadline_s=1.5)}}])
def test_an_api_server_that_stays_away_is_no_failed_release(lab: Lab) -> None:
    lab.api.hang_ups["applications/shop"] = 1000
    failed = lab.release.deploy().failed
    assert failed is not None
    assert (failed.data["cause"], failed.outcome) == ("LostAnswerError", Outcome.UNKNOWN)  # a refresh was sent


@never_comes
def test_what_cannot_be_seen_because_a_watch_is_away_is_no_failed_release(lab: Lab) -> None:
    lab.api.refusing["pods?watch"] = 503
    lab.api.end_watches("pods")
    failed = lab.release.deploy().failed
    assert failed is not None
    assert (failed.data["cause"], failed.outcome) == ("DeadlineExceeded", Outcome.UNKNOWN)
    assert "a watch is away (Pod: the server ended the watch)" in failed.data["reason"]


@pytest.mark.parametrize(
    "changes",
    [
        {
            "target": {
                "argocd": ArgoCd(application="shop", profile="read-only"), "release": ReleaseSettings(deadline_s=2.5),
            }
        }
    ],
)  # fmt: skip
def test_the_read_only_profile_never_patches(lab: Lab) -> None:
    rollout = lab.release.deploy()  # nobody polls here, so that it is not seen
    assert rollout.failed is not None
    assert (rollout.failed.data["stage"], rollout.failed.outcome) == ("seen", Outcome.UNKNOWN)
    assert [method for method, _, _ in lab.api.asked if method not in ("GET",)] == []


def test_a_commit_of_others_that_does_not_touch_the_app_holds_nothing_up(lab: Lab) -> None:
    lab.platform.commit_after_seen = "README.md"
    rollout = lab.release.deploy()
    assert rollout.proven, rollout.failed
    assert lab.platform.head() != rollout.revision


def test_a_later_commit_that_contains_ours_is_reported_as_superseding(lab: Lab) -> None:
    push = lab.repo.push

    def pushed_then_another(make: Any, made: Any) -> Any:
        done = push(make, made)
        lab.platform.commit("hello\n", "README.md")
        return done

    lab.repo.push = pushed_then_another  # type: ignore[method-assign]
    rollout = lab.release.deploy()
    assert rollout.proven, rollout.failed
    assert lab.event("seen").data == {"revision": lab.platform.head(), "superseded": True}


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CrashLoopBackOff"])
def test_a_hopeless_pod_ends_the_wait_with_its_reason(lab: Lab, reason: str) -> None:
    lab.platform.pod_reason = reason
    failed = lab.release.deploy().failed
    assert failed is not None
    assert (failed.data["stage"], failed.data["cause"], failed.outcome) == ("rolled-out", reason, Outcome.FAIL)
    assert "describe pod web-3-" in failed.data["look_at"]
    assert lab.prover.asked_unready == [], "a pod that does not run cannot say anything"


def test_progress_deadline_exceeded_ends_the_wait(lab: Lab) -> None:
    lab.platform.deadline_exceeded = True
    failed = lab.release.deploy().failed
    assert failed is not None
    assert failed.data["cause"] == "ProgressDeadlineExceeded"
    assert lab.prover.asked_unready == [("web-3-0", failed.subject.removeprefix("Release/"))]


def test_a_failed_sync_ends_the_wait_with_argo_cds_message(lab: Lab) -> None:
    lab.platform.failing_sync = "one or more objects failed to apply"
    failed = lab.release.deploy().failed
    assert failed is not None
    assert (failed.data["cause"], failed.data["reason"]) == ("SyncFailed", "one or more objects failed to apply")


def test_a_commit_that_kustomize_cannot_build_ends_the_wait(lab: Lab) -> None:
    lab.platform.condition = {"type": "ComparisonError", "message": "Manifest generation error: kustomize build failed"}
    failed = lab.release.deploy().failed
    assert failed is not None
    assert (failed.data["stage"], failed.data["cause"]) == ("seen", "ComparisonError")


@never_comes
def test_a_git_server_that_is_away_is_waited_for_and_then_unknown(lab: Lab) -> None:
    lab.platform.condition = {"type": "ComparisonError", "message": "failed to fetch: dial tcp: connection refused"}
    failed = lab.release.deploy().failed
    assert failed is not None
    assert (failed.data["cause"], failed.outcome) == ("DeadlineExceeded", Outcome.UNKNOWN)
    assert "connection refused" in failed.data["reason"]


@never_comes
def test_an_old_pod_that_stays_is_no_finished_rollout(lab: Lab) -> None:
    lab.platform.keeps_old_pods = True
    failed = lab.release.deploy().failed
    assert failed is not None
    assert (failed.data["stage"], failed.data["cause"]) == ("old-gone", "DeadlineExceeded")
    assert set(failed.data["last_seen"]["pods"]) == {"web-2-0", "web-2-1", "web-3-0", "web-3-1"}


@never_comes
def test_synced_and_degraded_is_not_proven(lab: Lab) -> None:
    lab.platform.health = "Degraded"
    failed = lab.release.deploy().failed
    assert failed is not None
    assert (failed.data["stage"], failed.outcome) == ("proven", Outcome.FAIL)
    assert lab.prover.asked == []


@pytest.mark.parametrize(
    ("why", "cause", "outcome"),
    [
        ("Ingress: version aaaaaaa instead of bbbbbbb", "WrongVersion", Outcome.FAIL),
        ("Ingress: no version (read.timeout)", "NoAnswer", Outcome.UNKNOWN),
        ("Ingress: no version (not JSON: a page instead of the shop)", "NoAnswer", Outcome.UNKNOWN),  # A12
    ],
)
def test_a_version_that_is_not_proven(lab: Lab, why: str, cause: str, outcome: Outcome) -> None:
    lab.prover.why = NotProven(StageCause(cause), why)
    failed = lab.release.deploy().failed
    assert failed is not None
    assert (failed.data["stage"], failed.data["cause"], failed.outcome) == ("proven", cause, outcome)


@pytest.mark.parametrize("changes", [{"new_sha": "aaaaaaa", "restart": True}])
def test_the_same_sha_again_restarts_the_rollout_and_commits_nothing(lab: Lab) -> None:
    before = lab.platform.head()
    rollout = lab.release.deploy()
    assert rollout.proven, rollout.failed
    assert lab.stages() == ["restarted", "rolled-out", "old-gone", "proven"]
    assert lab.platform.head() == before
    patched = lab.api.log
    assert any(
        "kubectl.kubernetes.io/restartedAt" in str(item) for _, plural, _, item in patched if plural == "deployments"
    )


@pytest.mark.parametrize("changes", [{"target": {"release": ReleaseSettings(deadline_s=8.0, mode="observe")}}])
def test_observe_waits_for_somebody_elses_commit(lab: Lab) -> None:
    theirs: list[str] = []
    tag = lab.repo.tag

    def tag_then_commit(revision: str = "") -> str:
        found = tag(revision)
        if not theirs:
            theirs.append(lab.platform.commit(OVERLAY.replace("aaaaaaa", "bbbbbbb")))
        return found

    lab.repo.tag = tag_then_commit  # type: ignore[method-assign]
    rollout = lab.release.deploy()
    assert rollout.proven, rollout.failed
    assert rollout.revision == theirs[0] == lab.platform.head()
    assert lab.journal.open_entries() == []


def test_the_way_back_is_a_revert_with_two_shas(lab: Lab) -> None:
    deployed = lab.release.deploy()
    reverted = lab.release.revert(deployed)
    assert reverted.proven, reverted.failed
    assert lab.stages("rollback") == list(STAGES)
    started = lab.event("started", "rollback").data
    assert (started["reverts"], started["old_sha"], started["new_sha"]) == (deployed.revision, "aaaaaaa", "bbbbbbb")
    committed = lab.event("committed", "rollback").data
    assert committed["commit"] != deployed.revision
    assert committed["forward"] is False
    assert "This reverts" in git(lab.platform.bare, "log", "-1", "--format=%b", "main")
    assert lab.prover.asked[-1][1] == "aaaaaaa"


def test_settle_is_over_only_when_the_wanted_version_runs_alone(lab: Lab) -> None:
    lab.release.settle("aaaaaaa", deadline_s=60)
    with pytest.raises(Exception, match="all replicas to run bbbbbbb"):
        lab.release.settle("bbbbbbb", deadline_s=0.5)


# -- undo -------------------------------------------------------------------------------------------------------


def test_undo_sets_the_tag_back_if_it_is_still_ours_and_only_once(lab: Lab) -> None:
    lab.release.deploy()
    args = lab.journal.open_entries(TAG_KIND)[0].args
    assert restore_tag(lab.repo, "run", args).how == "done"
    assert lab.platform.tag() == "aaaaaaa"
    assert restore_tag(lab.repo, "run", args).how == "not-needed"


def test_undo_leaves_a_newer_deploy_alone_and_reports_it(lab: Lab) -> None:
    lab.release.deploy()
    args = lab.journal.open_entries(TAG_KIND)[0].args
    theirs = lab.platform.commit(OVERLAY.replace("aaaaaaa", "ccccccc"))
    undone = restore_tag(lab.repo, "run", args)
    assert (undone.how, undone.expected, undone.found) == ("left", "bbbbbbb", "ccccccc")
    assert lab.platform.head() == theirs


@pytest.mark.parametrize(("theirs", "how"), [("ccccccc", "left"), ("aaaaaaa", "not-needed")])
def test_undo_that_races_with_a_newer_deploy_leaves_it_alone(lab: Lab, theirs: str, how: str) -> None:
    lab.release.deploy()
    args = lab.journal.open_entries(TAG_KIND)[0].args
    push, heads = lab.repo.push, []

    def push_after_them(*words: Any) -> Commit:
        heads.append(lab.platform.commit(OVERLAY.replace("aaaaaaa", theirs)))
        return push(*words)

    lab.repo.push = push_after_them  # type: ignore[method-assign]
    assert restore_tag(lab.repo, "run", args).how == how
    assert [lab.platform.head()] == heads


def test_undo_of_a_deploy_that_was_never_pushed_changes_nothing(lab: Lab) -> None:
    before = lab.platform.head()
    lab.journal.write(TAG_KIND, "overlay", {"from": "aaaaaaa", "to": "bbbbbbb", "commit": "0" * 40})
    assert restore_tag(lab.repo, "run", lab.journal.open_entries()[0].args).how == "not-needed"
    assert lab.platform.head() == before


NOT_COMPARED = {"type": "ComparisonError", "message": "repo-server is away: connection refused"}


def test_a20_nothing_is_pushed_while_argo_cd_cannot_compare(lab: Lab) -> None:
    lab.platform.condition = NOT_COMPARED
    lab.platform._application("", lab.platform.head(), "Unknown")
    lab.release._view.poll(lambda: lab.release._view.application().why_not_compared or None, timeout_s=60)
    before = lab.platform.head()
    rollout = lab.release.deploy()
    assert rollout.failed is not None
    assert (rollout.failed.data["cause"], rollout.failed.outcome) == ("NotCompared", Outcome.UNKNOWN)
    assert lab.platform.head() == before
    assert lab.journal.open_entries() == []
    assert rollout.revision == ""


def test_a20_why_a_version_was_not_seen(lab: Lab) -> None:
    assert lab.release.why_unseen("aaaaaaa") == ""
    lab.platform._application("", lab.platform.head(), "Unknown")
    lab.release._view.poll(lambda: lab.release._view.application().why_not_compared or None, timeout_s=60)
    assert lab.release.why_unseen("aaaaaaa") == "its sync status is Unknown"
    assert lab.release.why_unseen("bbbbbbb") == "", "another version runs: that is a change which is still there"
