"""Drill: the scheduled jobs run exactly once in each period, although a pod goes just as they begin."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run
from rollproof.run.jobs import JobsDrill


@pytest.mark.drill("jobs-pod-delete", rows=(5,), alone=True, group="pod", faults=("pod-delete",), reads=("jobs",))
def test_each_job_runs_once_a_period_although_a_pod_goes(run: Run, jobs: JobsDrill, faults: FaultDrill) -> None:
    """Delete one ready pod gracefully when a period has just begun: whoever did not run the job lets it be."""
    run.settle()
    with jobs.watched():
        jobs.to_boundary()
        faults.run()
    run.judge("jobs", "fault", "watches")
