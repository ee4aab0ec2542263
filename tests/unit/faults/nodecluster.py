"""Two pods on two nodes, a control plane with the ingress, and a small API server over real HTTP."""

from __future__ import annotations

from typing import Any

from faults.podcluster import Object, Stage, endpoints, pod

from rollproof.core.target import Fences, Ingress

__all__ = ["FENCES", "INGRESS", "furnish", "node", "on", "removed"]

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
    assert seen.poll(placed, timeout_s=5)
