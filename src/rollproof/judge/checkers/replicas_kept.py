"""While the autoscaler measured nothing: did the replicas stay as they were, and was no pod of the app restarted?

Judged is the time from the start of the fault until the last that is known of it. What the autoscaler did while it
still measured, or measured again, is its work and no effect of the outage: then nothing is claimed
(docs/faults/metrics-away.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.fault import Fault, FaultWord, find_faults
from rollproof.core.scaling import (
    AUTOSCALER,
    ReplicasSeen,
    ScalerSeen,
    degraded_s,
    deleted_meanwhile,
    replicas_seen,
    scalers_seen,
    syncs_begun,
)
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.core.watched import restarts_seen
from rollproof.judge.checkers.drift import CONTROLLER
from rollproof.judge.checkers.watches import lost_watch

__all__ = ["check"]

_NAME = "replicas_kept"
_NEAR_S = 5.0  # two watches tell of one look of the autoscaler, in no order; its looks are 15 s apart
_Write = tuple[ReplicasSeen, ReplicasSeen]  # before and after
_Found = tuple[Result, str, tuple[Finding, ...], list[Event]]


def check(facts: Facts) -> tuple[Verdict, ...]:
    """One verdict for each fault that lasts until it is undone (`held`)."""
    held = [fault for fault in find_faults(facts) if fault.held]
    return tuple(_judge(facts, fault) for fault in held) or (
        Verdict(_NAME, "Deployment", Result.INCONCLUSIVE, "nothing was taken away from the autoscaler"),
    )


def _judge(facts: Facts, fault: Fault) -> Verdict:
    cluster = facts.plan.target.cluster
    subject = f"Deployment/{cluster.namespace}/{cluster.deployment}"
    if FaultWord.SKIPPED in fault.said and not fault.begun:
        return Verdict(_NAME, subject, Result.SKIPPED, fault.reason(FaultWord.SKIPPED))
    if fault.happened is None:
        return Verdict(_NAME, subject, Result.INCONCLUSIVE, fault.why_void())
    since_s, until_s = fault.started.start_s, fault.end_s or fault.happened.end_s
    lost = lost_watch(facts, since_s=since_s, until_s=until_s)
    if lost is not None:
        why = f"{lost.subject} was blind during the fault: {lost.reason}"
        return Verdict(_NAME, subject, Result.INCONCLUSIVE, why)
    seen = replicas_seen(facts, since_s=since_s, until_s=until_s)
    scalers = scalers_seen(facts, since_s=since_s, until_s=until_s)
    degraded = round(degraded_s(facts, since_s=since_s, until_s=until_s), 1)
    numbers = _numbers(facts, seen, scalers, since_s=since_s, until_s=until_s)
    numbers |= {"degraded_s": degraded} if degraded else {}
    result, why, findings, evidence = next(_found(facts, fault, seen, scalers, numbers))
    if degraded:
        findings = (*findings, _degraded(degraded))
    return Verdict(
        _NAME, subject, result, why, numbers=numbers, findings=findings,
        evidence=tuple(dict.fromkeys(event.seq for event in (fault.happened, *evidence)))[:50],
    )  # fmt: skip


def _found(
    facts: Facts, fault: Fault, seen: list[ReplicasSeen], scalers: list[ScalerSeen], numbers: dict[str, Number]
) -> Iterator[_Found]:
    """What decides, the weightiest first; PASS where nothing else does."""
    written = [(before, after) for before, after in pairwise(seen) if before.wanted != after.wanted]
    yield from _broken(written, scalers)
    since_s, until_s = fault.started.start_s, fault.end_s or fault.started.end_s
    for pod in restarts_seen(facts, since_s=since_s, until_s=until_s):
        why = f"the container of {pod.subject} was restarted while the metrics API was away"
        hint = "see why it ended (its log, and the events of that time); nothing in it should ask for the metrics API"
        yield Result.FAIL, why, (Finding("RESTARTED_MEANWHILE", why, hint),), [pod.event]
    if fault.broken_off:
        yield Result.INCONCLUSIVE, fault.broken_off, (), []
    if FaultWord.UNDONE not in fault.said:
        yield (
            Result.INCONCLUSIVE,
            f"it was not held to its end: the last that is known is {fault.last_word()!r}",
            (),
            [],
        )
    if (gone := deleted_meanwhile(facts, since_s=since_s, until_s=until_s)) is not None:
        yield Result.INCONCLUSIVE, f"{gone.subject} was deleted meanwhile, by somebody else", (), [gone]
    if written:
        why = f"whether they had stayed is not known: {'; '.join(_told(one, scalers) for one in written[:3])}"
        yield Result.INCONCLUSIVE, why, (), [after.event for _, after in written]
    if not seen or seen[0].event.start_s > since_s:
        yield Result.INCONCLUSIVE, f"no watch told of the number of replicas{' before it' if seen else ''}", (), []
    if not numbers["unmeasured_s"]:
        yield Result.INCONCLUSIVE, "no watch told of an autoscaler without a measurement", (), []
    why = (
        f"{numbers['replicas']} replicas all the time, although the autoscaler measured nothing for "
        f"{numbers['unmeasured_s']} s ({_reasons(scalers)}); no pod was restarted, {numbers['syncs'] or 'no'} sync by "
        "Argo CD meanwhile"
    )
    yield Result.PASS, why, (), [*(one.event for one in seen[:1]), *(one.event for one in scalers)]


def _broken(written: list[_Write], scalers: list[ScalerSeen]) -> Iterator[_Found]:
    """What breaks the promise for sure: fewer by an autoscaler that measures nothing, and another number by Argo CD."""
    strangers = any(not {AUTOSCALER, CONTROLLER} & set(after.owners) for _, after in written)
    for before, after in written:
        if CONTROLLER in after.owners and AUTOSCALER not in after.owners:
            why = f"Argo CD wrote spec.replicas: {_told((before, after), scalers)}"
            hint = "leave replicas out of git; or ignoreDifferences with group apps and RespectIgnoreDifferences=true"
            yield Result.FAIL, why, (Finding("REPLICAS_FOUGHT_OVER", why, hint),), [after.event]
        if strangers or after.owners != (AUTOSCALER,) or not _is_blind(after, scalers):
            continue
        floor, ceiling = max(one.floor for one in scalers), min(one.ceiling for one in scalers)
        if after.wanted < before.wanted <= ceiling:
            why = f"the autoscaler took replicas away without a measurement: {_told((before, after), scalers)}"
            why += f", below its minReplicas of {floor}" if after.wanted < floor else ""
            hint = "see what scales it (kubectl describe hpa), and which version of Kubernetes this is"
            yield Result.FAIL, why, (Finding("SCALED_WITHOUT_METRICS", why, hint),), [after.event]


def _is_blind(write: ReplicasSeen, scalers: list[ScalerSeen]) -> bool:
    """Whether it measured nothing, for sure, when it wrote this: a look that scales changes its status too, at once."""
    at_s = write.event.start_s
    before = [one for one in scalers if one.event.start_s <= at_s - _NEAR_S]
    around = [one for one in scalers if abs(one.event.start_s - at_s) < _NEAR_S]
    return bool(before) and all(one.reason for one in (before[-1], *around))


def _told(write: _Write, scalers: list[ScalerSeen]) -> str:
    before, after = write
    known = [one for one in scalers if one.event.start_s < after.event.start_s + _NEAR_S]
    last = known[-1] if known else None
    used = "" if last is None else f", which measured {_used(last)}"
    whose = ", ".join(after.owners) or "nobody that is known"
    return f"{before.wanted} → {after.wanted} by {whose}{used if AUTOSCALER in after.owners else ''}"


def _used(seen: ScalerSeen) -> str:
    if seen.reason or seen.use is None:
        return f"nothing ({seen.reason or 'no use was told'})"
    return f"{seen.use:.0%} of its target"


def _reasons(scalers: list[ScalerSeen]) -> str:
    return ", ".join(dict.fromkeys(one.reason for one in scalers if one.reason))


def _degraded(lasted_s: float) -> Finding:
    text = f"Argo CD called the Application Degraded for {lasted_s:g} s, as it does while an autoscaler cannot measure"
    return Finding(
        "APPLICATION_DEGRADED", text, "whoever is alerted by that health is alerted by the metrics API's too"
    )


def _numbers(
    facts: Facts, seen: list[ReplicasSeen], scalers: list[ScalerSeen], *, since_s: float, until_s: float
) -> dict[str, Number]:
    unmeasured_s, begun_s = 0.0, None
    for one in scalers:
        if one.reason and begun_s is None:
            begun_s = max(one.event.start_s, since_s)
        elif not one.reason and begun_s is not None:
            unmeasured_s, begun_s = unmeasured_s + one.event.start_s - begun_s, None
    if begun_s is not None:
        unmeasured_s += until_s - begun_s
    wanted = [one.wanted for one in seen]
    return {
        "replicas": wanted[0] if wanted else 0, "replicas_min": min(wanted, default=0),
        "floor": max((one.floor for one in scalers), default=0), "unmeasured_s": round(unmeasured_s, 1),
        "syncs": syncs_begun(facts, since_s=since_s, until_s=until_s),
    }  # fmt: skip
