"""A19: null, absent and empty are one thing, for every field that is read from a cluster."""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from fakeapi import FakeApi
from house.syntax import nodes
from hypothesis import given
from hypothesis import strategies as st

import rollproof
from rollproof.clients.argo import application_state, automation
from rollproof.clients.kube import Kube, Object
from rollproof.core.outside import Outside, without_nulls
from rollproof.errors import OutsideDataError
from rollproof.faults.objects import declared, manager_of, read_field
from rollproof.faults.selfheal import fairness
from rollproof.faults.selfheal.trial import Trial
from rollproof.probes.views import DeploymentView, EndpointSliceView, PodView, ReplicaSetView, label_selector

_SOURCE = {"repoURL": "http://git/env.git", "path": "overlays/dev", "targetRevision": "main"}
_TRIAL = Trial(name="replicas", namespace="shop", object_name="shop", path=("spec", "replicas"), value=3)
_METADATA: Object = {
    "name": "shop", "namespace": "shop", "uid": "u1", "resourceVersion": "7", "generation": 2,
    "labels": {"pod-template-hash": "abc", "kubernetes.io/service-name": "shop"},
    "annotations": {"deployment.kubernetes.io/revision": "3", "argocd.argoproj.io/refresh": "normal"},
    "deletionTimestamp": "2026-11-28T10:00:00Z",
    "ownerReferences": [{"kind": "ReplicaSet", "name": "shop-abc"}],
    "managedFields": [
        {"manager": "argocd-controller", "operation": "Update", "time": "2026-11-28T10:00:00Z",
         "fieldsV1": {"f:spec": {"f:replicas": {}}}},
    ],
}  # fmt: skip
_CONTAINER = {
    "name": "app",
    "image": "shop:1",
    "env": [{"name": "A", "value": "b"}],
    "resources": {"limits": {"cpu": "1"}},
}
_CONTAINER_STATUS = {
    "name": "app", "imageID": "sha256:1", "restartCount": 1, "ready": True,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}, "terminated": {"reason": "Error"}},
}  # fmt: skip
_TEMPLATE = {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [_CONTAINER]}}

APPLICATION: Object = {
    "metadata": _METADATA,
    "operation": {"sync": {"revision": "r2"}},
    "spec": {
        "source": _SOURCE, "project": "default", "destination": {"namespace": "shop"},
        "syncPolicy": {"automated": {"enabled": True, "selfHeal": True, "prune": True}},
        "ignoreDifferences": [
            {"group": "apps", "kind": "Deployment", "name": "shop", "namespace": "shop",
             "jsonPointers": ["/spec/replicas"]},
        ],
    },
    "status": {
        "sync": {"status": "Synced", "revision": "r1", "comparedTo": {"source": _SOURCE}},
        "health": {"status": "Healthy"},
        "conditions": [{"type": "SyncError", "message": "no"}],
        "resources": [{"kind": "Deployment", "name": "shop", "namespace": "shop"}],
        "operationState": {
            "phase": "Succeeded", "startedAt": "2026-11-28T10:00:00Z", "finishedAt": "2026-11-28T10:00:01Z",
            "message": "done", "syncResult": {"revision": "r1"},
            "operation": {"initiatedBy": {"automated": True, "username": "x"}, "sync": {"autoHealAttemptsCount": 2}},
        },
    },
}  # fmt: skip
POD: Object = {
    "metadata": _METADATA,
    "spec": {"containers": [_CONTAINER], "nodeName": "n1"},
    "status": {
        "phase": "Running", "podIP": "10.0.0.1", "reason": "Evicted", "containerStatuses": [_CONTAINER_STATUS],
        "initContainerStatuses": [{"name": "i", "state": {"terminated": {"reason": "Completed"}}}],
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-28T10:00:00Z"}],
    },
}  # fmt: skip
REPLICASET: Object = {
    "metadata": _METADATA, "spec": {"template": _TEMPLATE},
    "status": {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2},
}  # fmt: skip
DEPLOYMENT: Object = {
    "metadata": _METADATA,
    "spec": {
        "replicas": 2, "paused": True, "template": _TEMPLATE,
        "selector": {
            "matchLabels": {"app": "shop"},
            "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}],
        },
    },
    "status": {
        "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2,
        "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}],
    },
}  # fmt: skip
ENDPOINTSLICE: Object = {
    "metadata": _METADATA,
    "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True, "serving": True, "terminating": False}}],
}


def _causes(application: Object) -> Any:
    state = application_state(application)
    return fairness.causes(application, state, _TRIAL, controller_ready=True, window_denied=None)


READERS: dict[str, tuple[Callable[[Object], Any], Object]] = {
    "state of an Application": (application_state, APPLICATION),
    "self-heal is on": (automation, APPLICATION),
    "causes": (_causes, APPLICATION),
    "ignored differences": (partial(fairness.covered_by_ignore, trial=_TRIAL), APPLICATION),
    "pod": (partial(PodView.of, container="app"), POD),
    "first container of a pod": (PodView.of, POD),
    "replicaset": (ReplicaSetView.of, REPLICASET),
    "deployment": (DeploymentView.of, DEPLOYMENT),
    "selector": (label_selector, DEPLOYMENT),
    "endpointslice": (EndpointSliceView.of, ENDPOINTSLICE),
    "declared field": (partial(declared, path=("spec", "replicas")), DEPLOYMENT),
    "field manager": (partial(manager_of, path=("spec", "replicas")), DEPLOYMENT),
    "field": (partial(read_field, path=("spec", "template", "spec", "containers", "name=app", "image")), DEPLOYMENT),
}


def _places(item: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every key of every map in the object."""
    for key, value in item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ():
        if isinstance(item, dict):
            yield (*above, key)
        yield from _places(value, (*above, key))


_READS = {name for name, value in vars(Outside).items() if callable(value) and not name.startswith("_")} | {"get"}


@cache
def _asked_for() -> frozenset[str]:
    """Every key that our code (all but the sandbox) asks a map for."""
    root = Path(rollproof.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        if "sandbox" in path.relative_to(root).parts:
            continue
        for node in nodes(path):
            named = node.args[0] if isinstance(node, ast.Call) and node.args else None
            if isinstance(named, ast.Constant) and isinstance(node.func, ast.Attribute) and node.func.attr in _READS:  # type: ignore[union-attr]
                found.add(named.value)
    return frozenset(name for name in found if isinstance(name, str))


def _outcome(reader: Callable[[Object], Any], item: Object) -> Any:
    try:
        return reader(copy.deepcopy(item))
    except (KeyError, TypeError, OutsideDataError):  # a field that every such object has
        return "refused"


@pytest.mark.parametrize("name", READERS)
def test_a19_null_is_absent_in_every_place(name: str) -> None:
    reader, item = READERS[name]
    for place in _places(item):
        without, with_null = copy.deepcopy(item), copy.deepcopy(item)
        for one, change in ((without, dict.pop), (with_null, lambda at, key: at.update({key: None}))):
            at: Any = one
            for part in place[:-1]:
                at = at[part]
            change(at, place[-1])  # type: ignore[operator]
        absent, null = _outcome(reader, without), _outcome(reader, with_null)
        assert absent == null, place


@pytest.mark.parametrize("name", READERS)
def test_a19_a_key_that_is_asked_for_and_null_changes_nothing(name: str) -> None:
    reader, item = READERS[name]
    names = _asked_for()
    assert {"operation", "automated", "argocd.argoproj.io/refresh", "restartCount"} <= names

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {**dict.fromkeys(names), **{key: filled(one) for key, one in value.items()}}
        return [filled(one) for one in value] if isinstance(value, list) else value

    thin = json.loads(json.dumps(item))
    thin.pop("status", None)
    thin.pop("operation", None)
    thin["metadata"] = {"name": "shop", "namespace": "shop"}
    for one in (item, thin):
        assert reader(filled(one)) == reader(one)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(item=st.dictionaries(st.text(max_size=3), _json, max_size=4))
def test_a19_no_null_field_comes_through_the_edge(item: Object) -> None:
    cleaned = without_nulls(item)

    def maps(value: Any) -> Iterator[Object]:
        if isinstance(value, dict):
            yield value
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from maps(one)

    assert all(value is not None for one in maps(cleaned) for value in one.values())
    assert without_nulls(cleaned) == cleaned


def test_a19_answers_lists_and_watches_bring_no_nulls(tmp_path: Path) -> None:
    api = FakeApi()
    with api.serve(tmp_path) as kubeconfig:
        kube = Kube("fake", str(kubeconfig))
        api.put("applications", {"metadata": {"name": "shop", "annotations": None}, "operation": None, "spec": {}})
        assert "operation" not in kube.get("Application", "argocd", "shop")
        listed = kube.list("Application", "argocd")
        assert ["operation" in one for one in listed["items"]] == [False]
        watch = kube.watch("Application", "argocd", resource_version=listed["metadata"]["resourceVersion"])
        api.put("applications", {"metadata": {"name": "shop"}, "operation": None, "spec": {"a": [{"b": None}]}})
        heard = next(iter(watch))[1]
        watch.close()
        assert ("operation" in heard, heard["spec"]) == (False, {"a": [{}]})
        api.next_answers.append(("pods", 200, {"items": None, "metadata": {"resourceVersion": "1"}}))
        assert kube.list("Pod", "shop")["items"] == []
