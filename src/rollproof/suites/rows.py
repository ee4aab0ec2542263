"""Rows: what has to be proven of an app that is deployed the GitOps way, by number; a drill's marker names its rows.

The three at the end are proven by drills of every kind, so that no marker names them. docs/rows.md is made of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["EVERY_CHANGE", "EVERY_DRILL", "ROWS"]

ROWS: Mapping[int, str] = MappingProxyType(
    {
        1: "Release: a sha travels from the commit to every pod and the ingress, and is proven there",
        2: "Version, database status and home page, read as fields",
        3: "Posture: replicas, probes, resources, autoscaler, policies, tags, platform, preStop",
        4: "Secrets: no value in git, in live objects, in logs, or in a report",
        5: "Scheduled jobs run exactly once in each period, over all replicas",
        6: "Pipeline: from the app's commit to the version live, leg by leg",
        7: "Zero downtime while a rolling update runs",
        8: "Autoscaling: load raises replicas, its end lowers them; nothing fights it",
        9: "Drift: what is changed by hand is restored, by self-heal, in time",
        10: "Rollback by git revert, also from a version that is known to be bad",
        11: "Pods deleted, containers and processes ended",
        12: "Nodes drained, lost, frozen, or taken back by the cloud",
        13: "Database away: not ready, alive, not restarted, and back by itself",
        14: "Ingress, Argo CD, git and DNS away, and delivery while they are",
        15: "Every change of ours is undone, however the run ends",
        16: "Each verdict has numbers and events; what was not measured is no PASS",
        17: "One report: HTML page, Allure, JUnit, JSON",
    }
)
EVERY_CHANGE = (15,)  # of each drill that changes anything
EVERY_DRILL = (16, 17)
