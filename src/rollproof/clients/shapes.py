"""Shapes: what the fields of each kind of object must be that anybody here reads. Looked at where an object comes in.

So what reads an object behind `Kube` meets no other type. A field that nobody reads may be anything; one that is null
or absent says nothing, unless it is marked with `!`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollproof.core.outside import Outside

__all__ = ["check_object"]

_METADATA = """
metadata.uid:text metadata.namespace:text metadata.labels:table metadata.annotations:table metadata.generation:count
metadata.deletionTimestamp:time metadata.ownerReferences:objects metadata.ownerReferences[].kind:text
metadata.ownerReferences[].name:text metadata.ownerReferences[].uid:text metadata.ownerReferences[].controller:flag
metadata.managedFields:objects metadata.managedFields[].manager:text metadata.managedFields[].operation:text
metadata.managedFields[].subresource:text metadata.managedFields[].time:text metadata.managedFields[].fieldsV1:child
"""
_CONTAINERS = """
containers:objects containers[].name:text! containers[].image:text containers[].env:objects
containers[].env[].name:text!
containers[].env[].value:text containers[].resources:child containers[].resources.limits:child
containers[].resources.requests:child
containers[].readinessProbe:child containers[].readinessProbe.httpGet:child
containers[].readinessProbe.httpGet.path:text containers[].livenessProbe:child containers[].livenessProbe.httpGet:child
containers[].livenessProbe.httpGet.path:text
"""
_TEMPLATE = (
    "spec:child! spec.template:child! spec.template.spec:child! spec.template.spec.containers:objects! "
    + " ".join(f"spec.template.spec.{field}" for field in _CONTAINERS.split())
)
_OPERATION = """
status.operationState:child status.operationState.phase:text status.operationState.message:text
status.operationState.startedAt:time status.operationState.finishedAt:time status.operationState.operation:child
status.operationState.operation.initiatedBy:child status.operationState.operation.initiatedBy.automated:flag
status.operationState.operation.initiatedBy.username:text status.operationState.operation.sync:child
status.operationState.operation.sync.revision:text status.operationState.operation.sync.autoHealAttemptsCount:count
status.operationState.syncResult:child status.operationState.syncResult.revision:text operation:child
"""
_SHAPES: Mapping[str, str] = {
    "Pod": "spec:child status:child " + " ".join(f"spec.{field}" for field in _CONTAINERS.split()),
    "Service": "metadata.resourceVersion:digits spec:child! spec.selector:table spec.clusterIP:text",
    "ConfigMap": "data:table",
    "Node": "status:child status.images:objects status.images[].names:texts",
    "Deployment": f"metadata.resourceVersion:digits {_TEMPLATE} spec.replicas:count spec.paused:flag "
    "spec.template.spec.imagePullSecrets:objects spec.selector:child! "
    "spec.selector.matchLabels:table status:child",
    "ReplicaSet": "spec:child spec.replicas:count status:child status.replicas:count",
    "StatefulSet": f"{_TEMPLATE} spec.replicas:count status:child status.readyReplicas:count status.replicas:count",
    "EndpointSlice": "endpoints:objects",
    "Lease": "spec:child spec.holderIdentity:text spec.leaseDurationSeconds:seconds spec.renewTime:time "
    "spec.acquireTime:time",
    "Job": "spec:child status:child status.ready:count status.active:count",
    "HorizontalPodAutoscaler": "metadata.resourceVersion:digits spec:child! spec.scaleTargetRef:child! "
    "spec.scaleTargetRef.kind:text! spec.scaleTargetRef.name:text! spec.maxReplicas:count",
    "Ingress": "metadata.resourceVersion:digits spec:child! spec.rules:objects spec.rules[].http:child "
    "spec.rules[].http.paths:objects spec.rules[].http.paths[].backend:child "
    "spec.rules[].http.paths[].backend.service:child spec.rules[].http.paths[].backend.service.name:text",
    "HTTPRoute": "metadata.resourceVersion:digits spec:child! spec.hostnames:texts spec.parentRefs:objects "
    "spec.parentRefs[].name:text spec.rules:objects spec.rules[].matches:objects spec.rules[].matches[].path:child "
    "spec.rules[].matches[].path.value:text spec.rules[].backendRefs:objects spec.rules[].backendRefs[].group:text "
    "spec.rules[].backendRefs[].kind:text spec.rules[].backendRefs[].name:text "
    "spec.rules[].backendRefs[].namespace:text spec.rules[].backendRefs[].weight:count",
    "Gateway": "spec:child! spec.listeners:objects spec.listeners[].name:text spec.listeners[].port:count "
    "spec.listeners[].protocol:text spec.listeners[].hostname:text status:child status.addresses:objects "
    "status.addresses[].value:text",
    "NetworkPolicy": "metadata.resourceVersion:digits spec:child! spec.podSelector:child "
    "spec.podSelector.matchLabels:table spec.ingress:objects spec.egress:objects",
    "ResourceQuota": "spec:child spec.hard:child status:child",
    "PodDisruptionBudget": "spec:child spec.selector:child spec.selector.matchLabels:table "
    "spec.selector.matchExpressions:objects spec.selector.matchExpressions[].key:text! "
    "spec.selector.matchExpressions[].operator:text! spec.selector.matchExpressions[].values:texts status:child "
    "status.disruptionsAllowed:count status.currentHealthy:count status.desiredHealthy:count "
    "status.expectedPods:count",
    "Application": "metadata.resourceVersion:digits spec:child! spec.project:text spec.source:child "
    "spec.sources:objects "
    "spec.source.path:text spec.source.targetRevision:text spec.source.repoURL:text spec.destination:child "
    "spec.destination.namespace:text spec.destination.name:text spec.destination.server:text spec.syncPolicy:child "
    "spec.syncPolicy.automated:child "
    "spec.syncPolicy.automated.enabled:flag spec.syncPolicy.automated.selfHeal:flag spec.ignoreDifferences:objects "
    "spec.ignoreDifferences[].group:text spec.ignoreDifferences[].kind:text spec.ignoreDifferences[].name:text "
    "spec.ignoreDifferences[].namespace:text spec.ignoreDifferences[].jsonPointers:texts status:child "
    "status.sync:child "
    "status.sync.status:text status.sync.revision:text status.sync.comparedTo:child status.health:child "
    "status.health.status:text status.conditions:objects status.conditions[].type:text "
    "status.conditions[].message:text status.resources:objects status.resources[].kind:text "
    f"status.resources[].group:text status.resources[].name:text status.resources[].namespace:text {_OPERATION}",
    "AppProject": "spec:child spec.syncWindows:objects spec.syncWindows[].kind:text! spec.syncWindows[].schedule:text! "
    "spec.syncWindows[].duration:text! spec.syncWindows[].timeZone:text spec.syncWindows[].manualSync:flag "
    "spec.syncWindows[].applications:texts spec.syncWindows[].namespaces:texts spec.syncWindows[].clusters:texts "
    "spec.syncWindows[].andOperator:flag",
}  # fmt: skip


@dataclass(slots=True)
class _Field:
    """What is known of one field: how it is read, whether it must be there, and the fields of what is in it."""

    readers: list[Callable[[Outside, str], Any]] = field(default_factory=list)
    needed: bool = False
    inside: dict[str, _Field] = field(default_factory=dict)
    each: dict[str, _Field] = field(default_factory=dict)  # of each object of the list that it is


def check_object(kind: str, item: Outside) -> None:
    """OutsideDataError for the first field of an object that is not of the type that its readers count on."""
    _walk(item, _PARSED.get(kind, _PARSED[""]))


def _walk(node: Outside, known: Mapping[str, _Field]) -> None:
    """Each object of the item is entered once: every list and every watch of a run comes through here."""
    for key, one in known.items():
        if node.value.get(key) is None:
            if one.needed:
                node.refuse(key, "there")
            continue
        for reader in one.readers:
            reader(node, key)
        if one.inside:
            _walk(node.child(key), one.inside)
        if one.each:
            for element in node.objects(key):
                _walk(element, one.each)


def _digits(node: Outside, key: str) -> None:
    """A version that is compared with another one."""
    found = node.text(key)
    if found and not (found.isascii() and found.isdecimal() and len(found) < 20):
        node.refuse(key, "a whole number in quotes")


def _seconds(node: Outside, key: str) -> None:
    """A duration that can be added to a time."""
    if node.count(key) > _YEAR_S:
        node.refuse(key, "less than a year")


_YEAR_S = 366 * 86_400
_READERS: Mapping[str, Callable[[Outside, str], Any]] = {
    "text": Outside.text, "count": Outside.count, "flag": Outside.flag, "table": Outside.table, "child": Outside.child,
    "objects": Outside.objects, "texts": Outside.texts, "time": Outside.time_s, "digits": _digits, "seconds": _seconds,
}  # fmt: skip


def _parse(row: str) -> dict[str, _Field]:
    fields: dict[str, _Field] = {}
    for path, _, word in (part.rpartition(":") for part in f"{_METADATA} {row}".split()):
        *above, name = path.split(".")
        known = fields
        for part in above:
            parent = known.setdefault(part.removesuffix("[]"), _Field())
            known = parent.each if part.endswith("[]") else parent.inside
        one = known.setdefault(name, _Field())
        one.readers.append(_READERS[word.rstrip("!")])
        one.needed |= word.endswith("!")
    return fields


_PARSED = {kind: _parse(row) for kind, row in {"": "", **_SHAPES}.items()}
