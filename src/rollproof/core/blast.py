"""Blast radius: how much a fault can take away at once, held against what the target file allows. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rollproof.core.target import Fences

__all__ = ["Blast"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blast:
    """What one injection can take away.

    pods: at once; None is all pods of the app. nodes: at once. lasts_s: for how long at most, until we take it back
    ourselves; 0 where nothing that lasts is left behind.
    """

    pods: int | None = None
    nodes: int = 0
    lasts_s: float = 0.0

    def beyond(self, fences: Fences) -> str:
        """Each limit that it exceeds, with both numbers; "" if none. None pods are more than any limit allows."""
        return "; ".join(self._beyond(fences))

    def _beyond(self, fences: Fences) -> Iterator[str]:
        if fences.pods_max is not None and (self.pods is None or self.pods > fences.pods_max):
            pods = "all pods of the app" if self.pods is None else f"{self.pods} pods"
            yield f"it takes away {pods} at once, and fences.pods_max allows {fences.pods_max}"
        if fences.nodes_max is not None and self.nodes > fences.nodes_max:
            yield f"it takes away {self.nodes} nodes at once, and fences.nodes_max allows {fences.nodes_max}"
        if fences.fault_s_max is not None and self.lasts_s > fences.fault_s_max:
            yield f"it may last {self.lasts_s:g} s, and fences.fault_s_max allows {fences.fault_s_max:g} s"
