"""Whom NetworkPolicies let in by what they say, and how a try is written down."""

from __future__ import annotations

from typing import Any

import pytest

from rollproof.core.networkpolicy import ROUNDS, Block, Entry, Port, Tries, entry_of, policy_types, restricts, tries_of
from rollproof.core.outside import Outside

HTTP = Port(8080, "http")
OURS = {"app.kubernetes.io/managed-by": "rollproof"}


def policy(*rules: Any, **spec: Any) -> Outside:
    whole = {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": list(rules), **spec}
    return Outside.of({"metadata": {"name": "web"}, "spec": whole}, "NetworkPolicy")


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}, **more}


def of(*rules: Any) -> Entry:
    return entry_of([policy(*rules)], HTTP, namespace="shop", labels=OURS)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, True),
        ({"podSelector": {}}, True),
        ({"podSelector": {"matchLabels": {"app": "other"}}}, False),
        ({"policyTypes": ["Egress"]}, False),
        ({"policyTypes": ["Ingress", "Egress"]}, True),
    ],
)
def test_which_policies_restrict_the_app(spec: dict[str, Any], expected: bool) -> None:
    assert restricts(policy(**spec), {"app": "web"}) is expected


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ("Ingress",)),
        ({"policyTypes": []}, ("Ingress",)),
        ({"egress": None}, ("Ingress",)),
        ({"egress": []}, ("Ingress", "Egress")),
        ({"egress": [{}]}, ("Ingress", "Egress")),
        ({"egress": [{}], "policyTypes": ["Ingress"]}, ("Ingress",)),
    ],
)
def test_which_ways_a_policy_restricts_where_it_does_not_say_it(spec: dict[str, Any], types: tuple[str, ...]) -> None:
    assert policy_types(Outside.of(spec, "NetworkPolicy")) == types


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({}, "web lets everybody in"),
        ({"ports": [{"port": "http"}]}, "web lets everybody in"),
        ({"ports": [{"port": 8080}]}, "web lets everybody in"),
        ({"ports": [{}]}, "web lets everybody in"),
        ({"ports": [{"port": 8000, "endPort": 8090}]}, "web lets everybody in"),
        ({"ports": [{"port": 9090}]}, ""),
        ({"ports": [{"port": "metrics"}]}, ""),
        ({"ports": [{"port": 8080, "protocol": "UDP"}]}, ""),
        ({"from": [{"podSelector": {}}]}, "web lets pods of its own namespace in"),
        ({"from": [{"podSelector": {"matchLabels": {"role": "ingress"}}}]}, ""),
        ({"from": [{"podSelector": {"matchLabels": OURS}}]}, "web lets pods of its own namespace in"),
        ({"from": [{"namespaceSelector": {}}]}, "web lets pods of its own namespace in"),
        ({"from": [named("ingress")]}, ""),
        ({"from": [named("shop")]}, "web lets pods of its own namespace in"),
        ({"from": [named("shop", podSelector={"matchLabels": {"role": "x"}})]}, ""),
        (
            {"from": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}]},
            "web lets namespaces in by labels of theirs that nobody has read",
        ),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, ""),
    ],
)
def test_what_a_rule_says_of_a_pod_of_the_namespace(rule: dict[str, Any], reason: str) -> None:
    assert of(rule).reason == reason


def test_no_rule_lets_nobody_in() -> None:
    assert of() == Entry("")


def test_blocks_are_kept_until_the_address_is_known() -> None:
    entry = of({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]})
    assert entry.blocks == (Block("web", "10.0.0.0/8", ("10.1.0.0/16",)),)


@pytest.mark.parametrize(
    ("address", "held"),
    [("10.2.0.1", True), ("10.1.0.1", False), ("192.168.0.1", False), ("fd00::1", False), ("", True)],
)
def test_the_addresses_of_a_block(address: str, held: bool) -> None:
    assert Block("web", "10.0.0.0/8", ("10.1.0.0/16",)).holds(address) is held


MESSAGE = "14\n" + "yn y\n" * 2 + "nn y\n" * (ROUNDS - 2)


def test_a_message_is_read_and_kept() -> None:
    tries = Tries.of_message(MESSAGE, ["10.0.0.1", "10.0.0.2"])
    assert tries is not None
    assert tries.reached == {"10.0.0.1": (True, True) + (False,) * (ROUNDS - 2), "10.0.0.2": (False,) * ROUNDS}
    assert tries.control == (True,) * ROUNDS
    assert (tries.last_reached, tries.after_s(2)) == (2, 3.5)
    assert tries.data()["tries"] == ["10.0.0.1 yynnnnnn", "10.0.0.2 nnnnnnnn"]
    assert tries_of(tries.data()) == tries


@pytest.mark.parametrize(
    "text",
    [
        "", "sh: not found", "14\n" + "nn y\n" * (ROUNDS - 1), "14\n" + "n y\n" * ROUNDS, "14\n" + "nn\n" * ROUNDS,
        "x\n" + "nn y\n" * ROUNDS, "14\n" + "n? y\n" * ROUNDS,
    ],
)  # fmt: skip
def test_another_message_is_none(text: str) -> None:
    assert Tries.of_message(text, ["10.0.0.1", "10.0.0.2"]) is None


@pytest.mark.parametrize("data", [{}, {"tries": ["10.0.0.1 nn"], "control": "n"}, {"tries": [], "control": "n"}])
def test_a_fact_without_tries_has_none(data: dict[str, Any]) -> None:
    assert tries_of(data) is None
