"""Keeps the lab's packets inside the lab, and counts those that tried to leave.

Rules of our own, in a chain of our own, for one bridge of our own: packets between nodes pass, and so do answers to
this machine's own connections (published ports). Every other packet that comes from the bridge is refused and counted,
whatever its state: those of dead connections are INVALID to conntrack, are translated by nobody, and would leave with a
pod's address. Must never touch a rule of anybody else.
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
    """Packets since the fence was closed: ``refused`` tried to leave; ``left`` did (not 0: the fence is broken)."""

    refused: int
    left: int


def close(log: Log, subnet: str) -> str:
    """Build the fence around this subnet, before anything runs in it; a fence that stands keeps its counts."""
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
    """Whether every rule of the fence is in place, for this subnet."""
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
    """Remove the fence's rules and nothing else; also what a killed run left half built."""
    for run, chain in ((_filter, _CHAIN), (_mangle, _WATCH)):
        for rule in run(log, "-S").splitlines():
            if rule.endswith(f" -j {chain}"):
                run(log, "-D", *rule.split()[1:])
        if f"-N {chain}\n" in run(log, "-S"):
            run(log, "-F", chain)
            run(log, "-X", chain)


def _rules(subnet: str) -> tuple[str, ...]:
    """The chain in its order, spelled as `iptables -S` does.

    Only a node's own new connection is answered: an answer to a pod's address would itself leave by the default route.
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
    """Where this machine forwards nothing, a stray packet vanishes before the fence sees it: its sender would wait, and
    nobody would count it. So the bridge alone may forward, as far as the rule that refuses."""
    _forwarding().write_text("1", encoding="utf-8")


def _forwarding() -> Path:
    return Path("/proc/sys/net/ipv4/conf", settings.BRIDGE, "forwarding")


def _filter(log: Log, *arguments: str) -> str:
    return log.run("iptables", "-w", "5", *arguments)


def _mangle(log: Log, *arguments: str) -> str:
    return log.run("iptables", "-w", "5", "-t", "mangle", *arguments)


def _parents(log: Log) -> tuple[str, ...]:
    """Docker keeps DOCKER-USER for other people's rules; its own come before all else in FORWARD."""
    return ("INPUT", "DOCKER-USER" if "-N DOCKER-USER\n" in _filter(log, "-S") else "FORWARD")


def _packets(listing: str, *, wanted: str) -> int:
    """Sum the packets of the rules that carry ``wanted``; a rule's line begins with its counter."""
    lines = (line.split() for line in listing.splitlines())
    return sum(int(words[0]) for words in lines if words and words[0].isdigit() and wanted in words)
