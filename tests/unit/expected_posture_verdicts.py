"""Histories for the golden of verdicts: posture's. A sound app, and for each check what makes it say something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from story import Story, plan, target

from rollproof.core.event import Outcome
from rollproof.core.posture import (
    AccountSeen,
    ApplicationSeen,
    BudgetSeen,
    BudgetsSeen,
    ConfigSeen,
    ConfigsSeen,
    ContainerSeen,
    DatabaseSeen,
    DeploymentSeen,
    EndpointSeen,
    EndpointsSeen,
    EntrySeen,
    EventsSeen,
    EvictionSeen,
    EvictionsSeen,
    IgnoreSeen,
    MetricSeen,
    NodeSeen,
    NodesSeen,
    PodSeen,
    PodsSeen,
    PoliciesSeen,
    PolicySeen,
    ProbeSeen,
    ProgramSeen,
    ProjectSeen,
    RegistrySeen,
    ScalerSeen,
    ScalersSeen,
    ScanEntry,
    ScanSeen,
    ServiceSeen,
    SpreadSeen,
    WindowSeen,
)
from rollproof.core.posturefacts import VIEWS
from rollproof.core.posturewords import SOURCE, PostureWord, Topic, Unread
from rollproof.core.target import PostureSettings
from rollproof.core.typedviews import stored

__all__ = ["CASES", "SOUND", "Case", "looked", "postures"]

CONTAINER = ContainerSeen(
    name="web", image="ghcr.io/shop/web:aaaaaaa", readiness=ProbeSeen(kind="httpGet", path="/ready", period_s=2),
    liveness=ProbeSeen(kind="httpGet", path="/health", period_s=5, failures=6),
    requests={"cpu": "50m", "memory": "64Mi"}, limits={"memory": "128Mi"}, pre_stop="sleep", pre_stop_s=6.0,
    escalates=False, non_root=True,
)  # fmt: skip
DEPLOYMENT = DeploymentSeen(
    name="web", app="web", replicas=2, replicas_declared=False, max_surge="1", max_unavailable="0", min_ready_s=5,
    progress_deadline_s=120, containers=(CONTAINER,), node_selector={}, pull_secrets=("pull",), automount=False,
    spread=tuple(SpreadSeen(key=key, hard=False) for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")),
    configs={"web-config-2g4h6b7c8d": "env"},
)  # fmt: skip
PODS = PodsSeen(pods=(PodSeen(name="web-1", node="n1", ready=True), PodSeen(name="web-2", node="n2", ready=True)))
SCALER = ScalerSeen(
    name="web", minimum=2, maximum=4, metrics=(MetricSeen(type="Resource", name="cpu"),),
    conditions={"ScalingActive": "True", "AbleToScale": "True"},
)  # fmt: skip
BUDGET = BudgetSeen(name="web", max_unavailable="1", allowed=1)
POLICY = PolicySeen(name="web", ingress=True)
APPLICATION = ApplicationSeen(
    name="shop", automated=True, self_heal=True, prune=True, retries=2, options=("RespectIgnoreDifferences=true",),
    ignored=(IgnoreSeen(group="apps", kind="Deployment", fields=("/spec/replicas",)),),
)  # fmt: skip
REGISTRY = RegistrySeen(
    image="ghcr.io/shop/web:aaaaaaa", registry="ghcr.io", secret="pull", login=True, status=200, anonymous=401
)
SOUND: Mapping[Topic, Any] = {
    Topic.DEPLOYMENT: DEPLOYMENT,
    Topic.PODS: PODS,
    Topic.NODES: NodesSeen(
        nodes=tuple(
            NodeSeen(name=name, architecture="arm64", zone=zone, labels={})
            for name, zone in (("n1", "a"), ("n2", "b"), ("n3", "a"))
        )
    ),
    Topic.ENTRY: EntrySeen(
        pods=(PodSeen(name="in-1", node="n1", ready=True), PodSeen(name="in-2", node="n3", ready=True))
    ),
    Topic.DATABASE: DatabaseSeen(pods=(PodSeen(name="db-0", node="n3", ready=True),)),
    Topic.SERVICE: ServiceSeen(name="web", selector={"app": "web"}),
    Topic.ENDPOINTS: EndpointsSeen(
        endpoints=(EndpointSeen(address="10.0.0.1", ready=True), EndpointSeen(address="10.0.0.2", ready=True))
    ),
    Topic.SCALERS: ScalersSeen(scalers=(SCALER,)),
    Topic.BUDGETS: BudgetsSeen(budgets=(BUDGET,)),
    Topic.EVICTIONS: EvictionsSeen(
        tries=(EvictionSeen(pod="web-1", status=201), EvictionSeen(pod="web-2", status=201))
    ),
    Topic.POLICIES: PoliciesSeen(policies=(POLICY,)),
    Topic.CONFIGS: ConfigsSeen(
        configs=(ConfigSeen(name="web-config-2g4h6b7c8d", programs=(ProgramSeen(name="nginx", autorestart="true"),)),)
    ),
    Topic.ACCOUNT: AccountSeen(name="default"),
    Topic.EVENTS: EventsSeen(),
    Topic.APPLICATION: APPLICATION,
    Topic.PROJECT: ProjectSeen(name="default"),
    Topic.SCAN: ScanSeen(tool="trivy", image="ghcr.io/shop/web:aaaaaaa"),
    Topic.REGISTRY: REGISTRY,
}
_TOPICS = {view: topic for topic, view in VIEWS.items()}
Gaps = Mapping[Topic, tuple[Unread, str]]


def looked(*views: Any, unread: Gaps | None = None, **settings: Any) -> Story:
    """A look at a sound app, with these views in place of its own; `settings` are those of the target's posture."""
    seen = {**SOUND, **{_TOPICS[type(view)]: view for view in views}}
    gaps = unread or {}
    wanted = target(posture=PostureSettings(**{"scan_file": "/trivy.json", "pull_secret": "pull", **settings}))
    told = Story("posture", plan=plan(drills=("posture",), target=wanted))
    for number, topic in enumerate(Topic):
        if topic in gaps:
            cause, reason = gaps[topic]
            told.tell(
                SOURCE, f"{topic}/shop", PostureWord.UNREAD, at=100 + number, outcome=Outcome.UNKNOWN, cause=cause,
                reason=reason,
            )  # fmt: skip
        else:
            told.tell(SOURCE, f"{topic}/shop", PostureWord.READ, at=100 + number, **stored(seen[topic]))
    return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is wrong for one check, and what it cannot judge. Its sound one is SOUND."""

    found: tuple[Any, ...]
    not_judged: tuple[Any, ...] = ()
    unread: Topic = Topic.DEPLOYMENT  # without which it knows nothing


def _deployment(**changes: Any) -> DeploymentSeen:
    return replace(DEPLOYMENT, **changes)


def _container(**changes: Any) -> DeploymentSeen:
    return replace(DEPLOYMENT, containers=(replace(CONTAINER, **changes),))


A_SCRIPT = _container(pre_stop="exec", pre_stop_s=None)
SEVERAL = _deployment(app="")  # nobody can tell which container is the app's
ONE_ZONE = NodesSeen(nodes=(NodeSeen(name="n1", labels={}), NodeSeen(name="n2", labels={})))
MIXED = NodesSeen(
    nodes=(
        NodeSeen(name="n1", architecture="arm64", labels={}), NodeSeen(name="n2", architecture="arm64", labels={}),
        NodeSeen(name="n3", architecture="amd64", labels={}),
    )
)  # fmt: skip
NONE_READY = PodsSeen(pods=(PodSeen(name="web-1", node="n1"),))
NO_SCALER = ScalersSeen(scalers=())
RESTARTED = PodSeen(name="web-1", node="n1", ready=True, restarts=3, restart_age_s=60.0, reason="OOMKilled")
CASES: Mapping[str, Case] = {
    "replicas": Case(found=(_deployment(replicas=1),)),
    "rollout-strategy": Case(found=(_deployment(max_unavailable="1"),)),
    "min-ready": Case(found=(_deployment(min_ready_s=0),)),
    "progress-deadline": Case(found=(_deployment(progress_deadline_s=600),)),
    "revision-history": Case(found=(_deployment(history_limit=0),)),
    "node-spread": Case(
        found=(PodsSeen(pods=(PodSeen(name="web-1", node="n1"), PodSeen(name="web-2", node="n1"))),), unread=Topic.PODS
    ),
    "zone-spread": Case(
        found=(PodsSeen(pods=(PodSeen(name="web-1", node="n1"), PodSeen(name="web-2", node="n3"))),),
        not_judged=(ONE_ZONE,), unread=Topic.NODES,
    ),
    "node-neighbours": Case(
        found=(DatabaseSeen(pods=(PodSeen(name="db-0", node="n1"),)),), unread=Topic.DATABASE,
    ),
    "readiness-probe": Case(found=(_container(readiness=ProbeSeen()),), not_judged=(SEVERAL,)),
    "liveness-probe": Case(found=(_container(liveness=ProbeSeen()),), not_judged=(SEVERAL,)),
    "liveness-path": Case(
        found=(_container(liveness=ProbeSeen(kind="httpGet", path="/ready/")),), not_judged=(SEVERAL,)
    ),
    "startup": Case(found=(_container(liveness=ProbeSeen(kind="tcpSocket", period_s=5)),), not_judged=(SEVERAL,)),
    "requests": Case(found=(_container(requests={"cpu": "50m"}, limits={}),), not_judged=(SEVERAL,)),
    "memory-limit": Case(found=(_container(limits={"cpu": "1"}),), not_judged=(SEVERAL,)),
    "image-tag": Case(found=(_container(image="localhost:5000/shop/web:latest"),), not_judged=(SEVERAL,)),
    "image-platform": Case(found=(MIXED,), not_judged=(NONE_READY,), unread=Topic.NODES),
    "pre-stop": Case(found=(_container(pre_stop="", pre_stop_s=0.0),), not_judged=(A_SCRIPT,)),
    "grace-period": Case(found=(_deployment(grace_s=11),), not_judged=(A_SCRIPT,)),
    "privileged": Case(found=(_container(privileged=True),), not_judged=(SEVERAL,)),
    "privilege-escalation": Case(found=(_container(escalates=None),), not_judged=(SEVERAL,)),
    "run-as-root": Case(found=(_container(non_root=None),), not_judged=(SEVERAL,)),
    "service-account-token": Case(found=(_deployment(automount=None),)),
    "restarts": Case(found=(PodsSeen(pods=(RESTARTED,)),), unread=Topic.PODS),
    "service-endpoints": Case(
        found=(EndpointsSeen(endpoints=(EndpointSeen(address="10.0.0.1", ready=True),)),), unread=Topic.ENDPOINTS
    ),
    "entry-one-node": Case(
        found=(EntrySeen(pods=(PodSeen(name="in-1", node="n1", ready=True, host_ports=True),)),),
        not_judged=(EntrySeen(),), unread=Topic.ENTRY,
    ),
    "pull-secret": Case(
        found=(EventsSeen(without_secret=("web-1",)),), not_judged=(_deployment(pull_secrets=()),), unread=Topic.EVENTS
    ),
    "pull-secret-opens": Case(
        found=(replace(REGISTRY, status=403),), not_judged=(replace(REGISTRY, status=500),), unread=Topic.REGISTRY
    ),
    "autoscaler": Case(
        found=(ScalersSeen(scalers=(replace(SCALER, conditions={"ScalingActive": "False: FailedGetScale"}),)),),
        not_judged=(NO_SCALER,), unread=Topic.SCALERS,
    ),
    "autoscaler-and-git": Case(
        found=(_deployment(replicas_declared=True), replace(APPLICATION, options=())), not_judged=(NO_SCALER,),
        unread=Topic.SCALERS,
    ),
    "disruption-budget": Case(
        found=(BudgetsSeen(budgets=()),), not_judged=(EvictionsSeen(tries=(EvictionSeen(pod="web-1", status=500),)),),
        unread=Topic.BUDGETS,
    ),
    "network-policy": Case(found=(PoliciesSeen(policies=()),), unread=Topic.POLICIES),
    "network-policy-width": Case(
        found=(PoliciesSeen(policies=(replace(POLICY, wide=("10.0.0.0/8",)),)),),
        not_judged=(PoliciesSeen(policies=()),), unread=Topic.POLICIES,
    ),
    "config-rollout": Case(
        found=(_deployment(configs={"web-config": "env"}),), not_judged=(_deployment(configs={}),)
    ),
    "supervisor-autorestart": Case(
        found=(ConfigsSeen(configs=(ConfigSeen(name="web", programs=(ProgramSeen(name="nginx"),)),)),),
        not_judged=(ConfigsSeen(configs=(ConfigSeen(name="web"),)),), unread=Topic.CONFIGS,
    ),
    "self-heal": Case(found=(replace(APPLICATION, self_heal=False),), unread=Topic.APPLICATION),
    "prune": Case(found=(replace(APPLICATION, prune=False),), unread=Topic.APPLICATION),
    "sync-retry": Case(found=(replace(APPLICATION, retries=0),), unread=Topic.APPLICATION),
    "sync-windows": Case(
        found=(ProjectSeen(name="default", windows=(WindowSeen(kind="deny", schedule="0 22 * * *", duration="8h"),)),),
        unread=Topic.PROJECT,
    ),
    "ignored-fields": Case(
        found=(replace(APPLICATION, ignored=(IgnoreSeen(kind="Deployment", fields=("/spec/replicas",)),)),),
        not_judged=(replace(APPLICATION, ignored=()),), unread=Topic.APPLICATION,
    ),
    "scan-file": Case(
        found=(ScanSeen(tool="trivy", total=2, grave=1, entries=(ScanEntry(name="CVE-1", level="high"),)),),
        not_judged=(ScanSeen(tool="trivy", image="ghcr.io/shop/web:bbbbbbb", total=1, grave=1),), unread=Topic.SCAN,
    ),
    "config-missing": Case(found=(), not_judged=(ConfigsSeen(missing=("web-config",)),), unread=Topic.CONFIGS),
}  # fmt: skip


def postures() -> Iterator[tuple[str, Story]]:
    yield "nobody has looked", Story("posture")
    yield "all is as advised", looked()
    worst = _container(
        readiness=ProbeSeen(), liveness=ProbeSeen(kind="httpGet", path="/ready"), requests={}, limits={}, pre_stop="",
        pre_stop_s=0.0, image="shop/web", privileged=True, escalates=True, non_root=False,
    )  # fmt: skip
    worst = replace(worst, replicas=1, strategy="Recreate", min_ready_s=0, grace_s=3, spread=(), configs={"web": "env"})
    beside = [
        view for name in ("autoscaler", "disruption-budget", "network-policy", "prune") for view in CASES[name].found
    ]
    yield "much is wrong", looked(worst, *beside)
    promised = looked(_deployment(replicas=1), must=("replicas",))
    yield "one pod, where the target file promises more", promised
    yield "a check that the target file leaves out", looked(_deployment(replicas=1), skip=("replicas",))
    forbidden = {
        Topic.BUDGETS: (Unread.FORBIDDEN, "403 Forbidden"),
        Topic.EVICTIONS: (Unread.FORBIDDEN, "403 Forbidden"),
    }
    yield "no right to read budgets, nor to try an eviction", looked(unread=forbidden)
    yield "no right to try an eviction", looked(unread={Topic.EVICTIONS: (Unread.FORBIDDEN, "403 Forbidden")})
    yield "a cluster without autoscalers", looked(unread={Topic.SCALERS: (Unread.ABSENT, "404 NotFound")})
    yield "nobody answers about the Deployment", looked(unread={Topic.DEPLOYMENT: (Unread.NO_ANSWER, "no answer")})
