"""Drops: requests on used connections that get no answer, spread over a time."""

from __future__ import annotations

import math

from rollproof_sandbox.wire.loop import now

__all__ = ["Drops"]


class Drops:
    """`left` requests are dropped after `begin`."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._from_s, self._until_s, self._every_s = math.inf, 0.0, 0.0

    def begin(self, for_s: float) -> None:
        """Start dropping, spread over `for_s` seconds; 0: all at once."""
        self._from_s = now()
        self._until_s = now() + for_s if for_s else math.inf
        self._every_s = for_s / max(1, self._left)

    def next(self) -> bool:
        """Whether the request that was just read on a used connection gets no answer.

        They are spread over the time: many at one moment would look like a reload.
        """
        moment_s = now()
        if not self._from_s <= moment_s < self._until_s or not self._left:
            return False
        self._left -= 1
        self._from_s = moment_s + self._every_s
        return True
