"""Part: one thing that a drill did to its target, whatever it was; a rollout, a drift, a fault and a rise of load are.

Checkers of traffic ask these questions and never which kind it is. What is special to a kind is in its own module
(`rollout`, `drift`, `fault`, `scaling`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from rollproof.core.event import Event

__all__ = ["ActKind", "Part"]


class ActKind(StrEnum):
    """What was done to the target."""

    ROLLOUT = "rollout"  # a release or a rollback: a commit travels to the pods
    DRIFT = "drift"  # a declared field or object was changed by hand, and is to be healed
    FAULT = "fault"  # something was broken on purpose, and is to recover
    SCALING = "rise of load"  # load was added and taken away, and the replicas are to follow


class Part(Protocol):
    """Times are seconds on the timeline's clock. Every clause is for people; nothing is decided by it."""

    @property
    def kind(self) -> ActKind:
        """What it was."""

    @property
    def name(self) -> str:
        """Which one it was, for people: "the fault pod-delete"."""

    @property
    def started(self) -> Event:
        """From here on the target may have felt it."""

    @property
    def happened(self) -> Event | None:
        """The fact that proves its effect; None if nobody saw one."""

    @property
    def over_s(self) -> float | None:
        """When its effect was over; None if nobody saw that."""

    @property
    def end_s(self) -> float | None:
        """When the last that is known of it ended, whether or not it was over then."""

    @property
    def events(self) -> tuple[Event, ...]:
        """What is known of it, as evidence."""

    @property
    def over_means(self) -> str:
        """What must be seen for it to be over, as the end of a sentence: "the last old pod was gone"."""

    def why_void(self) -> str:
        """Why it tested nothing, as a clause; only where `happened` is None."""

    def why_not_over(self) -> str:
        """Why its end was not seen, as a clause; only where `over_s` is None."""
