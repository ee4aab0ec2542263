"""DeploymentStatus: the status that the Deployment controller writes: counts, Available, Progressing.

Follows kube-controller-manager 1.37 (sync.go, progress.go). Pure except for the wall clock in conditions.
"""

from __future__ import annotations

from collections.abc import Sequence

from rollproof_sandbox.api.store import Object
from rollproof_sandbox.workloads.objects import age_s, condition, now, replicas_of, set_condition
from rollproof_sandbox.workloads.rollout import max_unavailable, total

__all__ = [
    "CREATED", "FOUND", "NEW_AVAILABLE", "PAUSED", "RESUMED", "TIMED_OUT", "deadline_s", "is_complete", "new_status",
    "progressing", "rollout_status",
]  # fmt: skip

NEW_AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
CREATED, FOUND, UPDATED = "NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetUpdated"


def progressing(status: str, reason: str, message: str) -> Object:
    """A condition Progressing as of now."""
    return _condition("Progressing", status, reason, message)


def _condition(kind: str, status: str, reason: str, message: str) -> Object:
    stamp = now()
    return {
        "type": kind, "status": status, "reason": reason, "message": message, "lastUpdateTime": stamp,
        "lastTransitionTime": stamp,
    }  # fmt: skip


def new_status(deployment: Object, replicasets: Sequence[Object], new: Object | None) -> Object:
    """Counts and the condition Available. A count of zero is left out, as the API's JSON does."""
    available = _count(replicasets, "availableReplicas")
    counts = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": _count(replicasets, "replicas"),
        "updatedReplicas": _count([new] if new else [], "replicas"),
        "readyReplicas": _count(replicasets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total(replicasets) - available),
    }
    if available >= replicas_of(deployment) - max_unavailable(deployment):
        said = _condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        text = "Deployment does not have minimum availability."
        said = _condition("Available", "False", "MinimumReplicasUnavailable", text)
    conditions = set_condition((deployment.get("status") or {}).get("conditions") or [], said)
    return {**{key: value for key, value in counts.items() if value}, "conditions": conditions}


def rollout_status(deployment: Object, replicasets: Sequence[Object], new: Object | None) -> Object:
    """The same, with the condition Progressing, which depends on the deadline."""
    status = new_status(deployment, replicasets, new)
    before = condition(deployment, "Progressing")
    nothing_new = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    if nothing_new and before.get("reason") == NEW_AVAILABLE:
        return status
    name = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    if is_complete(deployment, status):
        said = progressing("True", NEW_AVAILABLE, f"{name} has successfully progressed.")
        status["conditions"] = set_condition(status["conditions"], said)
    elif _has_progressed(deployment, status):
        said = progressing("True", UPDATED, f"{name} is progressing.")
        if before.get("status") == "True":
            said["lastTransitionTime"] = before["lastTransitionTime"]
        others = [one for one in status["conditions"] if one["type"] != "Progressing"]
        status["conditions"] = [*others, said]  # also for the same reason: its time is when progress was seen
    elif _is_timed_out(deployment):
        said = progressing("False", TIMED_OUT, f"{name} has timed out progressing.")
        status["conditions"] = set_condition(status["conditions"], said)
    return status


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether exactly the wanted replicas run, all of the new template."""
    wanted = replicas_of(deployment)
    counts = (status.get("updatedReplicas", 0), status.get("replicas", 0), status.get("availableReplicas", 0))
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return seen and counts == (wanted, wanted, wanted)


def _is_timed_out(deployment: Object) -> bool:
    said = condition(deployment, "Progressing")
    if not said or said["reason"] == NEW_AVAILABLE:
        return False
    return said["reason"] == TIMED_OUT or age_s(said["lastUpdateTime"]) > deadline_s(deployment)


def deadline_s(deployment: Object) -> float:
    """The progress deadline; the API server fills in 600."""
    return float(deployment["spec"].get("progressDeadlineSeconds", 600))


def _has_progressed(deployment: Object, status: Object) -> bool:
    old = deployment.get("status") or {}
    left = status.get("replicas", 0) - status.get("updatedReplicas", 0)
    left_before = old.get("replicas", 0) - old.get("updatedReplicas", 0)
    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return left < left_before or any(status.get(name, 0) > old.get(name, 0) for name in grown)


def _count(replicasets: Sequence[Object], name: str) -> int:
    return sum(int((one.get("status") or {}).get(name, 0)) for one in replicasets)
