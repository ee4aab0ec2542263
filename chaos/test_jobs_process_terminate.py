"""Drill: the scheduled jobs run exactly once in each period, although one pod's scheduler ends just before it."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run
from rollproof.run.jobs import JobsDrill

_EARLY_S = 1.5  # what comes before the signal takes some of it: nobody has started the scheduler again at the boundary


@pytest.mark.drill(
    "jobs-process-terminate", rows=(5,), alone=True, group="process", faults=("process-terminate",), reads=("jobs",)
)
def test_each_job_runs_once_a_period_although_a_scheduler_ends(run: Run, jobs: JobsDrill, faults: FaultDrill) -> None:
    """End `faults.process` (cron) in one pod as a period is about to begin: another pod runs the jobs."""
    run.settle()
    with jobs.watched():
        jobs.to_boundary(early_s=_EARLY_S)
        faults.run()
    run.judge("jobs", "fault", "watches")
