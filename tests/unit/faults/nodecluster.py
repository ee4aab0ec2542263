"""Two pods on two nodes, a control plane with the ingress, and a small API server over real HTTP."""

# ruff: noqa: ARG002 (the arguments are those of NodeShell)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from faults.podcluster import Object, Stage, endpoints, pod

from rollproof.clients.nodes import Ran
from rollproof.core.target import FaultSettings, Fences, Ingress, Nodes
from rollproof.faults.processes import LOOK

__all__ = ["FENCES", "INGRESS", "FakeShell", "away", "carry", "furnish", "node", "on", "removed"]

FENCES = Fences(namespaces=("shop",), nodes="pool=shop")
INGRESS = Ingress(namespace="ingress", selector="app=ingress")


def node(name: str, *, ready: str = "True", labels: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": {"pool": "shop"} if labels is None else labels},
        "spec": spec, "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }  # fmt: skip


def on(place: str, item: Object) -> Object:
    return {**item, "spec": {**item["spec"], "nodeName": place}}


def removed(stage: Stage, name: str) -> None:
    """The node is taken out of the cluster, as by an autoscaler."""
    super(type(stage.api), stage.api).remove("nodes", name)


def furnish(stage: Stage) -> None:
    """web-1 on node a, web-2 on node b, the ingress on the control plane; all watched."""
    for item in (node("a"), node("b"), node("cp", labels={"node-role.kubernetes.io/control-plane": ""})):
        stage.api.put("nodes", item)
    stage.api.put("pods", on("a", pod("web-1", "10.0.0.1")))
    stage.api.put("pods", on("b", pod("web-2", "10.0.0.2")))
    entry = pod("entry-1", "10.0.1.1", namespace="ingress")
    stage.api.put("pods", on("cp", {**entry, "metadata": {**entry["metadata"], "ownerReferences": []}}))
    stage.api.put("endpointslices", endpoints("10.0.0.1", "10.0.0.2"))
    seen = stage.live.watches
    placed = lambda: [one.node for name, one in seen.pods().items() if name.startswith("web")] == ["a", "b"] or None  # noqa: E731
    assert seen.poll(placed, timeout_s=60)


class FakeShell:
    """What `NodeShell` offers, in a cluster whose node a goes silent and comes back. `does`: whether it is felt."""

    stage: Stage
    refused = ""
    does = True
    returns = True
    dropped: set[str] = set()  # noqa: RUF012 - one for all shells of a test, which are made anew for each request
    paused = False
    stopped = False
    ran: list[str] = []  # noqa: RUF012
    armed_s: list[float] = []  # noqa: RUF012

    def __init__(self, settings: Nodes, kube: object) -> None:
        self.settings = settings

    def why_not(self, name: str) -> str:
        return self.refused

    def run(self, name: str, argv: Sequence[str], timeout_s: float = 15.0) -> Ran:
        cls, script = type(self), argv[-1]
        cls.ran.append(script)
        if argv[0] == "iptables":
            return Ran(0, "-P INPUT ACCEPT\n", "")
        if " -I " in script:
            cls.dropped = {"INPUT", "FORWARD", "OUTPUT"}
            self._silent()
        elif " -D " in script:
            count, cls.dropped = len(cls.dropped), set()
            self._back(count > 0)
            return Ran(0, f"{count}\n", "")
        elif script == LOOK:
            state = "T" if cls.stopped else "S"
            return Ran(0, f"7 (kubelet) {state} 1 {'0 ' * 17}900\n8 (web) S 1 {'0 ' * 17}901\n", "")
        elif "kill -STOP 7" in script:
            cls.stopped = True
            self._silent()
        elif "kill -CONT 7" in script:
            cls.stopped = False
            self._back(True)
        return Ran(0, "", "")

    def is_paused(self, name: str) -> bool:
        return self.paused

    def pause(self, name: str, *, again_after_s: float) -> bool:
        cls = type(self)
        if cls.paused:
            return False
        cls.armed_s.append(again_after_s)
        cls.paused = True
        self._silent()
        return True

    def unpause(self, name: str) -> bool:
        cls = type(self)
        was, cls.paused = cls.paused, False
        self._back(was)
        return was

    def _silent(self) -> None:
        if self.does:
            self.stage.api.put("nodes", node("a", ready="Unknown"))
            self.stage.api.put("endpointslices", endpoints("10.0.0.2"))

    def _back(self, was: bool) -> None:
        if was and self.returns:
            self.stage.api.put("nodes", node("a"))
            self.stage.api.put("endpointslices", endpoints("10.0.0.1", "10.0.0.2"))


def away(stage: Stage, monkeypatch: pytest.MonkeyPatch, module: str) -> type[FakeShell]:
    """A shell of this test, in place of the one that the module would make; short limits."""
    furnish(stage)
    shell = type(
        "Shell", (FakeShell,), {"stage": stage, "ran": [], "armed_s": [], "dropped": set()}
    )  # fmt: skip
    monkeypatch.setattr(f"{module}.NodeShell", shell)
    limits = FaultSettings(
        effect_within_s=0.5, recovery_limits_s={stage.fault.name: 1.5}, spot_factor=0.005, hold_s=0.05
    )
    stage.target = replace(stage.target, fences=FENCES, ingress=INGRESS, faults=limits, nodes=Nodes(access="docker"))
    stage.live = replace(stage.live, target=stage.target)
    return shell


def carry(stage: Stage, place: str, name: str, namespace: str) -> None:
    """Another team's pod on that node."""
    item = pod(name, "10.0.2.1", namespace=namespace)
    stage.api.put("pods", on(place, {**item, "metadata": {**item["metadata"], "labels": {}}}))
