"""Share: which of many chances are hit, without chance: evenly spread, and the same in every run."""

from __future__ import annotations

__all__ = ["Share"]


class Share:
    """A share of 0.25 hits every fourth time; 1.0 each time."""

    __slots__ = ("_due", "_share")

    def __init__(self, share: float) -> None:
        self._share = share
        self._due = 0.0

    def hits(self) -> bool:
        """Whether this one is hit."""
        self._due += self._share
        if self._due < 1.0 - 1e-9:
            return False
        self._due -= 1.0
        return True
