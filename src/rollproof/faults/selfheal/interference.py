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
from rollproof.faults.objects import manager_of, read_field
from rollproof.faults.selfheal.injecting import Injected
from rollproof.faults.selfheal.trial import Trial
from rollproof.probes.objectwatch import Arrival

__all__ = ["Interference", "found_now", "interference", "shows_injection"]


@dataclass(frozen=True, slots=True)
class Interference:
    """The first foreign write: when it arrived, by whom ("" if nobody says), what it wrote, and after which repair."""

    at_s: float
    manager: str
    value: Any
    after_restored: bool


def interference(trial: Trial, done: Injected, arrivals: Iterable[Arrival]) -> Interference | None:
    """The first write since the injection that is neither ours nor a repair, or None."""
    ours = "deleted" if trial.deletes else done.entry.args["ours"]
    original = "there" if trial.deletes else done.original
    restored = False
    for arrival in arrivals:
        if not _is_later(trial, done, arrival):
            continue
        value = _value(trial, done, arrival)
        if value == original:
            restored = True
        elif value != ours or restored:
            manager = "" if arrival.change == "DELETED" else manager_of(arrival.item, trial.path)
            return Interference(arrival.at_s, manager, value, restored)
    return None


def shows_injection(trial: Trial, done: Injected, arrival: Arrival) -> bool:
    """Is this our own injection, or anything after it? Then the watch has shown that the trial's object can be seen."""
    metadata = arrival.item["metadata"]
    if trial.deletes:
        return _is_later(trial, done, arrival) or bool(metadata.get("deletionTimestamp"))
    return int(metadata["resourceVersion"]) >= done.version


def found_now(trial: Trial, done: Injected, item: Object | None) -> Found:
    """What the trial's field is in an object that was read; of a trial that deletes: whether the object is there."""
    if trial.deletes:
        there = item is not None and item["metadata"]["uid"] != done.before["metadata"]["uid"]
        return Found.ORIGINAL if there else Found.OURS
    value = None if item is None else read_field(item, trial.path)
    if item is not None and value == done.original:
        return Found.ORIGINAL
    return Found.OURS if item is not None and value == done.entry.args["ours"] else Found.OTHER


def _is_later(trial: Trial, done: Injected, arrival: Arrival) -> bool:
    if trial.deletes and arrival.change == "DELETED":
        return True  # a deletion may carry the version that was deleted
    return int(arrival.item["metadata"]["resourceVersion"]) > done.version


def _value(trial: Trial, done: Injected, arrival: Arrival) -> Any:
    """What the field was then; of a trial that deletes: whether the object was there."""
    if arrival.change == "DELETED":
        return "deleted"
    if not trial.deletes:
        return read_field(arrival.item, trial.path)
    return "there" if arrival.item["metadata"]["uid"] != done.before["metadata"]["uid"] else "deleted"
