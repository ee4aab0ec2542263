"""Abort: when a drill ends at once because it loses more than was allowed. Pure: live counts in, a reason out.

Four budgets: how long every lane of the app may be without a good answer, how many requests may be lost, how many of
the Deployment's pods may be away, how many nodes may be NotReady that the fault does not name. What it means for a
verdict is not decided here: what was lost until then is judged as ever.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.outcomes import Kind, kind
from rollproof.core.reasons import AbortCause
from rollproof.core.target import Target

__all__ = ["SOURCE", "SUBJECT", "WORD", "Exceeded", "LaneCount", "Limits", "aborted", "exceeded", "limits_of", "lost"]

SOURCE, SUBJECT, WORD = "run", "abort", "aborted"
_SHOWN = 5  # nodes that are named


@dataclass(frozen=True, slots=True)
class LaneCount:
    """One lane so far, as the generator counts it: `outcomes` has a count for each outcome, "" for good answers.

    last_good_ns: when the last good answer was there (CLOCK_MONOTONIC), 0 if none was. bad_since: how many attempts
    have ended badly since then.
    """

    outcomes: Mapping[str, int]
    last_good_ns: int
    bad_since: int

    @property
    def lost(self) -> int:
        """Requests that the target, or the way to it, has failed."""
        return sum(count for outcome, count in self.outcomes.items() if kind(outcome) is Kind.HARD)


@dataclass(frozen=True, slots=True)
class Limits:
    """`dead_s`: all lanes at once. `failures`: of the app's requests; None where only time counts. `pods`: of the
    Deployment, not serving at once; `nodes`: NotReady at once. None where it does not matter."""

    dead_s: float
    failures: int | None
    pods: int | None = None
    nodes: int | None = None


@dataclass(frozen=True, slots=True)
class Exceeded:
    """Which budget is spent, in a word and in a sentence, and the numbers."""

    cause: AbortCause
    reason: str
    numbers: Mapping[str, Any]


def limits_of(target: Target, *, outage_s: float = 0.0, loss_s: float = 0.0) -> Limits:
    """The limits of the target file. outage_s: of a fault that takes everything away by design, for how long it may.
    loss_s: of one that loses requests by design until it is noticed (of a lost node), for how long it may.

    What the traffic's promise allows comes on top: a drill is not ended for an outage that would still pass.
    """
    faults, traffic = target.faults, target.traffic
    dead_s = traffic.downtime_budget_ms / 1000 + faults.abort_after_s + max(outage_s, loss_s)
    failures = faults.abort_failures or int(traffic.rate_per_s * dead_s)
    return Limits(
        dead_s=dead_s,
        failures=None if outage_s else failures,
        pods=faults.abort_pods,
        nodes=faults.abort_nodes,
    )


def lost(lanes: Mapping[str, LaneCount], *, control: str) -> int:
    """Requests of the app that were lost, on all its lanes."""
    return sum(lane.lost for name, lane in lanes.items() if name != control)


def exceeded(
    limits: Limits, lanes: Mapping[str, LaneCount], *, now_ns: int, since_ns: int, lost_before: int, pods_away: int,
    control: str, nodes_away: Collection[str] = (),
) -> Exceeded | None:  # fmt: skip
    """The first budget that is spent; None if none is. now_ns: the generator's clock when it counted; since_ns: when
    the act began, with `lost_before` requests lost until then. nodes_away: those that nobody expects to be."""
    app = [lane for name, lane in lanes.items() if name != control]
    count = lost(lanes, control=control) - lost_before
    dead_s = 0.0
    if app and all(lane.bad_since for lane in app):  # silence alone says nothing: each lane must have lost something
        dead_s = (now_ns - max(since_ns, *(lane.last_good_ns for lane in app))) / 1e9
    numbers: dict[str, Any] = {"lost": count, "dead_s": round(dead_s, 3), "pods_away": pods_away}
    if control in lanes:
        numbers["control_failed"] = bool(lanes[control].bad_since)
    if limits.nodes is not None:
        numbers["nodes_away"] = len(nodes_away)
    if dead_s > limits.dead_s:
        why = f"no lane of the app had a good answer for {dead_s:.1f} s, {limits.dead_s:g} s are allowed"
        return Exceeded(AbortCause.DEAD, f"{why}; {count:,} requests lost", numbers)
    if limits.failures is not None and count > limits.failures:
        return Exceeded(AbortCause.FAILURES, f"{count:,} requests were lost, {limits.failures:,} are allowed", numbers)
    if limits.pods is not None and pods_away > limits.pods:
        why = f"{pods_away} pods do not serve, {limits.pods} may"
        return Exceeded(AbortCause.PODS, f"{why}; {count:,} requests lost", numbers)
    if limits.nodes is not None and len(nodes_away) > limits.nodes:
        why = f"{len(nodes_away)} nodes are NotReady that no fault of ours names, {limits.nodes} may"
        named = ", ".join(sorted(nodes_away)[:_SHOWN])
        return Exceeded(AbortCause.NODES, f"{why} ({named}); {count:,} requests lost", numbers)
    return None


def aborted(facts: Facts) -> Event | None:
    """The fact that the drill was ended at once; None if it was not."""
    told = [one for one in facts.find(source=SOURCE, subject=SUBJECT, what=WORD) if one.drill == facts.drill]
    return told[-1] if told else None
