"""Which drifts are tried, and which are skipped or unfair: the plan of the trials, and their beginning."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakecluster import NAMESPACE, REVISION, FakeCluster, operation_state, stamp
from faults.drifting import Drill
from owntime import own_time

from rollproof.clients.argo import Argo
from rollproof.clients.kube import ApiError
from rollproof.core.injection import Injection, Skip
from rollproof.core.plan import Touch
from rollproof.core.target import Fences
from rollproof.core.trials import TRIALS
from rollproof.errors import InputError
from rollproof.faults.registry import all_faults
from rollproof.faults.selfheal import runner


def test_replicas_of_an_autoscaler_are_skipped_with_the_reason(tmp_path: Path) -> None:
    cluster = FakeCluster()
    reference = {"kind": "Deployment", "name": "web"}
    scaler = {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": reference}}
    cluster.put({"kind": "HorizontalPodAutoscaler", **scaler})
    drill = Drill(tmp_path, "replicas", cluster=cluster).run()
    assert drill.words() == ["skipped"]
    assert "HorizontalPodAutoscaler" in drill.said("skipped")["reason"]


def test_hpas_that_may_not_be_listed_are_a_reason_to_skip(tmp_path: Path) -> None:
    class Forbidding(FakeCluster):
        status = 403

        def list(self, kind: str, namespace: str, *, labels: str = "", fields: str = "") -> Any:
            if kind == "HorizontalPodAutoscaler":
                raise ApiError("no", status=self.status)
            return super().list(kind, namespace, labels=labels, fields=fields)

    cluster = Forbidding()
    drill = Drill(tmp_path, "replicas", cluster=cluster)
    assert drill.run().words() == ["skipped"]
    assert "may not be listed" in drill.said("skipped")["reason"]
    cluster.status = 500
    with pytest.raises(ApiError):
        drill.plan()


def test_every_trial_is_a_fault() -> None:
    assert {fault.trial for fault in all_faults().values() if fault.trial} == TRIALS.keys()


def test_the_production_fence_skips_what_traffic_could_feel(tmp_path: Path) -> None:
    drill = Drill(tmp_path, *TRIALS)
    fences = Fences(namespaces=("shop",), production=True)
    drill.target = replace(drill.target, fences=fences)
    planned = {one.args["trial"] for one in drill.plan() if isinstance(one, Injection)}
    assert planned == {"revision-history", "network-policy", "undeclared-annotation", "void-patch"}
    drill.target = replace(drill.target, drift=replace(drill.target.drift, trials=("env",)))
    assert drill.run().words() == ["skipped"]
    assert "--i-mean-production" in drill.said("skipped")["reason"]
    assert drill.cluster.deeds == []


def test_the_revision_history_touches_nothing_of_the_pods(tmp_path: Path) -> None:
    drill = Drill(tmp_path, "revision-history")
    (injection,) = drill.plan()
    assert isinstance(injection, Injection)
    assert injection.change == "spec.revisionHistoryLimit = 6"
    assert not injection.affects_traffic


@pytest.mark.parametrize("name", ["replicas", "revision-history"])
def test_what_git_does_not_declare_is_skipped(tmp_path: Path, name: str) -> None:
    cluster = FakeCluster()
    item = cluster.get("Deployment", NAMESPACE, "web")
    item["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": '{"spec": {}}'}
    cluster.put(item)
    (trial,) = Drill(tmp_path, name, cluster=cluster).plan()
    assert isinstance(trial, Skip)
    assert "does not declare" in trial.reason


def route_to(**backend: Any) -> dict[str, Any]:
    return {"rules": [{"backendRefs": [{"name": "web", "port": 80, **backend}]}]}


@pytest.mark.parametrize(
    ("kind", "spec", "trial", "reason"),
    [
        ("Ingress", {"rules": []}, "ingress-rule", "no rule of Ingress web goes to Service web"),
        ("Ingress", {"defaultBackend": {}}, "ingress-rule", "see drift.ingress"),
        ("NetworkPolicy", {"podSelector": {}}, "network-policy", "NetworkPolicy web has no rule"),
        ("HTTPRoute", {"rules": []}, "http-route-rule", "no rule of HTTPRoute web goes to Service web"),
        ("HTTPRoute", route_to(name="other"), "http-route-rule", "see drift.http_route"),
        ("HTTPRoute", route_to(namespace="other"), "http-route-rule", "see drift.http_route"),
        ("HTTPRoute", route_to(kind="TraefikService", group="traefik.io"), "http-route-rule", "see drift.http_route"),
        ("HTTPRoute", route_to(weight=0), "http-route-rule", "see drift.http_route"),
    ],
)
def test_an_object_without_what_the_trial_changes_is_a_reason_to_skip(
    tmp_path: Path, kind: str, spec: dict[str, Any], trial: str, reason: str
) -> None:
    cluster = FakeCluster()
    cluster.put({**cluster.get(kind, NAMESPACE, "web"), "spec": spec})
    (skip,) = Drill(tmp_path, trial, cluster=cluster).plan()
    assert isinstance(skip, Skip)
    assert reason in skip.reason


@pytest.mark.parametrize(
    ("trial", "reason"),
    [("probe-path", "no readiness or liveness probe that asks a path"), ("pull-secret", "names no pull secret")],
)
def test_a_deployment_without_what_the_trial_changes_is_a_reason_to_skip(
    tmp_path: Path, trial: str, reason: str
) -> None:
    cluster = FakeCluster()
    item = cluster.get("Deployment", NAMESPACE, "web")
    template = item["spec"]["template"]["spec"]
    del template["imagePullSecrets"], template["containers"][0]["readinessProbe"]
    cluster.put(item)
    (skip,) = Drill(tmp_path, trial, cluster=cluster).plan()
    assert isinstance(skip, Skip)
    assert reason in skip.reason


@pytest.mark.parametrize(
    ("trial", "kind"),
    [
        ("ingress-rule", "Ingress"), ("delete-ingress", "Ingress"), ("hpa-max", "HorizontalPodAutoscaler"),
        ("delete-hpa", "HorizontalPodAutoscaler"), ("network-policy", "NetworkPolicy"),
        ("http-route-rule", "HTTPRoute"), ("delete-http-route", "HTTPRoute"),
    ],
)  # fmt: skip
def test_what_the_application_does_not_track_is_skipped_and_what_is_named_and_missing_is_said(
    tmp_path: Path, trial: str, kind: str
) -> None:
    cluster = FakeCluster()
    app = cluster.get("Application", "argocd", "shop")
    app["status"]["resources"] = [one for one in app["status"]["resources"] if one["kind"] != kind]
    cluster.put(app)
    (skip,) = Drill(tmp_path, trial, cluster=cluster).plan()
    assert isinstance(skip, Skip)
    assert skip.reason == f"the Application shop tracks no {kind}"
    setting = {
        "HorizontalPodAutoscaler": "autoscaler", "NetworkPolicy": "network_policy", "HTTPRoute": "http_route",
    }.get(kind, "ingress")  # fmt: skip
    with pytest.raises(InputError, match="there is no") as raised:
        Drill(tmp_path, trial, cluster=cluster, **{setting: "other"}).plan()
    assert f"drift.{setting}" in raised.value.hint


@pytest.mark.parametrize("trial", ["http-route-rule", "delete-http-route"])
def test_a_route_of_an_older_version_of_its_group_is_skipped(tmp_path: Path, trial: str) -> None:
    """Argo CD tracks it, and the API server answers 404 to those who ask for v1."""
    cluster = FakeCluster()
    del cluster.objects["HTTPRoute", "web"]
    cluster.unserved = {"HTTPRoute"}
    for named in ("", "web"):
        (skip,) = Drill(tmp_path, trial, cluster=cluster, delete_http_route=True, http_route=named).plan()
        assert isinstance(skip, Skip)
        assert skip.reason == "the cluster has no HTTPRoute of gateway.networking.k8s.io/v1, and no other is asked for"


def test_a_kind_of_the_same_name_in_another_group_is_not_meant(tmp_path: Path) -> None:
    cluster = FakeCluster()
    app = cluster.get("Application", "argocd", "shop")
    for one in app["status"]["resources"]:
        if one["kind"] in ("NetworkPolicy", "HTTPRoute"):
            one["group"] = "crd.example.com"
    cluster.put(app)
    planned = Drill(tmp_path, "network-policy", "http-route-rule", cluster=cluster).plan()
    assert [one.reason for one in planned if isinstance(one, Skip)] == [
        "the Application shop tracks no NetworkPolicy", "the Application shop tracks no HTTPRoute",
    ]  # fmt: skip


@pytest.mark.parametrize("trial", ["http-route-rule", "delete-http-route"])
def test_a_route_that_is_led_away_or_deleted_is_healed(tmp_path: Path, trial: str) -> None:
    drill = Drill(tmp_path, trial, delete_http_route=True).run()
    assert "restored" in drill.words(), drill.words()
    backends = drill.cluster.get("HTTPRoute", NAMESPACE, "web")["spec"]["rules"][0]["backendRefs"]
    assert [one["name"] for one in backends] == ["web"]


def test_a_change_that_is_too_long_for_a_line_is_said_in_words(tmp_path: Path) -> None:
    planned = Drill(tmp_path, "ingress-rule", "http-route-rule", "pull-secret", "network-policy", "probe-path").plan()
    assert [one.change for one in planned if isinstance(one, Injection)] == [
        "spec.rules: / goes to Service rollproof-drift, which is not there, instead of web",
        "spec.rules: / goes to Service rollproof-drift, which is not there, instead of web",
        "spec.template.spec.imagePullSecrets: without pull",
        "spec.ingress: a rule more: from 192.0.2.1/32, where nobody is",
        "spec.template.spec.containers.web.readinessProbe.httpGet.path = '/ready/rollproof-drift'",
    ]


def test_no_other_image_tag_is_a_reason_to_skip(tmp_path: Path) -> None:
    (trial,) = Drill(tmp_path, "image", drift_image_tag="aaaaaaa").plan()
    assert isinstance(trial, Skip)


def test_a_missing_object_is_no_skip(tmp_path: Path) -> None:
    cluster = FakeCluster(heals=False)
    del cluster.objects["Service", "web"]
    drill = Drill(tmp_path, "delete-service", cluster=cluster)
    with pytest.raises(ApiError):
        drill.plan()


def test_the_plan_names_object_change_and_undo_and_changes_nothing(tmp_path: Path) -> None:
    drill = Drill(tmp_path, "resources", "env", "image", "delete-configmap")
    touches = [Touch.of(one) for one in drill.plan() if isinstance(one, Injection)]
    assert [touch.subject for touch in touches] == ["Deployment/shop/web"] * 3 + ["ConfigMap/shop/config"]
    assert [touch.change.rpartition(" = ")[2] for touch in touches] == [
        "'257Mi'", "'info-drift'", "'ghcr.io/shop/web:bbbbbbb'", "deleted",
    ]  # fmt: skip
    assert drill.cluster.deeds == []


def healed_often() -> FakeCluster:
    """Six heals on this revision: the back-off is above the bound."""
    cluster = FakeCluster()
    app = cluster.get("Application", "argocd", "shop")
    app["status"]["operationState"]["operation"]["sync"]["autoHealAttemptsCount"] = 6
    cluster.put(app)
    return cluster


def close_window(cluster: FakeCluster) -> None:
    """A deny window that is open now, for every Application."""
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
    cluster.put({"kind": "AppProject", "metadata": {"name": "default"}, "spec": {"syncWindows": [window]}})


def test_a_back_off_above_the_bound_is_reset_by_a_sync_if_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = healed_often()
    asked = []

    def sync(_: Argo, revision: str) -> int:
        asked.append(revision)
        fresh = cluster.get("Application", "argocd", "shop")
        fresh["status"]["operationState"]["operation"]["sync"]["autoHealAttemptsCount"] = 0
        version = int(fresh["metadata"]["resourceVersion"])
        cluster.put(fresh)
        return version

    monkeypatch.setattr(Argo, "sync_to_reset", sync)
    monkeypatch.setattr("rollproof.faults.selfheal.runner._GRAIN_S", 0.0)
    drill = Drill(tmp_path, "configmap", cluster=cluster, reset="sync").run()
    assert asked == ["c" * 40]
    assert drill.said("before")["attempts"] == 0
    assert drill.statuses == ["drift configmap", "drift configmap: a sync resets Argo CD's self-heal back-off"]


def test_minutes_of_back_off_are_not_waited_for_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    own_time(monkeypatch, runner, sleep=slept.append)
    drill = Drill(tmp_path, "configmap", cluster=healed_often(), reset="wait").run()
    said = drill.statuses[1]
    assert said.startswith("drift configmap: Argo CD's self-heal back-off ends in ")
    assert said.endswith(f" {slept[0]:.0f} s")


def test_a_sync_window_that_forbids_makes_the_trial_unfair(tmp_path: Path) -> None:
    cluster = FakeCluster()
    close_window(cluster)
    drill = Drill(tmp_path, "configmap", cluster=cluster).run()
    assert drill.words() == ["planned", "before"]
    assert drill.said("before")["window_denied"] is True
    assert "sync window" in drill.said("before")["why_unfair"]


def test_a_sync_window_that_forbids_is_not_met_with_a_sync_that_it_would_hold_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = healed_often()
    close_window(cluster)
    monkeypatch.setattr(Argo, "sync_to_reset", lambda *_: pytest.fail("it would not end"))
    drill = Drill(tmp_path, "configmap", cluster=cluster, reset="sync").run()
    assert drill.words() == ["planned", "before"]
    assert "sync window" in drill.said("before")["why_unfair"]


def test_a_commit_that_comes_while_the_back_off_runs_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = FakeCluster()
    app = cluster.get("Application", "argocd", "shop")
    app["status"]["operationState"] = operation_state(1, stamp(datetime.now(UTC)))
    cluster.put(app)

    def commit(_: float) -> None:
        own_time(monkeypatch, runner, sleep=lambda _: None)
        moving = cluster.get("Application", "argocd", "shop")
        cluster.put({**moving, "status": {**moving["status"], "sync": {"status": "OutOfSync", "revision": REVISION}}})
        threading.Timer(0.1, cluster.put, args=(moving,)).start()

    own_time(monkeypatch, runner, sleep=commit)
    assert "restored" in Drill(tmp_path, "configmap", cluster=cluster).run().words()
