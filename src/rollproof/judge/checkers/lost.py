"""Lost requests of a window where some are expected to be lost, sorted by what that means.

For the checkers that allow it within bounds: `outage` (each refused at once) and `loss` (none after a while).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rollproof.core.act import find_act
from rollproof.core.counts import many
from rollproof.core.facts import Facts
from rollproof.core.outcomes import Kind, counted, kinds, may_be_background, was_silence
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.judge.checkers.background import left_by_baseline, more_than
from rollproof.judge.checkers.window import Window, baseline_event, open_window

__all__ = ["Lost", "judged"]

_DECIMALS = 3
_NEARLY_ALL = 0.95  # of the good answers must name their pod, or one that does not says nothing
_AFTERWARDS_NS = 1_000_000_000  # so long the load must have gone on after the end


class Lost:
    """The failed requests of the window, by kind: those that only the app can have caused, or (`doubtful`) with them
    those that it need not have caused. `allowed`: the probability of a failure that occurs without any act."""

    def __init__(self, window: Window, *, allowed: float, doubtful: bool = False) -> None:
        log, self.window, self.allowed = window.log, window, allowed
        self._sends = log.rows["send_ns"]
        self._over_ns = None if window.act.over_s is None else int(window.act.over_s * 1e9)
        blamed = window.blamed | window.doubtful if doubtful else window.blamed
        after = self._sends >= self._over_ns if self._over_ns is not None else np.zeros(len(log.rows), dtype=bool)
        silence = was_silence(log)
        self.all = counted(blamed)
        self.stalled = counted(blamed & silence)
        wrong = blamed & ~silence & ~may_be_background(log)
        self.wrong, self._wrong = counted(wrong), wrong
        self.after = counted(blamed & after)
        self._blamed, self._after, self._left = blamed, after, left_by_baseline(window, allowed=allowed)
        self.requests = counted(window.app & window.inside)
        told = window.app & window.inside & (kinds(log) <= Kind.HARD)  # what says anything of the app
        self._told_during, self._told_after = counted(told & ~after), counted(told & after)
        times = self._sends[blamed] / 1e9 - window.act.started.start_s
        self.from_s, self.to_s = (float(times.min()), float(times.max())) if self.all else (0.0, 0.0)
        waits_ms = (log.rows["done_ns"] - self._sends)[blamed] / 1e6
        self.longest_ms = float(waits_ms.max()) if self.all else 0.0

    @property
    def numbers(self) -> dict[str, Number]:
        """The counts."""
        return {
            "requests": self.requests, "failures": self.all, "stalled": self.stalled, "wrong_answers": self.wrong,
            "failures_after_recovery": self.after, "failures_while_control_failed": counted(self.window.suspect),
            "failed_from_s": round(self.from_s, _DECIMALS), "failed_to_s": round(self.to_s, _DECIMALS),
            "failed_answer_ms_max": round(self.longest_ms, _DECIMALS),
        }  # fmt: skip

    def sick_before(self) -> str:
        """Failures in the baseline: then the act's failures cannot be distinguished from others.

        A request that was in flight as the act began is none: the act may have stalled it.
        """
        window = self.window
        before = window.app & window.before & (window.log.rows["done_ns"] < int(window.act.started.start_s * 1e9))
        failed = (kinds(window.log) == Kind.HARD) & before
        more = more_than(window, failed, before, allowed=self.allowed)
        return f"{many(counted(failed), 'request')} failed before the fault" if more else ""

    def later_than(self, since_s: float) -> NDArray[np.bool_]:
        """What was sent later than that (s from the start)."""
        found: NDArray[np.bool_] = self._sends / 1e9 - self.window.act.started.start_s > since_s
        return found

    def lost_of(self, chosen: NDArray[np.bool_]) -> int:
        """How many of these requests were lost."""
        return counted(self._blamed & chosen)

    def more_of(self, chosen: NDArray[np.bool_], *, allowed: float | None = None) -> str:
        """Why more of these was lost than a background explains; "" if it explains them."""
        asked = self.window.app & self.window.inside & chosen
        rate = self.allowed if allowed is None else allowed
        return more_than(self.window, self._blamed & chosen, asked, allowed=rate)

    @property
    def words_after(self) -> str:
        """The end of a PASS's sentence: what was lost after the recovery, which a background explains."""
        return _as_background(self.after, "after the recovery")

    def words_since(self, since_s: float) -> str:
        """The same, with what was lost later than that."""
        return f"{_as_background(self.lost_of(self.later_than(since_s)), 'later')}{self.words_after}"

    def not_known(self) -> str:
        """Why a PASS is not possible; "" if it is."""
        if self._over_ns is None:
            return f"no end was seen: {self.window.act.why_not_over()}"
        if why := self.window.act.why_foreign:
            return f"{why}: what was measured is not of the fault alone"
        if (suspect := counted(self.window.suspect)) > 0:
            return f"{suspect} requests failed while the control lane failed too: whose failures they are is not known"
        if limited := counted(self.window.limited):
            return f"{many(limited, 'request')} got 403 or 429, from whoever limits the rate"
        if unfinished := self.window.unfinished:
            return f"{many(unfinished, 'request')} had no outcome when the load ended"
        if self.allowed and (more := self.more_of(self._after, allowed=self._left)):
            return f"{many(self.after, 'request')} failed after the recovery, and by the baseline {more}"
        if not self._told_during:
            return "nobody asked while it lasted: that nothing was lost then says nothing"
        if self.window.log.engine.end_ns < self._over_ns + _AFTERWARDS_NS or not self._told_after:
            return "the load ended with the fault: nobody asked afterwards"
        return ""

    def wrong_or_afterwards(self) -> Finding | None:
        """What no such checker allows: a wrong answer, or a request that was lost after the recovery."""
        if self.wrong:
            return self._wrong_answer()
        if self.more_of(self._after):
            text = f"{self.after} requests were lost after all had been seen to be well again"
            return Finding("LOST_AFTER_RECOVERY", text, "see the answers' times in the requests")
        return None

    def _wrong_answer(self) -> Finding:
        """What they were, and whether pods gave them or the entry alone: it is another one who has to mend that."""
        log = self.window.log
        outcomes, counts = np.unique(log.column("outcome")[self._wrong], return_counts=True)
        what = ", ".join(f"{count:,} {log.outcomes[index]}" for index, count in zip(outcomes, counts, strict=True))
        text = f"{self.wrong:,} of {self.requests:,} answers were wrong ({what})"
        named = log.column("served_by") > 0
        good = self.window.app & (kinds(log) == Kind.GOOD)
        if named[self._wrong].any() or not named[good].any() or named[good].mean() < _NEARLY_ALL:
            return Finding("WRONG_ANSWER", text, "answer with an error status rather than with a wrong body")
        return Finding(
            "WRONG_ANSWER",
            f"{text}; none of them names a pod, as good answers do: the entry itself may have given them",
            "an entry that has no routes yet must not be ready: let its readiness probe ask for a route, not a ping",
        )


def _as_background(count: int, when: str) -> str:
    return f"; {many(count, 'request')} {when}, as the allowed background has them" if count else ""


def judged(
    facts: Facts, checker: str, *, broken: Callable[[Lost], Finding | None], claim: Callable[[Lost], str],
    doubt: Callable[[Lost], str] = lambda _: "",
) -> Verdict:  # fmt: skip
    """The verdict of a checker that allows losses within bounds.

    broken: the first promise that was broken, which is FAIL. claim: the sentence of a PASS. doubt: why one may be
    broken; "" if none is.
    """
    subject = facts.plan.target.app.base_url
    act, log = find_act(facts), facts.requests
    if act is None or act.happened is None:
        return Verdict(checker, subject, Result.INCONCLUSIVE, "no fault had an effect on the target")
    if log is None or not len(log.rows):
        return Verdict(checker, subject, Result.INCONCLUSIVE, "no request was sent, so nothing is known")
    allowed = facts.plan.target.traffic.background_failures_per_million / 1e6
    lost = Lost(open_window(facts, log, act), allowed=allowed)
    evidence = [event for event in (*act.events, baseline_event(facts, act)) if event is not None]
    findings: tuple[Finding, ...] = ()
    if why := lost.sick_before():
        result = Result.INCONCLUSIVE
    elif finding := broken(lost):
        result, why, findings = Result.FAIL, finding.text, (finding,)
    elif why := lost.not_known() or _in_doubt(lost, broken) or doubt(lost):
        result = Result.INCONCLUSIVE
    else:
        result, why = Result.PASS, claim(lost)
    return Verdict(
        checker, subject, result, why, numbers=lost.numbers, findings=findings,
        evidence=tuple(sorted({event.seq for event in evidence})),
    )  # fmt: skip


def _in_doubt(lost: Lost, broken: Callable[[Lost], Finding | None]) -> str:
    """Why the promise may be broken by failures that need not be the app's; "" if it is kept with them."""
    window = lost.window
    if not window.doubtful.any() or (finding := broken(Lost(window, allowed=lost.allowed, doubtful=True))) is None:
        return ""
    why = "the generator was late then, or the control lane was slow too"
    if window.self_made.any():
        why = f"the generator was not on time: {window.why_late}"
    return f"{finding.text}; whose failures these are is not known: {why}"
