"""Autoscaler: which HorizontalPodAutoscaler scales the app, whether it can, and what its clocks make of a drill's time.

It must never judge, and asks before anything is touched.
"""

from __future__ import annotations

from rollproof.clients.kube import ApiError, Kube
from rollproof.core.outside import Outside
from rollproof.core.scaling import METRICS_S, SYNC_S
from rollproof.core.target import Target
from rollproof.errors import CannotJudgeError, FenceError, InputError
from rollproof.probes.views import AutoscalerView

__all__ = ["autoscaler_of", "check_autoscaler", "longest_s", "missing", "other_metrics"]

_METRICS = "/apis/metrics.k8s.io/v1beta1"  # what CPU and memory of pods are read from
_ABSENT = {404: "has no metrics API (metrics.k8s.io)", 503: "has a metrics API (metrics.k8s.io) that does not answer"}


def autoscaler_of(target: Target, kube: Kube) -> tuple[str, AutoscalerView] | None:
    """Name and view of the one that scales the app's Deployment; None if none does. InputError if several do."""
    cluster = target.cluster
    found = []
    for item in kube.list("HorizontalPodAutoscaler", cluster.namespace)["items"]:
        seen = Outside.of(item, "an autoscaler")
        wanted = seen.child("spec").child("scaleTargetRef")
        if (wanted.text("kind"), wanted.text("name")) == ("Deployment", cluster.deployment):
            found.append((seen.child("metadata").needed("name"), AutoscalerView.of(item)))
    if len(found) > 1:
        names = ", ".join(sorted(name for name, _ in found))
        message = f"several autoscalers scale Deployment {cluster.deployment!r}: {names}"
        raise InputError(message, "leave one: they undo each other's work")
    return found[0] if found else None


def other_metrics(kube: Kube, namespace: str, name: str) -> tuple[str, ...]:
    """The kinds of its metrics that are not of pods' CPU or memory (Pods, Object, External), which others serve."""
    items = kube.list("HorizontalPodAutoscaler", namespace, fields=f"metadata.name={name}")["items"]
    metrics = (one for item in items for one in Outside.of(item, "an autoscaler").child("spec").objects("metrics"))
    return tuple(sorted({kind for one in metrics if not (kind := one.text("type")).endswith("Resource")}))


def missing(target: Target, kube: Kube) -> str:
    """Why this cluster cannot have the drill; "" if it can."""
    found, cluster = autoscaler_of(target, kube), target.cluster
    if found is None:
        return f"no HorizontalPodAutoscaler scales Deployment {cluster.deployment!r} in {cluster.namespace!r}"
    name, view = found
    if not view.of_resources:
        return ""
    try:
        kube.request("GET", _METRICS)
    except ApiError as error:
        if error.status in _ABSENT:
            return f"the cluster {_ABSENT[error.status]}, so that autoscaler {name!r} sees no use"
        if error.status != 403:  # who may not ask is told by the autoscaler's own condition
            raise
    return ""


def check_autoscaler(target: Target, kube: Kube) -> str:
    """What it is set to. InputError if the drill cannot be done with that, CannotJudgeError if only not now."""
    found, settings = autoscaler_of(target, kube), target.autoscaling
    together_per_s = target.traffic.rate_per_s + settings.rate_per_s
    if together_per_s > target.fences.rate_per_s_max:
        message = f"traffic.rate_per_s and autoscaling.rate_per_s make {together_per_s:g} requests/s"
        limit = f"fences.rate_per_s_max is {target.fences.rate_per_s_max:g}"
        raise FenceError(f"{message}, and {limit}", "lower autoscaling.rate_per_s, and name a path that costs more")
    if found is None:
        raise CannotJudgeError(missing(target, kube), "it was there a moment ago: who has deleted it?")
    name, view = found
    who = f"autoscaler {name!r}"
    if view.min_replicas >= view.max_replicas:
        message = f"{who} has no room: minReplicas {view.min_replicas}, maxReplicas {view.max_replicas}"
        raise InputError(message, "raise maxReplicas, or leave this drill out")
    if view.disabled:
        raise InputError(f"{who} never scales {view.disabled}: its selectPolicy there is Disabled", "see spec.behavior")
    if view.window_s > settings.window_s_max:
        message = (
            f"{who} goes down {view.window_s:g} s after its load at the earliest "
            f"(behavior.scaleDown.stabilizationWindowSeconds), and autoscaling.window_s_max is "
            f"{settings.window_s_max:g} s"
        )
        raise InputError(message, "raise autoscaling.window_s_max if the drill may wait so long, or shorten the window")
    soonest_s = METRICS_S + SYNC_S + view.up_window_s
    if settings.up_within_s < soonest_s:
        message = (
            f"autoscaling.up_within_s is {settings.up_within_s:g} s, and {who} may need {soonest_s:g} s: its use is "
            f"measured each {METRICS_S:g} s and looked at each {SYNC_S:g} s, and its scaleUp window is "
            f"{view.up_window_s:g} s"
        )
        raise InputError(message, "raise autoscaling.up_within_s")
    if (needed_s := longest_s(target, view)) > target.traffic.max_duration_s:
        message = (
            f"the drill may take {needed_s:g} s of load with {who} (its window is {view.window_s:g} s), and "
            f"traffic.max_duration_s is {target.traffic.max_duration_s:g} s"
        )
        raise InputError(message, f"set traffic.max_duration_s to {needed_s:g} or more")
    if view.reason:
        raise CannotJudgeError(f"{who} cannot scale now: {view.reason}", "kubectl describe hpa says why")
    used = "nothing measured yet" if view.use is None else f"{'; '.join(view.metrics)}"
    return f"{who}: {view.min_replicas} to {view.max_replicas} replicas, {used}, window {view.window_s:g} s"


def longest_s(target: Target, view: AutoscalerView) -> float:
    """How long the load may have to last, by the limits of the target file."""
    settings, traffic = target.autoscaling, target.traffic
    around_s = traffic.baseline_s + traffic.after_old_gone_s + traffic.tail_s
    up_s = settings.up_within_s + settings.ready_within_s + settings.hold_s
    return around_s + up_s + view.window_s + settings.down_within_s
