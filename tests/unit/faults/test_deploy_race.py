"""Deploy race against a small Argo CD and a real git server: the last of two deploys wins, and nothing of the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import story
from fakeapi import FakeApi
from recorder import ListRecorder
from release.platform import IMAGE, Platform, git

from rollproof.clients.argo import Argo
from rollproof.clients.kube import Kube
from rollproof.clients.repo import Commit, EnvRepo
from rollproof.core.event import Event
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.core.target import FaultSettings, ReleaseSettings, Target, UndoSettings
from rollproof.faults.base import LiveContext, Ways
from rollproof.faults.deploy_race import DeployRace
from rollproof.faults.registry import fault_named
from rollproof.faults.runner import FaultRunner
from rollproof.probes.watches import Watches
from rollproof.store.journal import FolderStore, Journal

pytestmark = pytest.mark.processes

OLD, OURS, RIVAL = "aaaaaaa", "bbbbbbb", "ccccccc"
DONE = ["planned", "injecting", "injected", "effect", "recovered", "undone"]


class Stage:
    """The runner on that platform; `release` pushes our release, as the drill does."""

    def __init__(self, folder: Path, stack: ExitStack, name: str) -> None:
        self.api, self.recorder = FakeApi(), ListRecorder()
        kube = Kube("fake", str(stack.enter_context(self.api.serve(folder))))
        self.platform = Platform(folder, self.api)
        argo = Argo(kube, "argocd", "shop")
        self.repo = stack.enter_context(
            EnvRepo(EnvRepoTarget(url=f"file://{self.platform.bare}", overlay="overlays/dev", image=IMAGE), {})
        )
        self.target: Target = story.target(
            release=ReleaseSettings(shas=(OLD, OURS, RIVAL)), undo=UndoSettings(late_s=0.0),
            faults=FaultSettings(effect_within_s=6.0, recovery_limit_s=8.0),
        )  # fmt: skip
        watches = stack.enter_context(Watches(self.target, kube, argo, self.recorder))
        self.live = LiveContext(
            drill=name, target=self.target, kube=kube, argo=argo, repo=self.repo, watches=watches, sha=OURS
        )
        self.journal = Journal(FolderStore(folder / "undo.jsonl"), self.recorder)
        found = fault_named(name)
        assert isinstance(found, DeployRace)
        self.fault = found

    def injection(self) -> Injection:
        found = self.fault.available(self.live)
        assert isinstance(found, Injection)
        return found

    def release(self) -> None:
        def make() -> Commit:
            return self.repo.set_tag(OURS, expected=OLD, message="ours")

        self.repo.push(make, make())

    def run(self, injection: Injection | None = None) -> list[str]:
        planned = injection or self.injection()
        self.release()
        FaultRunner(self.live, self.recorder, self.journal).run(story.plan(injections=(planned,)))
        return [event.what for event in self.recorder.events if event.source == "fault"]

    def said(self, what: str) -> Event:
        return next(one for one in self.recorder.events if (one.source, one.what) == ("fault", what))

    def log(self) -> list[str]:
        return git(self.platform.bare, "log", "--format=%s", "main").splitlines()[:-1]

    def undo(self) -> str:
        return self.fault.undo_by(Ways(self.target, self.live.kube, self.repo), {"from": OLD, "to": RIVAL}).how


@pytest.fixture(params=["deploy-race", "deploy-race-in-sync"])
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Stage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        yield Stage(tmp_path, stack, request.param)


def test_the_last_one_wins_and_is_taken_back_by_a_revert(stage: Stage) -> None:
    assert stage.run() == DONE
    assert stage.said("planned").data["version"] == RIVAL, "which may answer meanwhile"
    assert f"declared with {RIVAL}, pushed after {OURS}" in stage.said("effect").data["watched"]
    subject = f"rollproof: {stage.fault.name}, a second release, of {RIVAL}"
    assert stage.log() == [f'Revert "{subject}"', subject, "ours"], "on top of ours: nothing of it is lost"
    assert stage.platform.tag() == OURS
    assert stage.undo() == "not-needed", "twice"


def test_pods_of_the_first_that_stay_are_no_recovery(stage: Stage) -> None:
    stage.platform.keeps_old_pods = True
    assert stage.run(replace(stage.injection(), limit_s=3.0)) == [*DONE[:4], "not-recovered", "undone"]
    assert f"pods of another version than {RIVAL}" in stage.said("not-recovered").data["last_seen"]
    assert stage.platform.tag() == OURS


def test_an_argo_cd_that_never_looks_is_no_effect(stage: Stage) -> None:
    stage.platform.lost_refreshes = 10_000
    faults = replace(stage.target.faults, effect_within_s=0.5)  # asked and answered as fast as the machine can
    stage.live = replace(stage.live, target=replace(stage.target, faults=faults))
    said = stage.run()
    if stage.fault.in_sync:
        assert said == ["planned", "injecting", "void"]
        assert "has not begun to sync" in stage.said("void").data["reason"]
        assert stage.log() == ["ours"], "nothing was pushed"
    else:
        assert said == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.platform.tag() == OURS


def test_a_plan_that_is_not_true_any_more_is_void(stage: Stage) -> None:
    injection = stage.injection()
    live = replace(stage.live, sha=RIVAL)
    assert "name another one with --sha" in stage.fault.outdated(injection, live)
    assert "no release was pushed" in stage.fault.outdated(injection, replace(live, sha=OLD))


def test_a_clone_that_knows_the_first_release_races_for_nothing(stage: Stage) -> None:
    injection = stage.injection()
    stage.release()
    stage.repo.head()
    stage.platform.asked = 0
    stage.live.argo.refresh()  # the sync of ours has begun
    FaultRunner(stage.live, stage.recorder, stage.journal).run(story.plan(injections=(injection,)))
    assert "knows the first release" in stage.said("void").data["reason"]
    assert stage.log() == ["ours"]


def test_what_somebody_else_deployed_since_is_left(stage: Stage) -> None:
    stage.run()
    stage.platform.commit(f"images:\n- name: {IMAGE}\n  newTag: ddddddd\n")
    assert stage.undo() == "not-needed", "the second release is in nobody's way any more"
    assert stage.platform.tag() == "ddddddd"


def test_a_later_commit_to_the_same_file_stays(stage: Stage) -> None:
    """After a kill: the second release is still there, and somebody has written a comment below it."""
    stage.release()
    stage.platform.commit(f"images:\n- name: {IMAGE}\n  newTag: {RIVAL}\n")
    stage.platform.commit(f"images:\n- name: {IMAGE}\n  newTag: {RIVAL}\n\n\n# a word\n")
    assert stage.undo() == "done"
    text = git(stage.platform.bare, "show", "main:overlays/dev/kustomization.yaml")
    assert (OURS in text, "# a word" in text) == (True, True)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (ReleaseSettings(shas=(OLD, OURS)), "names 1 versions beside aaaaaaa, and two must race"),
        (ReleaseSettings(mode="observe", shas=(OLD, OURS, RIVAL)), "it is its pipeline that pushes"),
    ],
)
def test_what_cannot_race_is_skipped(stage: Stage, settings: ReleaseSettings, reason: str) -> None:
    found = stage.fault.available(replace(stage.live, target=replace(stage.target, release=settings)))
    assert isinstance(found, Skip)
    assert reason in found.reason
