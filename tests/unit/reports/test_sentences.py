from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollproof.core.event import Event, Outcome
from rollproof.core.verdict import EXIT_CODES, Result
from rollproof.reports.model import Report
from rollproof.reports.sentences import headline, sentence, short_sha
from rollproof.reports.words import bottom_line, exit_meaning

words = st.text(max_size=20)


def test_every_event_of_a_run_has_a_sentence_without_a_hole(report: Report) -> None:
    for event in report.events():
        assert sentence(event)
        if event.source not in {"undo", "watch"}:
            assert "?" not in sentence(event), event


@given(words, words, words, st.sampled_from(Outcome), st.dictionaries(words, words | st.none() | st.lists(words)))
def test_no_event_is_too_strange(
    source: str, subject: str, what: str, outcome: Outcome, data: dict[str, object]
) -> None:
    event = Event(1, 0.0, 0.0, "", "", source, subject, what, outcome, data)
    assert isinstance(sentence(event), str)
    assert headline(event) in {True, False}


@given(
    st.sampled_from(["release", "drift", "fault", "proof", "undo", "watch", "run", "load", "ingress", "rollback"]),
    words,
)
def test_whatever_is_not_ok_is_a_headline(source: str, what: str) -> None:
    event = Event(1, 0.0, 0.0, "", "", source, "X/y", what, Outcome.FAIL, {})
    if source not in {"drift", "undo"} or what != "written":
        assert headline(event) or source == "drift"


def test_braces_in_data_are_not_obeyed() -> None:
    event = Event(1, 0.0, 0.0, "", "", "drift", "Drift/x", "skipped", Outcome.OK, {"reason": "{change} {0.__class__}"})
    assert sentence(event) == "Drift/x: drift skipped: {change} {0.__class__}"


def test_the_documented_vocabulary_is_known() -> None:
    """Every `what` of docs/facts.md for the acting sources has words of its own, not the generic line."""
    text = (Path(__file__).parents[3] / "docs" / "facts.md").read_text(encoding="utf-8")
    seen = 0
    for source in ("load", "drift", "fault"):
        section = text.partition(f"**{source}**")[2].partition("\n\n")[0]
        for line in re.findall(r"^- (.*)$", section, flags=re.MULTILINE):
            names = " ".join(clause.partition("→")[0] for clause in line.split(" · "))
            for what in re.findall(r"`([a-z-]+)`", names):
                event = Event(1, 0.0, 0.0, "", "", source, "S", what, Outcome.OK, {})
                assert sentence(event) != f"S: {what}", (source, what)
                seen += 1
    assert seen > 20


@pytest.mark.parametrize(("given", "expected"), [("7" * 40, "7" * 10), ("e4f5a6b", "e4f5a6b"), ("z" * 40, "z" * 40)])
def test_only_full_commits_are_cut(given: str, expected: str) -> None:
    assert short_sha(given) == expected


def test_every_exit_code_has_a_meaning() -> None:
    for code in (*EXIT_CODES.values(), 2, 4):
        assert "unknown" not in exit_meaning(code)


def test_the_bottom_line_blames_fail_before_inconclusive(report: Report, passed: Report) -> None:
    assert bottom_line(report).startswith("zero-downtime, availability:")
    assert bottom_line(passed) == "All 3 checks hold. 12,000 requests, 0 failures: no outage longer than 20 ms."
    assert {verdict.result for verdict in report.verdicts} == set(Result)
    alike = replace(report, verdicts=tuple(replace(one, checker=one.drill) for one in report.verdicts))
    assert bottom_line(alike).startswith("zero-downtime: ")  # a drill that is called like its checker is named once


@pytest.mark.parametrize(
    ("what", "data", "said"),
    [
        ("done", {"object": "Lease/shop/rollproof", "reason": "", "found": None}, "done: Lease/shop/rollproof"),
        ("done", {"version": "aaaaaaa", "reason": "only aaaaaaa runs"}, "done: only aaaaaaa runs"),
        ("not-needed", {"object": "env", "reason": "as before"}, "not needed: as before: env"),
        ("failed", {"reason": "the API server is away"}, "failed: the API server is away"),
    ],
)
def test_an_undo_says_how_it_ended_and_of_what(what: str, data: dict[str, object], said: str) -> None:
    event = Event(1, 0.0, 0.0, "", "", "undo", "Undo/1", what, Outcome.OK, data)
    assert sentence(event) == f"Undo/1: {said}"


def test_a_deleted_object_is_said_to_be_deleted() -> None:
    data = {"field": "", "from": "there", "to": "deleted", "deleted": True}
    event = Event(1, 0.0, 0.0, "", "", "drift", "Drift/delete-ingress", "injected", Outcome.OK, data)
    assert sentence(event) == "Drift/delete-ingress: drift injected: the whole object was deleted"
