"""Selectors: which labels each operator of a label selector chooses, as apimachinery does."""

from __future__ import annotations

import pytest

from rollproof.core.outside import Outside
from rollproof.core.selectors import selects
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
