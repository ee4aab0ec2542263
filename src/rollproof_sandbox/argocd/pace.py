"""Pace: the duration of each step, from recorded runs on a real cluster (tests/histories/good/all)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds. From a drift to its repair it takes 0.3 s, from a refresh to the apply of a new revision 0.8 s."""

    batch_s: float = 0.1  # watch events are collected that long
    compare_s: float = 0.04
    resolve_s: float = 0.03  # resolving the branch
    generate_s: float = 0.2  # rendering a revision for the first time
    begin_s: float = 0.025  # from a written operation to its start
    apply_s: float = 0.1
    apply_each_s: float = 0.06
    end_s: float = 0.03  # from the last apply to the end of the operation
    heal_delay_s: float = 0.0  # between noticing a drift and healing it
    poll_s: float = 120.0
