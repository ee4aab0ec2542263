"""Node pause: all processes of a node stand still, as of a machine that hangs or whose disk does.

Unplanned, and worse than a dead one for clients: the kernel still accepts their connections, and nobody answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof.clients.nodes import NodeShell
from rollproof.faults.node_away import NodeAway

__all__ = ["FAULT", "NodePause"]


class NodePause(NodeAway):
    """`docker pause`. Nothing in the node can end it: the timer is on the machine where rollproof runs."""

    name = "node-pause"
    loss_by_design = True
    peers = "chaosd and Chaos Mesh physical machine faults; Krkn stops its containers instead"
    how = "all its processes are paused"
    back = "they go on"
    timer = "on this machine"
    back_s = 15.0

    def chosen(self, shell: NodeShell, node: str) -> Mapping[str, Any] | str:
        """It must not stand still already."""
        return f"node {node} is paused already" if shell.is_paused(node) else {}

    def begin(self, shell: NodeShell, args: Mapping[str, Any]) -> str:
        """The timer, then the pause."""
        begun = shell.pause(args["name"], again_after_s=args["at_most_s"])
        return "" if begun else f"node {args['name']} was paused by somebody else"

    def end(self, shell: NodeShell, args: Mapping[str, Any]) -> bool:
        """Its processes run again."""
        return shell.unpause(args["name"])


FAULT = NodePause()
