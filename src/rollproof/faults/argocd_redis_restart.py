"""Argo CD redis restart: a pod of its cache (manifests, state of the cluster) is deleted gracefully."""

from __future__ import annotations

from rollproof.faults.argocd_part import ArgoCdPart

__all__ = ["FAULT", "ArgoCdRedisRestart"]


class ArgoCdRedisRestart(ArgoCdPart):
    """Its pods have the label app.kubernetes.io/name=argocd-redis."""

    name = "argocd-redis-restart"
    part = "argocd-redis"


FAULT = ArgoCdRedisRestart()
