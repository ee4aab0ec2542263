"""Metrics away: the server of the metrics API is scaled to 0, so that no autoscaler sees what pods use, and back again.

All of the cluster feels it. So it is done only where the target file opens that server's namespace by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rollproof.clients.kube import Kube
from rollproof.core.blast import Blast
from rollproof.core.injection import Injection, Skip
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.scaling import METRICS_S, SYNC_S
from rollproof.core.target import Target, Workload
from rollproof.errors import InputError
from rollproof.faults.base import Context, Effect, Fault, Injected, LiveContext, Void, Watching
from rollproof.faults.deadman import NO_IMAGE, ActingJob
from rollproof.faults.delivery import asked_within_s, look_at_git
from rollproof.faults.scaling import RESOURCES, find_scale, replicas_of, scale_back, scale_dead_man, scale_to_zero
from rollproof.probes.autoscaler import autoscaler_of, missing, other_metrics
from rollproof.probes.views import AutoscalerView, PodView
from rollproof.store.journal import Undone

__all__ = ["FAULT", "MetricsAway"]

_APISERVICE = "v1beta1.metrics.k8s.io"
_PLACE = f"/apis/apiregistration.k8s.io/v1/apiservices/{_APISERVICE}"
_UNREAD = frozenset({"FailedGetResourceMetric", "FailedGetContainerResourceMetric"})  # what ScalingActive says then


class MetricsAway(Fault):
    """By the scale subresource alone. Which workload it is, the API's own registration says."""

    name = "metrics-away"
    affects_traffic = True  # a load that rises meanwhile is answered by nobody
    held = True
    peers = "none; by hand, kubectl scale of metrics-server"
    kinds = frozenset(RESOURCES)
    others = (
        "loses it too for as long as that lasts: no autoscaler sees CPU or memory, `kubectl top` fails, a namespace "
        "that is being deleted waits, and tools that list all kinds of object may fail"
    )

    def permissions(self, target: Target) -> Iterable[Permission]:
        """On the scale of that one workload; to find it, and to see its pods and the autoscaler."""
        server, why = target.faults.metrics, "to find who serves the metrics API"
        yield from each_verb("get", "apiservices", "", why, group="apiregistration.k8s.io", name=_APISERVICE)
        yield from each_verb("get", "services", server.namespace, why)
        yield from each_verb("list watch", "pods", server.namespace, "to see the metrics API's server go and come")
        yield from each_verb(
            "list watch", "horizontalpodautoscalers", target.cluster.namespace, "to see what the autoscaler measures",
            group="autoscaling",
        )  # fmt: skip
        yield from each_verb(
            "get patch", RESOURCES[server.kind], server.namespace, "to scale the metrics API's server to 0 and back",
            group="apps", subresource="scale", name=server.name,
        )  # fmt: skip
        if target.faults.dead_man_image:
            yield from ActingJob.permissions(server.namespace)

    def dead_man(self, args: Mapping[str, Any], target: Target) -> ActingJob | None:
        """A Job that may scale this one workload, and scales it up again if it still has 0."""
        return scale_dead_man(target, args, effect_after_s=SYNC_S)

    def blast(self, injection: Injection, target: Target) -> Blast:
        """No pod of the app goes."""
        return replace(super().blast(injection, target), pods=0)

    def available(self, context: Context) -> Injection | Skip:
        """The workload that serves the metrics API, if the app's autoscaler reads it and nobody would scale it up."""
        autoscaler = _autoscaler(context)
        server = _server(context.kube, context.target.faults.metrics) if not isinstance(autoscaler, str) else autoscaler
        if isinstance(server, str) or isinstance(autoscaler, str):
            return context.skip(self, str(server))
        args: dict[str, Any] = {**server, "autoscaler": autoscaler[0]}
        subject = f"{args['kind']}/{args['namespace']}/{args['name']}"
        same = {key: args[key] for key in ("kind", "namespace", "name")}
        managed = Outside.of(context.argo.read(), "the Application").child("status").objects("resources")
        if same in ({key: one.text(key) for key in same} for one in managed):
            return context.skip(self, f"{subject} is of the Application: Argo CD would scale it up again")
        scale = find_scale(context.kube, args)
        replicas = replicas_of(scale) if scale is not None else 0
        if scale is None or replicas < 1:
            return context.skip(self, f"{subject} is not there, or scaled to 0 already")
        args |= {"uid": scale["metadata"]["uid"], "original": replicas}
        hold_s, dead_man = context.target.faults.hold_s, self.dead_man(args, context.target)
        return context.injection(
            self, subject, args=args, effect_after_s=SYNC_S,
            recovery_after_s=METRICS_S + SYNC_S + asked_within_s(context), dead_man=str(dead_man or NO_IMAGE),
            change=f"replicas {replicas} -> 0, for {hold_s:g} s after autoscaler {args['autoscaler']} measures nothing",
            undo=f"replicas {replicas}, if it still has 0",
        )  # fmt: skip

    def watched(self, injection: Injection) -> Iterable[Watching]:
        """Its pods, and the app's autoscaler."""
        yield Watching(injection.args["namespace"], injection.args["labels"])
        yield Watching(autoscaler=injection.args["autoscaler"])

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """All pods serve, and the autoscaler measures, and wants what there is: else a change may be its own."""
        if unwell := _unwell(injection, live):
            return unwell
        view, deployment = live.watches.autoscaler(), live.watches.deployment()
        if view is not None and deployment is not None and view.desired != deployment.spec_replicas:
            return f"autoscaler {injection.args['autoscaler']} wants {view.desired} replicas, and is at work"
        return ""

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One patch, bound to the version of the scale that was looked at."""
        return scale_to_zero(live.kube, injection.args)

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """No pod of it serves, and the autoscaler says that it cannot read what pods use."""
        view = live.watches.autoscaler()
        if view is None:
            return Void(f"autoscaler {injection.args['autoscaler']} was deleted")
        if view.reason not in _UNREAD or _server_ready(injection, live):
            return None
        who = f"HorizontalPodAutoscaler/{live.target.cluster.namespace}/{injection.args['autoscaler']}"
        return Effect(f"{who} measures nothing ({view.reason})")

    def observe(self, injection: Injection, live: LiveContext) -> Void | None:
        """It must go on so: who measures again, to whom somebody has given it back."""
        view = live.watches.autoscaler()
        if view is not None and view.reason in _UNREAD:
            return None
        again = (
            "measures again" if view is not None and not view.reason else "is gone, or cannot scale for another reason"
        )
        server = (
            "its server is ready again: who scaled it up?" if _server_ready(injection, live) else "its server is away"
        )
        return Void(
            f"autoscaler {injection.args['autoscaler']} {again} before the metrics API was given back; {server}"
        )

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """The autoscaler measures, all pods serve, and Argo CD, which calls an app ill whose autoscaler is, says so."""
        if unwell := _unwell(injection, live):
            return unwell
        state = live.watches.application()
        if state.sync_status != "Synced":
            look_at_git(live)  # a comparison may have failed meanwhile, and the next one would come by the poll
        if (state.sync_status, state.health) != ("Synced", "Healthy"):
            return f"Argo CD says {state.sync_status or 'nothing'}, {state.health or 'nothing'}"
        return ""

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """The replicas from before, if nobody has changed ours since."""
        return scale_back(kube, args)


def _autoscaler(context: Context) -> tuple[str, AutoscalerView] | str:
    """The app's autoscaler that reads the metrics API and nothing else; or why there is none."""
    target, kube = context.target, context.kube
    try:
        reason, found = missing(target, kube), autoscaler_of(target, kube)
    except InputError as error:  # several
        return str(error)
    if reason or found is None:
        return reason or "the autoscaler was deleted just now"
    name, view = found
    if others := other_metrics(kube, target.cluster.namespace, name):
        return f"autoscaler {name!r} does not read the metrics API alone, but {', '.join(others)} metrics too"
    return f"autoscaler {name!r} cannot scale now: {view.reason}" if view.reason else found


def _server(kube: Kube, wanted: Workload) -> dict[str, str] | str:
    """kind, namespace and name of the workload that serves the metrics API, and its pods' labels; or why it is unknown.

    It must be the one that the target file names: only on its scale there are rights.
    """
    service = Outside.of(kube.request("GET", _PLACE), f"APIService {_APISERVICE}").child("spec").child("service")
    namespace, name = service.text("namespace"), service.text("name")
    if not name:
        return f"APIService {_APISERVICE} names no Service: the API server answers itself"
    hint = "see [faults.metrics] of the target file"
    if namespace != wanted.namespace:
        return f"the metrics API is served from namespace {namespace!r}, not from {wanted.namespace!r}: {hint}"
    found = kube.find("Service", namespace, name)
    selector = Outside.of(found or {}, f"Service {name}").child("spec").table("selector")
    if not selector:
        return f"Service {namespace}/{name}, which serves the metrics API, selects no pods"
    labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    pods = [PodView.of(item) for item in kube.list("Pod", namespace, labels=labels)["items"]]
    owners = {_owner(pod) for pod in pods if not pod.terminating and not pod.ended}
    if owners != {f"{wanted.kind}/{wanted.name}"}:
        said = ", ".join(sorted(owners)) or "nothing"
        return f"the metrics API is served by pods of {said} in {namespace}, not of {wanted.kind}/{wanted.name}: {hint}"
    return {"kind": wanted.kind, "namespace": namespace, "name": wanted.name, "labels": labels}


def _owner(pod: PodView) -> str:
    """ "Kind/name" of the workload: a Deployment's ReplicaSet has its name, and the hash of its pods' template."""
    if pod.replicaset and pod.template_hash:
        return f"Deployment/{pod.replicaset.removesuffix(f'-{pod.template_hash}')}"
    return pod.owner or "nobody"


def _server_ready(injection: Injection, live: LiveContext) -> bool:
    pods = live.watches.beside(injection.args["namespace"]).values()
    return any(pod.serves for pod in pods)


def _unwell(injection: Injection, live: LiveContext) -> str:
    """What is not as it should be about the autoscaler and the app's pods, in words; "" if all is well."""
    view, deployment, name = live.watches.autoscaler(), live.watches.deployment(), injection.args["autoscaler"]
    if view is None or deployment is None:
        return f"autoscaler {name} or its Deployment is gone"
    if view.reason:
        return f"autoscaler {name} cannot scale: {view.reason}"
    if view.use is None:
        return f"autoscaler {name} tells no use yet"
    serving = len(live.watches.serving())
    return f"{serving} of {deployment.spec_replicas} pods serve" if serving < deployment.spec_replicas else ""


FAULT = MetricsAway()
