"""Report -> one row a drill: its result, how long it took, and the verdict that decided it.

It must not judge: each result and sentence is a verdict's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rollproof.core.counts import many
from rollproof.core.runframe import drill_took_s
from rollproof.core.verdict import Result, Verdict, worst
from rollproof.reports.model import Report

__all__ = ["DrillRow", "drill_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRow:
    """One drill. took_s: None where its end was not recorded. why: the sentence that decided, or how many hold."""

    drill: str
    result: Result
    took_s: float | None
    why: str


def drill_rows(report: Report) -> Iterator[DrillRow]:
    """A row for each drill of the plan, in the order of the run."""
    for drill, facts in report.drills():
        own = [one for one in report.verdicts if one.drill == drill]
        skipped = bool(own) and all(one.result is Result.SKIPPED for one in own)
        result = Result.SKIPPED if skipped else worst(one.result for one in own)
        yield DrillRow(drill=drill, result=result, took_s=drill_took_s(facts), why=_why(result, own))


def _why(result: Result, own: Sequence[Verdict]) -> str:
    """The first verdict of that result, and how many are like it; of PASS, counts and findings."""
    alike = [one for one in own if one.result is result]
    if not alike:
        return "nothing was judged"
    if result is not Result.PASS:
        more = f" ({many(len(alike) - 1, 'more check')} like it)" if len(alike) > 1 else ""
        return f"{alike[0].checker}: {alike[0].why}{more}"
    found = [one for one in own if one.findings]
    told = f"; {many(len(found), 'finding')}" if found else ""
    return f"{many(len(alike), 'check')} passed{told}"
