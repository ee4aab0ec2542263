"""Renewal: what the facts tell of pods that were replaced because a fault had left them behind (docs/facts.md)."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["LEFT", "SOURCE", "SUBJECT", "WORD", "LeftBehind"]

SOURCE, SUBJECT, WORD = "run", "renewal", "replaced"
LEFT = "left"  # not deleted: another one would fare no better


class LeftBehind(StrEnum):
    """How a fault has left a pod."""

    NOT_SERVING = "not-serving"  # what kept it from serving is gone, and it does not serve
    RESTARTED = "restarted"  # the kubelet remembers it, and would make the next restart wait
    CROWDED = "crowded"  # on one node with all others, where there were more nodes
