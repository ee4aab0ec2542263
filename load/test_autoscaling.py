"""Drill: load raises the replicas, its end lowers them, and no request is lost in either."""

from __future__ import annotations

import pytest

from rollproof.run.autoscaling import AutoscalingDrill
from rollproof.run.drill import Run, Traffic


@pytest.mark.drill("autoscaling", rows=(8,), smoke=5, load=True, group="load", reads=("autoscaling",))
def test_replicas_follow_the_load(run: Run, autoscaling: AutoscalingDrill, traffic: Traffic) -> None:
    """Add load until the autoscaler has raised the replicas, take it away until they are as before."""
    run.settle()
    with autoscaling.watched(), traffic.steady(), run.phase("act"):
        autoscaling.rise_and_fall()
    run.judge("autoscaling", "availability", "load_soundness", "watches")
