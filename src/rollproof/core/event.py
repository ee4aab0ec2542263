"""Event: one fact on the timeline.

Facts are append-only and come first; everything else (intervals, verdicts, reports) is derived from them and can be
derived again from a stored run. This module must never read a clock: whoever records a fact says when it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile
from typing import Any, Protocol

__all__ = ["Event", "Outcome", "Recorder", "by_time", "good_in_a_row"]


class Outcome(StrEnum):
    """What an event says about its subject. An exception in the harness is UNKNOWN, never FAIL (Jepsen's `info`)."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Event:
    """One fact.

    `start_s` and `end_s` are CLOCK_MONOTONIC seconds of the harness host (the same axis as the request log's
    nanoseconds); `wall` is ISO 8601 UTC, for people only. `drill` is the drill that was active ("" outside of any).
    `source` says who saw it (run, release, watch, proof, load, drift, fault, rollback, undo, ingress), `subject` whom
    it is about ("Pod/ns/name"), `what` the verb; the vocabulary is docs/facts.md.
    """

    seq: int
    start_s: float
    end_s: float
    wall: str
    drill: str
    source: str
    subject: str
    what: str
    outcome: Outcome = Outcome.OK
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def not_before_s(self) -> float | None:
        """The begin of the last look that did not find yet what it tells, which came between then and `end_s`.

        None where nobody noted it: a watch told it, or a version before 2026-11-30.
        """
        value = self.data.get("not_before_s")
        return None if value is None else min(float(value), self.end_s)


def by_time(events: Iterable[Event]) -> list[Event]:
    """The events by their end, those with equal times by subject: whichever watch delivered first means nothing."""
    return sorted(events, key=lambda event: (event.end_s, event.subject))


def good_in_a_row(events: Sequence[Event]) -> int:
    """How many of the last events were good, back to the first that was not."""
    return sum(1 for _ in takewhile(lambda event: event.outcome is Outcome.OK, reversed(events)))


class Recorder(Protocol):
    """What acting code needs from a run: a place to put a fact. The run folder is the real one; tests use a list."""

    def record(
        self,
        source: str,
        subject: str,
        what: str,
        *,
        outcome: Outcome = Outcome.OK,
        start_s: float | None = None,
        end_s: float | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Event:
        """Append one fact. Without `start_s` it is dated now; without `end_s` it ends where it started."""
        ...
