"""Pod evict: one ready pod of the Deployment is evicted, as a node drain does it: a PodDisruptionBudget may say no.

Planned operation: no request may be lost. Where the budget forbids it, it is skipped before anything is touched, with
the budget's numbers: every drain of a node would wait there too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from rollproof.clients.kube import ApiError
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Injected, LiveContext, Void
from rollproof.faults.budgets import Budget, budgets_of_pod, forbidden
from rollproof.faults.leaving import PodsLeave, deployment_of, pods_args, takeable_pods

__all__ = ["FAULT", "PodEvict"]

_AGAIN_S = 0.5  # between two requests that a budget forbade
_FORBIDDEN_NOW = 429


class PodEvict(PodsLeave):
    """Evicts by uid; the dry run of the plan asks the same budget and changes nothing."""

    name = "pod-evict"
    peers = "kubectl drain, chaosk8s drain_nodes, Karpenter's and the cluster autoscaler's evictions"

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To list pods is every run's."""
        namespace = target.cluster.namespace
        yield from each_verb("get", "pods", namespace, "to see which budgets select the pod")
        yield from each_verb("list", "poddisruptionbudgets", namespace, "to say which budget forbids", group="policy")
        yield from each_verb("create", "pods", namespace, "to evict one pod, dry run first", subresource="eviction")

    def available(self, context: Context) -> Injection | Skip:
        """The first ready pod of the Deployment, by name, if its budget allows the eviction now."""
        ready, reason = takeable_pods(context, deployment_of(context))
        if reason:
            return context.skip(self, reason)
        namespace = context.target.cluster.namespace
        name, pod = next(iter(ready.items()))
        budgets = budgets_of_pod(context.kube, namespace, name)
        if reason := forbidden(budgets) or _refused(context, name, pod.uid, budgets):
            return context.skip(self, f"pod {name} cannot be evicted: {reason}")
        by = f"{budgets[0]} allows it" if budgets else "no PodDisruptionBudget selects it"
        return context.injection(
            self, f"Pod/{namespace}/{name}", args=pods_args(namespace, {name: pod}, len(ready)),
            change=f"evicted (uid {pod.uid}), 1 of {len(ready)}; {by}",
            undo="none needed: its ReplicaSet makes another one",
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One eviction with the uid as its precondition, asked for again while a budget forbids it."""
        namespace, (name, uid) = injection.args["namespace"], next(iter(injection.args["pods"].items()))
        until_s, asked = time.monotonic() + injection.effect_within_s, 0
        while True:
            asked += 1
            try:
                live.kube.evict(namespace, name, uid=uid)
            except ApiError as error:
                if error.status in (404, 409):
                    return Void(f"pod {name} with uid {uid} was gone when it was to be evicted")
                if error.status != _FORBIDDEN_NOW:
                    raise
            else:
                return Injected({"uid": uid})
            if time.monotonic() + _AGAIN_S > until_s:
                budgets = (
                    " and ".join(map(str, budgets_of_pod(live.kube, namespace, name)))
                    or "no PodDisruptionBudget of ours"
                )
                waited = f"asked {asked} times within {injection.effect_within_s:g} s"
                return Void(f"the eviction of pod {name} was forbidden each time ({waited}): {budgets}")
            time.sleep(_AGAIN_S)


def _refused(context: Context, name: str, uid: str, budgets: tuple[Budget, ...]) -> str:
    """What the API says to the dry run; "" if it would evict the pod."""
    try:
        context.kube.evict(context.target.cluster.namespace, name, uid=uid, dry_run=True)
    except ApiError as error:
        by = f"; {budgets[0]}" if budgets else ""
        return f"the dry run was answered {error.status} {error.reason}{by}"
    return ""


FAULT = PodEvict()
