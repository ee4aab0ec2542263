"""Rights: what each drill needs of the Kubernetes API, one table for the doctor and for the look before a run.

The table is the least that works (docs/argocd.md 4), and docs/eks.md shows it; a unit test compares the two. It asks
the API server (SelfSubjectAccessReview) and must never try a permission out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rollproof.clients.kube import Kube
from rollproof.core.plan import Plan
from rollproof.core.target import Target
from rollproof.core.trials import TRIALS, allowed_trials
from rollproof.suites import Drill

__all__ = ["Permission", "is_granted", "needed_permissions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One verb on one resource. Without an optional permission (`required` False) a run can see or claim less: `why`.

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


def needed_permissions(
    target: Target, drills: Iterable[Drill], plan: Plan | None = None, trials: Iterable[str] = ()
) -> tuple[Permission, ...]:
    """Every permission that these drills use on this target, each once, with the first reason.

    Without a plan: what any run needs, and what must be read to make its plan. With one, and the names of the `trials`
    that it really does (not of those that it skips): what the drills write too.
    """
    wanted = tuple(drills)
    permissions = [*_watching(target), *_locking(target), *_reading_argocd(target), *_refreshing(target)]
    if any(drill.deploys for drill in wanted):
        permissions.extend(_proving(target))
    if plan is not None:
        permissions.extend(_deploying(plan))
    if any(drill.drifts for drill in wanted):
        permissions.extend(_planning_trials(target))
        permissions.extend(_drifting(target, trials))
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


def _each(verbs: str, resource: str, namespace: str, why: str, **more: str | bool) -> Iterator[Permission]:
    for verb in verbs.split():
        yield Permission(verb=verb, resource=resource, namespace=namespace, why=why, **more)  # type: ignore[arg-type]


def _watching(target: Target) -> Iterator[Permission]:
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


def _locking(target: Target) -> Iterator[Permission]:
    why = "the lock that keeps two runs apart"
    yield from _each(
        "get create update patch delete watch", "leases", target.cluster.namespace, why, group="coordination.k8s.io"
    )


def _reading_argocd(target: Target) -> Iterator[Permission]:
    argocd = target.argocd
    namespace, name = argocd.namespace, argocd.application
    yield from _each(
        "get list watch", "applications", namespace, "to see what Argo CD does", group="argoproj.io", name=name,
        argocd=True,
    )  # fmt: skip
    for configmap in ("argocd-cmd-params-cm", "argocd-cm"):
        why = "without it Argo CD's self-heal and poll settings are assumed"
        yield from _each("get", "configmaps", namespace, why, name=configmap, required=False, argocd=True)
    why = "without it Argo CD's version, and so its back-off rules, are assumed"
    yield from _each("list", "statefulsets", namespace, why, group="apps", required=False, argocd=True)
    why = "without it sync windows stay unseen"
    yield from _each(
        "get", "appprojects", namespace, why, group="argoproj.io", name=argocd.project, required=False, argocd=True
    )


def _refreshing(target: Target) -> Iterator[Permission]:
    """Every drill waits for rest first, and asks for a comparison to know it; drift may reset the heal count too."""
    argocd = target.argocd
    if argocd.profile == "refresh":
        why = 'to ask for a refresh; with argocd.profile = "read-only" the poll sets the pace'
        yield from _each(
            "patch", "applications", argocd.namespace, why, group="argoproj.io", name=argocd.application, argocd=True
        )


def _proving(target: Target) -> Iterator[Permission]:
    namespace = target.cluster.namespace
    why = "to ask single pods for their version; else pods/portforward, else the ingress alone is asked"
    yield from _each("get", "pods", namespace, why, subresource="proxy", required=False)
    why = "to ask single pods where pods/proxy is not granted"
    # By websocket it is a GET; from Kubernetes 1.35 on that needs create too.
    yield from _each("get create", "pods", namespace, why, subresource="portforward", required=False)


def _deploying(plan: Plan) -> Iterator[Permission]:
    cluster = plan.target.cluster
    if plan.restart:
        why = f"to restart the rollout: {plan.new_sha} runs already"
        yield from _each("patch", "deployments", cluster.namespace, why, group="apps", name=cluster.deployment)
    if plan.needs_image and plan.target.release.image_check == "nodes":
        yield from _each("list", "nodes", "", 'release.image_check = "nodes"')


def _planning_trials(target: Target) -> Iterator[Permission]:
    for trial in allowed_trials(target):
        yield from _on_object("get", trial, target, f"to plan drift {trial}")
        if trial == "replicas":
            why = "without it drift replicas is skipped: an HPA may own the field"
            place = target.cluster.namespace
            yield from _each("list", "horizontalpodautoscalers", place, why, group="autoscaling", required=False)


def _drifting(target: Target, trials: Iterable[str]) -> Iterator[Permission]:
    for trial in trials:
        yield from _on_object("get list watch", trial, target, f"to see what becomes of drift {trial}")
        if TRIALS[trial].deletes:
            yield from _on_object("delete", trial, target, f"drift {trial}")
            yield from _on_object("create", trial, target, f"to undo drift {trial}")
        else:
            yield from _on_object("patch", trial, target, f"drift {trial}")


def _on_object(verbs: str, trial: str, target: Target, why: str) -> Iterator[Permission]:
    """On the object that the trial changes; `create` has no name to be restricted to."""
    cluster = target.cluster
    resource, group, name = {
        "Deployment": ("deployments", "apps", cluster.deployment),
        "Service": ("services", "", cluster.service),
        "ConfigMap": ("configmaps", "", target.drift.configmap),
    }[TRIALS[trial].kind]
    for verb in verbs.split():
        yield from _each(verb, resource, cluster.namespace, why, group=group, name="" if verb == "create" else name)
