"""Did the replicas follow the load, and did nobody but the autoscaler write their number? A verdict for each.

"Not scaled" is FAIL only where the autoscaler itself was seen to measure enough for longer than its own clocks allow:
too little load, an unknown use, a blind watch are INCONCLUSIVE (docs/autoscaling.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from rollproof.core.event import Outcome
from rollproof.core.facts import Facts
from rollproof.core.scaling import (
    AUTOSCALER,
    METRICS_S,
    SYNC_S,
    ReplicasSeen,
    ScalerSeen,
    Scaling,
    ScalingPlan,
    ScalingWord,
    deleted_meanwhile,
    find_scalings,
    replicas_seen,
    scalers_seen,
    syncs_begun,
)
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.judge.checkers.drift import CONTROLLER
from rollproof.judge.checkers.watches import lost_watch

__all__ = ["check"]

_NAME = "autoscaling"
_LOOKS = 2  # so many looks of the autoscaler, each SYNC_S apart, must have had the chance to act
_SHOWN = 3
_ENDS = {ScalingWord.NOT_SCALED_UP, ScalingWord.NOT_READY, ScalingWord.FLOOR, ScalingWord.NOT_FLOOR}
_Write = tuple[ReplicasSeen, ReplicasSeen]  # before and after
_MORE = "raise autoscaling.rate_per_s, or name a path in autoscaling.path that costs the app more"


def check(facts: Facts) -> tuple[Verdict, ...]:
    """One of the replicas' number, one of who wrote it; one alone where no load was raised."""
    found = [one for one in find_scalings(facts) if one.begun]
    if not found:
        return (Verdict(_NAME, "Scaling", Result.INCONCLUSIVE, "no load was raised"),)
    scaling = found[-1]
    if (doubt := _doubt(facts, scaling)) is not None:
        subjects = (scaling.subject, _deployment(facts))
        return tuple(Verdict(_NAME, subject, Result.INCONCLUSIVE, doubt) for subject in subjects)
    return _followed(facts, scaling), _owned(facts, scaling)


def _deployment(facts: Facts) -> str:
    cluster = facts.plan.target.cluster
    return f"Deployment/{cluster.namespace}/{cluster.deployment}"


def _end_s(scaling: Scaling) -> float:
    return scaling.end_s or scaling.started.end_s


def _doubt(facts: Facts, scaling: Scaling) -> str | None:
    """Why what the watches told of that time says nothing of the autoscaler."""
    since_s, until_s = scaling.started.start_s, _end_s(scaling)
    if (lost := lost_watch(facts, since_s=since_s, until_s=until_s)) is not None:
        return f"{lost.subject} was blind during the rise of load: {lost.reason}"
    gone = deleted_meanwhile(facts, since_s=since_s, until_s=until_s)
    return f"{gone.subject} was deleted during the rise of load, by somebody else" if gone is not None else None


# -- did they follow? -------------------------------------------------------------------------------------------------


def _followed(facts: Facts, scaling: Scaling) -> Verdict:
    seen = scalers_seen(facts, since_s=scaling.started.start_s, until_s=_end_s(scaling))
    numbers = _numbers(facts, scaling, seen)
    result, why, findings = _judged(scaling, seen, numbers, _of_strangers(facts, scaling))
    return Verdict(
        _NAME, scaling.subject, result, why, numbers=numbers,
        evidence=tuple(event.seq for event in scaling.events), findings=(*findings, *_lost(scaling)),
    )  # fmt: skip


def _judged(
    scaling: Scaling, seen: list[ScalerSeen], numbers: Mapping[str, Number], theirs: list[_Write]
) -> tuple[Result, str, tuple[Finding, ...]]:
    said, plan = scaling.said, scaling.plan
    if plan is None:
        return Result.INCONCLUSIVE, "its plan with the limits was not recorded", ()
    for word, judge in (
        (ScalingWord.NOT_SCALED_UP, _not_up), (ScalingWord.NOT_READY, _not_ready), (ScalingWord.NOT_FLOOR, _not_down),
    ):  # fmt: skip
        event = said.get(word)
        if event is not None and event.outcome is not Outcome.FAIL:
            why = f"{word}, but not everything could be seen: {scaling.last_seen(word)}"
            return Result.INCONCLUSIVE, why, ()
        if event is not None and not theirs:
            return judge(scaling, plan, seen)
    if theirs:
        why = f"not every change of the replicas was the autoscaler's: {'; '.join(map(_told, theirs[:_SHOWN]))}"
        return Result.INCONCLUSIVE, why, ()
    if scaling.happened is None or scaling.sure(ScalingWord.READY) is None or scaling.over_s is None:
        return Result.INCONCLUSIVE, f"it was not watched to its end: the last is {scaling.last_word()!r}", ()
    ready = said[ScalingWord.READY]
    if (took_s := ready.end_s - ready.start_s) > plan.ready_within_s:  # whoever looked was held up itself
        why = f"that all got traffic was seen after {took_s:.1f} s only; the limit is {plan.ready_within_s:g} s"
        return Result.INCONCLUSIVE, f"{why} (autoscaling.ready_within_s)", ()
    return Result.PASS, _claim(plan, numbers), ()


def _not_up(scaling: Scaling, _: ScalingPlan, seen: list[ScalerSeen]) -> tuple[Result, str, tuple[Finding, ...]]:
    end_s = scaling.said[ScalingWord.NOT_SCALED_UP].end_s
    waited_s = end_s - scaling.started.end_s
    until = [one for one in seen if one.event.start_s <= end_s]
    uses = [one.use for one in until if one.use is not None]
    if (unknown := _unknown(until)) or not uses:
        return Result.INCONCLUSIVE, unknown, ()
    above_s = _lasting_s(until, lambda one, _: one.is_above, end_s)
    allowed_s = _LOOKS * SYNC_S + until[-1].up_window_s
    most = f"the use was at most {max(uses):.0%} of its target"
    if not any(one.is_above for one in until):
        why = f"too little load: {most} in {waited_s:.0f} s{_sent(scaling)}; {_MORE}"
        return Result.INCONCLUSIVE, why, ()
    if above_s < allowed_s:
        how = f"for the last {above_s:.0f} s only" if above_s else "for a while, and not any more at the end"
        why = f"no replica was added, and the use was above its target {how}{_sent(scaling)}; {_MORE}"
        return Result.INCONCLUSIVE, why, ()
    why = (
        f"no replica was added within {waited_s:.0f} s, although the use was above its target for {above_s:.0f} s "
        f"({most}); the autoscaler looks each {SYNC_S:g} s"
    )
    last = f"seen last: {scaling.last_seen(ScalingWord.NOT_SCALED_UP)}"
    return Result.FAIL, why, (Finding("NOT_SCALED_UP", last, "kubectl describe hpa: its conditions"),)


def _not_ready(scaling: Scaling, plan: ScalingPlan, _: list[ScalerSeen]) -> tuple[Result, str, tuple[Finding, ...]]:
    why = f"the added replicas got no traffic within {plan.ready_within_s:g} s (autoscaling.ready_within_s)"
    hint = "is there room on the nodes (events: FailedScheduling), and how long does the app start?"
    last = f"seen last: {scaling.last_seen(ScalingWord.NOT_READY)}"
    return Result.FAIL, why, (Finding("ADDED_NOT_READY", last, hint),)


def _not_down(scaling: Scaling, plan: ScalingPlan, seen: list[ScalerSeen]) -> tuple[Result, str, tuple[Finding, ...]]:
    event = scaling.said[ScalingWord.NOT_FLOOR]
    window_s, floor = plan.window_s, plan.floor
    over_s = scaling.load_over_s or scaling.started.end_s
    until = [one for one in seen if one.event.start_s <= event.end_s]
    stays = ScalingWord.SCALED_DOWN in scaling.said and any(one.current <= floor for one in until[-1:])
    if not stays:  # else it is a pod that has not gone, whatever the use is
        if unknown := _unknown(until):
            return Result.INCONCLUSIVE, unknown, ()
        low_s = _lasting_s(until, lambda one, use: _wants(one, use) < max(one.current, floor + 1), event.end_s)
        allowed_s = window_s + _LOOKS * SYNC_S
        if low_s < allowed_s:
            how = f"low enough for the last {low_s:.0f} s only" if low_s else "not low enough at the end"
            which = "not each" if ScalingWord.SCALED_DOWN in scaling.said else "no"
            why = (
                f"{which} replica was taken away, and the use was {how} ({until[-1].use:.0%} of its target); the "
                f"window is {window_s:g} s: is there other load?"
            )
            return Result.INCONCLUSIVE, why, ()
    why = f"the replicas were not back at {floor} within {event.end_s - over_s:.0f} s of the end of the load"
    hint = "kubectl describe hpa: its conditions and behavior; a pod that stays: its grace period and preStop"
    return (
        Result.FAIL,
        why,
        (Finding("NOT_SCALED_DOWN", f"seen last: {scaling.last_seen(ScalingWord.NOT_FLOOR)}", hint),),
    )


def _unknown(seen: list[ScalerSeen]) -> str:
    """Why it is not known what the autoscaler measured at the end; "" if it is."""
    if seen and seen[-1].use is not None:
        return ""
    reason = next((one.reason for one in reversed(seen) if one.reason), "it told no use")
    return f"what the autoscaler measured is not known: {reason}"


def _wants(seen: ScalerSeen, use: float) -> int:
    """The replicas that the autoscaler's rule makes of a use, without its window: ceil(current * use)."""
    return seen.current if abs(use - 1) <= seen.tolerance else -int(-seen.current * use // 1)


def _lasting_s(seen: list[ScalerSeen], holds: Callable[[ScalerSeen, float], bool], end_s: float) -> float:
    """For how long it has held without a break until the end; what is not known breaks it."""
    since_s: float | None = None
    for one in seen:
        if one.use is None or not holds(one, one.use):
            since_s = None
        elif since_s is None:
            since_s = one.event.start_s
    return 0.0 if since_s is None else max(0.0, end_s - since_s)


def _claim(plan: ScalingPlan, numbers: Mapping[str, Number]) -> str:
    use = f" at {numbers['use_max_percent']} % of the target" if "use_max_percent" in numbers else ""
    return (
        f"{numbers['floor']} to {numbers['peak']} replicas{use}: the first was wanted {numbers['scaled_up_s']} s "
        f"after the load rose (metrics each {METRICS_S:g} s, looked at each {SYNC_S:g} s), all got traffic after "
        f"{numbers['ready_s']} s; fewer were wanted {numbers['scaled_down_s']} s after its end (window "
        f"{plan.window_s:g} s), back at {numbers['floor']} after {numbers['floor_s']} s"
    )


def _sent(scaling: Scaling) -> str:
    sent = scaling.sent
    return f" with {sent.rate_per_s:g} requests/s more on {scaling.path}" if sent is not None else ""


def _lost(scaling: Scaling) -> Iterator[Finding]:
    """What the added load itself lost: users are stood for by the lanes that `availability` judges."""
    sent = scaling.sent
    if sent is not None and sent.failures:
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(sent.outcomes.items()))
        text = f"{sent.failures} of {sent.requests} requests of the added load were lost ({kinds})"
        yield Finding("ADDED_LOAD_LOST", text, "the app was beyond what it bears before the autoscaler had answered")


def _numbers(facts: Facts, scaling: Scaling, seen: list[ScalerSeen]) -> dict[str, Number]:
    """Seconds from the rise, and of the way back from the end of the load; what was not seen has no number."""
    word, up_s, over_s = ScalingWord, scaling.started.end_s, scaling.load_over_s
    times = {
        "scaled_up_s": scaling.after_s(up_s, word.SCALED_UP),
        "ready_s": scaling.after_s(up_s, word.READY),
        "scaled_down_s": scaling.after_s(over_s, word.SCALED_DOWN),
        "floor_s": scaling.after_s(over_s, word.FLOOR),
    }
    numbers: dict[str, Number] = {name: round(value, 1) for name, value in times.items() if value is not None}
    wanted = [one.wanted for one in _wanted(facts, scaling)]
    if (plan := scaling.plan) is not None:
        numbers |= {"window_s": round(plan.window_s, 1), "floor": plan.floor}
    numbers["peak"] = max(wanted, default=0)
    uses = [one.use for one in seen if one.use is not None]
    if uses:
        numbers["use_max_percent"] = round(100 * max(uses), 1)
    if (sent := scaling.sent) is not None:
        numbers |= {"requests": sent.requests, "failures": sent.failures, "rate_per_s": sent.rate_per_s}
    return numbers


def _wanted(facts: Facts, scaling: Scaling) -> list[ReplicasSeen]:
    return replicas_seen(facts, since_s=scaling.started.start_s, until_s=_end_s(scaling))


# -- who wrote the number? --------------------------------------------------------------------------------------------


def _owned(facts: Facts, scaling: Scaling) -> Verdict:
    """FAIL if somebody else wrote it, and why that is so where git declares it."""
    seen = _wanted(facts, scaling)
    written = _written(seen)
    theirs = [one for one in written if _is_theirs(one)]
    synced = [(before, after) for before, after in theirs if CONTROLLER in after.owners]
    syncs = syncs_begun(facts, since_s=scaling.started.start_s, until_s=_end_s(scaling))
    numbers: dict[str, Number] = {"written": len(written), "written_by_others": len(theirs), "syncs": syncs}
    evidence = tuple(dict.fromkeys(one.event.seq for pair in written for one in pair))
    findings = tuple(_declared(seen))
    if synced:
        why = f"Argo CD wrote spec.replicas against the autoscaler: {'; '.join(map(_told, synced[:_SHOWN]))}"
        hint = "leave replicas out of git; or ignoreDifferences with group apps and RespectIgnoreDifferences=true"
        findings = (Finding("REPLICAS_FOUGHT_OVER", why, hint), *findings)
        result = Result.FAIL
    elif theirs:  # a person, or another controller: whoever it is, the drill says nothing about these
        why = f"somebody else wrote spec.replicas meanwhile: {'; '.join(map(_told, theirs[:_SHOWN]))}"
        result = Result.INCONCLUSIVE
    elif not written:
        result, why = Result.INCONCLUSIVE, "spec.replicas was not written, so that nobody could fight over it"
    elif any(not after.owners for _, after in written):
        result, why = Result.INCONCLUSIVE, "who wrote spec.replicas is not known: the API told no managedFields"
    elif scaling.said.keys().isdisjoint(_ENDS):
        last = f"the last that is known is {scaling.last_word()!r}"
        result, why = Result.INCONCLUSIVE, f"it was not watched to its end who writes spec.replicas: {last}"
    else:
        way = " → ".join(str(one.wanted) for one in (written[0][0], *(after for _, after in written)))
        result, why = Result.PASS, f"{way}, by {AUTOSCALER} alone; {syncs or 'no'} sync by Argo CD meanwhile"
    subject = _deployment(facts)
    return Verdict(_NAME, subject, result, why, numbers=numbers, evidence=evidence, findings=findings)


def _written(seen: list[ReplicasSeen]) -> list[_Write]:
    return [(before, after) for before, after in pairwise(seen) if before.wanted != after.wanted]


def _is_theirs(pair: _Write) -> bool:
    """Whether somebody else than the autoscaler wrote it; who is not known is nobody."""
    return bool(pair[1].owners) and AUTOSCALER not in pair[1].owners


def _of_strangers(facts: Facts, scaling: Scaling) -> list[_Write]:
    """What neither the autoscaler nor Argo CD wrote: with that the replicas tell nothing of the autoscaler."""
    return [one for one in _written(_wanted(facts, scaling)) if _is_theirs(one) and CONTROLLER not in one[1].owners]


def _told(pair: _Write) -> str:
    before, after = pair
    return f"{before.wanted} → {after.wanted} by {', '.join(after.owners)}"


def _declared(seen: list[ReplicasSeen]) -> Iterator[Finding]:
    if any(CONTROLLER in one.owners for one in seen):
        text = "Argo CD owns spec.replicas (managedFields), so git declares it: each sync sets it again, under load too"
        yield Finding("REPLICAS_DECLARED", text, "leave replicas out of the overlay that has an autoscaler")
