"""Secret missing: a throw-away copy of the Deployment asks for a Secret that is not there. Its pod cannot start.

The app's own pods are not touched: one of them would need its Secret's value for the undo, which nobody should have.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import Kube, Object
from rollproof.core.injection import Injection, Skip
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Injected, LiveContext, Void, Watching
from rollproof.faults.created import Creates, create_owned, delete_ours
from rollproof.faults.deadman import OwnerJob
from rollproof.faults.leaving import deployment_of, ready_pods, serving, too_few, why_none
from rollproof.probes.views import app_container
from rollproof.store.journal import Undone

__all__ = ["FAULT", "SecretMissing"]

_KIND, _COPY = "Deployment", "rollproof-secret-missing"
_LABEL = "rollproof.io/copy"  # no Service, budget or policy of the app chooses by it
_REFUSED = "CreateContainerConfigError"  # the kubelet's word for it
_NO_IMAGE = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
_OF_POD = (
    "serviceAccountName", "automountServiceAccountToken", "imagePullSecrets", "nodeSelector", "tolerations",
    "securityContext", "runtimeClassName", "priorityClassName",
)  # fmt: skip
_OF_CONTAINER = ("image", "imagePullPolicy", "env", "envFrom", "resources", "securityContext")


class SecretMissing(Creates):
    """Its args: the copy's kind, namespace and name, the name of the Secret that is missing, and `members`."""

    name = "secret-missing"
    affects_traffic = False
    peers = "none of Chaos Mesh, Litmus and Krkn"
    kinds = frozenset({_KIND})

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
        if context.kube.find(_KIND, namespace, _COPY) is not None:
            return context.skip(self, f"{_KIND}/{namespace}/{_COPY} is there: `rollproof undo --all` ends what is left")
        if not _app_container(context, deployment):
            return context.skip(self, "which container is the app's is not known: cluster.container names it")
        ready = ready_pods(context, deployment)
        if not ready:
            return context.skip(self, why_none(context))
        args = {
            "kind": _KIND, "namespace": namespace, "name": _COPY, "secret": f"{_COPY}-{uuid.uuid4().hex[:8]}",
            "members": len(ready),
        }  # fmt: skip
        hold_s = context.target.faults.hold_s
        return context.injection(
            self, f"{_KIND}/{namespace}/{_COPY}", args=args,
            change=f"created: one pod of the app's image, asking for a Secret that is not there, for {hold_s:g} s "
            "after that was said", undo="deleted", dead_man=str(self.dead_man(args, context.target)),
        )  # fmt: skip

    def watched(self, injection: Injection) -> Iterable[Watching]:
        """The copy's pod."""
        return (Watching(injection.args["namespace"], f"{_LABEL}={_COPY}"),)

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """All pods of the app must serve, and none of an earlier copy be left."""
        if left := self._of_copy(injection, live):
            return f"pod {min(left)} of an earlier copy is still there"
        return too_few(serving(live), injection.args["members"])

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One creation."""
        deployment = deployment_of(live)
        container = _app_container(live, deployment)
        if not container:
            return Void("the app's container is not in the Deployment any more")
        return create_owned(injection, live, "apps/v1", _spec(deployment, container, injection.args["secret"]))

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """The copy's pod says CreateContainerConfigError. Where its image cannot be had it never comes so far."""
        for name, pod in self._of_copy(injection, live).items():
            if pod.reason == _REFUSED:
                return Effect(f"Pod/{injection.args['namespace']}/{name} says {_REFUSED}", (pod.uid,))
            if pod.reason in _NO_IMAGE:
                return Void(
                    f"pod {name} of the copy says {pod.reason}: its image cannot be had, the Secret is not asked for"
                )
        return None

    def observe(self, injection: Injection, live: LiveContext) -> Void | None:
        """It must go on saying so."""
        pods = self._of_copy(injection, live)
        if started := [name for name, pod in pods.items() if pod.ready or pod.reason != _REFUSED]:
            return Void(f"pod {min(started)} of the copy did not go on saying {_REFUSED}")
        return None if pods else Void("the copy's pod is gone: somebody else has deleted it")

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """Nothing of the copy is left, and the app's pods serve as before."""
        if left := self._of_copy(injection, live):
            return f"pod {min(left)} of the copy is still there"
        return too_few(serving(live), injection.args["members"])

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Delete the copy, if it is ours and still asks for our Secret."""

        def is_as_made(spec: Outside) -> bool:
            containers = spec.child("template").child("spec").objects("containers")
            asked = [one.child("secretRef").text("name") for each in containers for one in each.objects("envFrom")]
            return args["secret"] in asked

        return delete_ours(kube, args, is_as_made)

    @staticmethod
    def _of_copy(injection: Injection, live: LiveContext) -> Mapping[str, Any]:
        """The copy's pods, by name."""
        return live.watches.beside(injection.args["namespace"])


def _app_container(context: Context, deployment: Object) -> dict[str, Any]:
    spec = Outside.of(deployment, "the Deployment").child("spec").child("template").child("spec")
    return dict(app_container(spec, context.target.cluster.container, context.target.env_repo.image).value)


def _spec(deployment: Object, container: Mapping[str, Any], secret: str) -> dict[str, Any]:
    """One pod with labels of its own. Should it start after all, it runs a command that ends, and never the app.

    No init container, no sidecar, no volume: they would do their work before the Secret is asked for.
    """
    pod = deployment["spec"]["template"]["spec"]
    labels = {_LABEL: _COPY}
    app = {key: container[key] for key in _OF_CONTAINER if key in container}
    app |= {"name": "copy", "command": ["false"], "envFrom": [*app.get("envFrom", ()), {"secretRef": {"name": secret}}]}
    return {
        "replicas": 1, "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                **{key: pod[key] for key in _OF_POD if key in pod}, "containers": [app], "enableServiceLinks": False,
                "terminationGracePeriodSeconds": 1,
            },
        },
    }  # fmt: skip


FAULT = SecretMissing()
