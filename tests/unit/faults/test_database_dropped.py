"""Database dropped against a small API server: the app's pods answer as the NetworkPolicies there let them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from faults.databasestage import DatabaseStage, World

from rollproof.core.injection import Skip
from rollproof.core.target import Database, FaultSettings
from rollproof.faults.database_dropped import FAULT

POLICY = ("networkpolicies", "rollproof-database-dropped")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseStage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        api = World()
        api.away = lambda: POLICY in api.objects
        yield DatabaseStage(FAULT, api, tmp_path, stack)


def test_a_database_that_cannot_be_reached_and_can(stage: DatabaseStage) -> None:
    injection = stage.injection()
    assert injection.subject == "NetworkPolicy/db/rollproof-database-dropped"
    assert "nobody reaches the pods app=db" in injection.change
    assert "a Job in db whose deadline deletes it" in injection.dead_man
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "undone", "recovered"]
    assert POLICY not in stage.api.objects
    assert not [name for plural, name in stage.api.objects if plural == "jobs"], "the dead-man is ended as well"
    assert stage.journal.open_entries() == []


def test_the_policy_is_the_jobs_and_lets_nobody_in(stage: DatabaseStage) -> None:
    stage.run()
    made = [(path.rpartition("/")[2], body) for method, path, body in stage.api.sent if method == "POST"]
    kinds = [plural for plural, _ in made if plural in ("jobs", "networkpolicies")]
    assert kinds == ["jobs", "networkpolicies"], "the dead-man is there before the fault"
    policy = next(body for plural, body in made if plural == "networkpolicies")
    assert policy["spec"] == {
        "podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"], "ingress": [],
    }  # fmt: skip
    (owner,) = policy["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["blockOwnerDeletion"]) == ("Job", False)


def test_a_policy_that_nobody_enforces_is_no_effect(stage: DatabaseStage) -> None:
    stage.api.away = lambda: False
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert POLICY not in stage.api.objects


def test_an_app_that_does_not_come_back_is_no_recovery(stage: DatabaseStage) -> None:
    ever: list[bool] = []
    stage.api.away = lambda: bool(ever) or (POLICY in stage.api.objects and not ever.append(True))
    assert stage.run()[-2:] == ["undone", "not-recovered"]
    assert POLICY not in stage.api.objects, "it is deleted all the same"


def test_a_policy_of_that_name_is_void_and_stays(stage: DatabaseStage) -> None:
    injection = stage.injection()
    stage.api.away = lambda: False
    stage.api.put("networkpolicies", _policy({"app": "db"}))
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert POLICY in stage.api.objects


def test_undone_twice_and_never_what_is_somebody_elses(stage: DatabaseStage) -> None:
    args = stage.injection().args
    ours = {"app.kubernetes.io/managed-by": "rollproof"}
    assert FAULT.undo(stage.kube, args).how == "not-needed"
    stage.api.put("networkpolicies", _policy({"app": "db"}, labels=ours))
    assert FAULT.undo(stage.kube, args).how == "done"
    assert FAULT.undo(stage.kube, args).how == "not-needed"
    stage.api.put("networkpolicies", _policy({"app": "db"}))
    assert FAULT.undo(stage.kube, args).how == "left"
    for changed in (_policy({"app": "other"}, labels=ours), _policy({"app": "db"}, labels=ours, ingress=[{}])):
        stage.api.put("networkpolicies", changed)
        assert FAULT.undo(stage.kube, args).how == "left"
    assert POLICY in stage.api.objects


def test_what_cannot_be_done_is_skipped_with_its_reason(stage: DatabaseStage) -> None:
    def reason(**changes: Any) -> str:
        skip = stage.available(**changes)
        assert isinstance(skip, Skip)
        return skip.reason

    assert "[faults.database]" in reason(faults=FaultSettings())
    other = Database(kind="Deployment", namespace="db", name="other")
    assert "there is no Deployment/db/other" in reason(faults=FaultSettings(database=other))
    stage.api.put("networkpolicies", {**_policy({}, ingress=[{}]), "metadata": {"name": "let-in", "namespace": "db"}})
    assert "NetworkPolicy/db/let-in says who may reach StatefulSet/db/db" in reason()
    assert [method for method, _, _ in stage.api.asked if method != "GET"] == []


def _policy(
    chosen: dict[str, str], *, labels: dict[str, str] | None = None, ingress: list[Any] | None = None
) -> dict[str, Any]:  # fmt: skip
    return {
        "metadata": {"name": POLICY[1], "namespace": "db", "labels": labels or {}},
        "spec": {"podSelector": {"matchLabels": chosen}, "policyTypes": ["Ingress"], "ingress": ingress or []},
    }  # fmt: skip
