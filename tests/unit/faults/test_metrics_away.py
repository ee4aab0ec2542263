"""Metrics away against a small API server: an autoscaler that measures as the replicas of metrics-server say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from faults.databasestage import DatabaseStage, World
from surroundings import controlled, pod_of

from rollproof.core.facts import Facts
from rollproof.core.fault import FaultWord
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import Fences, Workload
from rollproof.core.verdict import Result
from rollproof.errors import FenceError
from rollproof.faults.metrics_away import FAULT
from rollproof.judge.checkers import judge
from rollproof.preflight.faultplans import plan_fault

FELT = ["planned", "injecting", "injected", "effect"]
LABELS = {"app": "metrics-server"}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
QUEUE = {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "5"}}}
USED = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 20}}}


class Metrics(World):
    """metrics-server and its pod, which goes and comes with its replicas; the autoscaler looks when that has happened.

    `looks`: what it then does, by whether there is somebody to ask.
    """

    def __init__(self) -> None:
        super().__init__()
        metadata = {"name": "metrics-server", "namespace": "kube-system"}
        self.put("deployments", {"metadata": {**metadata, "uid": "uid-m"}, "spec": {"replicas": 1}, "status": {}})
        self.put("services", {"metadata": metadata, "spec": {"selector": LABELS}})
        service = {"namespace": "kube-system", "name": "metrics-server"}
        self.put("apiservices", {"metadata": {"name": "v1beta1.metrics.k8s.io"}, "spec": {"service": service}})
        self.put("pods", self.pod())
        self.argo("Healthy")
        self.measures(active=True)
        self.looks: Callable[[bool], None] = self.looked
        self.on_patch = self.patched

    def pod(self, **owner: Any) -> dict[str, Any]:
        labels = {**LABELS, "pod-template-hash": "h1"}
        by = controlled("ReplicaSet", "metrics-server-h1")
        return pod_of("metrics-server-x", namespace="kube-system", labels=labels, owner=by, **owner)

    def measures(self, *, active: bool, reason: str = "FailedGetResourceMetric", **spec: Any) -> None:
        condition = {"type": "ScalingActive", "status": str(active), "reason": "ValidMetricFound" if active else reason}
        status = {"currentReplicas": 2, "desiredReplicas": 2, "conditions": [condition], "currentMetrics": [USED]}
        reference = {"kind": "Deployment", "name": "web"}
        sound = {"scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 4, "metrics": [CPU], **spec}
        metadata = {"name": "web", "namespace": "shop"}
        self.put("horizontalpodautoscalers", {"metadata": metadata, "spec": sound, "status": status})

    def argo(self, health: str, sync: str = "Synced") -> None:
        status = {"sync": {"status": sync}, "health": {"status": health}}
        self.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": status})

    def looked(self, served: bool) -> None:
        self.measures(active=served)
        self.argo("Healthy" if served else "Degraded")

    @property
    def server(self) -> int:
        return int(self.objects["deployments", "metrics-server"]["spec"].get("replicas", 0))

    def scale_server(self, replicas: int) -> None:
        item = self.objects["deployments", "metrics-server"]
        self.put("deployments", {**item, "spec": {"replicas": replicas}})

    def patched(self, plural: str, item: dict[str, Any]) -> None:
        if (plural, item["metadata"]["name"]) == ("deployments", "metrics-server"):
            threading.Thread(target=self.follow, args=(item["spec"].get("replicas", 0),)).start()

    def follow(self, replicas: int) -> None:
        if not replicas:
            self.remove("pods", "metrics-server-x")
        else:
            self.put("pods", self.pod())
        self.looks(bool(replicas))

    def put(self, plural: str, item: Any) -> Any:
        if plural == "jobs":
            item = {**item, "status": {"ready": 1}}
        return super().put(plural, item)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseStage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    monkeypatch.setattr("rollproof.faults.metrics_away.SYNC_S", 0.0)
    monkeypatch.setattr("rollproof.faults.metrics_away.METRICS_S", 0.0)
    with ExitStack() as stack:
        yield DatabaseStage(FAULT, Metrics(), tmp_path, stack, dead_man_image="curl:8")


def world(stage: DatabaseStage) -> Metrics:
    assert isinstance(stage.api, Metrics)
    return stage.api


def results(stage: DatabaseStage) -> dict[str, Result]:
    """What the drill's own checkers make of it."""
    facts = Facts(plan=story.plan(target=stage.target), drill="", events=tuple(stage.recorder.events))
    return {one.checker: one.result for one in judge(facts, ("fault", "replicas_kept"))}


def test_metrics_that_go_and_come_back(stage: DatabaseStage) -> None:
    injection = stage.injection()
    assert injection.subject == "Deployment/kube-system/metrics-server"
    assert "sets /spec/replicas of deployments metrics-server to 1" in injection.dead_man
    blast = FAULT.blast(injection, stage.target)
    assert (blast.pods, blast.lasts_s) == (0, injection.effect_within_s + stage.target.faults.hold_s)
    assert stage.run(injection) == [*FELT, "undone", "recovered"]
    assert "HorizontalPodAutoscaler/shop/web measures nothing" in stage.said("effect").data["watched"]
    assert world(stage).server == 1
    assert stage.journal.open_entries() == []
    kinds = [path.rpartition("/")[2] for method, path, _ in stage.api.asked if method in ("POST", "PATCH")]
    assert kinds.index("rolebindings") < kinds.index("scale"), "the dead-man is there before the fault"
    assert results(stage) == {"fault": Result.PASS, "replicas_kept": Result.PASS}


def test_an_autoscaler_that_goes_on_measuring_is_no_effect(stage: DatabaseStage) -> None:
    world(stage).looks = lambda _: None
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert world(stage).server == 1
    assert results(stage) == {"fault": Result.INCONCLUSIVE, "replicas_kept": Result.INCONCLUSIVE}


def test_a_condition_of_another_reason_is_no_effect(stage: DatabaseStage) -> None:
    api = world(stage)
    api.looks = lambda served: api.measures(active=served, reason="ScalingDisabled")
    assert stage.run()[-2:] == ["no-effect", "undone"]


def test_a_server_that_goes_on_serving_is_no_effect(stage: DatabaseStage) -> None:
    """The autoscaler says so, but for some reason of its own."""
    api = world(stage)
    api.follow = lambda replicas: api.looks(bool(replicas))  # type: ignore[method-assign]
    assert stage.run()[-2:] == ["no-effect", "undone"]


def test_an_autoscaler_that_never_measures_again_is_no_recovery(stage: DatabaseStage) -> None:
    api = world(stage)
    api.looks = lambda _: api.measures(active=False)
    assert stage.run()[-2:] == ["undone", "not-recovered"]
    assert "cannot scale: FailedGetResourceMetric" in stage.said("not-recovered").data["last_seen"]
    assert api.server == 1, "it is put back all the same"


def test_argo_cd_must_call_the_app_well_again_and_is_asked_where_it_could_not_compare(stage: DatabaseStage) -> None:
    api = world(stage)

    def looks(served: bool) -> None:
        api.measures(active=served)
        api.argo("Degraded" if not served else "Healthy", "Unknown")

    api.looks = looks
    assert stage.run()[-2:] == ["undone", "not-recovered"]
    assert stage.said("not-recovered").data["last_seen"] == "Argo CD says Unknown, Healthy"
    asked = [body for method, path, body in api.sent if method == "PATCH" and path.endswith("/applications/shop")]
    assert asked, "a comparison is asked for"


def test_metrics_that_somebody_gives_back_are_void(stage: DatabaseStage) -> None:
    api = world(stage)
    stage.target = replace(stage.target, faults=replace(stage.target.faults, hold_s=60.0))
    stage.live = replace(stage.live, target=stage.target)

    def felt() -> bool | None:
        return True if any(event.what == FaultWord.EFFECT for event in stage.recorder.events) else None

    def ready() -> bool | None:
        return any(pod.ready for pod in stage.live.watches.beside("kube-system").values()) or None

    def looks(served: bool) -> None:
        api.looked(served)
        if not served and stage.live.watches.poll(felt, timeout_s=60):
            api.scale_server(1)
            api.put("pods", api.pod())
            assert stage.live.watches.poll(ready, timeout_s=60), "its pod is seen before the autoscaler measures again"
            api.looked(True)

    api.looks = looks
    assert stage.run() == [*FELT, "void"]
    assert (
        "measures again before the metrics API was given back; its server is ready" in stage.said("void").data["reason"]
    )
    assert results(stage) == {"fault": Result.INCONCLUSIVE, "replicas_kept": Result.INCONCLUSIVE}


def test_replicas_that_argo_cd_writes_meanwhile_fail(stage: DatabaseStage) -> None:
    """Although all is well in the end: what decides is that they did not stay."""
    api = world(stage)
    deployment = api.objects["deployments", "web"]

    def looks(served: bool) -> None:
        api.looked(served)
        if not served:
            owned = {"manager": "argocd-controller", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
            metadata = {**deployment["metadata"], "managedFields": [owned]}
            api.put("deployments", {**deployment, "metadata": metadata, "spec": {**deployment["spec"], "replicas": 1}})

    api.looks = looks
    assert stage.run() == [*FELT, "undone", "recovered"]
    assert results(stage) == {"fault": Result.PASS, "replicas_kept": Result.FAIL}


def test_a_plan_that_is_not_true_any_more_is_void(stage: DatabaseStage) -> None:
    injection = stage.injection()
    world(stage).measures(active=False)
    assert stage.run(injection) == ["planned", "void"]
    assert "cannot scale: FailedGetResourceMetric" in stage.said("void").data["reason"]
    assert [path for method, path, _ in stage.api.asked if method == "PATCH" and path.endswith("/scale")] == []


def test_what_somebody_else_has_scaled_is_void_and_stays(stage: DatabaseStage) -> None:
    injection = stage.injection()
    world(stage).scale_server(3)
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert world(stage).server == 3


def test_undone_twice_and_never_what_is_somebody_elses(stage: DatabaseStage) -> None:
    args = stage.injection().args
    assert FAULT.undo(stage.kube, args).how == "not-needed"
    world(stage).scale_server(0)
    assert (FAULT.undo(stage.kube, args).how, world(stage).server) == ("done", 1)
    assert FAULT.undo(stage.kube, args).how == "not-needed"
    world(stage).scale_server(5)
    assert (FAULT.undo(stage.kube, args).how, world(stage).server) == ("left", 5)


def test_it_is_refused_unless_its_namespace_is_opened_by_name(stage: DatabaseStage) -> None:
    with pytest.raises(FenceError, match="'kube-system' is outside of the fences"):
        plan_fault(FAULT.name, stage.live)
    opened = replace(stage.live, target=replace(stage.target, fences=Fences(namespaces=("shop", "kube-system"))))
    assert isinstance(plan_fault(FAULT.name, opened), Injection)


def test_without_an_image_it_is_done_without_a_dead_man(stage: DatabaseStage) -> None:
    found = stage.available(faults=replace(stage.target.faults, dead_man_image=""))
    assert isinstance(found, Injection)
    assert found.dead_man.startswith("none possible")
    assert (
        FAULT.dead_man(found.args, replace(stage.target, faults=replace(stage.target.faults, dead_man_image="")))
        is None
    )


def test_what_cannot_be_done_is_skipped_with_its_reason(stage: DatabaseStage) -> None:
    api = world(stage)

    def reason(**changes: Any) -> str:
        skip = stage.available(**changes)
        assert isinstance(skip, Skip)
        return skip.reason

    named = Workload(kind="Deployment", namespace="kube-system", name="adapter")
    assert "is served by pods of Deployment/metrics-server in kube-system" in reason(
        faults=replace(stage.target.faults, metrics=named)
    )
    elsewhere = replace(named, namespace="monitoring")
    assert "from namespace 'kube-system'" in reason(faults=replace(stage.target.faults, metrics=elsewhere))
    resources = [{"kind": "Deployment", "namespace": "kube-system", "name": "metrics-server"}]
    api.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": {"resources": resources}})
    assert "is of the Application" in reason()
    api.argo("Healthy")
    api.scale_server(0)
    assert "scaled to 0 already" in reason()
    api.remove("pods", "metrics-server-x")
    assert "is served by pods of nothing" in reason()
    api.put("services", {"metadata": {"name": "metrics-server", "namespace": "kube-system"}, "spec": {}})
    assert "selects no pods" in reason()
    api.put("apiservices", {"metadata": {"name": "v1beta1.metrics.k8s.io"}, "spec": {}})
    assert "names no Service" in reason()
    api.refusing["/apis/metrics.k8s.io"] = 404
    assert "has no metrics API" in reason()
    api.refusing["/apis/metrics.k8s.io"] = 503
    assert "does not answer" in reason()
    del api.refusing["/apis/metrics.k8s.io"]
    api.measures(active=False)
    assert "cannot scale now: FailedGetResourceMetric" in reason()
    api.measures(active=True, metrics=[CPU, QUEUE])
    assert "but External metrics too" in reason()
    api.measures(active=True, metrics=[QUEUE])
    assert "but External metrics too" in reason()
    other = {**api.objects["horizontalpodautoscalers", "web"], "metadata": {"name": "more", "namespace": "shop"}}
    api.put("horizontalpodautoscalers", other)
    assert "several autoscalers" in reason()
    for name in ("web", "more"):
        api.remove("horizontalpodautoscalers", name)
    assert "no HorizontalPodAutoscaler" in reason()
    assert [method for method, _, _ in api.asked if method != "GET"] == []
