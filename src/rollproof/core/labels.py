"""Labels: what marks an object of ours in the cluster, so that people and `rollproof` find it. Pure."""

from __future__ import annotations

__all__ = ["MANAGED_BY", "OURS", "RUN_LABEL", "labels_of"]

MANAGED_BY, OURS = "app.kubernetes.io/managed-by", "rollproof"
RUN_LABEL = "rollproof.io/run"
_LABEL_MAX = 63


def labels_of(run_id: str) -> dict[str, str]:
    """The labels of all that a run creates in the cluster beside its lock."""
    return {MANAGED_BY: OURS, RUN_LABEL: run_id[:_LABEL_MAX].strip("-_.")}
