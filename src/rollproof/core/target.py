"""Target: the system under test, as its target file describes it. The only thing that a team edits.

Plain data with defaults, and beside each field what it may hold (`core.declared`). `target.file` reads the TOML.
Secrets are never values here: a field that ends in `_env` names an environment variable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from rollproof.core.autoscaling import AutoscalingSettings
from rollproof.core.declared import Names, Needed, Pointer, UrlPath, above, between, one_of
from rollproof.core.pipelinesettings import ActionsSettings, PipelineSettings, RegistrySettings
from rollproof.core.reasons import BadKind

__all__ = [
    "ActionsSettings", "App", "ArgoCd", "AutoscalingSettings", "BadReleases", "Cluster", "Control", "Database",
    "DriftSettings", "EnvRepo", "FaultSettings", "Fences", "Ingress", "JobSettings", "JournalSettings", "Nodes",
    "PipelineSettings", "PostureSettings", "RegistrySettings", "ReleaseSettings", "RollbackSettings", "Target",
    "Traffic", "UndoSettings", "Workload",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where the app runs. The context is always named: the kubeconfig's current one is never used."""

    context: Annotated[str, Needed()]
    namespace: Annotated[str, Needed()]
    deployment: Annotated[str, Needed()]
    service: Annotated[str, Needed()]
    container: str = ""  # empty: the only container of the pod
    kubeconfig: str = ""  # empty: KUBECONFIG, then ~/.kube/config


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgoCd:
    """Where Argo CD lives; it may be another cluster (then `context` differs from the app's).

    `profile`: "refresh" may patch the Application (annotation, and the sync that resets the self-heal count);
    "read-only" waits for the poll or webhook.
    """

    application: Annotated[str, Needed()]
    namespace: Annotated[str, Needed()] = "argocd"
    project: Annotated[str, Needed()] = "default"
    context: str = ""  # empty: the app's context
    kubeconfig: str = ""
    profile: Annotated[str, one_of("refresh", "read-only")] = "refresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvRepo:
    """The environment repository that Argo CD follows."""

    url: Annotated[str, Needed()]
    overlay: Annotated[str, Needed()]  # path of the Kustomize overlay inside the repository
    image: Annotated[str, Needed()]  # `name:` of the entry under `images:` whose `newTag` is the release
    branch: Annotated[str, Needed()] = "main"
    username_env: str = ""
    password_env: str = ""
    author_name: Annotated[str, Needed()] = "rollproof"
    author_email: Annotated[str, Needed()] = "rollproof@localhost"
    ca_file: str = ""  # PEM file of the CA of an https URL; empty: the machine's
    timeout_s: Annotated[float, between(1, 3_600)] = 30.0  # of one git command: a fetch of the newest commit, a push


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """How the app is asked. Pointers are JSON pointers (RFC 6901)."""

    base_url: Annotated[str, Needed()]
    host: str = ""  # Host header; empty: the URL's own
    health_path: Annotated[str, UrlPath()] = "/health"
    version_pointer: Annotated[str, Pointer()] = "/version"
    ready_path: Annotated[str, UrlPath()] = "/ready"
    database_pointer: Annotated[str, Pointer()] = "/database"
    database_ok: str = "ok"
    home_path: Annotated[str, UrlPath()] = "/"
    post_path: Annotated[str, UrlPath()] = ""  # side-effect-free POST; empty: no POST lane
    slow_path: Annotated[str, UrlPath()] = ""  # takes 200-500 ms; empty: no slow lane
    version_header: str = ""  # header with the sha on every answer; empty: the health body's pointer is used
    served_by_header: str = ""
    pod_port: Annotated[int, between(1, 65_535)] = 80
    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    headers_env: dict[str, str] = field(default_factory=dict)  # header name -> environment variable
    basic_auth_env: tuple[str, ...] = ()  # (user variable, password variable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Something on the same way in that the rollout does not touch. If it suffers too, the app is not to blame.

    `off_entry_url` is asked instead where a drill breaks that way in itself: something that does not go through it.
    """

    url: str
    host: str = ""
    off_entry_url: str = ""
    off_entry_host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The load and the promise that the verdict makes from it (docs/measurement.md 11).

    The rules that are None or 0 are off; docs/verdicts.md says how each of them decides.
    """

    rate_per_s: Annotated[float, above(0, 10_000)] = 200.0
    timeout_s: Annotated[float, above(0, 300)] = 5.0
    slow_concurrency: Annotated[int, between(0, 100)] = 2
    baseline_s: Annotated[float, between(1, 3_600)] = 10.0
    after_old_gone_s: Annotated[float, between(0, 3_600)] = 10.0
    tail_s: Annotated[float, between(0, 3_600)] = 5.0
    # the largest blind gap per lane with which a clean run may still PASS
    resolution_ms: Annotated[float, above(0, 60_000)] = 250.0
    slow_ms: Annotated[float, above(0, 600_000)] = 1000.0  # a later answer is reported as slow (never FAIL by itself)
    downtime_budget_ms: Annotated[float, between(0, 3_600_000)] = 0.0  # 0: no hard failure at all is allowed
    # that the budget covers, counted 1 s apart, however short they are
    outages_max: Annotated[int | None, between(1, 1_000)] = None
    # of requests that are lost without any release, each by itself
    background_failures_per_million: Annotated[float, between(0, 100_000)] = 0.0
    p99_ms_max: Annotated[float | None, above(0, 600_000)] = None  # of the app's open-loop lanes, from intended send
    # on the same lanes: a later answer counts as lost
    longest_ms_max: Annotated[float | None, above(0, 600_000)] = None
    # share of dispatches > 5 ms late above which the generator was not sound
    late_share_max: Annotated[float, between(0, 1)] = 0.02
    max_duration_s: Annotated[float, above(0, 86_400)] = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BadReleases:
    """Versions that are known to be bad, each by what it is bad for (`core.reasons.BadKind`); "": there is none.

    The limits are from the accepted push until it must have been said what is wrong. Of a version that never gets ready
    only the Deployment's `progressDeadlineSeconds` says it (600 s by Kubernetes' default).
    """

    image_missing: str = ""  # a tag of which there is no image
    wrong_platform: str = ""
    never_ready: str = ""
    crash_loop: str = ""
    wrong_version: str = ""
    config_missing: str = ""
    named_within_s: Annotated[float, above(0, 3_600)] = 60.0
    never_ready_within_s: Annotated[float, above(0, 7_200)] = 660.0

    @property
    def named(self) -> dict[BadKind, str]:
        """The versions that there are, by kind."""
        return {kind: sha for kind in BadKind if (sha := str(getattr(self, kind)))}

    def limit_s(self, kind: BadKind) -> float:
        """Until when it must have been said what is wrong, in seconds from the push."""
        return self.never_ready_within_s if kind is BadKind.NEVER_READY else self.named_within_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSettings:
    """How a sha gets to the cluster, and how its arrival is proven."""

    # "push": we commit; "observe": a pipeline does, we wait for the named sha
    mode: Annotated[str, one_of("push", "observe")] = "push"
    shas: tuple[str, ...] = ()  # candidates when no --sha is given: the first that is not running
    # "nodes" (node.status.images), "registry" (HEAD manifest; a private one by the login of pipeline.registry), "none"
    image_check: Annotated[str, one_of("nodes", "registry", "none")] = "none"
    deadline_s: Annotated[float, above(0, 86_400)] = 300.0
    proof_count: Annotated[int, between(1, 10_000)] = 20  # answers in a row over new connections
    poll_s: Annotated[float, between(0.05, 60)] = 0.5
    bad: BadReleases = field(default_factory=BadReleases)  # for the drill `bad-release`


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSettings:
    """Which drifts are injected (of `core.trials`) and what is promised about their repair."""

    # for detection + apply; the back-off is computed and reported apart
    limit_s: Annotated[float, above(0, 3_600)] = 5.0
    trials: Names = (
        "image", "replicas", "env", "resources", "configmap", "service-selector", "delete-service",
        "delete-configmap", "undeclared-annotation", "void-patch",
    )  # fmt: skip
    env_name: str = ""  # a declared env variable of the container; empty: the first with a literal value
    configmap: str = ""  # a declared ConfigMap; empty: the first that the Application tracks
    configmap_key: str = ""
    ingress: str = ""  # a declared Ingress of the app; empty: the first that the Application tracks
    http_route: str = ""  # the same of HTTPRoutes (Gateway API)
    autoscaler: str = ""  # the same of HorizontalPodAutoscalers
    network_policy: str = ""  # the same of NetworkPolicies
    # these trials only run where this is said: what they delete is gone for users until self-heal has created it again
    delete_ingress: bool = False
    delete_http_route: bool = False
    delete_hpa: bool = False
    delete_deployment: bool = False
    drift_image_tag: str = ""  # tag for the image drift; empty: another of release.shas
    # wait out the back-off up to this; above it reset the count by a sync, if allowed
    backoff_wait_max_s: Annotated[float, between(0, 3_600)] = 20.0
    # "sync" may write .operation to reset the self-heal count, "wait" never does
    reset: Annotated[str, one_of("wait", "sync")] = "wait"
    negative_watch_s: Annotated[float, above(0, 3_600)] = 10.0  # how long an undeclared field must stay
    deadline_s: Annotated[float, above(0, 3_600)] = 60.0  # beyond the remaining back-off
    must_heal: bool = True  # self-heal off is a FAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """An object that runs pods beside the app's: what a fault of its surroundings is done to."""

    kind: Annotated[str, one_of("Deployment", "StatefulSet")]
    namespace: Annotated[str, Needed()]
    name: Annotated[str, Needed()]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMapInGit:
    """A ConfigMap of the app, and the overlay's file with its `data`, or of a generator a file under its `envs:`."""

    name: Annotated[str, Needed()]
    file: Annotated[str, Needed()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Database(Workload):
    """The app's database. What follows the three names is for the faults that ask its server to do something.

    admin_password_variable: a variable *of the database's container*, in which the administrator's password is: there,
    and nowhere else, its value is used.
    """

    container: str = ""  # of its pod; empty: the only one
    port: Annotated[int, between(1, 65_535)] = 3306  # on which the app reaches it
    client: Annotated[str, one_of("mariadb", "mysql")] = "mariadb"  # the program in that container
    admin: Annotated[str, Needed()] = "root"  # who may lock accounts and set global variables
    admin_password_variable: str = ""  # empty: no password is given, as with unix_socket authentication
    account: str = ""  # as whom the app logs in; empty: faults that need it are skipped
    account_host: Annotated[str, Needed()] = "%"  # the account's other half: 'account'@'account_host'


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSettings:
    """What is promised about every fault (`rollproof.faults`): it is felt soon, and overcome in time."""

    chaos: Names = ()  # the drills of `rollproof run chaos`; empty: all that inject faults
    # how long the steady state must have been there between two drills of one run: what watches show late is over then
    rest_s: Annotated[float, between(0, 600)] = 10.0
    # a drill under load ends at once when no lane had a good answer for longer than this and traffic.downtime_budget_ms
    abort_after_s: Annotated[float, above(0, 3_600)] = 10.0
    # or when so many requests were lost; None: as many as are lost in that time if all are
    abort_failures: Annotated[int | None, between(1, 10_000_000)] = None
    # or when so many of the Deployment's pods and no more may be away at once; None: it does not matter
    abort_pods: Annotated[int | None, between(0, 1_000)] = None
    # or when more than so many nodes are NotReady, beside the fault's own and those from before; None: not looked at
    abort_nodes: Annotated[int | None, between(0, 1_000)] = None
    # until the watches show that a fault had an effect; else it tested nothing
    effect_within_s: Annotated[float, above(0, 600)] = 10.0
    recovery_limit_s: Annotated[float, above(0, 3_600)] = 60.0  # from its start until the steady state is back
    # of single faults, by their name
    recovery_limits_s: Annotated[dict[str, float], above(0, 3_600)] = field(default_factory=dict)
    # process-kill, process-terminate: its name in /proc/PID/stat, of at most 15 characters: nginx, php-fpm8.2, cron
    process: str = ""
    frozen_process: str = ""  # process-freeze: the same; empty: `process`
    # how long a fault that lasts until it is undone is left in place once it was felt
    hold_s: Annotated[float, between(1, 600)] = 10.0
    # for how long requests may be lost when a node is lost: 50 s until it is noticed, 5 s between two looks, the entry
    node_loss_budget_s: Annotated[float, between(0, 3_600)] = 60.0
    # the same of single faults whose losses nobody can prevent (a process that stands still), by their name
    loss_budgets_s: Annotated[dict[str, float], between(0, 3_600)] = field(default_factory=dict)
    spot_factor: Annotated[float, between(0.1, 1)] = 0.25  # node-spot: share of the 2 min between notice and loss
    # within what time the readiness path must say that the database is away: an app's connect time-out of 1 s (a
    # probe's own default time-out) and 1 s more; counted beyond what the health path took, asked the same way
    ready_answer_s: Annotated[float, above(0, 60)] = 2.0
    git: Workload | None = None  # the git server of the env repo, if it may be scaled to 0
    # metrics-away: who serves the metrics API, if it may be scaled to 0: fences.namespaces must name its namespace
    metrics: Workload = Workload(kind="Deployment", namespace="kube-system", name="metrics-server")
    database: Database | None = None  # the app's database, if it may be taken away
    configmap: ConfigMapInGit | None = None  # one that a commit may give one key more
    # has a shell, and curl or python3: a pod of it undoes what lasts if we never come back; "": nobody does
    dead_man_image: str = ""
    # a pod that a fault leaves behind (it hangs, or the next drill would measure its restart) is deleted
    renew_pods: bool = True
    # branch-force-pushed: whether the env repo's server lets us rewrite and delete a branch of our own
    force_push: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PostureSettings:
    """What `rollproof run posture` holds live objects against. `must` and `skip` name checks (docs/posture.md)."""

    must: Names = ()  # promised: what is not as advised is a FAIL, else a finding
    skip: Names = ()  # not judged here
    replicas_min: Annotated[int, between(1, 1_000)] = 2
    # how long a pod that ends still gets requests: endpoints, kube-proxy (1 s between syncs), ingress (3.3 s between
    # syncs of ingress-nginx); assumed, `run zero-downtime` measures it
    endpoint_lag_s: Annotated[float, between(0, 600)] = 5.0
    # of kube-linter (JSON), Trivy (JSON) or any scanner (SARIF), read beside the checks; empty: none
    scan_file: str = ""
    pull_secret: str = ""  # the Secret with the registry's login: it is tried on the running image; empty: it is not
    restarts_within_s: Annotated[float, between(0, 2_592_000)] = 3_600.0  # a restart that is older says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackSettings:
    """The rollback runbook's promise: from the push of the revert to the old version proven."""

    limit_s: Annotated[float, above(0, 86_400)] = 30.0
    deadline_s: Annotated[float, above(0, 86_400)] = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """Where the ingress's access log is read, for the finding MASKED. Empty namespace: it cannot be read."""

    namespace: str = ""
    selector: str = ""
    container: str = ""
    masked: Annotated[str, one_of("warn", "fail")] = "warn"  # or "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """How commands are run inside of the cluster's nodes. Faults that need it are skipped where it is not said.

    `access`: "docker" for kind, whose nodes are containers: the daemon's socket is root's right on its machine.
    """

    access: Annotated[str, one_of("", "docker")] = ""
    socket: str = ""  # of that daemon; empty, or no socket there: where docker itself looks (DOCKER_HOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fences:
    """What this target allows. Nothing outside of `namespaces` is ever changed.

    `nodes`: the nodes that a fault may cordon, drain or take away, by a label selector; empty: none. Whatever else runs
    on such a node is hit with it.
    """

    namespaces: tuple[str, ...]
    nodes: str = ""
    production: bool = False  # deploys and faults are refused; in the plan of a run that was meant: False
    load_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")  # load goes nowhere else
    rate_per_s_max: Annotated[float, above(0, 10_000)] = 2000.0
    opt_in_label: str = ""  # "key=value" that the namespace, or the app's Deployment, must carry; empty: none
    hours: str = ""  # when faults that traffic can feel are allowed, "Mon-Fri 09:00-17:00"; empty: always
    timezone: str = ""  # whose clock the hours are on, by its IANA name: "Europe/Berlin"
    # of one fault: how many pods and nodes it may take away at once, and for how long; a fault beyond it is skipped
    pods_max: Annotated[int | None, between(1, 10_000)] = None
    nodes_max: Annotated[int | None, between(0, 1_000)] = None
    fault_s_max: Annotated[float | None, above(0, 86_400)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoSettings:
    """How the undo treats a change that was asked for and never answered.

    `late_s`: how long after we gave up a server may still carry it out; then the undo looks again. kube-apiserver holds
    a request for 60 s (`--request-timeout`), nginx before a git server as well (`proxy_read_timeout`).
    """

    late_s: Annotated[float, between(0, 3_600)] = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """Where the undo journal lives beside the run folder: "cluster" is a ConfigMap a run in the app's namespace."""

    store: Annotated[str, one_of("folder", "cluster")] = "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """The app's scheduled jobs, and where it reports their runs (docs/jobs.md). Without a path the drills are skipped.

    `settled_pointer` and `booked_pointer` name two numbers of the report: the amount that is settled, and the sum of
    what all runs say that they settled. They differ as soon as something was settled twice.
    """

    report_path: Annotated[str, UrlPath()] = ""  # GET; the runs of the jobs as JSON
    runs_pointer: Annotated[str, Pointer()] = "/runs"  # their list in it, empty: the report itself is the list
    names: Names = ()  # the jobs that must run in each period; empty: those that the report names
    period_s: Annotated[float, between(1, 86_400)] = 60.0  # periods begin at whole multiples of it since 1970 (UTC)
    periods: Annotated[int, between(1, 1_440)] = 5  # how many whole ones are watched
    periods_min: Annotated[int, between(3, 1_440)] = 3  # with fewer no PASS
    reported_within_s: Annotated[float, between(0, 3_600)] = 20.0  # after a period's end its runs must be in the report
    settled_pointer: Annotated[str, Pointer()] = ""
    booked_pointer: Annotated[str, Pointer()] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSettings:
    """Which values must be nowhere but in their Secret (docs/secrets.md). Without any the drill is skipped.

    `values_env` is for those who may not read Secrets: a canary that was put into one, or a value itself.
    """

    names: Names = ()  # Secrets of the app's namespace, "name" or "name/key"; these alone are read
    values_env: Names = ()  # variables that hold values to look for
    patterns: Annotated[str, one_of("find", "must", "off")] = "find"  # what looks like a secret: a finding, or FAIL
    ci_log_file: str = ""  # a log of CI, as it lies there; empty: none is searched
    placeholders: str = ""  # the form for the Secret in the env repo ("base/secret.yaml"): must not have live values
    git_mib_max: Annotated[int, between(1, 4_096)] = 64  # of the env repo's objects; beyond it no PASS
    git_s_max: Annotated[float, between(1, 3_600)] = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The whole target file."""

    name: Annotated[str, Needed()]
    cluster: Cluster
    argocd: ArgoCd
    env_repo: EnvRepo
    app: App
    fences: Fences
    schema: int = 1
    env_file: str = ""  # KEY=VALUE lines for the variables named by *_env fields; the environment wins
    control: Control | None = None
    traffic: Traffic = field(default_factory=Traffic)
    release: ReleaseSettings = field(default_factory=ReleaseSettings)
    drift: DriftSettings = field(default_factory=DriftSettings)
    rollback: RollbackSettings = field(default_factory=RollbackSettings)
    faults: FaultSettings = field(default_factory=FaultSettings)
    posture: PostureSettings = field(default_factory=PostureSettings)
    ingress: Ingress = field(default_factory=Ingress)
    nodes: Nodes = field(default_factory=Nodes)
    autoscaling: AutoscalingSettings = field(default_factory=AutoscalingSettings)
    jobs: JobSettings = field(default_factory=JobSettings)
    secrets: SecretSettings = field(default_factory=SecretSettings)
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    undo: UndoSettings = field(default_factory=UndoSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)

    def control_beside(self, *, entry_breaks: bool) -> Control | None:
        """The control lane of a drill: off the app's entry where the drill breaks that, if such a one is named."""
        return (self.control_off_entry or self.control) if entry_breaks else self.control

    @property
    def control_off_entry(self) -> Control | None:
        """The control lane that does not go through the app's entry; None if none is named."""
        control = self.control
        if control is None:
            return None
        if control.off_entry_url:
            return Control(url=control.off_entry_url, host=control.off_entry_host)
        return control if urlsplit(control.url).netloc != urlsplit(self.app.base_url).netloc else None
