"""Settings: every option of the sandbox, with the values of a sound system as defaults.

A defect is a change of these values and of nothing else; recording is up to the harness. Each part of the
sandbox reads its own class. Times are seconds; `sha` is an app version.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = [
    "Actors",
    "ApiServer",
    "App",
    "ArgoCd",
    "Cluster",
    "Host",
    "Ingress",
    "Ports",
    "Settings",
    "Trouble",
    "Workload",
]  # fmt: skip

SHAS = ("5f1c0de", "b7a2e11", "c93d4f0")  # the app's releases: first, second, third
FIRST = SHAS[0]
PASSWORD = "kN4-vw9-Tq2/x7"  # noqa: S105 - of a database that does not exist: DB_PASS of the Secret "shop-secret"
MISSING = "0d0e000"  # a release without an image


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A temporary failure: `kind` is a word of the part that it is for; it begins `after_s` after its trigger.

    The trigger is named by the part that reads it.
    """

    kind: str
    after_s: float = 0.0
    for_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """How one app process behaves (`app/server.py`). Passed to it as JSON.

    Troubles, by their trigger: `ready` counts from the first good answer to a readiness probe, `term` from SIGTERM.
    Kinds: "http-500", "http-503", "stall" (answers wait until its end), "truncate", "wrong-body", "refuse" (the
    listener is closed), "reset" (the connection is reset once the request is read), "reset-reused" (only requests on
    a connection that was used before), "slow" (each answer takes `slow_s` more).
    """

    start_s: float = 0.15  # from the process's start until it listens
    never_ready: bool = False
    crash_after_s: float | None = None  # exit code 1, counted from listening
    health_version: str = ""  # the version of /health and the version header, if not the image's sha
    old_version_every: int = 0  # every n-th response has the sha before it
    database: str = "ok"  # the database's state in /ready: any other word counts as down (and 503, but see below)
    ready_status_lies: bool = False  # /ready answers 200 although the database is down
    database_field: bool = True  # whether /ready has the field
    health_follows_database: bool = False  # /health answers 503 while the database is down
    latency_s: float = 0.002  # of every response but /slow
    slow_s: float = 0.3  # of a "slow" trouble
    at_sigterm: str = (
        "drain"  # or "exit" (at once), "cut" (stops listening, lets requests run on until the kill), "ignore"
    )
    jobs: str = "once"  # how its scheduled jobs are kept apart: "once", "read-then-write", or "off" (`app/cron.py`)
    jobs_period_s: float = 2.0
    clock_ahead_s: float = 0.0  # of the Date of its answers
    on_ready: tuple[Trouble, ...] = ()
    on_term: tuple[Trouble, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The Deployment as the env repo's base declares it; changed values are in git."""

    replicas: int = 2
    max_surge: int = 1
    max_unavailable: int = 0
    prestop_s: float = 1.0  # 0: no preStop
    grace_s: int = 10
    progress_deadline_s: int = 10
    readiness_period_s: int = 1
    image_mismatch: bool = False  # the overlay's image name is not the base's: a new tag changes nothing
    leak: str = ""  # where the Secret's password also is: "git" (its history alone), "configmap", "env"; "": nowhere
    overlay_tag: str = FIRST  # the overlay's tag before the drill


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Nodes, kubelet and endpoints."""

    missing_images: tuple[str, ...] = (MISSING,)  # shas that cannot be pulled
    gone_after_first_use: tuple[str, ...] = ()  # shas whose image is gone from the registry as soon as another one runs
    endpoint_lag_s: float = 0.05  # from a pod's change to the EndpointSlice
    orphan_old_pod: bool = False  # at the first rollout one old pod loses its owner and stays
    budget_allows: int | None = None  # a PodDisruptionBudget selects the pods, and allows so many to leave; None: none
    stuck_terminating_s: float = 0.0  # the first old pod stays Terminating that long, still answering


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """The proxy in front (`ingress/proxy.py`). Troubles count from the first change of endpoints after the start.

    Kinds: "refuse" (the listener is closed, open connections go on), "reload" (workers are replaced, nothing lost),
    "reload-drop" (the same, but what runs is cut, and for `for_s` the next request on each idle connection is, too),
    "drop-reused" (up to `drops` requests for the app on reused client connections get no answer).
    """

    lag_s: float = 0.1  # from the EndpointSlice to the routing table
    drops: int = 3
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgoCd:
    """The model of the Application controller (docs/argocd.md): its troubles and settings."""

    self_heal: bool = True
    ignore_differences: tuple[dict[str, Any], ...] = ()  # entries of the Application's spec
    deny_window: bool = False  # the AppProject has a sync window that denies now
    sees_new_commits: bool = True  # False: the first new commit is never seen, even if forced; the one after it is
    claims_new_revision: bool = False  # reports Synced at the new revision without having applied it
    sync_fails: str = ""  # every sync of a new revision fails with this message and is retried (limit 5, 5 s * 2^k)
    notices_drift: bool = True  # False: its watch is broken, only a refresh makes it compare
    heal_delay_s: float = 0.0  # more time between noticing and healing
    restores_partly: bool = False  # a healed object lacks one declared field that is not the drifted one
    lost_refreshes: int = 0  # so many refresh requests are deleted unread (#28392)
    attempts: int = 0  # autoHealAttemptsCount of the last operation at the start
    finished_ago_s: float = 60.0  # age of the last operation at the start
    poll_s: float = 120.0
    version: str = "3.6.1"  # docs/argocd.md says what changed with 3.3 (state, count of heals) and 3.6 (refreshes)

    @property
    def line(self) -> tuple[int, int]:
        """The minor version."""
        major, minor, *_ = self.version.split(".")
        return int(major), int(minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServer:
    """The API server's troubles. `on_rollout` counts from the first change of the Deployment's pod template.

    Kinds: "away" (connections are refused and open ones cut), "end-watches" (all watches end; resumable),
    "expire-watches" (all watches end and every version up to now is gone: 410, and a list is needed),
    "blind-watches" (watches of pods deliver nothing, then end, and all versions are gone: facts are lost).
    """

    voids_patches: bool = False  # an admission webhook undoes what a patch by rollproof changes: it has no effect
    voids_deletions: bool = False  # the same of its deletions and evictions of pods
    on_rollout: tuple[Trouble, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Actors:
    """People and robots that act beside the harness, each by its name (`actors.py`).

    "human-heals": restores the original 0.3 s after a drift, as kubectl-edit · "changes-back": changes the object again
    0.3 s after it was restored, every time · "noop-commit": after a drift commits a README and requests a refresh ·
    "superseding-commit": commits a README right after the harness's push · "tag-edit": adds a comment to the tag's line
    after the deploy was synced, so that a revert conflicts · "image-updater": sets the newer tag again 1 s after a
    revert, as argocd-image-updater · "other-writer": 0.05 s after a drift writes a third value to the same field.
    """

    names: tuple[str, ...] = ()
    later_s: float = 0.0  # more time for those that act after a while


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Troubles of the machine that the harness runs on; they affect the command of the sandbox.

    "stop-generator" (SIGSTOP for `for_s`), "clock-step" (the wall clock moves by `step_s`), "disk-full" (writes fail).
    `on_rollout` as above; `on_drift` counts from rollproof's first patch or deletion of an app object.
    """

    on_rollout: tuple[Trouble, ...] = ()
    on_drift: tuple[Trouble, ...] = ()
    step_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Ports on 127.0.0.1; 0 chooses a free one."""

    api: int = 17443
    ingress: int = 17080
    git: int = 17090


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. `target` overrides fields of the target file that the sandbox writes, by section.

    A section whose first field is None is left out ({"control": {"url": None}}: no control probe).
    """

    seed: int = 0  # of names, addresses and delays (`jitter.py`); 0: exactly these times
    ports: Ports = field(default_factory=Ports)
    app: App = field(default_factory=App)  # of the release that runs at the start
    next_app: App = field(default_factory=App)  # of every later release
    one_next_pod: App | None = None  # of one pod of each later release instead
    workload: Workload = field(default_factory=Workload)
    cluster: Cluster = field(default_factory=Cluster)
    ingress: Ingress = field(default_factory=Ingress)
    argocd: ArgoCd = field(default_factory=ArgoCd)
    api: ApiServer = field(default_factory=ApiServer)
    actors: Actors = field(default_factory=Actors)
    host: Host = field(default_factory=Host)
    target: dict[str, dict[str, Any]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain data, for a child process or a record."""
        return asdict(self)
