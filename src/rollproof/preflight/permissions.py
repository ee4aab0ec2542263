"""Permissions: what each drill needs of the Kubernetes API, one table for the doctor and for the look before a run.

The table is the least that works (docs/argocd.md 4), and docs/eks.md shows it; a unit test compares the two. It asks
the API server (SelfSubjectAccessReview) and must never try a permission out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rollproof.clients.kube import Kube
from rollproof.core.permission import READING, Permission, each_verb
from rollproof.core.plan import Plan
from rollproof.core.target import Target
from rollproof.faults.registry import fault_named, faults_of, is_kept_away, may_leave_pods
from rollproof.preflight.lock import LEASE_NAME
from rollproof.preflight.readings import READINGS
from rollproof.suites import Drill

__all__ = ["is_granted", "needed_permissions", "possible_permissions"]


def needed_permissions(
    target: Target, drills: Iterable[Drill], plan: Plan | None = None, faults: Iterable[str] = ()
) -> tuple[Permission, ...]:
    """Every permission that these drills use on this target, each once, with the first reason.

    Without a plan: what any run needs, and what must be read to make its plan. With one, and the names of the `faults`
    that it really injects (not of those that it skips): what the drills write too.
    """
    return tuple(dict.fromkeys(_each_reason(target, tuple(drills), plan, faults)))


def possible_permissions(target: Target, drills: Iterable[Drill], sha: str = "") -> tuple[Permission, ...]:
    """Every permission that these drills may use on this target, once for each reason; no cluster is asked.

    With each fault that the production fence lets pass. A restart is possible where there is but one sha to release.
    """
    wanted = tuple(drills)
    names = dict.fromkeys(name for drill in wanted for name in faults_of(drill, target))
    faults = [name for name in names if not is_kept_away(fault_named(name), target)]
    permissions = [*_each_reason(target, wanted, None, faults)]
    if target.release.mode == "push" and any(drill.deploys for drill in wanted):
        one = bool(sha) or len(set(target.release.shas)) < 2
        again = "to restart the rollout where the sha to release runs already" if one else ""
        permissions += _deploying(target, again=again, needs_image=True)
    return tuple(permissions)


def _each_reason(
    target: Target, drills: tuple[Drill, ...], plan: Plan | None, faults: Iterable[str]
) -> Iterator[Permission]:
    yield from (*_watching(target), *_reading_argocd(target))
    if any(not drill.read_only for drill in drills) or not drills:
        yield from (*_locking(target), *_refreshing(target), *_journaling(target))
    else:
        yield from _seeing_the_lock(target)
    if any(drill.deploys or drill.faults or "pipeline" in drill.reads for drill in drills):
        yield from _proving(target)
    if any(drill.deploys or drill.faults for drill in drills):
        yield from _keeping(target)
    for name in dict.fromkeys(name for drill in drills for name in drill.reads):
        if not READINGS[name].skipped(target):
            yield from READINGS[name].permissions(target)
    if plan is not None:
        again = f"to restart the rollout: {plan.new_sha} runs already" if plan.restart else ""
        yield from _deploying(target, again=again, needs_image=plan.needs_image)
    yield from _planning_faults(target, drills)
    of_faults = [needed for name in faults for needed in fault_named(name).permissions(target)]
    yield from of_faults
    if target.faults.renew_pods and any(may_leave_pods(fault_named(name)) for name in faults):
        why = "to replace a pod that does not serve any more although its fault is over (faults.renew_pods)"
        yield from each_verb("delete", "pods", target.cluster.namespace, why, required=False)
    if target.faults.abort_nodes is not None and any(drill.load or drill.drifts for drill in drills):
        yield from each_verb("list watch", "nodes", "", "to end a drill when other nodes are lost (faults.abort_nodes)")
    yield from _opting_in(target, of_faults)


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
    yield from each_verb("get list watch", "deployments", namespace, why, group="apps", name=target.cluster.deployment)
    yield from each_verb("list watch", "replicasets", namespace, why, group="apps")
    yield from each_verb("list watch", "pods", namespace, why)
    yield from each_verb("list watch", "endpointslices", namespace, why, group="discovery.k8s.io")
    yield from each_verb("get", "services", namespace, why, name=target.cluster.service)
    if target.ingress.namespace:
        why = "without it retries of the ingress stay unseen (finding MASKED)"
        place = target.ingress.namespace
        yield from each_verb("list", "pods", place, why, required=False)
        yield from each_verb("get", "pods", place, why, subresource="log", required=False)


def _opting_in(target: Target, of_faults: Iterable[Permission]) -> Iterator[Permission]:
    """A Role may grant to read the Namespace that it is in. In the app's the Deployment's own label may do instead."""
    if not target.fences.opt_in_label:
        return
    why = f"to see whether it carries {target.fences.opt_in_label} (fences.opt_in_label)"
    beside = {one.namespace: one.argocd for one in of_faults if one.verb not in READING and one.namespace}
    for namespace, argocd in {**beside, target.cluster.namespace: False}.items():
        yield from each_verb("get", "namespaces", namespace, why, name=namespace, required=False, argocd=argocd)


def _locking(target: Target) -> Iterator[Permission]:
    namespace, group = target.cluster.namespace, "coordination.k8s.io"
    why = "the lock that keeps two runs apart, and the measure of how late watches are"
    yield from each_verb("get update patch delete watch", "leases", namespace, why, group=group, name=LEASE_NAME)
    yield from each_verb("create", "leases", namespace, why, group=group)  # what is not there yet has no name


def _seeing_the_lock(target: Target) -> Iterator[Permission]:
    why, group = "to see whether a run is at work", "coordination.k8s.io"
    yield from each_verb("get", "leases", target.cluster.namespace, why, group=group, name=LEASE_NAME)


def _journaling(target: Target) -> Iterator[Permission]:
    if target.journal.store == "cluster":
        why = 'journal.store = "cluster": the undo journal, a ConfigMap a run'
        yield from each_verb("get list create update delete", "configmaps", target.cluster.namespace, why)


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
    yield from each_verb("get create", "pods", namespace, why, subresource="portforward", required=False, fallback=True)


def _keeping(target: Target) -> Iterator[Permission]:
    """What pods that do not come up say; without it a cause is named by their states alone."""
    namespace = target.cluster.namespace
    why = "where pods do not come up, to keep the end of their logs as evidence (`podlog-*.log`)"
    yield from each_verb("get", "pods", namespace, why, subresource="log", required=False)
    why = "where pods do not come up, to keep what Kubernetes says about them as evidence"
    yield from each_verb("list", "events", namespace, why, required=False)


def _deploying(target: Target, *, again: str, needs_image: bool) -> Iterator[Permission]:
    """`again`: why the sha that runs already is rolled out once more; "" if it is not."""
    cluster = target.cluster
    if again:
        yield from each_verb("patch", "deployments", cluster.namespace, again, group="apps", name=cluster.deployment)
    if needs_image and target.release.image_check == "nodes":
        yield from each_verb("list", "nodes", "", 'release.image_check = "nodes"')
    if needs_image and target.release.image_check == "registry" and (secret := target.pipeline.registry.pull_secret):
        why = 'release.image_check = "registry", with this login; or name variables: pipeline.registry.password_env'
        yield from each_verb("get", "secrets", cluster.namespace, why, name=secret)


def _planning_faults(target: Target, drills: Iterable[Drill]) -> Iterator[Permission]:
    """What must be read to plan the drills' faults; those that the production fence keeps away are not looked at."""
    for name in dict.fromkeys(name for drill in drills for name in faults_of(drill, target)):
        if not is_kept_away(fault_named(name), target):
            yield from fault_named(name).planning_permissions(target)
