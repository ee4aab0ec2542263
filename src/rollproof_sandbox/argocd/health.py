"""Health of live objects by the rules of gitops-engine (pkg/health), and of an Application from its objects.

Only the kinds of the sandbox's env repo that have a rule: others have no health, as in the original.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["of_object", "worst"]

# From best to worst. Missing: declared and not live.
_ORDER = ("Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown")
_RULED = ("Deployment", "Service", "Ingress")


def worst(found: Iterable[str | None]) -> str:
    """The Application's health: the worst of its objects."""
    return max((one for one in found if one is not None), key=_ORDER.index, default="Healthy")


def of_object(kind: str, live: Mapping[str, Any] | None) -> str | None:
    """Its health; None if its kind has no rule. A missing object counts only if its kind has a rule."""
    if kind not in _RULED:
        return None
    if live is None:
        return "Missing"
    if kind == "Deployment":
        return _deployment(live)
    balancer = ((live.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    if kind == "Service" and (live.get("spec") or {}).get("type") != "LoadBalancer":
        return "Healthy"
    return "Healthy" if balancer else "Progressing"


def _deployment(live: Mapping[str, Any]) -> str:
    spec, status = live.get("spec") or {}, live.get("status") or {}
    if spec.get("paused"):
        return "Suspended"
    if int(live["metadata"].get("generation") or 0) > int(status.get("observedGeneration") or 0):
        return "Progressing"
    conditions = status.get("conditions") or ()
    if any(one.get("type") == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded" for one in conditions):
        return "Degraded"
    wanted = spec.get("replicas")
    replicas, updated, available = (
        int(status.get(name) or 0) for name in ("replicas", "updatedReplicas", "availableReplicas")
    )
    short = wanted is not None and updated < int(wanted)
    return "Progressing" if short or replicas > updated or available < updated else "Healthy"
