"""Packet loss: each tenth packet to and from one pod is dropped, as on a bad line; what is lost is sent again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof.clients.nodes import NodeShell
from rollproof.faults.packets import count_dropped, drop_some, let_some_through, why_no_firewall
from rollproof.faults.pod_packets import PodPackets

__all__ = ["FAULT", "PacketLoss"]

_PERCENT = 10  # each way: above that TCP's own patience decides, and no setting of the app


class PacketLoss(PodPackets):
    """By rules in FORWARD of the pod's node, so that the kubelet's own probes are not met."""

    name = "packet-loss"
    peers = "Litmus pod-network-loss and Chaos Mesh NetworkChaos loss (netem, in the pod's network)"
    how = f"{_PERCENT} % of its packets are dropped, at random, in and out"
    back = "the rules are taken away"
    what = "dropped"

    def why_not(self, shell: NodeShell, args: Mapping[str, Any]) -> str:
        """The node's firewall must be there."""
        return why_no_firewall(shell, args["node"])

    def begin(self, shell: NodeShell, args: Mapping[str, Any]) -> str:
        """One command."""
        drop_some(
            shell, args["node"], args["mark"], args["ip"], percent=_PERCENT, for_at_most_s=args["at_most_s"]
        )  # fmt: skip
        return ""

    def met(self, shell: NodeShell, args: Mapping[str, Any]) -> int:
        """As the rules count them."""
        return count_dropped(shell, args["node"], args["mark"], args["ip"])

    def end(self, shell: NodeShell, args: Mapping[str, Any]) -> bool:
        """Only the rules with our mark."""
        return let_some_through(shell, args["node"], args["mark"], args["ip"], percent=_PERCENT)


FAULT = PacketLoss()
