"""Scattered: single failures that lie over most of the time that was watched. Pure.

Each one by itself is near some step of a short rollout, and would be blamed on that step; all together are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rollproof.core.counts import many
from rollproof.core.intervals import most_in_a_row
from rollproof.core.outcomes import CLOSED_UNANSWERED, Kind, kinds, may_be_background
from rollproof.core.verdict import Finding
from rollproof.judge.diagnose.moments import Burst, Moment

__all__ = ["KEEPALIVE", "SPARSE", "scattered"]

SPARSE = 3  # a keep-alive race hits a few requests, not a crowd
KEEPALIVE = (*CLOSED_UNANSWERED, "send.", "http.502")  # what is closed while it is idle looks like this
_FEWEST = 4  # less may well be one step's
_SHARE_MAX = 0.05  # of what was asked within half a second of them
_OVER_MIN = 0.5  # of the time from the act's start to the end of the load


def scattered(moments: Sequence[Moment]) -> Finding | None:
    """The one cause of all failures, if they are single ones and lie like no step of a rollout.

    Not while a fault of ours was at work, which may lose requests one by one; never of wrong answers; not where the
    control lane failed too, and not of reused connections alone (each rule for those says more).
    """
    bursts = [moment.burst for moment in moments]
    if not bursts or any(moment.injected for moment in moments) or not _single(bursts):
        return None
    log, rows = bursts[0].log, np.concatenate([burst.rows for burst in bursts])
    since_s = moments[0].act.started.start_s
    spread_s, watched_s = bursts[-1].end_s - bursts[0].start_s, float(log.rows["send_ns"].max()) / 1e9 - since_s
    if spread_s < _OVER_MIN * watched_s:
        return None
    outcomes = ", ".join(sorted({one for burst in bursts for one in burst.outcomes()}))
    text = (
        f"{many(len(rows), 'failure')} ({outcomes}), never two in a row, spread over {spread_s:.1f} s of "
        f"{watched_s:.1f}: no step of the rollout lies like that"
    )
    hint = (
        "likely lost without a release too: measure the rate (a longer traffic.baseline_s), and look for their request "
        "ids in the ingress and app logs; a known rate is allowed by traffic.background_failures_per_million"
    )
    return Finding("SCATTERED", text, hint, {"failures": len(rows)})


def _single(bursts: Sequence[Burst]) -> bool:
    """Whether these are single failures of the app, few of what was asked at their time, which can be chance."""
    log, rows = bursts[0].log, np.concatenate([burst.rows for burst in bursts])
    if len(rows) < _FEWEST or not may_be_background(replace(log, rows=rows)).all():
        return False
    if any(burst.beside_control for burst in bursts):
        return False
    if rows["reused"].all() and all(burst.share(*KEEPALIVE) == 1.0 for burst in bursts):
        return False
    if any(burst.share_of_asked() > _SHARE_MAX for burst in bursts):
        return False
    span_ns = (int(rows["send_ns"].min()), log.engine.end_ns)
    counted = np.isin(log.rows["k"], rows["k"])
    silent = (kinds(log) >= Kind.HARD) & ~counted
    in_a_row, _ = most_in_a_row(log, window_ns=span_ns, failed=counted, silent=silent)
    return in_a_row <= 1
