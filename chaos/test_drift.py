"""Drill: what is changed by hand in the cluster is put back by Argo CD's self-heal, in time."""

from __future__ import annotations

import pytest

from rollproof.run.drill import DriftDrill, Run, Traffic


@pytest.mark.drill("drift", rows=(9,), all=3, options=("trial", "under-load"))
def test_self_heal_restores_what_git_declares(run: Run, drift: DriftDrill, traffic: Traffic) -> None:
    """Patch or delete one declared thing after another; each comes back within the limit, and undeclared ones stay."""
    if run.plan.under_load:  # then it is also measured what the users feel of it
        with traffic.steady():
            drift.run_all()
        run.judge("drift", "availability", "load_soundness", "watches")
    else:
        run.settle()
        drift.run_all()
        run.judge("drift", "watches")
