"""Node lost: a node's network is dead from one moment to the next, as of a machine that is gone.

Unplanned: what clients had open to its pods hangs until they give up, and new connections time out until the cluster
takes the pods out of the Service. Kubernetes' clocks and the entry's time-outs decide how long; the target file says
how long it may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof.clients.nodes import NodeShell
from rollproof.faults.node_away import NodeAway
from rollproof.faults.packets import drop_all, let_through, why_no_firewall

__all__ = ["FAULT", "NodeLost"]


class NodeLost(NodeAway):
    """By rules in the node itself: processes run on, and the kubelet's probes fail too, so that containers restart."""

    name = "node-lost"
    loss_by_design = True
    peers = "Krkn node_stop and node_crash, Litmus node-poweroff, chaosd network partition"
    how = "all its packets are dropped, in and out and through"
    back = "the rules are taken away"
    timer = "in the node"
    back_s = 25.0

    def chosen(self, shell: NodeShell, node: str) -> Mapping[str, Any] | str:
        """Its firewall must be there."""
        return why_no_firewall(shell, node) or {}

    def begin(self, shell: NodeShell, args: Mapping[str, Any]) -> str:
        """One command."""
        drop_all(shell, args["name"], args["mark"], for_at_most_s=args["at_most_s"])
        return ""

    def end(self, shell: NodeShell, args: Mapping[str, Any]) -> bool:
        """Only the rules with our mark."""
        return let_through(shell, args["name"], args["mark"])


FAULT = NodeLost()
