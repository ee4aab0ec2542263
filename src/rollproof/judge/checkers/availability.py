"""Was the app available from the start of the act until a while after its end? For every kind of act.

Implements the table of docs/verdicts.md: the first row that applies decides. Slow answers fail a run only by a limit of
the target file. One more failed request in the window never improves the verdict, and a rule that allows more never
makes it worse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rollproof.core.act import find_act
from rollproof.core.binomial import failure_bound
from rollproof.core.facts import Facts
from rollproof.core.intervals import Gap, Outage, blind_gaps, outages
from rollproof.core.outcomes import Kind, counted, kinds
from rollproof.core.part import ActKind
from rollproof.core.requests import RequestLog
from rollproof.core.runframe import IngressLog, ingress_log, reason, unreadable_log
from rollproof.core.statistics import latency_ms, left_after_one_retry
from rollproof.core.verdict import Finding, Interval, Number, Result, Verdict
from rollproof.judge.checkers import background, limits
from rollproof.judge.checkers.background import Background
from rollproof.judge.checkers.endpoint_lag import EndpointLag, endpoint_lag
from rollproof.judge.checkers.limits import P99, Budget
from rollproof.judge.checkers.masked import masked
from rollproof.judge.checkers.window import Window, baseline_event, open_window

__all__ = ["check"]

_NAME = "availability"
_DECIMALS = 3
_INTERVALS_MAX = 500  # outages in a verdict, the widest ones


@dataclass(frozen=True, slots=True)
class _Case:
    """The input of all rows of the table, derived once."""

    facts: Facts
    window: Window
    outages: tuple[Outage, ...]
    budget: Budget
    background: Background | None
    p99: P99 | None
    gap: Gap  # the widest
    gaps: tuple[Gap, ...]
    ingress: IngressLog | None
    lag: EndpointLag | None
    numbers: Mapping[str, Number] = field(default_factory=dict)

    def verdict(self, result: Result, why: str) -> Verdict:
        evidence = [*self.window.act.events, self.ingress.event if self.ingress else None]
        evidence.append(baseline_event(self.facts, self.window.act))
        return Verdict(
            checker=_NAME,
            subject=self.facts.plan.target.app.base_url,
            result=result,
            why=why,
            numbers=self.numbers,
            evidence=tuple(sorted({event.seq for event in evidence if event is not None})),
            findings=_findings(self),
            intervals=_intervals(self),
        )


def check(facts: Facts) -> Verdict:
    """The verdict of the first row that applies."""
    subject = facts.plan.target.app.base_url
    log, act = facts.requests, find_act(facts)
    if act is None:
        return Verdict(
            _NAME, subject, Result.INCONCLUSIVE, "nothing was done to the target: no rollout, drift or fault was begun"
        )
    if log is None or not len(log.rows) or not log.open_loop:
        return Verdict(_NAME, subject, Result.INCONCLUSIVE, "no request was sent, so nothing is known")
    case = _case(facts, open_window(facts, log, act))
    for row in (_no_act, _sick_before, _lost, _too_slow, _masked_is_failure, _not_known):
        verdict = row(case)
        if verdict is not None:
            return verdict
    lag = f"; {case.lag.words()}" if case.lag is not None else ""
    return case.verdict(Result.PASS, f"{_claim(case)}{lag}")


def _case(facts: Facts, window: Window) -> _Case:
    log, traffic = window.log, facts.plan.target.traffic
    allowed = traffic.background_failures_per_million / 1e6
    ingress, gaps = ingress_log(facts), blind_gaps(log, window_ns=window.window_ns)
    case = _Case(
        facts=facts,
        window=window,
        outages=outages(log, window_ns=window.window_ns, failed=window.blamed, silent=window.silent),
        budget=limits.budget(window, traffic),
        background=background.compare(window, allowed=allowed) if allowed else None,
        p99=limits.p99(window, window.app & window.inside, traffic.p99_ms_max),
        gap=gaps[0],
        gaps=gaps,
        ingress=ingress,
        lag=endpoint_lag(facts, window, ingress or unreadable_log(facts)),
    )
    return replace(case, numbers=_numbers(case))


def _numbers(case: _Case) -> dict[str, Number]:
    window, log = case.window, case.window.log
    app = window.app & window.inside
    requests = counted(app)
    failed = counted(window.hard)
    paced = np.array([lane in log.open_loop for lane in log.lanes])[log.column("lane")]  # "slow" is slow on purpose
    answered = (kinds(log) == Kind.GOOD) | window.late
    p50, p99, most = latency_ms(log, app & paced & answered)
    numbers: dict[str, Number] = {
        "requests": requests,
        "failures": failed,
        "failures_while_control_failed": counted(window.suspect),
        "failures_after_one_retry": left_after_one_retry(log, window.blamed),
        "control_failures": counted(window.control_failed),
        "refused_by_rate_limit": counted(window.limited),
        "without_statement": counted(window.unknown),
        "slow": counted(_slow(case)),
        "stale": counted(log.rows["stale"] & app),
        "outages": len(case.outages),
        "outage_ms_lower": round(max((one.lower_ms for one in case.outages), default=0.0), _DECIMALS),
        "outage_ms_upper": round(max((one.upper_ms for one in case.outages), default=0.0), _DECIMALS),
        **case.budget.numbers(),
        "gap_ms_max": round(case.gap.gap_ms, _DECIMALS),
        "gap_lane": case.gap.lane,
        "gap_own_ms": round(case.gap.own_ms, _DECIMALS),
        "latency_ms_p50": round(p50, _DECIMALS),
        "latency_ms_p99": round(p99, _DECIMALS),
        "latency_ms_max": round(most, _DECIMALS),
        "window_s": round((window.window_ns[1] - window.window_ns[0]) / 1e9, _DECIMALS),
    }
    if window.self_made.any():
        numbers["failures_of_a_late_generator"] = counted(window.self_made)
    if not failed:
        numbers["failure_probability_max"] = failure_bound(requests)
    if case.background is not None:
        numbers |= case.background.numbers()
    if case.p99 is not None:
        numbers |= case.p99.numbers()
    if case.lag is not None:
        numbers |= case.lag.numbers()
    return numbers | limits.longest_numbers(window, case.facts.plan.target.traffic)


def _intervals(case: _Case) -> tuple[Interval, ...]:
    """The outages that were counted, the widest first, and on each lane the longest time without a sample."""
    found = sorted(case.outages, key=lambda one: -one.upper_ms)[:_INTERVALS_MAX]
    return (
        *(
            Interval(
                "outage", one.lane, one.begins_ns, one.ends_ns,
                f"outage on {one.lane}: at least {one.lower_ms:.0f} ms, at most {one.upper_ms:.0f} ms, "
                f"{', '.join(f'{count} {outcome}' for outcome, count in one.outcomes.items())}",
            )
            for one in found
        ),
        *(
            Interval(
                "blind", gap.lane, (gap.start_ns, gap.start_ns), (gap.end_ns, gap.end_ns),
                f"the widest gap on {gap.lane}: nothing was sampled for {gap.gap_ms:.1f} ms",
            )
            for gap in case.gaps
        ),
    )  # fmt: skip


def _slow(case: _Case) -> NDArray[np.bool_]:
    """Good answers of any lane of the app later than `slow_ms`, without those that we sent late."""
    log, slow_ms = case.window.log, case.facts.plan.target.traffic.slow_ms
    took_ns = log.column("done_ns") - np.maximum(log.column("intended_ns"), log.column("send_ns"))
    answered = (kinds(log) == Kind.GOOD) | case.window.late
    found: NDArray[np.bool_] = case.window.app & case.window.inside & answered & (took_ns > slow_ms * 1e6)
    return found


# ---- the rows of the table ----


def _no_act(case: _Case) -> Verdict | None:
    """INCONCLUSIVE if no act had an effect."""
    act = case.window.act
    if act.happened is not None or act.void is None:
        return None
    why = f"{act.void.why_void()}, so the {case.numbers['requests']:,} requests prove nothing"
    return case.verdict(Result.INCONCLUSIVE, why)


def _sick_before(case: _Case) -> Verdict | None:
    window, log = case.window, case.window.log
    since, until = window.baseline_ns
    before, kind = window.before, kinds(log)
    wanted_s = case.facts.plan.target.traffic.baseline_s
    length_s = (until - since) / 1e9
    limited = counted(before & (kind == Kind.LIMITED))
    failed = before & (kind != Kind.GOOD)
    if limited:
        why = f"{limited} requests of the baseline were refused with 403 or 429; {_LOWER_THE_RATE}"
    elif failed.any() and (more := _sicker_than_allowed(case)) is not None:
        theirs = (failed & (kind == Kind.HARD)).any()
        sick = "the environment was sick" if theirs else "the generator's own side failed"
        count = f"{counted(failed)} of {counted(before):,} requests of the baseline failed"
        why = f"{sick} before anything was touched: {count} ({_by_outcome(log, failed)}){more}"
    elif length_s < wanted_s / 2:
        why = f"the baseline lasted {max(0.0, length_s):.1f} s of {wanted_s:.1f} s, too short to call it clean"
    elif (gap := blind_gaps(log, window_ns=(since, until))[0]).gap_ms > max(1000.0, _resolution_ms(case)):
        why = f"nobody was looking for {gap.gap_ms:.0f} ms of the baseline on {gap.lane}"
    elif (slow := limits.p99(window, before, case.facts.plan.target.traffic.p99_ms_max)) and slow.may_be_above:
        why = f"the environment was slow before anything was touched: {slow.sentence()}"
    else:
        return None
    return case.verdict(Result.INCONCLUSIVE, why)


def _sicker_than_allowed(case: _Case) -> str | None:
    """The end of the sentence about the baseline's failures; None if the allowed background explains them."""
    if case.background is None:
        return ""
    more = background.sick(case.window, allowed=case.background.allowed)
    return f"; {more}" if more else None


def _lost(case: _Case) -> Verdict | None:
    """FAIL if more was lost than the background explains and the budget covers, and only the app can be the cause."""
    blamed = counted(case.window.blamed)
    if not blamed or case.budget.may_cover or (case.background is not None and not case.background.more):
        return None
    longest = max(case.outages, key=lambda one: (one.lower_ms, one.upper_ms))
    start_s = (longest.start_ns - case.window.window_ns[0]) / 1e9
    background = f"; {case.background.more}" if case.background is not None else ""
    return case.verdict(
        Result.FAIL,
        f"{blamed:,} of {case.numbers['requests']:,} requests failed "
        f"({_by_outcome(case.window.log, case.window.blamed)}); the longest of {_many(len(case.outages), 'outage')}: "
        f"{longest.lower_ms:,.0f} to {longest.upper_ms:,.0f} ms on {longest.lane}, {start_s:.1f} s after the start"
        f"{case.budget.words()}{background}; after one retry that RFC 9110 permits: "
        f"{_many(int(case.numbers['failures_after_one_retry'] or 0), 'failure')}{_not_counted(case.window)}",
    )


def _not_counted(window: Window) -> str:
    """The failures beside those of a FAIL that need not be the app's, as the end of its sentence."""
    if not window.self_made.any():
        return ""
    return f"; not counted: {_by_outcome(window.log, window.self_made)}, which the generator may have made itself"


def _too_slow(case: _Case) -> Verdict | None:
    """FAIL if the p99 is above its limit, and neither the generator nor the network can be the cause."""
    if case.p99 is None or not case.p99.is_above:
        return None
    return case.verdict(Result.FAIL, f"too slow: {case.p99.sentence()}")


def _masked_is_failure(case: _Case) -> Verdict | None:
    """Where the target file says so: FAIL of what was masked in the window, INCONCLUSIVE of what was before it."""
    if case.facts.plan.target.ingress.masked != "fail":
        return None
    found = masked(case.facts, case.window)
    if found.during:
        why = f"{_many(found.during, 'request')} got an answer only because {found.who()}; for this target that fails"
        return case.verdict(Result.FAIL, why)
    if found.before:
        why = f"{_many(found.before, 'request')} of the baseline got an answer only because {found.who()}"
        why = f"the environment was sick before anything was touched: {why}, and for this target that fails"
        return case.verdict(Result.INCONCLUSIVE, why)
    if found.undated:
        why = f"{_many(found.undated, 'request')} got an answer only because {found.who()}; when is not known"
        return case.verdict(Result.INCONCLUSIVE, why)
    return None


def _not_known(case: _Case) -> Verdict | None:
    """INCONCLUSIVE if something needed for a PASS was not seen."""
    window, numbers = case.window, case.numbers
    if not numbers["requests"]:
        why = "no request was sent in the window, so nothing is known of it"
    elif why := window.act.why_foreign:
        why = f"{why}: what was measured is not of our act alone"
    elif numbers["refused_by_rate_limit"]:
        why = f"{numbers['refused_by_rate_limit']} requests were refused with 403 or 429; {_LOWER_THE_RATE}"
    elif trouble := _way_is_suspect(case):
        why = trouble
    elif not case.budget.covers and (doubt := _loss_in_doubt(case)):
        why = doubt
    elif case.p99 is not None and case.p99.may_be_above:
        own = "" if math.isinf(case.p99.at_most_ms) else _why_not_timed(case)
        why = f"whether the app was too slow is not known: {case.p99.sentence()}{own}"
    elif unfinished := window.unfinished:
        why = f"{_many(unfinished, 'request')} had no outcome when the load ended"
    elif (case.ingress is None or case.ingress.masked is None) and case.facts.plan.target.ingress.masked == "fail":
        unread = _unread(case) or "its log was not read"
        why = f"a masked failure fails here, and whether the ingress retried any is not known: {unread}"
    elif (void := window.act.void) is not None:
        why = f"{void.why_void()}, so whether the app survives it is not known"
    elif (endless := window.act.unfinished) is not None:
        why = f"{endless.why_not_over()}, so its end was not watched"
    elif case.gap.gap_ms > _resolution_ms(case):
        own = f" (the generator itself was {case.gap.own_ms:.0f} ms late)" if case.gap.own_ms else ""
        why = (
            f"nobody was looking for {case.gap.gap_ms:.0f} ms on {case.gap.lane}{own}; at most "
            f"{_resolution_ms(case):.0f} ms are allowed, so an outage could hide there"
        )
    else:
        return None
    return case.verdict(Result.INCONCLUSIVE, why)


def _way_is_suspect(case: _Case) -> str:
    """Failures of the control lane, and of the app at the same time, which need not be the app's; "" if there are none
    but what the background explains."""
    window, background = case.window, case.background
    by_itself = background is not None and not background.control_doubt
    if (window.control_failed.any() or window.suspect.any()) and not by_itself:
        return (
            f"the control probe failed too ({counted(window.control_failed)} times, beside "
            f"{case.numbers['failures_while_control_failed']} failures of the app): "
            "the way there is suspect, not the app"
        )
    if not window.explained.any() or (background is not None and not background.doubt):
        return ""
    if window.suspect.any():
        return f"{_many(counted(window.suspect), 'request')} failed while the control probe failed too"
    if case.budget.covers:
        return ""
    if window.self_made.any():
        return _self_made(window)
    late, limit_ms = counted(window.explained), case.facts.plan.target.traffic.longest_ms_max or 0.0
    return f"{_many(late, 'answer')} came later than {limit_ms:g} ms, and need not be the app's{_why_not_timed(case)}"


def _self_made(window: Window) -> str:
    """The failures that the generator may have made, and why."""
    return (
        f"{_many(counted(window.self_made), 'request')} failed ({_by_outcome(window.log, window.self_made)}) as they "
        f"do by themselves when the generator is not on time, and it was not: {window.why_late}"
    )


def _loss_in_doubt(case: _Case) -> str:
    """Why more may have been lost than is allowed; "" if nothing was, or the background explains it."""
    if not case.window.hard.any() or (case.background is not None and not case.background.doubt):
        return ""
    if case.budget.limit_ms:
        return case.budget.doubt()
    doubt = case.background.doubt if case.background is not None else "nobody knows whose failure it is"
    return f"{case.numbers['failures']:,} of {case.numbers['requests']:,} requests failed: {doubt}"


def _why_not_timed(case: _Case) -> str:
    """Why a late answer cannot be attributed to the app."""
    if case.window.not_on_time:
        return f"; the generator was not on time: {'; '.join(case.window.not_on_time)}"
    return "; the generator itself was late then, or the control lane was slow too"


# ---- words ----

_READ_THE_LOG = "it needs pods/log (get) in the ingress's namespace, and a log that is not rotated during a drill"
_LINES_ARE_MUTE = "have it log that, if it can; if it cannot, a failure that it hid by a retry is not seen here"
_FIND_THE_CAUSE = "search the logs for the failed requests of the baseline, mend their cause, and lower the rate again"
_NONE_BEFORE = "the baseline lost none, so that these may be the act's all the same: look at their times and pods"
_QUIETER = "run it on a quieter host or give it real-time scheduling, and measure again"
_LOWER_THE_RATE = "a rate limit or WAF stands in front: lower traffic.rate_per_s or let this client pass"


def _claim(case: _Case) -> str:
    numbers = case.numbers
    if not numbers["failures"]:
        return (
            f"no outage longer than {case.gap.gap_ms:.0f} ms on any lane; 0 of {numbers['requests']:,} requests failed "
            f"(p <= {failure_bound(int(numbers['requests'] or 0)):.1e}); p99 {numbers['latency_ms_p99']:.0f} ms"
        )
    if case.background is not None and not case.background.doubt:
        longest_ms = max(case.gap.gap_ms, float(numbers["outage_ms_upper"] or 0.0))
        return (
            f"no outage longer than {longest_ms:.0f} ms on any lane, and no two failures in a row; "
            f"{case.background.sentence()} (p = {case.background.p:.2g})"
        )
    return (
        f"at most {case.budget.at_most_ms:.0f} ms of outage on the worst lane, within the budget of "
        f"{case.budget.limit_ms:.0f} ms; "
        f"{numbers['failures']} of {numbers['requests']:,} requests failed; no outage longer than "
        f"{case.gap.gap_ms:.0f} ms was overlooked"
    )


def _where_slow(case: _Case) -> str:
    """What makes answers slow in such an act."""
    if case.window.act.kind is ActKind.ROLLOUT:
        return "look for cold starts of the new pods"
    return "look for what waits for the part that was changed or taken away, cold starts of pods that came anew"


def _findings(case: _Case) -> tuple[Finding, ...]:
    found: list[Finding] = []
    slow_ms = case.facts.plan.target.traffic.slow_ms
    if (again := masked(case.facts, case.window)).count:
        found.append(again.finding())
    if unread := _unread(case):
        text = f"whether the ingress retried any is not known: {unread}"
        log = unreadable_log(case.facts)
        found.append(Finding("INGRESS_LOG_UNREAD", text, _LINES_ARE_MUTE if log and log.mute else _READ_THE_LOG))
    if slow := int(case.numbers["slow"] or 0):
        *_, most_ms = latency_ms(case.window.log, _slow(case))
        text = f"{_many(slow, 'answer')} took longer than {slow_ms:.0f} ms (the longest {most_ms:.0f} ms)"
        found.append(Finding("SLOW", text, f"a slow answer is no outage; {_where_slow(case)}"))
    if case.p99 is not None and case.p99.is_above and case.p99.is_known:
        found.append(Finding("P99_TOO_LATE", case.p99.sentence(), f"{_where_slow(case)}, CPU limits, locks"))
    if case.background is not None and case.background.noise:
        hint = _FIND_THE_CAUSE if case.background.baseline[0] else _NONE_BEFORE
        found.append(Finding("NOISE", case.background.sentence(), hint))
    if case.window.self_made.any():
        found.append(Finding("GENERATOR_STALL", _self_made(case.window), _QUIETER))
    sends, failed = case.window.log.column("send_ns"), kinds(case.window.log) == Kind.HARD
    later = case.window.app & failed & (sends > case.window.window_ns[1])
    if later.any():
        text = f"{_many(counted(later), 'request')} failed after the window ({_by_outcome(case.window.log, later)})"
        found.append(
            Finding("FAILED_LATER", text, "nothing was being done to the target any more: look at the app itself")
        )
    return tuple(found)


def _unread(case: _Case) -> str:
    """Why the ingress's log could not be read; "" if it was read or never requested."""
    log = unreadable_log(case.facts)
    return reason(log.event) if log is not None else ""


def _resolution_ms(case: _Case) -> float:
    return case.facts.plan.target.traffic.resolution_ms


def _by_outcome(log: RequestLog, chosen: NDArray[np.bool_]) -> str:
    """ "30 http.502, 7 read.eof": the most frequent first."""
    counts = np.bincount(log.rows["outcome"][chosen], minlength=len(log.outcomes))
    order = sorted(np.flatnonzero(counts), key=lambda i: (-counts[i], log.outcomes[i]))
    return ", ".join(f"{counts[i]:,} {log.outcomes[i] or 'version.wrong'}" for i in order)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
