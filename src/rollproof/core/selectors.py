"""Selectors: whether a label selector of the API chooses an object with these labels."""

from __future__ import annotations

from collections.abc import Mapping

from rollproof.core.outside import Outside

__all__ = ["selects"]


def selects(selector: Outside, labels: Mapping[str, str]) -> bool:
    """Whether it does; an empty selector chooses all. OutsideDataError for an operator that the API does not have.

    Source: Kubernetes API conventions, "Label selectors"; apimachinery LabelSelectorAsSelector: "DoesNotExist" and
    "NotIn" choose an object without that label too.
    """
    if not selector.table("matchLabels").items() <= labels.items():
        return False
    return all(_holds(rule, labels) for rule in selector.objects("matchExpressions"))


def _holds(rule: Outside, labels: Mapping[str, str]) -> bool:
    value, how = labels.get(rule.needed("key")), rule.needed("operator")
    if how in ("Exists", "DoesNotExist"):
        return (value is not None) is (how == "Exists")
    if how not in ("In", "NotIn"):
        rule.refuse("operator", "one of In, NotIn, Exists, DoesNotExist")
    return (value in rule.texts("values")) is (how == "In")
