"""environment.json: versions, the host, Argo CD's settings; what a reader needs to weigh a run. Read before any change.

What cannot be read is left out or marked unknown; it never ends a run. No user names, no paths.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rollproof.clients.kube import Kube
from rollproof.core.outside import Outside
from rollproof.core.watched import ENDED_PHASES
from rollproof.errors import RollproofError
from rollproof.preflight.checks import Clients

__all__ = ["clock_pair", "gather", "pods_ended"]

_PODS_MAX = 2000
_PACKAGES = ("rollproof", "kubernetes", "urllib3", "locust", "numpy", "pytest")


def gather(clients: Clients) -> dict[str, Any]:
    """The content of environment.json."""
    return {
        "packages": {name: _version(name) for name in _PACKAGES},
        "host": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()}",
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "cpus_allowed": len(os.sched_getaffinity(0)),
            "load_average_1min": round(os.getloadavg()[0], 2),
        },
        "clock": clock_pair(),
        "kubernetes": _or_unknown(clients.kube.version),
        "argocd": _or_unknown(lambda: asdict(clients.argo.settings())),
    }


def pods_ended(kube: Kube, namespace: str) -> list[str] | str:
    """Pods of that namespace that have ended and were not removed (evicted): they do not answer, and do not count."""

    def told() -> list[str]:
        pods = [Outside.of(one, "a pod of the API") for one in kube.list("Pod", namespace)["items"][:_PODS_MAX]]
        words = [(pod.child("metadata").text("name"), pod.child("status")) for pod in pods]
        return [
            f"{name}: {status.text('phase')} {status.text('reason')}".strip()
            for name, status in words
            if status.text("phase") in ENDED_PHASES
        ]

    found: list[str] | str = _or_unknown(told)
    return found


def clock_pair() -> dict[str, float]:
    """Both clocks, read together: two pairs show whether the wall clock was set, or the machine suspended, between."""
    return {"monotonic_s": round(time.monotonic(), 6), "wall_s": round(time.time(), 6)}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _or_unknown(ask: Any) -> Any:
    try:
        return ask()
    except RollproofError as error:
        return f"unknown: {error}"
