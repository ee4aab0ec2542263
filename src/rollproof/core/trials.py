"""Trials: the drifts that rollproof knows, by name: what kind of object each changes, and whether traffic can feel it.

One table for the target file's rules, the permissions, the production fence and the planners of `faults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rollproof.core.target import Target

__all__ = ["TRIALS", "TrialKind", "allowed_trials", "fault_of_trial", "is_drift", "is_fenced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialKind:
    """What is known of a trial before a cluster is looked at.

    `deletes`: the whole object goes. `control`: it must not be healed, and shows that the drill can tell.
    `affects_traffic`: users could feel it, at least until it is healed. `flag`: the setting of [drift] that must be
    true for it, because users have nothing until self-heal has worked.
    """

    kind: str
    deletes: bool = False
    control: bool = False
    affects_traffic: bool = True
    flag: str = ""


TRIALS: Mapping[str, TrialKind] = {
    "image": TrialKind(kind="Deployment"),
    "replicas": TrialKind(kind="Deployment"),
    "env": TrialKind(kind="Deployment"),
    "resources": TrialKind(kind="Deployment"),
    "revision-history": TrialKind(kind="Deployment", affects_traffic=False),
    "probe-path": TrialKind(kind="Deployment"),
    "pull-secret": TrialKind(kind="Deployment"),
    "configmap": TrialKind(kind="ConfigMap"),
    "service-selector": TrialKind(kind="Service"),
    "ingress-rule": TrialKind(kind="Ingress"),
    "http-route-rule": TrialKind(kind="HTTPRoute"),
    "hpa-max": TrialKind(kind="HorizontalPodAutoscaler"),
    "network-policy": TrialKind(kind="NetworkPolicy", affects_traffic=False),
    "delete-service": TrialKind(kind="Service", deletes=True),
    "delete-configmap": TrialKind(kind="ConfigMap", deletes=True),
    "delete-ingress": TrialKind(kind="Ingress", deletes=True, flag="delete_ingress"),
    "delete-http-route": TrialKind(kind="HTTPRoute", deletes=True, flag="delete_http_route"),
    "delete-hpa": TrialKind(kind="HorizontalPodAutoscaler", deletes=True, flag="delete_hpa"),
    "delete-deployment": TrialKind(kind="Deployment", deletes=True, flag="delete_deployment"),
    "undeclared-annotation": TrialKind(kind="Service", control=True, affects_traffic=False),
    "void-patch": TrialKind(kind="Service", control=True, affects_traffic=False),
}


def fault_of_trial(trial: str) -> str:
    """The name of that trial among the faults."""
    return f"drift-{trial}"


def is_drift(fault: str) -> bool:
    """Whether the fault of that name is a trial: it has words of its own on the timeline."""
    return fault in _FAULTS


_FAULTS = frozenset(map(fault_of_trial, TRIALS))


def is_fenced(name: str, target: Target) -> bool:
    """Does the production fence, if it is closed, keep this trial away from the target?"""
    return target.fences.production and TRIALS[name].affects_traffic


def allowed_trials(target: Target) -> tuple[str, ...]:
    """The target's trials that the production fence lets pass, in their order."""
    return tuple(name for name in target.drift.trials if not is_fenced(name, target))
