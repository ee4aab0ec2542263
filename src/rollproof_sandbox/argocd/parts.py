"""Parts: what the workers of Argo CD's controller share: the Application, the cluster, git, the agenda, settings."""

from __future__ import annotations

from dataclasses import dataclass

from rollproof_sandbox.api.store import Store
from rollproof_sandbox.argocd.agenda import Agenda, Clock
from rollproof_sandbox.argocd.application import Application
from rollproof_sandbox.argocd.manifests import Manifests
from rollproof_sandbox.argocd.pace import Pace
from rollproof_sandbox.settings import ArgoCd

__all__ = ["Parts"]


@dataclass(frozen=True, slots=True)
class Parts:
    """Made once by the controller, and given to each of its workers."""

    application: Application
    store: Store
    manifests: Manifests
    agenda: Agenda
    clock: Clock
    pace: Pace
    settings: ArgoCd
