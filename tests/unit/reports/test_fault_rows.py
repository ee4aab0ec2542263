"""One row a fault, also of those that were skipped or not come to; the figures are the verdict's."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import story
from story import Story

from rollproof.core.facts import Facts
from rollproof.core.injection import Skip
from rollproof.core.journal import Entry, Record
from rollproof.core.verdict import Result, Verdict
from rollproof.reports.console import LiveConsole
from rollproof.reports.fault_rows import FaultRow, fault_rows
from rollproof.reports.html import html_page
from rollproof.reports.model import Report
from rollproof.store.runfolder import UNDO

DRILL = "pod-delete"


def report(told: Story, *verdicts: Verdict, skips: tuple[Skip, ...] = (), journal: Record | None = None) -> Report:
    plan = story.plan(drills=(DRILL,), skips=skips)
    told.plan, told.drill = plan, DRILL
    facts = told.facts()
    end = Facts(plan=plan, drill=UNDO, events=facts.events, journal=journal)
    return Report(plan=plan, facts={DRILL: facts, UNDO: end}, verdicts=verdicts, result=Result.PASS, exit_code=0)


def verdict(checker: str, result: Result, subject: str = "x", **numbers: Any) -> Verdict:
    return Verdict(checker, subject, result, "said", DRILL, numbers=numbers)


def only(made: Report) -> FaultRow:
    (row,) = fault_rows(made)
    return row


def test_a_fault_that_was_overcome() -> None:
    own = verdict("fault", Result.PASS, "Fault/pod-delete", effect_s=1.0, recovery_s=20.0, limit_s=60.0, lost=3)
    row = only(report(Story(DRILL).fault(), own, verdict("availability", Result.FAIL)))
    assert (row.evidence, row.effect_s, row.recovery_s, row.lost) == ("Pod/shop/old-1 is deleted", 1.0, 20.0, 3)
    assert (row.result, row.drill_result, row.undone) == (Result.PASS, Result.FAIL, "platform")


def test_what_was_skipped_says_why() -> None:
    skip = Skip(fault=DRILL, drill=DRILL, reason="1 replica")
    made = report(Story(DRILL), Verdict("harness", DRILL, Result.SKIPPED, "1 replica", DRILL), skips=(skip,))
    row = only(made)
    assert (row.outcome, row.drill_result, row.undone, row.lost) == ("1 replica", Result.SKIPPED, "nothing", None)
    assert "1 replica" in html_page(made)


def test_one_that_was_not_come_to_says_why() -> None:
    skip = Skip(fault=DRILL, drill=DRILL, reason="not asked")
    why = Verdict("harness", DRILL, Result.INCONCLUSIVE, "the steady state was not there", DRILL)
    row = only(report(Story(DRILL), why, skips=(skip,)))
    assert (row.outcome, row.drill_result) == ("the steady state was not there", Result.INCONCLUSIVE)


def test_a_drift_has_a_table_of_its_own() -> None:
    skip = Skip(fault="drift-env", drill=DRILL, reason="no such field")
    assert fault_rows(report(Story(DRILL), skips=(skip,))) == []


@pytest.mark.parametrize(
    ("state", "undone"), [("open", "not yet"), ("done", "at the end"), ("left", "left alone"), ("", "")]
)
def test_what_the_last_undo_made_of_it(state: str, undone: str) -> None:
    entries = (Entry(2, DRILL, "Pod/shop/old-1", {}, state=state),) if state else ()
    assert only(report(Story(DRILL).fault(until="effect"), journal=Record(entries))).undone == undone


def test_several_faults_end_with_a_table_on_the_console() -> None:
    told = Story(DRILL).fault("pod-delete").fault("process-kill", at=200, until="effect")
    own = verdict("fault", Result.FAIL, "Fault/pod-delete", recovery_s=20.04, lost=1234)
    out = io.StringIO()
    LiveConsole(out).verdicts(report(told, own), folder=Path("run"))
    lines = out.getvalue().splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("fault "))
    assert lines[head].split() == ["fault", "evidence", "recovery", "lost", "verdict", "undone"]
    assert lines[head + 1].split() == [
        "pod-delete", "Pod/shop/old-1", "is", "deleted", "20.0", "s", "1,234", "FAIL", "platform",
    ]  # fmt: skip
    assert lines[head + 2].startswith("process-kill")
    out = io.StringIO()
    LiveConsole(out).verdicts(report(Story(DRILL).fault(), own), folder=Path("run"))
    assert "undone\n" not in out.getvalue(), "one fault is told by its verdict"
