"""The act of a drill: all that it did to its target, as one: when it began, whether it happened, when it was over.

Checkers of traffic judge the time around an act and do not care what it was: a rollout, a drift, a fault, or several
one after the other, which make one act with several parts. The parts know what is special to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollproof.core.badrelease import find_bad_release
from rollproof.core.drift import DriftTrial, drift_trials
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.fault import Fault, find_faults
from rollproof.core.part import ActKind, Part
from rollproof.core.rollout import Rollout, find_rollout
from rollproof.core.runframe import sha_at_start
from rollproof.core.scaling import Scaling, find_scalings
from rollproof.core.watched import deployed_tag, deployed_tags

__all__ = ["Act", "find_act", "measured_until_s"]


@dataclass(frozen=True, slots=True)
class Act:
    """`parts` are in the order of their start, at least one.

    `from_sha` and `to_sha` are the app versions before and after, equal where nothing was rolled out; `shas` are all
    that may answer meanwhile; `rollout` is the part that is one. `foreign` are versions that somebody else has deployed
    since it began, as the Deployment itself said: what answers with these is no failure of ours, and no proof.
    """

    parts: tuple[Part, ...]
    from_sha: str
    to_sha: str
    shas: frozenset[str]
    rollout: Rollout | None = None
    foreign: frozenset[str] = frozenset()

    @property
    def kind(self) -> ActKind | None:
        """What all its parts are; None if they are of several kinds."""
        kinds = {part.kind for part in self.parts}
        return kinds.pop() if len(kinds) == 1 else None

    @property
    def why_foreign(self) -> str:
        """That somebody else has deployed another version meanwhile; "" if nobody was seen to."""
        return f"somebody else has deployed {', '.join(sorted(self.foreign))} meanwhile" if self.foreign else ""

    @property
    def noun(self) -> str:
        """The kind in a sentence."""
        return self.kind or "act"

    @property
    def started(self) -> Event:
        """The start of the first part."""
        return self.parts[0].started

    @property
    def happened(self) -> Event | None:
        """The first evidence that any part had an effect; None if nobody saw one."""
        return min((e for part in self.parts if (e := part.happened) is not None), key=lambda e: e.end_s, default=None)

    @property
    def void(self) -> Part | None:
        """The first part without evidence of an effect: what it was to test was not tested."""
        return next((part for part in self.parts if part.happened is None), None)

    @property
    def unfinished(self) -> Part | None:
        """The first part whose end was not seen."""
        return next((part for part in self.parts if part.over_s is None), None)

    @property
    def over_s(self) -> float | None:
        """When all parts were over; None if that was not seen of all."""
        ends = [part.over_s for part in self.parts]
        return None if None in ends else max(end for end in ends if end is not None)

    @property
    def end_s(self) -> float | None:
        """When the last that is known of it ended, or None if nothing did."""
        return max((end for part in self.parts if (end := part.end_s) is not None), default=None)

    @property
    def settled_s(self) -> float | None:
        """From when on the app must answer as it should: a rollout's promise holds all the time, others' afterwards."""
        return self.started.start_s if self.kind is ActKind.ROLLOUT else self.over_s

    def why_not_over(self) -> str:
        """Why the end of its first unfinished part was not seen, as a clause; only where there is one."""
        return self.unfinished.why_not_over() if self.unfinished is not None else "it was over"

    @property
    def over_means(self) -> str:
        """What must have been seen for it to be over."""
        return self.parts[0].over_means if len(self.parts) == 1 else "all that was done was over"

    @property
    def events(self) -> tuple[Event, ...]:
        """What is known of it, as evidence."""
        return tuple(event for part in self.parts for event in part.events)

    def at(self, at_s: float, *, early_s: float = 0.0, late_s: float = 0.0) -> Part | None:
        """The part that was going on at that time, the latest to start; None if there was none.

        A part counts from `early_s` before its start to `late_s` after its end.
        """
        begun = [part for part in self.parts if part.started.start_s - early_s <= at_s]
        return next((part for part in reversed(begun) if at_s <= (part.end_s or at_s) + late_s), None)


def find_act(facts: Facts) -> Act | None:
    """What the drill did to its target; None if it did nothing.

    A rollout that was over before the load and before the first drift or fault was there is no part of it: it only
    says which version should answer.
    """
    if (bad := find_bad_release(facts)) is not None:
        old, new = bad.release.from_sha, bad.release.to_sha
        ours = frozenset({old, new})
        return Act((bad,), old, old, ours, foreign=_foreign(facts, ours, (bad,)))
    drifts = drift_trials(facts)
    tried: tuple[DriftTrial | Fault | Scaling, ...] = (*drifts, *find_faults(facts), *find_scalings(facts))
    begun = sorted((one for one in tried if one.begun), key=_order)
    rollout = find_rollout(facts)
    inside = rollout if rollout is not None and (not begun or _goes_on(facts, rollout, begun[0])) else None
    parts: list[Part] = [*begun, *([inside] if inside is not None else [])]
    if not parts:
        return None
    parts.sort(key=_order)
    before, after = _shas(facts, rollout, inside=inside is not None, at_s=parts[0].started.start_s)
    brought = {one.version for one in tried} - {""}
    ours = frozenset({before, after, *brought})
    return Act(tuple(parts), before, after, ours, inside, _foreign(facts, ours, parts))


def measured_until_s(facts: Facts) -> float:
    """When the last request or question of the drill was over: what came later it has not measured."""
    asked = [event.end_s for event in facts.find(source="proof")]
    return max([*asked, facts.requests.engine.end_ns / 1e9 if facts.requests is not None else 0.0])


def _foreign(facts: Facts, ours: frozenset[str], parts: Sequence[Part]) -> frozenset[str]:
    """The tags that the Deployment was given while it was measured which are none of ours."""
    if "" in ours:  # which are ours is not known
        return frozenset()
    return deployed_tags(facts, since_s=parts[0].started.start_s, until_s=measured_until_s(facts)) - ours


def _order(part: Part) -> tuple[float, str]:
    """By their start, those of one moment by subject: which fact arrived first means nothing."""
    return part.started.start_s, part.started.subject


def _goes_on(facts: Facts, rollout: Rollout, first: Part) -> bool:
    """Whether the rollout, too, was felt by the load or lasted into what came after it."""
    load_s = facts.requests.engine.start_ns / 1e9 if facts.requests is not None else first.started.start_s
    return (rollout.end_s or rollout.started.end_s) > min(load_s, first.started.start_s)


def _shas(facts: Facts, rollout: Rollout | None, *, inside: bool, at_s: float) -> tuple[str, str]:
    """The versions before and after. Where nothing was rolled out: the one that should run, as the drill's start says.

    Runs of older versions do not say it: then it is what the Deployment had, if that is one of ours.
    """
    plan = facts.plan
    if rollout is not None and inside:
        return rollout.from_sha, rollout.to_sha
    if rollout is None and (sha := sha_at_start(facts)):
        return sha, sha
    expected = (rollout.to_sha, rollout.from_sha) if rollout is not None else (plan.old_sha, plan.new_sha)
    running = deployed_tag(facts, at_s)
    sha = running if running and running in expected else expected[0]
    return sha, sha
