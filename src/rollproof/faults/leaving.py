"""Leaving: what is common to the faults that make ready pods of the Deployment leave, whatever the request is.

Which pods serve · are those of the plan still there · are they leaving · has somebody taken their place.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from rollproof.clients.kube import ApiError, Object
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Fault, Injected, LiveContext, Void
from rollproof.probes.members import Members
from rollproof.probes.views import PodView, those_that_serve

__all__ = [
    "DeletesOnePod", "PodsLeave", "delete_pods", "deployment_of", "not_serving", "pods_args", "serving",
    "takeable_pods", "too_few",
]  # fmt: skip

_GONE = (404, 409)  # there is no such pod, or its name belongs to another uid


class PodsLeave(Fault, ABC):
    """A fault that makes pods leave. Its args: {"kind", "namespace", "pods": {name: uid}, "members": who serves}."""

    affects_traffic = True
    starts_container = True
    kinds = frozenset({"Pod"})

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """The pods of the plan, and no others, must be there and serve, with all their fellows."""
        return not_serving(injection.args, live)

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | None:
        """All are terminating, or gone; they were there when the plan was looked at again."""
        pods, wanted = live.watches.pods(), injection.args["pods"]
        there = {name: pods[name] for name, uid in wanted.items() if name in pods and pods[name].uid == uid}
        if not all(pod.terminating for pod in there.values()):
            return None
        verb = "is" if len(wanted) == 1 else "are"
        how = "terminating" if len(there) == len(wanted) else "gone" if not there else "terminating or gone"
        who = ", ".join(f"Pod/{injection.args['namespace']}/{name}" for name in wanted)
        return Effect(f"{who} {verb} {how}", tuple(wanted.values()))

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """As many others as before must serve, and the old pods be gone: until then they can still lose requests."""
        old, wanted = set(injection.args["pods"].values()), injection.args["members"]
        serve = serving(live) - old
        if reason := too_few(serve, wanted):
            return reason
        leaving = sorted(name for name, pod in live.watches.pods().items() if pod.uid in old)
        return f"still terminating: {', '.join(leaving)}" if leaving else ""


class DeletesOnePod(PodsLeave, ABC):
    """Deletes the first ready pod by name, by uid, so that a repeated request cannot meet the pod's replacement.

    how: the deletion in the plan's words. why: of the permission. grace_s: None is the pod's own grace period.
    """

    how: ClassVar[str]
    why: ClassVar[str]
    grace_s: ClassVar[int | None] = None

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look at pods is every run's."""
        return each_verb("delete", "pods", target.cluster.namespace, self.why)

    def available(self, context: Context) -> Injection | Skip:
        """The first ready pod of the Deployment, by name."""
        ready, reason = takeable_pods(context, deployment_of(context))
        if reason:
            return context.skip(self, reason)
        namespace = context.target.cluster.namespace
        name, pod = next(iter(ready.items()))
        return context.injection(
            self, f"Pod/{namespace}/{name}", args=pods_args(namespace, {name: pod}, len(ready)),
            change=f"{self.how} (uid {pod.uid}), 1 of {len(ready)}",
            undo="none needed: its ReplicaSet makes another one",
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One DELETE with the uid as its precondition."""
        return delete_pods(injection, live, grace_s=self.grace_s)


def pods_args(namespace: str, pods: Mapping[str, PodView], members: int) -> dict[str, Any]:
    """The args of a fault that makes these pods leave."""
    return {
        "kind": "Pod", "namespace": namespace, "pods": {name: pod.uid for name, pod in pods.items()}, "members": members
    }  # fmt: skip


def deployment_of(context: Context) -> Object:
    """The target's Deployment, as it is now."""
    cluster = context.target.cluster
    return context.kube.get("Deployment", cluster.namespace, cluster.deployment)


def no_spare(context: Context, deployment: Object) -> str:
    """Why no pod may leave: nobody else would answer, and that is not allowed. "" if it may."""
    replicas = deployment["spec"].get("replicas", 1)
    if replicas >= 2 or context.target.traffic.downtime_budget_ms:
        return ""
    who = f"Deployment {context.target.cluster.deployment} has {replicas} replica"
    return f"{who}: nobody would answer until the next is ready, and traffic.downtime_budget_ms allows no outage"


def ready_pods(context: Context, deployment: Object) -> Mapping[str, PodView]:
    """The Deployment's pods that serve now, by name, in the order of their names.

    Only those that a ReplicaSet of the Deployment owns: nobody would replace another, and a StatefulSet's name comes
    back with another pod.
    """
    cluster = context.target.cluster
    service = context.kube.find("Service", cluster.namespace, cluster.service) or {}
    members = Members(
        context.kube, cluster.namespace, deployment, service, cluster.container, context.target.env_repo.image
    )
    listed = context.kube.list("Pod", cluster.namespace, labels=members.labels)
    pods = {item["metadata"]["name"]: members.pod(item) for item in listed["items"]}
    chosen = {name: pod for name, pod in pods.items() if pod.member and pod.in_service}
    return those_that_serve(chosen, {pod.ip for pod in chosen.values()})  # nobody watches the endpoints yet


def takeable_pods(context: Context, deployment: Object) -> tuple[Mapping[str, PodView], str]:
    """The ready pods of which some may be taken, by name, and ""; else none, and why not."""
    if reason := no_spare(context, deployment):
        return {}, reason
    ready = ready_pods(context, deployment)
    return ready, "" if ready else why_none(context)


def not_serving(args: Mapping[str, Any], live: LiveContext) -> str:
    """Which of a plan's pods is not there or does not serve, or how many of their fellows are missing; "" if all do."""
    pods, serve = live.watches.pods(), serving(live)
    for name, uid in args["pods"].items():
        if name not in pods or pods[name].uid != uid:
            return f"pod {name} with uid {uid} is gone"
        if uid not in serve:
            return f"pod {name} is not ready, or not in the Service"
    return too_few(serve, args["members"])


def too_few(serve: frozenset[str], members: int) -> str:
    """How many of these many pods serve, where it is not all of them; "" if it is."""
    return f"{len(serve)} of {members} pods serve" if len(serve) < members else ""


def why_none(context: Context) -> str:
    """Where `ready_pods` has found none."""
    return (
        f"no ready pod of Deployment {context.target.cluster.deployment} has a ReplicaSet that would replace it; "
        "pods of a StatefulSet or of nobody are not touched"
    )


def serving(live: LiveContext) -> frozenset[str]:
    """The uids of the Deployment's pods that serve."""
    return frozenset(pod.uid for pod in live.watches.serving().values())


def delete_pods(injection: Injection, live: LiveContext, *, grace_s: int | None = None) -> Injected | Void:
    """One DELETE a pod, with its uid as precondition; grace_s: None is the pod's own grace period."""
    args = injection.args
    done: dict[str, str] = {}  # uid -> resourceVersion
    for name, uid in args["pods"].items():
        try:
            reply = live.kube.delete("Pod", args["namespace"], name, uid=uid, grace_s=grace_s)
        except ApiError as error:
            if error.status not in _GONE:
                raise
            continue
        done[uid] = str((reply.get("metadata") or {}).get("resourceVersion", ""))
    if not done:
        gone = ", ".join(f"{name} with uid {uid}" for name, uid in args["pods"].items())
        return Void(f"pod {gone} was gone when it was to be deleted")
    return Injected({"uid": ", ".join(done), "resource_version": ", ".join(done.values())})
