"""Database refused against a small API server over real HTTP: the app's pods answer as the database's replicas say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from fakeapi import FakeApi
from recorder import ListRecorder
from surroundings import AppCluster

from rollproof.clients.argo import Argo
from rollproof.clients.http import Answer
from rollproof.clients.kube import Kube
from rollproof.core.event import Event, Outcome
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import FaultSettings, Fences, Target, UndoSettings, Workload
from rollproof.errors import FenceError
from rollproof.faults.base import LiveContext
from rollproof.faults.database_refused import FAULT
from rollproof.faults.runner import FaultRunner
from rollproof.preflight.fences import check_namespace_fence
from rollproof.probes.proof import Prover
from rollproof.probes.watches import Watches
from rollproof.store.journal import FolderStore, Journal

DATABASE = Workload(kind="StatefulSet", namespace="db", name="db")


class World(AppCluster):
    """Two pods of the app and a database; `says` are the words that they have for its replicas."""

    def __init__(self) -> None:
        super().__init__()
        self.says = {1: "ok", 0: "down"}
        metadata = {"name": "db", "namespace": "db", "uid": "uid-db"}
        self.put("statefulsets", {"metadata": metadata, "spec": {"replicas": 1}, "status": {}})
        self.proxied = lambda _, path: self.answer(path)

    @property
    def replicas(self) -> int:
        replicas: int = self.objects["statefulsets", "db"]["spec"]["replicas"]
        return replicas

    def answer(self, path: str) -> tuple[int, str]:
        if path == "/health":
            return 200, json.dumps({"version": story.OLD})
        said = self.says[self.replicas]
        return (200 if said == "ok" else 503), json.dumps({"database": said})

    def scale(self, replicas: int) -> None:
        item = self.objects["statefulsets", "db"]
        self.put("statefulsets", {**item, "spec": {"replicas": replicas}})


class Stage:
    """The runner on that cluster; the entry answers as a pod does."""

    def __init__(self, api: World, folder: Path, stack: ExitStack) -> None:
        self.api, self.recorder = api, ListRecorder()
        self.kube = Kube("fake", str(stack.enter_context(api.serve(folder))))
        argo = Argo(self.kube, "argocd", "shop")
        limits = FaultSettings(effect_within_s=0.5, recovery_limit_s=1.0, hold_s=0.2, database=DATABASE)
        fences = Fences(namespaces=("shop", "db"))
        self.target: Target = story.target(faults=limits, fences=fences, undo=UndoSettings(late_s=0.0))
        watches = stack.enter_context(Watches(self.target, self.kube, argo, self.recorder))
        http: Any = self
        prover = Prover(self.target, self.kube, http, self.recorder)
        self.live = LiveContext(
            drill="database-refused", target=self.target, kube=self.kube, argo=argo, watches=watches, prover=prover,
            sha=story.OLD,
        )  # fmt: skip
        self.path = folder / "undo.jsonl"
        self.journal = Journal(FolderStore(self.path), self.recorder)

    def get(self, path: str) -> Answer:
        status, body = self.api.answer(path)
        return Answer(status=status, body=body.encode())

    def available(self, **changes: Any) -> Injection | Skip:
        return FAULT.available(replace(self.live, target=replace(self.target, **changes)))

    def injection(self) -> Injection:
        found = self.available()
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
    with ExitStack() as stack:
        yield Stage(World(), tmp_path, stack)


def test_a_database_that_is_away_and_comes_back(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.subject == "StatefulSet/db/db"
    assert injection.args == {
        "kind": "StatefulSet", "namespace": "db", "name": "db", "uid": "uid-db", "original": 1, "members": 2,
    }  # fmt: skip
    assert "none possible" in injection.dead_man
    assert stage.run() == ["planned", "injecting", "injected", "effect", "undone", "recovered"]
    assert stage.api.replicas == 1
    assert stage.said("planned").data["held"] is True
    assert stage.said("effect").data["pods"] == ["uid-web-1", "uid-web-2"]
    assert stage.said("recovered").start_s == stage.said("undone").end_s
    away = [one for one in stage.recorder.events if (one.what, one.outcome) == ("database", Outcome.FAIL)]
    assert {one.subject for one in away} == {"Pod/shop/web-1", "Pod/shop/web-2"}
    assert {one.data["status"] for one in away} == {503}
    patched = {path for method, path, _ in stage.api.asked if method == "PATCH"}
    assert patched == {"/apis/apps/v1/namespaces/db/statefulsets/db/scale"}, "least rights: nothing but the scale"
    assert stage.journal.open_entries() == []


def test_an_app_that_does_not_come_back_is_no_recovery(stage: Stage) -> None:
    words = iter([*["ok"] * 2, *["down"] * 500])  # both pods are asked before the fault, and never say "ok" again
    stage.api.says = {}
    stage.api.answer = lambda path: (  # type: ignore[method-assign]
        (200, json.dumps({"version": story.OLD})) if path == "/health" else (503, json.dumps({"database": next(words)}))
    )
    assert stage.run() == ["planned", "injecting", "injected", "effect", "undone", "not-recovered"]
    assert stage.said("not-recovered").outcome is Outcome.FAIL
    assert "does not say at /ready" in stage.said("not-recovered").data["last_seen"]
    assert stage.api.replicas == 1, "it is put back all the same"


def test_an_app_that_feels_nothing_is_no_effect(stage: Stage) -> None:
    stage.api.says = {1: "ok", 0: "ok"}
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.api.replicas == 1


def test_a_database_that_was_scaled_meanwhile_is_void(stage: Stage) -> None:
    injection = stage.injection()
    stage.api.scale(2)
    stage.api.says[2] = "ok"
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert (stage.api.replicas, stage.journal.open_entries()) == (2, [])


def test_a_database_that_is_sick_already_is_void(stage: Stage) -> None:
    stage.api.says = {1: "down"}
    assert stage.run() == ["planned", "void"]


def test_a_later_process_puts_it_back_and_only_what_is_ours(stage: Stage) -> None:
    args = stage.injection().args
    assert FAULT.undo(stage.kube, args).how == "not-needed"
    stage.api.scale(0)
    assert (FAULT.undo(stage.kube, args).how, stage.api.replicas) == ("done", 1)
    assert FAULT.undo(stage.kube, args).how == "not-needed"
    stage.api.scale(3)
    undone = FAULT.undo(stage.kube, args)
    assert (undone.how, undone.expected, undone.found, stage.api.replicas) == ("left", 0, 3, 3)
    stage.api.scale(0)
    stage.api.refuse_next("db/scale", 200, stage.api.objects["statefulsets", "db"])
    stage.api.refuse_next("db/scale", 409)
    assert FAULT.undo(stage.kube, args).how == "done", "a conflict is looked at again"
    FakeApi.remove(stage.api, "statefulsets", "db")
    assert FAULT.undo(stage.kube, args).how == "left"


def test_what_cannot_be_done_is_skipped_with_its_reason(stage: Stage) -> None:
    def reason(**changes: Any) -> str:
        skip = stage.available(**changes)
        assert isinstance(skip, Skip)
        return skip.reason

    assert "[faults.database]" in reason(faults=FaultSettings())
    other = Workload(kind="Deployment", namespace="db", name="other")
    assert "there is no Deployment/db/other" in reason(faults=FaultSettings(database=other))
    stage.api.scale(0)
    assert "scaled to 0 already" in reason()
    resources = [{"group": "apps", "kind": "StatefulSet", "namespace": "db", "name": "db"}]
    stage.api.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": {"resources": resources}})
    assert "Argo CD would scale it up again" in reason()
    assert [method for method, _, _ in stage.api.asked if method != "GET"] == []


def test_a_namespace_outside_of_the_fences_is_refused(stage: Stage) -> None:
    with pytest.raises(FenceError, match="'db' is outside of the fences"):
        check_namespace_fence(story.target(), stage.injection().args["namespace"])
