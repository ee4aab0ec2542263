"""Postureviews: from the objects of the API to the views of `core.posture`, field by field. No request is made here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network

from rollproof.clients.argo import automation
from rollproof.clients.kube import Object
from rollproof.core.networkpolicy import policy_types
from rollproof.core.outside import Outside, parsed, without_nulls
from rollproof.core.posture import (
    ApplicationSeen,
    BudgetSeen,
    ConfigSeen,
    ContainerSeen,
    DeploymentSeen,
    IgnoreSeen,
    MetricSeen,
    NodeSeen,
    PodSeen,
    PolicySeen,
    ProbeSeen,
    ProgramSeen,
    ProjectSeen,
    ScalerSeen,
    SpreadSeen,
    WindowSeen,
)
from rollproof.core.selectors import chooses_node, tolerates
from rollproof.core.syncwindows import applies, synced_by
from rollproof.errors import RollproofError
from rollproof.probes.views import app_container

__all__ = [
    "application_seen", "budget_seen", "config_seen", "controller_uid", "deployment_seen", "node_seen", "pod_seen",
    "policy_seen", "project_seen", "scaler_seen",
]  # fmt: skip

_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_RELOADS = re.compile(r"checksum|config-?hash|configmap.*hash|reloader", re.IGNORECASE)
_WAITS = re.compile(r"(?:^|[\s;&|/])sleep\s+(\d+(?:\.\d+)?)([smhd]?)\b")
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_PROGRAM = re.compile(r"^\[program:([^\]\s]+)\]")
_AUTORESTART = re.compile(r"^autorestart\s*=\s*(\w+)")
_WIDE = 16  # bits of a prefix: a network of 65,536 addresses or more


def _seen(kind: str, item: Object) -> Outside:
    return Outside.of(without_nulls(item), f"{kind} of the API")


def _scalar(data: Outside, key: str, default: str = "") -> str:
    """A number or a percentage, as text."""
    found = data.value.get(key)
    return default if found is None else str(found)


def controller_uid(item: Object) -> str:
    """The uid of the object's controlling owner; "" if there is none."""
    owners = _seen("object", item).child("metadata").objects("ownerReferences")
    return next((one.text("uid") for one in owners if one.flag("controller")), "")


# -- the Deployment ----------------------------------------------------------------------------------------------------


def deployment_seen(item: Object, container: str = "", image: str = "") -> DeploymentSeen:
    """The view of a Deployment; `container` and `image` identify the app's container."""
    seen = _seen("Deployment", item)
    metadata, spec = seen.child("metadata"), seen.child("spec")
    template = spec.child("template")
    pod = template.child("spec")
    rolling = spec.child("strategy").child("rollingUpdate")
    annotations = {**metadata.table("annotations"), **template.child("metadata").table("annotations")}
    return DeploymentSeen(
        name=metadata.text("name"),
        app=app_container(pod, container, image).text("name"),
        replicas=spec.count("replicas", 1),
        replicas_declared=_replicas_declared(metadata),
        strategy=spec.child("strategy").text("type", "RollingUpdate"),
        max_surge=_scalar(rolling, "maxSurge", "25%"),
        max_unavailable=_scalar(rolling, "maxUnavailable", "25%"),
        min_ready_s=spec.count("minReadySeconds"),
        progress_deadline_s=spec.count("progressDeadlineSeconds", 600),
        history_limit=spec.count("revisionHistoryLimit", 10),
        grace_s=pod.count("terminationGracePeriodSeconds", 30),
        containers=tuple(_container(one, pod.child("securityContext")) for one in pod.objects("containers")),
        spread=tuple(_spread(pod)),
        node_selector=pod.table("nodeSelector"),
        pull_secrets=tuple(one.text("name") for one in pod.objects("imagePullSecrets")),
        account=pod.text("serviceAccountName") or "default",
        automount=_maybe(pod, "automountServiceAccountToken"),
        configs=dict(_configs(pod)),
        checksums=tuple(sorted(key for key in annotations if _RELOADS.search(key))),
    )


def _replicas_declared(metadata: Outside) -> bool | None:
    """Whether what was applied last has `spec.replicas`: by its annotation, else by the field's owner.

    Only an owner by server-side apply counts: a client-side one also owns what the API server has filled in.
    """
    applied = metadata.table("annotations").get(_APPLIED)
    if applied:
        try:
            return "replicas" in Outside.of(parsed(applied, _APPLIED), _APPLIED).child("spec").value
        except RollproofError:
            return None
    by_apply = [one for one in metadata.objects("managedFields") if one.text("operation") == "Apply"]
    if not by_apply:
        return None
    return any("f:replicas" in one.child("fieldsV1").child("f:spec").value for one in by_apply)


def _maybe(data: Outside, key: str) -> bool | None:
    return data.flag(key) if data.value.get(key) is not None else None


def _container(one: Outside, of_pod: Outside) -> ContainerSeen:
    security, stop = one.child("securityContext"), one.child("lifecycle").child("preStop")
    kind = next((word for word in ("sleep", "exec", "httpGet") if stop.value.get(word) is not None), "")
    resources = one.child("resources")
    return ContainerSeen(
        name=one.text("name"),
        image=one.text("image"),
        pull_policy=one.text("imagePullPolicy"),
        liveness=_probe(one.child("livenessProbe")),
        readiness=_probe(one.child("readinessProbe")),
        startup=_probe(one.child("startupProbe")),
        requests={key: _scalar(resources.child("requests"), key) for key in resources.child("requests").value},
        limits={key: _scalar(resources.child("limits"), key) for key in resources.child("limits").value},
        pre_stop=kind,
        pre_stop_s=_pre_stop_s(stop, kind),
        privileged=security.flag("privileged"),
        escalates=_maybe(security, "allowPrivilegeEscalation"),
        non_root=_non_root(security, of_pod),
    )


def _non_root(security: Outside, of_pod: Outside) -> bool | None:
    """runAsNonRoot or runAsUser, of the container before the pod's; None where neither says anything."""
    for level in (security, of_pod):
        if level.value.get("runAsUser") is not None:
            return level.integer("runAsUser") != 0
        if level.value.get("runAsNonRoot") is not None:
            return level.flag("runAsNonRoot")
    return None


def _pre_stop_s(stop: Outside, kind: str) -> float | None:
    """How long the hook surely waits; None where only a run could tell."""
    if kind == "sleep":
        return float(stop.child("sleep").count("seconds"))
    if kind != "exec":
        return None if kind else 0.0
    waits = _WAITS.findall(" ".join(stop.child("exec").texts("command")))
    return sum(float(number) * _UNITS_S[unit] for number, unit in waits) if waits else None


def _probe(probe: Outside) -> ProbeSeen:
    kind = next((word for word in ("httpGet", "tcpSocket", "exec", "grpc") if probe.value.get(word) is not None), "")
    return ProbeSeen(
        kind=kind,
        path=probe.child("httpGet").text("path", "/") if kind == "httpGet" else "",
        delay_s=probe.count("initialDelaySeconds"),
        period_s=probe.count("periodSeconds", 10),
        timeout_s=probe.count("timeoutSeconds", 1),
        failures=probe.count("failureThreshold", 3),
    )


def _spread(pod: Outside) -> Iterator[SpreadSeen]:
    for one in pod.objects("topologySpreadConstraints"):
        yield SpreadSeen(key=one.text("topologyKey"), hard=one.text("whenUnsatisfiable") == "DoNotSchedule")
    apart = pod.child("affinity").child("podAntiAffinity")
    for one in apart.objects("requiredDuringSchedulingIgnoredDuringExecution"):
        yield SpreadSeen(key=one.text("topologyKey"), hard=True)
    for one in apart.objects("preferredDuringSchedulingIgnoredDuringExecution"):
        yield SpreadSeen(key=one.child("podAffinityTerm").text("topologyKey"), hard=False)


def _configs(pod: Outside) -> Iterator[tuple[str, str]]:
    """Each ConfigMap of the pod, and how it comes to the app: "env", "file", "file by subPath"."""
    containers = (*pod.objects("containers"), *pod.objects("initContainers"))
    mounts = [mount for one in containers for mount in one.objects("volumeMounts")]
    by_part = {mount.text("name") for mount in mounts if mount.text("subPath")}
    for volume in pod.objects("volumes"):
        parts = [volume.child("configMap"), *(one.child("configMap") for one in _projected(volume))]
        for part in parts:
            if name := part.text("name"):
                yield name, "file by subPath" if volume.text("name") in by_part else "file"
    for one in containers:
        for source in one.objects("envFrom"):
            if name := source.child("configMapRef").text("name"):
                yield name, "env"
        for variable in one.objects("env"):
            if name := variable.child("valueFrom").child("configMapKeyRef").text("name"):
                yield name, "env"


def _projected(volume: Outside) -> tuple[Outside, ...]:
    return volume.child("projected").objects("sources")


# -- beside it ---------------------------------------------------------------------------------------------------------


def pod_seen(item: Object, now_s: float, container: str = "") -> PodSeen:
    """The view of a pod. now_s: seconds since 1970; container: the app's, "" for the one that restarted most."""
    seen = _seen("Pod", item)
    metadata, spec, status = seen.child("metadata"), seen.child("spec"), seen.child("status")
    statuses = status.objects("containerStatuses")
    named = [one for one in statuses if one.text("name") == container] or list(statuses)
    own = max(named, key=lambda one: one.count("restartCount"), default=Outside.of({}, seen.who))
    last = own.child("lastState").child("terminated")
    ended_s = last.time_s("finishedAt")
    ports = [port for one in spec.objects("containers") for port in one.objects("ports")]
    owner = next(iter(metadata.objects("ownerReferences")), Outside.of({}, seen.who))
    return PodSeen(
        name=metadata.text("name"),
        node=spec.text("nodeName"),
        ready=any(one.text("type") == "Ready" and one.text("status") == "True" for one in status.objects("conditions")),
        image=own.text("image"),
        image_id=own.text("imageID"),
        restarts=own.count("restartCount"),
        restart_age_s=round(max(now_s - ended_s, 0.0), 1) if ended_s is not None else None,
        reason=last.text("reason"),
        host_ports=spec.flag("hostNetwork") or any(port.count("hostPort") for port in ports),
        owner=f"{owner.text('kind')}/{owner.text('name')}" if owner.text("kind") else "",
    )


def node_seen(item: Object, deployment: Object) -> NodeSeen:
    """The view of a Node, for the pods of this Deployment."""
    seen = _seen("Node", item)
    pod = _seen("Deployment", deployment).child("spec").child("template").child("spec")
    metadata, spec, status = seen.child("metadata"), seen.child("spec"), seen.child("status")
    labels = metadata.table("labels")
    conditions = status.objects("conditions")
    ready = any(one.text("type") == "Ready" and one.text("status") == "True" for one in conditions)
    keeping_out = [one for one in spec.objects("taints") if one.text("effect") in ("NoSchedule", "NoExecute")]
    tolerations = pod.objects("tolerations")
    return NodeSeen(
        name=metadata.text("name"),
        architecture=status.child("nodeInfo").text("architecture") or labels.get("kubernetes.io/arch", ""),
        zone=labels.get("topology.kubernetes.io/zone", ""),
        ready=ready,
        open=ready and all(tolerates(tolerations, one) for one in keeping_out) and not spec.flag("unschedulable"),
        chosen=chooses_node(pod.child("affinity").child("nodeAffinity"), labels, metadata.text("name")),
        labels={key: labels[key] for key in pod.table("nodeSelector") if key in labels},
    )


def scaler_seen(item: Object) -> ScalerSeen:
    """The view of a HorizontalPodAutoscaler."""
    seen = _seen("HorizontalPodAutoscaler", item)
    spec, conditions = seen.child("spec"), seen.child("status").objects("conditions")
    return ScalerSeen(
        name=seen.child("metadata").text("name"),
        minimum=spec.count("minReplicas", 1),
        maximum=spec.count("maxReplicas"),
        metrics=tuple(
            MetricSeen(type=one.text("type"), name=one.child("resource").text("name"))
            for one in spec.objects("metrics")
        ),
        conditions={one.text("type"): _condition(one) for one in conditions},
    )


def _condition(one: Outside) -> str:
    status, reason = one.text("status"), one.text("reason")
    return status if status == "True" else f"{status}: {reason}"


def budget_seen(item: Object) -> BudgetSeen:
    """The view of a PodDisruptionBudget."""
    seen = _seen("PodDisruptionBudget", item)
    spec, status = seen.child("spec"), seen.child("status")
    return BudgetSeen(
        name=seen.child("metadata").text("name"),
        min_available=_scalar(spec, "minAvailable"),
        max_unavailable=_scalar(spec, "maxUnavailable"),
        allowed=status.integer("disruptionsAllowed") if status.value.get("disruptionsAllowed") is not None else None,
    )


def policy_seen(item: Object) -> PolicySeen:
    """The view of a NetworkPolicy."""
    seen = _seen("NetworkPolicy", item)
    spec = seen.child("spec")
    types = policy_types(spec)
    rules = spec.objects("ingress") if "Ingress" in types else ()
    peers = [peer for rule in rules for peer in rule.objects("from")]
    blocks = [peer.child("ipBlock").text("cidr") for peer in peers]
    return PolicySeen(
        name=seen.child("metadata").text("name"),
        ingress="Ingress" in types,
        egress="Egress" in types,
        anybody=any(not rule.objects("from") for rule in rules) or any(map(_is_every_pod, peers)),
        wide=tuple(block for block in blocks if block and _is_wide(block)),
    )


def _is_every_pod(peer: Outside) -> bool:
    """A namespaceSelector that selects all, and no podSelector beside it that selects some."""
    spaces, pods = peer.value.get("namespaceSelector"), peer.value.get("podSelector")
    return spaces is not None and not any(spaces.values()) and not any((pods or {}).values())


def _is_wide(block: str) -> bool:
    try:
        network = ip_network(block, strict=False)
    except ValueError:
        return False
    return network.prefixlen <= (_WIDE if network.version == 4 else 3 * _WIDE)


def config_seen(item: Object) -> ConfigSeen:
    """The view of a ConfigMap: of what is in it only the programs of a Supervisor configuration."""
    seen = _seen("ConfigMap", item)
    programs = [one for text in seen.table("data").values() if "[program:" in text for one in _programs(text)]
    return ConfigSeen(
        name=seen.child("metadata").text("name"), immutable=seen.flag("immutable"), programs=tuple(programs)
    )


def _programs(text: str) -> Iterator[ProgramSeen]:
    """Each `[program:x]` section of a Supervisor configuration (supervisord.org/configuration.html)."""
    name, autorestart = "", ""
    for line in [*map(str.strip, text.splitlines()), "["]:
        if line.startswith("["):
            if name:
                yield ProgramSeen(name=name, autorestart=autorestart)
            found = _PROGRAM.match(line)
            name, autorestart = found[1] if found else "", ""
        elif said := _AUTORESTART.match(line):
            autorestart = said[1].lower()


# -- Argo CD -----------------------------------------------------------------------------------------------------------


def application_seen(item: Object) -> ApplicationSeen:
    """The view of an Application."""
    seen = _seen("Application", item)
    policy = seen.child("spec").child("syncPolicy")
    found = automation(item)
    retry = policy.child("retry")
    return ApplicationSeen(
        name=seen.child("metadata").text("name"),
        automated=found.on,
        self_heal=found.self_heal,
        prune=found.on and policy.child("automated").flag("prune"),
        retries=retry.integer("limit") if policy.value.get("retry") is not None else None,
        options=policy.texts("syncOptions"),
        ignored=tuple(
            IgnoreSeen(
                group=one.text("group"), kind=one.text("kind"), name=one.text("name"),
                managers=one.texts("managedFieldsManagers"),
                fields=(*one.texts("jsonPointers"), *one.texts("jqPathExpressions")),
            )
            for one in seen.child("spec").objects("ignoreDifferences")
        ),
    )  # fmt: skip


def project_seen(item: Object, application: Object, namespace: str) -> ProjectSeen:
    """The view of an AppProject: the sync windows that choose this Application; `namespace` if it names none."""
    seen, to = _seen("AppProject", item), synced_by(without_nulls(application), namespace)
    windows = [one for one in seen.child("spec").objects("syncWindows") if applies(one.value, to)]
    return ProjectSeen(
        name=seen.child("metadata").text("name"),
        windows=tuple(
            WindowSeen(
                kind=one.text("kind"), schedule=one.text("schedule"), duration=one.text("duration"),
                manual=one.flag("manualSync"),
            )
            for one in windows
        ),
    )  # fmt: skip
