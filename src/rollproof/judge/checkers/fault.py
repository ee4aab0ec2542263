"""Did each fault have an effect, and did the target recover from it in time? One verdict a fault.

A fault without evidence of an effect is void: nothing was tested (docs/faults/README.md). The recovery time counts from
just before the fault was requested, and is compared with the limit of its plan. What clients felt is judged by
`availability`, and whether all is as before by `undo`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rollproof.core.event import Outcome
from rollproof.core.facts import Facts
from rollproof.core.fault import Fault, FaultWord, planned_faults
from rollproof.core.reasons import NotBack, RepairedBy, TakenIn
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.core.watched import earliest_s, missed_clause, seen_late_clause, seen_late_s
from rollproof.judge.checkers.clock import CLOCK_STEP_MAX_S, clock_step_s
from rollproof.judge.checkers.impact import impact
from rollproof.judge.checkers.watches import lost_watch

__all__ = ["check"]

_DECIMALS = 3
_NOT_REPAIRED: Mapping[str, tuple[str, str]] = {  # for a process that its supervisor should have restarted
    RepairedBy.KUBELET: (
        "REPAIRED_BY_KUBELET",
        "the container was restarted, not the process: let the supervisor start again what ends (autorestart=true)",
    ),
    RepairedBy.NOBODY: (
        "SILENT_LOSS",
        "nothing noticed: let the supervisor start it again whatever its exit code, end when it gives up, or probe it",
    ),
}
_ROLL_OUT = "let it roll out: a hash in the ConfigMap's name (configMapGenerator), or its checksum in the pod template"
_TAKEN_IN: Mapping[str, Finding] = {  # for a target that did recover
    TakenIn.NEVER: Finding(
        "CONFIG_NOT_ROLLED",
        "the changed setting is in the cluster, and no running pod that was asked has it",
        _ROLL_OUT,
    ),
    TakenIn.PARTLY: Finding(
        "CONFIG_NOT_ROLLED",
        "running pods have the changed setting in some of the places where they read it, and the old one in others",
        _ROLL_OUT,
    ),
}
_TAKEN_BY: Mapping[str, str] = {  # how, where that is no finding
    TakenIn.FILE: ", in the files of each running pod",
    TakenIn.ROLLOUT: ", by new pods",
}
_PARTS: Mapping[str, tuple[str, str]] = {  # of a recovery, in order: the number of `impact`, what passed, what to see
    "rescheduled_s": (
        "before a new pod had its node",
        "see its events: room on the nodes, and how soon a lost node is noticed",
    ),
    "ready_s": (
        "between a new pod's node and its readiness",
        "shorten the start (image, migrations, probe periods), or allow for it in faults.recovery_limit_s",
    ),
    "end_to_end_s": (
        "between a new pod's readiness and the steady state",
        "see the Service's endpoints and the ingress's log of that time",
    ),
}
_CAUSES: Mapping[str, tuple[str, str]] = {  # for a target that did not recover
    NotBack.NOT_RESTARTED: (
        "NOT_RESTARTED",
        "readiness noticed, nobody acts: let the supervisor start it again (autorestart=true), or let liveness fail",
    ),
    NotBack.CONNECTIONS_HELD: (
        "CONNECTIONS_HELD",
        "delete these pods now; then give connections to it a read time-out: a server that is lost ends none of them",
    ),
}


def check(facts: Facts) -> tuple[Verdict, ...]:
    """One verdict for each fault that was planned for the drill, in that order."""
    faults = planned_faults(facts)
    if not faults:
        return (_verdict("Fault", Result.INCONCLUSIVE, "no fault was recorded, so no recovery was tested"),)
    return tuple(_judge(facts, fault) for fault in faults)


def _verdict(subject: str, result: Result, why: str, **more: Any) -> Verdict:
    return Verdict(checker="fault", subject=subject, result=result, why=why, **more)


def _judge(facts: Facts, fault: Fault) -> Verdict:
    evidence = tuple(event.seq for event in fault.events)
    if not fault.said:
        return _verdict(fault.subject, Result.INCONCLUSIVE, "it was planned, and nothing is known of it")
    if FaultWord.SKIPPED in fault.said and not fault.begun:
        return _verdict(fault.subject, Result.SKIPPED, fault.reason(FaultWord.SKIPPED), evidence=evidence)
    why = _why_not_judged(facts, fault)
    if why:
        return _verdict(fault.subject, Result.INCONCLUSIVE, why, evidence=evidence, numbers=_numbers(facts, fault))
    return replace(_judge_recovery(facts, fault), evidence=evidence, numbers=_numbers(facts, fault))


def _why_not_judged(facts: Facts, fault: Fault) -> str:
    """The checker's assumptions that do not hold; "" if all do, and the fault had an effect."""
    if fault.broken_off:
        return fault.broken_off
    if not fault.begun:
        return f"it was not injected: the last that is known is {fault.last_word()!r}"
    step_s, _ = clock_step_s(facts)
    if abs(step_s) > CLOCK_STEP_MAX_S:
        return f"the wall clock moved {step_s:+.1f} s during the drill: if the machine was suspended, nothing was timed"
    lost = lost_watch(facts, since_s=fault.started.start_s, until_s=fault.end_s or fault.started.end_s)
    if lost is not None:
        return f"{lost.subject} was blind during the fault: {lost.reason}"
    if fault.effect_s is None:
        return f"no effect was seen ({fault.why_unfinished()}): a fault without an effect proves nothing"
    return ""


def _judge_recovery(facts: Facts, fault: Fault) -> Verdict:
    """The fault had an effect; did it end, and when?"""
    limit_s, recovery_s, effect_s = fault.limit_s, fault.recovery_s, fault.effect_s
    felt = f"felt after {effect_s:.1f} s ({fault.watched})"
    if limit_s is None:
        return _verdict(fault.subject, Result.INCONCLUSIVE, f"{felt}; its plan with the limit was not recorded")
    if FaultWord.NOT_RECOVERED in fault.said:
        return _judge_not_recovered(facts, fault, felt, limit_s)
    if recovery_s is None or effect_s is None or fault.recovered is None:
        return _verdict(fault.subject, Result.INCONCLUSIVE, f"{felt}; {fault.why_not_over()}")
    if fault.recovered_unfelt:
        why = f"{felt}; the steady state was seen before the effect, and not since"
        return _verdict(fault.subject, Result.INCONCLUSIVE, why)
    after = f"{recovery_s:.1f} s after it was undone" if fault.held else f"after {recovery_s:.1f} s"
    if recovery_s <= limit_s:
        why = f"{felt} and recovered {after}{_TAKEN_BY.get(fault.repaired_by, '')}; limit {limit_s:g} s"
        found = _TAKEN_IN.get(fault.repaired_by)
        return _verdict(fault.subject, Result.PASS, why, findings=(found,) if found else ())
    why = f"{felt} and recovered {after}, later than the limit of {limit_s:g} s"
    if recovery_s - (late_s := seen_late_s(facts, fault.recovered.end_s)) <= limit_s:
        why += seen_late_clause(late_s)
        return _verdict(fault.subject, Result.INCONCLUSIVE, why)
    if (least_s := _since_s(fault, earliest_s(facts, fault.recovered))) <= limit_s:
        return _verdict(fault.subject, Result.INCONCLUSIVE, f"{why}{missed_clause(least_s, _setting(facts, fault))}")
    return _verdict(fault.subject, Result.FAIL, why, findings=(_late(facts, fault),))


def _since_s(fault: Fault, at_s: float) -> float:
    """Seconds from where its limit counts from."""
    return max(0.0, at_s - (fault.limit_from_s or 0.0))


def _setting(facts: Facts, fault: Fault) -> str:
    """Where its limit is set."""
    own = fault.short_name in facts.plan.target.faults.recovery_limits_s
    return f'faults.recovery_limits_s."{fault.short_name}"' if own else "faults.recovery_limit_s"


def _late(facts: Facts, fault: Fault) -> Finding:
    """Where most of the time went, as far as the pod in place of one that went tells it."""
    parts = impact(facts, fault)
    reached = [(name, at_s) for name in _PARTS if isinstance(at_s := parts.get(name), float)]
    if fault.held or len(reached) < len(_PARTS):  # of a held one the limit counts from its undo
        hint = "see the pods' events and logs of that time; or allow for it in faults.recovery_limit_s"
        return Finding("RECOVERED_LATE", "no new pod tells where the time went", hint)
    begun_s, took = 0.0, dict[str, float]()
    for name, at_s in reached:
        took[name], begun_s = at_s - begun_s, max(begun_s, at_s)
    slowest = max(took, key=lambda name: took[name])
    said, hint = _PARTS[slowest]
    return Finding("RECOVERED_LATE", f"{took[slowest]:.1f} s of it went by {said}", hint)


def _judge_not_recovered(facts: Facts, fault: Fault, felt: str, limit_s: float) -> Verdict:
    """No steady state after the fault: FAIL if that was watched until the limit."""
    waited_s, end = fault.watched_in_vain_s, fault.not_recovered
    if end is not None and end.not_before_s is not None:  # else it is of a version that did not note it
        waited_s = _since_s(fault, earliest_s(facts, end))
    if fault.said[FaultWord.NOT_RECOVERED].outcome is not Outcome.FAIL:
        why = f"{felt}; whether it recovered within {waited_s:.1f} s could not be seen"
        return _verdict(fault.subject, Result.INCONCLUSIVE, why)
    if waited_s < limit_s:
        why = f"{felt}; watched for {waited_s:.1f} s only, and the limit is {limit_s:g} s"
        return _verdict(fault.subject, Result.INCONCLUSIVE, why)
    why = f"{felt} and not recovered within {waited_s:.1f} s; limit {limit_s:g} s"
    last = fault.last_seen or "nobody noted it"
    known = _CAUSES.get(fault.cause) or _NOT_REPAIRED.get(fault.repaired_by)
    code, hint = known or ("NOT_RECOVERED", "see the pods' events and logs")
    finding = Finding(code, f"the state that was seen last: {last}", hint)
    return _verdict(fault.subject, Result.FAIL, why, findings=(finding,))


def _numbers(facts: Facts, fault: Fault) -> dict[str, Number]:
    """Seconds since the start, with the limit, and the cost; events that were not seen have no number."""
    found = {"effect_s": fault.effect_s, "recovery_s": fault.recovery_s, "limit_s": fault.limit_s}
    found["margin_s"] = fault.margin_s
    back = fault.recovered
    if back is not None and back.not_before_s is not None:
        found["recovery_least_s"] = _since_s(fault, back.not_before_s)
    return {name: round(value, _DECIMALS) for name, value in found.items() if value is not None} | impact(facts, fault)
