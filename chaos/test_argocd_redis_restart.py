"""Drill: Argo CD's redis is restarted; nobody who uses the app feels it, and Argo CD works again in time."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("argocd-redis-restart", rows=(14,), load=True, group="gitops", faults=("argocd-redis-restart",))
def test_the_app_does_not_feel_it(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Delete one pod of the redis gracefully, under load: nothing is lost, and the next refresh is answered."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "version", "watches")
