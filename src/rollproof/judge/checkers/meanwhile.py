"""Was what was changed while a held fault lasted healed, and when: meanwhile, or after the fault was taken away?

A drift that is made while a part of Argo CD is away must be healed once the part is back, by itself, within the limit
of the fault, which allows for Argo CD's poll. Whether it is healed before that differs between the parts: a number.
Where what heals is away itself, a repair by Argo CD shows that it was not: then nothing was tested.
"""

from __future__ import annotations

from dataclasses import replace

from rollproof.core.drift import DriftTrial, Restored, drift_trials
from rollproof.core.facts import Facts
from rollproof.core.fault import Fault, FaultWord, planned_faults
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.core.watched import seen_late_clause, seen_late_s
from rollproof.judge.checkers.clock import CLOCK_STEP_MAX_S, clock_step_s
from rollproof.judge.checkers.drift import CONTROLLER, unhealed, unproven_absence, why_not_healed
from rollproof.judge.checkers.watches import lost_watch

__all__ = ["check"]

_DECIMALS = 3


def check(facts: Facts) -> Verdict:
    """One verdict, on the drift of the drill."""
    fault = next(iter(planned_faults(facts)), None)
    trial = next(iter(drift_trials(facts)), None)
    if fault is None or trial is None:
        return _verdict("Drift", Result.INCONCLUSIVE, "no drift was planned for a fault that is held")
    evidence = tuple(event.seq for event in (*trial.events, *fault.events))
    if fault.away_s is None:
        skipped = FaultWord.SKIPPED in fault.said and not fault.begun
        why = fault.reason(FaultWord.SKIPPED) if skipped else f"{_why_not_away(fault)}, so nothing was to be waited out"
        return _verdict(trial.subject, Result.SKIPPED if skipped else Result.INCONCLUSIVE, why, evidence)
    if "skipped" in trial.said:
        why = f"{fault.name} was held, and no drift was made: {trial.reason('skipped')}"  # the plan had one
        return _verdict(trial.subject, Result.INCONCLUSIVE, why, evidence)
    why = _why_not_judged(facts, fault, trial)
    if why:
        return _verdict(trial.subject, Result.INCONCLUSIVE, why, evidence)
    return _judge(facts, fault, trial, evidence)


def _verdict(
    subject: str, result: Result, why: str, evidence: tuple[int, ...] = (), *findings: Finding
) -> Verdict:  # fmt: skip
    return Verdict("meanwhile", subject, result, why, evidence=evidence, findings=findings)


def _why_not_away(fault: Fault) -> str:
    if fault.happened is None or fault.broken_off:
        return fault.why_void()
    return f"how long {fault.name} was held is not known (the last that is known is {fault.last_word()!r})"


def _why_not_judged(facts: Facts, fault: Fault, trial: DriftTrial) -> str:
    """The assumptions that do not hold; "" if all do."""
    injected, before = trial.happened, trial.before
    if fault.broken_off:
        return f"{fault.name}: {fault.broken_off}"
    if "error" in trial.said:
        return f"the harness could not do it: {trial.reason('error')}"
    if before is not None and not before.fair:
        return f"not a fair trial: {before.why_unfair}"
    if "void" in trial.said:
        return "the patch changed nothing: there was no drift to heal"
    if "interfered" in trial.said:
        return trial.why_interfered()
    away_s = fault.away_s
    if injected is None or away_s is None:
        return f"the trial ended in the middle: the last that is known is {trial.last_word()!r}"
    if not away_s[0] <= injected.end_s <= away_s[1]:
        return f"the drift was not made while {fault.name} was held"
    step_s, _ = clock_step_s(facts)
    if abs(step_s) > CLOCK_STEP_MAX_S:
        return f"the wall clock moved {step_s:+.1f} s during the drill: if the machine was suspended, nothing was timed"
    lost = lost_watch(facts, since_s=injected.end_s, until_s=trial.end_s or injected.end_s)
    return f"{lost.subject} was blind during the trial: {lost.reason}" if lost is not None else ""


def _judge(facts: Facts, fault: Fault, trial: DriftTrial, evidence: tuple[int, ...]) -> Verdict:
    """A drift that was made while the fault was held: was it healed?"""
    injected_s, until_s = trial.said["injected"].end_s, (fault.away_s or (0.0, 0.0))[1]
    away_s, limit_s = until_s - injected_s, fault.limit_s
    numbers: dict[str, Number] = {"away_s": round(away_s, _DECIMALS)}
    if limit_s is None:
        why = "the plan of the fault, with the limit, was not recorded"
        return replace(_verdict(trial.subject, Result.INCONCLUSIVE, why, evidence), numbers=numbers)
    numbers["limit_s"] = limit_s
    if trial.restored is None:
        return replace(_not_healed(facts, fault, trial, until_s, evidence), numbers=numbers)
    if otherwise := _restored_otherwise(trial, trial.restored):
        return replace(_verdict(trial.subject, Result.INCONCLUSIVE, otherwise, evidence), numbers=numbers)
    at_s = trial.said["restored"].end_s
    if at_s < until_s:
        numbers["healed_while_away_s"] = round(at_s - injected_s, _DECIMALS)
        why = f"healed {at_s - injected_s:.1f} s after the change, while {fault.name} was held ({away_s:.1f} s)"
        result = Result.INCONCLUSIVE if fault.healer_gone else Result.PASS
        why += ": what heals was not away, so that nothing was tested" if fault.healer_gone else ""
        return replace(_verdict(trial.subject, result, why, evidence), numbers=numbers)
    took_s = max(0.0, at_s - (fault.limit_from_s or until_s))
    numbers["healed_after_return_s"] = round(took_s, _DECIMALS)
    why = f"healed {took_s:.1f} s after {fault.name} was undone, and not in {away_s:.1f} s before; limit {limit_s:g} s"
    if took_s <= limit_s:
        return replace(_verdict(trial.subject, Result.PASS, why, evidence), numbers=numbers)
    if took_s - (late_s := seen_late_s(facts, at_s)) <= limit_s:
        why += seen_late_clause(late_s)
        return replace(_verdict(trial.subject, Result.INCONCLUSIVE, why, evidence), numbers=numbers)
    hint = "see Argo CD's poll (timeout.reconciliation); or allow for it in faults.recovery_limits_s"
    late = Finding("RECOVERED_LATE", f"healed {took_s - limit_s:.1f} s later than the limit", hint)
    return replace(_verdict(trial.subject, Result.FAIL, why, evidence, late), numbers=numbers)


def _restored_otherwise(trial: DriftTrial, restored: Restored) -> str:
    """Why this repair is not proven to be Argo CD's own; "" if it is."""
    if not restored.complete or restored.manager not in ("", CONTROLLER):
        who = restored.manager or "nobody said who"
        return f"it was not Argo CD that restored it, or not all of it ({who}: {restored.value!r})"
    before, after = trial.before, trial.after
    if before is None or after is None:
        return "Argo CD's operation state was not read: the cause of the repair is unknown"
    if after.started_at and after.started_at == before.state.started_at:
        return f"Argo CD started no operation: {restored.manager or 'somebody else'} did it"
    if after.operation_revision != before.sync_revision:
        return "Argo CD had moved on to another revision: an ordinary auto-sync restored it"
    if not after.automated:
        return f"restored by a sync that somebody started ({after.initiated_by or 'nobody said who'})"
    return ""


def _not_healed(facts: Facts, fault: Fault, trial: DriftTrial, until_s: float, evidence: tuple[int, ...]) -> Verdict:
    """No repair was seen: FAIL if that is proven, for as long as the limit."""
    end, limit_s = trial.not_healed, fault.limit_s or 0.0
    if end is None:
        why = f"the trial ended in the middle: the last that is known is {trial.last_word()!r}"
        return _verdict(trial.subject, Result.INCONCLUSIVE, why, evidence)
    waited_s = trial.said["not-healed"].end_s - (fault.limit_from_s or until_s)
    if waited_s < limit_s:
        why = f"watched for {waited_s:.1f} s after the fault only; limit {limit_s:g} s"
        return _verdict(trial.subject, Result.INCONCLUSIVE, why, evidence)
    if unproven := unproven_absence(end):
        why = f"whether it was healed within {waited_s:.1f} s is not known: {unproven}"
        return _verdict(trial.subject, Result.INCONCLUSIVE, why, evidence)
    because, findings = why_not_healed(trial, end)
    result, chosen = unhealed(end, must_heal=facts.plan.target.drift.must_heal)
    why = f"not healed within {waited_s:.1f} s after {fault.name} was taken away ({end.stage}): {because}{chosen}"
    return _verdict(trial.subject, result, why, evidence, *findings)
