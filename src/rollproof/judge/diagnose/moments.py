"""The input of the causes, on one clock: bursts of failed requests, and what the drill did then.

Watch arrivals are a few milliseconds late, so rules compare with slack; this module must not decide about causes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rollproof.core.act import Act
from rollproof.core.facts import Facts
from rollproof.core.outcomes import Kind, counted, kinds, lane_mask, was_silence
from rollproof.core.part import ActKind, Part
from rollproof.core.podlives import PodLife
from rollproof.core.requests import RequestLog
from rollproof.core.watched import endpoint_count, ready_addresses
from rollproof.judge.checkers.window import Window

__all__ = ["AFTER_SERVICE_S", "SLACK_S", "Burst", "Moment", "bursts", "fewest_endpoints", "share_with_one_endpoint"]

SLACK_S = 0.25  # a watch event arrives later than the change that it reports
AFTER_SERVICE_S = 5.0  # ingress-nginx may use an address 4.4 s longer than the EndpointSlice lists it
_NEARLY_ALL = 0.8
_AROUND_S = 0.5
_APART_S = 1.0  # failures further apart than this are separate bursts, whatever their lane


@dataclass(frozen=True, slots=True)
class Burst:
    """Failed requests close together that the verdict counts. `rows` are their rows of the log; times are seconds on
    the timeline's clock."""

    log: RequestLog
    rows: NDArray[np.void]

    @property
    def beside_control(self) -> bool:
        """Whether the control lane, which no verdict counts, failed at the time of these."""
        sends = self.log.rows["send_ns"]
        around_ns = int(_APART_S * 1e9)
        since_ns, until_ns = int(self.rows["send_ns"].min()) - around_ns, int(self.rows["send_ns"].max()) + around_ns
        failed = lane_mask(self.log, self.log.control) & (kinds(self.log) == Kind.HARD)
        return bool((failed & (sends >= since_ns) & (sends <= until_ns)).any())

    @property
    def start_s(self) -> float:
        """Time of the first failed send."""
        return float(self.rows["send_ns"].min()) / 1e9

    @property
    def end_s(self) -> float:
        """Time of the last failed send."""
        return float(self.rows["send_ns"].max()) / 1e9

    @property
    def felt_s(self) -> float:
        """The earliest time at which a failure showed: the end of an attempt, or the send of one without an answer."""
        part = replace(self.log, rows=self.rows)
        ended = ~was_silence(part) & (part.rows["done_ns"] > 0)
        return float(np.where(ended, part.rows["done_ns"], part.rows["send_ns"]).min()) / 1e9

    def lanes(self) -> set[str]:
        """Names of the lanes with failures."""
        return {self.log.lanes[int(lane)] for lane in np.unique(self.rows["lane"])}

    def outcomes(self) -> set[str]:
        """The classes of failure in it."""
        return {self.log.outcomes[int(outcome)] for outcome in np.unique(self.rows["outcome"])}

    def share(self, *prefixes: str) -> float:
        """The share of failures whose outcome begins with one of these words."""
        wanted = [index for index, name in enumerate(self.log.outcomes) if name.startswith(prefixes)]
        return float(np.isin(self.rows["outcome"], wanted).mean())

    def share_of_asked(self, since_s: float | None = None, pod: str = "") -> float:
        """The share of the requests on its lanes that are these failures: since then (of that pod, if one is named),
        or within half a second of them."""
        begin_s = self.start_s - _AROUND_S if since_s is None else min(since_s, self.start_s)
        end_s = self.end_s + (_AROUND_S if since_s is None else 0.0)
        asked, mine = self.log.rows, self.rows
        chosen = (asked["send_ns"] >= int(begin_s * 1e9)) & (asked["send_ns"] <= int(end_s * 1e9) + 1)
        if pod:
            index = self.log.pods.index(pod)
            chosen &= asked["served_by"] == index
            mine = mine[mine["served_by"] == index]
        else:
            chosen &= np.isin(asked["lane"], np.unique(mine["lane"]))
        return len(mine) / max(1, counted(chosen))

    def served_by(self) -> str:
        """The pod with most of the bad answers, "" if unknown."""
        named = self.rows["served_by"][self.rows["served_by"] > 0]
        return self.log.pods[int(np.bincount(named).argmax())] if len(named) else ""

    def named(self) -> frozenset[str]:
        """The pods named in the bad answers; empty unless nearly all answers name one."""
        indices = self.rows["served_by"]
        if (indices > 0).mean() < _NEARLY_ALL:
            return frozenset()
        return frozenset(self.log.pods[int(index)] for index in np.unique(indices[indices > 0]))

    def took_s(self) -> float:
        """Duration of the longest of the failed requests (s)."""
        done = self.rows["done_ns"] > 0
        return float((self.rows["done_ns"] - self.rows["send_ns"])[done].max(initial=0)) / 1e9


def bursts(window: Window) -> list[Burst]:
    """The failures that the verdict counts, grouped: what it does not count needs no cause, and could only name a wrong
    one. Not the good answers that it counts too: of a version that should not answer (a root of its own), or too late.
    """
    log = window.log
    failed = log.rows[window.blamed & ~window.late & (kinds(log) == Kind.HARD)]
    if not len(failed):
        return []
    cuts = np.flatnonzero(np.diff(failed["send_ns"]) > _APART_S * 1e9) + 1
    return [Burst(log, rows) for rows in np.split(failed, cuts)]


@dataclass(frozen=True, slots=True)
class Moment:
    """The input of a rule: one burst of failures, the pods' lives, and what the drill did."""

    facts: Facts
    burst: Burst
    lives: Sequence[PodLife]
    act: Act

    @property
    def injected(self) -> Part | None:
        """The drift or fault during which the failures began; None if there was none, or it was a rollout."""
        part = self.act.at(self.burst.start_s, early_s=SLACK_S, late_s=AFTER_SERVICE_S)
        return None if part is None or part.kind is ActKind.ROLLOUT else part

    @property
    def aside(self) -> str:
        """Words that the failures are not related to the act; "" while a drift or fault was active."""
        return "" if self.injected else f", at no step of the {self.act.noun}"

    def when_injected(self, part: Part) -> str:
        """Words for the drift or fault, and for how long it had been active."""
        since_s = max(self.burst.start_s - part.started.start_s, 0.0)
        return f"{part.name} was injected {since_s:.1f} s"


def fewest_endpoints(facts: Facts, begin_s: float, end_s: float) -> int | None:
    """The smallest number of ready endpoints at any time between; None if no watch reported."""
    words = [(event.start_s, endpoint_count(ips)) for event, ips in ready_addresses(facts)]
    before = [count for at_s, count in words if at_s <= begin_s][-1:]
    between = [count for at_s, count in words if begin_s < at_s <= end_s]
    return min(before + between, default=None)


def share_with_one_endpoint(facts: Facts, burst: Burst) -> float:
    """The share of these failures that were sent while at most one endpoint was ready: a proxy had no other to ask."""
    told = [(event.start_s, endpoint_count(ips)) for event, ips in ready_addresses(facts)]
    times_s, ready = np.array([at_s for at_s, _ in told]), np.array([count for _, count in told])
    sends_s = burst.rows["send_ns"] / 1e9
    first = np.maximum(np.searchsorted(times_s, sends_s - SLACK_S, side="right") - 1, 0)
    last = np.searchsorted(times_s, sends_s + SLACK_S, side="right")
    spans, lost = np.unique(np.column_stack((first, last)), axis=0, return_counts=True)
    alone = [int(many) for (since, until), many in zip(spans, lost, strict=True) if (ready[since:until] <= 1).any()]
    return sum(alone) / len(sends_s)
