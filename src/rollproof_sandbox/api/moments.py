"""Moments: which change of the cluster begins a rollout, and which is a drift. Troubles and actors count from them."""

from __future__ import annotations

from rollproof_sandbox.api.store import Change

__all__ = ["APP_NAMESPACE", "ARGO_MANAGER", "HARNESS", "is_drift", "is_of_app", "is_rollout"]

APP_NAMESPACE = "shop"
ARGO_MANAGER = "argocd-controller"
HARNESS = "rollproof"  # who drills, as field manager and as user agent; what it changes of the app is a drift


def is_rollout(change: Change) -> bool:
    """Has Argo CD changed the pod template of the app's Deployment?"""
    if change.kind != "Deployment" or change.manager != ARGO_MANAGER or change.old is None or change.type == "DELETED":
        return False
    return bool(change.object["spec"]["template"] != change.old["spec"]["template"])


def is_drift(change: Change) -> bool:
    """Has the harness changed or deleted an object of the app?"""
    namespace = change.object["metadata"].get("namespace")
    return change.manager == HARNESS and is_of_app(change.kind, namespace) and change.type != "ADDED"


def is_of_app(kind: str, namespace: str | None) -> bool:
    """Is such an object one of the app? The Lease that the harness holds beside it is none."""
    return namespace == APP_NAMESPACE and kind != "Lease"
