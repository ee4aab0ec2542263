"""Drill: what the app's NetworkPolicies deny does not reach the app."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run


@pytest.mark.drill("network-policy", rows=(3,), group="read-only", faults=("denied-pod",))
def test_what_the_policies_deny_does_not_reach_the_app(run: Run, faults: FaultDrill) -> None:
    """Let a pod that they must deny try each pod of the app, beside two controls that must be well."""
    faults.run()
    run.judge("network_policy", "version", "watches")
