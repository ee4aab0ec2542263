"""Replaced pod: what the faults have in common that delete one pod beside the app's, whose controller makes another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from rollproof.clients.kube import ApiError, Kube
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Fault, Injected, LiveContext, Void, Watching
from rollproof.probes.views import PodView

__all__ = ["ReplacedPod"]


class ReplacedPod(Fault):
    """Deletes by uid, with the pod's own grace period. A StatefulSet's new pod has the old one's name: uids tell."""

    kinds = frozenset({"Pod"})
    in_argocd = False  # whether the pod is where Argo CD lives, which may be another cluster

    @abstractmethod
    def place(self, target: Target) -> tuple[str, str]:
        """The namespace and the labels of its pods; an empty namespace if the target file does not say."""

    def why_not(self, context: Context) -> str:  # noqa: ARG002 - of most of them nothing
        """Why this target cannot have it although such a pod may be there; "" if it can."""
        return ""

    @abstractmethod
    def broken(self, injection: Injection, live: LiveContext, newest: PodView) -> str:
        """What does not work although the new pods are ready, the newest of them is given; "" if all does."""

    def more(self, target: Target) -> str:  # noqa: ARG002 - of most of them nothing
        """What a person should know of this injection beside the object, for the plan; "" for nothing."""
        return ""

    def permissions(self, target: Target) -> Iterable[Permission]:
        """On the pods of that namespace."""
        namespace, _ = self.place(target)
        if not namespace:
            return
        yield from each_verb("list watch", "pods", namespace, "to see the pod and the next one", argocd=self.in_argocd)
        yield from each_verb("delete", "pods", namespace, f"fault {self.name}", argocd=self.in_argocd)

    def available(self, context: Context) -> Injection | Skip:
        """The first ready pod by name that a controller would replace."""
        namespace, labels = self.place(context.target)
        if why := self.why_not(context):
            return context.skip(self, why)
        listed = self._kube(context).list("Pod", namespace, labels=labels)["items"]
        views = {str(item["metadata"]["name"]): PodView.of(item) for item in listed}
        ready = {name: pod for name, pod in sorted(views.items()) if pod.serves and pod.owner}
        if not ready:
            why = f"no ready pod with the labels {labels} in namespace {namespace} has a controller to replace it"
            return context.skip(self, why)
        name, pod = next(iter(ready.items()))
        args = {"kind": "Pod", "namespace": namespace, "name": name, "uid": pod.uid, "ready": len(ready)}
        args["labels"] = labels
        return context.injection(
            self, f"Pod/{namespace}/{name}", args=args,
            change=f"deleted gracefully (uid {pod.uid}), 1 of {len(ready)}{self.more(context.target)}",
            undo=f"none needed: its {pod.owner.partition('/')[0]} makes another one",
        )  # fmt: skip

    def watched(self, injection: Injection) -> Iterable[Watching]:
        """The pods of its place."""
        return (Watching(injection.args["namespace"], injection.args["labels"], self.in_argocd),)

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """The pod of the plan must be there and ready, with all its fellows."""
        args = injection.args
        ready = self._ready(injection, live)
        if args["uid"] not in {pod.uid for pod in ready}:
            return f"pod {args['name']} with uid {args['uid']} is gone, or not ready"
        return f"{len(ready)} of {args['ready']} pods are ready" if len(ready) < args["ready"] else ""

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One DELETE with the uid as its precondition."""
        args = injection.args
        try:
            reply = self._kube(live).delete("Pod", args["namespace"], args["name"], uid=args["uid"])
        except ApiError as error:
            if error.status in (404, 409):
                return Void(f"pod {args['name']} with uid {args['uid']} was gone when it was to be deleted")
            raise
        version = str((reply.get("metadata") or {}).get("resourceVersion", ""))
        return Injected({"uid": args["uid"], "resource_version": version})

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | None:
        """It is terminating, or gone."""
        args = injection.args
        pods = {pod.uid: pod for pod in live.watches.beside(args["namespace"]).values()}
        if args["uid"] not in pods:
            return Effect(f"{injection.subject} is gone", (args["uid"],))
        return Effect(f"{injection.subject} is terminating", (args["uid"],)) if pods[args["uid"]].terminating else None

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """As many others as before must be ready, the old one gone, and what they are there for must work."""
        args = injection.args
        pods = live.watches.beside(args["namespace"]).values()
        ready = [pod for pod in self._ready(injection, live) if pod.uid != args["uid"]]
        if len(ready) < args["ready"]:
            return f"{len(ready)} of {args['ready']} pods are ready"
        if any(pod.uid == args["uid"] for pod in pods):
            return f"{injection.subject} is still terminating"
        return self.broken(injection, live, max(ready, key=lambda pod: pod.ready_since))

    def _kube(self, context: Context) -> Kube:
        return context.argo.kube if self.in_argocd else context.kube

    @staticmethod
    def _ready(injection: Injection, live: LiveContext) -> list[PodView]:
        return [pod for pod in live.watches.beside(injection.args["namespace"]).values() if pod.serves]
