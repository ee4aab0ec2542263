"""Pod delete: one ready pod of the Deployment is deleted gracefully, as a node drain or a person would.

Planned operation: the ReplicaSet makes another pod at once, and no request may be lost while the old one leaves.
"""

from __future__ import annotations

from collections.abc import Iterable

from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Injected, LiveContext, Void
from rollproof.faults.leaving import PodsLeave, delete_pods, deployment_of, no_spare, pods_args, ready_pods, why_none

__all__ = ["FAULT", "PodDelete"]


class PodDelete(PodsLeave):
    """Deletes by uid, so that a repeated request cannot meet the pod's replacement; with the pod's own grace period."""

    name = "pod-delete"
    peers = "Chaos Mesh pod-kill (grace 0 by default), Litmus pod-delete, Krkn pod scenarios, chaosk8s terminate_pods"

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look at pods is every run's."""
        return each_verb("delete", "pods", target.cluster.namespace, "to delete one pod")

    def available(self, context: Context) -> Injection | Skip:
        """The first ready pod of the Deployment, by name."""
        deployment = deployment_of(context)
        if reason := no_spare(context, deployment):
            return context.skip(self, reason)
        ready = ready_pods(context, deployment)
        if not ready:
            return context.skip(self, why_none(context))
        namespace = context.target.cluster.namespace
        name, pod = next(iter(ready.items()))
        return context.injection(
            self, f"Pod/{namespace}/{name}", args=pods_args(namespace, {name: pod}, len(ready)),
            change=f"deleted gracefully (uid {pod.uid}), 1 of {len(ready)}",
            undo="none needed: its ReplicaSet makes another one",
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One DELETE with the uid as its precondition."""
        return delete_pods(injection, live)


FAULT = PodDelete()
