"""The cost of one fault in numbers: when the platform noticed it, when it was repaired, what was lost meanwhile.

They decide nothing: `fault` compares with the limit, `availability` or `outage` judge the loss. Each number comes from
a fact, and is left out if that was not seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rollproof.core.facts import Facts
from rollproof.core.fault import Fault
from rollproof.core.intervals import downtime_ms
from rollproof.core.outcomes import Kind, counted, kinds, lane_mask, was_silence
from rollproof.core.requests import RequestLog
from rollproof.core.verdict import Number
from rollproof.core.watched import PodSeen, pods_seen, ready_addresses

__all__ = ["impact"]

_DECIMALS = 3
_UNAVAILABLE = 503  # a complete answer that says that the app cannot serve now


def impact(facts: Facts, fault: Fault) -> dict[str, Number]:
    """The numbers of a fault that had an effect; times are seconds from its start."""
    if fault.happened is None:
        return {}
    found: dict[str, float | None] = {**_times(facts, fault), "ghost_s": _ghost_s(facts, fault)}
    numbers: dict[str, Number] = {name: round(value, _DECIMALS) for name, value in found.items() if value is not None}
    log = facts.requests
    return numbers | _lost(facts, fault, log) if log is not None and len(log.rows) else numbers


# -- when -------------------------------------------------------------------------------------------------------------


def _times(facts: Facts, fault: Fault) -> dict[str, float | None]:
    """detected: an address of a victim left the Service's endpoints. rescheduled: a new pod has its node. ready: it is
    Ready. end to end: the steady state was back, also for a held fault."""
    start_s, victims = fault.started.start_s, fault.victims
    seen = list(pods_seen(facts))
    before = {pod.uid for pod in seen if pod.at_s < start_s or pod.initial}
    new = [pod for pod in seen if pod.at_s >= start_s and pod.member and pod.uid not in before | victims]
    addresses = {pod.ip for pod in seen if pod.uid in victims and pod.ip}
    moments = {
        "detected_s": _left_endpoints_s(facts, addresses, start_s),
        "rescheduled_s": _first_s([pod for pod in new if pod.node]),
        "ready_s": _first_s([pod for pod in new if pod.ready]),
        "end_to_end_s": fault.recovered.end_s if fault.recovered is not None else None,
    }
    return {name: None if at_s is None else at_s - start_s for name, at_s in moments.items()}


def _first_s(pods: list[PodSeen]) -> float | None:
    return min((pod.at_s for pod in pods), default=None)


def _left_endpoints_s(facts: Facts, addresses: set[str], start_s: float) -> float | None:
    """When the Service's endpoints were first without one of these addresses. The state before is not checked: a victim
    served, or the fault was void."""
    if not addresses:
        return None
    told = (event.start_s for event, ready in ready_addresses(facts) if event.start_s >= start_s and addresses - ready)
    return next(told, None)


# -- what -------------------------------------------------------------------------------------------------------------


def _lost(facts: Facts, fault: Fault, log: RequestLog) -> dict[str, Number]:
    """The app's requests that failed from the start to the end of the drill's window: number, outcomes, lanes."""
    traffic = facts.plan.target.traffic
    start_ns = int(fault.started.start_s * 1e9)
    end_ns = log.engine.end_ns
    if fault.over_s is not None:
        end_ns = int((fault.over_s + traffic.after_old_gone_s + traffic.tail_s) * 1e9)
    rows = log.rows
    lost = (kinds(log) == Kind.HARD) & (rows["send_ns"] >= start_ns) & (rows["send_ns"] <= end_ns)
    lost &= ~lane_mask(log, log.control)
    stalled, honest = lost & was_silence(log), lost & (rows["status"] == _UNAVAILABLE)
    numbers: dict[str, Number] = {
        "lost": counted(lost), "lost_stalled": counted(stalled), "lost_honest_503": counted(honest & ~stalled),
    }  # fmt: skip
    numbers |= {f"lost_on_{lane}": count for lane in log.lanes if (count := counted(lost & lane_mask(log, lane)))}
    return numbers | _budget(log, lost, (start_ns, end_ns), traffic.downtime_budget_ms)


def _budget(
    log: RequestLog, lost: NDArray[np.bool_], window_ns: tuple[int, int], budget_ms: float
) -> dict[str, Number]:
    """Upper bound of the worst lane's outages, and its share of the budget if there is one."""
    if not lost.any():
        return {"budget_spent": 0.0} if budget_ms else {}
    found = downtime_ms(log, window_ns=window_ns, failed=lost)
    most_ms = max((upper for _, upper in found.values()), default=0.0)
    numbers: dict[str, Number] = {"outage_ms_upper": round(most_ms, _DECIMALS)}
    return numbers | ({"budget_spent": round(most_ms / budget_ms, _DECIMALS)} if budget_ms else {})


def _ghost_s(facts: Facts, fault: Fault) -> float | None:
    """How long a victim still answered after its object was gone: the last answer that names it. None if unknown: no
    deletion was seen, or no answer names its pod."""
    log = facts.requests
    if log is None or len(log.pods) < 2:
        return None
    gone = {pod.name: pod.at_s for pod in pods_seen(facts) if pod.gone and pod.uid in fault.victims}
    ghosts = [0.0]
    for name, at_s in gone.items():
        if name in log.pods:
            answered = log.rows["done_ns"][log.rows["served_by"] == log.pods.index(name)]
            ghosts.append(float(answered.max()) / 1e9 - at_s if len(answered) else 0.0)
    return max(ghosts) if gone else None
