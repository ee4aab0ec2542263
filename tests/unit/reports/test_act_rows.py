"""What was done, on the timeline: a fault from its start over its effect to its recovery, coloured by its verdict."""

from __future__ import annotations

import pytest
from story import Story

from rollproof.core.event import Outcome
from rollproof.core.verdict import Result, Verdict
from rollproof.reports.act_rows import act_sections
from rollproof.reports.cases import cases
from rollproof.reports.model import Report
from rollproof.reports.sentences import headline, sentence
from rollproof.reports.timeline import Row, axis_of


def fault_row(told: Story, result: Result = Result.PASS) -> Row:
    facts = told.facts()
    axis = axis_of(facts)
    assert axis is not None
    verdict = Verdict("fault", "Fault/pod-delete", result, "")
    section = next(one for one in act_sections(facts, axis, {verdict.subject: verdict}) if one.title == "Faults")
    (row,) = section.rows
    return row


def seconds(row: Row, kind: str) -> list[tuple[float, float]]:
    """The stretches of a kind, from the axis's begin: the fault was planned one second before it began."""
    return [(bar.start_ms / 1000, bar.end_ms / 1000) for bar in row.bars if bar.kind == kind]


def test_a_fault_is_drawn_from_its_start_to_its_effect_to_its_recovery() -> None:
    row = fault_row(Story().fault(limit_s=15.0))
    assert (row.name, row.note) == ("pod-delete", "")
    assert seconds(row, "backoff") == [(1.0, 2.0)]
    assert seconds(row, "repair") == [(2.0, 21.0)]
    assert seconds(row, "mark limit") == [(16.0, 16.0)]


@pytest.mark.parametrize(
    ("result", "kind"), [(Result.PASS, "repair"), (Result.FAIL, "repair fail"), (Result.INCONCLUSIVE, "repair unknown")]
)
def test_its_colour_is_the_verdicts(result: Result, kind: str) -> None:
    assert seconds(fault_row(Story().fault(), result), kind)


def test_a_limit_beyond_the_drill_is_not_drawn() -> None:
    assert seconds(fault_row(Story().fault(limit_s=60.0)), "mark limit") == []


def test_a_fault_that_nobody_felt_is_not_drawn_as_felt() -> None:
    told = Story().fault(until="injected")
    told.tell("fault", "Fault/pod-delete", "no-effect", at=111, outcome=Outcome.UNKNOWN, waited_s=10.0)
    row = fault_row(told, Result.INCONCLUSIVE)
    assert row.note == "not felt"
    assert not any(bar.kind.startswith("repair") for bar in row.bars)


def test_what_was_skipped_has_a_row_with_its_reason() -> None:
    told = Story().fault(until="planned").tell("fault", "Fault/pod-delete", "skipped", at=100, reason="one replica")
    row = fault_row(told, Result.SKIPPED)
    assert (row.note, row.bars[0].tip) == ("skipped", "Fault/pod-delete: fault skipped: one replica")


def test_a_fault_is_told_on_the_console_word_by_word() -> None:
    events = Story().fault().events
    assert [(event.what, sentence(event)) for event in events if headline(event)] == [
        ("injected", "Fault/pod-delete: fault injected"),
        ("effect", "Fault/pod-delete: felt: Pod/shop/old-1 is deleted"),
        ("recovered", "Fault/pod-delete: recovered after 20.00 s"),
        ("undone", "Fault/pod-delete: undone by platform"),
    ]


def test_a_case_lasts_as_long_as_its_fault(report: Report) -> None:
    told = Story("drift").fault().fault("node-drain", at=200, recovered=30)
    verdicts = tuple(
        Verdict("fault", f"Fault/{name}", Result.PASS, "", "drift") for name in ("pod-delete", "node-drain")
    )
    shown = Report(
        plan=report.plan, facts={"drift": told.facts()}, verdicts=verdicts, result=Result.PASS, exit_code=0
    )  # fmt: skip
    assert [(case.name, case.span.took_s) for case in cases(shown)] == [
        ("fault pod-delete", 21.0), ("fault node-drain", 31.0),
    ]  # fmt: skip
