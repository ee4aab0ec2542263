"""Did self-heal repair each drift, and within the limit? One verdict a trial.

"Repaired" is not "healed": an ordinary auto-sync, a person or another controller may have done it, and a patch may have
changed nothing (docs/argocd.md 1.7). Only Argo CD's operation state proves a self-heal; without that proof the trial is
INCONCLUSIVE. The limit applies to detection + apply, because Argo CD's own back-off comes on top by design.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rollproof.core.backoff import HEALS_SHOWN, BackOff, stored_model
from rollproof.core.drift import Before, DriftTrial, Looked, Restored, argo_version, drift_trial
from rollproof.core.facts import Facts
from rollproof.core.reasons import Found, HealCause, HealStage
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.core.watched import Gap, seen_late_s
from rollproof.judge.checkers.clock import CLOCK_STEP_MAX_S, clock_step_s
from rollproof.judge.checkers.watches import lost_watch

__all__ = ["CAUSES", "CONTROLLER", "check", "unhealed", "unproven_absence", "why_not_healed"]

CONTROLLER = "argocd-controller"  # Argo CD's field manager, for client-side and server-side apply
_GRAIN_S = 1.0  # Argo CD's finishedAt has whole seconds, so a wait can be that much shorter than the schedule

# Why nothing was healed (docs/argocd.md 1.6): the first that is true names the verdict. (text, what to do)
CAUSES: Mapping[HealCause, tuple[str, str]] = {
    HealCause.AUTOMATED_OFF: ("automated sync is off", "set spec.syncPolicy.automated"),
    HealCause.SELF_HEAL_OFF: ("selfHeal is off", "set spec.syncPolicy.automated.selfHeal: true"),
    HealCause.SKIP_RECONCILE: (
        "the Application is marked skip-reconcile", "remove argocd.argoproj.io/skip-reconcile"
    ),
    HealCause.DELETING: ("the Application is being deleted", "look at its finalizers"),
    HealCause.SYNC_WINDOW: ("a sync window forbids it now", "see spec.syncWindows of the AppProject"),
    HealCause.LAST_SYNC_FAILED: (
        "the last sync of this revision failed", "Argo CD waits for a new revision or a manual sync"
    ),
    HealCause.COMPARISON_FAILED: (
        "Argo CD cannot compare", "see the Application's conditions and the repo-server"
    ),
    HealCause.OPERATION_RUNNING: ("another operation was running", "see status.operationState"),
    HealCause.NOT_TRACKED: ("the Application does not track the object", "is it in the overlay?"),
    HealCause.IGNORED_DIFFERENCE: (
        "ignoreDifferences covers the field", "see spec.ignoreDifferences of the Application"
    ),
    HealCause.CONTROLLER_AWAY: (
        "the application-controller is not ready", "see its pod in Argo CD's namespace"
    ),
}  # fmt: skip
_WATCH_BROKEN = Finding(
    "WATCH_BROKEN", "healed only after a refresh: Argo CD's watch is broken",
    "restart the application-controller, and see its log for watches that failed",
)  # fmt: skip
_HELD_UP: Mapping[str, tuple[str, str]] = {  # how far it came, where none of the known causes holds
    HealStage.NOT_DETECTED: (
        "Argo CD did not notice the change", "see the controller's load and its watches; the webhook does not help here"
    ),
    HealStage.NOT_SYNCED: (
        "Argo CD noticed the change and began no sync", "see the controller's log and its self-heal timeout"
    ),
    HealStage.NOT_RESTORED: (
        "Argo CD began a sync, and the change stayed",
        "see status.operationState: has it ended? Then compare what the overlay renders with the live object",
    ),
}  # fmt: skip
_BY_CHOICE = (
    HealCause.AUTOMATED_OFF, HealCause.SELF_HEAL_OFF, HealCause.SKIP_RECONCILE, HealCause.SYNC_WINDOW,
    HealCause.IGNORED_DIFFERENCE,
)  # fmt: skip


def check(facts: Facts) -> tuple[Verdict, ...]:
    """One verdict for each trial of the plan, in that order."""
    names = facts.plan.target.drift.trials
    if not names:
        return (_verdict("Drift", Result.INCONCLUSIVE, "the target file names no drift to try"),)
    verdicts = [_judge(facts, drift_trial(facts, name)) for name in names]
    return tuple(_with_schedule(facts, verdicts))


def _verdict(subject: str, result: Result, why: str, **more: Any) -> Verdict:
    return Verdict(checker="drift", subject=subject, result=result, why=why, **more)


def _lost(facts: Facts, trial: DriftTrial) -> Gap | None:
    """The first interruption of a watch during the trial that may have lost facts."""
    injected = trial.happened
    if injected is None:
        return None
    return lost_watch(facts, since_s=injected.end_s, until_s=trial.end_s or injected.end_s)


def _judge(facts: Facts, trial: DriftTrial) -> Verdict:
    evidence = tuple(event.seq for event in trial.events)
    if not trial.said:
        return _verdict(trial.subject, Result.INCONCLUSIVE, "it was never tried")
    if "skipped" in trial.said:
        return _verdict(trial.subject, Result.SKIPPED, trial.reason("skipped"), evidence=evidence)
    if "error" in trial.said:
        why = f"the harness could not do it: {trial.reason('error')}"
        return _verdict(trial.subject, Result.INCONCLUSIVE, why, evidence=evidence)
    if "interfered" in trial.said:  # Argo CD's reaction to the other change is not the one that was timed
        return _verdict(trial.subject, Result.INCONCLUSIVE, trial.why_interfered(), evidence=evidence)
    judge = _judge_control if trial.control else _judge_heal
    return replace(judge(facts, trial), evidence=evidence)


# -- controls ---------------------------------------------------------------------------------------------------------


def _judge_control(facts: Facts, trial: DriftTrial) -> Verdict:
    """A control shows that the drill can distinguish healed from unchanged; if it cannot, nothing is claimed."""
    if trial.subject == "Drift/void-patch":
        if "void" in trial.said:
            return _verdict(trial.subject, Result.PASS, "a patch that changes nothing was refused as void")
        why = "a patch that should change nothing was taken for a drift: the drill would count it as healed"
        return _verdict(trial.subject, Result.INCONCLUSIVE, why)
    if "void" in trial.said:
        return _verdict(trial.subject, Result.INCONCLUSIVE, "the patch changed nothing, so nothing could stay")
    if trial.restored is not None:
        seen_s = trial.since_injected_s("restored") or 0.0
        manager = trial.restored.manager or "somebody"
        why = f"an undeclared annotation was gone after {seen_s:.1f} s ({manager}): what else is taken off here?"
        finding = Finding("UNDECLARED_REMOVED", why, "find the controller or policy that removes it")
        return _verdict(trial.subject, Result.INCONCLUSIVE, why, findings=(finding,))
    stayed = trial.stayed
    if stayed is None or _lost(facts, trial) is not None:
        return _verdict(trial.subject, Result.INCONCLUSIVE, _unfinished(facts, trial))
    unproven = unproven_absence(stayed)
    if unproven:
        return _verdict(trial.subject, Result.INCONCLUSIVE, f"whether it stayed is not known: {unproven}")
    watched_s, wanted_s = stayed.watched_s, facts.plan.target.drift.negative_watch_s
    if watched_s < wanted_s - 0.01:
        why = f"watched for {watched_s:.1f} s only; {wanted_s:g} s were asked for"
        return _verdict(trial.subject, Result.INCONCLUSIVE, why)
    why = f"an undeclared annotation stayed for {watched_s:.1f} s, as it must"
    return _verdict(trial.subject, Result.PASS, why, numbers={"watched_s": round(watched_s, 3)})


# -- heals ------------------------------------------------------------------------------------------------------------


def _judge_heal(facts: Facts, trial: DriftTrial) -> Verdict:
    before = trial.before
    if before is not None and before.window_denied and trial.happened is None:
        return _judge_window(facts, trial)
    why = _why_not_judged(facts, trial) or _why_not_timed(facts)
    if before is None or why:
        return _verdict(trial.subject, Result.INCONCLUSIVE, why)
    model = stored_model(facts)
    times = _times(trial, before, model, facts.plan.target.drift.limit_s)
    if trial.restored is not None:
        verdict = _judge_restored(facts, trial, trial.restored, before, model, times)
    elif trial.not_healed is not None:
        verdict = _judge_not_healed(facts, trial, trial.not_healed, times)
    else:
        verdict = _verdict(trial.subject, Result.INCONCLUSIVE, _unfinished(facts, trial))
    return replace(verdict, numbers=times)


def _judge_window(facts: Facts, trial: DriftTrial) -> Verdict:
    """While a sync window forbids syncs, nothing is healed; known without a drift."""
    finding = Finding("SYNC_WINDOW", *CAUSES[HealCause.SYNC_WINDOW])
    why = "nothing would be healed now, and nothing was changed: a sync window forbids automated syncs"
    if not facts.plan.target.drift.must_heal:
        return _verdict(trial.subject, Result.SKIPPED, f"{why}; drift.must_heal is false", findings=(finding,))
    return _verdict(trial.subject, Result.FAIL, why, findings=(finding,))


def _why_not_judged(facts: Facts, trial: DriftTrial) -> str:
    """The trial's assumptions (docs/argocd.md 1.8): without them neither a repair nor its absence proves anything."""
    before = trial.before
    if before is not None and not before.fair:
        return f"not a fair trial: {before.why_unfair}"
    if "void" in trial.said:
        return "the patch changed nothing: there was no drift to heal"
    if trial.happened is None or before is None:
        return _unfinished(facts, trial)
    if before.state.operation_revision != before.sync_revision:
        return (
            "the last operation was for another revision: the next repair is an ordinary auto-sync (docs/argocd.md 1.7)"
        )
    return ""


def _why_not_timed(facts: Facts) -> str:
    """Why the remaining back-off is unknown: it is computed from the age of Argo CD's time stamp, by our wall clock."""
    step_s, _ = clock_step_s(facts)
    if abs(step_s) > CLOCK_STEP_MAX_S:
        return (
            f"the wall clock moved {step_s:+.1f} s during the drill: Argo CD's time stamps cannot be compared with it"
        )
    return ""


def _unfinished(facts: Facts, trial: DriftTrial) -> str:
    lost = _lost(facts, trial)
    if lost is not None:
        return f"{lost.subject} was blind during the trial: {lost.reason}"
    return f"the trial ended in the middle: the last that is known is {trial.last_word()!r}"


def _times(trial: DriftTrial, before: Before, model: BackOff, limit_s: float) -> dict[str, Number]:
    """Seconds from the API's reply; the back-off that was left then, and the rest, which is detection + apply."""
    elapsed_s = trial.said["injected"].end_s - before.event.end_s
    backoff_s = max(0.0, before.remaining_s - elapsed_s) if model.known else 0.0
    numbers: dict[str, Number] = {
        "attempts_before": before.state.attempts or 0,
        "gap_s": before.gap_s,
        "backoff_s": round(backoff_s, 3),
    }
    for what in ("detected", "restored", "synced", "healthy"):
        seen_s = trial.since_injected_s(what)
        if seen_s is not None:
            numbers[f"{what}_s"] = round(seen_s, 3)
    total_s = trial.since_injected_s("restored")
    if total_s is not None:
        numbers["detect_and_apply_s"] = round(max(0.0, total_s - backoff_s), 3)
    keeps = model.keeps_up_to(limit_s)
    numbers["limit_s"] = limit_s
    numbers["limit_kept_up_to_attempts"] = int(keeps) if math.isfinite(keeps) else "any"
    return numbers


def _judge_restored(
    facts: Facts, trial: DriftTrial, restored: Restored, before: Before, model: BackOff, times: Mapping[str, Number]
) -> Verdict:
    if _lost(facts, trial) is not None:
        return _verdict(trial.subject, Result.INCONCLUSIVE, _unfinished(facts, trial))
    if not restored.complete:
        came = "the object is there again, without all that it held" if trial.deleted else repr(restored.value)
        why = f"restored only in part: {came}"
        hint = "compare the object in git with the live one: does something else own the fields that did not come back?"
        return _verdict(trial.subject, Result.FAIL, why, findings=(Finding("RESTORED_IN_PART", why, hint),))
    total_s, backoff_s = float(str(times["restored_s"])), float(str(times["backoff_s"]))
    otherwise = _restored_otherwise(trial, restored, before, model, total_s)
    if otherwise:
        return _verdict(trial.subject, Result.INCONCLUSIVE, f"restored after {total_s:.2f} s, but {otherwise}")
    limit_s = facts.plan.target.drift.limit_s
    least_s = max(0.0, total_s - backoff_s)
    asking_s = _asking_s(trial)
    most_s = min(total_s, least_s + (_GRAIN_S if backoff_s else 0.0)) + asking_s
    count = trial.after.attempts if trial.after is not None else None
    took = f"self-heal restored it in {least_s:.2f} s (detection + apply)"
    beside = f"limit {limit_s:g} s; back-off {backoff_s:.1f} s, total {total_s:.2f} s, heal {count} on this revision"
    if most_s <= limit_s:
        return _verdict(trial.subject, Result.PASS, f"{took}; {beside}")
    if not model.known:
        why = f"{took}; {beside}; this version's back-off is not known, so slowness cannot be told from waiting"
        return _verdict(trial.subject, Result.INCONCLUSIVE, why)
    if least_s <= limit_s:
        grain = ["Argo CD's clock has a grain of 1 s"] if backoff_s else []
        slow = [f"the API took {asking_s:.2f} s to answer the change"] if asking_s else []
        why = f"{took}, or up to {most_s:.2f} s: {', and '.join(grain + slow)}; {beside}"
        return _verdict(trial.subject, Result.INCONCLUSIVE, why)
    if least_s - (late_s := min(least_s, seen_late_s(facts, trial.said["restored"].end_s))) <= limit_s:
        why = f"{took}, or up to {late_s:.2f} s less: a watch was away until it was seen; {beside}"
        return _verdict(trial.subject, Result.INCONCLUSIVE, why)
    return _verdict(trial.subject, Result.FAIL, f"{took}, later than the limit; {beside}", findings=(_slow(times),))


def _asking_s(trial: DriftTrial) -> float:
    """By how much earlier than the API's reply the change may have been made; 0 where that was not noted."""
    injected = trial.said["injected"]
    return 0.0 if injected.not_before_s is None else injected.end_s - injected.not_before_s


def _restored_otherwise(trial: DriftTrial, restored: Restored, before: Before, model: BackOff, total_s: float) -> str:
    """Why this repair is not proven to be a self-heal; "" if it is (docs/argocd.md 1.7)."""
    after, manager = trial.after, restored.manager
    if after is None:
        return "Argo CD's operation state was not read afterwards: the cause of the repair is unknown"
    was, now = before.state.attempts or 0, after.attempts or 0
    if manager not in ("", CONTROLLER, "rollproof"):
        return f"the field was written by {manager!r}, not by Argo CD"
    if after.started_at and after.started_at == before.state.started_at:
        return f"Argo CD started no operation: {manager or 'somebody else'} did it"
    if not after.automated:
        who = after.initiated_by or manager or "unknown"
        return f"by a sync that somebody started ({who}), not by self-heal"
    if not model.counts_heals():
        return "this version of Argo CD does not say whether a sync was a self-heal"
    if after.operation_revision != before.sync_revision:
        return "Argo CD had moved on to another revision: an ordinary auto-sync"
    allowed = model.counts_after_heal(attempts=was, quiet_s=before.quiet_s, waited_s=total_s)
    if now in (allowed if model.known else allowed | {1}):
        return ""
    if now == 0:
        return "the heal count is 0: an ordinary auto-sync, which would have come with selfHeal off too"
    return f"the heal count went from {was} to {now}: something else than this drift was healed as well"


def _slow(times: Mapping[str, Number]) -> Finding:
    detected = times.get("detected_s")
    if not isinstance(detected, float):
        return Finding("HEAL_SLOW", "when Argo CD noticed the drift was not seen", "see the controller's log")
    if detected > float(str(times["restored_s"])) / 2:
        text = f"most of the time went by before Argo CD noticed ({detected:.1f} s)"
        return Finding("DETECTION_SLOW", text, "see the controller's load, its watches and the repo-server")
    text = f"Argo CD noticed after {detected:.1f} s; the rest was the sync"
    return Finding("APPLY_SLOW", text, "see sync waves, hooks and the controller's operation processors")


def _judge_not_healed(facts: Facts, trial: DriftTrial, end: Looked, times: Mapping[str, Number]) -> Verdict:
    settings = facts.plan.target.drift
    waited_s, checked = end.watched_s, end.checked
    true = [name for name in CAUSES if checked.get(name)]
    if waited_s < float(str(times["backoff_s"])) + settings.limit_s:
        why = f"watched for {waited_s:.1f} s only: not long enough for the limit and the back-off"
        return _verdict(trial.subject, Result.INCONCLUSIVE, why)
    if _lost(facts, trial) is not None and not (true and true[0] in _BY_CHOICE):
        return _verdict(trial.subject, Result.INCONCLUSIVE, _unfinished(facts, trial))  # a repair may be unseen
    unproven = unproven_absence(end)
    if unproven:
        why = f"whether it was healed within {waited_s:.1f} s is not known: {unproven}"
        return _verdict(trial.subject, Result.INCONCLUSIVE, why)
    because, findings = why_not_healed(trial, end)
    result, chosen = unhealed(end, must_heal=settings.must_heal)
    why = f"not healed within {waited_s:.1f} s ({end.stage}): {because}{chosen}"
    return _verdict(trial.subject, result, why, findings=findings)


def unhealed(end: Looked, *, must_heal: bool) -> tuple[Result, str]:
    """What a repair that surely did not come means, and the end of its sentence: nothing where healing is not promised,
    and the Application says that it is not meant to."""
    true = [name for name in CAUSES if end.checked.get(name)]
    if must_heal:
        return Result.FAIL, ""
    if true and true[0] in _BY_CHOICE:
        return Result.SKIPPED, "; drift.must_heal is false"
    if any(name in end.checked and end.checked[name] is None for name in _BY_CHOICE):
        return (
            Result.INCONCLUSIVE,
            "; drift.must_heal is false, and whether it is meant to heal could not be found out",
        )
    return Result.FAIL, ""


def why_not_healed(trial: DriftTrial, end: Looked) -> tuple[str, tuple[Finding, ...]]:
    """Why no repair came, as a clause, and what to do: the known causes that hold, else how far Argo CD came."""
    checked = end.checked
    true = [name for name in CAUSES if checked.get(name)]
    unknown = [name for name in CAUSES if name in checked and checked[name] is None]
    findings = tuple(Finding(name.upper(), *CAUSES[name]) for name in true)
    looked = f"all were checked but {', '.join(unknown)}" if unknown else "all were checked"
    because = CAUSES[true[0]][0] if true else f"none of the known causes holds ({looked})"
    if trial.healed_by_refresh in ("", CONTROLLER):
        return _WATCH_BROKEN.text, (*findings, _WATCH_BROKEN)
    if not true and end.stage in _HELD_UP:
        said, hint = _HELD_UP[end.stage]
        text = f"in {end.watched_s:.1f} s {said}; none of the known causes holds"
        return because, (Finding(end.stage.upper().replace("-", "_"), text, hint),)
    return because, findings


def unproven_absence(end: Looked) -> str:
    """Why "not repaired" is not proven; "" if our change was seen on the watch, and is there at the end."""
    if not end.seen:
        return "our own change was not seen on that watch, so a repair would not have been seen either"
    return {
        Found.OURS: "",
        Found.UNREAD: "the object could not be read at the end, and the silence of a watch proves nothing",
        Found.ORIGINAL: "it is as before, and the watch did not show when that was",
        Found.OTHER: "it is neither ours nor the original, and the watch did not show who wrote it",
    }[end.found]


# -- the schedule -----------------------------------------------------------------------------------------------------


def _with_schedule(facts: Facts, verdicts: list[Verdict]) -> list[Verdict]:
    """Add, once, the number of heals up to which the limit can be kept at all."""
    first = next((i for i, v in enumerate(verdicts) if "limit_kept_up_to_attempts" in v.numbers), None)
    if first is not None:
        finding = _schedule(facts)
        verdicts[first] = replace(verdicts[first], findings=(*verdicts[first].findings, finding))
    return verdicts


def _schedule(facts: Facts) -> Finding:
    model, limit_s = stored_model(facts), facts.plan.target.drift.limit_s
    gaps = ", ".join(f"{model.gap_s(attempts):g}" for attempts in range(HEALS_SHOWN))
    keeps = model.keeps_up_to(limit_s)
    said = {math.inf: "for any number of heals", -1: "for no number of heals"}.get(
        keeps, f"after 0 to {keeps:g} heals on the revision"
    )
    version = argo_version(facts)
    name = f"Argo CD {version or '(version not readable)'}" if version is not None else "Argo CD"
    assumed = "" if model.known else " (assumed: the version is not known)"
    text = (
        f"{name} lets {gaps} s pass after an operation, by the number of heals before{assumed}: drift that comes at "
        f"once can be healed within {limit_s:g} s {said}; drift that comes after the gap is not delayed"
    )
    return Finding("BACKOFF_SCHEDULE", text, "a fixed deadline on drift must allow for it")
