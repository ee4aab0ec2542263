"""The types of the conformance list: a row, its steps and watches, and the objects that rows work on.

A row creates its object, watches it, does its steps and has the expected response of each and the expected events in
order. Strings that start with `$` in bodies and queries stand for values of the last response: $version, $uid, $name.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NAMESPACE = "rollproof-conformance"  # the list's own, made and removed by it
JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
GONE = object()  # in `holds`: the field is missing
ANY = object()  # in `holds`: the field exists


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request and its response. `path` is appended to the object's URL ("" the object, None its collection)."""

    method: str
    status: int
    path: str | None = ""
    whole_path: str = ""  # instead of all of that
    body: Any = None
    content: str = "application/json"
    query: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    message: str = ""  # a regular expression of the whole message
    holds: Mapping[str, Any] = field(default_factory=dict)  # JSON pointer -> value
    version: str = ""  # "same" or "new": the resourceVersion that is answered
    generation: int | None = None  # expected increase of metadata.generation
    manager: str = "rollproof"
    kind: str = ""  # if not the row's
    other: str = ""  # another object: the suffix of its name
    owned: Mapping[str, Any] = field(default_factory=dict)  # manager -> its fieldsV1


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """How a row watches: until the mark that comes after the steps, unless a field says otherwise."""

    since: str = "$version"
    labels: str = "row=$name"
    fields: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    until_end: bool = False  # until the server ends it
    until_events: bool = False  # a controller sends the events: wait for as many as the row has
    late: bool = False  # it begins after the steps, and gets the earlier events


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the list."""

    name: str
    kind: str
    steps: tuple[Step, ...]
    events: tuple[str, ...] = ()
    watched: Watched | None = field(default_factory=Watched)
    seeded: bool = True
    seed: Mapping[str, Any] = field(default_factory=dict)  # a merge patch of the kind's object


_LABELS = {"row": "$name", "app": "$name"}
_CONTAINER = {
    "name": "shop",
    "image": "registry.local/shop:5f1c0de",
    "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "GREETING", "value": "hello"}],
    "ports": [{"containerPort": 8080, "name": "http"}],
    "resources": {"limits": {"memory": "128Mi", "cpu": "500m"}},
    "volumeMounts": [{"name": "tmp", "mountPath": "/cache"}],
}
_POD = {
    "containers": [_CONTAINER],
    "volumes": [{"name": "tmp", "emptyDir": {}}],
    "automountServiceAccountToken": False,
}
_SEEDS: dict[str, dict[str, Any]] = {
    "ConfigMap": {"apiVersion": "v1", "data": {"GREETING": "hello", "LOG_LEVEL": "info"}},
    "Service": {
        "apiVersion": "v1",
        "spec": {"selector": {"app": "$name"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    },
    "Deployment": {  # paused and empty: the real controllers only note that they saw it
        "apiVersion": "apps/v1",
        "spec": {
            "replicas": 0,
            "paused": True,
            "selector": {"matchLabels": {"app": "$name"}},
            "template": {"metadata": {"labels": {"app": "$name"}}, "spec": _POD},
        },
    },
    "ReplicaSet": {  # empty, for the same reason
        "apiVersion": "apps/v1",
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "$name"}},
            "template": {"metadata": {"labels": {"app": "$name"}}, "spec": _POD},
        },
    },
    "Lease": {
        "apiVersion": "coordination.k8s.io/v1",
        "spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 60, "renewTime": "2026-01-01T00:00:00.000000Z"},
    },
    "Application": {
        "apiVersion": "argoproj.io/v1alpha1",
        "spec": {
            "project": "default",
            "source": {"repoURL": "http://127.0.0.1/env.git", "path": "overlays/dev", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "rollproof-conformance"},
            "syncPolicy": {"automated": {"selfHeal": True}},
        },
    },
    "Pod": {"apiVersion": "v1", "spec": {**_POD, "schedulerName": "nobody"}},  # no node ever takes it
    "EndpointSlice": {"apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4", "endpoints": [], "ports": []},
}
CHANGES: Mapping[str, dict[str, Any]] = {  # a merge patch that changes the main content of the kind
    "ConfigMap": {"data": {"GREETING": "bye"}},
    "Service": {"spec": {"selector": {"app": "other"}}},
    "Deployment": {"spec": {"revisionHistoryLimit": 5}},
    "Lease": {"spec": {"holderIdentity": "other"}},
    "Application": {"spec": {"project": "other"}},
    "Pod": {"spec": {"activeDeadlineSeconds": 100}},
    "EndpointSlice": {"endpoints": [{"addresses": ["10.0.0.1"]}]},
}
KINDS = tuple(CHANGES)  # the kinds of every general row
CHANGED: Mapping[str, dict[str, Any]] = {
    "ConfigMap": {"/data/GREETING": "bye", "/data/LOG_LEVEL": "info"},
    "Service": {"/spec/selector/app": "other"},
    "Deployment": {"/spec/revisionHistoryLimit": 5},
    "Lease": {"/spec/holderIdentity": "other"},
    "Application": {"/spec/project": "other", "/spec/source/path": "overlays/dev"},
    "Pod": {"/spec/activeDeadlineSeconds": 100},
    "EndpointSlice": {"/endpoints/0/addresses/0": "10.0.0.1"},
}


def seed_of(kind: str, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The kind's object under a row's name."""
    item = copy.deepcopy(_SEEDS[kind])
    metadata = {"name": name, "labels": dict(_LABELS)}
    return dict(merged_with({"kind": kind, "metadata": metadata, **item}, changes))


def merged_with(item: Any, changes: Any) -> Any:
    if not isinstance(item, dict) or not isinstance(changes, Mapping):
        return copy.deepcopy(changes)
    merged = dict(item)
    for key, value in changes.items():
        merged[key] = merged_with(merged.get(key), value)
    return merged


def filled(value: Any, words: Mapping[str, str]) -> Any:
    """The value with its `$` words replaced."""
    if isinstance(value, Mapping):
        return {key: filled(inner, words) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [filled(inner, words) for inner in value]
    if isinstance(value, str) and "$" in value:
        for word, meaning in words.items():
            value = value.replace(word, meaning)
    return value


def patch(body: Any, how: str = MERGE, status: int = 200, **more: Any) -> Step:
    return Step(method="PATCH", body=body, content=how, status=status, **more)


def get(status: int = 200, **more: Any) -> Step:
    return Step(method="GET", status=status, **more)


def delete(status: int = 200, **more: Any) -> Step:
    return Step(method="DELETE", status=status, **more)


def post(body: Any, status: int = 201, **more: Any) -> Step:
    return Step(method="POST", path=None, body=body, status=status, **more)


def put(body: Any, status: int = 200, **more: Any) -> Step:
    return Step(method="PUT", body=body, status=status, **more)


def row(kind: str, name: str, *steps: Step, events: tuple[str, ...] = (), **more: Any) -> Row:
    return Row(name=f"{kind.lower()}-{name}", kind=kind, steps=steps, events=events, **more)
