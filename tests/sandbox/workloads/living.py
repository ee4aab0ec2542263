"""A cluster for workload tests: the real store, the real controllers, and real app processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from rollproof_sandbox.addresses import Addresses
from rollproof_sandbox.api.store import Change, Object, Store
from rollproof_sandbox.processes import Processes
from rollproof_sandbox.settings import Settings
from rollproof_sandbox.workloads import Controllers

__all__ = ["NAME", "NAMESPACE", "Begin", "World", "container_of", "made", "reason_of"]

NAMESPACE, NAME = "shop", "shop"
_LONG_S = 60.0


class World:
    """The environment of Controllers, with a record of what they did, in order."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store()
        self.processes = Processes()
        self.addresses = Addresses()
        self.changes: list[Change] = []
        self.routes: list[tuple[list[str], bool]] = []
        self.failures: list[BaseException] = []
        self._changed = threading.Condition()
        self.store.subscribe(self._note)
        self.controllers = Controllers(
            self.store, settings, self.processes, self.addresses, self._route, failed=self.failures.append
        )
        self.controllers.start()

    def close(self) -> None:
        self.controllers.stop()
        left = [child.name for child in self.processes.running()]
        self.processes.end_all()
        self.addresses.close()
        assert left == []
        assert self.failures == []

    def _note(self, change: Change) -> None:
        with self._changed:
            self.changes.append(change)
            self._changed.notify_all()

    def _route(self, addresses: list[str], rolled_out: bool) -> None:
        with self._changed:
            self.routes.append((addresses, rolled_out))
            self._changed.notify_all()

    def until(self, wanted: Callable[[], Any], what: str = "") -> Any:
        """Wait for the first true value; checked after each change."""
        end_s = time.monotonic() + _LONG_S
        with self._changed:
            while not (found := wanted()):
                left_s = end_s - time.monotonic()
                assert left_s > 0, f"waited {_LONG_S:g} s for {what or wanted}; pods: {self.described()}"
                self._changed.wait(left_s)
        return found

    # -- actions ------------------------------------------------------------------------------------------------

    def deploy(self, **spec: Any) -> Object:
        """Create Service, Ingress and Deployment, and wait until all of it is available."""
        self.serve()
        self.store.create(self.deployment(**spec), manager="argocd-controller")
        self.until_rolled_out()
        item = self.get()
        self.until(lambda: len(self.ready_addresses()) == item["spec"]["replicas"], "the endpoints")
        return item

    def serve(self) -> None:
        ports = [{"name": "http", "port": 80, "targetPort": "http"}]
        service = {"selector": {"app": NAME}, "ports": ports}
        self.store.create(made("v1", "Service", service), manager="argocd-controller")
        path = {"path": "/", "backend": {"service": {"name": NAME, "port": {"name": "http"}}}}
        ingress = {"rules": [{"host": "shop.sandbox", "http": {"paths": [path]}}]}
        if self.store.get("Ingress", NAMESPACE, NAME) is None:
            self.store.create(made("networking.k8s.io/v1", "Ingress", ingress), manager="argocd-controller")

    def deployment(self, **more: Any) -> Object:
        load = self.settings.workload
        probe = {"path": "/ready", "port": "http"}
        container = {
            "name": "shop",
            "image": f"registry.local/shop:{load.overlay_tag}",
            "ports": [{"name": "http", "containerPort": self.addresses.port}],
            "readinessProbe": {"httpGet": probe, "periodSeconds": 1, "failureThreshold": 2},
            "livenessProbe": {"httpGet": {**probe, "path": "/health"}, "periodSeconds": 1, "failureThreshold": 2},
        }
        if load.prestop_s:
            container["lifecycle"] = {"preStop": {"sleep": {"seconds": load.prestop_s}}}
        pod = {"containers": [container], "terminationGracePeriodSeconds": load.grace_s}
        rolling = {"maxSurge": load.max_surge, "maxUnavailable": load.max_unavailable}
        spec = {
            "replicas": load.replicas,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {"metadata": {"labels": {"app": NAME}}, "spec": pod},
            "progressDeadlineSeconds": load.progress_deadline_s,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            **more,
        }
        return made("apps/v1", "Deployment", spec)

    def change(self, what: Callable[[Object], None], kind: str = "Deployment") -> None:
        assert self.store.mutate(kind, NAMESPACE, NAME, what, manager="argocd-controller") is not None

    def release(self, tag: str) -> None:
        def change(item: Object) -> None:
            item["spec"]["template"]["spec"]["containers"][0]["image"] = f"registry.local/shop:{tag}"

        self.change(change)

    # -- state --------------------------------------------------------------------------------------------------

    def get(self) -> Object:
        found = self.store.get("Deployment", NAMESPACE, NAME)
        assert found is not None
        return found

    def pods(self, tag: str = "") -> list[Object]:
        found = self.store.list("Pod", NAMESPACE)
        return [pod for pod in found if pod["spec"]["containers"][0]["image"].endswith(tag)]

    def condition(self, kind: str) -> Object:
        found = (self.get().get("status") or {}).get("conditions") or []
        return next((one for one in found if one["type"] == kind), {})

    def until_rolled_out(self) -> None:
        def complete() -> bool:
            item = self.get()
            status, wanted = item.get("status") or {}, item["spec"]["replicas"]
            names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
            seen = status.get("observedGeneration") == item["metadata"]["generation"]
            return seen and all(status.get(name, 0) == wanted for name in names)

        self.until(complete, "the rollout")

    def until_only(self, tag: str) -> None:
        self.until(lambda: self.pods() == self.pods(tag), f"only {tag} to run")

    def endpoints(self) -> Object | None:
        found = self.store.list("EndpointSlice", NAMESPACE)
        return found[0] if found else None

    def ready_addresses(self) -> list[str]:
        found = (self.endpoints() or {}).get("endpoints") or ()
        return sorted(one["addresses"][0] for one in found if one["conditions"]["ready"])

    def ask(self, pod: Object, path: str = "/health") -> Any:
        """One request to the pod's process; None if it gives no answer."""
        connection = http.client.HTTPConnection(pod["status"]["podIP"], self.addresses.port, timeout=30)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        return None

    def described(self) -> list[str]:
        return [f"{pod['metadata']['name']} {pod['status'].get('phase')} {reason_of(pod)}" for pod in self.pods()]


def made(api_version: str, kind: str, spec: Object) -> Object:
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": {"app": NAME}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def container_of(pod: Object) -> Object:
    """The app's entry in containerStatuses."""
    return next(iter(pod["status"].get("containerStatuses") or ()), {})


def reason_of(pod: Object) -> str:
    """Why its container waits or has ended; "" while it runs."""
    state = container_of(pod).get("state") or {}
    return next((str(one["reason"]) for one in state.values() if "reason" in one), "")


Begin = Callable[[Settings], World]
