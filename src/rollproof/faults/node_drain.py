"""Node drain: a node is cordoned and the Deployment's pods on it are evicted, as for its maintenance.

Planned operation: no request may be lost. Other pods stay where they are: whatever else a real drain would move is
another team's. A PodDisruptionBudget that never lets a pod go is a drain that never ends, and so a failure.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import Kube
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Injected, LiveContext, Void
from rollproof.faults.budgets import budgets_of_pod, forbidden
from rollproof.faults.cordon import cordon, evict_all, forbidding, uncordon
from rollproof.faults.leaving import PodsLeave, pods_args
from rollproof.faults.nodes import OfOneNode, Taken, node_permissions, take_node
from rollproof.store.journal import Undone

__all__ = ["FAULT", "NodeDrain", "drain_args", "drain_permissions", "take_drainable"]


class NodeDrain(OfOneNode, PodsLeave):
    """Cordon first, in one request; then one eviction a pod, asked for again while a budget forbids it."""

    name = "node-drain"
    kinds = frozenset({"Node"})
    peers = "kubectl drain, chaosk8s drain_nodes, Litmus node-drain, Karpenter and the cluster autoscaler"

    def permissions(self, target: Target) -> Iterable[Permission]:
        """On nodes, to evict, and to read the budgets."""
        return drain_permissions(target)

    def available(self, context: Context) -> Injection | Skip:
        """The node with most of the pods among those that may be taken, if no budget forbids its drain."""
        taken, reason = take_drainable(context)
        if taken is None:
            return context.skip(self, reason)
        return context.injection(
            self, f"Node/{taken.name}", args=drain_args(context, taken),
            change=f"cordoned, and its pods {', '.join(taken.pods)} are evicted, {len(taken.pods)} of {taken.members}",
            undo="uncordoned, if we have cordoned it; the pods stay where they went",
            dead_man="none possible (a Role names no node): it stays cordoned until `rollproof undo`",
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """The cordon, then the evictions; a budget has until the recovery limit to let them go."""
        until_s = time.monotonic() + injection.limit_s
        if why := cordon(live.kube, injection.args):
            return Void(why)
        asked = evict_all(live, injection.args, until_s=until_s)
        return Injected({"uid": injection.args["uid"], "evicted": asked.granted, "forbidden": asked.forbidden})

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | None:
        """The node takes no more pods; that its pods leave is asked of the recovery, for a budget may forbid it."""
        node = live.watches.node(injection.args["name"])
        if node is None or not node.unschedulable:
            return None
        return Effect(f"{injection.subject} is cordoned", tuple(injection.args["pods"].values()))

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """As many others as before must serve, and the old pods be gone."""
        return forbidding(live, injection.args) or super().missing(injection, live)

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Uncordoned, if it has our mark."""
        return uncordon(kube, args)


def drain_permissions(target: Target) -> Iterable[Permission]:
    """What a drain of the app's pods needs."""
    namespace = target.cluster.namespace
    yield from node_permissions(target)
    yield from each_verb("patch", "nodes", "", "to cordon one node, and to uncordon it")
    yield from each_verb("get", "pods", namespace, "to read the labels that budgets select")
    yield from each_verb("list", "poddisruptionbudgets", namespace, "to say which budget forbids", group="policy")
    yield from each_verb("create", "pods", namespace, "to evict its pods", subresource="eviction")


def drain_args(context: Context, taken: Taken) -> dict[str, Any]:
    """Of the node, its pods, and the mark that says that the cordon is ours."""
    args = pods_args(context.target.cluster.namespace, taken.pods, taken.members)
    return {**args, "kind": "Node", "name": taken.name, "uid": taken.uid, "mark": secrets.token_hex(8)}


def take_drainable(context: Context, *, with_all: bool = False) -> tuple[Taken | None, str]:
    """A node that may be taken (`take_node`) and whose pods may leave now, and ""; else None, and why."""
    taken, reason = take_node(context, with_all=with_all)
    if taken is None:
        return None, reason
    namespace = context.target.cluster.namespace
    for name in taken.pods:
        if why := forbidden(budgets_of_pod(context.kube, namespace, name)):
            return None, f"node {taken.name} cannot be drained: pod {name} cannot be evicted: {why}"
    return taken, ""


FAULT = NodeDrain()
