"""Seed: the objects in the cluster before Argo CD has deployed anything, as an operator would have created them.

The objects of the app itself come from the env repo, through Argo CD.
"""

from __future__ import annotations

import base64
import io
from typing import Any

from ruamel.yaml import YAML

from rollproof_sandbox.addresses import Addresses
from rollproof_sandbox.api.store import Object, Store
from rollproof_sandbox.envrepo import IMAGE
from rollproof_sandbox.settings import PASSWORD, SHAS, Settings

__all__ = ["ARGOCD", "INGRESS", "NAMESPACES", "NODE", "seed"]

ARGOCD, INGRESS, SHOP = "argocd", "ingress", "shop"
NAMESPACES = ("default", "kube-system", ARGOCD, INGRESS, SHOP)
NODE = "sandbox"
_OPERATOR = "kubectl-client-side-apply"


def seed(store: Store, settings: Settings, addresses: Addresses, application: str) -> None:
    """Create them; `application` is the Application's YAML, from the env repo."""
    for name in NAMESPACES:
        labels = {"kubernetes.io/metadata.name": name}
        store.create(_object("v1", "Namespace", "", name, labels), manager=_OPERATOR)
    _node(store, settings, addresses)
    _ingress_pod(store, addresses)
    for item in _argocd(settings):
        store.create(item, manager=_OPERATOR)
    store.create(_secret(), manager=_OPERATOR)
    _controller(store, settings.argocd.version)
    if settings.cluster.budget_allows is not None:
        _budget(store, settings.cluster.budget_allows, settings.workload.replicas)
    store.create(YAML(typ="safe").load(io.StringIO(application)), manager=_OPERATOR)


def _object(api_version: str, kind: str, namespace: str, name: str, labels: dict[str, str] | None = None) -> Object:
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _with_status(store: Store, item: Object, status: Object, manager: str) -> None:
    made = store.create(item, manager=manager)
    store.update({**made, "status": status}, manager=manager, subresource="status")


def _node(store: Store, settings: Settings, addresses: Addresses) -> None:
    here = [sha for sha in SHAS if sha not in settings.cluster.missing_images]
    status = {
        "capacity": {"cpu": "2", "memory": "4Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        "addresses": [{"type": "InternalIP", "address": addresses.node}, {"type": "Hostname", "address": NODE}],
        "images": [{"names": [f"{IMAGE}:{sha}"], "sizeBytes": 25_000_000} for sha in here],
        "nodeInfo": {"kubeletVersion": "v1.37.2+sandbox", "containerRuntimeVersion": "sandbox://1"},
    }
    item = _object("v1", "Node", "", NODE, {"kubernetes.io/hostname": NODE})
    _with_status(store, {**item, "spec": {}}, status, "kubelet")


def _ingress_pod(store: Store, addresses: Addresses) -> None:
    """The proxy runs as a process of its own; this is its Pod object."""
    item = _object("v1", "Pod", INGRESS, "ingress-0", {"app": "ingress"})
    container = {"name": "nginx", "image": "registry.local/ingress-nginx:1.14", "ports": [{"containerPort": 80}]}
    ready = [{"type": kind, "status": "True"} for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")]
    status = {
        "phase": "Running", "podIP": addresses.ingress, "podIPs": [{"ip": addresses.ingress}], "hostIP": addresses.node,
        "conditions": ready,
        "containerStatuses": [
            {"name": "nginx", "image": container["image"], "imageID": "sandbox", "ready": True, "restartCount": 0,
             "started": True, "state": {"running": {}}}
        ],
    }  # fmt: skip
    _with_status(store, {**item, "spec": {"nodeName": NODE, "containers": [container]}}, status, "kubelet")


def _budget(store: Store, allowed: int, replicas: int) -> None:
    """Nothing keeps its status up to date, so that it allows the same for ever."""
    item = _object("policy/v1", "PodDisruptionBudget", SHOP, "shop")
    item["spec"] = {"maxUnavailable": allowed, "selector": {"matchLabels": {"app": "shop"}}}
    status = {
        "disruptionsAllowed": allowed, "currentHealthy": replicas, "desiredHealthy": replicas - allowed,
        "expectedPods": replicas, "observedGeneration": 1,
    }  # fmt: skip
    _with_status(store, item, status, "kube-controller-manager")


def _argocd(settings: Settings) -> list[Object]:
    project = _object("argoproj.io/v1alpha1", "AppProject", ARGOCD, "default")
    anything = {"group": "*", "kind": "*"}
    project["spec"] = {
        "sourceRepos": ["*"], "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": [anything],
    }  # fmt: skip
    if settings.argocd.deny_window:
        window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
        project["spec"]["syncWindows"] = [window]
    general = _object("v1", "ConfigMap", ARGOCD, "argocd-cm", {"app.kubernetes.io/part-of": "argocd"})
    general["data"] = {"timeout.reconciliation": f"{settings.argocd.poll_s:g}s"}
    parameters = _object("v1", "ConfigMap", ARGOCD, "argocd-cmd-params-cm", {"app.kubernetes.io/part-of": "argocd"})
    prefix = "controller.self.heal.backoff"
    parameters["data"] = {f"{prefix}.timeout.seconds": "2", f"{prefix}.factor": "3", f"{prefix}.cap.seconds": "300"}
    return [project, general, parameters]


def _secret() -> Object:
    item = _object("v1", "Secret", SHOP, "shop-secret")
    values = {"DB_USER": "shop", "DB_PASS": PASSWORD}
    return {**item, "data": {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}}


def _controller(store: Store, version: str) -> None:
    name = "argocd-application-controller"
    labels = {"app.kubernetes.io/name": name}
    item = _object("apps/v1", "StatefulSet", ARGOCD, name, labels)
    pod: dict[str, Any] = {"containers": [{"name": name, "image": f"quay.io/argoproj/argocd:v{version}"}]}
    item["spec"] = {
        "replicas": 1, "serviceName": name, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }  # fmt: skip
    status = {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "currentReplicas": 1, "updatedReplicas": 1}
    _with_status(store, item, status, _OPERATOR)
