"""Branch force-pushed against a small Argo CD and a real git server, which takes force or does not."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from envserver import commit_by_somebody_else
from fakeapi import FakeApi
from recorder import ListRecorder
from release.platform import IMAGE, Platform, git

from rollproof.clients.argo import Argo
from rollproof.clients.kube import ApiError, Kube
from rollproof.clients.repo import EnvRepo
from rollproof.core.event import Event
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import ArgoCd, FaultSettings, Fences, ReleaseSettings, Target, UndoSettings
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.errors import InputError
from rollproof.faults.base import LiveContext, Ways
from rollproof.faults.branch_force_pushed import FAULT
from rollproof.faults.runner import FaultRunner
from rollproof.probes.watches import Watches
from rollproof.store.journal import FolderStore, Journal

pytestmark = pytest.mark.processes

OLD, OTHER = "aaaaaaa", "ccccccc"
DONE = ["planned", "injecting", "injected", "effect", "recovered", "undone"]


class Following(Platform):
    """It follows the branch that the Application names."""

    def __init__(self, folder: Path, api: FakeApi) -> None:
        self.marks: dict[str, str] = {}
        super().__init__(folder, api)

    @property
    def followed(self) -> str:
        """What the Application says now, also while the answer to who changed it is on its way."""
        with self.api.changed:
            item = self.api.objects.get(("applications", "shop"), {})
            return str(item.get("spec", {}).get("source", {}).get("targetRevision", "main"))

    def head(self) -> str:
        return self._asked("rev-parse", "{}")

    def tag(self) -> str:
        return self._asked("show", "{}:overlays/dev/kustomization.yaml").rpartition("newTag: ")[2].strip()

    def _asked(self, word: str, about: str) -> str:
        """A branch that is gone while it is looked at is no error, if it is not followed any more."""
        while True:
            followed = self.followed
            try:
                return git(self.bare, word, about.format(followed))
            except subprocess.CalledProcessError:
                if self.followed == followed:
                    raise

    def on_patch(self, plural: str, item: dict[str, Any]) -> None:
        threading.Thread(target=self._act, args=(plural, item)).start()

    def _act(self, plural: str, item: dict[str, Any]) -> None:
        with self.lock:
            super().on_patch(plural, item)

    def _application(self, *args: Any, **more: Any) -> None:
        with self.api.changed:  # nobody sees it without its branch
            followed = self.followed
            super()._application(*args, **more)
            self.point(followed)

    def point(self, branch: str, **spec: Any) -> None:
        item = self.api.objects["applications", "shop"]
        metadata = {"name": "shop", "uid": "uid-app", "annotations": self.marks}
        spec = {"source": {"path": "overlays/dev", "targetRevision": branch}, **spec}
        self.api.put("applications", {**item, "metadata": metadata, "spec": spec})


class Stage:
    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.api, self.recorder = FakeApi(), ListRecorder()
        kube = Kube("fake", str(stack.enter_context(self.api.serve(folder))))
        self.platform = Following(folder, self.api)
        argo = Argo(kube, "argocd", "shop")
        self.repo = stack.enter_context(
            EnvRepo(EnvRepoTarget(url=f"file://{self.platform.bare}", overlay="overlays/dev", image=IMAGE), {})
        )
        self.target: Target = story.target(
            release=ReleaseSettings(shas=(OLD, "bbbbbbb", OTHER)), undo=UndoSettings(late_s=0.0),
            faults=FaultSettings(effect_within_s=6.0, recovery_limit_s=8.0, force_push=True),
            fences=Fences(namespaces=("shop", "argocd")),
        )  # fmt: skip
        watches = stack.enter_context(Watches(self.target, kube, argo, self.recorder))
        self.live = LiveContext(
            drill="x", target=self.target, kube=kube, argo=argo, repo=self.repo, watches=watches, sha=OLD
        )
        self.journal = Journal(FolderStore(folder / "undo.jsonl"), self.recorder)
        self.main = self.platform.head()

    def injection(self) -> Injection:
        found = FAULT.available(self.live)
        assert isinstance(found, Injection)
        return found

    def run(self, injection: Injection | None = None) -> list[str]:
        plan = story.plan(injections=(replace(injection or self.injection(), drill="x"),))
        FaultRunner(self.live, self.recorder, self.journal).run(plan)
        return [event.what for event in self.recorder.events if event.source == "fault"]

    def said(self, what: str) -> Event:
        return next(one for one in self.recorder.events if (one.source, one.what) == ("fault", what))

    def branches(self) -> list[str]:
        return git(self.platform.bare, "branch", "--format=%(refname:short)").split()

    def undo(self, injection: Injection) -> str:
        return FAULT.undo_by(Ways(self.target, self.live.kube, self.repo), injection.args).how

    def is_as_before(self) -> bool:
        head = git(self.platform.bare, "rev-parse", "main")
        return (self.platform.followed, self.branches(), head) == ("main", ["main"], self.main)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        yield Stage(tmp_path, stack)


@pytest.mark.parametrize("forbids", [False, True], ids=["takes force", "refuses force"])
def test_argo_cd_goes_back_and_all_is_as_before(stage: Stage, forbids: bool) -> None:
    git(stage.platform.bare, "config", "receive.denyNonFastForwards", str(forbids).lower())
    injection = stage.injection()
    assert "none possible" in injection.dead_man, "and plan says so"
    assert stage.run(injection) == DONE
    assert stage.said("planned").data["version"] == OTHER, "which may answer meanwhile"
    assert f"went back to {OLD} from {OTHER}" in stage.said("effect").data["watched"]
    assert stage.is_as_before()
    assert stage.undo(injection) == "not-needed", "twice"


def test_a_server_that_refuses_both_keeps_the_branch_and_the_application_is_as_before(stage: Stage) -> None:
    """As the lab's: what `force_push` says is not true there."""
    for rule in ("denyNonFastForwards", "denyDeletes"):
        git(stage.platform.bare, "config", f"receive.{rule}", "true")
    injection = stage.injection()
    assert stage.run(injection) == ["planned", "injecting", "error"]
    assert "deletion prohibited" in stage.said("error").data["reason"]
    assert stage.undo(injection) == "left"
    assert stage.platform.followed == "main"
    assert stage.undo(injection) == "left", "twice"


@pytest.mark.parametrize("stays", [False, True], ids=["deleted", "may not be deleted"])
def test_a_pointing_that_is_refused_leaves_no_branch_unsaid(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    """As by an admission rule: it is half a deed, the branch was made before."""
    git(stage.platform.bare, "config", "receive.denyDeletes", str(stays).lower())
    injection = stage.injection()

    def refused(*_: Any, **__: Any) -> Any:
        raise ApiError("denied by a policy", status=403)

    monkeypatch.setattr(Kube, "patch", refused)
    assert stage.run(injection) == ["planned", "injecting", "error"]
    assert ("could not be taken back" if stays else "denied by a policy") in stage.said("error").data["reason"]
    assert len(stage.journal.open_entries()) == stays
    assert len(stage.branches()) == 1 + stays


def soon(stage: Stage) -> Injection:
    """For what never comes: while it is waited for, Argo CD is asked and answers as fast as the machine can."""
    return replace(stage.injection(), effect_within_s=0.5)


def test_an_argo_cd_that_does_not_look_is_void_and_all_is_taken_back(stage: Stage) -> None:
    stage.platform.lost_refreshes = 10_000
    faults = replace(stage.target.faults, effect_within_s=0.5)
    stage.live = replace(stage.live, target=replace(stage.target, faults=faults))
    assert stage.run() == ["planned", "injecting", "void"]
    assert "has not synced the branch" in stage.said("void").data["reason"]
    assert stage.is_as_before()


def test_an_argo_cd_that_does_not_go_back_is_no_effect(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite = "rollproof.clients.ownbranch.OwnBranch.rewrite"
    monkeypatch.setattr(rewrite, lambda *_, **__: True)  # a server that says yes, and does nothing
    assert stage.run(soon(stage)) == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.is_as_before()


def test_pods_of_the_version_that_was_taken_away_are_no_recovery(stage: Stage) -> None:
    stage.platform.keeps_old_pods = True
    assert stage.run(replace(stage.injection(), limit_s=3.0)) == [*DONE[:4], "not-recovered", "undone"]
    assert f"pods of another version than {OLD}" in stage.said("not-recovered").data["last_seen"]


def test_an_application_that_somebody_has_pointed_elsewhere_is_left(stage: Stage) -> None:
    injection = stage.injection()
    stage.platform.point("theirs")
    assert stage.undo(injection) == "left"
    assert "follows 'theirs'" in FAULT.outdated(injection, stage.live)


def test_a_branch_with_commits_of_others_is_left(stage: Stage) -> None:
    injection = stage.injection()
    branch = injection.args["branch"]
    git(stage.platform.bare, "branch", branch, "main")
    stage.platform.point(branch)
    commit_by_somebody_else(stage.platform.bare, "hello\n", "README")
    git(stage.platform.bare, "branch", "-f", branch, "main")
    git(stage.platform.bare, "branch", "-f", "main", stage.main)
    assert stage.undo(injection) == "left"
    assert branch in stage.branches()


def test_after_a_kill_between_branch_and_patch_the_branch_goes(stage: Stage) -> None:
    injection = stage.injection()
    git(stage.platform.bare, "branch", injection.args["branch"], "main")
    assert stage.undo(injection) == "done"
    assert stage.is_as_before()


def test_the_teams_branch_is_never_ours(stage: Stage) -> None:
    with pytest.raises(InputError, match="the branch that Argo CD follows"):
        stage.repo.own_branch("main")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"argocd": ArgoCd(application="shop", profile="read-only")}, "allows no patch"),
        ({"release": ReleaseSettings(mode="observe", shas=(OLD, OTHER))}, "release.mode is not push"),
        ({"release": ReleaseSettings(shas=(OLD,))}, "no version beside aaaaaaa"),
        ({"faults": FaultSettings()}, "faults.force_push is not set"),
    ],
)
def test_a_target_that_cannot_have_it_is_skipped(stage: Stage, changed: dict[str, Any], reason: str) -> None:
    found = FAULT.available(replace(stage.live, target=replace(stage.target, **changed)))
    assert isinstance(found, Skip)
    assert reason in found.reason


def test_an_application_that_is_not_ours_to_point_elsewhere_is_skipped(stage: Stage) -> None:
    def reason() -> str:
        found = FAULT.available(stage.live)
        return found.reason if isinstance(found, Skip) else ""

    stage.platform.point("main", sources=[{"path": "a"}])
    assert "several sources" in reason()
    stage.platform.point("release")
    assert "follows 'release' and not 'main'" in reason()
    stage.platform.marks = {"argocd.argoproj.io/tracking-id": "apps:argoproj.io/Application:argocd/shop"}
    stage.platform.point("main")
    assert "managed by something" in reason()


def test_where_a_dead_man_is_possible_it_points_the_application_back(stage: Stage) -> None:
    limits = replace(stage.target.faults, dead_man_image="busybox")
    found = FAULT.available(replace(stage.live, target=replace(stage.target, faults=limits)))
    assert isinstance(found, Injection)
    assert "/spec/source/targetRevision" in found.dead_man
    assert '"main"' in found.dead_man
