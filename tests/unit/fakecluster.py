"""FakeCluster: objects in memory behind the interface of `Kube`, and an Argo CD that heals them, or not, as told."""

# ruff: noqa: ARG002 (the arguments are those of Kube)

from __future__ import annotations

import copy
import json
import queue
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from rollproof.clients.kube import KINDS, STRATEGIC, ApiError, Object

NAMESPACE, REVISION = "shop", "c" * 40


def deployment() -> Object:
    container = {
        "name": "web", "image": "ghcr.io/shop/web:aaaaaaa", "env": [{"name": "LEVEL", "value": "info"}],
        "resources": {"limits": {"memory": "256Mi"}}, "readinessProbe": {"httpGet": {"path": "/ready", "port": 80}},
    }  # fmt: skip
    template = {"spec": {"containers": [container], "imagePullSecrets": [{"name": "pull"}]}}
    spec = {
        "replicas": 2, "revisionHistoryLimit": 5, "selector": {"matchLabels": {"app": "web"}},
        "template": template,
    }  # fmt: skip
    status = {
        "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
    }  # fmt: skip
    return {**_item("Deployment", "web", spec=spec), "status": status}


def service() -> Object:
    return _item("Service", "web", spec={"clusterIP": "10.0.0.1", "selector": {"app": "web"}})


def configmap() -> Object:
    return _item("ConfigMap", "config", data={"ZONE": "UTC"})


def ingress() -> Object:
    backend = {"service": {"name": "web", "port": {"name": "http"}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    return _item("Ingress", "web", spec={"rules": [{"host": "shop.example", "http": {"paths": paths}}]})


def http_route() -> Object:
    backends = [{"group": "", "kind": "Service", "name": "web", "port": 80, "weight": 1}]
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": backends}]
    spec = {"parentRefs": [{"name": "public"}], "hostnames": ["shop.example"], "rules": rules}
    return _item("HTTPRoute", "web", spec=spec)


def autoscaler() -> Object:
    reference = {"kind": "Deployment", "name": "another"}  # of `web` git declares the replicas
    return _item("HorizontalPodAutoscaler", "web", spec={"scaleTargetRef": reference, "maxReplicas": 4})


def networkpolicy() -> Object:
    return _item("NetworkPolicy", "web", spec={"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]})


def application() -> Object:
    tracked = [
        ("Deployment", "web"), ("Service", "web"), ("ConfigMap", "config"), ("Ingress", "web"), ("HTTPRoute", "web"),
        ("HorizontalPodAutoscaler", "web"), ("NetworkPolicy", "web"),
    ]  # fmt: skip
    past = stamp(datetime.now(UTC) - timedelta(minutes=1))
    return {
        "kind": "Application",
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {"syncPolicy": {"automated": {"selfHeal": True}}},
        "status": {
            "sync": {"status": "Synced", "revision": REVISION},
            "health": {"status": "Healthy"},
            "resources": [
                {"kind": kind, "name": name, "namespace": NAMESPACE}
                | ({"group": group} if (group := KINDS[kind].group) else {})
                for kind, name in tracked
            ],
            "operationState": operation_state(0, past),
        },
    }


def operation_state(attempts: int, at: str) -> Object:
    operation = {"initiatedBy": {"automated": True}, "sync": {"autoHealAttemptsCount": attempts}}
    return {
        "phase": "Succeeded", "startedAt": at, "finishedAt": at, "operation": operation,
        "syncResult": {"revision": REVISION},
    }  # fmt: skip


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _fields(item: Any) -> Object:
    """The item as fieldsV1 names it."""
    if isinstance(item, list):
        return {
            f'k:{{"name":"{one["name"]}"}}': _fields(one) for one in item if isinstance(one, dict) and "name" in one
        }
    return {f"f:{key}": _fields(value) for key, value in item.items()} if isinstance(item, dict) else {}


def _item(kind: str, name: str, **content: Any) -> Object:
    applied = json.dumps({"kind": kind, "metadata": {"name": name}, **content})
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    metadata = {"name": name, "namespace": NAMESPACE, "generation": 1, "annotations": annotations}
    return {"kind": kind, "metadata": metadata, **content}


class FakeWatch:
    def __init__(self) -> None:
        self.events: queue.Queue[tuple[str, Object] | None] = queue.Queue()

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        while (event := self.events.get()) is not None:
            yield event

    def close(self) -> None:
        self.events.put(None)


class FakeCluster:
    """`heals` False: Argo CD does nothing. `deeds` is every write of the harness."""

    def __init__(self, *, heals: bool = True) -> None:
        self.heals = heals
        self.deeds: list[tuple[str, str, str]] = []
        self.conflicts = 0  # so many writes are refused with 409 first
        self.unserved: set[str] = set()  # kinds that this API does not have
        self.git: dict[tuple[str, str], Object] = {}
        self.objects: dict[tuple[str, str], Object] = {}
        self._watches: list[tuple[str, str, FakeWatch]] = []
        self._lock = threading.RLock()
        self._version = 100
        for item in (
            deployment(), service(), configmap(), ingress(), http_route(), autoscaler(), networkpolicy(),
            application(),
        ):  # fmt: skip
            self.put(item)
        self.git = {key: copy.deepcopy(item) for key, item in self.objects.items() if key[0] != "Application"}

    def wall_s(self) -> float:
        """Its clock is this machine's."""
        return time.time()

    def put(self, item: Object, manager: str = "argocd-controller") -> Object:
        with self._lock:
            key = item["kind"], item["metadata"]["name"]
            change = "MODIFIED" if key in self.objects else "ADDED"
            self._version += 1
            item = copy.deepcopy(item)
            item["metadata"]["resourceVersion"] = str(self._version)
            item["metadata"].setdefault("uid", f"uid-{self._version}")
            item["metadata"]["managedFields"] = [{"manager": manager, "time": "now", "fieldsV1": _fields(item)}]
            self.objects[key] = item
            self._send(key, change, item)
            return copy.deepcopy(item)

    def _send(self, key: tuple[str, str], change: str, item: Object) -> None:
        for kind, name, watch in self._watches:
            if (kind, name) == key:
                watch.events.put((change, copy.deepcopy(item)))

    def _heal(self, key: tuple[str, str]) -> None:
        with self._lock:
            declared, live = self.git[key], self.objects.get(key)
            healed = copy.deepcopy(declared)
            if live is None:
                del healed["metadata"]["uid"]
            else:  # a three-way merge: what git does not declare stays
                healed["metadata"] = {**live["metadata"]}
            self.put(healed)
            app = self.objects["Application", "shop"]
            attempts = app["status"]["operationState"]["operation"]["sync"]["autoHealAttemptsCount"] + 1
            app["status"]["operationState"] = operation_state(attempts, stamp(datetime.now(UTC)))
            self.put(app)

    def _changed(self, key: tuple[str, str]) -> None:
        live, declared = self.objects.get(key), self.git[key]
        same = live is not None and all(live.get(word) == declared.get(word) for word in ("spec", "data"))
        if self.heals and not same:
            threading.Thread(target=self._heal, args=(key,)).start()

    # -- what `Kube` offers ------------------------------------------------------------------------------------

    def get(self, kind: str, namespace: str, name: str) -> Object:
        found = self.find(kind, namespace, name)
        if found is None:
            raise ApiError(f"{kind} {name} not found", status=404, reason="NotFound")
        return found

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        with self._lock:
            return copy.deepcopy(self.objects.get((kind, name)))

    def is_unknown(self, kind: str) -> bool:
        return kind in self.unserved

    def list(self, kind: str, namespace: str, *, labels: str = "", fields: str = "") -> Object:
        name = fields.removeprefix("metadata.name=")
        with self._lock:
            items = [item for (k, n), item in self.objects.items() if k == kind and name in ("", n)]
            return {"metadata": {"resourceVersion": str(self._version)}, "items": copy.deepcopy(items)}

    def watch(self, kind: str, namespace: str, *, resource_version: str, labels: str = "", fields: str) -> FakeWatch:
        watch, name = FakeWatch(), fields.removeprefix("metadata.name=")
        with self._lock:
            self._watches.append((kind, name, watch))
            item = self.objects.get((kind, name))
            if item is not None and int(item["metadata"]["resourceVersion"]) > int(resource_version):
                watch.events.put(("MODIFIED", copy.deepcopy(item)))
        return watch

    def _write(self, verb: str, kind: str, name: str, version: str) -> None:
        live = self.objects.get((kind, name))
        if self.conflicts or (live and version and version != live["metadata"]["resourceVersion"]):
            self.conflicts = max(0, self.conflicts - 1)
            raise ApiError("the object has been modified", status=409, reason="Conflict")
        self.deeds.append((verb, kind, name))

    def patch(
        self, kind: str, namespace: str, name: str, body: Object, *, how: str = "", dry_run: bool = False
    ) -> Object:
        with self._lock:
            if how == STRATEGIC and KINDS[kind].custom:
                raise ApiError("the body of the request was in an unknown format", status=415)
            old = self.get(kind, namespace, name)
            new = merged(old, body)
            if dry_run:
                return dict(new)
            self._write("patch", kind, name, body.get("metadata", {}).get("resourceVersion", ""))
            if new == old:
                return old
            reply = self.put(new, "rollproof")
            if kind != "Application":
                self._changed((kind, name))
            return reply

    def delete(self, kind: str, namespace: str, name: str, *, uid: str, resource_version: str) -> Object:
        with self._lock:
            self._write("delete", kind, name, resource_version)
            item = self.objects.pop((kind, name))
            self._send((kind, name), "DELETED", item)
            self._changed((kind, name))
            return {"kind": "Status"}

    def create(self, kind: str, namespace: str, body: Object) -> Object:
        with self._lock:
            if (kind, body["metadata"]["name"]) in self.objects:
                raise ApiError("it exists", status=409, reason="AlreadyExists")
            self.deeds.append(("create", kind, body["metadata"]["name"]))
            return self.put(body, "rollproof")


def merged(old: Any, patch: Any) -> Any:
    """A strategic merge as far as it is used here: lists of named items are merged by name, null removes."""
    if isinstance(old, list) and isinstance(patch, list) and all("name" in one for one in [*old, *patch]):
        changes = {one["name"]: one for one in patch}
        return [merged(one, changes[one["name"]]) if one["name"] in changes else one for one in old]
    if not isinstance(old, dict) or not isinstance(patch, dict):
        return patch
    result = dict(old)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(old.get(key), value) if key in old else value
    return result
