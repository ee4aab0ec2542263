"""Interference: did somebody else write what a drift trial changed, while the trial was watched?

Between our change and Argo CD's repair there are two right values, ours and the original; after the repair only one.
Anything else was written by somebody who is no part of the trial, so that neither a repair nor its absence says
anything about self-heal. Pure reading of what an object watch saw; it must never guess who was right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rollproof.clients.kube import Object
from rollproof.core.reasons import Found
from rollproof.faults.objects import manager_of
from rollproof.faults.selfheal.injecting import Injected
from rollproof.probes.objectwatch import Arrival

__all__ = ["Interference", "found_now", "interference"]


@dataclass(frozen=True, slots=True)
class Interference:
    """The first foreign write: when it arrived, by whom ("" if nobody says), what it wrote, and after which repair."""

    at_s: float
    manager: str
    value: Any
    after_restored: bool


def interference(done: Injected, arrivals: Iterable[Arrival]) -> Interference | None:
    """The first write since the injection that is neither ours nor a repair, or None."""
    restored = False
    for arrival in arrivals:
        if not done.drift.is_later(done.version, arrival):
            continue
        deleted = arrival.change == "DELETED"
        value = done.value(None if deleted else arrival.item)
        if value == done.original and not deleted:
            restored = True
        elif value != done.ours or restored:
            manager = "" if deleted else manager_of(arrival.item, done.trial.path)
            return Interference(arrival.at_s, manager, value, restored)
    return None


def found_now(done: Injected, item: Object | None) -> Found:
    """What it is in an object that was read; None: there is no such object."""
    value = done.value(item)
    if item is not None and value == done.original:
        return Found.ORIGINAL
    return Found.OURS if value == done.ours else Found.OTHER
