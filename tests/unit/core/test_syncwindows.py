"""Which sync windows are about an Application: any of what a window names, or each of it; patterns."""

from __future__ import annotations

from typing import Any

import pytest

from rollproof.core.syncwindows import Synced, applies, synced_by

HERE = Synced("shop-dev", "shop", frozenset({"in-cluster", "https://kubernetes.default.svc"}))
OURS: dict[str, list[str]] = {"applications": ["shop-*"], "namespaces": ["shop"], "clusters": ["in-cluster"]}
OTHERS: dict[str, list[str]] = {"applications": ["web-*"], "namespaces": ["web"], "clusters": ["far"]}


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("both", [False, True])
def test_each_kind_of_name_chooses_alone(kind: str, both: bool) -> None:
    assert applies({kind: OURS[kind], "andOperator": both}, HERE)
    assert not applies({kind: OTHERS[kind], "andOperator": both}, HERE)
    assert not applies({**OTHERS, "andOperator": both}, HERE)


@pytest.mark.parametrize("kind", OURS)
def test_one_of_them_is_enough_unless_each_must_be(kind: str) -> None:
    one_other = {**OURS, kind: OTHERS[kind]}
    assert applies(one_other, HERE)
    assert applies({**one_other, "andOperator": False}, HERE)
    assert not applies({**one_other, "andOperator": True}, HERE)
    assert applies({**OURS, kind: [], "andOperator": True}, HERE)  # what it does not name is no condition


@pytest.mark.parametrize("both", [False, True])
def test_a_window_that_names_nothing_is_about_nobody(both: bool) -> None:
    assert not applies({"andOperator": both}, HERE)
    assert not applies({"applications": None, "namespaces": [], "andOperator": both}, HERE)


@pytest.mark.parametrize(
    ("pattern", "about"),
    [
        ("shop-dev", True), ("Shop-dev", False), ("shop", False), ("*", True), ("shop-?ev", True),
        ("shop-[a-d]ev", True), ("shop-{dev,prod}", True), ("shop-{prod,dev}", True), ("shop-{test,prod}", False),
        ("{web,shop}-{prod,dev}", True),
        ("{web,shop}-prod", False), ("{sh,w}op-dev", True), ("shop-{d{e,o}v,prod}", True), ("shop-{dev}", True),
        ("{*,web}", True), ("shop-{dev", False), ("shop-dev{,-old}", True), ("shop-{dev prod}", False),
    ],
)  # fmt: skip
def test_patterns_of_a_name(pattern: str, about: bool) -> None:
    assert applies({"applications": [pattern]}, HERE) is about
    assert applies({"applications": ["web-*", pattern]}, HERE) is about


def test_a_pattern_that_stands_for_too_many_ends() -> None:
    assert not applies({"applications": ["{a,b}" * 64]}, HERE)


def test_any_name_of_the_cluster_is_its_name() -> None:
    for name in HERE.clusters:
        assert applies({"clusters": [name]}, HERE)
    assert applies({"clusters": ["*"]}, Synced("a", "b", frozenset()))
    assert not applies({"clusters": ["x*"]}, Synced("a", "b", frozenset()))


@pytest.mark.parametrize(
    ("application", "found"),
    [
        (
            {"metadata": {"name": "a"}, "spec": {"destination": {"namespace": "n", "name": "c", "server": "s"}}},
            Synced("a", "n", frozenset({"c", "s"})),
        ),
        (
            {"metadata": {"name": "a"}, "spec": {"destination": {"namespace": "", "name": "", "server": "s"}}},
            Synced("a", "else", frozenset({"s"})),
        ),
        ({"metadata": {"name": "a"}, "spec": {"destination": {"name": "c"}}}, Synced("a", "else", frozenset({"c"}))),
        ({"metadata": None, "spec": {"destination": None}}, Synced("", "else", frozenset())),
        ({"spec": None}, Synced("", "else", frozenset())),
        ({}, Synced("", "else", frozenset())),
    ],
)
def test_an_application_is_synced_by(application: dict[str, Any], found: Synced) -> None:
    assert synced_by(application, "else") == found
