"""Drill: the scheduled jobs run exactly once in each period, although the database is away when one begins."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run
from rollproof.run.jobs import JobsDrill

_EARLY_S = 5.0  # the database's pod is told to end, and must have


@pytest.mark.drill(
    "jobs-database-refused", rows=(5,), alone=True, group="database-refused", faults=("database-refused",),
    reads=("jobs",),
)  # fmt: skip
def test_each_job_runs_once_a_period_although_the_database_is_away(
    run: Run, jobs: JobsDrill, faults: FaultDrill
) -> None:
    """Scale the database to 0 before a period begins, and back after it has: its jobs are done late, and not never."""
    run.settle()
    with jobs.watched():
        jobs.to_boundary(early_s=_EARLY_S)
        faults.run()
    run.judge("jobs", "fault", "dependency", "watches")
