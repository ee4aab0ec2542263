"""Keeps the lab's packets inside of the lab, and counts those that tried to leave.

Our own rules, in our own chain, for our own bridge: packets between nodes pass, and so do answers to this machine's
own connections (published ports). Every other packet from the bridge is refused and counted, whatever its state: those
of closed connections are INVALID to conntrack, are not translated, and would leave with a pod's address. Must never
change a rule of anybody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab import settings
from lab.steps import CommandError, LabError, Log

__all__ = ["Count", "close", "count", "is_closed", "open_again"]

_CHAIN = "ROLLPROOF-LAB"
_WATCH = "ROLLPROOF-LEFT"


@dataclass(frozen=True, slots=True)
class Count:
    """Packets since the fence was closed: ``refused`` tried to leave; ``left`` did (not 0: the fence does not work)."""

    refused: int
    left: int


def close(log: Log, subnet: str) -> str:
    """Create the fence for this subnet, before anything runs in it; an existing one keeps its counts."""
    if is_closed(log, subnet):
        return "kept"
    open_again(log)
    _filter(log, "-N", _CHAIN)
    for rule in _rules(subnet):
        _filter(log, "-A", _CHAIN, *rule.split())
    for parent in _parents(log):
        _filter(log, "-I", parent, "1", "-j", _CHAIN)
    _mangle(log, "-N", _WATCH)
    for source in (subnet, settings.POD_RANGE, settings.SERVICE_RANGE):
        _mangle(log, "-A", _WATCH, "-s", source, "!", "-o", "lo")
    _mangle(log, "-I", "POSTROUTING", "1", "!", "-o", settings.BRIDGE, "-j", _WATCH)
    _let_refuse()
    if not is_closed(log, subnet):
        raise LabError("iptables took the lab's rules but does not show them; look at `iptables -S` and try again")
    return ""


def is_closed(log: Log, subnet: str) -> bool:
    """Whether every rule of the fence exists, for this subnet."""
    try:
        rules, watch = _filter(log, "-S"), _mangle(log, "-S")
        may_refuse = _forwarding().read_text(encoding="utf-8").strip() == "1"
    except (CommandError, OSError):
        return False
    refuses = [line for line in rules.splitlines() if line.startswith(f"-A {_CHAIN} ")] == [
        f"-A {_CHAIN} {rule}" for rule in _rules(subnet)
    ]
    jumps = all(f"-A {parent} -j {_CHAIN}\n" in rules for parent in _parents(log))
    watches = f"-A {_WATCH} -s {subnet} " in watch and f"-j {_WATCH}\n" in watch
    return refuses and jumps and watches and may_refuse


def count(log: Log) -> Count:
    """Read the counters of the refusing rules and those of the watching rules."""
    listing = _filter(log, "-nvxL", _CHAIN)
    refused = _packets(listing, wanted="REJECT") + _packets(listing, wanted="DROP")
    left = _packets(_mangle(log, "-nvxL", _WATCH), wanted="!lo")
    return Count(refused, left)


def open_again(log: Log) -> None:
    """Remove the fence's rules and nothing else; also those that a killed run has left."""
    for run, chain in ((_filter, _CHAIN), (_mangle, _WATCH)):
        for rule in run(log, "-S").splitlines():
            if rule.endswith(f" -j {chain}"):
                run(log, "-D", *rule.split()[1:])
        if f"-N {chain}\n" in run(log, "-S"):
            run(log, "-F", chain)
            run(log, "-X", chain)


def _rules(subnet: str) -> tuple[str, ...]:
    """The chain in its order, in the spelling of `iptables -S`.

    Only a node's own new connection gets a REJECT: one sent to a pod's address would leave by the default route.
    """
    bridge = settings.BRIDGE
    answers = "-m conntrack --ctstate RELATED,ESTABLISHED -m addrtype --dst-type LOCAL"
    return (
        f"-i {bridge} -o {bridge} -j ACCEPT",
        f"-i {bridge} {answers} -j RETURN",
        f"-s {subnet} -i {bridge} -m conntrack --ctstate NEW -j REJECT --reject-with icmp-port-unreachable",
        f"-i {bridge} -j DROP",
    )


def _let_refuse() -> None:
    """Let the bridge forward up to the rule that refuses. On a machine without forwarding a stray packet would be
    dropped before the fence: its sender would wait, and it would not be counted."""
    _forwarding().write_text("1", encoding="utf-8")


def _forwarding() -> Path:
    return Path("/proc/sys/net/ipv4/conf", settings.BRIDGE, "forwarding")


def _filter(log: Log, *arguments: str) -> str:
    return log.run("iptables", "-w", "5", *arguments)


def _mangle(log: Log, *arguments: str) -> str:
    return log.run("iptables", "-w", "5", "-t", "mangle", *arguments)


def _parents(log: Log) -> tuple[str, ...]:
    """Docker keeps DOCKER-USER for rules of others; its own come first in FORWARD."""
    return ("INPUT", "DOCKER-USER" if "-N DOCKER-USER\n" in _filter(log, "-S") else "FORWARD")


def _packets(listing: str, *, wanted: str) -> int:
    """Sum the packets of the rules that carry ``wanted``; a rule's line begins with its counter."""
    lines = (line.split() for line in listing.splitlines())
    return sum(int(words[0]) for words in lines if words and words[0].isdigit() and wanted in words)
