"""Pods: the lifecycle of one pod: pull, run, probes, restarts with back-off, and termination with preStop and grace.

A pod is a real process with an address of its own. Follows the kubelet of 1.37: drills judge by what is written into
the status, and when. All pods share one event loop; nothing here may block it for long.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rollproof_sandbox.api.store import Object, Store
from rollproof_sandbox.processes import Child, Processes, script_words
from rollproof_sandbox.workloads.graves import Graves
from rollproof_sandbox.workloads.images import Images, PullError, tag_of
from rollproof_sandbox.workloads.objects import controller_of
from rollproof_sandbox.workloads.podstatus import ContainerLife, pod_status
from rollproof_sandbox.workloads.probes import Probe, watch

__all__ = ["MANAGER", "AddressBook", "Node", "PodLife"]

MANAGER = "kubelet"
_BACK_OFF_FIRST_S, _BACK_OFF_MAX_S = 10.0, 300.0
_SEEN_S = 1.0  # the kubelet's next sync of a pod after an error
_MIN_GRACE_S = 2.0  # what SIGTERM gets when preStop has used up the grace period
_SILENT_S = 120.0  # how long a removed pod's address does not answer, before another pod may get it
_CLEANUP_S = 0.15  # from the last container's end to the pod's removal: volumes, network, reports


class AddressBook(Protocol):
    """Assigns addresses to pods (`addresses.Addresses`)."""

    @property
    def node(self) -> str:
        """The node's own address."""

    def take(self) -> str:
        """An address for a pod."""

    def give_back(self, address: str) -> None:
        """Release a pod's address."""


@dataclass(slots=True)
class Node:
    """What all pods of the node share. `table`: the folder of their jobs' runs.

    `stuck_s`: extra time for which the next ready old pod stays Terminating.
    """

    store: Store
    processes: Processes
    addresses: AddressBook
    images: Images
    script: Path
    graves: Graves = field(default_factory=Graves)
    table: str = ""
    stuck_s: float = 0.0
    rolled_out: Callable[[], bool] = lambda: False


class PodLife:
    """One pod from its binding to its removal. `delete` and `kill` are called on the event loop."""

    def __init__(self, node: Node, pod: Object) -> None:
        self._node = node
        self._pod = pod
        self._metadata = pod["metadata"]
        self._container = pod["spec"]["containers"][0]
        self._life = ContainerLife(self._container["name"], self._container["image"])
        self._deleted, self._sick = asyncio.Event(), asyncio.Event()
        self._ip = ""
        self._port = int((self._container.get("ports") or [{}])[0].get("containerPort", 8080))
        self._child: Child | None = None
        self._probing: list[asyncio.Task[None]] = []
        self._back_off_s = 0.0
        self._grace_s = float(pod["spec"].get("terminationGracePeriodSeconds", 30))

    def delete(self, grace_s: float) -> None:
        """Start its termination."""
        self._grace_s = grace_s
        self._deleted.set()

    def kill(self) -> None:
        """End it at once: it is gone from the API, or the sandbox ends."""
        if self._child is not None:
            self._child.kill()

    async def gone(self) -> None:
        """Wait for its process to end."""
        if self._child is not None:
            await _end_of(self._child)

    async def run(self) -> None:
        """Run the lifecycle; returns when the pod is removed."""
        try:
            if not self._deleted.is_set():
                self._write()
                await self._serve()
            if self._child is None:
                self._life.settle()
            else:
                await self._leave()
            self._write(at_end=True)
            await asyncio.sleep(_CLEANUP_S)
            self._remove()
        finally:
            self.kill()
            self._node.images.forget(self._metadata["uid"])
            self._bury()

    # -- while it lives -----------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Run containers, one after the other, until the pod is deleted. A running one is left to `_leave`."""
        while not self._deleted.is_set():
            if not self._life.ran and not await self._pull():
                continue
            self._start()
            code = await self._while_running()
            if code is None:
                return
            self._child = None
            self._life.end(code)
            self._write()
            await self._pause(_SEEN_S)
            if self._back_off_s and not self._deleted.is_set():
                self._life.wait("CrashLoopBackOff", f"back-off {self._back_off_s:g}s restarting failed container")
                self._write()
            await self._pause(self._back_off_s)
            self._back_off_s = min(max(2 * self._back_off_s, _BACK_OFF_FIRST_S), _BACK_OFF_MAX_S)

    async def _pull(self) -> bool:
        if not self._ip:
            self._ip = self._node.addresses.take()
        try:
            self._node.images.pull(self._container["image"])
        except PullError as error:
            self._life.wait("ErrImagePull", str(error))
            self._write()
            await self._pause(_SEEN_S)
            self._life.wait("ImagePullBackOff", f'Back-off pulling image "{self._container["image"]}": {error}')
            self._write()
            self._back_off_s = min(max(2 * self._back_off_s, _BACK_OFF_FIRST_S), _BACK_OFF_MAX_S)
            await self._pause(self._back_off_s)
            return False
        self._back_off_s = 0.0
        return True

    def _start(self) -> None:
        node, image = self._node, self._container["image"]
        app = node.images.app_for(image, controller_of(self._pod).get("uid", ""), self._metadata["uid"])
        first = {
            "app": asdict(app), "sha": tag_of(image), "old_sha": node.images.note_running(image),
            "pod": self._metadata["name"], "ip": self._ip, "port": self._port, "table": node.table,
        }  # fmt: skip
        self._child = node.processes.start(script_words(node.script), name=self._metadata["name"], first=first)
        self._life.run()
        self._write()

    async def _while_running(self) -> int | None:
        """The exit code when the container ends by itself or by its liveness probe; None when the pod is deleted."""
        assert self._child is not None  # noqa: S101 - for mypy: it was started just now
        self._sick.clear()
        probes = [asyncio.create_task(one) for one in self._probes()]
        ended = asyncio.create_task(_end_of(self._child))
        waits = [ended, asyncio.create_task(self._deleted.wait()), asyncio.create_task(self._sick.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if self._deleted.is_set():
                return None
            if not ended.done():  # the liveness probe failed
                await self._stop_container(self._child, self._grace_s)
            return await ended
        finally:
            keep = self._deleted.is_set()  # readiness is probed until the container ends
            for task in (*waits, *probes[: 0 if keep else None]):
                task.cancel()
            if keep:
                self._probing = probes

    def _probes(self) -> list[Coroutine[Any, Any, None]]:
        readiness, liveness = (Probe.of(self._container, f"{name}Probe") for name in ("readiness", "liveness"))
        found = []
        if readiness is None:
            found.append(self._note_ready(True))
        else:
            found.append(watch(readiness, self._ip, self._note_ready))
        if liveness is not None:
            found.append(watch(liveness, self._ip, self._note_alive))
        return found

    async def _note_ready(self, good: bool) -> None:
        if self._life.ready is not good and "running" in self._life.state:
            self._life.ready = good
            self._write()

    async def _note_alive(self, good: bool) -> None:
        if not good:
            self._sick.set()

    async def _pause(self, seconds: float) -> None:
        """Sleep, but wake up when the pod is deleted."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._deleted.wait(), seconds)

    # -- its end ------------------------------------------------------------------------------------------------

    async def _leave(self) -> None:
        child = self._child
        assert child is not None  # noqa: S101 - for mypy: only called with a running container
        try:
            await _before(child, self._stuck_s())
            code = await self._stop_container(child, self._grace_s)
        finally:
            for task in self._probing:
                task.cancel()
        self._child = None
        self._life.end(code)
        self._node.graves.dig(self._ip, self._port)

    def _bury(self) -> None:
        """Release the address after every proxy has stopped using it."""
        node, ip = self._node, self._ip

        def free() -> None:
            node.graves.fill(ip)
            node.addresses.give_back(ip)

        if ip:
            asyncio.get_running_loop().call_later(_SILENT_S, free)

    def _stuck_s(self) -> float:
        """Defect: the first old pod of a rollout is stopped that much later."""
        node = self._node
        stuck_s = 0.0
        if node.stuck_s and self._life.ready and node.rolled_out():
            stuck_s, node.stuck_s = node.stuck_s, 0.0
        return stuck_s

    async def _stop_container(self, child: Child, grace_s: float) -> int:
        """preStop, SIGTERM, the rest of the grace period, SIGKILL; without a grace period at once SIGKILL."""
        if not grace_s:
            child.kill()
            return await _end_of(child)
        prestop_s = _prestop_s(self._container)
        await _before(child, min(prestop_s, grace_s))
        if not child.ended.is_set():
            child.signal(signal.SIGTERM)
        await _before(child, max(grace_s - prestop_s, _MIN_GRACE_S))
        if not child.ended.is_set():
            child.kill()
        return await _end_of(child)

    def _remove(self) -> None:
        self._node.store.delete(
            "Pod", self._metadata["namespace"], self._metadata["name"], uid=self._metadata["uid"], manager=MANAGER,
            grace_s=0,
        )  # fmt: skip

    def _write(self, *, at_end: bool = False) -> None:
        def change(item: Object) -> None:
            if item["metadata"]["uid"] == self._metadata["uid"]:
                item["status"] = pod_status(
                    item.get("status") or {}, self._life, host_ip=self._node.addresses.node, pod_ip=self._ip,
                    at_end=at_end,
                )  # fmt: skip

        metadata = self._metadata
        self._node.store.mutate(
            "Pod", metadata["namespace"], metadata["name"], change, manager=MANAGER, subresource="status"
        )


def _prestop_s(container: Object) -> float:
    """How long the preStop hook takes: a sleep, or a command that sleeps."""
    hook = (container.get("lifecycle") or {}).get("preStop") or {}
    command = " ".join((hook.get("exec") or {}).get("command") or ())
    found = re.search(r"sleep ([0-9.]+)", command)
    return float(found[1] if found else (hook.get("sleep") or {}).get("seconds", 0))


async def _before(child: Child, seconds: float) -> None:
    """Sleep for that long, or until the process ends."""
    if seconds > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(_end_of(child), seconds)


async def _end_of(child: Child) -> int:
    """The exit code, when the process has ended."""
    loop = asyncio.get_running_loop()
    try:
        handle = os.pidfd_open(child.pid)
    except ProcessLookupError:
        return child.wait() or 0
    gone = asyncio.Event()
    loop.add_reader(handle, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    return child.wait() or 0
