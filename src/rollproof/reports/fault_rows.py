"""Facts -> one row a fault: the change, the evidence of its effect, its cost, the drill's result, and its undo.

Page, console and JSON show the same rows. They must not judge: every figure and result is a verdict's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rollproof.core.facts import Facts
from rollproof.core.fault import Fault, FaultWord, planned_faults
from rollproof.core.verdict import Number, Result, Verdict, worst
from rollproof.reports.model import Report
from rollproof.reports.sentences import sentence
from rollproof.store.reading import UNDO

__all__ = ["FaultRow", "fault_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """One fault. Times are from its start, as the verdict has them; None where there was nothing to measure.

    evidence: the fact that proved its effect, in words; "" where nobody saw one. lost: requests of the app; None where
    no load ran. result: of the fault's own verdict, `drill_result` of all that the drill asked for. undone: by whom,
    "at the end" where the run's last undo did it, "nothing" where nothing was done, "not yet" where it is still open.
    """

    fault: str
    drill: str
    change: str
    outcome: str
    evidence: str
    effect_s: float | None
    recovery_s: float | None
    limit_s: float | None
    lost: int | None
    undone: str
    seq: int | None
    result: Result | None
    drill_result: Result


def fault_rows(report: Report) -> list[FaultRow]:
    """A row for each fault of every drill, in the order of the run, those that were skipped among them."""
    return [
        _row(report, facts, fault, [one for one in report.verdicts if one.drill == drill])
        for drill, facts in report.drills()
        for fault in _faults(facts)
    ]


def _faults(facts: Facts) -> Iterator[Fault]:
    """Drifts are planned like faults, and have a table of their own."""
    return (fault for fault in planned_faults(facts) if fault.said or not fault.short_name.startswith("drift-"))


def _row(report: Report, facts: Facts, fault: Fault, verdicts: list[Verdict]) -> FaultRow:
    own = next((one for one in verdicts if one.subject == fault.subject), None)
    numbers = own.numbers if own else {}
    results = [one.result for one in verdicts]
    skipped = bool(results) and set(results) == {Result.SKIPPED}
    return FaultRow(
        fault=fault.short_name,
        drill=facts.drill,
        change=fault.change,
        outcome=_outcome(fault, verdicts),
        evidence=fault.watched,
        effect_s=_number(numbers, "effect_s"),
        recovery_s=_number(numbers, "recovery_s"),
        limit_s=_number(numbers, "limit_s"),
        lost=int(lost) if (lost := _number(numbers, "lost")) is not None else None,
        undone=_undone(report, facts, fault),
        seq=fault.events[0].seq if fault.said else None,
        result=own.result if own else None,
        drill_result=Result.SKIPPED if skipped else worst(results),
    )


def _outcome(fault: Fault, verdicts: list[Verdict]) -> str:
    """The last that is known of it, in words; of one that was not begun, why."""
    told = [event for event in fault.events if event.what != FaultWord.UNDONE] or list(fault.events)
    if told:
        return sentence(told[-1]).partition(": ")[2]
    return next((one.why for one in verdicts if one.checker == "harness"), "nothing is known of it")


def _undone(report: Report, facts: Facts, fault: Fault) -> str:
    if fault.undone_by:
        return fault.undone_by
    if not fault.begun:
        return "nothing"
    journal = report.facts[UNDO].journal if UNDO in report.facts else facts.journal
    entries = [one for one in journal.changes if one.kind == fault.short_name] if journal else []
    if not entries:
        return ""
    still = {one.state for one in entries} - {"done", "not-needed"}
    return "at the end" if not still else "left alone" if still == {"left"} else "not yet"


def _number(numbers: Mapping[str, Number], key: str) -> float | None:
    """A number as the checker computed it: a report computes none itself."""
    value = numbers.get(key)
    return float(value) if isinstance(value, int | float) else None
