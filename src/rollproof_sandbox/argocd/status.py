"""Status: the fields of an Application that its controller writes, in the controller's form. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rollproof_sandbox.argocd.compare import Comparison

__all__ = ["after_comparison", "age_s", "completed", "health", "stamp", "with_conditions"]

Object = dict[str, Any]


def stamp(utc_s: float) -> str:
    """RFC 3339, cut to whole seconds."""
    return datetime.fromtimestamp(int(utc_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age_s(found: str, utc_s: float) -> float:
    """Seconds since a time stamp."""
    return utc_s - datetime.fromisoformat(found.replace("Z", "+00:00")).timestamp()


def completed(operation_state: Mapping[str, Any] | None) -> bool:
    """Whether the operation has ended."""
    return (operation_state or {}).get("phase") in ("Succeeded", "Failed", "Error")


def after_comparison(
    application: Mapping[str, Any], found: Comparison, conditions: Sequence[Object], *, began_utc_s: float,
    now_utc_s: float, reconciled: bool,
) -> Object:  # fmt: skip
    """The whole status after a comparison; `reconciled`: it was one with the newest commit."""
    spec, old = application["spec"], application.get("status") or {}
    compared_to = {"destination": spec["destination"], "source": spec["source"]}
    if spec.get("ignoreDifferences"):
        compared_to["ignoreDifferences"] = spec["ignoreDifferences"]
    new = {
        **old,
        "controllerNamespace": application["metadata"]["namespace"],
        "health": health(old, found.health, now_utc_s),
        "resources": found.resources(),
        "resourceHealthSource": "appTree",
        "sourceType": "Kustomize",
        "summary": {"images": list(found.images)} if found.images else {},
        "sync": {"comparedTo": compared_to, "revision": found.revision, "status": found.status},
    }
    if found.error:
        new.pop("sourceType")
    if reconciled or not old.get("reconciledAt"):
        new["reconciledAt"] = stamp(began_utc_s)
    if conditions:
        new["conditions"] = list(conditions)
    else:
        new.pop("conditions", None)
    return new


def health(old: Mapping[str, Any], found: str, utc_s: float) -> Object:
    """`status.health`; the transition time changes only with the health."""
    before = old.get("health") or {}
    if before.get("status") == found and before.get("lastTransitionTime"):
        return {"lastTransitionTime": before["lastTransitionTime"], "status": found}
    return {"lastTransitionTime": stamp(utc_s), "status": found}


def with_conditions(
    old: Iterable[Mapping[str, Any]], found: Mapping[str, str], *, judged: Iterable[str], utc_s: float
) -> list[Object]:  # fmt: skip
    """Conditions after a check of the types `judged`: those found exist, the others of these types are removed.

    An unchanged one keeps its time.
    """
    judged = set(judged)
    before = {one["type"]: dict(one) for one in old}
    kept = [one for kind, one in before.items() if kind not in judged]
    for kind, message in found.items():
        same = before.get(kind, {}).get("message") == message
        kept.append(before[kind] if same else {"lastTransitionTime": stamp(utc_s), "message": message, "type": kind})
    return sorted(kept, key=lambda one: (one["type"], one["message"]))
