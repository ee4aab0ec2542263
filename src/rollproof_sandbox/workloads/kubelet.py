"""Kubelet: the only node: binds new pods to itself, and runs every pod of a ReplicaSet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rollproof_sandbox.api.store import Change, Object
from rollproof_sandbox.workloads.objects import controller_of
from rollproof_sandbox.workloads.pods import Node, PodLife

__all__ = ["Kubelet"]

_SCHEDULER = "kube-scheduler"


class Kubelet:
    """Everything here runs on the event loop. `failed` collects unexpected errors of pods."""

    def __init__(self, node: Node, failed: Callable[[BaseException], None]) -> None:
        self._node = node
        self._failed = failed
        self._lives: dict[str, tuple[PodLife, asyncio.Task[None]]] = {}

    def heard(self, change: Change) -> None:
        """A pod changed."""
        pod, uid = change.object, change.object["metadata"]["uid"]
        if change.type == "DELETED":
            if uid in self._lives:
                self._end(uid)
        elif uid in self._lives:
            self._tell(pod)
        elif controller_of(pod).get("kind") == "ReplicaSet":
            if pod["spec"].get("nodeName"):
                self._begin(pod)
            else:
                self._bind(pod)

    async def stop(self) -> None:
        """End all pods at once, and wait for their processes. Their objects stay."""
        lives = [life for life, _ in self._lives.values()]
        for uid in list(self._lives):
            self._end(uid)
        for life in lives:
            await life.gone()

    def _bind(self, pod: Object) -> None:
        name = next((node["metadata"]["name"] for node in self._node.store.list("Node")), "sandbox")

        def change(item: Object) -> None:
            item["spec"]["nodeName"] = name

        metadata = pod["metadata"]
        self._node.store.mutate("Pod", metadata["namespace"], metadata["name"], change, manager=_SCHEDULER)

    def _begin(self, pod: Object) -> None:
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return
        uid, life = pod["metadata"]["uid"], PodLife(self._node, pod)
        task = asyncio.create_task(life.run(), name=f"pod-{pod['metadata']['name']}")
        self._lives[uid] = (life, task)
        task.add_done_callback(lambda done: self._is_over(uid, done))
        self._tell(pod)

    def _tell(self, pod: Object) -> None:
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata:
            self._lives[metadata["uid"]][0].delete(float(metadata.get("deletionGracePeriodSeconds", 30)))

    def _end(self, uid: str) -> None:
        life, task = self._lives[uid]
        life.kill()
        task.cancel()

    def _is_over(self, uid: str, task: asyncio.Task[None]) -> None:
        self._lives.pop(uid, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)
