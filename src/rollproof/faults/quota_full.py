"""Quota full: a ResourceQuota that allows as many pods as there are, then a rollout restart, which can make none.

The pods that run must go on serving. Taking the quota away does not end its effect: the ReplicaSet controller waits
longer after each refusal, up to 16 min. So the undo also touches the newest ReplicaSet: it is looked at at once then.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rollproof.clients.kube import MERGE, STRATEGIC, ApiError, Kube, LostAnswerError, Object, UnreachableError
from rollproof.core.counts import many
from rollproof.core.injection import Injection, Skip
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Injected, LiveContext, Void
from rollproof.faults.created import Creates, create_owned, delete_ours
from rollproof.faults.deadman import OwnerJob
from rollproof.faults.leaving import deployment_of, ready_pods, serving, too_few, why_none
from rollproof.faults.sending import take_back
from rollproof.probes.views import PodView, ReplicaSetView
from rollproof.store.journal import Undone

__all__ = ["FAULT", "QuotaFull"]

_KIND, _QUOTA = "ResourceQuota", "rollproof-quota-full"
_REFUSED = "FailedCreate"  # the reason of a ReplicaSet's condition ReplicaFailure
_RESTARTED = "kubectl.kubernetes.io/restartedAt"  # what `kubectl rollout restart` sets in the pod template
_TOUCHED = "rollproof.io/quota-lifted"
_ANOTHER = (404, 409, 422)  # gone, or another uid: a patch may not change it
_TRIES = 5  # the admission may know the quota for some ms after its deletion, and refuse once more
_TRIED_S, _LOOK_S = 2.0, 0.2


class QuotaFull(Creates):
    """Its args: the quota with its `hard` number of pods, the Deployment with its uid and ReplicaSet, `members`."""

    name = "quota-full"
    affects_traffic = True
    starts_container = True
    peers = "none of Chaos Mesh, Litmus and Krkn; by hand, kubectl create quota"
    kinds = frozenset({_KIND})

    def permissions(self, target: Target) -> Iterable[Permission]:
        """On quotas and ReplicaSets of the app's namespace, and on the one Deployment; the Job's."""
        namespace, deployment = target.cluster.namespace, target.cluster.deployment
        yield from each_verb(
            "get list create delete", "resourcequotas", namespace, "to allow no pod more, and end that"
        )
        yield from each_verb("list", "pods", namespace, "to count the pods that there are")
        why = "a rollout restart"
        yield from each_verb("get patch", "deployments", namespace, why, group="apps", name=deployment)
        why = "to have the newest one looked at again, after the quota"
        yield from each_verb("list get patch", "replicasets", namespace, why, group="apps")
        yield from OwnerJob.permissions(namespace)

    def available(self, context: Context) -> Injection | Skip:
        """All pods of the Deployment, if its rollout makes a pod before it takes one away."""
        namespace, deployment = context.target.cluster.namespace, deployment_of(context)
        if reason := _takes_first(deployment):
            return context.skip(self, reason)
        try:
            there = [one["metadata"]["name"] for one in context.kube.list(_KIND, namespace)["items"]]
        except ApiError as error:
            if error.status != 404:
                raise
            return context.skip(self, "this API has no ResourceQuotas")
        if _QUOTA in there:
            return context.skip(
                self, f"{_KIND}/{namespace}/{_QUOTA} is there: `rollproof undo --all` ends what is left"
            )
        ready = ready_pods(context, deployment)
        if not ready:
            return context.skip(self, why_none(context))
        newest, hard = _newest(context.kube, namespace, deployment["metadata"]["uid"]), _pods(context.kube, namespace)
        args = {
            "kind": _KIND, "namespace": namespace, "name": _QUOTA, "hard": hard, "members": len(ready),
            "deployment": deployment["metadata"]["name"], "uid": deployment["metadata"]["uid"],
            "replicaset": newest["metadata"]["uid"] if newest else "",
            "restarted_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }  # fmt: skip
        hold_s = context.target.faults.hold_s
        return context.injection(
            self, f"{_KIND}/{namespace}/{_QUOTA}", args=args,
            change=f"created: no more than the {hard} pods that there are; then a rollout restart of "
            f"{args['deployment']}; for {hold_s:g} s after a pod was refused",
            undo="deleted, and the newest ReplicaSet touched, so that the restart goes on; it is not taken back",
            dead_man=f"{self.dead_man(args, context.target)}; the restart goes on up to 16 min later",
        )  # fmt: skip

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """As many pods as the plan counted, of the same ReplicaSet, and the Deployment's all serving."""
        args = injection.args
        newest, pods = live.watches.replicaset(args["uid"]), _pods(live.kube, args["namespace"])
        if newest is None or newest.uid != args["replicaset"]:
            return f"Deployment {args['deployment']} has another ReplicaSet now"
        if pods != args["hard"]:
            return f"{pods} pods are in the namespace, and the plan has counted {args['hard']}"
        return too_few(serving(live), args["members"])

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """The quota, then the restart. Where that is refused, the quota is taken away again."""
        args = injection.args
        made = create_owned(injection, live, "v1", {"hard": {"pods": str(args["hard"])}})
        if isinstance(made, Void):
            return made
        template = {"metadata": {"annotations": {_RESTARTED: args["restarted_at"]}}}
        body = {"metadata": {"uid": args["uid"]}, "spec": {"template": template}}
        try:
            live.kube.patch("Deployment", args["namespace"], args["deployment"], body, how=STRATEGIC)
        except UnreachableError as error:
            raise LostAnswerError(f"the quota was made, and the restart got no answer: {error}", error.hint) from None
        except ApiError as error:
            take_back(self.name, lambda: self.undo(live.kube, args))
            if error.status in _ANOTHER:
                return Void(f"Deployment {args['deployment']} with uid {args['uid']} was gone when it was to restart")
            raise
        return made

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | None:
        """The ReplicaSet of the restart says that it may not make a pod."""
        newest = self._of_restart(injection, live)
        if newest is None or newest.failure != _REFUSED:
            return None
        args = injection.args
        return Effect(f"the newest ReplicaSet of Deployment/{args['namespace']}/{args['deployment']} says {_REFUSED}")

    def observe(self, injection: Injection, live: LiveContext) -> Void | None:
        """It must go on saying so: one pod made under the quota was the place of another that has ended."""
        newest = self._of_restart(injection, live)
        if newest is not None and newest.replicas:
            return Void("a pod was made although the quota was full: another pod of the namespace has ended meanwhile")
        return None

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """The restart must have come to its end: every pod is a new one, serves, and no old one is left."""
        newest, serve = self._of_restart(injection, live), serving(live)
        if newest is None:
            return "the ReplicaSet of the restart is gone"
        new = {pod.uid for pod in live.watches.pods().values() if pod.template_hash == newest.template_hash}
        if reason := too_few(serve & new, injection.args["members"]):
            return f"{reason} of the restart" + (f"; its ReplicaSet says {newest.failure}" if newest.failure else "")
        old = sorted(name for name, pod in live.watches.pods().items() if pod.uid not in new)
        return f"still there: {', '.join(old)}" if old else ""

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Delete the quota, if it is ours and as we made it; then touch the ReplicaSet that it has kept waiting."""
        lifted = delete_ours(kube, args, lambda spec: dict(spec.child("hard").value) == {"pods": str(args["hard"])})
        if lifted.how == "left":
            return lifted
        return Undone("done") if _wake(kube, args) else lifted

    @staticmethod
    def _of_restart(injection: Injection, live: LiveContext) -> ReplicaSetView | None:
        """The newest ReplicaSet, if the restart has made it."""
        newest = live.watches.replicaset(injection.args["uid"])
        return newest if newest is not None and newest.uid != injection.args["replicaset"] else None


def _takes_first(deployment: Object) -> str:
    """Why a rollout goes on although no pod may be made: it takes some away first, which makes room. "" if not."""
    spec = Outside.of(deployment, "the Deployment").child("spec")
    strategy, replicas = spec.child("strategy"), spec.count("replicas", 1)
    if strategy.text("type") == "Recreate":
        return "its strategy is Recreate: a rollout takes all pods away first, and a full quota does not stop it"
    said = (strategy.value.get("rollingUpdate") or {}).get("maxUnavailable", "25%")
    share = str(said).removesuffix("%")
    if not share.isdecimal():
        strategy.child("rollingUpdate").refuse("maxUnavailable", "a number or a percentage")
    first = int(share) if share == str(said) else replicas * int(share) // 100
    if not first:
        return ""
    gone = many(first, "pod")
    return f"its rollout takes {gone} away first (maxUnavailable {said}), and that makes room in a full quota"


def _pods(kube: Kube, namespace: str) -> int:
    """How many pods a quota of that namespace counts: those that have ended do not count."""
    return sum(not PodView.of(one).ended for one in kube.list("Pod", namespace)["items"])


def _newest(kube: Kube, namespace: str, deployment_uid: str) -> Object | None:
    """The newest ReplicaSet of that Deployment, by its revision."""
    items = kube.list("ReplicaSet", namespace)["items"]
    owned = [one for one in items if ReplicaSetView.of(one).owner_uid == deployment_uid]
    return max(owned, key=lambda one: ReplicaSetView.of(one).revision, default=None)


def _wake(kube: Kube, args: Mapping[str, Any]) -> bool:
    """Touch the ReplicaSet of the restart, if it still has fewer pods than it should; whether it was touched.

    Once for each fault, whoever undoes it, and until it has made its pods: a try that is refused again makes it wait.
    """
    namespace, mark = args["namespace"], args["restarted_at"]
    touched = False
    for number in range(_TRIES):
        newest = _newest(kube, namespace, args["uid"])
        if newest is None or newest["metadata"]["uid"] == args["replicaset"] or not _waits(newest):
            return touched
        if not touched and (newest["metadata"].get("annotations") or {}).get(_TOUCHED, "").startswith(mark):
            return False
        body = {"metadata": {"uid": newest["metadata"]["uid"], "annotations": {_TOUCHED: f"{mark} {number}"}}}
        try:
            kube.patch("ReplicaSet", namespace, newest["metadata"]["name"], body, how=MERGE)
        except ApiError as error:
            if error.status not in _ANOTHER:
                raise
            continue
        touched = True
        until_s = time.monotonic() + _TRIED_S
        while time.monotonic() < until_s and _waits(kube.find("ReplicaSet", namespace, newest["metadata"]["name"])):
            time.sleep(_LOOK_S)
    return touched


def _waits(replicaset: Object | None) -> bool:
    """Whether it has fewer pods than it should."""
    if replicaset is None:
        return False
    whole = Outside.of(replicaset, "a ReplicaSet")
    return whole.child("status").count("replicas") < whole.child("spec").count("replicas", 1)


FAULT = QuotaFull()
