"""Pod delete: one ready pod of the Deployment is deleted gracefully, as a node drain or a person would.

Planned operation: the ReplicaSet makes another pod at once, and no request may be lost while the old one leaves.
"""

from __future__ import annotations

from collections.abc import Iterable

from rollproof.clients.kube import ApiError
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Fault, Injected, LiveContext, Void
from rollproof.probes.members import Members
from rollproof.probes.views import PodView

__all__ = ["FAULT", "PodDelete"]


class PodDelete(Fault):
    """Deletes by uid, so that a repeated request cannot meet the pod's replacement; with the pod's own grace period."""

    name = "pod-delete"
    affects_traffic = True
    peers = "Chaos Mesh pod-kill (grace 0 by default), Litmus pod-delete, Krkn pod scenarios, chaosk8s terminate_pods"
    kinds = frozenset({"Pod"})

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look at pods is every run's."""
        return each_verb("delete", "pods", target.cluster.namespace, "to delete one pod")

    def available(self, context: Context) -> Injection | Skip:
        """The first ready pod of the Deployment, by name."""
        cluster = context.target.cluster
        deployment = context.kube.get("Deployment", cluster.namespace, cluster.deployment)
        replicas = deployment["spec"].get("replicas", 1)
        if replicas < 2 and not context.target.traffic.downtime_budget_ms:
            reason = (
                f"Deployment {cluster.deployment} has {replicas} replica: nobody would answer until the next is ready"
            )
            return context.skip(self, f"{reason}, and traffic.downtime_budget_ms allows no outage")
        service = context.kube.find("Service", cluster.namespace, cluster.service) or {}
        members = Members(
            context.kube, cluster.namespace, deployment, service, cluster.container, context.target.env_repo.image
        )
        listed = context.kube.list("Pod", cluster.namespace, labels=members.labels)
        pods = {item["metadata"]["name"]: members.pod(item) for item in listed["items"]}
        ready = {name: pod for name, pod in sorted(pods.items()) if pod.member and _serves(pod)}
        if not ready:
            return context.skip(
                self, f"no ready pod of Deployment {cluster.deployment} has a ReplicaSet that would replace it"
            )
        name, pod = next(iter(ready.items()))
        args = {"kind": "Pod", "namespace": cluster.namespace, "name": name, "uid": pod.uid, "members": len(ready)}
        return context.injection(
            self, f"Pod/{cluster.namespace}/{name}", args=args,
            change=f"deleted gracefully (uid {pod.uid}), 1 of {len(ready)}",
            undo="none needed: its ReplicaSet makes another one",
        )  # fmt: skip

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """The pod of the plan, and no other, must be there and serve, with all its fellows."""
        args, pods = injection.args, live.watches.pods()
        pod = pods.get(args["name"])
        if pod is None or pod.uid != args["uid"]:
            return f"pod {args['name']} with uid {args['uid']} is gone"
        serving = self._serving(live)
        if args["uid"] not in serving:
            return f"pod {args['name']} is not ready, or not in the Service"
        if len(serving) < args["members"]:
            return f"{len(serving)} of {args['members']} pods serve"
        return ""

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One DELETE with the uid as its precondition."""
        args = injection.args
        try:
            reply = live.kube.delete("Pod", args["namespace"], args["name"], uid=args["uid"])
        except ApiError as error:
            if error.status in (404, 409):
                return Void(f"pod {args['name']} with uid {args['uid']} was gone when it was to be deleted")
            raise
        version = str((reply.get("metadata") or {}).get("resourceVersion", ""))
        return Injected({"uid": args["uid"], "resource_version": version})

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | None:
        """It is terminating, or gone; it was there when the plan was looked at again."""
        args = injection.args
        pod = live.watches.pods().get(args["name"])
        if pod is None or pod.uid != args["uid"]:
            return Effect(f"{injection.subject} is gone", (args["uid"],))
        return Effect(f"{injection.subject} is terminating", (args["uid"],)) if pod.terminating else None

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """As many others as before must serve, and the old pod must be gone: until then it can still lose requests."""
        uid, wanted = injection.args["uid"], injection.args["members"]
        serving = self._serving(live) - {uid}
        if len(serving) < wanted:
            return f"{len(serving)} of {wanted} pods serve"
        leaving = any(pod.uid == uid for pod in live.watches.pods().values())
        return f"{injection.subject} is still terminating" if leaving else ""

    @staticmethod
    def _serving(live: LiveContext) -> frozenset[str]:
        """The uids of the Deployment's pods that are ready and have an address among the Service's endpoints."""
        addresses = live.watches.endpoints()
        return frozenset(pod.uid for pod in live.watches.pods().values() if _serves(pod) and pod.ip in addresses)


def _serves(pod: PodView) -> bool:
    return pod.ready and not pod.terminating and not pod.ended and bool(pod.in_service)


FAULT = PodDelete()
