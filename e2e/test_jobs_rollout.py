"""Drill: the scheduled jobs run exactly once in each period, while a release replaces every pod."""

from __future__ import annotations

import pytest

from rollproof.release import Release
from rollproof.run.drill import Run
from rollproof.run.jobs import JobsDrill


@pytest.mark.drill("jobs-rollout", rows=(5,), deploys=True, alone=True, reads=("jobs",))
def test_each_job_runs_once_a_period_over_a_rollout(run: Run, jobs: JobsDrill, release: Release) -> None:
    """Deploy in the middle of the watched periods: more pods than declared start the jobs, and old ones end."""
    run.settle()
    with jobs.watched(), run.phase("act"):
        run.keep(release.deploy())
    run.judge("jobs", "rollout", "release", "watches")
