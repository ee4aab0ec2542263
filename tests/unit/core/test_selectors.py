"""Selectors: which labels each operator of a label selector chooses, as apimachinery does."""

from __future__ import annotations

import pytest

from rollproof.core.outside import Outside
from rollproof.core.selectors import chooses_node, selects, tolerates
from rollproof.errors import OutsideDataError

LABELS = {"app": "shop", "tier": "web"}


def chosen(rule: dict[str, object], **match: str) -> bool:
    selector = {"matchLabels": match, "matchExpressions": [rule] if rule else []}
    return selects(Outside.of(selector, "the selector"), LABELS)


@pytest.mark.parametrize(("key", "operator", "values", "is_chosen"), [
    ("app", "In", ["shop", "other"], True), ("app", "In", ["other"], False), ("app", "In", [], False),
    ("app", "NotIn", ["shop"], False), ("app", "NotIn", ["other"], True),
    ("absent", "In", ["shop"], False), ("absent", "NotIn", ["shop"], True),
    ("app", "Exists", [], True), ("absent", "Exists", [], False),
    ("app", "DoesNotExist", [], False), ("absent", "DoesNotExist", [], True),
])  # fmt: skip
def test_each_operator(key: str, operator: str, values: list[str], is_chosen: bool) -> None:
    assert chosen({"key": key, "operator": operator, "values": values}) is is_chosen


@pytest.mark.parametrize(("match", "is_chosen"), [
    ({}, True), ({"app": "shop"}, True), ({"app": "shop", "tier": "web"}, True), ({"app": "other"}, False),
    ({"app": "shop", "absent": "x"}, False),
])  # fmt: skip
def test_all_of_its_labels_must_be_there(match: dict[str, str], is_chosen: bool) -> None:
    assert chosen({}, **match) is is_chosen


def test_labels_and_rules_must_both_hold() -> None:
    rule = {"key": "tier", "operator": "In", "values": ["web"]}
    assert chosen(rule, app="shop")
    assert not chosen(rule, app="other")
    assert not chosen({**rule, "values": ["db"]}, app="shop")


def test_an_operator_that_the_api_does_not_have_is_no_answer() -> None:
    with pytest.raises(OutsideDataError, match=r"operator.*one of In, NotIn, Exists, DoesNotExist"):
        chosen({"key": "app", "operator": "Gt", "values": ["1"]})


ARM = [{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]
BIG = [{"key": "cpus", "operator": "Gt", "values": ["4"]}]
BY_NAME = [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]


@pytest.mark.parametrize(("terms", "is_chosen"), [
    (None, True),
    ([{"matchExpressions": ARM}], True),
    ([{"matchExpressions": [{**ARM[0], "operator": "NotIn"}]}], False),
    ([{"matchExpressions": [*ARM, *BIG]}], True),
    ([{"matchExpressions": [*ARM, {**BIG[0], "operator": "Lt"}]}], False),
    ([{"matchExpressions": [{**BIG[0], "values": ["8"]}]}], False),
    ([{"matchExpressions": [{**BIG[0], "key": "kubernetes.io/arch"}]}], False),
    ([{"matchExpressions": [{**BIG[0], "key": "absent"}]}], False),
    ([{"matchExpressions": [{**ARM[0], "operator": "NotIn"}]}, {"matchFields": BY_NAME}], True),
    ([{"matchExpressions": ARM, "matchFields": [{**BY_NAME[0], "values": ["n2"]}]}], False),
    ([{}], False),
])  # fmt: skip
def test_one_term_of_a_required_node_affinity_must_hold_whole(terms: object, is_chosen: bool) -> None:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms} if terms else None}
    labels = {"kubernetes.io/arch": "arm64", "cpus": "8"}
    assert chooses_node(Outside.of(required, "the affinity"), labels, "n1") is is_chosen


@pytest.mark.parametrize(("toleration", "is_tolerated"), [
    ({"operator": "Exists"}, True),
    ({"key": "spot", "operator": "Exists"}, True),
    ({"key": "spot", "value": "yes"}, True),
    ({"key": "spot", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}, True),
    ({"key": "spot", "value": "no"}, False),
    ({"key": "other", "operator": "Exists"}, False),
    ({"key": "spot", "operator": "Exists", "effect": "NoExecute"}, False),
])  # fmt: skip
def test_a_toleration_is_about_a_taint_by_key_value_and_effect(toleration: object, is_tolerated: bool) -> None:
    taint = Outside.of({"key": "spot", "value": "yes", "effect": "NoSchedule"}, "the taint")
    assert tolerates([Outside.of(toleration, "the toleration")], taint) is is_tolerated
    assert not tolerates([], taint)
