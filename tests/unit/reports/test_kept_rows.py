"""What failing pods said is in every report: pod, container, state, the last lines, and where the rest is."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from story import Story

from rollproof.core.diagnosis import Cause
from rollproof.core.event import Outcome
from rollproof.core.verdict import Result, Verdict
from rollproof.reports.console import LiveConsole
from rollproof.reports.exports.github import text as github_text
from rollproof.reports.html import html_page
from rollproof.reports.junit import junit_xml
from rollproof.reports.kept_rows import kept_rows, kept_text
from rollproof.reports.model import Report

CAUSE = Cause(code="CRASH_LOOP_BACK_OFF", text="it crashes", drill="release")
FILE = "podlog-01-new-1-web-previous.log"


def story_of(*tail: str) -> Story:
    story = Story("release")
    story.tell(
        "kept",
        "Pod/shop/new-1",
        "state",
        at=1.0,
        container="web",
        waiting="CrashLoopBackOff",
        ended="Error",
        exit_code=1,
        restarts=2,
    ).tell(
        "kept", "Pod/shop/new-1", "log", at=1.1, container="web", previous=True, file=FILE, lines=2, tail=list(tail)
    ).tell("kept", "Pod/shop/new-1", "log", at=1.2, container="web", previous=False, file="podlog-02-x.log", tail=[])
    said = {"object": "Pod/new-1", "reason": "BackOff", "warning": True, "count": 2, "message": "<script>alert(1)"}
    return story.tell("kept", "Events/shop", "events", at=1.3, file="podevents-1.txt", listed=1, seen=[said])


@pytest.fixture
def failing() -> Report:
    story = story_of("starting", "</pre><b>LICENCE \x1b[31m is not set")
    verdict = Verdict("release", "Release/b", Result.FAIL, "it did not arrive", "release")
    return Report(
        plan=replace(story.plan, drills=("release",)), facts={"release": story.facts()}, verdicts=(verdict,),
        result=Result.FAIL, exit_code=1, causes=(CAUSE,),
    )  # fmt: skip


def console_of(report: Report) -> str:
    out = io.StringIO()
    LiveConsole(out).verdicts(report, folder=Path("/reports/run"))
    return out.getvalue()


def test_the_rows_as_text(failing: Report) -> None:
    state = "new-1/web: waits: CrashLoopBackOff, ended last with exit code 1 (Error), 2 restarts"
    first, *rest = kept_text(kept_rows(failing))
    assert first == state
    assert rest[0] == f"  log before its restart, its end ({FILE}):"
    assert rest[-1] == "  log: nothing was written"


def test_every_report_has_the_last_lines_and_obeys_nothing_in_them(failing: Report) -> None:
    page, console, summary = html_page(failing), console_of(failing), github_text(failing)
    junit = Xml.fromstring(junit_xml(failing)).findtext(".//failure") or ""  # noqa: S314 - our own text
    for said in (page, console, summary, junit):
        assert "LICENCE" in said
        assert "new-1" in said
        assert "\x1b" not in said
    assert f'href="{FILE}"' in page
    assert "</pre><b>" not in page
    assert "<script>alert(1)" not in page


def test_the_first_screen_has_the_last_line(failing: Report) -> None:
    head = html_page(failing).partition("<main>")[0]
    assert "new-1 said last: <code>" in head


def test_a_pod_of_another_drill_is_not_quoted_beside_the_cause(failing: Report) -> None:
    other = replace(failing, causes=(replace(CAUSE, code="UNDO_FAILED", drill="drift"),))
    assert "said last" not in html_page(other)
    assert "LICENCE" in html_page(other)


def test_the_events_of_each_look_are_linked(failing: Report) -> None:
    story = story_of("x")
    seen = [{"object": "Pod/new-2", "reason": "Failed", "warning": True, "count": 1, "message": "y"}]
    story.tell("kept", "Events/shop", "events", at=2.0, file="podevents-2.txt", listed=1, seen=seen)
    page = html_page(replace(failing, facts={"release": story.facts()}))
    assert all(f'<a href="podevents-{number}.txt">' in page for number in (1, 2))


def test_of_a_run_that_passed_the_console_says_nothing_of_them(failing: Report) -> None:
    verdict = replace(failing.verdicts[0], result=Result.PASS)
    passed = replace(failing, verdicts=(verdict,), result=Result.PASS, exit_code=0, causes=())
    assert "LICENCE" not in console_of(passed)
    assert "LICENCE" not in github_text(passed)
    assert "LICENCE" in html_page(passed)  # a version that is known to be bad: it is looked at there


def test_what_could_not_be_read_is_no_silence(failing: Report) -> None:
    story = Story("release").tell(
        "kept", "Pod/shop/new-1", "unread", at=1.0, outcome=Outcome.UNKNOWN, cause="forbidden", reason="403"
    )  # fmt: skip
    page = html_page(replace(failing, facts={"release": story.facts()}))
    assert "Pod/shop/new-1: what it says could not be read (forbidden): 403" in page
    assert 'id="kept"' not in page
