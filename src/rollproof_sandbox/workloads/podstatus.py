"""PodStatus: the status that the kubelet writes for a pod. Pure except for the wall clock.

Follows the kubelet of 1.37 (pkg/kubelet/status): conditions with the time of their last transition, one container.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Any

from rollproof_sandbox.api.store import Object
from rollproof_sandbox.workloads.objects import now

__all__ = ["ContainerLife", "image_id", "pod_status"]


def image_id(image: str) -> str:
    """The id of an image on the node: the same for the same reference, as if tags never moved."""
    return "sha256:" + hashlib.sha256(image.encode()).hexdigest()


@dataclass(slots=True)
class ContainerLife:
    """The app's container as the kubelet knows it. `state` and `last` are states of the API."""

    name: str
    image: str
    state: Object = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last: Object = field(default_factory=dict)
    ready: bool = False
    restarts: int = 0
    ran: bool = False
    container_id: str = ""

    def wait(self, reason: str, message: str = "") -> None:
        """It cannot run now."""
        if "terminated" in self.state:
            self.last = self.state
        self.state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        self.ready = False

    def run(self) -> None:
        """It runs; its process has just been started."""
        if "terminated" in self.state:
            self.last = self.state
        self.restarts += int(self.ran)
        self.ran, self.ready = True, False
        self.container_id = f"containerd://{uuid.uuid4().hex * 2}"
        self.state = {"running": {"startedAt": now()}}

    def end(self, code: int) -> None:
        """Its process has ended; a negative code is the signal that ended it."""
        code = 128 - code if code < 0 else code
        began = (self.state.get("running") or {}).get("startedAt", now())
        self.ready = False
        self.state = {
            "terminated": {
                "exitCode": code, "reason": "Error" if code else "Completed", "startedAt": began, "finishedAt": now(),
                "containerID": self.container_id,
            }
        }  # fmt: skip

    def settle(self) -> None:
        """The pod ends while no container runs: the last one's end counts, and none at all is a failure."""
        if "terminated" in self.last and "waiting" in self.state:
            self.state = self.last
        elif "terminated" not in self.state:
            text = "The container could not be located when the pod was terminated"
            self.state = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": text}}

    def described(self) -> Object:
        """The entry in containerStatuses."""
        ids: dict[str, Any] = {"containerID": self.container_id, "imageID": image_id(self.image)} if self.ran else {}
        return {
            "name": self.name, "image": self.image, "imageID": "", **ids, "state": self.state, "lastState": self.last,
            "ready": self.ready, "restartCount": self.restarts, "started": "running" in self.state,
        }  # fmt: skip


def pod_status(old: Object, life: ContainerLife, *, host_ip: str, pod_ip: str, at_end: bool) -> Object:
    """The pod's status. `at_end`: nothing will be started any more, so that an ended container ends the pod."""
    if at_end and "terminated" in life.state:
        phase = "Failed" if life.state["terminated"]["exitCode"] else "Succeeded"
    else:
        phase = "Running" if life.ran else "Pending"
    why = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "ContainersNotReady")
    unready = {"reason": why, "message": f"containers with unready status: [{life.name}]"}
    if why != "ContainersNotReady":
        unready = {"reason": why}
    held = bool(pod_ip) and phase in ("Running", "Pending")
    truths: tuple[tuple[str, bool, Object], ...] = (
        ("PodReadyToStartContainers", held, {}),
        ("Initialized", True, {"reason": "PodCompleted"} if phase == "Succeeded" else {}),
        ("Ready", life.ready, {} if life.ready else unready),
        ("ContainersReady", life.ready, {} if life.ready else unready),
        ("PodScheduled", True, {}),
    )
    conditions = [_condition(old, name, true, more) for name, true, more in truths]
    addresses = {"podIP": pod_ip, "podIPs": [{"ip": pod_ip}]} if pod_ip else {}
    return {
        "phase": phase, "conditions": conditions, "hostIP": host_ip, "hostIPs": [{"ip": host_ip}], **addresses,
        "startTime": old.get("startTime") or now(), "containerStatuses": [life.described()], "qosClass": "Burstable",
    }  # fmt: skip


def _condition(old: Object, name: str, true: bool, more: Object) -> Object:
    before = next((one for one in old.get("conditions") or () if one["type"] == name), None)
    status = "True" if true else "False"
    since = before["lastTransitionTime"] if before and before["status"] == status else now()
    return {"type": name, "status": status, "lastTransitionTime": since, **more}
