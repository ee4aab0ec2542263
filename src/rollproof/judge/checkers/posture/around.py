"""Checks of what is around the pods: Service, entry, autoscaler, disruption budget, network policy, pull secret."""

from __future__ import annotations

from collections import Counter

from rollproof.core.counts import many
from rollproof.core.posture import (
    AccountSeen,
    ApplicationSeen,
    BudgetsSeen,
    DeploymentSeen,
    EndpointsSeen,
    EntrySeen,
    EventsSeen,
    EvictionsSeen,
    PodsSeen,
    PoliciesSeen,
    RegistrySeen,
    ScalersSeen,
    ServiceSeen,
)
from rollproof.core.posturefacts import Posture, UnreadError
from rollproof.core.posturewords import Unread
from rollproof.judge.checkers.posture.argocd import leaves_replicas
from rollproof.judge.checkers.posture.base import Said, check, finding, nothing, sound, unclear

_K8S = "https://kubernetes.io/docs"
_WOULD, _NOT_NOW = 201, 429


@check(
    "restarts", asks="has a container of the app ended lately?", advised="no restart within posture.restarts_within_s",
    why="a container that ends by itself takes its requests with it, and what is measured now is not the app at rest",
    source=f"{_K8S}/concepts/workloads/pods/pod-lifecycle/#restart-policy", drill="rollproof run container-stop",
)  # fmt: skip
def restarts(seen: Posture) -> Said:
    """By when the last one ended: a count alone may be months old."""
    place, within_s = seen.subject(PodsSeen), seen.target.posture.restarts_within_s
    pods = [one for one in seen.view(PodsSeen).pods if one.restarts]
    lately = [one for one in pods if one.restart_age_s is not None and one.restart_age_s <= within_s]
    words = [
        f"{one.name}: {one.restarts}, the last {one.restart_age_s:.0f} s ago ({one.reason or '?'})" for one in lately
    ]
    if lately:
        return finding(place, "restartCount", "; ".join(words))
    if undated := [f"{one.name}: {one.restarts}" for one in pods if one.restart_age_s is None]:
        return unclear(place, "restartCount", "; ".join(undated), "when the last one ended is not in its status")
    return sound(place, "restartCount", sum(one.restarts for one in pods), f"none within {within_s:g} s")


@check(
    "service-endpoints", asks="can the Service answer while one pod is away?", advised="2 ready endpoints or more",
    why="one endpoint leaves the ingress nothing to retry on; an unready one that is published gets requests",
    source=f"{_K8S}/concepts/services-networking/endpoint-slices/#conditions", drill="rollproof run pod-delete-now",
)  # fmt: skip
def service_endpoints(seen: Posture) -> Said:
    """Those that its EndpointSlices call ready now."""
    service = seen.view(ServiceSeen)
    place, found = seen.subject(ServiceSeen), seen.view(EndpointsSeen).endpoints
    if service.unready_too:
        return finding(place, "spec.publishNotReadyAddresses", "true", advised="false")
    ready = sum(one.ready for one in found)
    return (sound if ready > 1 else finding)(place, "ready endpoints", ready)


@check(
    "entry-one-node", asks="does the entry survive the loss of one node?",
    advised="ready pods of the ingress on 2 nodes or more, behind a balancer",
    why="the loss or drain of that node is an outage that no setting of the app can prevent",
    source=f"{_K8S}/concepts/services-networking/ingress/#ingress-controllers", drill="rollproof run ingress-restart",
)  # fmt: skip
def entry_one_node(seen: Posture) -> Said:
    """Of the pods that the target file's ingress section selects."""
    place, pods = seen.subject(EntrySeen), [one for one in seen.view(EntrySeen).pods if one.ready]
    nodes = Counter(one.node for one in pods)
    where = ", ".join(f"{count} on {node}" for node, count in sorted(nodes.items()))
    if not pods:
        return unclear(place, "ready pods", 0, "ingress.selector of the target file selects no ready pod")
    note = "by the node's own port" if any(one.host_ports for one in pods) else ""
    return (sound if len(nodes) > 1 else finding)(place, "ready pods", where, note)


@check(
    "pull-secret", asks="can a node pull the image with the secret that is named?",
    advised="imagePullSecrets that the kubelet can read",
    why="a new node has no image in its cache: without the secret its pods never start, and nothing shows it before",
    source="https://github.com/kubernetes/enhancements/issues/2535", drill="rollproof run pull-secret-unusable",
)  # fmt: skip
def pull_secret(seen: Posture) -> Said:
    """That it is named, and that no kubelet has said it cannot read it. Whether it opens the registry is asked next."""
    place, own = seen.subject(DeploymentSeen), seen.view(DeploymentSeen).pull_secrets
    names = own or seen.view(AccountSeen).pull_secrets
    if not names:
        return nothing(place, "imagePullSecrets", "none is named, which is right for a public registry only")
    missing, value = seen.view(EventsSeen).without_secret, ", ".join(names)
    if missing:
        return finding(place, "imagePullSecrets", value, f"the kubelet could not read it for {', '.join(missing)}")
    return sound(place, "imagePullSecrets", value, "named; only a pull of an image that the node lacks proves it")


@check(
    "pull-secret-opens", asks="does the pull secret open the registry for the image that is declared?",
    advised="HTTP 200 for the image's manifest, with the login of posture.pull_secret",
    why="a login that has ended is seen when a node without the image needs it: in a drain, a scale-up, a spot loss",
    source="https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests",
    drill="rollproof run pull-secret-unusable",
)  # fmt: skip
def pull_secret_opens(seen: Posture) -> Said:
    """The manifest is asked for as a node would; without a login as well: that says whether one is needed."""
    place = seen.subject(RegistrySeen)
    if not seen.target.posture.pull_secret:
        return nothing(place, "manifest", "posture.pull_secret of the target file is not set")
    told = seen.view(RegistrySeen)
    if not told.login:
        return finding(place, "auths", f"no login for {told.registry}", f"without one HTTP {told.anonymous}")
    value = f"HTTP {told.status} for {told.image}"
    if told.status in (401, 403, 404):  # a registry that hides what may not be read says 404
        return finding(place, "manifest", value, f"without a login HTTP {told.anonymous}")
    if told.status != 200:
        return unclear(place, "manifest", value, "neither an answer nor a refusal: ask again")
    free = told.anonymous == 200
    note = "it is given to anybody, so that the login was not needed" if free else f"without it HTTP {told.anonymous}"
    return sound(place, "manifest", value, note)


@check(
    "autoscaler", asks="does the autoscaler work, and can it scale?",
    advised="ScalingActive True, minReplicas of posture.replicas_min or more, maxReplicas above it",
    why="an autoscaler that cannot read its metric changes nothing, and says so in its conditions only",
    source=f"{_K8S}/tasks/run-application/horizontal-pod-autoscale/#appendix-horizontal-pod-autoscaler-status-conditions",
)  # fmt: skip
def autoscaler(seen: Posture) -> Said:
    """The first thing that is wrong."""
    scalers, place = seen.view(ScalersSeen).scalers, seen.subject(ScalersSeen)
    if not scalers:
        return nothing(place, "HorizontalPodAutoscaler", "none names this Deployment")
    if len(scalers) > 1:
        names = ", ".join(one.name for one in scalers)
        return finding(place, "scaleTargetRef", names, "they undo each other's work", advised="one autoscaler")
    (one,), least = scalers, seen.target.posture.replicas_min
    place, bounds = f"{place}/{one.name}", f"{one.minimum} to {one.maximum}"
    for name in ("ScalingActive", "AbleToScale"):
        said = one.conditions.get(name, "not said yet")
        if said != "True":
            return finding(place, f"status.conditions {name}", said)
    if one.minimum < least:
        return finding(place, "spec.minReplicas", one.minimum, advised=f"{least} or more")
    if one.minimum == one.maximum:
        return finding(place, "spec.minReplicas, spec.maxReplicas", bounds, "it can never scale")
    container = seen.view(DeploymentSeen).container
    used = {metric.name for metric in one.metrics if metric.type == "Resource"}
    if container is not None and (lacking := sorted(used - {*container.requests, *container.limits})):
        return finding(place, "spec.metrics", ", ".join(lacking), "the container has no request of it")
    return sound(place, "replicas", bounds)


@check(
    "autoscaler-and-git", asks="does git leave the number of replicas to the autoscaler?",
    advised="no spec.replicas in git, or ignoreDifferences of it with RespectIgnoreDifferences=true",
    why="every sync sets the number of git again, under load too, until the autoscaler has noticed",
    source="https://github.com/argoproj/argo-cd/issues/5105", drill="rollproof run drift",
)  # fmt: skip
def autoscaler_and_git(seen: Posture) -> Said:
    """By what was applied last."""
    scalers, place, one = seen.view(ScalersSeen).scalers, seen.subject(DeploymentSeen), seen.view(DeploymentSeen)
    field = "spec.replicas"
    if not scalers:
        return nothing(place, field, "no autoscaler names this Deployment")
    if one.replicas_declared is None:
        return unclear(
            place, field, one.replicas, "neither its last applied configuration nor its managed fields say it"
        )
    if not one.replicas_declared:
        return sound(place, field, "not in git")
    if leaves_replicas(seen.view(ApplicationSeen), one.name):
        return sound(place, field, "in git", "ignored by the Application, and left alone by its sync")
    return finding(place, field, "in git", f"autoscaler {scalers[0].name}")


@check(
    "disruption-budget", asks="does a drain take the pods one by one, and can it at all?",
    advised="one PodDisruptionBudget that allows one eviction now (maxUnavailable 1)",
    why="without a budget a drain evicts all pods at once; with one that allows none it hangs",
    source=f"{_K8S}/tasks/run-application/configure-pdb/", drill="rollproof run node-drain",
)  # fmt: skip
def disruption_budget(seen: Posture) -> Said:
    """Its own count, and what the API server answers to the dry run of an eviction."""
    budgets, place = seen.view(BudgetsSeen).budgets, seen.subject(BudgetsSeen)
    if not budgets:
        return finding(place, "PodDisruptionBudget", "none selects the pods")
    if len(budgets) > 1:
        names = ", ".join(one.name for one in budgets)
        return finding(place, "PodDisruptionBudget", names, "the API server refuses every eviction with 500")
    (one,) = budgets
    place, bound = f"{place}/{one.name}", f"minAvailable {one.min_available}" if one.min_available else ""
    bound = bound or f"maxUnavailable {one.max_unavailable or '?'}"
    if one.allowed is not None and one.allowed > 1 and one.allowed >= (pods := seen.view(DeploymentSeen).replicas):
        return finding(place, "status.disruptionsAllowed", f"{bound}: all {pods} pods at once", "as if there were none")
    answers = _evictions(seen)
    if answers:
        would = answers[_WOULD]
        value = f"{bound}: {would} of {many(answers.total(), 'dry run')} would evict"
        if not would and answers[_NOT_NOW]:
            return finding(place, "eviction", value, "a drain waits for ever")
        if would:
            return sound(place, "eviction", value)
        return unclear(place, "eviction", value, f"answered {', '.join(map(str, sorted(answers)))}")
    if one.allowed is None:
        return unclear(place, "status.disruptionsAllowed", bound, "its controller has not counted yet")
    value = f"{bound}: {one.allowed} allowed now (eviction not tried)"
    return (sound if one.allowed > 0 else finding)(place, "status.disruptionsAllowed", value)


def _evictions(seen: Posture) -> Counter[int]:
    """How often each status was answered; empty where we may not try: the budget's own status has to do then."""
    try:
        return Counter(one.status for one in seen.view(EvictionsSeen).tries)
    except UnreadError as error:
        if error.cause is Unread.FORBIDDEN:
            return Counter()
        raise


@check(
    "network-policy", asks="is it said who may talk to the pods?",
    advised="a NetworkPolicy that selects the pods and restricts what comes in",
    why="any pod of the cluster can reach the app past the ingress",
    source=f"{_K8S}/concepts/services-networking/network-policies/ and aws/amazon-vpc-cni-k8s#3068",
    drill="rollproof run network-policy",
)  # fmt: skip
def network_policy(seen: Posture) -> Said:
    """What is written. Nobody has tried whether the network obeys: not every one does."""
    place = seen.subject(PoliciesSeen)
    inward = [one for one in seen.view(PoliciesSeen).policies if one.ingress]
    if not inward:
        return finding(place, "NetworkPolicy", "none restricts what comes in to the pods")
    names = ", ".join(one.name for one in inward)
    if open_ones := [one.name for one in inward if one.anybody]:
        return finding(place, "spec.ingress", f"{', '.join(open_ones)}: a rule lets everybody in")
    return sound(place, "NetworkPolicy", names, "whether the network enforces it was not tried")


@check(
    "network-policy-width", asks="does the policy let in no more than it must?",
    advised="namespaceSelector and podSelector, or blocks narrower than /16",
    why="a block as wide as a node or pod network lets in what the policy is there to keep out",
    source=f"{_K8S}/concepts/services-networking/network-policies/#behavior-of-to-and-from-selectors",
)  # fmt: skip
def network_policy_width(seen: Posture) -> Said:
    """By the address blocks of its rules."""
    place, inward = seen.subject(PoliciesSeen), [one for one in seen.view(PoliciesSeen).policies if one.ingress]
    field = "spec.ingress.from.ipBlock"
    if not inward:
        return nothing(place, field, "no policy restricts what comes in")
    blocks = sorted({f"{block} in {one.name}" for one in inward for block in one.wide})
    return finding(place, field, ", ".join(blocks)) if blocks else sound(place, field, "none of /16 or wider")


CHECKS = (
    restarts, service_endpoints, entry_one_node, pull_secret, pull_secret_opens, autoscaler, autoscaler_and_git,
    disruption_budget, network_policy, network_policy_width,
)  # fmt: skip
