"""Checks of the app's container: probes and their paths, resources, its image, how it ends, what it may do."""

from __future__ import annotations

import re

from rollproof.core.posture import AccountSeen, ContainerSeen, DeploymentSeen, NodesSeen, PodsSeen, ProbeSeen
from rollproof.core.posturefacts import Posture, UnreadError
from rollproof.core.posturewords import Topic, Unread
from rollproof.judge.checkers.posture.base import Said, check, finding, nothing, sound, unclear

_UNTOLD = ("exec", "grpc")  # kinds of probe of which nobody can tell here what is behind them
_START_S = 30  # a cold node and a throttled CPU easily take this long
_MOVING = re.compile(r"latest|main|master|dev|develop|test|staging|stable|prod|production|release|edge|nightly|current")
_K8S = "https://kubernetes.io/docs"


def _container(seen: Posture) -> tuple[str, ContainerSeen]:
    """The place of the app's container, and the container. UnreadError where several could be it."""
    one = seen.view(DeploymentSeen)
    if one.container is None:
        why = "several containers could be the app's: name one, cluster.container of the target file"
        raise UnreadError(Topic.DEPLOYMENT, Unread.NOT_NAMED, why)
    return f"{seen.subject(DeploymentSeen)} container {one.app}", one.container


def _words(probe: ProbeSeen) -> str:
    return f"{probe.kind} {probe.path}".strip() or "none"


@check(
    "readiness-probe", asks="is there a readiness probe, on the path that asks the database?",
    advised="httpGet of app.ready_path",
    why="without it a pod gets traffic as soon as its process runs, and keeps it when it cannot serve",
    source=f"{_K8S}/concepts/configuration/liveness-readiness-startup-probes/", drill="rollproof run zero-downtime",
)  # fmt: skip
def readiness_probe(seen: Posture) -> Said:
    """Another path than the one that the target file calls ready is a finding too, and so is a port that is open."""
    place, one = _container(seen)
    wanted, probe = seen.target.app.ready_path, one.readiness
    if probe.kind == "tcpSocket" or (probe.kind == "httpGet" and wanted and _bare(probe.path) != _bare(wanted)):
        return finding(place, "readinessProbe", _words(probe), advised=f"httpGet {wanted} (app.ready_path)")
    if probe.kind in _UNTOLD:
        return unclear(place, "readinessProbe", _words(probe), "what this probe asks is not in it")
    return (sound if probe.kind else finding)(place, "readinessProbe", _words(probe))


def _bare(path: str) -> str:
    return path.partition("?")[0].rstrip("/") or "/"


@check(
    "liveness-probe", asks="is there a liveness probe?", advised="a probe of a path that needs nothing but the app",
    why="a process manager that stays up hides a dead web server: only a liveness probe ends that container",
    source=f"{_K8S}/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/",
    drill="rollproof run process-terminate",
)  # fmt: skip
def liveness_probe(seen: Posture) -> Said:
    """Its path is another check."""
    place, one = _container(seen)
    return (sound if one.liveness.kind else finding)(place, "livenessProbe", _words(one.liveness))


@check(
    "liveness-path", asks="does the liveness probe leave the database out?",
    advised="another path than the readiness probe's and app.ready_path",
    why="where liveness asks the database, a database that is away restarts every pod: an outage of its own",
    source=f"{_K8S}/concepts/configuration/liveness-readiness-startup-probes/",
    drill="rollproof run database-refused",
)  # fmt: skip
def liveness_path(seen: Posture) -> Said:
    """By its path: only the drill can see what is behind it."""
    place, one = _container(seen)
    live, ready = one.liveness, one.readiness
    if live.kind in _UNTOLD:
        return unclear(place, "livenessProbe", _words(live), "what this probe asks is not in it")
    if live.kind != "httpGet":
        return sound(place, "livenessProbe.httpGet.path", _words(live), "it asks for no path")
    asks = {_bare(seen.target.app.ready_path), _bare(ready.path) if ready.kind == "httpGet" else ""} - {""}
    same = _bare(live.path) in asks
    note = "the path that says whether the app is ready" if same else ""
    return (finding if same else sound)(place, "livenessProbe.httpGet.path", live.path, note)


@check(
    "startup", asks="may a start take its time?",
    advised=f"a startupProbe, or else a liveness probe, that allows {_START_S} s or more",
    why="a start that takes longer than that is killed, again and again: CrashLoopBackOff without a defect in the app",
    source=f"{_K8S}/concepts/configuration/liveness-readiness-startup-probes/#startup-probe",
    drill="rollproof run release",
)  # fmt: skip
def startup(seen: Posture) -> Said:
    """The time until the first probe, and as many failures as it allows: of the startup probe where there is one."""
    place, one = _container(seen)
    probe, whose, field = one.startup, "it", "startupProbe"
    if not probe.kind:
        probe, whose = one.liveness, "the liveness probe"
    if not probe.kind:
        return sound(place, field, "none", "nothing would kill a slow start")
    allowed_s = probe.delay_s + probe.period_s * probe.failures
    note = f"{whose} ends a start that takes longer than {allowed_s} s"
    return (sound if allowed_s >= _START_S else finding)(place, field, _words(one.startup), note)


@check(
    "requests", asks="does the container ask for CPU and memory?", advised="requests of cpu and memory",
    why="the scheduler counts it as nothing, a node under pressure evicts it first, and an autoscaler cannot count use",
    source=f"{_K8S}/concepts/configuration/manage-resources-containers/",
)  # fmt: skip
def requests(seen: Posture) -> Said:
    """Limits count as requests where those are missing: the API server fills them in. Of 0 there is none."""
    place, one = _container(seen)
    asked = {**one.limits, **one.requests}
    missing = [name for name in ("cpu", "memory") if _is_none(asked.get(name, ""))]
    value = ", ".join(f"{name} {said}" for name, said in sorted(one.requests.items())) or "none"
    note = f"without {' and '.join(missing)}" if missing else ""
    return (finding if missing else sound)(place, "resources.requests", value, note)


@check(
    "memory-limit", asks="is its memory limited?", advised="a limit of memory",
    why="a leak takes the node's memory, and the kernel chooses whom it ends",
    source=f"{_K8S}/concepts/configuration/manage-resources-containers/#exceed-memory-request",
)  # fmt: skip
def memory_limit(seen: Posture) -> Said:
    """A CPU limit is not asked for: it throttles, and protects nobody who has a request. A limit of 0 is none."""
    place, one = _container(seen)
    value = one.limits.get("memory", "")
    return (finding if _is_none(value) else sound)(place, "resources.limits.memory", value or "none")


def _is_none(quantity: str) -> bool:
    """Whether a quantity (`0`, `0Mi`, `0.0`, `0e3`) is nothing, or not there."""
    digits = re.match(r"[+-]?[0-9.]*", quantity)
    return digits is None or not any(digit in "123456789" for digit in digits[0])


@check(
    "image-tag", asks="does the image's name always mean the same image?",
    advised="a tag that is never moved (the git sha), or a digest",
    why="two pods of one ReplicaSet may run two versions, and a revert brings back a name, not an image",
    source=f"{_K8S}/concepts/containers/images/#image-names", drill="rollproof run rollback",
)  # fmt: skip
def image_tag(seen: Posture) -> Said:
    """By its name. That nobody moves a tag of another name is for the registry to say."""
    place, one = _container(seen)
    name, _, digest = one.image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if digest:
        return sound(place, "image", one.image)
    if not tag:
        return finding(place, "image", one.image, "no tag means latest")
    moving = _MOVING.fullmatch(tag) is not None
    return (finding if moving else sound)(place, "image", one.image, f"{tag} is a tag that moves" if moving else "")


@check(
    "image-platform", asks="does the image fit every node that the pods may come to?",
    advised="nodes of one processor, or a nodeSelector or required affinity of kubernetes.io/arch, "
    "or proof by a pod that runs on each",
    why="on a node of another processor the container never starts (exec format error, or no matching manifest)",
    source="https://github.com/opencontainers/image-spec/blob/main/image-index.md", drill="rollproof run bad-release",
)  # fmt: skip
def image_platform(seen: Posture) -> Said:
    """A ready pod proves its node's processor; nothing else here says for which ones an image was built."""
    deployment, nodes = seen.view(DeploymentSeen), seen.view(NodesSeen).nodes
    place = seen.subject(DeploymentSeen)
    may = {
        one.architecture
        for one in nodes
        if one.open and one.chosen and deployment.node_selector.items() <= one.labels.items()
    }
    by_node = {one.name: one.architecture for one in nodes}
    proven = {by_node.get(pod.node, "") for pod in seen.view(PodsSeen).pods if pod.ready} - {""}
    value = f"nodes {', '.join(sorted(may)) or 'none open'}; ready pods on {', '.join(sorted(proven)) or 'none'}"
    if not any(by_node.values()):
        return nothing(place, "image's platform", "no node says what its processor is")
    if not proven:
        return unclear(
            place, "image's platform", value, "no ready pod proves a processor: look again when one is ready"
        )
    return (finding if may - proven else sound)(place, "image's platform", value)


@check(
    "pre-stop", asks="does a pod that ends serve on until nobody sends it requests any more?",
    advised="preStop sleep of posture.endpoint_lag_s (5 s) or more",
    why="endpoints, kube-proxy and ingress learn after the SIGTERM that the pod is leaving: those requests are lost",
    source=f"{_K8S}/concepts/workloads/pods/pod-lifecycle/#pod-termination-flow and kubernetes/enhancements#3960",
    drill="rollproof run zero-downtime",
)  # fmt: skip
def pre_stop(seen: Posture) -> Said:
    """Against the lag that the target file assumes; zero-downtime measures it."""
    place, one = _container(seen)
    lag_s, field = seen.target.posture.endpoint_lag_s, "lifecycle.preStop"
    advised = f"a sleep of {lag_s:g} s or more (posture.endpoint_lag_s, assumed)"
    if not one.pre_stop:
        return finding(place, field, "none", advised=advised)
    if one.pre_stop_s is None:
        return unclear(
            place, field, one.pre_stop, "how long this hook waits is not in it: `run zero-downtime` measures"
        )
    value = f"{one.pre_stop} {one.pre_stop_s:g} s"
    return sound(place, field, value) if one.pre_stop_s >= lag_s else finding(place, field, value, advised=advised)


@check(
    "grace-period", asks="is a pod's grace longer than its preStop and its longest request?",
    advised="terminationGracePeriodSeconds above preStop + traffic.timeout_s",
    why="the preStop counts inside of the grace: at its end requests under way are cut by SIGKILL",
    source=f"{_K8S}/concepts/containers/container-lifecycle-hooks/#hook-handler-execution",
    drill="rollproof run zero-downtime",
)  # fmt: skip
def grace_period(seen: Posture) -> Said:
    """The longest request is what the target file gives one."""
    place, one = _container(seen)
    grace_s, longest_s = seen.view(DeploymentSeen).grace_s, seen.target.traffic.timeout_s
    field = "spec.template.spec.terminationGracePeriodSeconds"
    needed_s = (one.pre_stop_s or 0.0) + longest_s
    note = f"preStop {one.pre_stop_s or 0:g} s, longest request {longest_s:g} s (traffic.timeout_s)"
    if grace_s <= needed_s:
        return finding(place, field, grace_s, note, advised=f"above {needed_s:g}")
    if one.pre_stop_s is None:
        return unclear(place, field, grace_s, "how long the preStop hook waits is not in it")
    return sound(place, field, grace_s, note)


@check(
    "privileged", asks="may the container do what only the node's root may?", advised="not privileged",
    why="whoever gets into the app gets the node, and what else runs there",
    source=f"{_K8S}/concepts/security/pod-security-standards/",
)  # fmt: skip
def privileged(seen: Posture) -> Said:
    """A privileged container has every device of its node."""
    place, one = _container(seen)
    return (finding if one.privileged else sound)(place, "securityContext.privileged", str(one.privileged).lower())


@check(
    "privilege-escalation", asks="can a process get more rights than it was started with?",
    advised="allowPrivilegeEscalation false",
    why="a setuid program of the image gives root to whoever gets into the app",
    source=f"{_K8S}/concepts/security/pod-security-standards/#restricted",
)  # fmt: skip
def privilege_escalation(seen: Posture) -> Said:
    """It is allowed where nothing is said."""
    place, one = _container(seen)
    value = "not said: allowed" if one.escalates is None else str(one.escalates).lower()
    return (sound if one.escalates is False else finding)(place, "securityContext.allowPrivilegeEscalation", value)


@check(
    "run-as-root", asks="is it said that the container does not run as root?",
    advised="securityContext.runAsNonRoot true, or runAsUser other than 0",
    why="root in the container is root for every mount and for a kernel defect",
    source=f"{_K8S}/concepts/security/pod-security-standards/",
)  # fmt: skip
def run_as_root(seen: Posture) -> Said:
    """Where neither pod nor container says anything, the image decides, and nothing refuses root."""
    place, one = _container(seen)
    value = {True: "not root", False: "root", None: "not said: the image decides"}[one.non_root]
    return (sound if one.non_root else finding)(place, "securityContext.runAsNonRoot", value)


@check(
    "service-account-token", asks="is the API's token kept out of a pod that does not use it?",
    advised="automountServiceAccountToken false",
    why="whoever can read a file in the app can ask the API server as this ServiceAccount",
    source=f"{_K8S}/tasks/configure-pod-container/configure-service-account/#opt-out-of-api-credential-automounting",
)  # fmt: skip
def service_account_token(seen: Posture) -> Said:
    """The pod's word, else the ServiceAccount's, else the default: it is mounted."""
    place, one = seen.subject(DeploymentSeen), seen.view(DeploymentSeen)
    field, mounted, whose = "automountServiceAccountToken", one.automount, "the pod"
    if mounted is None:
        mounted, whose = seen.view(AccountSeen).automount, f"ServiceAccount {one.account}"
    value = f"{str(mounted).lower()} of {whose}" if mounted is not None else "true, the default"
    return (sound if mounted is False else finding)(place, field, value)


CHECKS = (
    readiness_probe, liveness_probe, liveness_path, startup, requests, memory_limit, image_tag, image_platform,
    pre_stop, grace_period, privileged, privilege_escalation, run_as_root, service_account_token,
)  # fmt: skip
