"""Kubelet frozen: the node's kubelet stands still (SIGSTOP) and all pods on it run on.

The cluster calls the node lost and takes its pods out of the Service, and nobody may feel anything: they serve, and
others do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof.clients.nodes import NodeAccessError, NodeShell
from rollproof.faults.deadman import armed
from rollproof.faults.node_away import NodeAway
from rollproof.faults.processes import LOOK, NOT_THERE, Process, kill_script, parse

__all__ = ["FAULT", "KubeletFrozen"]

_NAME = "kubelet"


class KubeletFrozen(NodeAway):
    """Stopped, not ended: who is ended is started again by systemd within half a second."""

    name = "kubelet-frozen"
    peers = "Krkn stop_kubelet, Litmus kubelet-service-kill (both end it)"
    how = "its kubelet is stopped (SIGSTOP)"
    back = "the kubelet goes on (SIGCONT)"
    timer = "in the node"
    back_s = 15.0

    def chosen(self, shell: NodeShell, node: str) -> Mapping[str, Any] | str:
        """The one process of that name, by its pid and start time."""
        found = [one for one in _processes(shell, node) if one.name == _NAME]
        if len(found) != 1:
            return f"{len(found)} processes in node {node} are named {_NAME}, expected one"
        return {"pid": found[0].pid, "started": found[0].started}

    def begin(self, shell: NodeShell, args: Mapping[str, Any]) -> str:
        """One command, bound to that process."""
        stop, go_on = (kill_script(signal, args["pid"], args["started"]) for signal in ("STOP", "CONT"))
        ran = shell.run(args["name"], armed(go_on, args["at_most_s"], stop))
        if ran.code == NOT_THERE:
            return f"the kubelet of node {args['name']} with pid {args['pid']} was gone when it was to be stopped"
        return f"kill -STOP {args['pid']} in node {args['name']} failed: {ran.err.strip()}" if ran.code else ""

    def end(self, shell: NodeShell, args: Mapping[str, Any]) -> bool:
        """SIGCONT, if that process is there and stopped."""
        who = (int(args["pid"]), int(args["started"]))  # from a journal, and a part of a script
        if not any(one.who == who and one.stopped for one in _processes(shell, args["name"])):
            return False
        ran = shell.run(args["name"], ("sh", "-c", kill_script("CONT", *who)))
        if ran.code not in (0, NOT_THERE):
            raise NodeAccessError(f"kill -CONT {args['pid']} in node {args['name']} failed: {ran.err.strip()}")
        return True


def _processes(shell: NodeShell, node: str) -> tuple[Process, ...]:
    return parse(shell.run(node, ("sh", "-c", LOOK)).out)


FAULT = KubeletFrozen()
