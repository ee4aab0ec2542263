"""Posture: one look at the live objects that decide how an app takes a release and a fault. Reads and dry runs only.

Each question is asked once, and its answer, or why there is none, is one fact (`core.posturefacts`). It must not decide
whether an answer is good, and what may not be read is not taken for absent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rollproof.clients.argo import Argo
from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.clients.registry import RegistryAt, login_for, manifest_status, registry_of
from rollproof.core.event import Outcome, Recorder
from rollproof.core.outside import Outside
from rollproof.core.posture import (
    AccountSeen,
    BudgetsSeen,
    ConfigSeen,
    ConfigsSeen,
    DatabaseSeen,
    DeploymentSeen,
    EndpointSeen,
    EndpointsSeen,
    EntrySeen,
    EventsSeen,
    EvictionSeen,
    EvictionsSeen,
    NodesSeen,
    PodSeen,
    PodsSeen,
    PoliciesSeen,
    ProjectSeen,
    RegistrySeen,
    ScalersSeen,
    ScanSeen,
    ServiceSeen,
)
from rollproof.core.posturewords import SOURCE, PostureWord, Topic, Unread
from rollproof.core.selectors import selects
from rollproof.core.target import Target
from rollproof.core.typedviews import stored
from rollproof.core.watched import ENDED_PHASES
from rollproof.errors import RollproofError
from rollproof.probes import postureviews as views
from rollproof.probes.registrylogin import is_registry_of
from rollproof.probes.scanfile import read_scan
from rollproof.probes.views import label_selector

__all__ = ["look_at_posture", "look_at_settings"]

_NO_SECRET = "FailedToRetrieveImagePullSecret"  # noqa: S105 - the kubelet's reason of an event, not a password
_MAY_NOT = (401, 403)


class _NoAnswerError(RollproofError):
    """A question that cannot be asked: `cause` says why."""

    def __init__(self, cause: Unread, message: str) -> None:
        super().__init__(message)
        self.cause = cause


def look_at_posture(target: Target, kube: Kube, argo: Argo, recorder: Recorder) -> None:
    """Ask every question once, and record each answer. Never raises for what cannot be read."""
    _Look(target, kube, argo, recorder).all()


def look_at_settings(target: Target, kube: Kube, argo: Argo, recorder: Recorder) -> None:
    """Record the Deployment and the Application as they are before a drill: a change is proposed from them later.

    Two reads, for which every run has the right. Never raises for what cannot be read.
    """
    _Look(target, kube, argo, recorder).settings()


class _Look:
    """One look: what is read early is what later questions are about."""

    def __init__(self, target: Target, kube: Kube, argo: Argo, recorder: Recorder) -> None:
        self._target, self._kube, self._argo, self._recorder = target, kube, argo, recorder
        self._namespace = target.cluster.namespace
        self._item: Object | None = None  # the Deployment
        self._deployment: DeploymentSeen | None = None
        self._pods: tuple[Object, ...] = ()

    def all(self) -> None:
        """In an order in which each question finds what it is about."""
        cluster, namespace = self._target.cluster, self._namespace
        self._ask(Topic.DEPLOYMENT, f"{namespace}/{cluster.deployment}", self._read_deployment)
        self._ask(Topic.PODS, namespace, self._read_pods)
        self._ask(Topic.NODES, "", self._read_nodes)
        self._ask(Topic.ENTRY, self._target.ingress.namespace, self._read_entry)
        database = self._target.faults.database
        self._ask(Topic.DATABASE, database.namespace if database else "", self._read_database)
        self._ask(Topic.SERVICE, f"{namespace}/{cluster.service}", self._read_service)
        self._ask(Topic.ENDPOINTS, namespace, self._read_endpoints)
        self._ask(Topic.SCALERS, namespace, self._read_scalers)
        self._ask(Topic.BUDGETS, namespace, self._read_budgets)
        self._ask(Topic.EVICTIONS, namespace, self._try_evictions)
        self._ask(Topic.POLICIES, namespace, self._read_policies)
        self._ask(Topic.CONFIGS, namespace, self._read_configs)
        account = self._deployment.account if self._deployment else ""
        self._ask(Topic.ACCOUNT, f"{namespace}/{account}", self._read_account)
        self._ask(Topic.EVENTS, namespace, self._read_events)
        argocd = self._target.argocd
        self._ask(Topic.APPLICATION, f"{argocd.namespace}/{argocd.application}", self._read_application)
        self._ask(Topic.PROJECT, f"{argocd.namespace}/{argocd.project}", self._read_project)
        self._ask(Topic.SCAN, "", self._read_scan)
        self._ask(Topic.REGISTRY, self._target.posture.pull_secret, self._try_registry)

    def settings(self) -> None:
        """The two that hold what a person would change."""
        cluster, argocd = self._target.cluster, self._target.argocd
        self._ask(Topic.DEPLOYMENT, f"{cluster.namespace}/{cluster.deployment}", self._read_deployment)
        self._ask(Topic.APPLICATION, f"{argocd.namespace}/{argocd.application}", self._read_application)

    def _ask(self, topic: Topic, place: str, read: Callable[[], Any]) -> None:
        begun_s = time.monotonic()
        subject = f"{topic}/{place}" if place else str(topic)
        try:
            view = read()
        except RollproofError as error:
            cause = _cause(error)
            known = cause in (Unread.ABSENT, Unread.NOT_NAMED)  # that there is none is an answer
            self._recorder.record(
                SOURCE, subject, PostureWord.UNREAD, outcome=Outcome.OK if known else Outcome.UNKNOWN,
                start_s=begun_s, end_s=time.monotonic(), data={"cause": cause, "reason": str(error)},
            )  # fmt: skip
            return
        self._recorder.record(
            SOURCE, subject, PostureWord.READ, start_s=begun_s, end_s=time.monotonic(), data=stored(view)
        )  # fmt: skip

    # -- the app's own -----------------------------------------------------------------------------------------------

    def _read_deployment(self) -> DeploymentSeen:
        cluster = self._target.cluster
        item = self._kube.get("Deployment", self._namespace, cluster.deployment)
        self._deployment = views.deployment_seen(item, cluster.container, self._target.env_repo.image)
        self._item = item
        return self._deployment

    def _known(self) -> tuple[Object, DeploymentSeen]:
        if self._item is None or self._deployment is None:
            raise _NoAnswerError(Unread.NO_ANSWER, "the Deployment could not be read, and this is about its pods")
        return self._item, self._deployment

    def _read_pods(self) -> PodsSeen:
        """The pods whose ReplicaSet the Deployment owns: labels alone are no evidence (docs/verdicts.md)."""
        item, deployment = self._known()
        labels = label_selector(item)
        sets = self._kube.list("ReplicaSet", self._namespace, labels=labels)["items"]
        own = {one["metadata"].get("uid") for one in sets if views.controller_uid(one) == item["metadata"].get("uid")}
        pods = self._kube.list("Pod", self._namespace, labels=labels)["items"]
        self._pods = tuple(one for one in pods if views.controller_uid(one) in own and _is_there(one))
        return PodsSeen(pods=self._seen(self._pods, deployment.app))

    def _seen(self, items: Iterable[Object], container: str = "") -> tuple[PodSeen, ...]:
        return tuple(views.pod_seen(one, self._kube.wall_s(), container) for one in items)

    def _labels(self) -> dict[str, str]:
        """The labels of the pods that the Deployment makes."""
        item, _ = self._known()
        template = Outside.of(item, "the Deployment").child("spec").child("template")
        return template.child("metadata").table("labels")

    def _read_service(self) -> ServiceSeen:
        name = self._target.cluster.service
        spec = Outside.of(self._kube.get("Service", self._namespace, name), f"Service {name}").child("spec")
        return ServiceSeen(
            name=name, type=spec.text("type", "ClusterIP"), selector=spec.table("selector"),
            unready_too=spec.flag("publishNotReadyAddresses"),
        )  # fmt: skip

    def _read_endpoints(self) -> EndpointsSeen:
        labels = f"kubernetes.io/service-name={self._target.cluster.service}"
        slices = self._kube.list("EndpointSlice", self._namespace, labels=labels)["items"]
        parts = [one for item in slices for one in Outside.of(item, "an EndpointSlice").objects("endpoints")]
        found: dict[str, EndpointSeen] = {}
        for one in parts:  # a pod may be in several slices: of each IP family, and in two while it is moved
            address = next(iter(one.texts("addresses")), "")
            whose = one.child("targetRef").text("uid") or address
            ready = one.child("conditions").flag("ready", default=True)
            if whose and (whose not in found or (ready and not found[whose].ready)):
                found[whose] = EndpointSeen(address=address, node=one.text("nodeName"), ready=ready)
        return EndpointsSeen(endpoints=tuple(found.values()))

    def _read_configs(self) -> ConfigsSeen:
        _, deployment = self._known()
        found = {name: self._kube.find("ConfigMap", self._namespace, name) for name in deployment.configs}
        read: list[ConfigSeen] = [views.config_seen(item) for item in found.values() if item is not None]
        return ConfigsSeen(configs=tuple(read), missing=tuple(name for name, item in found.items() if item is None))

    def _read_account(self) -> AccountSeen:
        _, deployment = self._known()
        item = self._kube.get("ServiceAccount", self._namespace, deployment.account)
        seen = Outside.of(item, f"ServiceAccount {deployment.account}")
        says = seen.value.get("automountServiceAccountToken") is not None
        return AccountSeen(
            name=deployment.account,
            automount=seen.flag("automountServiceAccountToken") if says else None,
            pull_secrets=tuple(one.text("name") for one in seen.objects("imagePullSecrets")),
        )

    def _read_events(self) -> EventsSeen:
        own = {str(one["metadata"]["name"]) for one in self._pods}
        items = self._kube.list("Event", self._namespace, fields=f"reason={_NO_SECRET}")["items"]
        events = [one for item in items if (one := Outside.of(item, "an Event")).text("reason") == _NO_SECRET]
        named = {one.child("involvedObject").text("name") for one in events}
        return EventsSeen(without_secret=tuple(sorted(named & own)))

    # -- what is around it -------------------------------------------------------------------------------------------

    def _read_nodes(self) -> NodesSeen:
        item, _ = self._known()
        items = self._kube.list("Node", "")["items"]
        return NodesSeen(nodes=tuple(views.node_seen(one, item) for one in items))

    def _read_entry(self) -> EntrySeen:
        ingress = self._target.ingress
        if not ingress.namespace:
            raise _NoAnswerError(Unread.NOT_NAMED, "ingress.namespace of the target file is not set")
        items = self._kube.list("Pod", ingress.namespace, labels=ingress.selector)["items"]
        return EntrySeen(pods=self._seen(filter(_is_there, items)))

    def _read_database(self) -> DatabaseSeen:
        database = self._target.faults.database
        if database is None:
            raise _NoAnswerError(Unread.NOT_NAMED, "faults.database of the target file is not set")
        pods = self._seen(filter(_is_there, self._kube.list("Pod", database.namespace)["items"]))
        # A StatefulSet owns its pods itself, a Deployment through a ReplicaSet that is named after it.
        own = [one for one in pods if database.name in (one.owner.partition("/")[2], _maker(one.owner))]
        return DatabaseSeen(pods=tuple(own))

    def _read_scalers(self) -> ScalersSeen:
        name = self._target.cluster.deployment
        items = self._kube.list("HorizontalPodAutoscaler", self._namespace)["items"]
        return ScalersSeen(scalers=tuple(views.scaler_seen(one) for one in items if _scales(one, name)))

    def _read_budgets(self) -> BudgetsSeen:
        labels = self._labels()
        items = self._kube.list("PodDisruptionBudget", self._namespace)["items"]
        return BudgetsSeen(budgets=tuple(views.budget_seen(one) for one in items if _selects(one, "selector", labels)))

    def _try_evictions(self) -> EvictionsSeen:
        """A dry run of the eviction of each ready pod: what a drain would be told now. Nothing is evicted."""
        tries = []
        for item in self._pods:
            name, uid = str(item["metadata"]["name"]), str(item["metadata"].get("uid", ""))
            try:
                self._kube.evict(self._namespace, name, uid=uid, dry_run=True)
                status = 201
            except ApiError as error:
                if error.status in _MAY_NOT:
                    raise
                status = error.status
            tries.append(EvictionSeen(pod=name, status=status))
        return EvictionsSeen(tries=tuple(tries))

    def _read_policies(self) -> PoliciesSeen:
        labels = self._labels()
        items = self._kube.list("NetworkPolicy", self._namespace)["items"]
        own = [one for one in items if _selects(one, "podSelector", labels)]
        return PoliciesSeen(policies=tuple(views.policy_seen(one) for one in own))

    # -- Argo CD -----------------------------------------------------------------------------------------------------

    def _read_application(self) -> Any:
        return views.application_seen(self._argo.read())

    def _read_project(self) -> ProjectSeen:
        argocd = self._target.argocd
        item = self._argo.project(argocd.project)
        return views.project_seen(item, self._argo.read(), self._namespace)

    def _read_scan(self) -> ScanSeen:
        if not self._target.posture.scan_file:
            raise _NoAnswerError(Unread.NOT_NAMED, "posture.scan_file of the target file is not set")
        return read_scan(Path(self._target.posture.scan_file))

    def _try_registry(self) -> RegistrySeen:
        """Ask for the declared image's manifest as a node would, with the Secret's login and without. Pulls none."""
        secret = self._target.posture.pull_secret
        if not secret:
            raise _NoAnswerError(Unread.NOT_NAMED, "posture.pull_secret of the target file is not set")
        _, deployment = self._known()
        image = next((one.image for one in deployment.containers if one.name == deployment.app), "")
        registry, url = registry_of(image), self._target.pipeline.registry.url
        login = login_for(registry, self._kube.find("Secret", self._namespace, secret))
        nobody = RegistryAt(url) if is_registry_of(url, image) else RegistryAt.of(image)
        return RegistrySeen(
            image=image, registry=registry, secret=secret, login=login is not None,
            status=manifest_status(image, nobody._replace(login=login)) if login else 0,
            anonymous=manifest_status(image, nobody),
        )  # fmt: skip


def _cause(error: RollproofError) -> Unread:
    if isinstance(error, _NoAnswerError):
        return error.cause
    if isinstance(error, ApiError) and error.status in _MAY_NOT:
        return Unread.FORBIDDEN
    return Unread.ABSENT if isinstance(error, ApiError) and error.status == 404 else Unread.NO_ANSWER


def _is_there(pod: Object) -> bool:
    """A pod that is not leaving and has not ended."""
    seen = Outside.of(pod, "a pod")
    ended = seen.child("status").text("phase") in ENDED_PHASES
    return not ended and not seen.child("metadata").has("deletionTimestamp")


def _maker(owner: str) -> str:
    """The Deployment of a ReplicaSet, by the ReplicaSet's name."""
    kind, _, name = owner.partition("/")
    return name.rpartition("-")[0] if kind == "ReplicaSet" else ""


def _scales(item: Object, deployment: str) -> bool:
    wanted = Outside.of(item, "an autoscaler").child("spec").child("scaleTargetRef")
    return (wanted.text("kind"), wanted.text("name")) == ("Deployment", deployment)


def _selects(item: Object, field: str, labels: dict[str, str]) -> bool:
    spec = Outside.of(item, "a policy").child("spec")
    # policy/v1: a budget with an empty selector selects every pod, one without selects none
    return spec.value.get(field) is not None and selects(spec.child(field), labels)
