"""Pods delete all of node: all pods of the Deployment on one node are deleted gracefully at once.

Planned operation: those on other nodes answer meanwhile. Where there are none it would be an outage by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Injected, LiveContext, Void
from rollproof.faults.leaving import PodsLeave, delete_pods, deployment_of, pods_args, takeable_pods
from rollproof.probes.views import PodView

__all__ = ["FAULT", "PodsDeleteAllOfNode"]


class PodsDeleteAllOfNode(PodsLeave):
    """The node with most of the pods; of several such the first by name."""

    name = "pods-delete-all-of-node"
    peers = "Litmus pod-delete with a node label, Krkn pod scenarios, kubectl delete pod --field-selector spec.nodeName"

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look at pods is every run's."""
        return each_verb("delete", "pods", target.cluster.namespace, "to delete the pods of one node")

    def available(self, context: Context) -> Injection | Skip:
        """All ready pods on the node that has most of them."""
        ready, reason = takeable_pods(context, deployment_of(context))
        if reason:
            return context.skip(self, reason)
        node, pods = _fullest(ready)
        if len(pods) == len(ready) and not context.target.traffic.downtime_budget_ms:
            return context.skip(
                self,
                f"posture, spread: all {len(ready)} ready pods are on node {node}, so nobody would answer, and "
                "traffic.downtime_budget_ms allows no outage; a topologySpreadConstraint would spread them",
            )
        namespace = context.target.cluster.namespace
        return context.injection(
            self, f"Node/{node}", args={**pods_args(namespace, pods, len(ready)), "node": node},
            change=f"its pods {', '.join(pods)} are deleted gracefully at once, {len(pods)} of {len(ready)}",
            undo="none needed: their ReplicaSet makes others",
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One DELETE a pod, one right after the other, each with the uid as its precondition."""
        return delete_pods(injection, live)


def _fullest(ready: Mapping[str, PodView]) -> tuple[str, Mapping[str, PodView]]:
    """The node with most of these pods, and those."""
    nodes: dict[str, dict[str, PodView]] = {}
    for name, pod in ready.items():
        nodes.setdefault(pod.node, {})[name] = pod
    return min(nodes.items(), key=lambda one: (-len(one[1]), one[0]))


FAULT = PodsDeleteAllOfNode()
