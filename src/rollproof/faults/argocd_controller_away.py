"""Argo CD controller away: its application-controller is scaled to 0 for a while, and scaled up again."""

from __future__ import annotations

from rollproof.faults.argocd_away import ArgoCdPartAway

__all__ = ["FAULT", "ArgoCdControllerAway"]


class ArgoCdControllerAway(ArgoCdPartAway):
    """Its pods have the label app.kubernetes.io/name=argocd-application-controller. Dynamic shards: a Deployment."""

    name = "argocd-controller-away"
    part = "argocd-application-controller"
    heals = True


FAULT = ArgoCdControllerAway()
