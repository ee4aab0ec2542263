"""Budgets: the PodDisruptionBudgets that decide whether a pod may be evicted, with their numbers.

The API server answers 500 where two of them select the same pod, and 429 where the one allows no disruption.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rollproof.clients.kube import Kube, Object
from rollproof.core.outside import Outside
from rollproof.core.selectors import selects

__all__ = ["Budget", "budgets_of_pod", "forbidden"]


@dataclass(frozen=True, slots=True)
class Budget:
    """One PodDisruptionBudget, as its controller counted last. `allowed`: how many pods may leave now."""

    name: str
    allowed: int
    healthy: int
    desired: int

    def __str__(self) -> str:
        return (
            f"PodDisruptionBudget {self.name} (disruptionsAllowed {self.allowed}, "
            f"currentHealthy {self.healthy}, desiredHealthy {self.desired})"
        )


def budgets_of_pod(kube: Kube, namespace: str, name: str) -> tuple[Budget, ...]:
    """The budgets of that pod; none if it is gone."""
    pod = kube.find("Pod", namespace, name)
    if pod is None:
        return ()
    return _budgets_of(kube, namespace, Outside.of(pod, f"pod {name}").child("metadata").table("labels"))


def forbidden(budgets: tuple[Budget, ...]) -> str:
    """Why these budgets do not let a pod go; "" if they do."""
    if len(budgets) > 1:
        return f"{' and '.join(map(str, budgets))} both select it, and the API refuses that (500)"
    return f"{budgets[0]} forbids it, and so every drain of its node" if budgets and budgets[0].allowed < 1 else ""


def _budgets_of(kube: Kube, namespace: str, labels: Mapping[str, str]) -> tuple[Budget, ...]:
    """Those that select a pod with these labels, by name."""
    listed = kube.list("PodDisruptionBudget", namespace)["items"]
    return tuple(sorted((_budget(item) for item in listed if _selects(item, labels)), key=lambda one: one.name))


def _budget(item: Object) -> Budget:
    whole = Outside.of(item, "a PodDisruptionBudget")
    status = whole.child("status")
    return Budget(
        name=whole.child("metadata").text("name"), allowed=status.count("disruptionsAllowed"),
        healthy=status.count("currentHealthy"), desired=status.count("desiredHealthy"),
    )  # fmt: skip


def _selects(item: Object, labels: Mapping[str, str]) -> bool:
    """policy/v1: an empty selector selects every pod of the namespace, a missing one none."""
    spec = Outside.of(item, "a PodDisruptionBudget").child("spec")
    if "selector" not in spec.value:
        return False
    return selects(spec.child("selector"), labels)
