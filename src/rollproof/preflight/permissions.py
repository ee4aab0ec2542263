"""Permissions: what each drill needs of the Kubernetes API, one table for the doctor and for the look before a run.

The table is the least that works (docs/argocd.md 4), and docs/eks.md shows it; a unit test compares the two. It asks
the API server (SelfSubjectAccessReview) and must never try a permission out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rollproof.clients.kube import Kube
from rollproof.core.permission import Permission, each_verb
from rollproof.core.plan import Plan
from rollproof.core.target import Target
from rollproof.faults.registry import fault_named, faults_of, is_kept_away
from rollproof.suites import Drill

__all__ = ["is_granted", "needed_permissions"]


def needed_permissions(
    target: Target, drills: Iterable[Drill], plan: Plan | None = None, faults: Iterable[str] = ()
) -> tuple[Permission, ...]:
    """Every permission that these drills use on this target, each once, with the first reason.

    Without a plan: what any run needs, and what must be read to make its plan. With one, and the names of the `faults`
    that it really injects (not of those that it skips): what the drills write too.
    """
    wanted = tuple(drills)
    permissions = [*_watching(target), *_locking(target), *_reading_argocd(target), *_refreshing(target)]
    if any(drill.deploys or drill.faults for drill in wanted):
        permissions.extend(_proving(target))
    if plan is not None:
        permissions.extend(_deploying(plan))
    permissions.extend(_planning_faults(target, wanted))
    permissions.extend(needed for name in faults for needed in fault_named(name).permissions(target))
    return tuple(dict.fromkeys(permissions))


def is_granted(permission: Permission, kube: Kube, argo_kube: Kube) -> bool:
    """Ask the API server that the permission belongs to."""
    asked = argo_kube if permission.argocd else kube
    return asked.may(
        permission.verb,
        permission.resource,
        permission.namespace,
        group=permission.group,
        subresource=permission.subresource,
        name=permission.name,
    )


def _watching(target: Target) -> Iterator[Permission]:
    namespace, why = target.cluster.namespace, "to see what happens"
    yield from each_verb("get list watch", "deployments", namespace, why, group="apps")
    yield from each_verb("list watch", "replicasets", namespace, why, group="apps")
    yield from each_verb("list watch", "pods", namespace, why)
    yield from each_verb("list watch", "endpointslices", namespace, why, group="discovery.k8s.io")
    yield from each_verb("get", "services", namespace, why, name=target.cluster.service)
    if target.ingress.namespace:
        why = "without it retries of the ingress stay unseen (finding MASKED)"
        place = target.ingress.namespace
        yield from each_verb("list", "pods", place, why, required=False)
        yield from each_verb("get", "pods", place, why, subresource="log", required=False)


def _locking(target: Target) -> Iterator[Permission]:
    why = "the lock that keeps two runs apart"
    yield from each_verb(
        "get create update patch delete watch", "leases", target.cluster.namespace, why, group="coordination.k8s.io"
    )


def _reading_argocd(target: Target) -> Iterator[Permission]:
    argocd = target.argocd
    namespace, name = argocd.namespace, argocd.application
    yield from each_verb(
        "get list watch", "applications", namespace, "to see what Argo CD does", group="argoproj.io", name=name,
        argocd=True,
    )  # fmt: skip
    for configmap in ("argocd-cmd-params-cm", "argocd-cm"):
        why = "without it Argo CD's self-heal and poll settings are assumed"
        yield from each_verb("get", "configmaps", namespace, why, name=configmap, required=False, argocd=True)
    why = "without it Argo CD's version, and so its back-off rules, are assumed"
    yield from each_verb("list", "statefulsets", namespace, why, group="apps", required=False, argocd=True)
    why = "without it sync windows stay unseen"
    yield from each_verb(
        "get", "appprojects", namespace, why, group="argoproj.io", name=argocd.project, required=False, argocd=True
    )


def _refreshing(target: Target) -> Iterator[Permission]:
    """Every drill waits for rest first, and asks for a comparison to know it; drift may reset the heal count too."""
    argocd = target.argocd
    if argocd.profile == "refresh":
        why = 'to ask for a refresh; with argocd.profile = "read-only" the poll sets the pace'
        yield from each_verb(
            "patch", "applications", argocd.namespace, why, group="argoproj.io", name=argocd.application, argocd=True
        )


def _proving(target: Target) -> Iterator[Permission]:
    namespace = target.cluster.namespace
    why = "to ask single pods for their version; else pods/portforward, else the ingress alone is asked"
    yield from each_verb("get", "pods", namespace, why, subresource="proxy", required=False)
    why = "to ask single pods where pods/proxy is not granted"
    # By websocket it is a GET; from Kubernetes 1.35 on that needs create too.
    yield from each_verb("get create", "pods", namespace, why, subresource="portforward", required=False)


def _deploying(plan: Plan) -> Iterator[Permission]:
    cluster = plan.target.cluster
    if plan.restart:
        why = f"to restart the rollout: {plan.new_sha} runs already"
        yield from each_verb("patch", "deployments", cluster.namespace, why, group="apps", name=cluster.deployment)
    if plan.needs_image and plan.target.release.image_check == "nodes":
        yield from each_verb("list", "nodes", "", 'release.image_check = "nodes"')


def _planning_faults(target: Target, drills: Iterable[Drill]) -> Iterator[Permission]:
    """What must be read to plan the drills' faults; those that the production fence keeps away are not looked at."""
    for name in dict.fromkeys(name for drill in drills for name in faults_of(drill, target)):
        if not is_kept_away(fault_named(name), target):
            yield from fault_named(name).planning_permissions(target)
