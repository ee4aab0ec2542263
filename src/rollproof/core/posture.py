"""Posture: what live objects say about how an app is set up: the answer to each question as a typed view.

Whoever looks makes a view of an API's object (`probes.postureviews`) and stores it as a fact; `core.posturefacts` reads
it back for the checks (docs/posture.md). Only what a check reads is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "AccountSeen", "ApplicationSeen", "BudgetSeen", "BudgetsSeen", "ConfigSeen", "ConfigsSeen", "ContainerSeen",
    "DatabaseSeen", "DeploymentSeen", "EndpointSeen", "EndpointsSeen", "EntrySeen", "EventsSeen", "EvictionSeen",
    "EvictionsSeen", "IgnoreSeen", "MetricSeen", "NodeSeen", "NodesSeen", "PodSeen", "PodsSeen", "PoliciesSeen",
    "PolicySeen", "ProbeSeen", "ProgramSeen", "ProjectSeen", "ScalerSeen", "ScalersSeen", "ScanEntry",
    "ScanSeen", "ServiceSeen", "SpreadSeen",
    "WindowSeen",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSeen:
    """A probe. kind: httpGet, tcpSocket, exec or grpc; "" where there is none. path: of an httpGet."""

    kind: str = ""
    path: str = ""
    delay_s: int = 0
    period_s: int = 10
    timeout_s: int = 1
    failures: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSeen:
    """A container of the pod template.

    pre_stop: "sleep", "exec", "httpGet" or "" for none; pre_stop_s: how long it waits, None where nobody can tell.
    non_root: what the container or its pod says of runAsNonRoot or runAsUser; None where neither says anything.
    """

    name: str
    image: str
    pull_policy: str = ""
    liveness: ProbeSeen = ProbeSeen()
    readiness: ProbeSeen = ProbeSeen()
    startup: ProbeSeen = ProbeSeen()
    requests: dict[str, str]
    limits: dict[str, str]
    pre_stop: str = ""
    pre_stop_s: float | None = None
    privileged: bool = False
    escalates: bool | None = None  # allowPrivilegeEscalation
    non_root: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadSeen:
    """A topology spread constraint, or an anti-affinity of pods. hard: without room a pod stays Pending."""

    key: str
    hard: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSeen:
    """The Deployment. app: the name of the app's container, "" where several could be it.

    replicas_declared: whether the last apply had `spec.replicas` in it; None where nobody can tell. checksums: the
    annotations by which a change of configuration starts a rollout. configs: the ConfigMaps that it uses, by name, and
    how: "env", "file" or "file by subPath".
    """

    name: str
    app: str
    replicas: int
    replicas_declared: bool | None = None
    strategy: str = "RollingUpdate"
    max_surge: str = "25%"
    max_unavailable: str = "25%"
    min_ready_s: int = 0
    progress_deadline_s: int = 600
    history_limit: int = 10
    grace_s: int = 30
    containers: tuple[ContainerSeen, ...]
    spread: tuple[SpreadSeen, ...] = ()
    node_selector: dict[str, str]
    pull_secrets: tuple[str, ...] = ()
    account: str = "default"
    automount: bool | None = None  # of the pod; None: the ServiceAccount decides
    configs: dict[str, str]
    checksums: tuple[str, ...] = ()

    @property
    def container(self) -> ContainerSeen | None:
        """The app's container; None where several could be it."""
        return next((one for one in self.containers if one.name == self.app), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSeen:
    """A pod. restart_age_s: since its last container ended, None where none has; reason: why that one ended."""

    name: str
    node: str = ""
    ready: bool = False
    image: str = ""
    image_id: str = ""
    restarts: int = 0
    restart_age_s: float | None = None
    reason: str = ""
    host_ports: bool = False
    owner: str = ""  # kind/name of its controller


@dataclass(frozen=True, slots=True, kw_only=True)
class PodsSeen:
    """The Deployment's pods that have not ended and are not leaving."""

    pods: tuple[PodSeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySeen:
    """The pods of the ingress, through which users come in."""

    pods: tuple[PodSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSeen:
    """The pods of the app's database."""

    pods: tuple[PodSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSeen:
    """A node, as the Deployment's pods see it.

    open: their tolerations let one be scheduled there now (until December 2026: without any). chosen: so does their
    node affinity. labels: those that their nodeSelector may choose it by.
    """

    name: str
    architecture: str = ""
    zone: str = ""
    ready: bool = True
    open: bool = True
    chosen: bool = True
    labels: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesSeen:
    """The cluster's nodes."""

    nodes: tuple[NodeSeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSeen:
    """The Service. unready_too: it sends traffic to pods that are not ready."""

    name: str
    type: str = "ClusterIP"
    selector: dict[str, str]
    unready_too: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSeen:
    """Whoever is behind the Service, by its first address: a pod of two IP families is one."""

    address: str
    ready: bool
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsSeen:
    """Everybody in the Service's EndpointSlices."""

    endpoints: tuple[EndpointSeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSeen:
    """A metric of an autoscaler: its type, and what it counts (`cpu`)."""

    type: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalerSeen:
    """An autoscaler of this Deployment. conditions: type -> "True" or "False:Reason"."""

    name: str
    minimum: int
    maximum: int
    metrics: tuple[MetricSeen, ...] = ()
    conditions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalersSeen:
    """The autoscalers that name this Deployment."""

    scalers: tuple[ScalerSeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSeen:
    """A PodDisruptionBudget that selects the Deployment's pods. allowed: how many may be evicted now."""

    name: str
    min_available: str = ""
    max_unavailable: str = ""
    allowed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetsSeen:
    """The budgets that select the Deployment's pods."""

    budgets: tuple[BudgetSeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionSeen:
    """The answer to the dry run of one pod's eviction: the HTTP status, 201 where it would be evicted."""

    pod: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionsSeen:
    """The dry runs, one for each ready pod."""

    tries: tuple[EvictionSeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySeen:
    """A NetworkPolicy that selects the pods. anybody: a rule for incoming traffic without `from`, or from every pod.

    wide: address blocks of such rules that are of /16 or wider. ingress, egress: which way it restricts.
    """

    name: str
    ingress: bool = False
    egress: bool = False
    anybody: bool = False
    wide: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoliciesSeen:
    """The NetworkPolicies that select the Deployment's pods."""

    policies: tuple[PolicySeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSeen:
    """A `[program:x]` of a Supervisor configuration; autorestart: "" where the default (unexpected) holds."""

    name: str
    autorestart: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigSeen:
    """A ConfigMap that the Deployment uses; nothing of what is in it is kept but Supervisor's programs."""

    name: str
    immutable: bool = False
    programs: tuple[ProgramSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigsSeen:
    """The ConfigMaps that the Deployment uses and that may be read; missing: those that are not there."""

    configs: tuple[ConfigSeen, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSeen:
    """The ServiceAccount of the pods."""

    name: str
    automount: bool | None = None
    pull_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsSeen:
    """Pods of the Deployment whose pull secret the kubelet could not read (FailedToRetrieveImagePullSecret)."""

    without_secret: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySeen:
    """What the registry answers when it is asked for the manifest of the image that the Deployment declares.

    login: whether the Secret is there and has one for this registry. status: the HTTP status with it, 0 where there is
    none; anonymous: the one without a login.
    """

    image: str
    registry: str
    secret: str
    login: bool = False
    status: int = 0
    anonymous: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreSeen:
    """An entry of `spec.ignoreDifferences`. fields: its JSON pointers and jq paths. name: "" for every object."""

    group: str = ""
    kind: str = ""
    name: str = ""
    fields: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationSeen:
    """The Application's sync policy. retries: limit of `retry` (without one: 0), None where there is none."""

    name: str
    automated: bool = False
    self_heal: bool = False
    prune: bool = False
    retries: int | None = None
    options: tuple[str, ...] = ()
    ignored: tuple[IgnoreSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSeen:
    """A sync window that names this Application."""

    kind: str
    schedule: str
    duration: str
    manual: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSeen:
    """The AppProject's sync windows that concern this Application."""

    name: str
    windows: tuple[WindowSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanEntry:
    """One result of a scanner. level: its own word in small letters; place: the object, package or file."""

    name: str  # of the rule
    level: str
    place: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSeen:
    """A scanner's file. image: which one it is of, "" if it does not say; total: also those that are not kept."""

    tool: str
    image: str = ""
    scanned: bool = True  # False: it does not say that anything was scanned
    total: int = 0
    grave: int = 0  # of level error, high or critical
    entries: tuple[ScanEntry, ...] = ()
