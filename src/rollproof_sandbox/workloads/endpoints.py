"""Endpoints: from a Service and its pods to its EndpointSlice, and from there to the routing table of the ingress.

Follows the EndpointSlice controller of 1.37 (staging/src/k8s.io/endpointslice), with one slice a Service. Changes of
pods arrive `lag_s` late, each by itself, so that no step is hidden by the lag; a change of a Service arrives at once.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterator

from rollproof_sandbox.api.store import Change, Object, Store
from rollproof_sandbox.workloads.objects import is_ready, key_of, matches, owner_reference
from rollproof_sandbox.workloads.rollout import LETTERS

__all__ = ["Endpoints", "Routes", "endpoint"]

_MANAGER = "kube-controller-manager"
_SERVICE_NAME = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_Place = tuple[str, str]  # namespace, name


def endpoint(pod: Object) -> Object:
    """A pod's entry: a Terminating one stays `serving` while it is ready, and is never `ready`."""
    serving, terminating = is_ready(pod), "deletionTimestamp" in pod["metadata"]
    metadata = pod["metadata"]
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": serving and not terminating, "serving": serving, "terminating": terminating},
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": {
            "kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"],
        },
    }  # fmt: skip


def _has_endpoint(pod: Object) -> bool:
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed")


class Endpoints:
    """The EndpointSlice controller. Everything here runs on the event loop."""

    def __init__(self, store: Store, *, lag_s: float, seed: int = 0) -> None:
        self._store = store
        self._lag_s = lag_s
        self._chance = random.Random(seed)  # noqa: S311 - names of slices, no secret
        self._coming: deque[Change] = deque()
        self._pods: dict[_Place, Object] = {}  # as seen here

    def heard_pod(self, change: Change) -> None:
        """A pod changed: handled after the lag."""
        self._coming.append(change)
        asyncio.get_running_loop().call_later(self._lag_s, self._see)

    def _see(self) -> None:
        change = self._coming.popleft()
        place = key_of(change.object)[1:]
        before = self._pods.pop(place, None)
        if change.type != "DELETED":
            self._pods[place] = change.object
        for service in self._store.list("Service", place[0]):
            selector = {"matchLabels": service["spec"].get("selector") or {}}
            if any(pod is not None and matches(selector, pod) for pod in (before, self._pods.get(place))):
                self._sync(service)

    def heard_service(self, change: Change) -> None:
        """A Service changed. The slice of a deleted one is deleted with its owner."""
        service = self._store.get(*key_of(change.object))
        if service is not None:
            self._sync(service)

    def _sync(self, service: Object) -> None:
        selector = service["spec"].get("selector")
        if not selector:
            return
        metadata = service["metadata"]
        pods = [pod for (namespace, _), pod in sorted(self._pods.items()) if namespace == metadata["namespace"]]
        chosen = [pod for pod in pods if _has_endpoint(pod) and matches({"matchLabels": selector}, pod)]
        content = {"endpoints": [endpoint(pod) for pod in chosen] or None, "ports": _ports(service, chosen) or None}
        there = [
            one for one in self._store.list("EndpointSlice", metadata["namespace"])
            if (one["metadata"].get("ownerReferences") or [{}])[0].get("uid") == metadata["uid"]
        ]  # fmt: skip
        if not there:
            self._create(service, content)
            return

        def change(item: Object) -> None:
            item.update(content)
            item["metadata"]["labels"] = _labels(service)

        self._store.mutate(*key_of(there[0]), change, manager=_MANAGER)

    def _create(self, service: Object, content: Object) -> None:
        metadata = service["metadata"]
        name = f"{metadata['name']}-"
        item = {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", **content,
            "metadata": {
                "generateName": name, "name": name + "".join(self._chance.choices(LETTERS, k=5)),
                "namespace": metadata["namespace"], "labels": _labels(service),
                "ownerReferences": [owner_reference(service)],
            },
        }  # fmt: skip
        self._store.create(item, manager=_MANAGER)


def _labels(service: Object) -> dict[str, str]:
    reserved = {_SERVICE_NAME: service["metadata"]["name"], _MANAGED_BY: "endpointslice-controller.k8s.io"}
    return {**(service["metadata"].get("labels") or {}), **reserved}


def _ports(service: Object, pods: list[Object]) -> list[Object]:
    found = []
    for port in service["spec"].get("ports") or ():
        wanted = port.get("targetPort", port["port"])
        named = {
            one.get("name"): one["containerPort"]
            for pod in pods[:1] for container in pod["spec"]["containers"] for one in container.get("ports") or ()
        }  # fmt: skip
        number = named.get(wanted, wanted)
        if pods and isinstance(number, int):
            found.append({"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")})
    return found


class Routes:
    """The ingress controller's part: the ready addresses of the Services that Ingress objects name."""

    def __init__(self, store: Store, tell: Callable[[list[str], bool], None], rolled_out: Callable[[], bool]) -> None:
        self._store = store
        self._tell = tell
        self._rolled_out = rolled_out
        self._last: list[str] | None = None

    def look(self) -> None:
        """Send the addresses to the ingress if they have changed."""
        now = sorted(set(self._addresses()))
        if now != self._last:
            self._last = now
            self._tell(now, self._rolled_out())

    def _addresses(self) -> Iterator[str]:
        services = {
            (ingress["metadata"]["namespace"], path["backend"]["service"]["name"])
            for ingress in self._store.list("Ingress")
            for rule in ingress["spec"].get("rules") or ()
            for path in (rule.get("http") or {}).get("paths") or ()
        }
        for piece in self._store.list("EndpointSlice"):
            metadata = piece["metadata"]
            if (metadata["namespace"], (metadata.get("labels") or {}).get(_SERVICE_NAME)) not in services:
                continue
            for one in piece.get("endpoints") or ():
                if one["conditions"].get("ready"):
                    yield from (f"{one['addresses'][0]}:{port['port']}" for port in piece.get("ports") or ())
