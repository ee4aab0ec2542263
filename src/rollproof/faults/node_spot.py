"""Node spot: a spot interruption as its handler sees it: a notice, and two minutes later the machine is gone.

Simulated: nobody here can make a cloud send the notice, so that the handler's part is ours as well (cordon, taint,
eviction of the app's pods), and the loss is that of `node-lost`. Whether pods leave in time is what is tested: no
request may be lost. Compressing the two minutes (`faults.spot_factor`) shortens no pod's start.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import Kube
from rollproof.clients.nodes import NodeShell
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Injected, LiveContext, Void
from rollproof.faults.cordon import cordon, evict_all, uncordon
from rollproof.faults.deadman import held_for_s
from rollproof.faults.leaving import serving, too_few
from rollproof.faults.node_away import GRACE_S, check_limit, is_away
from rollproof.faults.node_drain import drain_args, drain_permissions, take_drainable
from rollproof.faults.nodes import OfOneNode, carried, node_of_plan, not_back
from rollproof.faults.packets import drop_all, let_through, why_no_firewall
from rollproof.store.journal import Undone

__all__ = ["FAULT", "NodeSpot"]

_NOTICE_S = 120.0  # EC2: spot/instance-action in the instance's metadata, best effort
_TAINT = {"key": "rollproof/spot-interruption", "value": "notice", "effect": "NoSchedule"}
_BACK_S = 25.0  # the kubelet says Ready up to 22 s after its packets pass again (lab)


class NodeSpot(OfOneNode):
    """Held from the loss on. Its args: those of a drain, "notice_s" until the loss, "at_most_s" for the timer."""

    name = "node-spot"
    affects_traffic = True
    kinds = frozenset({"Node"})
    held = True
    peers = "AWS FIS send-spot-instance-interruptions, aws-node-termination-handler with the metadata mock"

    def permissions(self, target: Target) -> Iterable[Permission]:
        """Those of a drain; the taint is set with the cordon."""
        yield from drain_permissions(target)
        yield from each_verb("list", "pods", "", "to say what else runs on the node")

    def available(self, context: Context) -> Injection | Skip:
        """A node that can be drained and then be lost."""
        settings = context.target.faults
        check_limit(self.name, context.target, _BACK_S)
        taken, reason = take_drainable(context, with_all=True)
        if taken is None:
            return context.skip(self, reason)
        shell = NodeShell(context.target.nodes, context.kube)
        if reason := shell.why_not(taken.name) or why_no_firewall(shell, taken.name):
            return context.skip(self, reason)
        notice_s = _NOTICE_S * settings.spot_factor
        at_most_s = held_for_s(settings, effect_after_s=GRACE_S)
        return context.injection(
            self, f"Node/{taken.name}",
            args={**drain_args(context, taken), "notice_s": notice_s, "at_most_s": at_most_s},
            change=f"cordoned, tainted and its pods {', '.join(taken.pods)} evicted ({len(taken.pods)} of "
            f"{taken.members}); {notice_s:g} s later (EC2 gives {_NOTICE_S:g} s) all its packets are dropped"
            f"{carried(context, taken.name)}",
            undo="the rules are taken away, then taint and cordon; the pods stay where they went",
            dead_man=f"after {at_most_s:g} s a timer in the node lets packets pass; taint and cordon: none possible",
            effect_after_s=GRACE_S,
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """Notice, eviction, and the loss at its time, whoever is still there then: the machine does not wait."""
        args, lost_s = injection.args, time.monotonic() + injection.args["notice_s"]
        if why := cordon(live.kube, args, taint=_TAINT):
            return Void(why)
        asked = evict_all(live, args, until_s=lost_s)
        gone_s = live.watches.poll(lambda: _gone_s(args, live), timeout_s=lost_s - time.monotonic())
        live.watches.poll(lambda: None, timeout_s=lost_s - time.monotonic())
        drop_all(
            NodeShell(live.target.nodes, live.kube), args["name"], args["mark"], for_at_most_s=args["at_most_s"]
        )  # fmt: skip
        margin = {} if gone_s is None else {"margin_s": round(lost_s - gone_s, 3)}
        return Injected({"uid": args["uid"], "evicted": asked.granted, "forbidden": asked.forbidden, **margin})

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | None:
        """The cluster has not heard of the node, and the old pods are out of the Service."""
        if not is_away(injection.args, live):
            return None
        return Effect(f"{injection.subject} is Unknown", tuple(injection.args["pods"].values()))

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """The node is Ready and takes pods again, and as many pods as before serve."""
        name = injection.args["name"]
        if reason := not_back(live, name):
            return reason
        node = live.watches.node(name)
        if node is not None and node.unschedulable:
            return f"node {name} is cordoned"
        return too_few(serving(live), injection.args["members"])

    def undo_on(self, target: Target, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """The rules first, so that the kubelet comes back; then taint and cordon, if they are ours."""
        if node_of_plan(kube, args) is None:
            return Undone("not-needed", reason=f"node {args['name']} is gone")
        passed = let_through(NodeShell(target.nodes, kube), args["name"], args["mark"])
        undone = uncordon(kube, args, taint=_TAINT)
        return Undone("done") if passed and undone.how == "not-needed" else undone


def _gone_s(args: Mapping[str, Any], live: LiveContext) -> float | None:
    """Now, if none of the plan's pods is left."""
    left = {pod.uid for pod in live.watches.pods().values()} & set(args["pods"].values())
    return None if left else time.monotonic()


FAULT = NodeSpot()
