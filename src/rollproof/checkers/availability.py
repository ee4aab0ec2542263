"""Was the app available from the start of the act until the last old pod was gone, and a while after?

The table of architecture.md section 5, from the top, the first row that fits. Slow answers never fail a run. One more
failed request in the window never improves the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rollproof.checkers.act import find_act
from rollproof.checkers.window import Window, baseline_event, open_window, pods_replaced
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.intervals import Gap, Outage, blind_gaps, downtime_ms, outages
from rollproof.core.outcomes import Kind, kinds, named
from rollproof.core.requests import RequestLog
from rollproof.core.statistics import failure_bound, latency_ms, left_after_one_retry
from rollproof.core.verdict import Finding, Number, Result, Verdict

__all__ = ["check"]

_NAME = "availability"
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class _Case:
    """Everything that the rows of the table look at, derived once."""

    facts: Facts
    window: Window
    outages: tuple[Outage, ...]
    down_ms: tuple[float, float]  # of the worst lane, all its outages together: at least, at most
    gap: Gap
    log_event: Event | None
    numbers: Mapping[str, Number] = field(default_factory=dict)

    @property
    def budget_ms(self) -> float:
        return self.facts.plan.target.traffic.downtime_budget_ms

    def verdict(self, result: Result, why: str) -> Verdict:
        evidence = [self.window.act.started, *self.window.act.legs.values(), self.log_event]
        evidence.append(baseline_event(self.facts, self.window.act))
        return Verdict(
            checker=_NAME,
            subject=self.facts.plan.target.app.base_url,
            result=result,
            why=why,
            numbers=self.numbers,
            evidence=tuple(sorted({event.seq for event in evidence if event is not None})),
            findings=_findings(self),
        )


def check(facts: Facts) -> Verdict:
    """The first row of the table that fits."""
    subject = facts.plan.target.app.base_url
    log, act = facts.requests, find_act(facts)
    if act is None:
        return Verdict(_NAME, subject, Result.INCONCLUSIVE, "no rollout was started, so nothing was survived")
    if log is None or not len(log.rows) or not log.open_loop:
        return Verdict(_NAME, subject, Result.INCONCLUSIVE, "no request was sent, so nothing is known")
    case = _case(facts, open_window(facts, log, act))
    for row in (_no_act, _sick_before, _lost, _masked_is_failure, _not_known):
        verdict = row(case)
        if verdict is not None:
            return verdict
    return case.verdict(Result.PASS, _claim(case))


def _case(facts: Facts, window: Window) -> _Case:
    log = window.log
    span = window.window_ns
    found = outages(log, window_ns=span, failed=window.blamed, silent=window.silent)
    at_most = downtime_ms(log, window_ns=span, failed=window.blamed, silent=window.silent)
    # At least: an attempt of which nothing is known may have been a good one, and then the outage was over there.
    at_least = downtime_ms(log, window_ns=span, failed=window.blamed, silent=window.explained)
    worst = (max((x[0] for x in at_least.values()), default=0.0), max((x[1] for x in at_most.values()), default=0.0))
    gap = blind_gaps(log, window_ns=span)[0]
    case = _Case(facts, window, found, worst, gap, facts.last(source="ingress", what="log"))
    return _Case(facts, window, found, worst, gap, case.log_event, _numbers(case))


def _numbers(case: _Case) -> dict[str, Number]:
    window, log = case.window, case.window.log
    app = window.app & window.inside
    requests = int(app.sum())
    failed = int(window.hard.sum())
    paced = np.isin(log.rows["lane"], [log.lanes.index(lane) for lane in log.open_loop])  # "slow" is slow on purpose
    p50, p99, most = latency_ms(log, app & paced & (kinds(log) == Kind.GOOD))
    numbers: dict[str, Number] = {
        "requests": requests,
        "failures": failed,
        "failures_while_control_failed": int(window.explained.sum()),
        "failures_after_one_retry": left_after_one_retry(log, window.blamed),
        "control_failures": int(window.control_failed.sum()),
        "refused_by_rate_limit": int(window.limited.sum()),
        "without_statement": int(window.unknown.sum()),
        "slow": _slow(case),
        "stale": int((log.rows["stale"] & app).sum()),
        "outages": len(case.outages),
        "outage_ms_lower": round(max((one.lower_ms for one in case.outages), default=0.0), _DECIMALS),
        "outage_ms_upper": round(max((one.upper_ms for one in case.outages), default=0.0), _DECIMALS),
        "downtime_ms_lower": round(case.down_ms[0], _DECIMALS),
        "downtime_ms_upper": round(case.down_ms[1], _DECIMALS),
        "budget_ms": case.budget_ms,
        "gap_ms_max": round(case.gap.gap_ms, _DECIMALS),
        "gap_lane": case.gap.lane,
        "gap_own_ms": round(case.gap.own_ms, _DECIMALS),
        "latency_ms_p50": round(p50, _DECIMALS),
        "latency_ms_p99": round(p99, _DECIMALS),
        "latency_ms_max": round(most, _DECIMALS),
        "window_s": round((window.window_ns[1] - window.window_ns[0]) / 1e9, _DECIMALS),
    }
    if not failed:
        numbers["failure_probability_max"] = failure_bound(requests)
    return numbers


def _slow(case: _Case) -> int:
    """Good answers later than `slow_ms`, but for those that our own late dispatch made late."""
    rows = case.window.log.rows
    limit_ns = case.facts.plan.target.traffic.slow_ms * 1e6
    took_ns = rows["done_ns"] - np.maximum(rows["intended_ns"], rows["send_ns"])
    return int((case.window.app & case.window.inside & (rows["outcome"] == 0) & (took_ns > limit_ns)).sum())


# ---- the rows of the table ----


def _no_act(case: _Case) -> Verdict | None:
    act = case.window.act
    if pods_replaced(case.facts, act) or ("old-gone" in act.legs and act.old_uids):
        return None
    return case.verdict(
        Result.INCONCLUSIVE,
        f"no pod was replaced ({act.why_unfinished()}), so the {case.numbers['requests']:,} requests prove nothing",
    )


def _sick_before(case: _Case) -> Verdict | None:
    window, log = case.window, case.window.log
    since, until = window.baseline_ns
    sends = log.rows["send_ns"]
    before = (sends >= since) & (sends < until)
    kind = kinds(log)
    wanted_s = case.facts.plan.target.traffic.baseline_s
    length_s = (until - since) / 1e9
    limited = int((before & (kind == Kind.LIMITED)).sum())
    failed = before & (kind != Kind.GOOD)
    if limited:
        why = f"{limited} requests of the baseline were refused with 403 or 429; {_LOWER_THE_RATE}"
    elif failed.any():
        why = (
            f"the environment was sick before anything was touched: {int(failed.sum())} of {int(before.sum()):,} "
            f"requests of the baseline failed ({_by_outcome(log, failed)})"
        )
    elif length_s < wanted_s / 2:
        why = f"the baseline lasted {max(0.0, length_s):.1f} s of {wanted_s:.1f} s, too short to call it clean"
    elif (gap := blind_gaps(log, window_ns=(since, until))[0]).gap_ms > max(1000.0, _resolution_ms(case)):
        why = f"nobody was looking for {gap.gap_ms:.0f} ms of the baseline on {gap.lane}"
    else:
        return None
    return case.verdict(Result.INCONCLUSIVE, why)


def _lost(case: _Case) -> Verdict | None:
    """More failures than the budget allows, and only the app can have caused them."""
    blamed = int(case.window.blamed.sum())
    if not blamed or (case.budget_ms > 0 and case.down_ms[0] <= case.budget_ms):
        return None
    longest = max(case.outages, key=lambda one: (one.lower_ms, one.upper_ms))
    start_s = (longest.start_ns - case.window.window_ns[0]) / 1e9
    budget = f"; the budget is {case.budget_ms:.0f} ms" if case.budget_ms else ""
    return case.verdict(
        Result.FAIL,
        f"{blamed:,} of {case.numbers['requests']:,} requests failed "
        f"({_by_outcome(case.window.log, case.window.blamed)}); the longest of {_many(len(case.outages), 'outage')}: "
        f"{longest.lower_ms:.0f} to {longest.upper_ms:.0f} ms on {longest.lane}, {start_s:.1f} s after the start"
        f"{budget}; after one retry that RFC 9110 permits: "
        f"{_many(int(case.numbers['failures_after_one_retry'] or 0), 'failure')}",
    )


def _masked_is_failure(case: _Case) -> Verdict | None:
    masked = _masked(case)
    if not masked or case.facts.plan.target.ingress.masked != "fail":
        return None
    why = f"{_many(masked, 'request')} got an answer only because the ingress tried again; for this target that fails"
    return case.verdict(Result.FAIL, why)


def _not_known(case: _Case) -> Verdict | None:
    """Nothing bad enough was seen; was enough seen at all?"""
    window, numbers = case.window, case.numbers
    if numbers["refused_by_rate_limit"]:
        why = f"{numbers['refused_by_rate_limit']} requests were refused with 403 or 429; {_LOWER_THE_RATE}"
    elif window.control_failed.any() or window.explained.any():
        why = (
            f"the control probe failed too ({int(window.control_failed.sum())} times, beside "
            f"{numbers['failures_while_control_failed']} failures of the app): the way there is suspect, not the app"
        )
    elif case.budget_ms > 0 and case.down_ms[1] > case.budget_ms:
        why = (
            f"the outages lasted between {case.down_ms[0]:.0f} and {case.down_ms[1]:.0f} ms, and the budget of "
            f"{case.budget_ms:.0f} ms lies between; a higher rate narrows the bounds"
        )
    elif unfinished := int((window.unknown & named(window.log, "unfinished")).sum()):
        why = f"{_many(unfinished, 'request')} had no outcome when the load ended"
    elif (
        case.log_event is None or "masked" not in case.log_event.data
    ) and case.facts.plan.target.ingress.masked == "fail":
        unread = _unread(case) or "its log was not read"
        why = f"a masked failure fails here, and whether the ingress retried in secret is not known: {unread}"
    elif not window.whole:
        why = f"the last old pod was not seen to go ({window.act.why_unfinished()}), so its end was not watched"
    elif case.gap.gap_ms > _resolution_ms(case):
        own = f" (the generator itself was {case.gap.own_ms:.0f} ms late)" if case.gap.own_ms else ""
        why = (
            f"nobody was looking for {case.gap.gap_ms:.0f} ms on {case.gap.lane}{own}; at most "
            f"{_resolution_ms(case):.0f} ms are allowed, so an outage could hide there"
        )
    else:
        return None
    return case.verdict(Result.INCONCLUSIVE, why)


# ---- words ----

_READ_THE_LOG = "it needs pods/log (get) in the ingress's namespace, and a log that is not rotated during a drill"
_LOWER_THE_RATE = "a rate limit or WAF stands in front: lower traffic.rate_per_s or let this client pass"


def _claim(case: _Case) -> str:
    numbers = case.numbers
    if not numbers["failures"]:
        return (
            f"no outage longer than {case.gap.gap_ms:.0f} ms on any lane; 0 of {numbers['requests']:,} requests failed "
            f"(p <= {failure_bound(int(numbers['requests'] or 0)):.1e}); p99 {numbers['latency_ms_p99']:.0f} ms"
        )
    return (
        f"at most {case.down_ms[1]:.0f} ms of outage on the worst lane, within the budget of {case.budget_ms:.0f} ms; "
        f"{numbers['failures']} of {numbers['requests']:,} requests failed; no outage longer than "
        f"{case.gap.gap_ms:.0f} ms was overlooked"
    )


def _findings(case: _Case) -> tuple[Finding, ...]:
    found: list[Finding] = []
    slow_ms = case.facts.plan.target.traffic.slow_ms
    if masked := _masked(case):
        text = f"the ingress tried {_many(masked, 'request')} again, so that no client saw the failure of a pod"
        hint = "the app drops requests when a pod goes: see the upstreams in the ingress log; add a preStop sleep"
        found.append(Finding("MASKED", text, hint))
    if unread := _unread(case):
        text = f"whether the ingress retried in secret is not known: {unread}"
        found.append(Finding("INGRESS_LOG_UNREAD", text, _READ_THE_LOG))
    if slow := int(case.numbers["slow"] or 0):
        most_ms = case.numbers["latency_ms_max"]
        text = f"{_many(slow, 'answer')} took longer than {slow_ms:.0f} ms (the longest {most_ms:.0f} ms)"
        found.append(Finding("SLOW", text, "a slow answer is no outage; look for cold starts of the new pods"))
    rows = case.window.log.rows
    later = case.window.app & (rows["send_ns"] > case.window.window_ns[1]) & (kinds(case.window.log) == Kind.HARD)
    if later.any():
        text = f"{_many(int(later.sum()), 'request')} failed after the window ({_by_outcome(case.window.log, later)})"
        found.append(Finding("FAILED_LATER", text, "nothing was being rolled out any more: look at the app itself"))
    return tuple(found)


def _masked(case: _Case) -> int:
    """How many surely were; a log that does not speak of all of them may know some."""
    event = case.log_event or case.facts.last(source="ingress", what="log-unreadable")
    return int(event.data.get("masked", 0)) if event is not None else 0


def _unread(case: _Case) -> str:
    """Why the ingress's log could not be read; "" if nobody tried."""
    event = case.facts.last(source="ingress", what="log-unreadable")
    return str(event.data.get("reason", "no reason")) if event is not None else ""


def _resolution_ms(case: _Case) -> float:
    return case.facts.plan.target.traffic.resolution_ms


def _by_outcome(log: RequestLog, chosen: NDArray[np.bool_]) -> str:
    """ "http.502 30, read.eof 7": the most frequent first."""
    counts = np.bincount(log.rows["outcome"][chosen], minlength=len(log.outcomes))
    order = sorted(np.flatnonzero(counts), key=lambda i: (-counts[i], log.outcomes[i]))
    return ", ".join(f"{log.outcomes[i] or 'version.wrong'} {counts[i]}" for i in order)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
