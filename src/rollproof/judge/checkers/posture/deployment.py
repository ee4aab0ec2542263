"""Checks of the Deployment: how many pods, how they are replaced, where they are."""

from __future__ import annotations

import math
from collections import Counter

from rollproof.core.counts import many
from rollproof.core.posture import DatabaseSeen, DeploymentSeen, EntrySeen, NodesSeen, PodSeen, PodsSeen, ScalersSeen
from rollproof.core.posturefacts import Posture, UnreadError
from rollproof.core.posturewords import Unread
from rollproof.judge.checkers.posture.base import Said, check, finding, nothing, sound

_HOST = "kubernetes.io/hostname"
_ZONE = "topology.kubernetes.io/zone"


def _share(value: str, of: int, *, up: bool) -> int:
    """A number or percentage of the replicas, as the Deployment controller rounds it (surge up, unavailable down)."""
    if not value.endswith("%"):
        return int(value) if value.isdecimal() else 0
    digits = value.removesuffix("%")
    share = of * (int(digits) if digits.isdecimal() else 0) / 100
    return math.ceil(share) if up else math.floor(share)


@check(
    "replicas", asks="are there enough pods?", advised="posture.replicas_min (2) or more",
    why="with one pod every deletion, eviction, crash and node loss is an outage",
    source="https://kubernetes.io/docs/concepts/workloads/pods/disruptions/", drill="rollproof run pod-delete-now",
)  # fmt: skip
def replicas(seen: Posture) -> Said:
    """Declared and ready ones."""
    place, least = seen.subject(DeploymentSeen), seen.target.posture.replicas_min
    count = seen.view(DeploymentSeen).replicas
    advised = f"{least} or more"
    return sound(place, "spec.replicas", count) if count >= least else finding(
        place, "spec.replicas", count, advised=advised
    )  # fmt: skip


@check(
    "rollout-strategy", asks="does a rollout keep all pods that serve?",
    advised="RollingUpdate with maxUnavailable 0 and maxSurge 1 or more",
    why="a rollout takes serving pods away before their replacements serve",
    source="https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-unavailable",
    drill="rollproof run zero-downtime",
)  # fmt: skip
def rollout_strategy(seen: Posture) -> Said:
    """As rounded for the declared number of replicas, and for the most that an autoscaler may make of it."""
    place, one = seen.subject(DeploymentSeen), seen.view(DeploymentSeen)
    if one.strategy != "RollingUpdate":
        return finding(place, "spec.strategy.type", one.strategy, "all old pods end before a new one starts")
    value = f"maxUnavailable {one.max_unavailable}, maxSurge {one.max_surge}"
    surge = _share(one.max_surge, one.replicas, up=True)
    for count, when in ((one.replicas, ""), (_most(seen), ", the autoscaler's maximum,")):
        if away := _away(one, count):
            note = f"{away} of {many(count, 'pod')}{when} may be away at once"
            return finding(place, "spec.strategy.rollingUpdate", value, note)
    return sound(place, "spec.strategy.rollingUpdate", value, f"{surge} more, none away")


def _away(one: DeploymentSeen, replicas: int) -> int:
    """How many of so many pods a rollout may take away at once."""
    away, surge = _share(one.max_unavailable, replicas, up=False), _share(one.max_surge, replicas, up=True)
    if replicas and not away and not surge and one.max_unavailable.strip("0%"):
        return 1  # it was rounded to none: the controller takes one away all the same, or it could not go on
    return away


def _most(seen: Posture) -> int:
    """The largest number of replicas that an autoscaler may set; 0 where there is none, or it could not be read."""
    try:
        return max((one.maximum for one in seen.view(ScalersSeen).scalers), default=0)
    except UnreadError:
        return 0


@check(
    "min-ready", asks="does a new pod have to stay ready before the next old one goes?",
    advised="minReadySeconds of at least one readiness period",
    why="a pod that is ready once and fails right after counts as available, and the rollout goes on",
    source="https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#min-ready-seconds",
    drill="rollproof run zero-downtime",
)  # fmt: skip
def min_ready(seen: Posture) -> Said:
    """Against the readiness probe's period."""
    place, one = seen.subject(DeploymentSeen), seen.view(DeploymentSeen)
    probe = one.container.readiness if one.container else None
    least = probe.period_s if probe and probe.kind else 1
    if one.min_ready_s >= least:
        return sound(place, "spec.minReadySeconds", one.min_ready_s)
    return finding(place, "spec.minReadySeconds", one.min_ready_s, advised=f"{least} or more (one readiness period)")


@check(
    "progress-deadline", asks="does Kubernetes say in time that a rollout is stuck?",
    advised="progressDeadlineSeconds below the target file's release.deadline_s",
    why="a version that never gets ready is called failed only then; until that Argo CD says Progressing",
    source="https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds",
    drill="rollproof run bad-release",
)  # fmt: skip
def progress_deadline(seen: Posture) -> Said:
    """Against how long a release may take."""
    place, one = seen.subject(DeploymentSeen), seen.view(DeploymentSeen)
    limit_s, field = seen.target.release.deadline_s, "spec.progressDeadlineSeconds"
    if one.progress_deadline_s < limit_s:
        return sound(place, field, one.progress_deadline_s, f"a release may take {limit_s:g} s")
    return finding(place, field, one.progress_deadline_s, advised=f"below {limit_s:g} (release.deadline_s)")


@check(
    "revision-history", asks="are old ReplicaSets kept for a rollback by hand?",
    advised="revisionHistoryLimit 1 or more",
    why="with 0 `kubectl rollout undo` has nothing to go back to while git is away",
    source="https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#revision-history-limit",
    drill="rollproof run rollback",
)  # fmt: skip
def revision_history(seen: Posture) -> Said:
    """None kept is the only harm; the default is 10."""
    place, count = seen.subject(DeploymentSeen), seen.view(DeploymentSeen).history_limit
    said = sound if count else finding
    return said(place, "spec.revisionHistoryLimit", count)


@check(
    "node-spread", asks="are the pods on several nodes, and told to be?",
    advised="a topologySpreadConstraint or anti-affinity by kubernetes.io/hostname, and pods on 2 nodes or more",
    why="the loss or drain of one node takes all pods; without a rule it is luck where they are",
    source="https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/",
    drill="rollproof run node-lost",
)  # fmt: skip
def node_spread(seen: Posture) -> Said:
    """What is so first, then what is declared."""
    place, declared = seen.subject(DeploymentSeen), seen.view(DeploymentSeen)
    on = _by_node(seen.view(PodsSeen).pods)
    where = ", ".join(f"{count} on {node}" for node, count in sorted(on.items())) or "no pod has a node"
    if len(on) < 2 and sum(on.values()) > 1:
        return finding(place, "pods' nodes", where)
    if not any(rule.key == _HOST for rule in declared.spread):
        return finding(place, "spec.template.spec.topologySpreadConstraints", "none by hostname", where)
    return sound(place, "pods' nodes", where)


def _by_node(pods: tuple[PodSeen, ...]) -> Counter[str]:
    return Counter(pod.node for pod in pods if pod.node)


@check(
    "zone-spread", asks="where nodes are in several zones, are the pods?",
    advised="a topologySpreadConstraint by topology.kubernetes.io/zone, and pods in 2 zones or more",
    why="spot capacity and networks fail by zone",
    source="https://kubernetes.io/docs/setup/best-practices/multiple-zones/", drill="rollproof run node-spot",
)  # fmt: skip
def zone_spread(seen: Posture) -> Said:
    """Nothing to judge in a cluster of one zone."""
    place, declared = seen.subject(DeploymentSeen), seen.view(DeploymentSeen)
    zones = {node.name: node.zone for node in seen.view(NodesSeen).nodes if node.zone}
    if len(set(zones.values())) < 2:
        return nothing(place, "pods' zones", "the nodes are in one zone, or none says in which")
    used = Counter(zones.get(node, "?") for node in _by_node(seen.view(PodsSeen).pods))
    where = ", ".join(f"{count} in {zone}" for zone, count in sorted(used.items())) or "no pod has a node"
    if len(used) < 2 and declared.replicas > 1:
        return finding(place, "pods' zones", where)
    if not any(rule.key == _ZONE for rule in declared.spread):
        return finding(place, "spec.template.spec.topologySpreadConstraints", "none by zone", where)
    return sound(place, "pods' zones", where)


@check(
    "node-neighbours", asks="does a node that carries the app also carry the only pod of what the app needs?",
    advised="the database's or the ingress's only pod on another node than the app's",
    why="one node takes the app's pod and what all other pods need, at the same time",
    source="https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity",
    drill="rollproof run node-drain",
)  # fmt: skip
def node_neighbours(seen: Posture) -> Said:
    """Of the two that the target file names."""
    place, own = seen.subject(PodsSeen), _by_node(seen.view(PodsSeen).pods)
    beside = {"ingress": _others(seen, EntrySeen), "database": _others(seen, DatabaseSeen)}
    known = {name: pods for name, pods in beside.items() if pods is not None}
    if not known:
        return nothing(place, "nodes", "neither ingress.namespace nor faults.database is set in the target file")
    shared = [
        f"{pods[0].node} also carries the only pod of the {name}"
        for name, pods in known.items() if len(pods) == 1 and pods[0].node in own
    ]  # fmt: skip
    if shared:
        return finding(place, "nodes", "; ".join(shared))
    return sound(place, "nodes", f"no node is shared with the only pod of the {' or the '.join(known)}")


def _others(seen: Posture, view: type[EntrySeen] | type[DatabaseSeen]) -> tuple[PodSeen, ...] | None:
    """The pods; None where the target file does not name them."""
    try:
        return seen.view(view).pods
    except UnreadError as error:
        if error.cause is Unread.NOT_NAMED:
            return None
        raise


CHECKS = (
    replicas, rollout_strategy, min_ready, progress_deadline, revision_history, node_spread, zone_spread,
    node_neighbours,
)  # fmt: skip
