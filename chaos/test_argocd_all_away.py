"""Drill: all of Argo CD goes away right after a release was pushed; users feel nothing, and it arrives later."""

from __future__ import annotations

import pytest

from rollproof.release import Release
from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("argocd-all-away", rows=(14,), group="gitops", load=True, deploys=True, faults=("argocd-all-away",))
def test_the_release_arrives_when_it_is_back(run: Run, release: Release, faults: FaultDrill, traffic: Traffic) -> None:
    """Push, take it away, hold, give it back: without a refresh of ours the release is synced, and is proven."""
    with traffic.steady(), run.phase("act"):
        run.keep(release.deploy(after_push=faults.inject))
    run.judge("fault", "release", "rollout", "version", "readiness", "availability", "load_soundness", "watches")
