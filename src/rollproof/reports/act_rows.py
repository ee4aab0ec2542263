"""The acts as rows of the timeline: the stages of a rollout, the drifts, the faults.

A bar begins and ends at the time of a fact, and its colour is the verdict's: nothing is compared here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from rollproof.core.attempt import Attempt
from rollproof.core.drift import drift_trials
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.fault import Fault, FaultWord, find_faults
from rollproof.core.verdict import Result, Verdict
from rollproof.reports.sentences import sentence
from rollproof.reports.timeline import Axis, Bar, Row, Section, bar, event_bar

__all__ = ["act_sections"]

_DRIFT_LEGEND = (("backoff", "back-off"), ("repair", "detect + apply"), ("stayed", "stays, as it must"))
_FAULT_LEGEND = (("backoff", "not felt yet"), ("repair", "felt"), ("limit", "the recovery's limit"))
_COLOURS: Mapping[Result, str] = {Result.PASS: "", Result.FAIL: " fail"}


def act_sections(facts: Facts, axis: Axis, verdicts: Mapping[str, Verdict]) -> list[Section]:
    """A section for each kind of act, also those without rows. `verdicts` are the drill's, by subject."""
    return [
        Section(title="Rollout", rows=_stages(facts, axis)),
        Section(title="Drift", rows=_drift(facts, axis, verdicts), legend=_DRIFT_LEGEND),
        Section(title="Faults", rows=_faults(facts, axis, verdicts), legend=_FAULT_LEGEND),
    ]


def _stages(facts: Facts, axis: Axis) -> tuple[Row, ...]:
    rows = []
    for source in ("release", "rollback"):
        grouped: dict[str, list[Event]] = defaultdict(list)
        for event in facts.find(source=source):
            if event.what != "started":
                grouped[event.what].append(event)
        for what, events in grouped.items():
            took_s = max(event.end_s for event in events) - min(event.start_s for event in events)
            bars = tuple(event_bar(axis, event, "stage", tip=sentence(event)) for event in events)
            rows.append(Row(name=what, note=f"{took_s:.2f} s" if took_s > 0 else "", kind="thin", bars=bars))
    return tuple(rows)


def _drift(facts: Facts, axis: Axis, verdicts: Mapping[str, Verdict]) -> tuple[Row, ...]:
    rows = []
    for trial in drift_trials(facts):
        if trial.happened is None:
            rows.append(_not_injected(axis, trial))
            continue
        bars = _drift_bars(axis, trial.said, verdicts.get(trial.subject))
        rows.append(Row(name=trial.short_name, kind="thin", bars=bars))
    return tuple(rows)


def _drift_bars(axis: Axis, events: Mapping[str, Event], verdict: Verdict | None) -> tuple[Bar, ...]:
    begun = events["injected"]
    ended = events.get("restored") or events.get("stayed") or events.get("not-healed") or events.get("undone")
    start_ms = axis.at_ms(begun.end_s)
    end_ms = axis.length_ms if ended is None else axis.at_ms(ended.end_s)
    wait_s = float(str(verdict.numbers.get("backoff_s") or 0)) if verdict is not None else 0.0
    split_ms = min(start_ms + wait_s * 1000, end_ms) if "restored" in events else start_ms
    tip = sentence(ended) if ended is not None else "never seen to end"
    colour = _colour(verdict)
    kind = "stayed" if "stayed" in events and not colour else f"repair{colour}"
    bars = []
    if split_ms > start_ms:
        bars.append(bar(axis, start_ms, split_ms, "backoff", tip=f"back-off, {wait_s:.1f} s", seq=begun.seq))
    bars.append(bar(axis, split_ms, end_ms, kind, tip=tip, seq=ended.seq if ended else None))
    for what in ("detected", "synced", "healthy"):
        if what in events:
            at_ms = axis.at_ms(events[what].end_s)
            bars.append(bar(axis, at_ms, at_ms, f"mark {what}", tip=sentence(events[what]), seq=events[what].seq))
    return tuple(bars)


def _faults(facts: Facts, axis: Axis, verdicts: Mapping[str, Verdict]) -> tuple[Row, ...]:
    rows = []
    for fault in find_faults(facts):
        if not fault.begun:
            rows.append(_not_injected(axis, fault))
            continue
        note = "" if fault.happened is not None else "not felt"
        bars = _fault_bars(axis, fault, verdicts.get(fault.subject))
        rows.append(Row(name=fault.short_name, note=note, kind="thin", bars=bars))
    return tuple(rows)


def _fault_bars(axis: Axis, fault: Fault, verdict: Verdict | None) -> tuple[Bar, ...]:
    """From the start to the effect, and from there to the recovery; without an end, to the end of the axis."""
    felt, ended = fault.happened, fault.said.get(FaultWord.RECOVERED) or fault.said.get(FaultWord.NOT_RECOVERED)
    start_ms = axis.at_ms(fault.started.start_s)
    end_ms = axis.length_ms if ended is None else axis.at_ms(ended.end_s)
    felt_ms = end_ms if felt is None else min(axis.at_ms(felt.end_s), end_ms)
    tip = sentence(ended) if ended is not None else "never seen to end"
    bars = [bar(axis, start_ms, felt_ms, "backoff", tip=sentence(fault.started), seq=fault.started.seq)]
    if felt is not None:
        kind = f"repair{_colour(verdict)}"
        bars.append(bar(axis, felt_ms, end_ms, kind, tip=f"{sentence(felt)}; {tip}", seq=felt.seq))
    limit_ms = (fault.started.start_s - axis.start_s + (fault.limit_s or 0.0)) * 1000
    if fault.limit_s is not None and limit_ms <= axis.length_ms:
        at_ms = axis.at_ms(fault.started.start_s + fault.limit_s)
        bars.append(bar(axis, at_ms, at_ms, "mark limit", tip=f"limit: recovered within {fault.limit_s:g} s"))
    marked = (FaultWord.INJECTED, FaultWord.NO_EFFECT, FaultWord.UNDONE, FaultWord.VOID, FaultWord.ERROR)
    bars += [_mark(axis, fault.said[word]) for word in marked if word in fault.said]
    return tuple(bars)


def _not_injected(axis: Axis, attempt: Attempt) -> Row:
    """A row for a fault that was not injected, with the reason."""
    tips = [event for event in attempt.events if event.what in {"skipped", "void", "error"}]
    bars = tuple(event_bar(axis, event, "mark", tip=sentence(event)) for event in tips)
    return Row(name=attempt.short_name, note=str(tips[0].what) if tips else "", kind="thin", bars=bars)


def _mark(axis: Axis, event: Event) -> Bar:
    at_ms = axis.at_ms(event.end_s)
    return bar(axis, at_ms, at_ms, f"mark {event.what} {event.outcome}", tip=sentence(event), seq=event.seq)


def _colour(verdict: Verdict | None) -> str:
    """The verdict as a CSS class; none for a PASS, and where nothing was judged."""
    return _COLOURS.get(verdict.result, " unknown") if verdict is not None else ""
