"""Pod packets: what is common to the faults of one pod's network that are made on its node, beside its traffic.

The kubelet's probes come from the node itself. What is done to packets that are forwarded does not meet them; what is
done within the pod's network does, and must stay well below their time-outs.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from rollproof.clients.kube import Kube
from rollproof.clients.nodes import NodeShell
from rollproof.core.counts import many
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Fault, Injected, LiveContext, Void
from rollproof.faults.deadman import held_for_s
from rollproof.faults.inside import container_named
from rollproof.faults.leaving import deployment_of, serving, takeable_pods, too_few
from rollproof.store.journal import Undone

__all__ = ["PodPackets"]


class PodPackets(Fault, ABC):
    """Held. Its args: the pod with its node, ip and container, the "mark" of what is done, "at_most_s", "members".

    how: it in the plan's words. back: what undoes it. what: the packets that it has met, in the effect's words.
    """

    affects_traffic = True
    held = True
    kinds = frozenset({"Pod"})
    how: ClassVar[str]
    back: ClassVar[str]
    what: ClassVar[str]

    @abstractmethod
    def why_not(self, shell: NodeShell, args: Mapping[str, Any]) -> str:
        """Why it cannot be done to that pod; "" if it can. Looks only."""

    @abstractmethod
    def begin(self, shell: NodeShell, args: Mapping[str, Any]) -> str:
        """Do it, with its end armed before; why it was not done, or ""."""

    @abstractmethod
    def met(self, shell: NodeShell, args: Mapping[str, Any]) -> int:
        """How many packets it has met so far, as the node's kernel counts them."""

    @abstractmethod
    def end(self, shell: NodeShell, args: Mapping[str, Any]) -> bool:
        """Take it away; False if it was not there."""

    def permissions(self, target: Target) -> Iterable[Permission]:  # noqa: ARG002 - what is done there asks no API
        """To know the node; what is done there needs no right of the API."""
        return each_verb("get", "nodes", "", "to prove that the node is the cluster's own")

    def available(self, context: Context) -> Injection | Skip:
        """The first ready pod by name, where there is a way into its node."""
        deployment, namespace = deployment_of(context), context.target.cluster.namespace
        ready, reason = takeable_pods(context, deployment)
        if reason:
            return context.skip(self, reason)
        name, pod = next(iter(ready.items()))
        shell = NodeShell(context.target.nodes, context.kube)
        args = {
            "kind": "Pod", "namespace": namespace, "name": name, "uid": pod.uid, "node": pod.node, "ip": pod.ip,
            "container": container_named(context, deployment), "members": len(ready), "mark": secrets.token_hex(8),
            "at_most_s": held_for_s(context.target.faults),
        }  # fmt: skip
        if why := shell.why_not(pod.node) or self.why_not(shell, args):
            return context.skip(self, why)
        hold_s = context.target.faults.hold_s
        return context.injection(
            self, f"Pod/{namespace}/{name}", args=args, undo=self.back,
            change=f"{self.how} (address {pod.ip}, on node {pod.node}), for {hold_s:g} s, 1 of {len(ready)}",
            dead_man=f"a timer in the node, after {args['at_most_s']:g} s",
        )  # fmt: skip

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """The pod of the plan must serve, with all its fellows."""
        args, serve = injection.args, serving(live)
        if args["uid"] not in serve:
            return f"pod {args['name']} with uid {args['uid']} is gone, not ready, or not in the Service"
        return too_few(serve, args["members"])

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One command in the node."""
        shell = NodeShell(live.target.nodes, live.kube)
        if why := self.begin(shell, injection.args):
            return Void(why)
        return Injected({"uid": injection.args["uid"]})

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """The kernel has counted packets that it met; of a pod that is gone it says nothing."""
        args = injection.args
        if gone := _gone(injection, live):
            return Void(gone)
        met = self.met(NodeShell(live.target.nodes, live.kube), args)
        return Effect(f"{many(met, 'packet')} of {injection.subject} {self.what}", (args["uid"],)) if met else None

    def observe(self, injection: Injection, live: LiveContext) -> Void | None:
        """The pod must stay: whether it is ready meanwhile is its own affair."""
        gone = _gone(injection, live)
        return Void(gone) if gone else None

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """All pods serve."""
        return too_few(serving(live), injection.args["members"])

    def undo_on(self, target: Target, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Only what has our mark."""
        if self.end(NodeShell(target.nodes, kube), args):
            return Undone("done")
        return Undone("not-needed", reason="nothing of it is left")


def _gone(injection: Injection, live: LiveContext) -> str:
    """That somebody has taken the pod away meanwhile; "" if not."""
    args, pod = injection.args, live.watches.pods().get(injection.args["name"])
    if pod is None or pod.uid != args["uid"] or pod.terminating:
        return f"pod {args['name']} was taken away by somebody else meanwhile"
    return ""
