"""DNS away from the cluster: CoreDNS is scaled to 0, so that no pod of the cluster can resolve names, and back again.

All of the cluster feels it, Argo CD too. So it is done only where the target file opens kube-system by name, and only
with a dead-man in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import Kube
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Injected, LiveContext, Void
from rollproof.faults.database_away import DatabaseAway, app_members, probed_within_s
from rollproof.faults.deadman import NO_IMAGE, ActingJob
from rollproof.faults.scaling import RESOURCES, find_scale, replicas_of, scale_back, scale_dead_man, scale_to_zero
from rollproof.store.journal import Undone

__all__ = ["FAULT", "DnsAwayCluster"]

_DNS = {"kind": "Deployment", "namespace": "kube-system", "name": "coredns"}  # of kubeadm, kind, EKS and AKS
_GONE_S = (
    10.0  # CoreDNS goes on answering for 5 s after its end was asked for (lameduck), and its address is a little late
)


class DnsAwayCluster(DatabaseAway):
    """What the app notices is that it cannot find its database: it is asked the same as when that is away.

    Silent: a pod whose NetworkPolicy drops what is sent to nobody waits out each look-up (20 s on the lab).
    """

    name = "dns-away-cluster"
    silent = True
    lingers_s = 30.0  # CoreDNS' cache, and what resolvers keep of a failure
    peers = "Chaos Mesh DNSChaos and Litmus pod-dns-error (single pods); by hand, kubectl scale of coredns"
    kinds = frozenset(RESOURCES)

    def permissions(self, target: Target) -> Iterable[Permission]:  # noqa: ARG002 - it is the same in every cluster
        """On the scale of that one workload; those of the dead-man."""
        namespace = _DNS["namespace"]
        yield from each_verb(
            "get patch", RESOURCES[_DNS["kind"]], namespace, "to scale CoreDNS to 0 and back", group="apps",
            subresource="scale", name=_DNS["name"],
        )  # fmt: skip
        yield from ActingJob.permissions(namespace)

    def dead_man(self, args: Mapping[str, Any], target: Target) -> ActingJob | None:
        """A Job that scales it up again; it needs no DNS itself."""
        return scale_dead_man(target, args, effect_after_s=args["felt_after_s"])

    def available(self, context: Context) -> Injection | Skip:
        """CoreDNS, if it runs and a dead-man can be armed."""
        scale = find_scale(context.kube, _DNS)
        subject = "/".join(_DNS.values())
        if scale is None:
            return context.skip(self, f"there is no {subject}")
        if (replicas := replicas_of(scale)) < 1:
            return context.skip(self, f"{subject} is scaled to {replicas} already")
        after_s = _GONE_S + probed_within_s(context)
        args: dict[str, Any] = {
            **_DNS, "uid": scale["metadata"]["uid"], "original": replicas, "members": app_members(context),
            "felt_after_s": after_s,
        }  # fmt: skip
        dead_man = self.dead_man(args, context.target)
        if dead_man is None:
            return context.skip(self, f"the whole cluster would be left without DNS if rollproof died: {NO_IMAGE}")
        hold_s = context.target.faults.hold_s
        return context.injection(
            self, subject, args=args, effect_after_s=after_s, dead_man=str(dead_man),
            change=f"replicas {replicas} -> 0, for {hold_s:g} s after it was felt; no pod resolves names",
            undo=f"replicas {replicas}, if it still has 0",
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One patch, bound to the version of the scale that was looked at."""
        return scale_to_zero(live.kube, injection.args)

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """The replicas from before, if nobody has changed ours since."""
        return scale_back(kube, args)


FAULT = DnsAwayCluster()
