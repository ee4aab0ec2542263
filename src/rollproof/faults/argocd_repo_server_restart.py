"""Argo CD repo-server restart: a pod of what reads git and renders manifests is deleted gracefully."""

from __future__ import annotations

from rollproof.faults.argocd_part import ArgoCdPart

__all__ = ["FAULT", "ArgoCdRepoServerRestart"]


class ArgoCdRepoServerRestart(ArgoCdPart):
    """Its pods have the label app.kubernetes.io/name=argocd-repo-server."""

    name = "argocd-repo-server-restart"
    part = "argocd-repo-server"


FAULT = ArgoCdRepoServerRestart()
