"""Bad release: a version that is known to be bad, released on purpose and taken back by a revert; as the facts tell.

To the checkers of traffic both rollouts are one act: users must not feel the bad version, nor its way back. What kinds
there are, and the words by which each is known, is in `core.reasons`.
"""

from __future__ import annotations

from dataclasses import dataclass

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.part import ActKind
from rollproof.core.reasons import BadKind
from rollproof.core.rollout import Rollout, rollout_of

__all__ = ["BadRelease", "find_bad_release"]


@dataclass(frozen=True, slots=True)
class BadRelease:
    """`kind_of_bad` is what it is known for ("" if this version knows no such kind); `rollback` is None before it."""

    kind_of_bad: BadKind | None
    release: Rollout
    rollback: Rollout | None

    @property
    def kind(self) -> ActKind:
        """Two rollouts, there and back."""
        return ActKind.ROLLOUT

    @property
    def name(self) -> str:
        """The release and what is bad of it."""
        return f"the bad release of {self.release.to_sha} ({self.kind_of_bad or 'of an unknown kind'})"

    @property
    def started(self) -> Event:
        """The start of the release."""
        return self.release.started

    @property
    def named(self) -> Event | None:
        """The fact that says that it cannot succeed, and why; None if nothing says so."""
        failed = self.release.failed
        return failed if failed is not None and failed.outcome is Outcome.FAIL else None

    @property
    def named_s(self) -> float | None:
        """Seconds from the accepted push until it was said what is wrong; None if it was not said."""
        pushed = self.release.stages.get("pushed")
        return self.named.end_s - pushed.end_s if self.named is not None and pushed is not None else None

    @property
    def unnamed_s(self) -> float | None:
        """The same to the begin of the last look before that: until then nothing was wrong that could be seen."""
        at_s, pushed = self.named.not_before_s if self.named is not None else None, self.release.stages.get("pushed")
        return self.named_s if at_s is None or pushed is None else max(0.0, at_s - pushed.end_s)

    @property
    def setting(self) -> str:
        """Where the target file has its limit."""
        return "never_ready_within_s" if self.kind_of_bad is BadKind.NEVER_READY else "named_within_s"

    @property
    def happened(self) -> Event | None:
        """That it was seen to be bad, or that it replaced a pod; whichever is known first."""
        known = [event for event in (self.named, self.release.happened) if event is not None]
        return min(known, key=lambda event: event.end_s, default=None)

    @property
    def over_s(self) -> float | None:
        """When the last pod of the bad version was gone; None if that was not seen."""
        return self.rollback.over_s if self.rollback is not None else None

    @property
    def end_s(self) -> float | None:
        """The end of the last stage of either rollout."""
        ends = [one.end_s for one in (self.release, self.rollback) if one is not None]
        return max((end for end in ends if end is not None), default=None)

    @property
    def events(self) -> tuple[Event, ...]:
        """The stages of both, and what was said to be wrong."""
        named = (self.named,) if self.named is not None else ()
        return (*self.release.events, *named, *(self.rollback.events if self.rollback is not None else ()))

    @property
    def over_means(self) -> str:
        """The end of the bad version."""
        return "the last pod of the bad version was gone"

    def why_void(self) -> str:
        """It neither failed nor replaced a pod."""
        return f"nothing was seen of the bad release ({self.release.why_unfinished()})"

    def why_not_over(self) -> str:
        """How far the way back came."""
        if self.rollback is None:
            return "the bad release was not taken back"
        return f"the last pod of the bad version was not seen to go ({self.rollback.why_unfinished()})"


def find_bad_release(facts: Facts) -> BadRelease | None:
    """The release that was known to be bad, with its revert; None if the drill made no such release."""
    started = facts.last(source="release", what="started")
    if started is None or not (word := str(started.data.get("bad", ""))):
        return None
    known = BadKind(word) if word in set(BadKind) else None
    back = facts.last(source="rollback", what="started")
    return BadRelease(known, rollout_of(facts, started), rollout_of(facts, back) if back is not None else None)
