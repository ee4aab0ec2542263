"""Networkpolicy: whom NetworkPolicies let in by what they say, and what a pod that must be denied found when it tried.

Rules: Kubernetes, "Network Policies" and networking.k8s.io/v1: policies only add; a pod that none selects for Ingress
takes everything; a rule without `from` is for everybody, one without `ports` for every port; a peer without
`namespaceSelector` means pods of the policy's own namespace. Pure: no request is made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from rollproof.core.outside import Outside
from rollproof.core.selectors import selects

__all__ = ["ROUNDS", "Block", "Entry", "Port", "Tries", "entry_of", "policy_types", "restricts", "tries_of"]

ROUNDS = 8  # of a try: a new pod may be let through for its first seconds, until the network knows it
_NAME = "kubernetes.io/metadata.name"  # the label that every namespace has (KEP 2161)
_SIZE_MAX = 4096  # bytes of a termination message: the kubelet keeps no more


@dataclass(frozen=True, slots=True)
class Port:
    """A TCP port of the app's container, as a policy may name it."""

    number: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """An ipBlock that is let in: addresses of `cidr` without those of `without`."""

    policy: str
    cidr: str
    without: tuple[str, ...] = ()

    def holds(self, address: str) -> bool:
        """Whether that address is let in. What cannot be read holds it: then nothing is claimed."""
        try:
            one, network = ip_address(address), ip_network(self.cidr, strict=False)
            return one in network and not any(one in ip_network(cut, strict=False) for cut in self.without)
        except ValueError:
            return True


@dataclass(frozen=True, slots=True)
class Entry:
    """What policies say of a pod that asks: the reason why it is, or may be, let in ("" if it is not), and the blocks
    that let it in if its address is one of theirs.
    """

    reason: str
    blocks: tuple[Block, ...] = ()


def policy_types(spec: Outside) -> tuple[str, ...]:
    """Which ways it restricts: without policyTypes what comes in, and what goes out if it says so."""
    return spec.texts("policyTypes") or ("Ingress", *(("Egress",) if spec.value.get("egress") is not None else ()))


def restricts(policy: Outside, labels: Mapping[str, str], *, way: str = "Ingress") -> bool:
    """Whether the policy selects a pod with these labels, and says who may reach it (`way` "Egress": whom it may)."""
    spec = policy.child("spec")
    return selects(spec.child("podSelector"), labels) and way in policy_types(spec)


def entry_of(policies: Iterable[Outside], port: Port, *, namespace: str, labels: Mapping[str, str]) -> Entry:
    """What the policies, which all restrict the app, say of a pod of their namespace with these labels."""
    blocks: list[Block] = []
    for policy in policies:
        name = policy.child("metadata").text("name")
        for rule in policy.child("spec").objects("ingress"):
            if not _is_for(rule, port):
                continue
            peers = rule.objects("from")
            if not peers:
                return Entry(f"{name} lets everybody in")
            for peer in peers:
                if peer.has("ipBlock"):
                    block = peer.child("ipBlock")
                    blocks.append(Block(name, block.text("cidr"), block.texts("except")))
                elif reason := _lets(peer, namespace, labels):
                    return Entry(f"{name} {reason}")
    return Entry("", tuple(blocks))


def _is_for(rule: Outside, port: Port) -> bool:
    """A rule without ports is for all of them."""
    ports = rule.objects("ports")
    return not ports or any(_is_port(one, port) for one in ports)


def _is_port(said: Outside, port: Port) -> bool:
    value = said.value.get("port")
    if said.text("protocol", "TCP") != "TCP":
        return False
    if value is None:
        return True
    if isinstance(value, str):
        return value == port.name
    return said.integer("port") <= port.number <= said.integer("endPort", said.integer("port"))


def _lets(peer: Outside, namespace: str, labels: Mapping[str, str]) -> str:
    """Why a pod with these labels is, or may be, let in by that peer; "" if it is not."""
    if peer.has("podSelector") and not selects(peer.child("podSelector"), labels):
        return ""
    if not peer.has("namespaceSelector"):
        return "lets pods of its own namespace in"
    chosen = peer.child("namespaceSelector")
    names = {*chosen.table("matchLabels"), *(rule.text("key") for rule in chosen.objects("matchExpressions"))}
    if names - {_NAME}:
        return "lets namespaces in by labels of theirs that nobody has read"
    return "lets pods of its own namespace in" if selects(chosen, {_NAME: namespace}) else ""


@dataclass(frozen=True, slots=True)
class Tries:
    """What the pod found, a round at a time: `reached` of each address of the app, and `control` of the API server.

    took_s: of all rounds together, in whole seconds (the clock of a shell).
    """

    reached: Mapping[str, tuple[bool, ...]]
    control: tuple[bool, ...]
    took_s: float

    @classmethod
    def of_message(cls, text: str, addresses: Iterable[str]) -> Tries | None:
        """From the pod's termination message: a line with seconds, then a line "ny y" a round. None if it is another.

        The letters are of the addresses in their order, and of the control: "y" for one that took a connection.
        """
        first, *lines = text[:_SIZE_MAX].splitlines() or [""]
        wanted = tuple(addresses)
        rounds = [line.partition(" ")[::2] for line in lines]
        whole = all(len(app) == len(wanted) and len(control) == 1 for app, control in rounds)
        if not first.isdecimal() or len(rounds) != ROUNDS or not whole or set("".join(lines)) - set("yn "):
            return None
        reached = {one: tuple(app[at] == "y" for app, _ in rounds) for at, one in enumerate(wanted)}
        return cls(reached, tuple(control == "y" for _, control in rounds), float(first))

    def data(self) -> dict[str, Any]:
        """As fields of the fact `effect`."""
        tries = [f"{address} {_spelled(found)}" for address, found in self.reached.items()]
        return {"tries": tries, "control": _spelled(self.control), "took_s": self.took_s}

    @property
    def last_reached(self) -> int:
        """The last round in which any address took a connection, from 1; 0 for none."""
        return max((at + 1 for found in self.reached.values() for at, yes in enumerate(found) if yes), default=0)

    def after_s(self, rounds: int) -> float:
        """How long so many rounds have taken, about."""
        return round(self.took_s * rounds / len(self.control), 1) if self.control else 0.0


def tries_of(data: Mapping[str, Any]) -> Tries | None:
    """From the fields of the fact; None if it has none."""
    said = dict(_split(str(one)) for one in data.get("tries") or ())
    control = _read(str(data.get("control") or ""))
    if not said or not control or any(len(found) != len(control) for found in said.values()):
        return None
    return Tries(said, control, float(data.get("took_s") or 0.0))


def _split(text: str) -> tuple[str, tuple[bool, ...]]:
    address, _, found = text.partition(" ")
    return address, _read(found)


def _spelled(found: Iterable[bool]) -> str:
    return "".join("y" if yes else "n" for yes in found)


def _read(text: str) -> tuple[bool, ...]:
    return tuple(letter == "y" for letter in text)
