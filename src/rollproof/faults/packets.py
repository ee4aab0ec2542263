"""Packets: all of a node's network traffic is dropped, by rules of its own firewall, and let through again.

As of a machine that is dead: nobody is refused, all wait. The rules stand first in INPUT, FORWARD and OUTPUT
(kube-proxy and the CNI write theirs behind them), and each holds a mark, so that only ours are ever taken away.
"""

from __future__ import annotations

from rollproof.clients.nodes import NodeAccessError, NodeShell
from rollproof.errors import InputError
from rollproof.faults.deadman import armed

__all__ = ["drop_all", "let_through", "why_no_firewall"]

_EACH = "for t in iptables ip6tables; do for c in INPUT FORWARD OUTPUT; do"
_RULE = '-m comment --comment "rollproof {mark}" -j DROP'
_SHOWN = 200


def why_no_firewall(shell: NodeShell, node: str) -> str:
    """Why its firewall cannot be asked; "" if it can. Reads the rules."""
    ran = shell.run(node, ("iptables", "-w", "5", "-S", "INPUT"))
    return "" if ran.code == 0 else f"iptables cannot be used in node {node}: {ran.err.strip()[:_SHOWN]}"


def drop_all(shell: NodeShell, node: str, mark: str, *, for_at_most_s: float) -> None:
    """Drop every packet to, from and through the node. Armed before: a timer in the node takes the rules away again.

    NodeAccessError if not all rules could be set; then none is left.
    """
    # A node without IPv6 has nothing to drop there.
    rule = f"$t -w 5 -I $c 1 {_RULE.format(mark=mark)} || [ $t = ip6tables ] || exit 1"
    ran = shell.run(node, armed(_undo(mark), for_at_most_s, f"{_EACH} {rule}; done; done"))
    if ran.code != 0:
        let_through(shell, node, mark)
        raise NodeAccessError(f"the packets of node {node} could not be dropped: {ran.err.strip()[:_SHOWN]}")


def let_through(shell: NodeShell, node: str, mark: str) -> bool:
    """Take our rules away; False if there was none."""
    ran = shell.run(node, ("sh", "-c", f"n=0; {_undo(mark)}; echo $n"))
    if ran.code != 0:
        raise NodeAccessError(f"the rules of node {node} could not be taken away: {ran.err.strip()[:_SHOWN]}")
    return ran.out.strip() != "0"


def _undo(mark: str) -> str:
    if not mark.isalnum():  # it comes from a journal, and becomes a part of a script
        raise InputError(f"the mark of a rule has letters and digits only, found {mark!r}")
    rule = f"$t -w 5 -D $c {_RULE.format(mark=mark)}"
    return f"{_EACH} while {rule} 2>/dev/null; do n=$((n+1)); done; done; done"
