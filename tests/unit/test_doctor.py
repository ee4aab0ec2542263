"""Doctor: every question has a good answer and a bad one, and a bad one never hides the next question."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import story

from rollproof import doctor
from rollproof.clients.argo import Argo
from rollproof.clients.http import Answer
from rollproof.clients.kube import ApiError, UnreachableError
from rollproof.clients.repo import PushRefusedError
from rollproof.core.target import DriftSettings, Fences, Ingress, Traffic
from rollproof.doctor import Line, examine
from rollproof.preflight import Clients
from rollproof.rights import Right, missing_rights, needed_rights
from rollproof.targetfile import LoadedTarget

REVISION = "c" * 40
Object = dict[str, Any]


def a_deployment() -> Object:
    container = {"name": "web", "image": f"ghcr.io/shop/web:{story.OLD}"}
    return {
        "metadata": {"name": "web", "uid": "u", "generation": 3, "resourceVersion": "9"},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}},
        "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    }


def an_application(**automated: Any) -> Object:
    operation = {"sync": {"autoHealAttemptsCount": 2}, "initiatedBy": {"automated": True}}
    return {
        "metadata": {"name": "shop", "resourceVersion": "9"},
        "spec": {
            "project": "default", "source": {"path": "overlays/dev", "targetRevision": "main"},
            "destination": {"namespace": "shop"}, "syncPolicy": {"automated": automated or {"selfHeal": True}},
        },
        "status": {
            "sync": {"status": "Synced", "revision": REVISION}, "health": {"status": "Healthy"},
            "operationState": {
                "phase": "Succeeded", "syncResult": {"revision": REVISION}, "operation": operation,
                "finishedAt": "2026-01-01T00:00:00Z",
            },
        },
    }  # fmt: skip


def a_controller(version: str) -> Object:
    containers = [{"image": f"quay.io/argoproj/argocd:{version}"}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


@dataclass
class FakeKube:
    """Answers from a table of objects; what is in `refused` is not granted."""

    context: str = "story"
    away: bool = False
    refused: tuple[str, ...] = ()
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    lists: dict[str, list[Object]] = field(default_factory=dict)
    log: str = '{"id": "x"}\n'

    def version(self) -> str:
        if self.away:
            raise UnreachableError("the API server did not answer", "is it up?")
        return "v1.34.4"

    def may(self, verb: str, resource: str, namespace: str, **more: str) -> bool:  # noqa: ARG002
        place = f"{resource}/{more['subresource']}" if more.get("subresource") else resource
        return f"{verb} {place}" not in self.refused

    def find(self, kind: str, namespace: str, name: str) -> Object | None:  # noqa: ARG002
        return self.objects.get((kind, name))

    def get(self, kind: str, namespace: str, name: str) -> Object:
        found = self.find(kind, namespace, name)
        if found is None:
            raise ApiError(f"{kind} {name} not found", status=404)
        return found

    def list(self, kind: str, namespace: str, **_: str) -> Object:  # noqa: ARG002
        return {"items": self.lists.get(kind, [])}

    def pod_log(self, *_: Any, **__: Any) -> str:
        return self.log


class FakeHttp:
    def get(self, path: str) -> Answer:
        body = f'{{"version": "{story.OLD}", "database": "ok"}}' if path in ("/health", "/ready") else "{}"
        return Answer(status=200, body=body.encode())


class FakeRepo:
    refuses = False

    def tag(self) -> str:
        return story.OLD

    def head(self) -> str:
        return REVISION

    def may_push(self) -> None:
        if self.refuses:
            raise PushRefusedError("no right to push", "check the token")

    def close(self) -> None:
        pass


@dataclass
class Patient:
    """A target on which everything is well, until a test says otherwise."""

    kube: FakeKube
    repo: FakeRepo
    target: Any

    def examine(self, *drills: str) -> dict[str, Line]:
        loaded = LoadedTarget(self.target, {}, Path("story.toml"))
        return {line.name: line for line in examine(loaded, drills or ("zero-downtime", "drift", "rollback"))}


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Patient:
    kube = FakeKube()
    kube.objects = {
        ("Deployment", "web"): a_deployment(),
        ("Service", "web"): {"metadata": {"name": "web"}},
        ("Application", "shop"): an_application(),
        ("ConfigMap", "argocd-cmd-params-cm"): {"data": {}},
        ("AppProject", "default"): {"spec": {}},
    }
    kube.lists = {
        "StatefulSet": [a_controller("v3.2.6")],
        "Pod": [{"metadata": {"name": "ingress"}, "spec": {"containers": [{"name": "nginx"}]}}],
    }
    target = story.target(ingress=Ingress(namespace="ingress"))
    repo = FakeRepo()
    clients = Clients(kube, Argo(kube, "argocd", "shop"), FakeHttp(), repo)  # type: ignore[arg-type]
    monkeypatch.setattr(Clients, "of", classmethod(lambda _cls, _loaded: clients))
    monkeypatch.setattr(doctor, "measure_lateness", lambda: [0.1] * 100)
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda _: {0, 1})
    return Patient(kube, repo, target)


def test_all_is_well(patient: Patient) -> None:
    lines = patient.examine()
    assert [name for name, line in lines.items() if line.ok is not True] == []
    assert "2 heals on this revision" in lines["heal count"].said
    assert "gaps 0, 2, 6, 18, 54, 162, 300 s" in lines["back-off"].said
    assert "5 s can be kept at once after 0 to 1 heals" in lines["back-off"].said


def test_without_an_api_the_rest_is_still_asked(patient: Patient) -> None:
    patient.kube.away = True
    lines = patient.examine()
    assert lines["Kubernetes API"].ok is False
    assert lines["Kubernetes API"].hint == "is it up?"
    assert lines["rights"].ok is None
    assert "not asked, because of: Kubernetes API" in lines["rights"].said
    assert lines["push"].ok is True


def test_an_application_that_is_not_synced(patient: Patient) -> None:
    patient.kube.objects["Application", "shop"]["status"]["sync"]["status"] = "OutOfSync"
    lines = patient.examine()
    assert lines["Application"].ok is False
    assert lines["self-heal"].ok is None


def test_a_deployment_that_is_missing_does_not_hide_the_application(patient: Patient) -> None:
    del patient.kube.objects["Deployment", "web"]
    lines = patient.examine()
    assert lines["Deployment"].ok is False
    assert lines["Application"].ok is True


@pytest.mark.parametrize(
    ("automated", "must_heal", "ok"),
    [
        ({"selfHeal": True}, True, True),
        ({"selfHeal": False}, True, False),
        ({"selfHeal": False}, False, None),
        ({"selfHeal": True, "enabled": False}, True, False),
    ],
)
def test_self_heal(patient: Patient, automated: Object, must_heal: bool, ok: bool | None) -> None:
    patient.kube.objects["Application", "shop"] = an_application(**automated)
    patient.target = replace(patient.target, drift=DriftSettings(must_heal=must_heal))
    assert patient.examine()["self-heal"].ok is ok


def test_self_heal_is_not_asked_of_who_does_not_drift(patient: Patient) -> None:
    assert "self-heal" not in patient.examine("rollback")


def test_an_unknown_version_is_said_to_be_assumed(patient: Patient) -> None:
    patient.kube.lists["StatefulSet"] = []
    line = patient.examine()["back-off"]
    assert line.ok is None
    assert "assumed" in line.said


def test_a_revision_without_an_operation_of_its_own(patient: Patient) -> None:
    state = patient.kube.objects["Application", "shop"]["status"]["operationState"]
    state["syncResult"]["revision"] = "d" * 40
    line = patient.examine()["heal count"]
    assert line.ok is None
    assert "ordinary auto-sync" in line.said


def test_sync_windows_are_shown(patient: Patient) -> None:
    windows = [{"kind": "deny", "schedule": "0 22 * * *"}]
    patient.kube.objects["AppProject", "default"] = {"spec": {"syncWindows": windows}}
    line = patient.examine()["sync windows"]
    assert line.ok is None
    assert "deny 0 22 * * *" in line.said


def test_no_right_to_push(patient: Patient) -> None:
    patient.repo.refuses = True
    assert patient.examine()["push"] == Line("push", False, "no right to push", "check the token")


def test_an_ingress_log_in_another_format(patient: Patient) -> None:
    patient.kube.log = "1.2.3.4 - - GET /\n"
    assert patient.examine()["ingress log"].ok is None


def test_production_is_said(patient: Patient) -> None:
    patient.target = replace(patient.target, fences=Fences(namespaces=("shop",), production=True))
    assert patient.examine()["fences"].ok is None


def test_a_namespace_outside_of_the_fences(patient: Patient) -> None:
    patient.target = replace(patient.target, fences=Fences(namespaces=("other",)))
    assert patient.examine()["fences"].ok is False


def test_more_load_than_a_core_can_send(patient: Patient) -> None:
    patient.target = replace(patient.target, traffic=Traffic(rate_per_s=5000))
    patient.target = replace(patient.target, fences=Fences(namespaces=("shop",), rate_per_s_max=9000))
    assert patient.examine()["rate"].ok is False


@pytest.mark.parametrize(("late", "ok"), [(1, True), (5, False)])
def test_a_busy_machine(patient: Patient, monkeypatch: pytest.MonkeyPatch, late: int, ok: bool) -> None:
    monkeypatch.setattr(doctor, "measure_lateness", lambda: [0.1] * (100 - late) + [9.0] * late)
    assert patient.examine()["quiet enough"].ok is ok


def test_lateness_is_measured_and_never_negative() -> None:
    assert min(doctor.measure_lateness(5, 0.001)) >= 0


class TestRights:
    def test_a_required_one_is_not_ok(self, patient: Patient) -> None:
        patient.kube.refused = ("patch deployments",)
        line = patient.examine("drift")["right on deployments.apps in shop"]
        assert line.ok is False
        assert line.said == "not granted: patch (needed: drift)"

    def test_an_optional_one_says_what_is_lost(self, patient: Patient) -> None:
        patient.kube.refused = ("get pods/log",)
        line = patient.examine()["right on pods/log in ingress"]
        assert line.ok is None
        assert "MASKED" in line.said

    def test_only_required_ones_end_a_run(self, patient: Patient) -> None:
        kube: Any = patient.kube
        patient.kube.refused = ("get pods/log", "get pods/proxy", "delete services")
        missing = missing_rights(patient.target, kube, kube, ("zero-downtime", "drift"))
        assert [str(right) for right in missing] == ["delete services in shop"]

    def test_a_drill_asks_only_for_what_it_uses(self, patient: Patient) -> None:
        def changing(*drills: str) -> set[str]:
            rights = needed_rights(patient.target, drills)
            own = {right for right in rights if right.resource != "leases" and right.required}
            return {str(right) for right in own if right.verb in ("patch", "delete", "create")}

        assert changing("zero-downtime") == {
            "patch applications.argoproj.io in argocd",
            "patch deployments.apps in shop",
        }
        patient.target = replace(patient.target, drift=DriftSettings(trials=("configmap",)))
        assert changing("drift") == {"patch configmaps in shop"}

    def test_argo_cds_rights_are_asked_in_its_own_cluster(self, patient: Patient) -> None:
        app: Any = FakeKube()
        argocd: Any = FakeKube(refused=("watch applications",))
        (missing,) = missing_rights(patient.target, app, argocd, ("drift",))
        assert missing.argocd
        assert missing.name == "shop"

    def test_the_same_right_is_asked_once(self, patient: Patient) -> None:
        target = replace(patient.target, drift=DriftSettings(reset="sync"))
        rights = [str(right) for right in needed_rights(target, ("zero-downtime", "drift", "rollback"))]
        assert rights.count("patch applications.argoproj.io in argocd") == 1

    def test_how_a_right_reads(self) -> None:
        right = Right(verb="get", resource="pods", namespace="shop", why="x", subresource="log")
        assert str(right) == "get pods/log in shop"
