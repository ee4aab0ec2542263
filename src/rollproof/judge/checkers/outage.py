"""For an expected outage: was each lost request refused at once, and none lost after the recovery?

For faults that remove what every answer needs (the database, the entry). `availability` would FAIL on each 503, which
is the right answer then; this checks what can be promised even so: no request hangs, no answer is wrong, and after the
recovery nothing is lost.
"""

from __future__ import annotations

from rollproof.core.facts import Facts
from rollproof.core.verdict import Finding, Verdict
from rollproof.judge.checkers.lost import Lost, judged

__all__ = ["check"]

_NAME = "outage"


def check(facts: Facts) -> Verdict:
    """FAIL on a request that got no answer or a wrong one, or was lost after the recovery; PASS if none was."""
    return judged(facts, _NAME, broken=_broken, claim=_claim)


def _broken(lost: Lost) -> Finding | None:
    """The first promise that was broken, as a finding."""
    if lost.stalled:
        text = f"{lost.stalled:,} of {lost.requests:,} requests were given up without an answer"
        return Finding("STALLED", text, "who waits for a dependency must give up before its callers do")
    return lost.wrong_or_afterwards()


def _claim(lost: Lost) -> str:
    """The sentence of a PASS."""
    if not lost.all:
        return f"none of {lost.requests:,} requests was lost"
    return (
        f"{lost.all:,} of {lost.requests:,} requests were lost from {lost.from_s:.1f} to {lost.to_s:.1f} s after the "
        f"start, each refused within {lost.longest_ms:.0f} ms{lost.words_after or '; none after the recovery'}"
    )
