"""Were the watches good enough to judge by? A watch that ends and lists again is routine; lost facts are not.

A 410 Gone with a clean re-list loses nothing that a verdict needs (argocd.md, architecture.md section 5); only a gap
that its recorder marked `lost` makes the run INCONCLUSIVE.
"""

from __future__ import annotations

import statistics

from rollproof.core.facts import Facts
from rollproof.core.verdict import Number, Result, Verdict

__all__ = ["check"]


def check(facts: Facts) -> Verdict:
    """PASS with the watch delay as the timeline's error bar; INCONCLUSIVE if facts may have been lost."""
    arrived = sum(1 for event in facts.find(source="watch") if event.what != "gap")
    gaps = list(facts.find(source="watch", what="gap"))
    lost = [event for event in gaps if event.data.get("lost")]
    numbers: dict[str, Number] = {"events": arrived, "gaps": len(gaps), "gaps_with_loss": len(lost)}
    if not arrived:
        return Verdict("watches", "Watch", Result.INCONCLUSIVE, "no watch delivered any event", numbers=numbers)
    if lost:
        first = lost[0]
        why = (
            f"{first.subject} was blind for {first.end_s - first.start_s:.1f} s and facts may be missing: "
            f"{first.data.get('reason', 'no reason')}"
        )
        return Verdict(
            "watches", "Watch", Result.INCONCLUSIVE, why, numbers=numbers, evidence=tuple(e.seq for e in lost[:50])
        )
    calibrated = facts.last(source="run", what="calibrated")
    delays = [float(ms) for ms in calibrated.data.get("watch_delay_ms", ())] if calibrated else []
    bar = ""
    if delays:
        numbers["watch_delay_ms_median"] = round(statistics.median(delays), 2)
        numbers["watch_delay_ms_max"] = round(max(delays), 2)
        bar = f"; watch delay {statistics.median(delays):.0f} ms (max {max(delays):.0f} ms)"
    why = f"{arrived} watch events, no fact lost ({len(gaps)} routine gaps){bar}"
    evidence = (calibrated.seq,) if calibrated else ()
    return Verdict("watches", "Watch", Result.PASS, why, numbers=numbers, evidence=evidence)
