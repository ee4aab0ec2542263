"""Rolledout: whether one version of the app, and nothing of any other, is declared and runs, as the watches show."""

from __future__ import annotations

from rollproof.faults.base import LiveContext
from rollproof.probes.views import image_tag

__all__ = ["declares", "only_version"]


def declares(live: LiveContext, sha: str) -> bool:
    """Whether the Deployment's pod template names it."""
    deployment = live.watches.deployment()
    return deployment is not None and image_tag(deployment.image) == sha


def only_version(live: LiveContext, sha: str) -> str:
    """What is missing, in words, until every pod runs it and is ready, none of another is left (also not terminating),
    and Argo CD is Synced; "" if nothing is.
    """
    deployment, pods = live.watches.deployment(), live.watches.pods()
    if deployment is None or not declares(live, sha):
        return f"Deployment {live.target.cluster.deployment} is not declared with {sha}"
    others = {name: image_tag(pod.image) for name, pod in pods.items() if image_tag(pod.image) != sha}
    if others:
        name = min(others)
        return f"{len(others)} pods of another version than {sha} are there: {name} has {others[name]}"
    ready = sum(pod.ready and not pod.terminating for pod in pods.values())
    if ready < deployment.spec_replicas or len(pods) > deployment.spec_replicas:
        return f"{ready} of {deployment.spec_replicas} pods are ready, {len(pods)} are there"
    state = live.watches.application()
    if state.sync_status != "Synced" or state.phase == "Running":
        return f"Argo CD is at {state.sync_revision[:12]}, {state.sync_status}, its last sync {state.phase}"
    return ""
