"""The small cluster with the kubelets of throw-away copies of the app's pod (`rollproof.faults.copied_pod`)."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults.podcluster import Cluster, Stage

from rollproof.core.target import FaultSettings
from rollproof.faults.copied_pod import CopiesPod

__all__ = ["CopyCluster", "Said", "copy_stage", "pod_of", "then_it_goes_on"]

Said = tuple[str, str]  # why a pod waits, and the id of its image, "" while it has none


def pod_of(deployment: str) -> str:
    """The pod's name."""
    return f"{deployment}-x"


class CopyCluster(Cluster):
    """`said`: by Deployment, what its pod says, one after the other, 0.1 s apart. `goes`: whether pods go with theirs.

    After it has said `refused` a pod says the next thing only when `goes_on` is set.
    """

    def __init__(self, label: str, said: Mapping[str, Sequence[Said]], refused: str) -> None:
        self.label, self.said, self.refused = label, dict(said), refused
        self.goes, self.goes_on = True, threading.Event()
        self.goes_on.set()
        super().__init__()

    def put(self, plural: str, item: Any) -> Any:
        made, name = super().put(plural, item), item["metadata"]["name"]
        if plural == "deployments" and name in self.said:
            threading.Thread(target=self.kubelet, args=(name,)).start()
        return made

    def kubelet(self, deployment: str) -> None:
        name, before = pod_of(deployment), ""
        for reason, image_id in self.said[deployment]:
            if before == self.refused:
                self.goes_on.wait(10)
            before = reason
            status = {"phase": "Pending", "containerStatuses": [
                {"name": "copy", "restartCount": 0, "imageID": image_id, "state": {"waiting": {"reason": reason}}}
            ]}  # fmt: skip
            labels = {"rollproof.io/copy": self.label}
            metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "labels": labels}
            spec = {"containers": [{"name": "copy", "image": "web"}]}
            self.put("pods", {"metadata": metadata, "spec": spec, "status": status})
            time.sleep(0.1)

    def remove(self, plural: str, name: str) -> Any:
        if plural == "deployments" and self.goes and ("pods", pod_of(name)) in self.objects:
            super(Cluster, self).remove("pods", pod_of(name))
        return super(Cluster, self).remove(plural, name)


def copy_stage(
    fault: CopiesPod, api: CopyCluster, folder: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack, *,
    effect_s: float,
) -> Stage:  # fmt: skip
    """The runner on it, with short limits; the small API server does not choose pods by labels, so that names do."""
    prefixes = tuple(api.said)

    def of_copy(injection: Any, live: Any) -> dict[str, Any]:
        pods = live.watches.beside(injection.args["namespace"])
        return {name: one for name, one in pods.items() if name.startswith(prefixes)}

    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    monkeypatch.setattr("rollproof.faults.copied_pod.CopiesPod.of_copy", staticmethod(of_copy))
    stage = Stage(fault, api, folder, stack)
    limits = FaultSettings(effect_within_s=effect_s, hold_s=0.2, recovery_limit_s=1.0)
    stage.target = replace(stage.target, faults=limits)
    stage.live = replace(stage.live, target=stage.target)
    return stage


def then_it_goes_on(stage: Stage, world: CopyCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod that was refused says the next thing when the effect was seen, and it is held for long enough."""
    world.goes_on.clear()
    seen = stage.fault.evidence

    def evidence(injection: Any, live: Any) -> Any:
        if (effect := seen(injection, live)) is not None:
            world.goes_on.set()
        return effect

    monkeypatch.setattr(stage.fault, "evidence", evidence)
    faults = replace(stage.target.faults, hold_s=5.0)
    stage.live = replace(stage.live, target=replace(stage.target, faults=faults))
