"""Deny window against a small API server: Argo CD syncs a pushed commit only where no window denies it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from recorder import ListRecorder
from surroundings import AppCluster

from rollproof.clients.argo import Argo
from rollproof.clients.kube import Kube
from rollproof.core.event import Event
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import ArgoCd, FaultSettings, Fences, Target, UndoSettings
from rollproof.faults.base import LiveContext
from rollproof.faults.deny_window import FAULT
from rollproof.faults.runner import FaultRunner
from rollproof.probes.watches import Watches
from rollproof.store.journal import FolderStore, Journal

FELT = ["planned", "injecting", "injected", "effect"]
BEFORE, PUSHED = "1" * 40, "2" * 40
THEIRS = {"kind": "allow", "schedule": "0 1 * * *", "duration": "1h"}


class World(AppCluster):
    """A commit was pushed; at each refresh Argo CD compares with it, and syncs it if it may."""

    def __init__(self) -> None:
        super().__init__()
        self.obeys, self.heals = True, True
        self.operated = BEFORE  # the commit of the last operation
        self.project(None)
        self.at(BEFORE, "Synced", BEFORE)
        self.on_patch = self.patched

    def project(self, windows: list[Any] | None, **metadata: Any) -> None:
        spec = {} if windows is None else {"syncWindows": windows}
        self.put("appprojects", {"metadata": {"name": "default", "uid": "uid-p", **metadata}, "spec": spec})

    @property
    def windows(self) -> Any:
        return self.objects["appprojects", "default"]["spec"].get("syncWindows")

    def at(self, revision: str, status: str, synced: str) -> None:
        """As it is after a comparison: Argo CD takes away that one was asked for, and no other annotation."""
        metadata = dict(self.objects.get(("applications", "shop"), {"metadata": {"name": "shop"}})["metadata"])
        asked = metadata.get("annotations", {})
        metadata["annotations"] = {key: asked[key] for key in asked if key != "argocd.argoproj.io/refresh"}
        state = {"phase": "Succeeded", "syncResult": {"revision": synced}}
        said = {"sync": {"status": status, "revision": revision}, "operationState": state}
        self.put("applications", {"metadata": metadata, "spec": {}, "status": said})

    def patched(self, plural: str, _: Any) -> None:
        if plural == "applications":
            threading.Thread(target=self.compare).start()

    def compare(self) -> None:
        denied = self.windows and self.obeys
        if not denied and (self.windows or self.heals):
            self.at(PUSHED, "Synced", PUSHED)
        else:
            self.at(PUSHED, "OutOfSync", self.operated)


class Stage:
    """The runner on that cluster."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.api, self.recorder = World(), ListRecorder()
        self.kube = Kube("fake", str(stack.enter_context(self.api.serve(folder))))
        argo = Argo(self.kube, "argocd", "shop")
        self.target: Target = story.target(
            faults=FaultSettings(effect_within_s=0.5, hold_s=0.2, recovery_limit_s=1.5),
            fences=Fences(namespaces=("shop", "argocd")), undo=UndoSettings(late_s=0.0),
        )  # fmt: skip
        watches = stack.enter_context(Watches(self.target, self.kube, argo, self.recorder))
        self.live = LiveContext(drill="deny-window", target=self.target, kube=self.kube, argo=argo, watches=watches)
        self.journal = Journal(FolderStore(folder / "undo.jsonl"), self.recorder)

    def injection(self) -> Injection:
        found = FAULT.available(self.live)
        assert isinstance(found, Injection)
        return found

    def run(self, injection: Injection | None = None) -> list[str]:
        plan = story.plan(injections=(injection or self.injection(),))
        FaultRunner(self.live, self.recorder, self.journal).run(plan)
        return [event.what for event in self.recorder.events if event.source == "fault"]

    def said(self, what: str) -> Event:
        return next(one for one in self.recorder.events if (one.source, one.what) == ("fault", what))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    monkeypatch.setattr("rollproof.clients.argo._APART_NS", 50_000_000)  # the second of the real one is not waited for
    with ExitStack() as stack:
        yield Stage(tmp_path, stack)


def test_a_commit_that_waits_for_the_end_of_the_window(stage: Stage) -> None:
    injection = stage.injection()
    window = injection.args["window"]
    assert (window["kind"], window["applications"], window["duration"]) == ("deny", ["shop"], "10m")
    assert "ends after 10 min" in injection.dead_man
    assert stage.run(injection) == [*FELT, "undone", "recovered"]
    assert "OutOfSync at 222222222222" in stage.said("effect").data["watched"]
    assert stage.api.windows is None, "as before: no such field"


def test_an_older_operation_is_no_sync_of_the_commit(stage: Stage) -> None:
    """A commit that changes nothing of this Application, but something of another, moves it on without an operation."""
    stage.api.operated = "3" * 40
    stage.api.at(BEFORE, "Synced", stage.api.operated)
    assert stage.run() == [*FELT, "undone", "recovered"]


def test_a_window_that_denies_nothing_is_void(stage: Stage) -> None:
    stage.api.obeys = False
    assert stage.run() == ["planned", "injecting", "injected", "void", "undone"]
    assert "although a window denies it" in stage.said("void").data["reason"]
    assert stage.api.windows is None


def test_a_window_that_does_not_last_is_void(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def observe(injection: Injection, live: LiveContext) -> Any:
        stage.api.at(PUSHED, "Synced", PUSHED)
        return type(FAULT).observe(FAULT, injection, live)

    monkeypatch.setattr(FAULT, "observe", observe)
    assert stage.run() == [*FELT, "void", "undone"]


def test_a_commit_that_nobody_syncs_afterwards_is_no_recovery(stage: Stage) -> None:
    stage.api.heals = False
    assert stage.run(replace(stage.injection(), limit_s=0.8)) == [*FELT, "undone", "not-recovered"]
    assert "OutOfSync" in stage.said("not-recovered").data["last_seen"]


def test_an_argo_cd_that_does_not_look_is_no_effect(stage: Stage) -> None:
    stage.api.on_patch = lambda _plural, _item: None
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]


def test_a_plan_that_is_not_true_any_more_is_void(stage: Stage) -> None:
    injection = stage.injection()
    stage.api.at(PUSHED, "Synced", PUSHED)
    stage.live.watches.poll(lambda: stage.live.watches.application().sync_revision == PUSHED or None, timeout_s=60)
    assert stage.run(injection) == ["planned", "void"]
    assert stage.api.windows is None


def test_another_project_of_the_same_name_is_void(stage: Stage) -> None:
    injection = stage.injection()
    stage.api.project(None, uid="uid-other")
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert stage.api.windows is None


def test_an_undo_takes_its_own_entry_only_and_does_no_harm_twice(stage: Stage) -> None:
    args = stage.injection().args
    stage.api.project([THEIRS, args["window"]])
    assert [FAULT.undo(stage.kube, args).how for _ in range(2)] == ["done", "not-needed"]
    assert stage.api.windows == [THEIRS]
    stage.api.project([args["window"]], uid="uid-other")
    assert FAULT.undo(stage.kube, args).how == "left"


@pytest.mark.parametrize(
    ("windows", "metadata", "reason"),
    [
        ([THEIRS], {}, "has sync windows of its own"),
        (None, {"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, "is managed by something"),
        (None, {"labels": {"app.kubernetes.io/instance": "x"}}, "is managed by something"),
        (None, {"ownerReferences": [{"kind": "X", "name": "x", "uid": "x"}]}, "is managed by something"),
    ],
)
def test_a_project_that_is_not_ours_to_change_is_skipped(
    stage: Stage, windows: list[Any] | None, metadata: dict[str, Any], reason: str
) -> None:
    stage.api.project(windows, **metadata)
    found = FAULT.available(stage.live)
    assert isinstance(found, Skip)
    assert reason in found.reason


def test_what_cannot_be_had_is_skipped(stage: Stage) -> None:
    blind = replace(stage.target, argocd=ArgoCd(application="shop", profile="read-only"))
    found = FAULT.available(replace(stage.live, target=blind))
    assert isinstance(found, Skip)
    assert "allows no refresh" in found.reason
    stage.api.remove("appprojects", "default")
    found = FAULT.available(stage.live)
    assert isinstance(found, Skip)
    assert "there is no AppProject/argocd/default" in found.reason
