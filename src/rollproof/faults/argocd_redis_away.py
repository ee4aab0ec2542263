"""Argo CD redis away: its cache is scaled to 0 for a while, and scaled up again."""

from __future__ import annotations

from rollproof.faults.argocd_away import ArgoCdPartAway

__all__ = ["FAULT", "ArgoCdRedisAway"]


class ArgoCdRedisAway(ArgoCdPartAway):
    """Its pods have the label app.kubernetes.io/name=argocd-redis. A redis of several (-ha) has other ones."""

    name = "argocd-redis-away"
    part = "argocd-redis"
    workload_kinds = ("Deployment",)


FAULT = ArgoCdRedisAway()
