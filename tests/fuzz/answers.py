"""Mutated answers of the API server, the app, a log and a repository: each is read, or refused with a message."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

import fakecluster
import patient
import story

from rollproof.clients import overlay, registry
from rollproof.clients.argo import Argo
from rollproof.clients.http import Answer
from rollproof.clients.kube import Kube, UnreachableError, _event
from rollproof.core.target import Ingress, ReleaseSettings
from rollproof.errors import RollproofError
from rollproof.faults.selfheal import fairness
from rollproof.preflight.checks import Clients, look
from rollproof.preflight.lock import RunLock
from rollproof.preflight.planning import Order, wanted_target
from rollproof.probes.ingresslog import count_retries
from rollproof.probes.views import EndpointSliceView, PodView, ReplicaSetView

from . import mutate
from .harness import Ending, call

Object = dict[str, Any]
OVERLAY = b"""resources:
- ../../base
images:
- name: ghcr.io/shop/web
  newTag: aaaaaaa
"""
LOG = [
    b'{"id": "rp00000000-1", "status": 200, "upstream_addr": "10.0.0.1:80", "upstream_status": "200"}',
    b'{"id": "rp00000000-2", "status": 200, "upstream_addr": "10.0.0.1:80, 10.0.0.2:80"}',
    b'{"request_id": "rp00000000-3", "upstream": {"addr": "10.0.0.1:80"}, "status": 200}',
]


@dataclass
class _Response:
    """The part of urllib3's response that Kube reads."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    length_remaining: int = 0

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.body

    def close(self) -> None:
        pass

    def release_conn(self) -> None:
        pass


class _Told(Kube):
    """A Kube whose answers come from a table, one of them mutated."""

    answers: dict[str, bytes]
    asked: list[str]

    def _attempt(self, method: str, path: str, query: Mapping[str, str], *_: Any) -> Any:  # noqa: ARG002
        place = path.removeprefix("/api/v1").removeprefix("/apis")
        self.asked.append(place)
        if method == "POST":
            return _Response(201, self.answers.get("review", b'{"status": {"allowed": true}}'))
        found = self.answers.get(place)
        return _Response(404, b'{"reason": "NotFound"}') if found is None else _Response(200, found)

    def pod_forward(self, *_: Any, **__: Any) -> tuple[int, bytes]:
        raise UnreachableError("nobody forwards here")

    @property
    def _server(self) -> str:
        return "the API server of context 'fuzz'"

    def _client(self, *, renew: bool = False) -> Any:  # noqa: ARG002 - what 401 renews
        return None


def _whole(kind: str, item: Object, name: str) -> Object:
    metadata = {"name": name, "namespace": "shop", "uid": "u-1", "resourceVersion": "9", **item.get("metadata", {})}
    return {"kind": kind, **item, "metadata": metadata}


def _pod() -> Object:
    state = {"waiting": {"reason": "ImagePullBackOff"}}
    own = {"name": "web", "imageID": "sha256:1", "restartCount": 1, "state": state}
    return _whole("Pod", {
        "metadata": {"labels": {"app": "web", "pod-template-hash": "5f"}, "ownerReferences": [
            {"kind": "ReplicaSet", "name": "web-5f", "uid": "u-2"}]},
        "spec": {"nodeName": "n", "containers": [{"name": "web", "image": "ghcr.io/shop/web:aaaaaaa"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [own], "initContainerStatuses": [own],
                   "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    }, "web-1")  # fmt: skip


def _replicaset() -> Object:
    template = {"spec": {"containers": [{"name": "web", "image": "ghcr.io/shop/web:aaaaaaa"}]}}
    return _whole("ReplicaSet", {
        "metadata": {"labels": {"pod-template-hash": "5f"}, "annotations": {"deployment.kubernetes.io/revision": "3"}},
        "spec": {"template": template}, "status": {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2},
    }, "web-5f")  # fmt: skip


def _endpointslice() -> Object:
    ready = {"ready": True, "serving": True, "terminating": False}
    return _whole("EndpointSlice", {
        "metadata": {"labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": ready}, {"addresses": ["10.0.0.2"], "conditions": {}}],
    }, "web-x")  # fmt: skip


def _lease() -> Object:
    spec = {
        "holderIdentity": "run on elsewhere (pid 1)",
        "leaseDurationSeconds": 60,
        "renewTime": "2026-11-28T10:00:00.0Z",
    }
    return _whole("Lease", {"spec": spec}, "rollproof")


def _world() -> dict[str, Object]:
    """path -> the answer of a target without any problem."""
    shop, argocd = "/namespaces/shop", "/namespaces/argocd"
    listed = {"metadata": {"resourceVersion": "9"}}
    deployment = _whole("Deployment", fakecluster.deployment(), "web")
    controller = _whole("StatefulSet", patient.a_controller("v3.2.6"), "argocd-application-controller")
    windows = {"spec": {"syncWindows": [{"kind": "deny", "schedule": "0 22 * * *", "duration": "1h"}]}}
    images = {"status": {"images": [{"names": ["ghcr.io/shop/web:bbbbbbb"]}]}}
    return {
        "/version": {"gitVersion": "v1.34.4"},
        f"/apps/v1{shop}/deployments/web": deployment,
        f"{shop}/services/web": _whole("Service", fakecluster.service(), "web"),
        f"{shop}/configmaps/config": _whole("ConfigMap", fakecluster.configmap(), "config"),
        f"{shop}/pods": {**listed, "items": [_pod()]},
        f"/coordination.k8s.io/v1{shop}/leases/rollproof": _lease(),
        f"/autoscaling/v2{shop}/horizontalpodautoscalers": {**listed, "items": [_whole("HorizontalPodAutoscaler", {
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "other"}}}, "hpa")]},
        f"/argoproj.io/v1alpha1{argocd}/applications/shop": _whole("Application", patient.an_application(), "shop"),
        f"/argoproj.io/v1alpha1{argocd}/appprojects/default": _whole("AppProject", windows, "default"),
        f"{argocd}/configmaps/argocd-cmd-params-cm": _whole("ConfigMap", {"data": {
            "controller.self.heal.backoff.factor": "3"}}, "argocd-cmd-params-cm"),
        f"{argocd}/configmaps/argocd-cm": _whole("ConfigMap", {"data": {"timeout.reconciliation": "1s"}}, "argocd-cm"),
        f"/apps/v1{argocd}/statefulsets": {**listed, "items": [controller]},
        "/nodes": {**listed, "items": [_whole("Node", images, "n")]},
        "review": {"status": {"allowed": True}},
    }  # fmt: skip


class _Site:
    """The app, with one mutated answer."""

    def __init__(self, bent: Mapping[str, bytes]) -> None:
        self._bent = bent

    def get(self, path: str) -> Answer:
        good = json.dumps({"version": story.OLD, "database": "ok"}).encode()
        return Answer(status=200, body=self._bent.get(path, good))

    def ask(self, *_: object) -> Answer:
        return Answer(status=200)

    post = get


def _bent(content: bytes, chance: Random) -> bytes:
    return mutate.of_bytes(content, chance) if chance.random() < 0.15 else mutate.of_json(content, chance)


def _api(chance: Random) -> tuple[str, Callable[[], object]]:
    answers = {path: json.dumps(item).encode() for path, item in _world().items()}
    chosen = chance.choice(sorted(answers))
    answers[chosen] = _bent(answers[chosen], chance)
    kube = _Told("fuzz")
    kube.answers, kube.asked = answers, []
    return f"api {chosen}", lambda: _everything(kube, _Site({}))


def _app(chance: Random) -> tuple[str, Callable[[], object]]:
    kube = _Told("fuzz")
    kube.answers, kube.asked = {path: json.dumps(item).encode() for path, item in _world().items()}, []
    path = chance.choice(("/health", "/ready"))
    bent = _bent(json.dumps({"version": story.OLD, "database": "ok"}).encode(), chance)
    return f"app {path}", lambda: _everything(kube, _Site({path: bent}))


def _everything(kube: Kube, http: Any) -> None:
    """All requests of a run, before and after its first change; a refusal is a valid result."""
    release = ReleaseSettings(shas=(story.OLD, story.NEW), image_check="nodes")
    target = story.target(ingress=Ingress(namespace="ingress"), release=release)
    clients = Clients(kube, Argo(kube, "argocd", "shop"), http, patient.FakeRepo())  # type: ignore[arg-type]
    order = Order(drills=("zero-downtime", "drift"))
    lock = RunLock(kube, "shop", "run-1")
    actions: list[Callable[[], object]] = [
        lambda: look(order, wanted_target(order, target), clients, run_id="run"),
        lock.check_free, lambda: lock.check_undo(run_ended=False), lambda: registry.check_image("nodes", "x/y:z", kube, registry.RegistryAt("https://x")),
        clients.argo.settings, clients.argo.state, lambda: clients.argo.sync_windows("default"),
        clients.argo.read, lambda: fairness.unrest(clients.argo.state(), None),
        lambda: fairness.age_s(clients.argo.state().finished_at, 1e9),
    ]  # fmt: skip
    for action in actions:
        try:
            action()
        except RollproofError as error:
            if not str(error).strip():
                raise AssertionError("an error without a message") from error


def _views(chance: Random) -> tuple[str, Callable[[], object]]:
    made, view = chance.choice((
        (_pod, PodView.of), (_replicaset, ReplicaSetView.of), (_endpointslice, EndpointSliceView.of),
    ))  # fmt: skip
    line = _bent(json.dumps({"type": "MODIFIED", "object": made()}).encode(), chance)
    return f"watch {made.__name__}", lambda: view(_event(line, "the watch")[1])  # type: ignore[operator]


def _log(chance: Random) -> tuple[str, Callable[[], object]]:
    lines = [_bent(line, chance).decode("utf-8", "replace") for line in copy.copy(LOG)]
    return "ingress log", lambda: count_retries(lines, "rp00000000", frozenset({"rp00000000-1"}))


def _overlay(chance: Random) -> tuple[str, Callable[[], object]]:
    content = mutate.of_bytes(OVERLAY, chance)

    def read() -> None:
        text = overlay.decoded("kustomization.yaml", content)
        overlay.find_entry("kustomization.yaml", text, "ghcr.io/shop/web")

    return "overlay", read


PARTS = (_api, _api, _api, _app, _views, _views, _log, _overlay)


def cases(count: int, seed: int, work: Path) -> Iterator[tuple[str, Ending]]:  # noqa: ARG001 - nothing is written
    """(name, ending) of each."""
    for number in range(count):
        chance = mutate.chance_of(seed, "answer", number)
        what, action = PARTS[number % len(PARTS)](chance)
        yield f"answer {number} ({what})", call(action)
