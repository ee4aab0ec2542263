"""One row a posture check, worst first: on the console and on the page the same, each with what to do."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from expected_posture_verdicts import A_SCRIPT, APPLICATION, DEPLOYMENT, looked
from story import Story

from rollproof.core.posturewords import Topic, Unread
from rollproof.core.verdict import Result, Verdict, worst
from rollproof.judge.checkers import judge
from rollproof.reports.console import LiveConsole
from rollproof.reports.html import html_page
from rollproof.reports.model import Report
from rollproof.reports.posture_rows import posture_rows, posture_sentence
from rollproof.reports.words import bottom_line, stable_name
from rollproof.store.runfolder import UNDO


def report(told: Story) -> Report:
    facts = told.facts()
    verdicts = judge(facts, ("posture",))
    facts_at_end = replace(facts, drill=UNDO)
    result = worst(one.result for one in verdicts)
    return Report(
        plan=facts.plan, facts={"posture": facts, UNDO: facts_at_end}, verdicts=verdicts, result=result, exit_code=0
    )  # fmt: skip


def printed(made: Report) -> str:
    out = io.StringIO()
    LiveConsole(out).verdicts(made, folder=Path("reports/run"))
    return out.getvalue()


MUCH = looked(
    replace(DEPLOYMENT, replicas=1, min_ready_s=0), replace(APPLICATION, ignored=()), must=("replicas",),
    unread={Topic.POLICIES: (Unread.FORBIDDEN, "403 Forbidden")},
)  # fmt: skip


def test_the_worst_is_first_and_those_of_one_level_stay_in_order() -> None:
    rows = posture_rows(report(MUCH).verdicts)
    assert [(row.level, row.check) for row in rows if row.told] == [
        ("FAIL", "replicas"), ("INCONCLUSIVE", "network-policy"), ("INCONCLUSIVE", "network-policy-width"),
        ("finding", "min-ready"),
    ]  # fmt: skip
    assert [row.check for row in rows if row.result is Result.SKIPPED] == ["ignored-fields"]
    first = rows[0]
    assert (first.object, first.field, first.value) == ("Deployment/shop", "spec.replicas", "1")
    assert (first.advised, first.drill) == ("2 or more", "rollproof run pod-delete-now")


@pytest.mark.parametrize("say", [printed, html_page])
def test_each_line_says_what_to_do(say: object) -> None:
    text = say(report(MUCH))  # type: ignore[operator]
    for wanted in (
        "spec.replicas", "2 or more", "rollproof run pod-delete-now", "403 Forbidden", "rollproof rbac posture",
        "min-ready", "minReadySeconds", "nothing is ignored",
    ):  # fmt: skip
        assert wanted in text


def test_the_page_has_the_note_beside_the_value() -> None:
    text = html_page(report(looked(A_SCRIPT)))
    assert "how long the preStop hook waits is not in it" in text
    assert "whether the network enforces it was not tried" in text


def test_the_console_names_the_sound_ones_once_and_in_one_place() -> None:
    text = printed(report(looked()))
    assert "as advised" in text
    assert text.count("memory-limit") == 1
    assert "see it with" not in text


def test_the_run_in_one_sentence() -> None:
    assert bottom_line(report(looked())) == (
        "41 posture checks: 41 as advised, 0 findings, 0 broken, 0 not known, 0 with nothing to judge."
    )
    assert "1 finding (min-ready)" in bottom_line(report(looked(replace(DEPLOYMENT, min_ready_s=0))))
    assert "posture: Deployment/shop spec.replicas: 1, and posture.must promises" in bottom_line(report(MUCH))
    assert posture_sentence(()) == ""


def test_a_history_follows_each_check_by_its_name() -> None:
    assert stable_name(Verdict("posture", "Check/replicas", Result.PASS, "2")) == "posture replicas"
