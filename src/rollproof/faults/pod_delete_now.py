"""Pod delete now: one ready pod of the Deployment is ended with a grace period of 1 s, as by a crash that is noticed.

Abrupt loss: preStop is cut and requests under way are lost, as many as the target's traffic budget allows. The kubelet
still confirms the end, so that never two pods run as one. A grace period of 0 takes the object away first and leaves a
ghost: that is another fault.
"""

from __future__ import annotations

from collections.abc import Iterable

from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Injected, LiveContext, Void
from rollproof.faults.leaving import PodsLeave, delete_pods, deployment_of, no_spare, pods_args, ready_pods, why_none

__all__ = ["FAULT", "PodDeleteNow"]

_GRACE_S = 1


class PodDeleteNow(PodsLeave):
    """Deletes by uid with a grace period of 1 s; pods of a StatefulSet are never chosen."""

    name = "pod-delete-now"
    peers = "Litmus pod-delete with FORCE (grace 0), Chaos Mesh pod-kill (grace 0), Karpenter's forced termination (1)"

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look at pods is every run's."""
        return each_verb("delete", "pods", target.cluster.namespace, "to delete one pod at once")

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
            change=f"abrupt loss: deleted with a grace period of {_GRACE_S} s (uid {pod.uid}), 1 of {len(ready)}",
            undo="none needed: its ReplicaSet makes another one",
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One DELETE with the uid as its precondition."""
        return delete_pods(injection, live, grace_s=_GRACE_S)


FAULT = PodDeleteNow()
