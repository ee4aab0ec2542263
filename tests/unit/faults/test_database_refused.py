"""Database refused against a small API server over real HTTP: the app's pods answer as the database's replicas say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import story
from fakeapi import FakeApi
from faults.databasestage import DatabaseStage, World

from rollproof.core.event import Outcome
from rollproof.core.injection import Skip
from rollproof.core.target import Database, FaultSettings
from rollproof.errors import FenceError
from rollproof.faults.database_refused import FAULT
from rollproof.preflight.fences import check_namespace_fence


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseStage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        yield DatabaseStage(FAULT, World(), tmp_path, stack)


def test_a_database_that_is_away_and_comes_back(stage: DatabaseStage) -> None:
    injection = stage.injection()
    assert injection.subject == "StatefulSet/db/db"
    assert injection.args == {
        "kind": "StatefulSet", "namespace": "db", "name": "db", "uid": "uid-db", "original": 1, "members": 2,
    }  # fmt: skip
    assert injection.dead_man == "none possible: no faults.dead_man_image"
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


def test_an_app_that_does_not_come_back_is_no_recovery(stage: DatabaseStage) -> None:
    words = iter([*["ok"] * 2, *["down"] * 500])  # both pods are asked before the fault, and never say "ok" again
    stage.api.says = {}
    stage.api.answer = lambda path: (  # type: ignore[method-assign]
        (200, json.dumps({"version": story.OLD})) if path == "/health" else (503, json.dumps({"database": next(words)}))
    )
    assert stage.run() == ["planned", "injecting", "injected", "effect", "undone", "not-recovered"]
    assert stage.said("not-recovered").outcome is Outcome.FAIL
    assert "does not say at /ready" in stage.said("not-recovered").data["last_seen"]
    assert stage.api.replicas == 1, "it is put back all the same"


def test_an_app_that_feels_nothing_is_no_effect(stage: DatabaseStage) -> None:
    stage.api.says = {1: "ok", 0: "ok"}
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.api.replicas == 1


def test_a_database_that_was_scaled_meanwhile_is_void(stage: DatabaseStage) -> None:
    injection = stage.injection()
    stage.api.scale(2)
    stage.api.says[2] = "ok"
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert (stage.api.replicas, stage.journal.open_entries()) == (2, [])


def test_a_database_that_is_sick_already_is_void(stage: DatabaseStage) -> None:
    stage.api.says = {1: "down"}
    assert stage.run() == ["planned", "void"]


def test_a_later_process_puts_it_back_and_only_what_is_ours(stage: DatabaseStage) -> None:
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


def test_what_cannot_be_done_is_skipped_with_its_reason(stage: DatabaseStage) -> None:
    def reason(**changes: Any) -> str:
        skip = stage.available(**changes)
        assert isinstance(skip, Skip)
        return skip.reason

    assert "[faults.database]" in reason(faults=FaultSettings())
    other = Database(kind="Deployment", namespace="db", name="other")
    assert "there is no Deployment/db/other" in reason(faults=FaultSettings(database=other))
    stage.api.scale(0)
    assert "scaled to 0 already" in reason()
    resources = [{"group": "apps", "kind": "StatefulSet", "namespace": "db", "name": "db"}]
    stage.api.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": {"resources": resources}})
    assert "Argo CD would scale it up again" in reason()
    assert [method for method, _, _ in stage.api.asked if method != "GET"] == []


def test_a_namespace_outside_of_the_fences_is_refused(stage: DatabaseStage) -> None:
    with pytest.raises(FenceError, match="'db' is outside of the fences"):
        check_namespace_fence(story.target(), stage.injection().args["namespace"])
