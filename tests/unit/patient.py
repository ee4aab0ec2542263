"""Patient: a target on which everything is well, until a test says otherwise; what a run and the doctor say of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fakecluster
import pytest
import story

from rollproof.clients.argo import Argo
from rollproof.clients.http import Answer
from rollproof.clients.kube import ApiError, UnreachableError
from rollproof.clients.repo import Commit, PushRefusedError
from rollproof.core.plan import Plan
from rollproof.core.target import Ingress, ReleaseSettings
from rollproof.errors import RollproofError
from rollproof.preflight import doctor
from rollproof.preflight.checks import Clients, look
from rollproof.preflight.doctor import Line, examine
from rollproof.preflight.planning import Order, wanted_target
from rollproof.target.file import LoadedTarget

REVISION = "c" * 40
Object = dict[str, Any]


def there(item: Object) -> Object:
    """As the API server gives it."""
    return {**item, "metadata": {**item["metadata"], "uid": "u", "resourceVersion": "9"}}


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
            "resources": [{"kind": "ConfigMap", "name": "config", "namespace": "shop"}],
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
    log: str = '{"id": "x", "status": 200, "upstream": "10.0.0.1:8080"}\n'

    def version(self) -> str:
        if self.away:
            raise UnreachableError("the API server did not answer", "is it up?")
        return "v1.34.4"

    def wall_s(self) -> float:
        return time.time()

    def may(self, verb: str, resource: str, namespace: str, **more: str) -> bool:  # noqa: ARG002
        place = f"{resource}/{more['subresource']}" if more.get("subresource") else resource
        return f"{verb} {place}" not in self.refused

    def find(self, kind: str, namespace: str, name: str) -> Object | None:  # noqa: ARG002
        if f"get {kind}" in self.refused:
            raise ApiError(f"{kind} {name} is forbidden", status=403)
        return self.objects.get((kind, name))

    def get(self, kind: str, namespace: str, name: str) -> Object:
        found = self.find(kind, namespace, name)
        if found is None:
            raise ApiError(f"{kind} {name} not found", status=404)
        return found

    def list(self, kind: str, namespace: str, **_: str) -> Object:  # noqa: ARG002
        if f"list {kind}" in self.refused:
            raise ApiError(f"{kind} is forbidden", status=403)
        return {"items": self.lists.get(kind, [])}

    def list_if_served(self, kind: str, namespace: str) -> Object:
        return self.list(kind, namespace)

    def pod_log(self, *_: Any, **__: Any) -> str:
        return self.log


class FakeHttp:
    control = Answer(status=200)

    def ask(self, url: str, headers: dict[str, str]) -> Answer:  # noqa: ARG002
        return self.control

    def get(self, path: str) -> Answer:
        body = f'{{"version": "{story.OLD}", "database": "ok"}}' if path in ("/health", "/ready") else "{}"
        return Answer(status=200, body=body.encode())


class FakeRepo:
    refuses = False
    overlay = story.OLD

    def tag(self) -> str:
        return self.overlay

    def head(self) -> str:
        return REVISION

    def image(self) -> str:
        return story.target().env_repo.image

    def check_overrides(self, application: str) -> None:
        pass

    def rehearse(self, sha: str = "rehearsal") -> Commit:
        return Commit(REVISION, REVISION, "overlays/dev/kustomization.yaml", f"newTag: {sha}", line_number=3)

    def may_push(self) -> None:
        if self.refuses:
            raise PushRefusedError("no right to push", "check the token")

    def close(self) -> None:
        pass


@dataclass
class Patient:
    """A target on which everything is well, until a test says otherwise."""

    kube: FakeKube
    http: FakeHttp
    repo: FakeRepo
    clients: Clients
    target: Any

    def look(self, *drills: str, **order: Any) -> Plan:
        """What a run does first."""
        wanted = Order(drills=drills, **order)
        return look(wanted, wanted_target(wanted, self.target), self.clients, run_id="run")

    def missing(self, *drills: str, **order: Any) -> str:
        """What a run says when it is refused; "" if it is not."""
        try:
            self.look(*drills, **order)
        except RollproofError as error:
            return str(error)
        return ""

    def examine(self, *drills: str) -> dict[str, Line]:
        loaded = LoadedTarget(self.target, {}, Path("story.toml"))
        return {line.name: line for line in examine(loaded, drills or ("zero-downtime", "drift", "rollback"))}


def well(monkeypatch: pytest.MonkeyPatch) -> Patient:
    """A target on which everything is well."""
    kube = FakeKube()
    kube.objects = {
        ("Deployment", "web"): there(fakecluster.deployment()),
        ("Service", "web"): there(fakecluster.service()),
        ("ConfigMap", "config"): there(fakecluster.configmap()),
        ("Application", "shop"): an_application(),
        ("ConfigMap", "argocd-cmd-params-cm"): {"data": {}},
        ("AppProject", "default"): {"spec": {}},
    }
    kube.lists = {
        "StatefulSet": [a_controller("v3.2.6")],
        "Pod": [{"metadata": {"name": "ingress"}, "spec": {"containers": [{"name": "nginx"}]}}],
    }
    release = ReleaseSettings(shas=(story.OLD, story.NEW))
    target = story.target(ingress=Ingress(namespace="ingress"), release=release)
    http, repo = FakeHttp(), FakeRepo()
    clients = Clients(kube, Argo(kube, "argocd", "shop"), http, repo)  # type: ignore[arg-type]
    monkeypatch.setattr(Clients, "of", classmethod(lambda _cls, _loaded: clients))
    monkeypatch.setattr(doctor, "measure_lateness", lambda: [0.1] * 100)
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda _: {0, 1})
    return Patient(kube, http, repo, clients, target)
