"""Masked: requests that were answered only because somebody on the way asked again; what the log says of who and when.

The log is of the whole load, and only what was asked in the window is the act's. Which requests those are the record
says by their ids (the first 50); of the others nobody knows when they were asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rollproof.core.counts import many
from rollproof.core.facts import Facts
from rollproof.core.outcomes import Kind, counted, kinds
from rollproof.core.runframe import ingress_log, unreadable_log
from rollproof.core.verdict import Finding
from rollproof.judge.checkers.window import Window

__all__ = ["Masked", "masked"]


@dataclass(frozen=True, slots=True)
class Masked:
    """How many for certain (an incomplete log shows some of them), of them in the window, in the baseline, and of
    unknown time; `in_front`: those that the ingress itself did not try again."""

    count: int = 0
    during: int = 0
    before: int = 0
    undated: int = 0
    in_front: int = 0

    def who(self) -> str:
        """Who asked again, as the end of a sentence."""
        if not self.in_front:
            return "the ingress tried again"
        front = "something in front of the ingress (a balancer) asked again"
        return front if self.in_front >= self.count else f"the ingress tried again or {front} ({self.in_front:,} times)"

    def finding(self) -> Finding:
        """MASKED; only where there are any."""
        own = self.count - self.in_front
        said = [f"the ingress tried {many(own, 'request')} again"] if own else []
        if self.in_front:
            said.append(
                f"something in front of the ingress (a balancer) asked again for {many(self.in_front, 'request')}"
            )
        outside = self.count - self.during - self.undated
        when = f" ({outside:,} of them not in the window)" if outside else ""
        text = f"{' and '.join(said)}, so that no client saw the failure of a pod{when}"
        hint = "the app drops requests when a pod goes: see the upstreams in the ingress log; add a preStop sleep"
        return Finding("MASKED", text, hint)


def masked(facts: Facts, window: Window) -> Masked:
    """What the log of the load says, as far as it can be read."""
    log = ingress_log(facts) or unreadable_log(facts)
    if log is None or not log.masked:
        return Masked()
    if not log.retried_ids:  # which they were was not recorded: all of them may be the act's
        return Masked(log.masked, during=log.masked, in_front=log.in_front)
    rows = window.log
    prefix = f"{rows.engine.request_id_prefix}-"
    tried = {int(one.removeprefix(prefix)) for one in log.retried_ids if one.removeprefix(prefix).isdecimal()}
    chosen = np.isin(rows.rows["k"], list(tried)) & window.app & (kinds(rows) == Kind.GOOD)
    during, before = counted(chosen & window.inside), counted(chosen & window.before)
    return Masked(
        log.masked, during=during, before=before, undated=max(0, log.masked - counted(chosen)), in_front=log.in_front
    )
