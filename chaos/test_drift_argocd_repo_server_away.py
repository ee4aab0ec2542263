"""Drill: something is changed by hand while Argo CD's repo-server is away; it is healed when that is back."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill(
    "drift-argocd-repo-server-away", rows=(9, 14), group="gitops", load=True,
    faults=("argocd-repo-server-away", "drift-revision-history"),
)  # fmt: skip
def test_a_drift_is_healed_when_it_is_back(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Scale that one part to 0, change a field that users do not feel, hold, scale it up: healed without a refresh."""
    with traffic.steady():
        faults.run_with_drift()
    run.judge("fault", "meanwhile", "availability", "load_soundness", "readiness", "version", "watches")
