"""Nodes: what is common to the faults of a node: which one may be taken, what else runs on it, and is it back.

Never a node of the control plane, of the ingress, or one that all ready pods are on: an outage by construction says
nothing about the app. Which nodes may be touched at all is a fence of its own (`fences.nodes`).
"""

from __future__ import annotations

from abc import ABC
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rollproof.clients.kube import Kube, Object
from rollproof.core.injection import Injection
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Fault, LiveContext, Watching
from rollproof.faults.leaving import deployment_of, not_serving, takeable_pods
from rollproof.probes.views import NodeView, PodView

__all__ = ["OfOneNode", "Taken", "carried", "node_of_plan", "node_permissions", "not_back", "take_node"]

_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_LOST = ("node.kubernetes.io/unreachable=", "node.kubernetes.io/not-ready=")  # taints of the node's life cycle
_MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True)
class Taken:
    """A node that may be taken: with the Deployment's ready pods on it, and how many there are in all."""

    name: str
    uid: str
    pods: Mapping[str, PodView]
    members: int


class OfOneNode(Fault, ABC):
    """A fault of a node that carries pods of the app. Its args: {"name": the node, and those of `pods_args`}."""

    def watched(self, injection: Injection) -> Iterable[Watching]:
        """The node."""
        return (Watching(node=injection.args["name"]),)

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """The node must be one of the cluster, and its pods serve with all their fellows."""
        return not_back(live, injection.args["name"]) or not_serving(injection.args, live)


def node_permissions(target: Target) -> Iterator[Permission]:
    """To look at nodes, and at where the ingress is."""
    yield from each_verb("get list watch", "nodes", "", "to choose a node, and to see what becomes of it")
    if target.ingress.namespace:
        yield from each_verb("list", "pods", target.ingress.namespace, "to spare the node of the ingress")


def take_node(context: Context, *, with_all: bool = False) -> tuple[Taken | None, str]:
    """The node with most ready pods of the Deployment among those that may be taken, and ""; else None, and why.

    with_all: all that runs there is hit: then the one that carries least of others is taken first.
    """
    target = context.target
    if not target.fences.nodes:
        return None, "no node may be touched: fences.nodes in the target file names them by a label selector"
    if not target.ingress.namespace:
        return None, "whether a node carries the ingress is not known: [ingress] namespace and selector say where it is"
    ready, reason = takeable_pods(context, deployment_of(context))
    if reason:
        return None, reason
    allowed = _named(context, target.fences.nodes)
    if not allowed:
        return None, f"no node has the labels of fences.nodes ({target.fences.nodes})"
    listed = context.kube.list("Pod", target.ingress.namespace, labels=target.ingress.selector)["items"]
    entry = {PodView.of(item).node for item in listed}
    hosts = {name for name, item in _named(context, "").items() if not _unfit(item)}
    by_node = {name: {pod: one for pod, one in ready.items() if one.node == name} for name in allowed}
    reasons = {}
    for name, item in allowed.items():
        why = _unfit(item) or _entry_or_all(context, name, by_node[name], len(ready), entry)
        reasons[name] = why or ("" if hosts - {name} else "no other node could take its pods")
    fit = [name for name, why in reasons.items() if not why]
    if not fit:
        return None, "no node can be taken: " + "; ".join(f"{name} {why}" for name, why in sorted(reasons.items()))
    others = {name: _others(context, name).total() if with_all else 0 for name in fit}
    name = min(fit, key=lambda one: (others[one], -len(by_node[one]), one))
    return Taken(name, NodeView.of(allowed[name]).uid, by_node[name], len(ready)), ""


def node_of_plan(kube: Kube, args: Mapping[str, Any]) -> Object | None:
    """The node that the plan names, None if it is gone or its name is another node's now."""
    item = kube.find("Node", "", args["name"])
    return item if item is not None and item["metadata"]["uid"] == args["uid"] else None


def carried(context: Context, node: str) -> str:
    """What else runs on the node, by namespace, as the end of the change's words; "" if nothing does."""
    others = ", ".join(f"{count} of {namespace}" for namespace, count in sorted(_others(context, node).items()))
    return f"; it carries other pods too: {others}" if others else ""


def _others(context: Context, node: str) -> Counter[str]:
    """How many pods of each namespace it carries; not what runs on every node, nor the app's own."""
    listed = context.kube.list("Pod", "", fields=f"spec.nodeName={node}")["items"]
    found: Counter[str] = Counter()
    for item in listed:
        metadata = Outside.of(item, f"a pod of node {node}").child("metadata")
        every = PodView.of(item).owner.startswith(("DaemonSet/", "Node/")) or metadata.child("annotations").has(_MIRROR)
        if not every and metadata.text("namespace") != context.target.cluster.namespace:
            found[metadata.text("namespace")] += 1
    return found


def not_back(live: LiveContext, node: str) -> str:
    """What is missing until the node is one of the cluster again, as the watch shows it; "" if it is."""
    view = live.watches.node(node)
    if view is None:
        return f"node {node} is gone"
    if view.ready != "True":
        return f"node {node} is not Ready: {view.ready}"
    taints = [one for one in view.taints if one.startswith(_LOST)]
    return f"node {node} has the taint {taints[0]}" if taints else ""


def _named(context: Context, labels: str) -> Mapping[str, Object]:
    items: Iterable[Object] = context.kube.list("Node", "", labels=labels)["items"]
    return {str(item["metadata"]["name"]): item for item in items}


def _unfit(item: Object) -> str:
    """Why this node is none that takes pods now; "" if it is."""
    labels, view = Outside.of(item, "a node").child("metadata").table("labels"), NodeView.of(item)
    if any(label in labels for label in _CONTROL_PLANE):
        return "is of the control plane"
    if view.ready != "True":
        return f"is not Ready ({view.ready})"
    return "is cordoned already" if view.unschedulable else ""


def _entry_or_all(context: Context, name: str, pods: Mapping[str, PodView], members: int, entry: set[str]) -> str:
    """Why taking it would say nothing about the app; "" if it would."""
    if not pods:
        return f"carries no ready pod of Deployment {context.target.cluster.deployment}"
    if name in entry:
        return "carries the ingress: losing the entry is no fault of the app"
    if len(pods) == members and not context.target.traffic.downtime_budget_ms:
        return (
            f"carries all {members} ready pods, so nobody would answer, and traffic.downtime_budget_ms allows no outage"
        )
    return ""
