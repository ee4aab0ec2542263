"""Drill: a rolling update loses no request."""

from __future__ import annotations

import pytest

from rollproof.release import Release
from rollproof.run.drill import Run, Traffic


@pytest.mark.drill("zero-downtime", rows=(1, 2, 7), all=1, load=True, deploys=True)
def test_a_rolling_update_loses_no_request(run: Run, release: Release, traffic: Traffic) -> None:
    """Deploy the next sha under load: every request is answered, and by the old or the new version only."""
    with traffic.steady() as load:
        with run.phase("act"):
            rollout = run.keep(release.deploy())
        load.over_with(rollout)
    run.judge("availability", "load_soundness", "rollout", "release", "version", "readiness", "watches")
