"""Is the lab at rest? What tests before have broken comes back by itself, and late: this says what is not back yet.

Pure: what Kubernetes and Argo CD say of their objects, and nothing of a time that should be enough.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

__all__ = ["unrest"]

Object = dict[str, Any]
_WAITING = ("argocd.argoproj.io/refresh", "argocd.argoproj.io/skip-reconcile")
_OURS = ("app.kubernetes.io/managed-by", "rollproof")


def unrest(objects: Iterable[Object], revision: str, namespaces: Collection[str], *, now: datetime) -> list[str]:
    """What is still to come, one sentence each: every Application at `revision`, every workload complete, no pod that
    leaves, no node away, no run's lock, and nothing that a run has left. Other namespaces than the lab's do not count.
    """
    found: list[str] = []
    for item in objects:
        metadata = item["metadata"]
        if metadata.get("namespace", "kube-system") in (*namespaces, "kube-system"):
            name = f"{item['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
            found += [f"{name} {what}" for what in _of(item, revision, now)]
    return found


def _of(item: Object, revision: str, now: datetime) -> Iterator[str]:
    kind, metadata = item["kind"], item["metadata"]
    if kind == "Application":
        yield from _application(item, revision)
    elif kind == "Node":
        ready = [one["status"] for one in item["status"]["conditions"] if one["type"] == "Ready"]
        if ready != ["True"] or item["spec"].get("unschedulable"):
            yield "is not ready, or takes no pods"
    elif kind == "Lease":
        if metadata["name"] == "rollproof" and _is_held(item["spec"], now):
            yield f"is held by {item['spec']['holderIdentity']}"
    elif kind in ("Pod", "Job"):
        if metadata.get("deletionTimestamp"):
            yield "is being deleted"
        elif (metadata.get("labels") or {}).get(_OURS[0]) == _OURS[1]:
            yield "was left by a run"
    elif not _is_complete(item):
        yield f"is not complete: {item['status']}"


def _application(item: Object, revision: str) -> Iterator[str]:
    status = item.get("status", {})
    sync = status.get("sync", {})
    state = (sync.get("status"), status.get("health", {}).get("status"), sync.get("revision"))
    if state != ("Synced", "Healthy", revision):
        yield f"is {state[0]}, {state[1]}, at {state[2]}"
    if item.get("operation") or status.get("operationState", {}).get("phase") == "Running":
        yield "is in the middle of a sync"
    yield from (f"has {word}" for word in _WAITING if word in (item["metadata"].get("annotations") or {}))


def _is_held(spec: Object, now: datetime) -> bool:
    """Whether somebody holds it; one that nobody has renewed is the next run's."""
    renewed = datetime.fromisoformat(spec["renewTime"]) if spec.get("renewTime") else now
    return bool(spec.get("holderIdentity")) and now < renewed + timedelta(seconds=spec.get("leaseDurationSeconds") or 0)


def _is_complete(item: Object) -> bool:
    """Whether the controller has seen this workload, and each of its pods is new and ready."""
    status = item["status"]
    if item["kind"] == "DaemonSet":
        wanted, counted = status["desiredNumberScheduled"], ["updatedNumberScheduled", "numberReady"]
    else:
        wanted, counted = item["spec"].get("replicas", 1), ["replicas", "updatedReplicas", "readyReplicas"]
    seen = status.get("observedGeneration") == item["metadata"]["generation"]
    return bool(seen and all(status.get(name, 0) == wanted for name in counted))
