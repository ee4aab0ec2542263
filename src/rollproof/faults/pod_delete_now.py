"""Pod delete now: one ready pod of the Deployment is ended with a grace period of 1 s, as by a crash that is noticed.

Abrupt loss: preStop is cut and requests under way are lost, as many as the target's traffic budget allows. The kubelet
still confirms the end, so that never two pods run as one. A grace period of 0 takes the object away first and leaves a
ghost: that is another fault.
"""

from __future__ import annotations

from rollproof.faults.leaving import DeletesOnePod

__all__ = ["FAULT", "PodDeleteNow"]

_GRACE_S = 1


class PodDeleteNow(DeletesOnePod):
    """Deletes by uid with a grace period of 1 s; pods of a StatefulSet are never chosen."""

    name = "pod-delete-now"
    peers = "Litmus pod-delete with FORCE (grace 0), Chaos Mesh pod-kill (grace 0), Karpenter's forced termination (1)"
    how = f"abrupt loss: deleted with a grace period of {_GRACE_S} s"
    why = "to delete one pod at once"
    grace_s = _GRACE_S


FAULT = PodDeleteNow()
