"""Drill: the app's scheduled jobs run exactly once in each period, over all replicas. Nothing is changed."""

from __future__ import annotations

import pytest

from rollproof.run.drill import Run
from rollproof.run.jobs import JobsDrill


@pytest.mark.drill("jobs", rows=(5,), smoke=3, group="read-only", reads=("jobs",))
def test_each_job_runs_once_a_period(run: Run, jobs: JobsDrill) -> None:
    """Read the report of the jobs for some periods at rest: no run is missing, and none is there twice."""
    with jobs.watched():
        pass
    run.judge("jobs", "watches")
