"""Database away: what is common to the faults that take the app's database away and give it back.

Nothing of the app is touched. Each of its pods should say honestly that its database is away, stay alive, and come
back by itself. It is asked by itself, for with no pod ready the entry answers for the whole app.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rollproof.clients.kube import Kube, Object
from rollproof.core.event import Outcome
from rollproof.core.injection import Injection, Skip
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Database
from rollproof.faults.base import Context, Effect, Fault, LiveContext
from rollproof.faults.scaling import RESOURCES
from rollproof.probes.views import PodView, app_container, label_selector

__all__ = [
    "RESOURCES", "UNKNOWN_OTHERS", "DatabaseAway", "DatabasePod", "any_ready", "app_members", "database_of", "only_pod",
    "pod_permissions", "probed_within_s", "workload_args",
]  # fmt: skip


UNKNOWN_OTHERS = "which Deployments these are cannot be known from here"


@dataclass(frozen=True, slots=True)
class DatabasePod:
    """The one pod of the database. container: the database's in it. labels: of its workload's pods, as a selector."""

    name: str
    uid: str
    node: str
    ip: str
    container: str
    labels: str


class DatabaseAway(Fault, ABC):
    """A fault of the database. Its args hold at least "members": how many pods the app has."""

    affects_traffic = True
    held = True
    outage_by_design = True
    others = f"loses it too for as long as that lasts, and has to come back by itself; {UNKNOWN_OTHERS}"
    silent = False  # whether the app is given no answer at all, so that it may be unable to say anything

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """All pods of the app must serve, and each must say that its database answers."""
        return self.unwell(injection, live)

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | None:  # noqa: ARG002 - whoever says so
        """A pod says that its database is away; of one that is silent it may only have gone unready."""
        pods, app = live.watches.pods(), live.target.app
        said = live.app.ask_pods((name for name, pod in pods.items() if not pod.terminating), live.sha)
        away = [name for name, outcome in said.items() if outcome is Outcome.FAIL]
        now = live.watches.pods()  # to be given no answer takes its time
        unready = [name for name, outcome in said.items() if outcome is Outcome.UNKNOWN and not _ready(now.get(name))]
        felt, words = away, f"says at {app.ready_path} that its database is away"
        if self.silent and not away:
            felt, words = unready, f"is not ready any more, and does not answer at {app.ready_path}"
        if not felt:
            return None
        who = f"Pod/{live.target.cluster.namespace}/{felt[0]}"
        return Effect(f"{who} {words}", tuple(pods[name].uid for name in felt))

    def observe(self, injection: Injection, live: LiveContext) -> None:  # noqa: ARG002 - all pods, whatever is planned
        """Each pod's version and what it says of its database."""
        live.app.ask_pods((name for name, pod in live.watches.pods().items() if not pod.terminating), live.sha)

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """Each pod serves and says that its database answers, and so does the entry."""
        if unwell := self.unwell(injection, live):
            return unwell
        app = live.target.app
        return "" if live.app.ask_entry(live.sha) else f"{app.base_url}{app.ready_path} does not say so yet"

    @staticmethod
    def unwell(injection: Injection, live: LiveContext) -> str:
        """What is not as it should be about the app's pods, asked of the watches first; "" if all is well."""
        serving, wanted = live.watches.serving(), injection.args["members"]
        if len(serving) < wanted:
            return f"{len(serving)} of {wanted} pods serve"
        said = live.app.ask_pods(serving, live.sha)
        wrong = [name for name in serving if said.get(name) is not Outcome.OK]
        return f"{wrong[0]} does not say at {live.target.app.ready_path} that its database answers" if wrong else ""


def _ready(pod: PodView | None) -> bool:
    return pod is not None and pod.ready


def database_of(fault: Fault, context: Context) -> Database | Skip:
    """What the target file says of the database."""
    database = context.target.faults.database
    return database or context.skip(fault, "the target file does not say what the database is: [faults.database]")


def probed_within_s(context: Context) -> float:
    """How long the kubelet takes, by the app's own probe, to call a pod unready that gives no answer."""
    cluster = context.target.cluster
    template = Outside.of(_deployment(context), "the Deployment").child("spec").child("template").child("spec")
    probe = app_container(template, cluster.container, context.target.env_repo.image).child("readinessProbe")
    period_s, failures = probe.count("periodSeconds", 10), probe.count("failureThreshold", 3)
    return float(period_s * failures + probe.count("timeoutSeconds", 1))


def workload_args(database: Database) -> dict[str, str]:
    """The database's workload, as the args of an injection name it."""
    return {"kind": database.kind, "namespace": database.namespace, "name": database.name}


def app_members(context: Context) -> int:
    """How many pods the app should have."""
    return Outside.of(_deployment(context), "the Deployment").child("spec").count("replicas", 1)


def _deployment(context: Context) -> Object:
    cluster = context.target.cluster
    return context.kube.get("Deployment", cluster.namespace, cluster.deployment)


def pod_permissions(database: Database, verbs: str) -> Iterator[Permission]:
    """To find the database's pod; verbs: what is asked of pods."""
    why, namespace = "to find the database's pod", database.namespace
    yield from each_verb("get", RESOURCES[database.kind], namespace, why, group="apps", name=database.name)
    yield from each_verb(verbs, "pods", namespace, why)


def only_pod(kube: Kube, args: Mapping[str, str]) -> DatabasePod | str:
    """The only pod of the database's workload, if it is ready; else why there is none.

    args: "kind", "namespace" and "name" of the workload, and "container", which may be empty.
    """
    who = f"{args['kind']}/{args['namespace']}/{args['name']}"
    workload = kube.find(args["kind"], args["namespace"], args["name"])
    if workload is None:
        return f"there is no {who}: see [faults.database]"
    labels = label_selector(workload)
    ready = _ready_of(kube, args["namespace"], labels)
    if len(ready) != 1:
        return f"{who} has {len(ready)} ready pods, expected one: which of several holds the data is not known"
    ((name, found),) = ready.items()
    container = args["container"] or _only_container(found)
    if not container:
        return f"faults.database.container must say which container of {who} is the database"
    view = PodView.of(found)
    return DatabasePod(name, view.uid, view.node, view.ip, container, labels)


def any_ready(kube: Kube, database: Database) -> bool:
    """Whether a pod of the database's workload is ready, and stays."""
    workload = kube.find(database.kind, database.namespace, database.name)
    return workload is not None and bool(_ready_of(kube, database.namespace, label_selector(workload)))


def _ready_of(kube: Kube, namespace: str, labels: str) -> dict[str, Object]:
    """The pods with these labels that are ready and were not told to end, by name."""
    listed = kube.list("Pod", namespace, labels=labels)["items"]
    views = {str(item["metadata"]["name"]): (PodView.of(item), item) for item in listed}
    return {name: item for name, (view, item) in views.items() if view.ready and not view.terminating}


def _only_container(pod: Object) -> str:
    containers = Outside.of(pod, "a pod of the database").child("spec").objects("containers")
    return containers[0].text("name") if len(containers) == 1 else ""
