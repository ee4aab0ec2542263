"""Patches: from a cause to the change of the env repo that would mend it, made from the live objects in the record.

A change is written only where the record holds the object as it was: what it replaces is said beside it. Where a
setting is as it should be already there is no patch, and that speaks against the cause. Kustomize merges each file by
the object's name, and lists of containers by theirs.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rollproof.core.diagnosis import Patch
from rollproof.core.posture import ApplicationSeen, ContainerSeen, DeploymentSeen, ServiceSeen
from rollproof.core.posturefacts import Posture, UnreadError
from rollproof.core.posturewords import Topic, Unread
from rollproof.core.verdict import Finding
from rollproof.core.visible import printable
from rollproof.judge.diagnose.yamltext import Tree, yaml_text

__all__ = ["Proposal", "propose"]

_NO_PATCH = "no setting of the env repo mends this: see the hint"
_RETRIES = 5  # Argo CD waits 5, 10, 20, 40, 80 s between them by default
_LEAST_DEADLINE_S = 10
_ROOM_S = 5  # between the longest request and the end of the grace period
_PREFIX = "where the overlay has a namePrefix or nameSuffix, write the name that the base has"
_SLEEP_HOOK = "a sleep hook needs Kubernetes 1.30; before that: exec with command [sleep, SECONDS]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A patch, or why there is none; and what the live objects say for and against the cause, each one sentence."""

    patch: Patch | None = None
    why_not: str = ""
    supports: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()


def propose(finding: Finding, seen: Posture) -> Proposal:
    """The change for a cause by its code."""
    maker = _MAKERS.get(finding.code)
    if maker is None:
        return Proposal(why_not=_NO_PATCH)
    try:
        return maker(finding, seen)
    except UnreadError as error:
        return Proposal(why_not=f"no patch: the live object was not read ({error})")


# ---- how a pod ends ----


def _pre_stop(finding: Finding, seen: Posture) -> Proposal:
    """A longer preStop, and a grace period above it plus the longest request."""
    deployment, one = _container(seen)
    wanted_s = math.ceil(float(finding.numbers.get("prestop_s") or seen.target.posture.endpoint_lag_s))
    if one.pre_stop and one.pre_stop_s is None:
        why = f"no patch: how long the live preStop ({one.pre_stop}) waits is not in it"
        return Proposal(why_not=f"{why}; it must wait {wanted_s} s or more")
    now = f"{one.pre_stop} {one.pre_stop_s:g} s" if one.pre_stop and one.pre_stop_s is not None else "none"
    if (one.pre_stop_s or 0.0) >= wanted_s:
        said = f"the live Deployment has a preStop already ({now}), and {wanted_s} s would be proposed"
        return Proposal(why_not="no patch: the preStop is long enough already", contradicts=(said,))
    hook: dict[str, object] = {"sleep": {"seconds": wanted_s}}
    if one.pre_stop == "exec":
        hook = {"exec": {"command": ["sleep", str(wanted_s)]}}
    elif one.pre_stop == "httpGet":
        hook["httpGet"] = None  # a hook has one handler
    pod, grace = _grace(deployment, wanted_s + _longest_s(finding, seen))
    pod["containers"] = [{"name": one.name, "lifecycle": {"preStop": hook}}]
    caveats = () if one.pre_stop == "exec" else (_SLEEP_HOOK,)
    what = f"preStop: {now} before, {wanted_s} s now; {grace}"
    patch = _of_deployment("pre-stop", what, seen, deployment, {"template": {"spec": pod}}, caveats)
    return Proposal(patch=patch, supports=(f"the live Deployment's preStop: {now}",))


def _grace_period(finding: Finding, seen: Posture) -> Proposal:
    """A grace period above the preStop plus the longest request."""
    deployment, one = _container(seen)
    needed_s = (one.pre_stop_s or 0.0) + _longest_s(finding, seen)
    pod, what = _grace(deployment, needed_s)
    live = f"the live terminationGracePeriodSeconds: {deployment.grace_s}; preStop and longest request: {needed_s:g} s"
    if not pod:
        return Proposal(why_not="no patch: the grace period is long enough already", contradicts=(live,))
    patch = _of_deployment("grace-period", what, seen, deployment, {"template": {"spec": pod}})
    return Proposal(patch=patch, supports=(live,))


def _grace(deployment: DeploymentSeen, needed_s: float) -> tuple[dict[str, object], str]:
    """The pod's setting if its grace period is too short, and words about it."""
    if deployment.grace_s > needed_s:
        return {}, f"terminationGracePeriodSeconds: {deployment.grace_s} is enough"
    wanted_s = math.ceil(needed_s) + _ROOM_S
    what = f"terminationGracePeriodSeconds: {deployment.grace_s} before, {wanted_s} now"
    return {"terminationGracePeriodSeconds": wanted_s}, what


def _longest_s(finding: Finding, seen: Posture) -> float:
    """The longest request that must be able to end: what was seen of one, and what a client waits for."""
    return max(float(finding.numbers.get("longest_request_s") or 0.0), seen.target.traffic.timeout_s)


# ---- when a pod gets traffic ----


def _readiness(finding: Finding, seen: Posture) -> Proposal:
    """The path that asks for most, where the probe asks another; else a new pod has to stay ready for some time."""
    deployment, one = _container(seen)
    wanted, probe = seen.target.app.ready_path, one.readiness
    now = f"{probe.kind} {probe.path}".strip() or "none"
    live = f"the live readiness probe: {now}"
    if probe.kind == "httpGet" and _bare(probe.path) == _bare(wanted):
        return _min_ready(finding, seen, (f"{live}, which is the path that the target file calls ready",))
    if probe.kind not in ("", "httpGet"):
        return Proposal(
            why_not=f"no patch: the probe is a {probe.kind}, and says itself what it asks", supports=(live,)
        )
    ask: dict[str, object] = {"path": wanted}
    if not probe.kind:
        ask["port"] = seen.target.app.pod_port
    body = {"template": {"spec": {"containers": [{"name": one.name, "readinessProbe": {"httpGet": ask}}]}}}
    patch = _of_deployment(
        "readiness-path", f"readiness probe: {now} before, httpGet {wanted} now", seen, deployment, body
    )
    return Proposal(patch=patch, supports=(live,))


def _min_ready(_: Finding, seen: Posture, against: tuple[str, ...] = ()) -> Proposal:
    """minReadySeconds of a few readiness periods: a rollout stops at the first pod that does not stay ready."""
    deployment, one = _container(seen)
    wanted_s = max(3 * one.readiness.period_s, 5)
    live = f"the live minReadySeconds is {deployment.min_ready_s}"
    if deployment.min_ready_s >= wanted_s:
        return Proposal(why_not="no patch: minReadySeconds is long enough already", contradicts=(*against, live))
    what = f"minReadySeconds: {deployment.min_ready_s} before, {wanted_s} now"
    caveat = "it keeps the old pods until the new one has stayed ready, and does not make the probe right"
    patch = _of_deployment("min-ready", what, seen, deployment, {"minReadySeconds": wanted_s}, (caveat,))
    return Proposal(patch=patch, supports=(live,), contradicts=against)


def _liveness(_: Finding, seen: Posture) -> Proposal:
    """The health path, where the liveness probe asks the path that asks for the database."""
    deployment, one = _container(seen)
    probe, wanted = one.liveness, seen.target.app.health_path
    live = f"the live liveness probe: {probe.kind} {probe.path}".strip()
    if probe.kind != "httpGet" or _bare(probe.path) != _bare(seen.target.app.ready_path):
        return Proposal(why_not="no patch: it is the app's answer that must change, not the probe", supports=(live,))
    body = {"template": {"spec": {"containers": [{"name": one.name, "livenessProbe": {"httpGet": {"path": wanted}}}]}}}
    patch = _of_deployment(
        "liveness-path", f"liveness probe: {probe.path} before, {wanted} now", seen, deployment, body
    )
    return Proposal(patch=patch, supports=(live,))


def _bare(path: str) -> str:
    return path.partition("?")[0].rstrip("/") or "/"


# ---- how many pods, and how they are replaced ----


def _more_pods(finding: Finding, seen: Posture) -> Proposal:
    """Enough replicas, and none of them away during a rollout."""
    deployment = seen.view(DeploymentSeen)
    wanted = max(3 if finding.code == "ONE_ENDPOINT" else 2, seen.target.posture.replicas_min)
    live = f"the live Deployment: {deployment.replicas} replicas, {deployment.strategy}"
    live += f", maxUnavailable {deployment.max_unavailable}" if deployment.strategy == "RollingUpdate" else ""
    body: dict[str, object] = {}
    if deployment.replicas < wanted:
        if deployment.replicas_declared is False:
            why = f"no patch: replicas are not declared, an autoscaler has them: its minReplicas {wanted} or more"
            return Proposal(why_not=why, supports=(live,))
        body["replicas"] = wanted
    if deployment.strategy != "RollingUpdate" or deployment.max_unavailable != "0":
        body["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    if not body:
        return Proposal(why_not="no patch: replicas and strategy are as advised already", contradicts=(live,))
    what = f"{live.partition(': ')[2]} before; {max(wanted, deployment.replicas)} replicas, maxUnavailable 0 now"
    return Proposal(patch=_of_deployment("replicas", what, seen, deployment, body), supports=(live,))


def _deadline(_: Finding, seen: Posture) -> Proposal:
    """A progressDeadlineSeconds within which a version that never gets ready must be called bad."""
    deployment, release = seen.view(DeploymentSeen), seen.target.release
    limit_s = min(release.deadline_s, release.bad.never_ready_within_s)
    wanted_s = max(int(limit_s) - 1, _LEAST_DEADLINE_S)
    live = f"the live progressDeadlineSeconds is {deployment.progress_deadline_s}"
    if deployment.progress_deadline_s <= wanted_s:
        return Proposal(why_not="no patch: progressDeadlineSeconds is below the limit already", contradicts=(live,))
    what = f"progressDeadlineSeconds: {deployment.progress_deadline_s} before, {wanted_s} now"
    caveat = "a sound start must take less, on a node that has to pull the image too"
    body = {"progressDeadlineSeconds": wanted_s}
    return Proposal(
        patch=_of_deployment("progress-deadline", what, seen, deployment, body, (caveat,)), supports=(live,)
    )


def _budget(_: Finding, seen: Posture) -> Proposal:
    """A PodDisruptionBudget of one pod, for the pods that the Service selects."""
    service, cluster = seen.view(ServiceSeen), seen.target.cluster
    if not service.selector:
        return Proposal(why_not="no patch: the Service selects no pods by label")
    tree = {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": cluster.deployment},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": service.selector}},
    }  # fmt: skip
    name, overlay = "rollproof-disruption-budget.yaml", seen.target.env_repo.overlay
    text = _file("a drain may take one pod at a time", tree)
    apply = f"cd {shlex.quote(overlay)} && kustomize edit add resource {name}"
    patch = Patch(
        file=f"{overlay}/{name}", text=text, apply=apply, caveats=("another budget for the same pods must go",)
    )
    return Proposal(patch=patch, supports=("no PodDisruptionBudget that allows one eviction selects the pods",))


# ---- Argo CD ----


def _retry(_: Finding, seen: Posture) -> Proposal:
    """Retries of a sync, where the Application has none."""
    one = seen.view(ApplicationSeen)
    live = one.retries
    # Without `retry` an automated sync is retried five times (application controller, autoSync).
    if live or (live is None and one.automated):
        times = "five times, the default of an automated sync" if live is None else f"{live} times"
        said = f"the live Application retries a failed sync {times}"
        return Proposal(why_not="no patch: a failed sync is retried already", contradicts=(said,))
    said = "the live Application does not retry a failed sync"
    backoff = {"duration": "5s", "factor": 2, "maxDuration": "3m"}
    tree = {"retry": {"limit": _RETRIES, "backoff": backoff}}
    what = f"a failed sync: not retried before, {_RETRIES} times now"
    return Proposal(patch=_of_application("sync-retry", what, seen, tree), supports=(said,))


def _self_heal(_: Finding, seen: Posture) -> Proposal:
    """selfHeal, with the automated sync that it needs."""
    live = seen.view(ApplicationSeen)
    said = f"the live Application: automated {str(live.automated).lower()}, selfHeal {str(live.self_heal).lower()}"
    if live.automated and live.self_heal:
        return Proposal(why_not="no patch: selfHeal is on already", contradicts=(said,))
    tree = {"automated": {"selfHeal": True}}
    return Proposal(patch=_of_application("self-heal", "selfHeal: off before, on now", seen, tree), supports=(said,))


# ---- the files ----


def _container(seen: Posture) -> tuple[DeploymentSeen, ContainerSeen]:
    deployment = seen.view(DeploymentSeen)
    if deployment.container is None:
        why = "several containers could be the app's: name one, cluster.container of the target file"
        raise UnreadError(Topic.DEPLOYMENT, Unread.NOT_NAMED, why)
    return deployment, deployment.container


def _file(what: str, tree: Tree) -> str:
    """The patch's text. `what` tells of live objects: a line's end in one of them must not end the comment."""
    return f"# rollproof: {printable(what)}\n{yaml_text(tree)}"


def _of_deployment(
    name: str, what: str, seen: Posture, deployment: DeploymentSeen, spec: Tree, caveats: tuple[str, ...] = ()
) -> Patch:
    """A strategic merge patch in the overlay."""
    overlay = seen.target.env_repo.overlay
    tree = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": deployment.name}, "spec": spec}
    file = f"rollproof-{name}.yaml"
    return Patch(
        file=f"{overlay}/{file}", text=_file(what, tree),
        apply=f"cd {shlex.quote(overlay)} && kustomize edit add patch --path {file}", caveats=(*caveats, _PREFIX),
    )  # fmt: skip


def _of_application(name: str, what: str, seen: Posture, policy: Tree) -> Patch:
    """A merge patch of the Application, which is declared elsewhere than what it applies."""
    argocd, file = seen.target.argocd, f"rollproof-{name}.yaml"
    tree = {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": argocd.application},
        "spec": {"syncPolicy": policy},
    }  # fmt: skip
    return Patch(
        file=file, text=_file(what, tree),
        apply=f"where the Application {argocd.application} is declared: kustomize edit add patch --path {file}",
        caveats=("an Application that nobody declares in git is changed by `argocd app set`",),
    )  # fmt: skip


_MAKERS: Mapping[str, Callable[[Finding, Posture], Proposal]] = {
    "PRESTOP_MISSING": _pre_stop, "PRESTOP_TOO_SHORT": _pre_stop, "PRE_STOP": _pre_stop,
    "IN_FLIGHT_CUT": _grace_period, "GRACE_PERIOD": _grace_period,
    "READINESS_LIES": _readiness, "READINESS_PROBE": _readiness, "MIN_READY": _min_ready,
    "LIVENESS_FOLLOWS_DATABASE": _liveness, "HEALTH_FOLLOWS_DATABASE": _liveness, "LIVENESS_PATH": _liveness,
    "NO_READY_ENDPOINT": _more_pods, "ONE_ENDPOINT": _more_pods, "REPLICAS": _more_pods, "ROLLOUT_STRATEGY": _more_pods,
    "NAMED_LATE": _deadline, "PROGRESS_DEADLINE": _deadline,
    "DISRUPTION_BUDGET": _budget, "SYNC_FAILED": _retry, "SYNC_RETRY": _retry, "SELF_HEAL_OFF": _self_heal,
}  # fmt: skip
