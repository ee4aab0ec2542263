"""Pod delete against a small API server over real HTTP, with the run's own watches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from fakeapi import FakeApi
from recorder import ListRecorder

from rollproof.clients.argo import Argo
from rollproof.clients.kube import Kube
from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import FaultSettings, Target, Traffic
from rollproof.core.verdict import Result
from rollproof.faults.base import LiveContext
from rollproof.faults.pod_delete import FAULT
from rollproof.faults.runner import FaultRunner
from rollproof.judge.checkers import fault
from rollproof.probes.watches import Watches
from rollproof.store.journal import FolderStore, Journal

Object = dict[str, Any]


def owned(kind: str, name: str) -> list[Object]:
    return [{"kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}]


def pod(name: str, ip: str, *, ready: bool = True, **metadata: Any) -> Object:
    return {
        "metadata": {
            "name": name, "namespace": "shop", "uid": f"uid-{name}", "labels": {"app": "web"},
            "ownerReferences": owned("ReplicaSet", "web-h1"), **metadata,
        },
        "spec": {"containers": [{"name": "web", "image": "ghcr.io/shop/web:aaaaaaa"}]},
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }  # fmt: skip


def endpoints(*ips: str) -> Object:
    return {
        "metadata": {"name": "web-x", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": [ip], "conditions": {"ready": True}} for ip in ips],
    }


class Cluster(FakeApi):
    """Two pods behind a Service. `after_delete` plays the controllers, in a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.after_delete: Callable[[str], None] = self.replace
        metadata = {"namespace": "shop"}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": pod("x", "")["spec"]}}
        self.put("deployments", {"metadata": {"name": "web", "uid": "uid-web", **metadata}, "spec": spec, "status": {}})
        self.put("services", {"metadata": {"name": "web", **metadata}, "spec": {"selector": {"app": "web"}}})
        owners = {"uid": "uid-web-h1", "labels": {"app": "web"}, "ownerReferences": owned("Deployment", "web")}
        self.put("replicasets", {"metadata": {"name": "web-h1", **metadata, **owners}, "spec": {}, "status": {}})
        self.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": {}})
        self.put("pods", pod("web-1", "10.0.0.1"))
        self.put("pods", pod("web-2", "10.0.0.2"))
        self.put("endpointslices", endpoints("10.0.0.1", "10.0.0.2"))

    def remove(self, plural: str, name: str) -> Object:
        """A graceful deletion only begins with the answer."""
        item = self.objects[plural, name]
        threading.Thread(target=self.after_delete, args=(name,)).start()
        return item

    def leaves(self, name: str) -> None:
        item = self.objects["pods", name]
        self.put("pods", {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
        self.put("endpointslices", endpoints("10.0.0.2"))

    def replace(self, name: str) -> None:
        self.leaves(name)
        self.put("pods", pod("web-3", "10.0.0.3", ready=False))
        self.put("pods", pod("web-3", "10.0.0.3"))
        time.sleep(0.05)  # it is ready, and the Service has not heard of it
        self.put("endpointslices", endpoints("10.0.0.2", "10.0.0.3"))
        super().remove("pods", name)


class Stage:
    """The runner on that cluster."""

    def __init__(self, api: Cluster, folder: Path, stack: ExitStack) -> None:
        self.api, self.recorder = api, ListRecorder()
        kube = Kube("fake", str(stack.enter_context(api.serve(folder))))
        argo = Argo(kube, "argocd", "shop")
        limits = FaultSettings(effect_within_s=0.3, recovery_limits_s={"pod-delete": 1.0})
        self.target: Target = story.target(faults=limits)
        watches = stack.enter_context(Watches(self.target, kube, argo, self.recorder))
        self.live = LiveContext(drill="pod-delete", target=self.target, kube=kube, argo=argo, watches=watches)
        self.journal = Journal(FolderStore(folder / "undo.jsonl"), self.recorder)

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

    def verdict(self) -> Result:
        """What the checker makes of it."""
        facts = Facts(plan=story.plan(target=self.target), drill="", events=tuple(self.recorder.events))
        (verdict,) = fault.check(facts)
        return verdict.result

    def said(self, what: str) -> Event:
        return next(one for one in self.recorder.events if (one.source, one.what) == ("fault", what))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        yield Stage(Cluster(), tmp_path, stack)


def deletions(stage: Stage) -> list[str]:
    return [path.rpartition("/")[2] for method, path, _ in stage.api.asked if method == "DELETE"]


def test_a_deleted_pod_is_replaced(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.subject == "Pod/shop/web-1"
    assert injection.args == {
        "kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "uid-web-1", "members": 2,
    }  # fmt: skip
    assert injection.limit_s == 1.0
    assert stage.run() == ["planned", "injecting", "injected", "effect", "recovered", "undone"]
    assert stage.verdict() is Result.PASS
    assert deletions(stage) == ["web-1"]
    assert stage.said("injected").data["uid"] == "uid-web-1"
    assert stage.said("effect").data == {"watched": "Pod/shop/web-1 is terminating", "pods": ["uid-web-1"]}
    in_service = [one for one in stage.recorder.events if one.subject.startswith("EndpointSlice/")][-1]
    gone = next(one for one in stage.recorder.events if (one.subject, one.what) == ("Pod/shop/web-1", "deleted"))
    assert stage.said("recovered").end_s >= in_service.end_s, "ready is not enough: the Service must know it"
    assert stage.said("recovered").end_s >= gone.end_s, "and the old one can still lose requests"
    assert stage.journal.open_entries() == []


@pytest.mark.parametrize("when", ["seen", "unseen", "renamed"])
def test_a_pod_that_is_gone_already_is_void(stage: Stage, when: str) -> None:
    injection = stage.injection()
    if when == "seen":
        FakeApi.remove(stage.api, "pods", "web-1")
        stage.live.watches.poll(lambda: True if "web-1" not in stage.live.watches.pods() else None, timeout_s=5)
    elif when == "unseen":  # by our watch, a moment before the request
        del stage.api.objects["pods", "web-1"]
    else:
        stage.api.objects["pods", "web-1"]["metadata"]["uid"] = "uid-other"
    words = stage.run(injection)
    assert words == (["planned", "void"] if when == "seen" else ["planned", "injecting", "void"])
    assert stage.verdict() is Result.INCONCLUSIVE
    assert "web-1 with uid uid-web-1" in stage.said("void").data["reason"]
    assert deletions(stage) == ([] if when == "seen" else ["web-1"])
    assert stage.journal.open_entries() == []


@pytest.mark.parametrize("change", ["unready", "out of the service", "fellow away"])
def test_a_pod_that_would_not_hurt_is_void(stage: Stage, change: str) -> None:
    injection, watches = stage.injection(), stage.live.watches
    if change == "unready":
        stage.api.put("pods", pod("web-1", "10.0.0.1", ready=False))
        gone = lambda: not watches.pods()["web-1"].ready  # noqa: E731
    elif change == "out of the service":
        stage.api.put("endpointslices", endpoints("10.0.0.2"))
        gone = lambda: "10.0.0.1" not in watches.endpoints()  # noqa: E731
    else:
        stage.api.put("endpointslices", endpoints("10.0.0.1"))
        gone = lambda: "10.0.0.2" not in watches.endpoints()  # noqa: E731
    assert watches.poll(lambda: True if gone() else None, timeout_s=5)
    assert stage.run(injection) == ["planned", "void"]
    assert deletions(stage) == []


def test_an_api_that_says_yes_and_does_nothing_is_no_effect(stage: Stage) -> None:
    stage.api.after_delete = lambda _: None
    assert stage.run() == ["planned", "injecting", "injected", "no-effect"]
    assert stage.said("no-effect").outcome is Outcome.UNKNOWN
    assert stage.verdict() is Result.INCONCLUSIVE


def test_a_pod_that_is_not_replaced_is_no_recovery(stage: Stage) -> None:
    stage.api.after_delete = stage.api.leaves
    assert stage.run() == ["planned", "injecting", "injected", "effect", "not-recovered"]
    assert stage.said("not-recovered").outcome is Outcome.FAIL
    assert stage.verdict() is Result.FAIL
    assert stage.said("not-recovered").data["last_seen"] == "1 of 2 pods serve"
    assert stage.journal.open_entries() == [], "what has no undo is not owed"


def test_a_pod_that_never_goes_is_no_recovery(stage: Stage) -> None:
    def replaced_but_not_gone(name: str) -> None:
        stage.api.leaves(name)
        stage.api.put("pods", pod("web-3", "10.0.0.3"))
        stage.api.put("endpointslices", endpoints("10.0.0.2", "10.0.0.3"))

    stage.api.after_delete = replaced_but_not_gone
    assert stage.run()[-1] == "not-recovered"
    assert stage.said("not-recovered").data["last_seen"] == "Pod/shop/web-1 is still terminating"


def test_one_replica_is_skipped_unless_an_outage_is_allowed(stage: Stage) -> None:
    item = stage.api.objects["deployments", "web"]
    stage.api.put("deployments", {**item, "spec": {**item["spec"], "replicas": 1}})
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "1 replica" in skip.reason
    assert isinstance(stage.available(traffic=Traffic(downtime_budget_ms=5000.0)), Injection)


def test_pods_that_nobody_would_replace_are_skipped(stage: Stage) -> None:
    for name, ip in (("web-1", "10.0.0.1"), ("web-2", "10.0.0.2")):
        stage.api.put("pods", pod(name, ip, ownerReferences=[]))
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "ReplicaSet that would replace it" in skip.reason
