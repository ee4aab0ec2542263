"""Argo CD controller restart: the pod of what compares and heals is deleted gracefully."""

from __future__ import annotations

from rollproof.faults.argocd_part import ArgoCdPart

__all__ = ["FAULT", "ArgoCdControllerRestart"]


class ArgoCdControllerRestart(ArgoCdPart):
    """Its pods have the label app.kubernetes.io/name=argocd-application-controller."""

    name = "argocd-controller-restart"
    part = "argocd-application-controller"


FAULT = ArgoCdControllerRestart()
