"""Can the load generator be trusted? If not, a run is INCONCLUSIVE, never FAIL.

Comes before every judgement about the target ("was this run worth judging", etcd's robustness tests). It judges by the
generator's own statistics, checked against the recorded requests.
"""

from __future__ import annotations

import numpy as np

from rollproof.core.act import find_act
from rollproof.core.facts import Facts
from rollproof.core.outcomes import counted, lane_mask
from rollproof.core.requests import EngineFacts, RequestLog
from rollproof.core.runframe import self_test
from rollproof.core.verdict import Finding, Number, Result, Verdict

__all__ = ["check", "not_on_time"]

_STALL_MAX_MS = 1000.0  # a stop of the whole generator is a small share of a long run, and still a stop
_RATE_MIN = 0.95  # of the planned rate, in each part of the run
_CPU_MAX = 0.8  # of one core: above it the generator itself may be the bottleneck
_CLOCK_STEP_MAX_S = 1.0  # between the two clocks; a virtual machine that was suspended is detected by it
_CLOCK_STEP_SEEN_S = 0.05


def check(facts: Facts) -> Verdict:
    """PASS if every one of the generator's own limits held; else INCONCLUSIVE with each that did not."""
    log = facts.requests
    if log is None or not len(log.rows):
        return Verdict("load_soundness", "Load", Result.INCONCLUSIVE, "no load ran")
    tested = self_test(facts)
    evidence = tuple(e.seq for e in facts.find(source="load"))
    parts = _parts(facts, log)
    numbers = _numbers(log, parts)
    pace = [*_rate(log, parts, numbers), *_lateness(facts, log, numbers)]
    troubles = [*_self_test(facts), *_counts(log), *pace, *_clock(log.engine)]
    if troubles:
        why = "the generator cannot be believed: " + "; ".join(troubles)
        return Verdict("load_soundness", "Load", Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence)
    classes = len(tested.classes) if tested is not None else 0
    why = (
        f"{log.engine.dispatched:,} of {log.engine.planned:,} planned requests were sent at {numbers['rate_per_s']} "
        f"req/s, {numbers['late']} of them more than 5 ms late (worst {numbers['late_ms_max']} ms); the self-test "
        f"reported all {classes} classes exactly; {log.engine.scheduling}"
    )
    return Verdict(
        "load_soundness", "Load", Result.PASS, why, numbers=numbers, evidence=evidence, findings=_findings(log.engine)
    )


def not_on_time(facts: Facts, log: RequestLog) -> list[str]:
    """Why this generator's times cannot be trusted; empty if it was on time.

    A rate that was missed only because the target held so many requests that no more were sent is no lateness.
    """
    parts = _parts(facts, log)
    numbers = _numbers(log, parts)
    return [*_rate(log, parts, numbers, held_back=log.engine.dropped), *_lateness(facts, log, numbers)]


def _self_test(facts: Facts) -> list[str]:
    tested = self_test(facts)
    if tested is None:
        return ["it was not tested against the fault server before the run"]
    if tested.passed:
        return []
    wrong = [f"{name} {k} done, {n} reported" for name, (k, n) in tested.classes.items() if k != n]
    return [f"its self-test failed ({', '.join(wrong) or tested.why})"]


def _counts(log: RequestLog) -> list[str]:
    engine = log.engine
    sent = _sent(log, engine.start_ns, np.iinfo(np.int64).max)
    troubles: list[str] = []
    if engine.dropped:
        troubles.append(f"{engine.dropped} requests were not sent, because too many were in flight")
    if engine.unfinished:
        troubles.append(f"{engine.unfinished} requests got no outcome before the drain's deadline")
    if sent != engine.dispatched or engine.dispatched + engine.dropped != engine.planned:
        troubles.append(f"{engine.planned} were planned, {engine.dispatched} dispatched, {sent} recorded")
    if engine.locust_requests != len(log.rows):
        troubles.append(f"locust counted {engine.locust_requests} requests, the record has {len(log.rows)}")
    if own := sum(counted(log.column("outcome") == i) for i, o in enumerate(log.outcomes) if o.startswith("client.")):
        troubles.append(f"the client itself failed or slept in {own} attempts")
    return troubles


def _rate(
    log: RequestLog, parts: dict[str, tuple[int, int]], numbers: dict[str, Number], *, held_back: int = 0
) -> list[str]:
    """The parts in which the rate was not reached, if that is not explained by requests that were held back."""
    troubles: list[str] = []
    for part, (start_ns, end_ns) in parts.items():
        share, length_s = numbers.get(f"rate_share_{part}"), (end_ns - start_ns) / 1e9
        missing = (1.0 - share) * log.engine.rate_per_s * length_s if isinstance(share, float) else 0.0
        if isinstance(share, float) and share < _RATE_MIN and missing > held_back:
            troubles.append(f"only {share:.0%} of the rate was reached {part} the act ({length_s:.0f} s)")
    return troubles


def _lateness(facts: Facts, log: RequestLog, numbers: dict[str, Number]) -> list[str]:
    troubles: list[str] = []
    share_late = len(log.engine.late_ns) / max(1, log.engine.planned)
    if share_late > facts.plan.target.traffic.late_share_max:
        worst = f"worst {numbers['late_ms_max']} ms"
        troubles.append(f"{share_late:.1%} of the requests were sent more than 5 ms late ({worst})")
    if float(numbers["late_ms_max"] or 0.0) > _STALL_MAX_MS:
        troubles.append(f"it stood still: a request was sent {numbers['late_ms_max']} ms late")
    if float(numbers["cpu_share"] or 0.0) > _CPU_MAX:
        troubles.append(f"it used {numbers['cpu_share']:.0%} of a core, so it may have waited for itself")
    return troubles


def _clock(engine: EngineFacts) -> list[str]:
    step_s = _step_s(engine)
    if abs(step_s) > _CLOCK_STEP_MAX_S:
        return [f"the wall clock moved {step_s:+.1f} s against the monotonic one: was the machine suspended?"]
    return []


def _numbers(log: RequestLog, parts: dict[str, tuple[int, int]]) -> dict[str, Number]:
    engine = log.engine
    length_s = max(1e-9, (engine.end_ns - engine.start_ns) / 1e9)
    late_ms = engine.late_ns[:, 1] / 1e6 if len(engine.late_ns) else None
    numbers: dict[str, Number] = {
        "requests": len(log.rows),
        "planned": engine.planned,
        "dropped": engine.dropped,
        "unfinished": engine.unfinished,
        "rate_per_s": round(engine.dispatched / length_s, 1),
        "late": len(engine.late_ns),
        "late_share": round(len(engine.late_ns) / max(1, engine.planned), 5),
        "late_ms_max": round(float(late_ms.max()), 1) if late_ms is not None else 0.0,
        "cpu_share": round(engine.cpu_s / length_s, 3),
        "scheduling": engine.scheduling,
        "clock_step_s": round(_step_s(engine), 4),
    }
    for part, (start_ns, end_ns) in parts.items():
        wanted = engine.rate_per_s * (end_ns - start_ns) / 1e9
        if wanted >= 1:
            slack = 1 / wanted  # one request at either edge may fall outside
            numbers[f"rate_share_{part}"] = round(min(1.0, _sent(log, start_ns, end_ns) / wanted + slack), 3)
    return numbers


def _parts(facts: Facts, log: RequestLog) -> dict[str, tuple[int, int]]:
    """The load before, during and after the act; one part if there was no act."""
    start_ns, end_ns = log.engine.start_ns, log.engine.end_ns
    act = find_act(facts)
    if act is None:
        return {"around": (start_ns, end_ns)}
    begun_ns = min(max(int(act.started.start_s * 1e9), start_ns), end_ns)
    over_ns = min(max(int((act.end_s or 0.0) * 1e9), begun_ns), end_ns)
    return {"before": (start_ns, begun_ns), "during": (begun_ns, over_ns), "after": (over_ns, end_ns)}


def _sent(log: RequestLog, start_ns: int, end_ns: int) -> int:
    """Number of open-loop requests sent in that time."""
    sends = log.column("send_ns")  # sorted
    begin, end = np.searchsorted(sends, start_ns, side="left"), np.searchsorted(sends, end_ns, side="right")
    return sum(counted(lane_mask(log, lane)[begin:end]) for lane in log.open_loop)


def _step_s(engine: EngineFacts) -> float:
    monotonic_s = (engine.monotonic_ns[1] - engine.monotonic_ns[0]) / 1e9
    return (engine.wall_s[1] - engine.wall_s[0]) - monotonic_s


def _findings(engine: EngineFacts) -> tuple[Finding, ...]:
    found: list[Finding] = []
    if engine.scheduling == "normal":
        text = "the generator ran with ordinary priority, so a busy machine can make it late"
        found.append(Finding("ORDINARY_PRIORITY", text, "grant CAP_SYS_NICE, or give the harness a quiet machine"))
    if abs(_step_s(engine)) > _CLOCK_STEP_SEEN_S:
        text = f"the wall clock moved {_step_s(engine):+.3f} s against the monotonic one during the load"
        found.append(Finding("CLOCK_MOVED", text, "wall times in the report may be off; durations are not affected"))
    return tuple(found)
