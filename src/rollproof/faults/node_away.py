"""Node away: what is common to the faults that make a node silent for a while, however that is done.

The platform's clocks decide what is seen: a node is Unknown, and its pods are out of the Service, 40 to 55 s after its
last word (node-monitor-grace-period 50 s, 40 s before Kubernetes 1.32; looked at every 5 s). Its pods are evicted only
300 s later (tolerationSeconds), so that they are still there when it comes back.
"""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from rollproof.clients.kube import Kube
from rollproof.clients.nodes import NodeShell
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.errors import InputError
from rollproof.faults.base import Context, Effect, Injected, LiveContext, Void
from rollproof.faults.deadman import held_for_s
from rollproof.faults.leaving import pods_args, serving, too_few
from rollproof.faults.nodes import OfOneNode, carried, node_of_plan, node_permissions, not_back, take_node
from rollproof.store.journal import Undone

__all__ = ["GRACE_S", "NodeAway", "away_permissions", "check_limit", "is_away"]

GRACE_S = 60.0  # until the cluster calls a silent node Unknown, at most


class NodeAway(OfOneNode):
    """Held: the node is silent until it is undone. Its args: those of its pods, "name", "uid", "mark", "at_most_s".

    how: it in the plan's words. back: what undoes it. timer: where the dead-man's clock is. back_s: how long the
    kubelet needs after that until its node is Ready, as seen on the lab: no limit can be shorter.
    """

    affects_traffic = True
    kinds = frozenset({"Node"})
    held = True
    how: ClassVar[str]
    back: ClassVar[str]
    timer: ClassVar[str]
    back_s: ClassVar[float]

    @abstractmethod
    def chosen(self, shell: NodeShell, node: str) -> Mapping[str, Any] | str:
        """What else the args must hold of this node, or why it cannot be done there. Looks only."""

    @abstractmethod
    def begin(self, shell: NodeShell, args: Mapping[str, Any]) -> str:
        """Do it, with its end armed before; why it was not done, or ""."""

    @abstractmethod
    def end(self, shell: NodeShell, args: Mapping[str, Any]) -> bool:
        """Take it away; False if it was not there."""

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look; what it does needs no right of the Kubernetes API."""
        return away_permissions(target)

    def available(self, context: Context) -> Injection | Skip:
        """The node with most of the pods among those that may be taken."""
        check_limit(self.name, context.target, self.back_s)
        taken, reason = take_node(context, with_all=True)
        if taken is None:
            return context.skip(self, reason)
        shell = NodeShell(context.target.nodes, context.kube)
        more = shell.why_not(taken.name) or self.chosen(shell, taken.name)
        if isinstance(more, str):
            return context.skip(self, more)
        at_most_s = held_for_s(context.target.faults, effect_after_s=GRACE_S)
        args = pods_args(context.target.cluster.namespace, taken.pods, taken.members)
        args |= {"kind": "Node", "name": taken.name, "uid": taken.uid, "mark": secrets.token_hex(8)}
        return context.injection(
            self, f"Node/{taken.name}", args={**args, "at_most_s": at_most_s, **more},
            change=f"{self.how}, with {', '.join(taken.pods)} ({len(taken.pods)} of {taken.members})"
            f"{carried(context, taken.name)}",
            undo=self.back, dead_man=f"a timer {self.timer} does the same after {at_most_s:g} s",
            effect_after_s=GRACE_S,
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """In the node, or on its machine."""
        why = self.begin(NodeShell(live.target.nodes, live.kube), injection.args)
        return Void(why) if why else Injected({"uid": injection.args["uid"]})

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | None:
        """The cluster has not heard of it, and its pods are out of the Service."""
        if not is_away(injection.args, live):
            return None
        pods = injection.args["pods"]
        return Effect(f"{injection.subject} is Unknown, and {', '.join(pods)} out of the Service", tuple(pods.values()))

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """The node is Ready, without the taints of a lost one, and as many pods as before serve."""
        return not_back(live, injection.args["name"]) or too_few(serving(live), injection.args["members"])

    def undo_on(self, target: Target, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Take it away, if it is there still."""
        if node_of_plan(kube, args) is None:
            return Undone("not-needed", reason=f"node {args['name']} is gone")
        if self.end(NodeShell(target.nodes, kube), args):
            return Undone("done")
        return Undone("not-needed", reason="it is as before")


def away_permissions(target: Target) -> Iterable[Permission]:
    """To choose a node, and to say in the plan what else runs there."""
    yield from node_permissions(target)
    yield from each_verb("list", "pods", "", "to say what else runs on the node")


def check_limit(name: str, target: Target, back_s: float) -> None:
    """InputError if the recovery limit is shorter than the platform's own clocks."""
    limits = target.faults
    limit_s = limits.recovery_limits_s.get(name, limits.recovery_limit_s)
    if limit_s < back_s:
        where = f'faults.recovery_limits_s."{name}"' if name in limits.recovery_limits_s else "faults.recovery_limit_s"
        message = f"{where} is {limit_s:g} s, and a node that was {name.partition('-')[2] or name} is Ready again"
        raise InputError(f"{message} only up to {back_s:g} s later, whatever the app does", f"give it {2 * back_s:g} s")


def is_away(args: Mapping[str, Any], live: LiveContext) -> bool:
    """Whether the watches show that the node is silent and the plan's pods are out of the Service."""
    node, pods, addresses = live.watches.node(args["name"]), live.watches.pods(), live.watches.endpoints()
    if node is None or node.ready != "Unknown":
        return False
    return not any(pods[name].ip in addresses for name in args["pods"] if name in pods)
