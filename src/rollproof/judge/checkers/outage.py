"""For an expected outage: was each lost request refused at once, and none lost after the recovery?

For faults that remove what every answer needs (the database, the entry). `availability` would FAIL on each 503, which
is the right answer then; this checks what can be promised even so: no request hangs, no answer is wrong, and after the
recovery nothing is lost.
"""

from __future__ import annotations

from rollproof.core.act import find_act
from rollproof.core.facts import Facts
from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.judge.checkers.lost import Lost
from rollproof.judge.checkers.window import baseline_event, open_window

__all__ = ["check"]

_NAME = "outage"


def check(facts: Facts) -> Verdict:
    """FAIL on a request that got no answer or a wrong one, or was lost after the recovery; PASS if none was."""
    subject = facts.plan.target.app.base_url
    act, log = find_act(facts), facts.requests
    if act is None or act.happened is None:
        why = "no fault had an effect on the target"
        return Verdict(_NAME, subject, Result.INCONCLUSIVE, why)
    if log is None or not len(log.rows):
        return Verdict(_NAME, subject, Result.INCONCLUSIVE, "no request was sent, so nothing is known")
    lost = Lost(open_window(facts, log, act))
    evidence = [event for event in (*act.events, baseline_event(facts, act)) if event is not None]
    findings: tuple[Finding, ...] = ()
    if why := lost.sick_before():
        result = Result.INCONCLUSIVE
    elif broken := _broken(lost):
        result, why, findings = Result.FAIL, broken.text, (broken,)
    elif why := lost.not_known():
        result = Result.INCONCLUSIVE
    else:
        result, why = Result.PASS, _claim(lost)
    return Verdict(
        _NAME, subject, result, why, numbers=lost.numbers, findings=findings,
        evidence=tuple(sorted({event.seq for event in evidence})),
    )  # fmt: skip


def _broken(lost: Lost) -> Finding | None:
    """The first promise that was broken, as a finding."""
    if lost.stalled:
        text = f"{lost.stalled} of {lost.requests} requests were given up without an answer"
        return Finding("STALLED", text, "who waits for a dependency must give up before its callers do")
    if lost.wrong:
        text = f"{lost.wrong} of {lost.requests} answers were wrong"
        return Finding("WRONG_ANSWER", text, "answer with an error status rather than with a wrong body")
    if lost.after:
        text = f"{lost.after} requests were lost after all had been seen to be well again"
        return Finding("LOST_AFTER_RECOVERY", text, "see the answers' times in the requests")
    return None


def _claim(lost: Lost) -> str:
    """The sentence of a PASS."""
    if not lost.all:
        return f"none of {lost.requests} requests was lost"
    return (
        f"{lost.all} of {lost.requests} requests were lost from {lost.from_s:.1f} to {lost.to_s:.1f} s after the "
        f"start, each refused within {lost.longest_ms:.0f} ms; none after the recovery"
    )
