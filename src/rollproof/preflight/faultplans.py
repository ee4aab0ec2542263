"""Fault plans: what a fault would do to the target now, held against the fences before anything is touched."""

from __future__ import annotations

from dataclasses import replace

from rollproof.core.injection import Injection, Skip
from rollproof.faults.base import Context
from rollproof.faults.registry import fault_named, plan_faults
from rollproof.preflight.fences import check_namespace_fence, check_opt_in

__all__ = ["plan_fault"]


def plan_fault(name: str, context: Context) -> Injection | Skip:
    """What would be done to the target now, inside of its fences; FenceError if it were outside."""
    (found,) = plan_faults((name,), context)
    return _fenced(found, context) if isinstance(found, Injection) else found


def _fenced(injection: Injection, context: Context) -> Injection | Skip:
    """The injection, if its namespace is open to it; a Skip where it is beyond the blast radius. FenceError."""
    fault, target = fault_named(injection.fault), context.target
    namespace, cluster = injection.args.get("namespace"), target.cluster
    if namespace:
        check_namespace_fence(target, namespace)
    if namespace and namespace != cluster.namespace:
        in_argocd = any(one.argocd and one.namespace == namespace for one in fault.permissions(target))
        check_opt_in(target, context.argo.kube if in_argocd else context.kube, namespace)
    blast = fault.blast(injection, target)
    if blast.pods is None and target.fences.pods_max is not None:
        deployment = context.kube.get("Deployment", cluster.namespace, cluster.deployment)
        blast = replace(blast, pods=deployment["spec"].get("replicas", 1))
    beyond = blast.beyond(target.fences)
    return context.skip(fault, beyond) if beyond else injection
