"""Verdicts -> one row a posture check: object, field, value, what is advised, why, and the drill that proves it.

Page and console show the same rows, worst first. They must not judge: level and result are the verdict's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rollproof.core.counts import many
from rollproof.core.verdict import Result, Verdict

__all__ = ["CHECKER", "FINDING", "PostureRow", "posture_rows", "posture_sentence"]

CHECKER = "posture"
FINDING = "finding"
_ORDER = {"FAIL": 0, "INCONCLUSIVE": 1, FINDING: 2, "PASS": 3, "SKIPPED": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostureRow:
    """One check. level: its result, or "finding" for a PASS that has one. The other texts are "" where nothing is."""

    check: str
    level: str
    result: Result
    object: str
    field: str
    value: str
    note: str
    advised: str
    reason: str
    source: str
    drill: str
    why: str  # the verdict's sentence
    hint: str  # what to do where it could not be read
    evidence: tuple[int, ...]

    @property
    def told(self) -> bool:
        """Whether somebody has to read it: it is not as advised, or is not known."""
        return self.level not in ("PASS", "SKIPPED")


def posture_rows(verdicts: Iterable[Verdict]) -> list[PostureRow]:
    """A row for each check, worst first; those of one level in the order of their table."""
    rows = [_row(one) for one in verdicts if one.checker == CHECKER and one.subject.startswith("Check/")]
    return sorted(rows, key=lambda row: _ORDER.get(row.level, 0))


def _row(verdict: Verdict) -> PostureRow:
    said = {
        key: str(verdict.numbers.get(key) or "") for key in ("object", "field", "value", "note", "advised", "source")
    }
    found = verdict.result is Result.PASS and bool(verdict.findings)
    return PostureRow(
        check=verdict.subject.partition("/")[2],
        level=FINDING if found else str(verdict.result),
        result=verdict.result,
        reason=str(verdict.numbers.get("reason") or ""),
        drill=str(verdict.numbers.get("drill") or ""),
        why=verdict.why,
        hint=verdict.findings[0].hint if verdict.findings else "",
        evidence=verdict.evidence,
        **said,
    )


def posture_sentence(verdicts: Iterable[Verdict]) -> str:
    """How many checks came out which way, in one sentence; "" if there were none."""
    rows = posture_rows(verdicts)
    if not rows:
        return ""
    counts = {level: sum(row.level == level for row in rows) for level in _ORDER}
    found = [row.check for row in rows if row.level == FINDING]
    names = f" ({', '.join(found)})" if found else ""
    return (
        f"{many(len(rows), 'posture check')}: {counts['PASS']} as advised, {many(len(found), 'finding')}{names}, "
        f"{counts['FAIL']} broken, {counts['INCONCLUSIVE']} not known, {counts['SKIPPED']} with nothing to judge"
    )
