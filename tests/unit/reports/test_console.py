from __future__ import annotations

import errno
import io
import os
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from rollproof.core.event import Event, Outcome
from rollproof.core.plan import Touch
from rollproof.core.target import Traffic
from rollproof.reports.console import LiveConsole
from rollproof.reports.model import Report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that the test moves."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def spoken(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def event(source: str, what: str, outcome: Outcome = Outcome.OK, **data: object) -> Event:
    return Event(1, 1.0, 2.0, "w", "drift", source, "Release/e4f5a6b", what, outcome, data)


def test_plain_output_is_one_line_an_event_with_the_time() -> None:
    stream, clock = io.StringIO(), Clock()
    with LiveConsole(stream, clock) as console:
        console.phase("act")
        clock.now_s += 12.34
        console.follow(event("release", "synced", operation_revision="abc"))
    assert spoken(stream) == [
        "    0.0s ── act",
        "   12.3s · Release/e4f5a6b: Argo CD has synced abc, 1.00 s",
    ]


def test_routine_events_are_not_printed_but_what_is_not_ok_is() -> None:
    stream = io.StringIO()
    with LiveConsole(stream, Clock()) as console:
        console.follow(event("watch", "modified"))
        console.follow(event("proof", "version", version="x"))
        console.follow(event("proof", "version", Outcome.FAIL, version="x", expected="y"))
    assert len(spoken(stream)) == 1
    assert "version is x, expected y" in stream.getvalue()


def test_progress_is_rare_without_a_terminal_but_the_first_failure_is_told_at_once() -> None:
    stream, clock = io.StringIO(), Clock()
    with LiveConsole(stream, clock) as console:
        for sent in range(0, 1000, 100):
            clock.now_s += 1.5
            console.progress(sent, 0)
        console.progress(1000, 2)
        console.progress(1001, 3)
    assert [line.split("s ", 1)[1].strip() for line in spoken(stream)] == [
        "0 requests, 0 failed",
        "700 requests, 0 failed",
        "1,000 requests, 2 failed",
    ]


def test_a_status_is_printed_once() -> None:
    stream = io.StringIO()
    with LiveConsole(stream, Clock()) as console:
        for _ in range(3):
            console.status("waiting for the last old pod to go")
    assert len(spoken(stream)) == 1


def test_markup_in_what_the_target_says_is_not_obeyed() -> None:
    stream = io.StringIO()
    with LiveConsole(stream, Clock()) as console:
        console.status("[bold red]x[/] [link=http://example]")
        console.problem("[red]no[/red] such context", "see [/] doctor")
    assert "[bold red]x[/] [link=http://example]" in stream.getvalue()
    assert "error: [red]no[/red] such context" in stream.getvalue()
    assert "see [/] doctor" in stream.getvalue()


def test_the_end_names_result_reason_exit_and_page(report: Report) -> None:
    stream = io.StringIO()
    with LiveConsole(stream, Clock()) as console:
        console.verdicts(report, folder=Path("reports/run-1"))
    said = stream.getvalue()
    assert "FAIL  zero-downtime, availability: 53 of 12,000 requests failed" in said
    assert "PRESTOP_TOO_SHORT" in said
    assert "target lab, on kind (Kubernetes 1.34.4)" in said
    assert "exit 1: a promise was broken" in said
    assert "reports/run-1/report.html" in said
    assert "\x1b[" not in said


def test_the_plan_shows_every_touch(report: Report) -> None:
    stream = io.StringIO()
    LiveConsole(stream, Clock()).plan(report.plan)
    for touch in report.plan.touches:
        assert touch.change in stream.getvalue()
    stream = io.StringIO()
    LiveConsole(stream, Clock()).plan(replace(report.plan, touches=()))
    assert "nothing is changed" in stream.getvalue()


def test_what_drills_change_alike_is_one_row_of_the_plan(report: Report) -> None:
    def touch(drill: str, change: str) -> Touch:
        return Touch(drill=drill, subject="Pod/shop/web-1", change=change, undo="none needed")

    drills = ("pod-delete", "pod-evict", "node-drain")
    touches = (
        *(touch(drill, "held") for drill in drills), touch("pod-delete", "deleted"), touch("pod-evict", "deleted"),
        touch("node-drain", "drained"), touch("node-drain", "drained"),
    )  # fmt: skip
    stream = io.StringIO()
    LiveConsole(stream, Clock()).plan(replace(report.plan, drills=drills, touches=touches))
    table = stream.getvalue().splitlines()[-4:]
    assert [line.split("Pod/")[0].strip() for line in table] == [
        "each drill", "pod-delete, pod-evict", "node-drain", "node-drain",
    ]  # fmt: skip


def test_the_plan_shows_the_rules_that_are_set(report: Report) -> None:
    rules = Traffic(
        downtime_budget_ms=400.0, outages_max=3, background_failures_per_million=100.0, p99_ms_max=250.0,
        longest_ms_max=1500.0,
    )  # fmt: skip
    stream = io.StringIO()
    LiveConsole(stream, Clock()).plan(replace(report.plan, target=replace(report.plan.target, traffic=rules)))
    assert (
        "allowed while the load runs: 400 ms of outage on the worst lane, 3 outages at least 1 s apart, 100 single "
        "failures per million as background, a p99 of 250 ms, 1500 ms for the longest answer"
    ) in " ".join(stream.getvalue().split())
    stream = io.StringIO()
    plain = replace(report.plan, target=replace(report.plan.target, traffic=Traffic()))
    LiveConsole(stream, Clock()).plan(plain)
    assert "allowed while" not in stream.getvalue()


def test_the_live_line_on_a_terminal_shows_phase_wait_and_requests() -> None:
    stream, clock = Terminal(), Clock()
    with LiveConsole(stream, clock) as console:
        console.phase("act")
        console.status("waiting for sync")
        clock.now_s += 7
        console.progress(1234, 5)
        line = console._now_line().plain
    assert line == "act 7 s · waiting for sync (7 s) · 1,234 requests, 5 failed"


def test_many_threads_may_speak_at_once() -> None:
    stream = Terminal()
    with LiveConsole(stream, Clock()) as console:
        speakers = [
            threading.Thread(target=lambda: [console.follow(event("release", "synced")) for _ in range(50)])
            for _ in range(4)
        ]
        for speaker in speakers:
            speaker.start()
        for speaker in speakers:
            speaker.join()
    assert stream.getvalue().count("Argo CD has synced") == 200


def test_the_live_line_is_drawn_while_another_thread_prints() -> None:
    """rich draws it under its own lock and a speaker prints under ours: one that took both would hang the run."""
    console = LiveConsole(Terminal(), Clock())
    drawer = threading.Thread(target=console._now_line, daemon=True)
    with console._lock:
        drawer.start()
        drawer.join(timeout=60)
        assert not drawer.is_alive()


@pytest.mark.parametrize(("error", "terminal"), [(errno.EPIPE, False), (errno.EIO, False), (errno.EIO, True)])
def test_nothing_ends_when_nobody_reads_on(error: int, terminal: bool) -> None:
    class HungUp(io.StringIO):
        writes = 0

        def isatty(self) -> bool:
            return terminal

        def write(self, _: str) -> int:
            self.writes += 1
            raise OSError(error, os.strerror(error))

    stream = HungUp()
    with LiveConsole(stream, Clock()) as console:
        console.phase("undo-check")
        console.status("the undo of env-repo-tag")
        console.problem("putting things back: please wait for the end")
    assert stream.writes == 1


@pytest.mark.parametrize("columns", [1, 20, 40, 60, 71, 72, 100, 200])
def test_nothing_of_a_verdict_is_cut_off_however_narrow_the_terminal_is(
    report: Report, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """At 40 columns a table of five said "zero-…", "rollo…" and "replac…"."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "40")
    stream = Terminal()
    console = LiveConsole(stream)
    console.verdicts(report, folder=Path("reports/x"))
    console.plan(report.plan)
    console.table(("check", "newest"), [("a-check-with-a-long-name", "1.234567")])
    shown = "".join(spoken(stream)).replace(" ", "")
    assert "…" not in shown
    words = [word for one in report.verdicts for word in (one.checker, one.subject)] if columns < 72 else []
    for word in (*words, "a-check-with-a-long-name" if columns < 72 else "a-check"):
        assert word.replace(" ", "") in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
