"""Drill: Argo CD's controller goes away right after a release was pushed; users feel nothing, it arrives later."""

from __future__ import annotations

import pytest

from rollproof.release import Release
from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill(
    "argocd-controller-away", rows=(14,), group="gitops", load=True, deploys=True, faults=("argocd-controller-away",)
)
def test_the_release_arrives_when_it_is_back(run: Run, release: Release, faults: FaultDrill, traffic: Traffic) -> None:
    """Push, scale that one part to 0, hold, scale it up: the release comes without a refresh of ours, and is proven."""
    with traffic.steady(), run.phase("act"):
        run.keep(release.deploy(after_push=faults.inject))
    run.judge("fault", "release", "rollout", "version", "readiness", "availability", "load_soundness", "watches")
