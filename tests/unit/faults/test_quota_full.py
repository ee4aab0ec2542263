"""Quota full against a small API server that plays the quota's admission and the controllers of Deployment and pods."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults.podcluster import Cluster, Stage, endpoints, owned, pod

from rollproof.core.injection import Skip
from rollproof.core.target import FaultSettings
from rollproof.core.verdict import Result
from rollproof.faults.quota_full import FAULT
from tests.waiting import until

QUOTA = ("resourcequotas", "rollproof-quota-full")
NEWEST = ("replicasets", "web-h2")
OURS = {"app.kubernetes.io/managed-by": "rollproof"}
FELT = ["planned", "injecting", "injected", "effect"]
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


class World(Cluster):
    """A patch of the Deployment is a restart. `enforced`: whether the quota is; `wakes`: whether a touch is noticed."""

    def __init__(self) -> None:
        super().__init__()
        self.enforced, self.wakes = True, True
        self.strategy(ROLLING)
        self.on_patch = self.patched

    def strategy(self, strategy: dict[str, Any]) -> None:
        item = self.objects["deployments", "web"]
        self.put("deployments", {**item, "spec": {**item["spec"], "strategy": strategy}})

    def patched(self, plural: str, _: Any) -> None:
        deed = {"deployments": self.restarted, "replicasets": self.touched}.get(plural)
        if deed:
            threading.Thread(target=deed).start()

    def restarted(self) -> None:
        refused = self.enforced and QUOTA in self.objects
        self.replicaset(0, refused=refused)
        if not refused:
            self.rolls_out()

    def touched(self) -> None:
        if self.wakes and QUOTA not in self.objects:
            self.rolls_out()

    def replicaset(self, replicas: int, *, refused: bool) -> None:
        said = [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}] if refused else []
        metadata = {
            "name": "web-h2", "namespace": "shop", "uid": "uid-web-h2", "ownerReferences": owned("Deployment", "web"),
            "labels": {"app": "web", "pod-template-hash": "h2"},
            "annotations": {"deployment.kubernetes.io/revision": "2"},
        }  # fmt: skip
        kept = self.objects.get(NEWEST, {}).get("metadata", {}).get("annotations", {})
        metadata["annotations"] = {**kept, **metadata["annotations"]}
        status = {"replicas": replicas, "conditions": said}
        self.put("replicasets", {"metadata": metadata, "spec": {"replicas": 2}, "status": status})

    def rolls_out(self) -> None:
        self.replicaset(2, refused=False)
        for name, ip in (("web-3", "10.0.0.3"), ("web-4", "10.0.0.4")):
            labels = {"app": "web", "pod-template-hash": "h2"}
            self.put("pods", pod(name, ip, labels=labels, ownerReferences=owned("ReplicaSet", "web-h2")))
        self.put("endpointslices", endpoints("10.0.0.3", "10.0.0.4"))
        for name in ("web-1", "web-2"):
            super(Cluster, self).remove("pods", name)

    def remove(self, plural: str, name: str) -> Any:
        return super(Cluster, self).remove(plural, name)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    monkeypatch.setattr("rollproof.faults.quota_full._TRIED_S", 0.2)
    monkeypatch.setattr("rollproof.faults.quota_full._LOOK_S", 0.02)
    with ExitStack() as stack:
        stage = Stage(FAULT, World(), tmp_path, stack)
        limits = FaultSettings(effect_within_s=0.5, hold_s=0.2, recovery_limit_s=1.5)
        stage.target = replace(stage.target, faults=limits)
        stage.live = replace(stage.live, target=stage.target)
        yield stage


def world(stage: Stage) -> World:
    assert isinstance(stage.api, World)
    return stage.api


def test_a_rollout_that_waits_and_goes_on(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.subject == "ResourceQuota/shop/rollproof-quota-full"
    assert "no more than the 2 pods that there are" in injection.change
    assert "up to 16 min later" in injection.dead_man
    assert FAULT.blast(injection, stage.target).pods == 0, "a full quota takes nobody away"
    assert stage.run(injection) == [*FELT, "undone", "recovered"]
    assert stage.said("effect").data["watched"].endswith("Deployment/shop/web says FailedCreate")
    assert stage.verdict() is Result.PASS
    assert QUOTA not in stage.api.objects
    assert not [name for plural, name in stage.api.objects if plural == "jobs"], "the dead-man is ended as well"
    assert stage.journal.open_entries() == []


def test_the_quota_is_the_jobs_and_is_there_before_the_restart(stage: Stage) -> None:
    stage.run()
    sent = [
        (path.rpartition("/")[2], body) for method, path, body in stage.api.sent
        if method in ("POST", "PATCH") and not path.endswith("selfsubjectaccessreviews")
    ]  # fmt: skip
    assert [name for name, _ in sent] == ["jobs", "resourcequotas", "web", "web-h2"], "job, quota, restart, touch"
    quota = sent[1][1]
    assert quota["spec"] == {"hard": {"pods": "2"}}
    assert quota["metadata"]["ownerReferences"][0]["kind"] == "Job"


def test_a_quota_that_nobody_enforces_is_no_effect(stage: Stage) -> None:
    world(stage).enforced = False
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.verdict() is Result.INCONCLUSIVE
    assert QUOTA not in stage.api.objects


def test_a_pod_that_is_made_all_the_same_is_void(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = world(stage).replicaset

    def and_then_one(replicas: int, *, refused_: bool) -> None:
        refused(replicas, refused=refused_)
        if refused_:
            until(lambda: any(event.what == "effect" for event in stage.recorder.events))
            refused(1, refused=True)

    held = replace(stage.target, faults=replace(stage.target.faults, hold_s=60.0))  # it ends with that pod
    stage.live = replace(stage.live, target=held)
    monkeypatch.setattr(world(stage), "replicaset", lambda count, *, refused: and_then_one(count, refused_=refused))
    assert "void" in stage.run()
    assert stage.verdict() is Result.INCONCLUSIVE


def test_a_rollout_that_does_not_go_on_is_no_recovery(stage: Stage) -> None:
    world(stage).wakes = False
    assert stage.run() == [*FELT, "undone", "not-recovered"]
    assert "0 of 2 pods serve of the restart" in str(stage.said("not-recovered").data["last_seen"])
    assert stage.verdict() is Result.FAIL


def test_what_is_not_as_planned_is_void(stage: Stage) -> None:
    injection = stage.injection()
    stage.api.put("pods", {**pod("other", "10.0.0.9", ownerReferences=[]), "status": {"phase": "Running"}})
    assert stage.run(injection) == ["planned", "void"]
    assert "3 pods are in the namespace, and the plan has counted 2" in str(stage.said("void").data["reason"])
    assert QUOTA not in stage.api.objects


def test_a_quota_of_that_name_is_void_and_stays(stage: Stage) -> None:
    injection = stage.injection()
    stage.api.put("resourcequotas", _quota({"pods": "2"}))
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert QUOTA in stage.api.objects


def test_a_restart_that_is_refused_takes_the_quota_along(stage: Stage) -> None:
    injection = stage.injection()
    stage.api.refuse_next("/deployments/web", 200, stage.api.objects["deployments", "web"])
    stage.api.refusing["/deployments/web?"] = 409
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert QUOTA not in stage.api.objects


def test_a_quota_that_cannot_be_taken_along_stays_open(stage: Stage) -> None:
    stage.api.refusing |= {"/deployments/web?": 403, "/resourcequotas/": 403}
    injection = stage.injection()
    assert stage.run(injection) == ["planned", "injecting", "error"]
    assert "was done and could not be taken back" in str(stage.said("error").data["reason"])
    assert QUOTA in stage.api.objects
    assert FAULT.name in [entry.kind for entry in stage.journal.open_entries()]


def test_undone_twice_and_never_what_is_somebody_elses(stage: Stage) -> None:
    args = stage.injection().args
    assert FAULT.undo(stage.live.kube, args).how == "not-needed"
    stage.api.put("resourcequotas", _quota({"pods": "2"}, labels=OURS))
    assert FAULT.undo(stage.live.kube, args).how == "done"
    assert FAULT.undo(stage.live.kube, args).how == "not-needed"
    for theirs in (_quota({"pods": "2"}), _quota({"pods": "5"}, labels=OURS)):
        stage.api.put("resourcequotas", theirs)
        assert FAULT.undo(stage.live.kube, args).how == "left"
        assert QUOTA in stage.api.objects


def test_after_the_dead_man_the_replicaset_is_touched_once(stage: Stage) -> None:
    args = stage.injection().args
    world(stage).wakes = False
    world(stage).replicaset(0, refused=True)
    assert FAULT.undo(stage.live.kube, args).how == "done", "the quota is gone, and its effect is not"
    assert FAULT.undo(stage.live.kube, args).how == "not-needed"
    world(stage).replicaset(2, refused=False)
    assert FAULT.undo(stage.live.kube, args).how == "not-needed"


def test_what_cannot_be_done_is_skipped_with_its_reason(stage: Stage) -> None:
    def reason() -> str:
        skip = stage.available()
        assert isinstance(skip, Skip)
        return skip.reason

    for maximum in ("25%", "49%", 0, "0%"):  # of two pods: none
        world(stage).strategy({"rollingUpdate": {"maxUnavailable": maximum}})
        assert not isinstance(stage.available(), Skip)
    world(stage).strategy({"rollingUpdate": {"maxUnavailable": "50%"}})
    assert "takes 1 pod away first (maxUnavailable 50%)" in reason()
    world(stage).strategy({"type": "Recreate"})
    assert "Recreate" in reason()
    world(stage).strategy(ROLLING)
    stage.api.put("resourcequotas", _quota({"pods": "2"}))
    assert "rollproof undo --all" in reason()
    stage.api.refuse_next("/resourcequotas", 404)
    assert reason() == "this API has no ResourceQuotas"
    assert [method for method, _, _ in stage.api.asked if method != "GET"] == []


def _quota(hard: dict[str, str], *, labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "metadata": {"name": QUOTA[1], "namespace": "shop", "labels": labels or {}}, "spec": {"hard": hard}
    }  # fmt: skip
