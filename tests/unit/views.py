"""Views as the watches give them, of the real types: what a type learns to say, these say too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rollproof.probes.views import AutoscalerView, DeploymentView, PodView

POD = PodView(
    uid="", replicaset="web-1", template_hash="1", image="web:1", image_id="", phase="Running", ready=True,
    ready_since="", terminating=False, node="n1", ip="", restarts=0, reason="", member=True, in_service=True,
)  # fmt: skip
DEPLOYMENT = DeploymentView(
    uid="d", generation=2, observed_generation=2, spec_replicas=2, replicas=2, updated=2, available=2, ready=2,
    image="web:1", paused=False, deadline_exceeded=False, resource_version="1",
)  # fmt: skip
AUTOSCALER = AutoscalerView(
    uid="a", min_replicas=2, max_replicas=4, current=2, desired=2, use=0.05, metrics=("cpu 4 % of 80 %",), reason="",
    window_s=30.0, up_window_s=0.0, tolerance=0.1, of_resources=True, disabled="",
)  # fmt: skip


def pod(name: str = "", **more: Any) -> PodView:
    """A pod that runs, is ready and stays, but for what is said otherwise."""
    return replace(POD, **{"uid": f"uid-{name}", "ip": f"ip-{name}", **more})


def pods(count: int, **more: Any) -> dict[str, PodView]:
    """web-1, web-2, ..., each with the address 10.0.0.<its number>."""
    return {f"web-{n}": pod(f"web-{n}", ip=f"10.0.0.{n}", **more) for n in range(1, count + 1)}


def deployment(**more: Any) -> DeploymentView:
    """A Deployment of two replicas whose rollout is over, but for what is said otherwise."""
    return replace(DEPLOYMENT, **more)


def autoscaler(**more: Any) -> AutoscalerView:
    """An autoscaler from 2 to 4 by CPU that has nothing to do, but for what is said otherwise."""
    return replace(AUTOSCALER, **more)
