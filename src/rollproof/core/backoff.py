"""BackOff: how long Argo CD lets pass before the next self-heal, by version and settings (docs/argocd.md 1.1 to 1.4).

A repair that comes late may be late by design: the required gap after the last operation grows with the number of
heals already done on the revision. This module knows that schedule and how each version line counts, so that a verdict
can tell back-off from slowness. It must never read a clock: times come in as numbers.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from rollproof.core.facts import Facts

__all__ = ["HEALS_SHOWN", "BackOff", "CountRule", "model", "schedule", "stored_model"]

HEALS_SHOWN = 7  # the gap has reached its cap by then
_CLOCKS_APART_S = 2.0  # finishedAt is cut to whole seconds and comes from another clock


class CountRule(StrEnum):
    """When the count of self-heals starts again at 0."""

    NONE = "none"  # nothing is counted: a fixed delay after every operation (early 2.12 and older)
    NEVER = "never"  # not even on a new revision (2.13, 2.14: #21599)
    SYNCED = "synced"  # whenever the Application was Synced (3.0.0 to 3.0.4)
    QUIET = "quiet"  # after `cooldown_s` without an operation (late 3.0, 3.1, 3.2)
    REVISION = "revision"  # only by a new revision or a manual sync (3.3 and later)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """One controller's schedule. `known` is False when the version could not be read and the newest was assumed."""

    rule: CountRule = CountRule.REVISION
    start_s: float = 2.0
    factor: float = 3.0
    cap_s: float = 300.0
    cooldown_s: float = 330.0
    fixed_delay_s: float = 0.0
    known: bool = True

    def gap_s(self, attempts: int) -> float:
        """Required time between the end of the last operation and the next heal, after `attempts` heals."""
        if self.rule is CountRule.NONE or self.start_s <= 0:  # a start of 0 turns the back-off off
            return self.fixed_delay_s
        if attempts <= 0 or self.rule is CountRule.SYNCED:
            return 0.0
        if self.factor <= 1:
            return min(self.start_s, self.cap_s)
        steps = min(attempts - 1, math.ceil(math.log(max(self.cap_s / self.start_s, 1), self.factor)))
        return min(self.start_s * self.factor**steps, self.cap_s)

    def remaining_s(self, *, finished_at_s: float | None, attempts: int, now_s: float) -> float:
        """How long the next heal must still wait; both times on the same clock, None if nothing was synced yet."""
        if finished_at_s is None:
            return 0.0
        quiet_s = now_s - finished_at_s
        if self.rule is CountRule.QUIET and quiet_s >= self.cooldown_s:
            attempts = 0
        return max(0.0, self.gap_s(attempts) - quiet_s)

    def counts_after_heal(self, *, attempts: int, quiet_s: float, waited_s: float = 0.0) -> frozenset[int]:
        """What the count may be after one more heal.

        `quiet_s` is the time from the last operation to the drift, `waited_s` from the drift to its repair: the
        controller looked at the clock somewhere in between, and its clock is not ours.
        """
        if self.rule is CountRule.NONE:
            return frozenset({0, 1, attempts + 1})  # nothing to tell: such a version proves nothing by its count
        if self.rule is CountRule.SYNCED:
            return frozenset({1, attempts + 1})
        allowed = {attempts + 1}
        if self.rule is CountRule.QUIET:
            if quiet_s - _CLOCKS_APART_S >= self.cooldown_s:
                return frozenset({1})
            if quiet_s + waited_s + _CLOCKS_APART_S >= self.cooldown_s:
                allowed.add(1)
        return frozenset(allowed)

    def counts_heals(self) -> bool:
        """Does the operation state tell a self-heal from another automated sync?"""
        return self.rule is not CountRule.NONE

    def keeps_up_to(self, limit_s: float) -> float:
        """The highest count before a heal with which drift right after an operation can still be healed in time.

        math.inf if always, -1 if never.
        """
        if not self.gap_s(0) < limit_s:
            return -1
        attempts = 0
        while self.gap_s(attempts + 1) < limit_s:
            attempts += 1
            if self.gap_s(attempts) == self.gap_s(attempts + 1):
                return math.inf
        return attempts


def model(
    version: str, *, fixed_delay_s: float = 0.0, start_s: float = 2.0, factor: float = 3.0, cap_s: float = 300.0,
    cooldown_s: float = 330.0,
) -> BackOff:  # fmt: skip
    """The model of one Argo CD version ("v3.2.6") with its settings; unknown versions get the newest line's rules."""
    parsed = _parse(version)
    if parsed is None:
        return BackOff(
            rule=CountRule.REVISION, start_s=start_s, factor=factor, cap_s=cap_s, fixed_delay_s=fixed_delay_s,
            cooldown_s=cooldown_s, known=False,
        )  # fmt: skip
    rule = _rule(parsed)
    if rule is CountRule.NONE:
        return BackOff(rule=rule, fixed_delay_s=fixed_delay_s or 5.0, start_s=0.0, known=parsed < (2, 12))
    if parsed < (3, 0):  # the step that would pass the cap is never taken (#20976)
        steps = math.floor(math.log(max(cap_s / start_s, 1), factor) + 1e-9) if start_s > 0 and factor > 1 else 0
        cap_s = start_s * factor**steps if start_s > 0 else cap_s
    return BackOff(
        rule=rule, start_s=start_s, factor=factor, cap_s=cap_s, cooldown_s=cooldown_s, fixed_delay_s=fixed_delay_s
    )


def _parse(version: str) -> tuple[int, int, int] | None:
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def _rule(version: tuple[int, int, int]) -> CountRule:
    if version < (2, 13, 0):
        return CountRule.NONE
    if version < (3, 0, 0):
        return CountRule.NEVER
    if version < (3, 0, 5):
        return CountRule.SYNCED
    if version < (3, 3, 0):
        return CountRule.QUIET
    return CountRule.REVISION


def stored_model(facts: Facts) -> BackOff:
    """The model that the drill wrote down, so that an old run is judged by the settings of its day."""
    event = facts.last(source="drift", subject="Drift", what="model")
    if event is None:
        return BackOff(known=False)
    data = event.data
    return BackOff(
        rule=CountRule(str(data["rule"])),
        start_s=float(data["start_s"]),
        factor=float(data["factor"]),
        cap_s=float(data["cap_s"]),
        cooldown_s=float(data["cooldown_s"]),
        fixed_delay_s=float(data["fixed_delay_s"]),
        known=bool(data["known"]),
    )


def schedule(facts: Facts) -> tuple[tuple[int, float, bool], ...]:
    """(heals before, the gap in seconds that Argo CD lets pass, can the limit be kept?) as far as it grows.

    Empty if the drill wrote no model down.
    """
    if facts.last(source="drift", subject="Drift", what="model") is None:
        return ()
    model, limit_s = stored_model(facts), facts.plan.target.drift.limit_s
    keeps = model.keeps_up_to(limit_s)
    return tuple((heals, model.gap_s(heals), heals <= keeps) for heals in range(HEALS_SHOWN))
