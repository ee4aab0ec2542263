"""Entry: what the faults of the ingress have in common: only a control lane beside it can tell it from all else."""

from __future__ import annotations

from rollproof.core.target import Target

__all__ = ["no_lane_beside"]


def no_lane_beside(target: Target) -> str:
    """Why nothing would be left that tells the entry from a sick machine, or network; "" if there is such a lane."""
    if target.control_off_entry is not None:
        return ""
    named = f"{target.control.url} goes through it" if target.control else "none is named"
    return (
        f"an act on the ingress needs a control lane off that path, and {named}: "
        "[control] off_entry_url must name something else that answers"
    )
