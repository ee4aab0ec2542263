"""Argo CD repo-server away: what reads git and renders manifests is scaled to 0 for a while, and up again."""

from __future__ import annotations

from rollproof.faults.argocd_away import ArgoCdPartAway

__all__ = ["FAULT", "ArgoCdRepoServerAway"]


class ArgoCdRepoServerAway(ArgoCdPartAway):
    """Its pods have the label app.kubernetes.io/name=argocd-repo-server."""

    name = "argocd-repo-server-away"
    part = "argocd-repo-server"
    workload_kinds = ("Deployment",)


FAULT = ArgoCdRepoServerAway()
