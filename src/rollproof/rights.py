"""Rights: what each drill needs of the Kubernetes API, one table for the doctor and for the look before a run.

The table is the least that works (argocd.md section 4). It asks the API server (SelfSubjectAccessReview) and must never
try a right out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rollproof.clients.kube import Kube
from rollproof.core.target import Target

__all__ = ["Right", "is_granted", "missing_rights", "needed_rights"]

_DEPLOYING = frozenset({"zero-downtime", "rollback", "release"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One verb on one resource. Without an optional right (`required` False) a run can see or claim less: `why`.

    `argocd` says that it is asked where Argo CD lives, which may be another cluster.
    """

    verb: str
    resource: str
    namespace: str
    why: str = field(compare=False)
    group: str = ""
    subresource: str = ""
    name: str = ""  # only this object is needed: a Role may use resourceNames
    required: bool = True
    argocd: bool = False

    def __str__(self) -> str:
        return f"{self.verb} {self.place}"

    @property
    def place(self) -> str:
        """Resource and namespace, as kubectl would write them."""
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        resource = f"{resource}/{self.subresource}" if self.subresource else resource
        return f"{resource} in {self.namespace}" if self.namespace else f"{resource} (cluster)"


def needed_rights(target: Target, drills: Iterable[str]) -> tuple[Right, ...]:
    """Every right that these drills use on this target, each once, with the first reason."""
    wanted = frozenset(drills)
    rights = [*_watching(target), *_locking(target), *_reading_argocd(target)]
    if wanted & _DEPLOYING:
        rights.extend(_deploying(target))
    if "drift" in wanted:
        rights.extend(_drifting(target))
    return tuple(dict.fromkeys(rights))


def is_granted(right: Right, kube: Kube, argo_kube: Kube) -> bool:
    """Ask the API server that the right belongs to."""
    asked = argo_kube if right.argocd else kube
    return asked.may(
        right.verb, right.resource, right.namespace, group=right.group, subresource=right.subresource, name=right.name
    )


def missing_rights(target: Target, kube: Kube, argo_kube: Kube, drills: Iterable[str]) -> tuple[Right, ...]:
    """The required rights that are not granted: with any of them missing a drill would break in the middle."""
    required = (right for right in needed_rights(target, drills) if right.required)
    return tuple(right for right in required if not is_granted(right, kube, argo_kube))


def _each(verbs: str, resource: str, namespace: str, why: str, **more: str | bool) -> Iterator[Right]:
    for verb in verbs.split():
        yield Right(verb=verb, resource=resource, namespace=namespace, why=why, **more)  # type: ignore[arg-type]


def _watching(target: Target) -> Iterator[Right]:
    namespace, why = target.cluster.namespace, "to see what happens"
    yield from _each("get list watch", "deployments", namespace, why, group="apps")
    yield from _each("list watch", "replicasets", namespace, why, group="apps")
    yield from _each("list watch", "pods", namespace, why)
    yield from _each("list watch", "endpointslices", namespace, why, group="discovery.k8s.io")
    yield from _each("get", "services", namespace, why, name=target.cluster.service)
    if target.ingress.namespace:
        why = "without it retries of the ingress stay unseen (finding MASKED)"
        place = target.ingress.namespace
        yield from _each("list", "pods", place, why, required=False)
        yield from _each("get", "pods", place, why, subresource="log", required=False)


def _locking(target: Target) -> Iterator[Right]:
    why = "the lock that keeps two runs apart"
    yield from _each(
        "get create update patch delete watch", "leases", target.cluster.namespace, why, group="coordination.k8s.io"
    )


def _reading_argocd(target: Target) -> Iterator[Right]:
    argocd = target.argocd
    namespace, name = argocd.namespace, argocd.application
    yield from _each(
        "get list watch", "applications", namespace, "to see what Argo CD does", group="argoproj.io", name=name,
        argocd=True,
    )  # fmt: skip
    why = "without it Argo CD's back-off settings are assumed"
    yield from _each("get", "configmaps", namespace, why, name="argocd-cmd-params-cm", required=False, argocd=True)
    why = "without it Argo CD's version, and so its back-off rules, are assumed"
    yield from _each("list", "statefulsets", namespace, why, group="apps", required=False, argocd=True)
    why = "without it sync windows stay unseen"
    yield from _each(
        "get", "appprojects", namespace, why, group="argoproj.io", name=argocd.project, required=False, argocd=True
    )


def _patching_application(target: Target, why: str) -> Iterator[Right]:
    argocd = target.argocd
    yield from _each(
        "patch", "applications", argocd.namespace, why, group="argoproj.io", name=argocd.application, argocd=True
    )


def _deploying(target: Target) -> Iterator[Right]:
    namespace = target.cluster.namespace
    if target.argocd.profile == "refresh":
        why = 'to ask for a refresh; with argocd.profile = "read-only" the poll sets the pace'
        yield from _patching_application(target, why)
    why = "to ask single pods for their version; else pods/portforward, else the ingress alone is asked"
    yield from _each("get", "pods", namespace, why, subresource="proxy", required=False)
    why = "to ask single pods where pods/proxy is not granted"
    yield from _each("create", "pods", namespace, why, subresource="portforward", required=False)
    why = "to restart the rollout when the sha already runs"
    restarts = not target.release.shas  # with candidates there is always another one to deploy
    yield from _each(
        "patch", "deployments", namespace, why, group="apps", name=target.cluster.deployment, required=restarts
    )
    if target.release.image_check == "nodes":
        yield from _each("list", "nodes", "", 'release.image_check = "nodes"')


def _drifting(target: Target) -> Iterator[Right]:
    cluster, drift = target.cluster, target.drift
    namespace = cluster.namespace
    trials: Sequence[str] = drift.trials
    if {"image", "replicas", "env", "resources", "void-patch"} & set(trials):
        yield from _each("patch", "deployments", namespace, "drift", group="apps", name=cluster.deployment)
    if {"configmap", "delete-configmap", "undeclared-annotation"} & set(trials):
        yield from _each("get list watch patch", "configmaps", namespace, "drift", name=drift.configmap)
    if {"service-selector", "delete-service"} & set(trials):
        yield from _each("list watch patch", "services", namespace, "drift", name=cluster.service)
    if "delete-configmap" in trials:
        yield from _each("delete", "configmaps", namespace, "drift delete-configmap", name=drift.configmap)
        yield from _each("create", "configmaps", namespace, "to undo drift delete-configmap")
    if "delete-service" in trials:
        yield from _each("delete", "services", namespace, "drift delete-service", name=cluster.service)
        yield from _each("create", "services", namespace, "to undo drift delete-service")
    if "replicas" in trials:
        why = "without it an HPA that owns the replicas stays unseen"
        yield from _each("list", "horizontalpodautoscalers", namespace, why, group="autoscaling", required=False)
    if drift.reset == "sync" and target.argocd.profile == "refresh":
        yield from _patching_application(target, 'to reset the self-heal count (drift.reset = "sync")')
