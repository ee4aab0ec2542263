"""Packet delay: each packet that leaves one pod waits 100 ms. Only where the kernel of its node has netem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof.clients.nodes import NodeAccessError, NodeShell, Ran
from rollproof.faults.deadman import armed
from rollproof.faults.pod_packets import PodPackets

__all__ = ["FAULT", "PacketDelay"]

_DELAY_MS = 100  # one way; far below a readiness probe's time-out of 1 s, which passes the same device
_TRIED = ("unshare", "-n", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
_NONE, _OURS = "noqueue", "netem"  # of the disciplines that tc names
_SHOWN = 200


class PacketDelay(PodPackets):
    """By a queueing discipline on the pod's own device, which is named eth0 by every CNI."""

    name = "packet-delay"
    peers = "Litmus pod-network-latency and Chaos Mesh NetworkChaos delay"
    how = f"each packet that it sends waits {_DELAY_MS} ms"
    back = "the queueing discipline is taken away"
    what = "delayed"

    def why_not(self, shell: NodeShell, args: Mapping[str, Any]) -> str:
        """Tried in a network of its own, which ends with the command; and nobody else shapes the pod's traffic."""
        node, tried = args["node"], shell.run(args["node"], _TRIED)
        if tried.code != 0:
            said = " ".join(tried.err.split())[:_SHOWN]
            return f"the kernel of node {node} cannot delay packets (netem): tc said {said!r}"
        try:
            there = _tc(shell, args, "show")
        except NodeAccessError as error:
            return str(error)
        if there.code != 0 or _discipline(there) != _NONE:
            said = " ".join((there.out or there.err).split())[:_SHOWN]
            return f"eth0 of pod {args['name']} has a queueing discipline already, which would be lost: {said!r}"
        return ""

    def begin(self, shell: NodeShell, args: Mapping[str, Any]) -> str:
        """One command; `add` is refused where there is one."""
        inside = f"nsenter -t {_pid(shell, args)} -n tc qdisc"
        undo, fault = f"{inside} del dev eth0 root netem", f"{inside} add dev eth0 root netem delay {_DELAY_MS}ms"
        ran = shell.run(args["node"], armed(undo, args["at_most_s"], fault))
        return "" if ran.code == 0 else f"tc in node {args['node']} failed: {ran.err.strip()[:_SHOWN]}"

    def met(self, shell: NodeShell, args: Mapping[str, Any]) -> int:
        """As the discipline counts them: `Sent N bytes M pkt`."""
        ran = _tc(shell, args, "show", "-s")
        words = ran.out.split()
        return int(words[words.index("pkt") - 1]) if _discipline(ran) == _OURS and "pkt" in words else 0

    def end(self, shell: NodeShell, args: Mapping[str, Any]) -> bool:
        """A pod that is gone has taken it along."""
        try:
            there = _discipline(_tc(shell, args, "show")) == _OURS
            ran = _tc(shell, args, "del") if there else None
        except NodeAccessError:
            if shell.why_not(args["node"]):
                raise
            return False
        if ran is not None and ran.code != 0:
            raise NodeAccessError(f"tc in node {args['node']} failed: {ran.err.strip()[:_SHOWN]}")
        return there


def _tc(shell: NodeShell, args: Mapping[str, Any], verb: str, *options: str) -> Ran:
    more = ("root", "netem") if verb == "del" else ()
    inside = ("nsenter", "-t", str(_pid(shell, args)), "-n")
    return shell.run(args["node"], (*inside, "tc", *options, "qdisc", verb, "dev", "eth0", *more))


def _discipline(shown: Ran) -> str:
    """The kind of the device's root discipline, from tc's line `qdisc KIND HANDLE: ...`; "" where there is none."""
    first = shown.out.split(maxsplit=2)
    return first[1] if len(first) > 1 else ""


def _pid(shell: NodeShell, args: Mapping[str, Any]) -> int:
    """Of the pod's container now: a restarted one is in the same network."""
    return shell.container_pid(args["node"], args["uid"], args["container"])


FAULT = PacketDelay()
