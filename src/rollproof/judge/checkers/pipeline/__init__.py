"""Did the running version come the whole way through the pipeline, and each leg in time? One verdict a leg.

PASS needs positive evidence of its own leg; what the target has not is SKIPPED, what could not be read INCONCLUSIVE.
A leg's time is from the end of the leg before it, by the clocks of who wrote the stamps (docs/pipeline.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from rollproof.core.facts import Facts
from rollproof.core.pipeline import Road
from rollproof.core.pipelinewords import BEFORE, Leg
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.core.visible import printable
from rollproof.judge.checkers.pipeline import delivery, image, scan, source
from rollproof.judge.checkers.pipeline.base import Said, Way, judged

__all__ = ["check"]

_WHY_MAX = 1_000  # characters
_LEGS: Mapping[Leg, Callable[[Way], Said]] = {
    Leg.COMMIT: source.commit,
    Leg.STARTED: source.started,
    Leg.TESTED: source.tested,
    Leg.IMAGE: image.image,
    Leg.SCAN: scan.scanned,
    Leg.ENV_COMMIT: delivery.env_commit,
    Leg.SEEN: delivery.seen,
    Leg.SYNCED: delivery.synced,
    Leg.ROLLED_OUT: delivery.rolled_out,
    Leg.PROVEN: delivery.proven,
}


def check(facts: Facts) -> tuple[Verdict, ...]:
    """A verdict for each leg, in their order; one alone where nobody looked."""
    road = Road(facts)
    if not road.asked:
        return (Verdict("pipeline", "Pipeline", Result.INCONCLUSIVE, "nobody has looked at the pipeline"),)
    way, verdicts = Way(road, {}, {}), []
    for leg, judge in _LEGS.items():
        road.used.clear()
        said, numbers = _timed(way, leg, judged(way, judge))
        way.said[leg] = said
        if said.end_s is not None:
            way.ends[leg] = said.end_s
        evidence = tuple(dict.fromkeys(road.used))
        why = printable(said.why, length_max=_WHY_MAX)  # names of jobs, authors, Argo CD's message: one line of it
        findings = (Finding(said.code, why, said.hint),) if said.code else ()
        verdicts.append(
            Verdict(
                "pipeline", f"Pipeline/{leg}", said.result, why, numbers=numbers, evidence=evidence,
                findings=findings,
            )
        )  # fmt: skip
    return tuple(verdicts)


def _timed(way: Way, leg: Leg, said: Said) -> tuple[Said, dict[str, Number]]:
    """What is said, held against the leg's limit, and its time."""
    limit_s, since = way.limit_s(leg), _since(way, leg)
    if said.result is not Result.PASS or leg not in BEFORE:
        return said, {}
    if said.end_s is None or since is None:
        if limit_s is None:
            return said, {}
        why = f"{said.why}; how long it took is not known, and the limit is {limit_s:g} s"
        return replace(said, why=why, result=Result.INCONCLUSIVE), {}
    took_s = round(said.end_s - way.ends[since], 3)
    numbers: dict[str, Number] = {"took_s": took_s, "since": str(since)}
    apart = f"{took_s:,.0f} s after" if took_s >= 0 else f"by the clocks {-took_s:,.0f} s before the end of"
    said = replace(said, why=f"{said.why}; {apart} {since}")
    if limit_s is None:
        return said, numbers
    said = replace(said, why=f"{said.why}, the limit is {limit_s:g} s")
    return _held(said, took_s, limit_s, whole=since is BEFORE[leg], slack_s=way.slack_s), numbers


def _held(said: Said, took_s: float, limit_s: float, *, whole: bool, slack_s: float) -> Said:
    """Against its limit. `whole`: it is counted from the leg before it; else legs between are in it, and it is less."""
    if took_s < -slack_s:
        return replace(said, why=f"{said.why}: the clocks are apart", result=Result.INCONCLUSIVE)
    if took_s <= limit_s:
        return said
    if not whole or took_s <= limit_s + slack_s:
        doubt = "the clocks may be apart" if whole else "of what is between nothing is known"
        return replace(said, why=f"{said.why}: {doubt}", result=Result.INCONCLUSIVE)
    hint = "the legs before and after show whether it is this one alone"
    return replace(said, result=Result.FAIL, code="LEG_TOO_SLOW", hint=hint)


def _since(way: Way, leg: Leg) -> Leg | None:
    """The nearest leg before it whose end is known."""
    before = BEFORE.get(leg)
    while before is not None and before not in way.ends:
        before = BEFORE.get(before)
    return before
