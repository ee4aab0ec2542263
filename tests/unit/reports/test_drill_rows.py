"""A run of several drills ends with one row each: result, time, and what decided."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import story
from story import Story

from rollproof.core.facts import Facts
from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.reports.console import LiveConsole
from rollproof.reports.drill_rows import drill_rows
from rollproof.reports.model import Report

DRILLS = ("posture", "secrets", "jobs", "release")
HINT = Finding("PRE_STOP", "none", "add one")
VERDICTS = (
    Verdict("posture", "Check/pre-stop", Result.PASS, "none", "posture", findings=(HINT,)),
    Verdict("posture", "Check/replicas", Result.PASS, "2", "posture"),
    Verdict("secrets", "Secrets/logs", Result.INCONCLUSIVE, "no log", "secrets"),
    Verdict("secrets", "Secrets/git", Result.FAIL, "found in a.yaml", "secrets"),
    Verdict("secrets", "Secrets/events", Result.FAIL, "found in an event", "secrets"),
    Verdict("harness", "jobs", Result.SKIPPED, "no report", "jobs"),
)


def report(*verdicts: Verdict) -> Report:
    plan = story.plan(drills=DRILLS)
    told = Story("posture").tell("run", "drill", "started", at=0.0).tell("run", "drill", "finished", at=2.4)
    told.plan = plan
    facts = {drill: Facts(plan=plan, drill=drill, events=()) for drill in DRILLS} | {"posture": told.facts()}
    return Report(plan=plan, facts=facts, verdicts=verdicts, result=Result.FAIL, exit_code=1)


def test_a_row_for_each_drill_in_the_order_of_the_run() -> None:
    rows = list(drill_rows(report(*VERDICTS)))
    assert [(row.drill, row.result, row.why) for row in rows] == [
        ("posture", Result.PASS, "2 checks passed; 1 finding"),
        ("secrets", Result.FAIL, "secrets: found in a.yaml (1 more check like it)"),
        ("jobs", Result.SKIPPED, "harness: no report"),
        ("release", Result.INCONCLUSIVE, "nothing was judged"),
    ]
    assert [row.took_s for row in rows] == [2.4, None, None, None]


def test_the_console_shows_them_where_there_are_several_drills() -> None:
    made = report(*VERDICTS)
    out = io.StringIO()
    LiveConsole(out).verdicts(made, folder=Path("run"))
    lines = out.getvalue().splitlines()
    head = next(number for number, line in enumerate(lines) if line.split() == ["drill", "verdict", "took", "why"])
    assert lines[head + 1].split()[:4] == ["posture", "PASS", "2", "s"]
    assert [line.split()[1] for line in lines[head + 2 : head + 5]] == ["FAIL", "SKIPPED", "INCONCLUSIVE"]
    out = io.StringIO()
    LiveConsole(out).verdicts(replace(made, plan=story.plan(drills=DRILLS[:1])), folder=Path("run"))
    assert "took" not in out.getvalue(), "one drill is told by its verdicts"
