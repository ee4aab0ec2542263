"""Moments: which change of the cluster begins a rollout, and which is a drift. Troubles and actors start from them."""

from __future__ import annotations

from rollproof_sandbox.api.store import Change

__all__ = ["APP_NAMESPACE", "ARGO_MANAGER", "HARNESS", "is_drift", "is_of_app", "is_rollout"]

APP_NAMESPACE = "shop"
ARGO_MANAGER = "argocd-controller"
HARNESS = "rollproof"  # the harness as field manager and user agent; its changes of the app are drifts


def is_rollout(change: Change) -> bool:
    """Whether Argo CD has changed the pod template of the app's Deployment."""
    if change.kind != "Deployment" or change.manager != ARGO_MANAGER or change.old is None or change.type == "DELETED":
        return False
    return bool(change.object["spec"]["template"] != change.old["spec"]["template"])


def is_drift(change: Change) -> bool:
    """Whether the harness has changed or deleted an object of the app."""
    namespace = change.object["metadata"].get("namespace")
    return change.manager == HARNESS and is_of_app(change.kind, namespace) and change.type != "ADDED"


def is_of_app(kind: str, namespace: str | None) -> bool:
    """Whether it is an object of the app; the harness's own Lease in the same namespace is not."""
    return namespace == APP_NAMESPACE and kind != "Lease"
