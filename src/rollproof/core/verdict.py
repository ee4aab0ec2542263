"""Verdict: what a checker concluded, why, and the evidence that lets a reader check the conclusion.

Two rules live here and nowhere else: the order FAIL > INCONCLUSIVE > PASS, and that the worst of nothing is
INCONCLUSIVE (Jepsen folds from `true`, so a test with no checker passes; we must not).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "EXIT_CODES",
    "EXIT_UNDO_FAILED",
    "EXIT_USAGE",
    "WORST_FIRST",
    "Finding",
    "Interval",
    "Number",
    "Result",
    "Verdict",
    "worst",
]

Number = float | int | str | bool | None

EXIT_USAGE = 2
EXIT_UNDO_FAILED = 4


class Result(StrEnum):
    """PASS and FAIL are claims; INCONCLUSIVE says that no claim is possible; SKIPPED that this target cannot do it."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    SKIPPED = "SKIPPED"


EXIT_CODES: Mapping[Result, int] = {Result.PASS: 0, Result.FAIL: 1, Result.INCONCLUSIVE: 3, Result.SKIPPED: 3}

WORST_FIRST: Mapping[Result, int] = {Result.FAIL: 0, Result.INCONCLUSIVE: 1, Result.PASS: 2, Result.SKIPPED: 3}
_SEVERITY = {Result.PASS: 0, Result.INCONCLUSIVE: 1, Result.FAIL: 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth acting on that does not decide the verdict by itself: MASKED retries, advice, a likely cause.

    `code` is stable and upper case (MASKED, PRESTOP_TOO_SHORT), `text` one sentence, `hint` what to do next; `numbers`
    are those that a change is made of, with their unit in the key (`prestop_s`).
    """

    code: str
    text: str
    hint: str
    numbers: Mapping[str, Number] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch that was judged: `kind` "outage" or "blind", between which times (ns) it begins and ends, and words.

    Reports draw these, and derive none of their own: what is drawn is what was judged.
    """

    kind: str
    lane: str
    begins_ns: tuple[int, int]
    ends_ns: tuple[int, int]
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conclusion of one checker about one subject.

    `why` is one sentence with the deciding number in it; `numbers` keep their unit in the key (`gap_ms_max`);
    `evidence` holds the `seq` of the events that prove it, `intervals` the stretches of time that it counted.
    """

    checker: str
    subject: str
    result: Result
    why: str
    drill: str = ""
    numbers: Mapping[str, Number] = field(default_factory=dict)
    evidence: tuple[int, ...] = ()
    findings: tuple[Finding, ...] = ()
    intervals: tuple[Interval, ...] = ()


def worst(results: Iterable[Result]) -> Result:
    """The run's result: the worst that any checker said. SKIPPED never counts; of nothing, INCONCLUSIVE."""
    judged = [result for result in results if result is not Result.SKIPPED]
    if not judged:
        return Result.INCONCLUSIVE
    return max(judged, key=lambda result: _SEVERITY[result])
