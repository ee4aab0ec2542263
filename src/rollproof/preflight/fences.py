"""The fences that stand before every change.

A fence is checked against what a change names, never against what it means; it raises before anything is touched.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from rollproof.core.target import Target
from rollproof.errors import FenceError

__all__ = ["check_load_fence", "check_namespace_fence"]


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
