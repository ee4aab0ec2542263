"""Packets: what a node does with network traffic is changed by rules of its own firewall, and changed back.

All of it is dropped (`drop_all`), or a share of what it forwards to and from one address (`drop_some`).

As of a machine that is dead: nobody is refused, all wait. The rules stand first in INPUT, FORWARD and OUTPUT
(kube-proxy and the CNI write theirs behind them), and each holds a mark, so that only ours are ever taken away.
"""

from __future__ import annotations

import ipaddress

from rollproof.clients.nodes import NodeAccessError, NodeShell
from rollproof.errors import InputError
from rollproof.faults.deadman import armed

__all__ = ["count_dropped", "drop_all", "drop_some", "let_some_through", "let_through", "why_no_firewall"]

_EACH = "for t in iptables ip6tables; do for c in INPUT FORWARD OUTPUT; do"
_RULE = '-m comment --comment "rollproof {mark}" -j DROP'
_SHOWN = 200
_IPV6 = 6


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
    """Take the rules of `drop_all` away; False if there was none."""
    return _let_through(shell, node, _undo(mark))


def _let_through(shell: NodeShell, node: str, undo: str) -> bool:
    ran = shell.run(node, ("sh", "-c", f"n=0; {undo}; echo $n"))
    if ran.code != 0:
        raise NodeAccessError(f"the rules of node {node} could not be taken away: {ran.err.strip()[:_SHOWN]}")
    return ran.out.strip() != "0"


def _checked(mark: str) -> str:
    if not mark.isalnum():  # it comes from a journal, and becomes a part of a script
        raise InputError(f"the mark of a rule has letters and digits only, found {mark!r}")
    return mark


def _undo(mark: str) -> str:
    rule = f"$t -w 5 -D $c {_RULE.format(mark=_checked(mark))}"
    return f"{_EACH} while {rule} 2>/dev/null; do n=$((n+1)); done; done; done"


def drop_some(shell: NodeShell, node: str, mark: str, ip: str, *, percent: int, for_at_most_s: float) -> None:
    """Drop that share of the packets that the node forwards to and from an address, at random. Armed as `drop_all`.

    NodeAccessError if not both rules could be set; then none is left.
    """
    table = _table(ip)
    begin = " && ".join(f"{table} -w 5 -I FORWARD 1 {rule}" for rule in _some(mark, ip, percent))
    ran = shell.run(node, armed(_undo_some(mark, ip, percent), for_at_most_s, begin))
    if ran.code != 0:
        let_some_through(shell, node, mark, ip, percent=percent)
        raise NodeAccessError(f"packets of node {node} could not be dropped: {ran.err.strip()[:_SHOWN]}")


def count_dropped(shell: NodeShell, node: str, mark: str, ip: str) -> int:
    """How many packets the rules of `drop_some` have dropped so far; 0 if they are gone."""
    ran = shell.run(node, (_table(ip), "-w", "5", "-nvxL", "FORWARD"))
    if ran.code != 0:
        raise NodeAccessError(f"the rules of node {node} could not be read: {ran.err.strip()[:_SHOWN]}")
    ours = [line.split()[0] for line in ran.out.splitlines() if f"/* rollproof {mark} */" in line]
    return sum(int(count) for count in ours if count.isdecimal())


def let_some_through(shell: NodeShell, node: str, mark: str, ip: str, *, percent: int) -> bool:
    """Take the rules of `drop_some` away; False if there was none."""
    return _let_through(shell, node, _undo_some(mark, ip, percent))


def _table(ip: str) -> str:
    try:
        return "ip6tables" if ipaddress.ip_address(ip).version == _IPV6 else "iptables"
    except ValueError:
        raise InputError(f"{ip!r} is no address, and would become a part of a script") from None


def _some(mark: str, ip: str, percent: int) -> tuple[str, str]:
    share = f"-m statistic --mode random --probability {percent / 100:g} {_RULE.format(mark=_checked(mark))}"
    return f"-d {ip} {share}", f"-s {ip} {share}"


def _undo_some(mark: str, ip: str, percent: int) -> str:
    table = _table(ip)
    deletions = (f"{table} -w 5 -D FORWARD {rule}" for rule in _some(mark, ip, percent))
    return "; ".join(f"while {one} 2>/dev/null; do n=$((n+1)); done" for one in deletions)
