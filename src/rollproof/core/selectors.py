"""Selectors: what one of the API chooses: an object by its labels, a node by a pod's affinity and tolerations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rollproof.core.outside import Outside

__all__ = ["chooses_node", "selects", "tolerates"]


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


def chooses_node(affinity: Outside, labels: Mapping[str, str], name: str) -> bool:
    """Whether a pod's `nodeAffinity` lets it come to this node: what it requires, not what it prefers.

    Of its terms one must hold, of a term all; a term without anything in it holds nowhere. Source: Kubernetes API
    reference, NodeSelector and NodeSelectorTerm.
    """
    required = affinity.child("requiredDuringSchedulingIgnoredDuringExecution")
    return not required.value or any(_term(one, labels, name) for one in required.objects("nodeSelectorTerms"))


def _term(term: Outside, labels: Mapping[str, str], name: str) -> bool:
    rules = [(rule, labels) for rule in term.objects("matchExpressions")]
    rules += [(rule, {"metadata.name": name}) for rule in term.objects("matchFields")]
    return bool(rules) and all(_holds_at_node(rule, of) for rule, of in rules)


def _holds_at_node(rule: Outside, labels: Mapping[str, str]) -> bool:
    """A label selector's rule, or `Gt` and `Lt`, which compare whole numbers."""
    how = rule.needed("operator")
    if how not in ("Gt", "Lt"):
        return _holds(rule, labels)
    try:
        value, than = int(labels[rule.needed("key")]), int(next(iter(rule.texts("values"))))
    except (LookupError, ValueError, StopIteration):  # no such label, or no number: the scheduler takes it for no
        return False
    return value > than if how == "Gt" else value < than


def tolerates(tolerations: Iterable[Outside], taint: Outside) -> bool:
    """Whether one of a pod's tolerations is about this taint (Kubernetes' `Toleration.ToleratesTaint`)."""
    return any(
        one.text("effect") in ("", taint.text("effect"))
        and one.text("key") in ("", taint.text("key"))
        and (one.text("operator") == "Exists" or one.text("value") == taint.text("value"))
        for one in tolerations
    )
