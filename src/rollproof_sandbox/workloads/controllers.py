"""Controllers: one thread with an event loop that runs all workload behaviour of the cluster.

A change of the store queues the objects that it concerns; they are handled one after the other, in order, and an object
is in the queue once at most, as in the real controllers' work queues. Nothing is polled.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rollproof_sandbox
from rollproof_sandbox.api.store import Change, Store, StoreError
from rollproof_sandbox.processes import Processes
from rollproof_sandbox.settings import Settings
from rollproof_sandbox.workloads.deployments import STATUS, Deployments
from rollproof_sandbox.workloads.endpoints import Endpoints, Routes
from rollproof_sandbox.workloads.images import Images
from rollproof_sandbox.workloads.kubelet import Kubelet
from rollproof_sandbox.workloads.objects import Key, controller_of, key_of
from rollproof_sandbox.workloads.pods import AddressBook, Node
from rollproof_sandbox.workloads.replicasets import ReplicaSets

__all__ = ["APP_SERVER", "Controllers"]

APP_SERVER = Path(rollproof_sandbox.__file__).parent / "app" / "server.py"
_AGAIN_S = 0.05  # after a conflict with another writer
_STOP_S = 5.0
_log = logging.getLogger(__name__)


class Controllers:
    """Deployment, ReplicaSet and EndpointSlice controllers, the scheduler, the kubelet and the ingress controller.

    `routes` is called with the ready addresses ("ip:port") and whether a first rollout has begun, at each change.
    `failed` collects unexpected errors. `table`: the folder of the jobs' runs, "" for none.
    """

    def __init__(
        self, store: Store, settings: Settings, processes: Processes, addresses: AddressBook,
        routes: Callable[[list[str], bool], None] = lambda _addresses, _rolled_out: None, *,
        failed: Callable[[BaseException], None] = lambda _: None, app_server: Path = APP_SERVER,
        table: str = "",
    ) -> None:  # fmt: skip
        self._fail = failed
        self._store = store
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="workloads", daemon=True)
        self._unsubscribe: Callable[[], None] = lambda: None
        self._waiting: dict[Key, None] = {}  # queued keys, in order
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        cluster = settings.cluster
        self._deployments = Deployments(store, self._later)
        self._replicasets = ReplicaSets(store, self._later, seed=settings.seed, orphan_old_pod=cluster.orphan_old_pod)
        self._node = Node(
            store, processes, addresses, Images(settings), app_server, table=table, stuck_s=cluster.stuck_terminating_s,
            rolled_out=self.has_rolled_out,
        )  # fmt: skip
        self._kubelet = Kubelet(self._node, self._fail)
        self._endpoints = Endpoints(store, lag_s=cluster.endpoint_lag_s, seed=settings.seed)
        self._routes = Routes(store, routes, self.has_rolled_out)

    def start(self) -> None:
        """Start; objects that are in the store count as just created."""
        self._thread.start()
        self._unsubscribe = self._store.subscribe(self._heard)
        for kind in ("Service", "Deployment", "ReplicaSet", "Pod", "Ingress"):
            for item in self._store.list(kind):
                self._heard(Change("ADDED", item, None, kind, ""))

    def stop(self) -> None:
        """End the thread and all processes of pods. The store stays as it is."""
        self._unsubscribe()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=_STOP_S)
        self._node.graves.close()

    def has_rolled_out(self) -> bool:
        """Whether a rollout that replaces pods has begun."""
        return self._deployments.rolled_out

    # -- the loop -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(self._unhandled)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._kubelet.stop())
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        finally:
            self._loop.close()

    def _heard(self, change: Change) -> None:
        """Called from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._take, change)
        except RuntimeError:
            return  # the loop is closed

    def _take(self, change: Change) -> None:
        """On the loop: queue the objects that the change concerns."""
        try:
            self._share(change)
        except Exception as error:  # noqa: BLE001 - one bad object must not end the whole cluster
            self._fail(error)

    def _share(self, change: Change) -> None:
        item, kind = change.object, change.kind
        if kind in ("Deployment", "ReplicaSet"):
            self._enqueue(key_of(item))
        if kind in ("ReplicaSet", "Pod"):
            self._enqueue_owner(change)
        if kind == "Pod":
            self._kubelet.heard(change)
            self._endpoints.heard_pod(change)
        if kind == "Service":
            self._endpoints.heard_service(change)
        if kind in ("EndpointSlice", "Ingress"):
            self._routes.look()

    def _enqueue_owner(self, change: Change) -> None:
        """Queue the owner before and after; for an orphan, all that could adopt it."""
        item = change.object
        namespace = item["metadata"]["namespace"]
        for one in (item, change.old):
            owner = controller_of(one) if one else {}
            if owner:
                self._enqueue((owner["kind"], namespace, owner["name"]))
        if change.kind == "Pod" and not controller_of(item):
            for replicaset in self._store.list("ReplicaSet", namespace):
                self._enqueue(key_of(replicaset))

    def _enqueue(self, key: Key) -> None:
        if key not in self._waiting:
            self._waiting[key] = None
            self._loop.call_soon(self._turn)

    def _later(self, key: Key, seconds: float) -> None:
        """Queue the key after that time; of several requests the earliest counts."""
        if not seconds:
            self._enqueue(key)
            return
        due_s, timer = self._loop.time() + seconds, self._timers.get(key)
        if timer is not None and self._loop.time() < timer.when() <= due_s and not timer.cancelled():
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = self._loop.call_at(due_s, self._enqueue, key)

    def _turn(self) -> None:
        key = next(iter(self._waiting))
        del self._waiting[key]
        sync = {
            "Deployment": self._deployments.sync, STATUS: self._deployments.write_status,
            "ReplicaSet": self._replicasets.sync,
        }.get(key[0])  # fmt: skip
        try:
            if sync is not None:
                sync(key)
        except StoreError as error:
            _log.info("%s %s/%s: %s; tried again", *key, error)
            self._later(key, _AGAIN_S)
        except Exception as error:  # noqa: BLE001 - one bad object must not end the whole cluster
            self._fail(error)

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._fail(context.get("exception") or RuntimeError(context["message"]))
