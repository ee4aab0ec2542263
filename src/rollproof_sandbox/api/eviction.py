"""Eviction: a deletion that a PodDisruptionBudget may forbid, decided as the API server does.

There is no disruption controller: a budget's status is what was written into it, and it alone decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof_sandbox.api import errors
from rollproof_sandbox.api.kinds import KINDS
from rollproof_sandbox.api.store import Object, Store, StoreError

__all__ = ["evict"]


def evict(
    store: Store, namespace: str, name: str, options: Mapping[str, Any], *, manager: str, dry_run: bool
) -> None:  # fmt: skip
    """Evict the pod; StoreError 404, 409 (other uid), 429 (its budget forbids it) or 500 (it has two)."""
    pod = store.get("Pod", namespace, name)
    if pod is None:
        raise errors.not_found(KINDS["Pod"], name)
    wanted = options.get("preconditions") or {}
    if "deletionTimestamp" not in pod["metadata"] and (pod.get("status") or {}).get("phase") == "Running":
        _check_budget(store, pod)
    store.delete(
        "Pod", namespace, name, uid=wanted.get("uid", ""), resource_version=wanted.get("resourceVersion", ""),
        manager=manager, dry_run=dry_run, grace_s=options.get("gracePeriodSeconds"),
    )  # fmt: skip


def _check_budget(store: Store, pod: Object) -> None:
    budgets = [one for one in store.list("PodDisruptionBudget", pod["metadata"]["namespace"]) if _selects(one, pod)]
    if len(budgets) > 1:
        message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise StoreError(500, "", message)
    if not budgets:
        return
    budget, status = budgets[0]["metadata"]["name"], budgets[0].get("status") or {}
    if status.get("disruptionsAllowed", 0) < 1:
        needs, has = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        cause = f"The disruption budget {budget} needs {needs} healthy pods and has {has} currently"
        raise StoreError(
            429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.",
            {"causes": [{"reason": "DisruptionBudget", "message": cause}]},
        )  # fmt: skip


def _selects(budget: Object, pod: Object) -> bool:
    """By matchLabels, the only part that is modelled: an empty selector selects every pod."""
    selector = (budget.get("spec") or {}).get("selector")
    labels = pod["metadata"].get("labels") or {}
    return selector is not None and (selector.get("matchLabels") or {}).items() <= labels.items()
