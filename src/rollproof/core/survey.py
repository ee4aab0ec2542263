"""What `rollproof init` found out about an app, from its cluster and its Argo CD."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Survey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found. Empty texts: it was not; `notes` says in words what a person has to look at."""

    argocd_namespace: str
    application: str
    project: str
    repo_url: str
    branch: str
    overlay: str
    namespace: str
    deployment: str
    container: str = ""  # only where the pod has several
    service: str = ""
    image: str = ""
    tags: tuple[str, ...] = ()  # of the Deployment's ReplicaSets, newest first
    port: int = 80
    host: str = ""
    tls: bool = False
    entry_port: int = 0  # where it is not the scheme's own
    live_path: str = ""
    ready_path: str = ""
    autoscaler: bool = False
    ingress_namespace: str = ""
    ingress_selector: str = ""
    notes: tuple[str, ...] = ()
