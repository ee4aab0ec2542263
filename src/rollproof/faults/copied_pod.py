"""Copied pod: what the faults have in common that start a throw-away copy of the app's pod, which cannot start.

The app's own pods are not touched. The copy has labels of its own, no init container, sidecar or volume, and a command
that ends at once: should it start after all, the app does not run a second time.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.core.injection import Injection, Skip
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Injected, LiveContext, Void, Watching
from rollproof.faults.created import Creates, create_owned, delete_ours
from rollproof.faults.deadman import OwnerJob
from rollproof.faults.leaving import deployment_of, ready_pods, serving, too_few, why_none
from rollproof.faults.sending import take_back
from rollproof.probes.views import PodView, app_container
from rollproof.store.journal import Undone

__all__ = ["COPY_LABEL", "NO_IMAGE", "CopiesPod", "copy_spec"]

COPY_LABEL = "rollproof.io/copy"  # no Service, budget or policy of the app chooses by it
NO_IMAGE = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
_KIND = "Deployment"
_OF_POD = (
    "serviceAccountName", "automountServiceAccountToken", "imagePullSecrets", "nodeSelector", "tolerations",
    "securityContext", "runtimeClassName", "priorityClassName",
)  # fmt: skip
_OF_CONTAINER = ("image", "imagePullPolicy", "env", "envFrom", "resources", "securityContext")


class CopiesPod(Creates, ABC):
    """Its args: the copy's kind, namespace and name, the name of the `secret` that is not there, and `members`."""

    affects_traffic = False
    kinds = frozenset({_KIND})
    copy: ClassVar[str]  # the name of the Deployment, which is its pods' label too

    @abstractmethod
    def change(self, target: Target) -> str:
        """What is created, in words."""

    @abstractmethod
    def copies(self, deployment: Object, container: Mapping[str, Any], secret: str) -> Mapping[str, Object]:
        """What is created: the specifications by the Deployments' names; `copy` is the last."""

    @abstractmethod
    def is_as_made(self, pod: Outside, args: Mapping[str, Any]) -> bool:
        """Whether the specification of a pod is still as we made it."""

    def cannot(self, deployment: Object) -> str:
        """Why this app gives no such copy; "" if it does."""
        del deployment
        return ""

    def permissions(self, target: Target) -> Iterable[Permission]:
        """On Deployments of the app's namespace, none on Secrets; the Job's."""
        namespace = target.cluster.namespace
        why = "a throw-away copy of the Deployment"
        yield from each_verb("get create delete", "deployments", namespace, why, group="apps")
        yield from each_verb("list watch", "pods", namespace, "to see what is said of the copy's pod")
        yield from OwnerJob.permissions(namespace)

    def available(self, context: Context) -> Injection | Skip:
        """The app's container as it is declared now, without what comes before or beside it."""
        namespace, deployment = context.target.cluster.namespace, deployment_of(context)
        container = _app_container(context, deployment)
        if not container:
            return context.skip(self, "which container is the app's is not known: cluster.container names it")
        secret = f"{self.copy}-{uuid.uuid4().hex[:8]}"
        names = tuple(self.copies(deployment, container, secret))
        for name in names:
            if context.kube.find(_KIND, namespace, name) is not None:
                there = f"{_KIND}/{namespace}/{name} is there"
                return context.skip(self, f"{there}: `rollproof undo --all` ends what is left")
        if reason := self.cannot(deployment):
            return context.skip(self, reason)
        ready = ready_pods(context, deployment)
        if not ready:
            return context.skip(self, why_none(context))
        args = {
            "kind": _KIND, "namespace": namespace, "name": self.copy, "names": list(names), "secret": secret,
            "members": len(ready),
        }  # fmt: skip
        return context.injection(
            self, f"{_KIND}/{namespace}/{self.copy}", args=args, change=self.change(context.target), undo="deleted",
            dead_man=str(self.dead_man(args, context.target)),
        )  # fmt: skip

    def watched(self, injection: Injection) -> Iterable[Watching]:
        """The copies' pods."""
        return (Watching(injection.args["namespace"], f"{COPY_LABEL}={self.copy}"),)

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """All pods of the app must serve, and none of an earlier copy be left."""
        if left := self.of_copy(injection, live):
            return f"pod {min(left)} of an earlier copy is still there"
        return too_few(serving(live), injection.args["members"])

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One creation for each; of several, those that were made go again if one cannot be."""
        deployment, args = deployment_of(live), injection.args
        container = _app_container(live, deployment)
        if not container:
            return Void("the app's container is not in the Deployment any more")
        made: list[Injected] = []
        for name, spec in self.copies(deployment, container, args["secret"]).items():
            try:
                said = create_owned(injection, live, "apps/v1", spec, name=name)
            except ApiError:
                self._take_back(live.kube, args, len(made))
                raise
            if isinstance(said, Void):
                self._take_back(live.kube, args, len(made))
                return said
            made.append(said)
        return made[-1]

    def _take_back(self, kube: Kube, args: Mapping[str, Any], count: int) -> None:
        if count:
            take_back(self.name, lambda: self.undo(kube, {**args, "names": args["names"][:count]}))

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """Nothing of the copy is left, and the app's pods serve as before."""
        if left := self.of_copy(injection, live):
            return f"pod {min(left)} of the copy is still there"
        return too_few(serving(live), injection.args["members"])

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Delete what was created, if it is ours and still as we made it; the answer is the worst of them."""

        def is_as_made(spec: Outside) -> bool:
            return self.is_as_made(spec.child("template").child("spec"), args)

        names = args.get("names") or [args["name"]]  # only the one in journals of before 2026-11-29
        ended = [delete_ours(kube, {**args, "name": name}, is_as_made) for name in names]
        return min(ended, key=lambda one: ("left", "done", "not-needed").index(one.how))

    @staticmethod
    def of_copy(injection: Injection, live: LiveContext) -> Mapping[str, PodView]:
        """The copies' pods, by name."""
        return live.watches.beside(injection.args["namespace"])


def _app_container(context: Context, deployment: Object) -> dict[str, Any]:
    spec = Outside.of(deployment, "the Deployment").child("spec").child("template").child("spec")
    return dict(app_container(spec, context.target.cluster.container, context.target.env_repo.image).value)


def copy_spec(
    name: str, deployment: Object, container: Mapping[str, Any], *, labels: Mapping[str, str] | None = None,
    **pod: Any,
) -> Object:  # fmt: skip
    """Of a Deployment of one pod: `container` as it is declared but for its command; `pod` are fields of the pod."""
    declared = deployment["spec"]["template"]["spec"]
    of_pods = {COPY_LABEL: name, **(labels or {})}
    app = {key: container[key] for key in _OF_CONTAINER if key in container}
    return {
        "replicas": 1, "selector": {"matchLabels": of_pods},
        "template": {
            "metadata": {"labels": of_pods},
            "spec": {
                **{key: declared[key] for key in _OF_POD if key in declared},
                "containers": [{**app, "name": "copy", "command": ["false"]}], "enableServiceLinks": False,
                "terminationGracePeriodSeconds": 1, **pod,
            },
        },
    }  # fmt: skip
