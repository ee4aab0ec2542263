"""What the tests on the lab wait for before they begin (tests/kind/lab_rest.py)."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from lab_rest import unrest

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
Object = dict[str, Any]


def thing(kind: str, name: str, namespace: str = "app", **more: Any) -> Object:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, "generation": 3}, **more}


def at_rest() -> dict[str, Object]:
    counts = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}
    daemons = {
        "observedGeneration": 3, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 3,
    }  # fmt: skip
    application = {
        "sync": {"status": "Synced", "revision": "head"}, "health": {"status": "Healthy"},
        "operationState": {"phase": "Succeeded"},
    }  # fmt: skip
    node = {"kind": "Node", "metadata": {"name": "worker"}, "spec": {}}
    held = {"holderIdentity": "run", "renewTime": "2026-01-01T11:00:00.000000Z", "leaseDurationSeconds": 60}
    return {
        "Application": thing("Application", "app", status=application, operation=None),
        "Deployment": thing("Deployment", "web", spec={"replicas": 2}, status=counts),
        "StatefulSet": thing("StatefulSet", "none", spec={"replicas": 0}, status={"observedGeneration": 3}),
        "DaemonSet": thing("DaemonSet", "ingress", spec={}, status=daemons),
        "Pod": thing("Pod", "web-1"),
        "Node": {**node, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
        "Lease": thing("Lease", "rollproof", spec=held),  # of a run that was killed an hour ago
    }


def said(objects: dict[str, Object]) -> list[str]:
    return unrest(objects.values(), "head", ("app",), now=NOW)


def test_a_lab_that_is_well_is_at_rest() -> None:
    assert said(at_rest()) == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "words"),
    [
        ("Application", ("status", "sync", "revision"), "older", "is Synced, Healthy, at older"),
        ("Application", ("status", "health", "status"), "Progressing", "Progressing"),
        ("Application", ("operation",), {"sync": {}}, "in the middle of a sync"),
        ("Application", ("metadata", "annotations"), {"argocd.argoproj.io/refresh": "normal"}, "has argocd"),
        ("Deployment", ("status", "replicas"), 3, "not complete"),
        ("Deployment", ("status", "observedGeneration"), 2, "not complete"),
        ("DaemonSet", ("status", "numberReady"), 2, "not complete"),
        ("Pod", ("metadata", "deletionTimestamp"), "2026-01-01T00:00:00Z", "being deleted"),
        ("Pod", ("metadata", "labels"), {"app.kubernetes.io/managed-by": "rollproof"}, "left by a run"),
        ("Node", ("spec", "unschedulable"), True, "takes no pods"),
        ("Lease", ("spec", "renewTime"), "2026-01-01T11:59:30.000000Z", "is held by run"),
    ],
)  # fmt: skip
def test_what_is_still_to_come_is_named(kind: str, path: tuple[str, ...], value: Any, words: str) -> None:
    objects = deepcopy(at_rest())
    place = objects[kind]
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    (one,) = said(objects)
    assert words in one


def test_of_other_namespaces_nothing_counts() -> None:
    objects = {"other": thing("Pod", "leaving", "elsewhere")}
    objects["other"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert said(objects) == []
