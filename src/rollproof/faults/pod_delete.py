"""Pod delete: one ready pod of the Deployment is deleted gracefully, as a node drain or a person would.

Planned operation: the ReplicaSet makes another pod at once, and no request may be lost while the old one leaves.
"""

from __future__ import annotations

from rollproof.faults.leaving import DeletesOnePod

__all__ = ["FAULT", "PodDelete"]


class PodDelete(DeletesOnePod):
    """Deletes by uid, so that a repeated request cannot meet the pod's replacement; with the pod's own grace period."""

    name = "pod-delete"
    peers = "Chaos Mesh pod-kill (grace 0 by default), Litmus pod-delete, Krkn pod scenarios, chaosk8s terminate_pods"
    how = "deleted gracefully"
    why = "to delete one pod"


FAULT = PodDelete()
