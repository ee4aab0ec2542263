"""The fences that stand before every change.

A fence is checked against what a change names, never against what it means; it raises before anything is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.core.hours import is_within, parsed_hours
from rollproof.core.outside import Outside
from rollproof.core.target import Target
from rollproof.errors import FenceError

__all__ = ["check_load_fence", "check_namespace_fence", "check_opt_in", "outside_hours"]


def check_namespace_fence(target: Target, namespace: str) -> None:
    """FenceError unless the target's fences name this namespace."""
    if namespace not in target.fences.namespaces:
        allowed = ", ".join(target.fences.namespaces) or "none"
        message = f"namespace {namespace!r} is outside of the fences of target {target.name!r} (allowed: {allowed})"
        raise FenceError(message, "add it to fences.namespaces if it really is to be changed")


def check_load_fence(target: Target) -> None:
    """FenceError unless every URL that load goes to has a host that the fences name, at an allowed rate."""
    controls = (target.control, target.control_off_entry)
    urls = [target.app.base_url, *(control.url for control in controls if control is not None)]
    for url in urls:
        host = urlsplit(url).hostname or ""
        if host not in target.fences.load_hosts:
            allowed = ", ".join(target.fences.load_hosts) or "none"
            message = f"load may not go to {host!r} ({url}); the fences allow {allowed}"
            raise FenceError(message, "add it to fences.load_hosts if it is yours and can bear it")
    if target.traffic.rate_per_s > target.fences.rate_per_s_max:
        message = f"{target.traffic.rate_per_s:g} requests/s is above fences.rate_per_s_max"
        raise FenceError(f"{message} ({target.fences.rate_per_s_max:g})", "lower traffic.rate_per_s")


def outside_hours(target: Target, now: datetime) -> str:
    """What `fences.hours` allow and what time it is there, where it is outside of them; "" where it is not.

    now: with its time zone; the windows are compared with the wall clock of `fences.timezone`.
    """
    fences = target.fences
    windows = parsed_hours(fences.hours)
    if not windows:
        return ""
    local = now.astimezone(ZoneInfo(fences.timezone))
    if is_within(windows, local):
        return ""
    return f"fences.hours allow {fences.hours} ({fences.timezone}), and there it is {local:%a %H:%M}"


def check_opt_in(target: Target, kube: Kube, namespace: str, deployment: Object | None = None) -> str:
    """Who carries the label of `fences.opt_in_label`; FenceError if neither the namespace nor the Deployment does.

    A namespace that may not be read has not been seen to carry it.
    """
    label = target.fences.opt_in_label
    if not label:
        return "no label is asked for"
    if deployment is not None and _carries(_labels(deployment, "the Deployment"), label):
        return f"Deployment {target.cluster.deployment} carries {label}"
    try:
        found = kube.find("Namespace", "", namespace)
    except ApiError as error:
        raise FenceError(
            f"whether namespace {namespace!r} carries the label {label} is not known: {error}",
            "fences.opt_in_label asks for it: grant get of that namespace, or label the Deployment",
        ) from None
    if found is not None and _carries(_labels(found, f"namespace {namespace}"), label):
        return f"namespace {namespace} carries {label}"
    beside = f", nor does Deployment {target.cluster.deployment!r}" if deployment is not None else ""
    message = f"namespace {namespace!r} does not carry the label {label} of fences.opt_in_label{beside}"
    raise FenceError(message, f"kubectl label namespace {namespace} {label}, if faults are welcome there")


def _labels(item: Object, who: str) -> Mapping[str, str]:
    return Outside.of(item, who).child("metadata").table("labels")


def _carries(labels: Mapping[str, str], label: str) -> bool:
    key, _, value = label.partition("=")
    return labels.get(key) == value
