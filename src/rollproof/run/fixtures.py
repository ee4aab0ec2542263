"""Short names for the parts of a run, for the conftest of a suite of drills and for nothing else.

The plugin is loaded in every project that has rollproof installed, so its own fixtures carry a prefix. A conftest that
imports these gives drills short names: `run`, `release`, `traffic`, `autoscaling`, `drift`, `faults`, `jobs`,
`secrets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rollproof.release.deploy import Release
    from rollproof.run.autoscaling import AutoscalingDrill
    from rollproof.run.drill import DriftDrill, FaultDrill, Run, Traffic
    from rollproof.run.jobs import JobsDrill
    from rollproof.run.secrets import SecretsDrill

__all__ = ["autoscaling", "drift", "faults", "jobs", "release", "run", "secrets", "traffic"]


@pytest.fixture
def run(rollproof_run: Run) -> Run:
    """The run as a drill sees it: the plan, and the judgement at the end."""
    return rollproof_run


@pytest.fixture
def release(rollproof_release: Release) -> Release:
    """Deploys and reverts the plan's version."""
    return rollproof_release


@pytest.fixture
def traffic(rollproof_traffic: Traffic) -> Traffic:
    """Load around an act."""
    return rollproof_traffic


@pytest.fixture
def autoscaling(rollproof_autoscaling: AutoscalingDrill) -> AutoscalingDrill:
    """A rise and fall of load."""
    return rollproof_autoscaling


@pytest.fixture
def drift(rollproof_drift: DriftDrill) -> DriftDrill:
    """Drifts, one at a time."""
    return rollproof_drift


@pytest.fixture
def faults(rollproof_faults: FaultDrill) -> FaultDrill:
    """The faults that the plan has for this drill."""
    return rollproof_faults


@pytest.fixture
def jobs(rollproof_jobs: JobsDrill) -> JobsDrill:
    """The app's job report."""
    return rollproof_jobs


@pytest.fixture
def secrets(rollproof_secrets: SecretsDrill) -> SecretsDrill:
    """The search for secrets."""
    return rollproof_secrets
