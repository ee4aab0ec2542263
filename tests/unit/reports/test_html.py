from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from rollproof.core.event import Event, Outcome
from rollproof.core.journal import CHECK, Entry, Record
from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.reports.html import html_page
from rollproof.reports.model import Report
from rollproof.reports.words import bottom_line, undo_sentence
from rollproof.store.runfolder import UNDO

NASTY = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
VOID = {"meta", "br", "input", "img", "link", "hr"}


class Page(HTMLParser):
    """Collects what the tests ask for, and complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        self.loads += [value or "" for name, value in attrs if name in {"src", "srcset", "action"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags += [tag, *(name for name, _ in attrs if name.startswith("on"))]

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def text(report: Report) -> str:
    return html_page(report)


def test_the_page_is_the_golden_one(text: str, golden: Callable[[str, str], None]) -> None:
    golden("report.html", text)


def test_a_passed_run_claims_no_more_than_its_samples(passed: Report) -> None:
    top = Page(html_page(passed).partition('id="verdicts"')[0]).text
    assert "All 3 checks hold" in top
    assert "rollback: an outage shorter than 20 ms could have gone unseen (widest gap, lane new)" in top


def test_every_tag_is_closed_and_ids_are_unique(text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))


def test_every_link_leads_somewhere_on_the_page(text: str) -> None:
    page = Page(text)
    assert page.links
    assert {link for link in page.links if link.removeprefix("#") not in page.ids} == set()


def test_nothing_is_loaded_from_elsewhere(text: str) -> None:
    page = Page(text)
    assert page.loads == []
    assert not {"link", "iframe", "img", "object", "embed"} & set(page.tags)
    assert not re.search(r"@import|url\(|https?://(?!127\.0\.0\.1)", text)


def test_the_top_says_result_sentence_shas_and_blind_spots(text: str, report: Report) -> None:
    top = Page(text.partition('id="verdicts"')[0]).text
    assert "FAIL" in top
    assert "53 of 12,000 requests failed" in top
    assert f"{report.plan.old_sha} → {report.plan.new_sha}" in top
    assert "the ingress log cannot be read" in top


def test_failures_come_first_in_the_verdict_table(text: str) -> None:
    table = text.partition('id="verdicts"')[2].partition("</section>")[0]
    results = re.findall(r'class="pill (\w+)"', table)
    assert results == sorted(results, key=["FAIL", "INCONCLUSIVE", "PASS", "SKIPPED"].index)


def test_what_the_target_says_is_escaped(report: Report) -> None:
    event = Event(9001, 1030.0, 1030.0, "w", "drift", NASTY, NASTY, NASTY, Outcome.FAIL, {NASTY: NASTY})
    facts = replace(report.facts["drift"], events=(*report.facts["drift"].events, event))
    verdict = Verdict(NASTY, NASTY, Result.FAIL, NASTY, NASTY, {NASTY: NASTY}, (9001,), (Finding(NASTY, NASTY, NASTY),))
    nasty = replace(
        report, verdicts=(verdict,), undo=NASTY, environment={NASTY: NASTY}, facts={**report.facts, "drift": facts}
    )
    clean = Page(html_page(report))
    page = Page(html_page(nasty))
    assert "img" not in page.tags
    assert page.tags.count("script") == clean.tags.count("script")
    assert NASTY in page.text


def test_the_same_report_gives_the_same_bytes(report: Report, text: str) -> None:
    assert html_page(report) == text


def test_a_long_run_has_a_bounded_page(report: Report) -> None:
    facts = report.facts["zero-downtime"]
    log = facts.requests
    assert log is not None
    times = 30
    rows = np.concatenate([log.rows] * times)
    step_ns = int(log.rows["send_ns"][-1] - log.rows["send_ns"][0]) + 5_000_000
    shift = np.repeat(np.arange(times) * step_ns, len(log.rows))
    for name in ("intended_ns", "send_ns", "first_byte_ns", "done_ns"):
        rows[name] += shift
    engine = replace(log.engine, end_ns=int(rows["done_ns"].max()))
    longer = replace(facts, requests=replace(log, rows=rows, engine=engine))
    short = html_page(replace(report, facts={"zero-downtime": facts}))
    long = html_page(replace(report, facts={"zero-downtime": longer}))
    assert len(long) < 3 * len(short)
    hover = json.loads(re.findall(r'class="hover">(.*?)</script>', long)[0])
    assert len(hover["sent"]) <= 1201
    assert sum(hover["sent"]) == len(rows)
    assert sum(hover["failed"]) == int((rows["outcome"] != 0).sum())


def test_too_many_events_keep_the_evidence(report: Report) -> None:
    facts = report.facts["drift"]
    noise = tuple(
        Event(seq, 1100.0, 1100.0, "w", "drift", "watch", "ReplicaSet/shop/x", "modified") for seq in range(5000, 12000)
    )
    verdict = replace(report.verdicts[0], evidence=(11999,))
    noisy = replace(
        report, verdicts=(verdict,), facts={**report.facts, "drift": replace(facts, events=(*facts.events, *noise))}
    )
    page = html_page(noisy)
    assert 'id="e11999"' in page
    (data,) = re.findall(r'id="more-events">(.*?)</script>', page)
    assert page.count('<tr id="e') + len(json.loads(data)) == 4000
    assert "events are left out" in page


def test_a_run_without_facts_or_verdicts_still_gives_a_page(report: Report) -> None:
    empty = replace(report, facts={}, verdicts=(), result=Result.INCONCLUSIVE, exit_code=3, environment={}, undo="")
    page = Page(html_page(empty)).text
    assert "INCONCLUSIVE" in page
    assert "nothing is claimed" in page
    assert "No checker has said anything" in page


def test_bars_lie_within_the_axis(text: str) -> None:
    for left, width in re.findall(r'<i class="b [^"]*" style="left:([\d.-]+)%;width:([\d.-]+)%"', text):
        assert 0 <= float(left) <= 100
        assert float(width) >= 0
        assert float(left) + float(width) <= 100.01


def test_a_pod_of_an_earlier_drill_is_drawn_in_the_next(text: str) -> None:
    rollback = text.partition('id="timeline-rollback"')[2].partition("</section>")[0]
    names = re.findall(r'class="name pod"[^>]*><b>([^<]+)</b>', rollback)
    assert names == ["shop-7d4b-ccccc", "shop-7d4b-ddddd", "shop-6f9c-aaaaa2", "shop-6f9c-bbbbb2"]


def test_the_first_cause_and_what_to_change_stand_at_the_top_of_a_failed_run(text: str, passed: Report) -> None:
    top = Page(text.partition('id="verdicts"')[0]).text
    assert "PRESTOP_TOO_SHORT" in top
    assert "preStop sleep of at least 6 s" in top
    assert "against it: what speaks against it" in top
    assert 'class="cause"' not in html_page(passed)


def test_the_causes_have_their_evidence_and_the_change_that_can_be_copied(text: str, passed: Report) -> None:
    causes = Page(text.partition('id="causes"')[2].partition("</section>")[0]).text
    assert "what speaks against it" in causes
    assert "a new file overlays/dev/rollproof-pre-stop.yaml, then: cd overlays/dev && kustomize edit add" in causes
    assert "# rollproof: preStop: none before, 6 s now\nkind: Deployment\n" in causes
    assert "rollproof run zero-downtime" in causes
    assert 'id="causes"' not in html_page(passed)


def test_verdicts_that_need_reading_are_open_and_the_others_are_one_line(text: str) -> None:
    rows = re.findall(r'<details class="verdict (\w+)"[^>]*?(open)?>', text)
    assert {result for result, is_open in rows if is_open} >= {"FAIL", "INCONCLUSIVE"}
    assert ("PASS", "") in rows


def test_the_anchor_of_a_verdict_is_the_same_for_another_release(report: Report) -> None:
    verdict = Verdict("rollout", "Deployment/shop/shop", Result.PASS, "why", "zero-downtime")
    pages = [
        html_page(replace(report, verdicts=(replace(verdict, subject=subject),)))
        for subject in ("Release/1", "Release/2")
    ]
    anchors = [re.findall(r'id="(verdict-[^"]+)"', page) for page in pages]
    assert anchors == [["verdict-zero-downtime-rollout"]] * 2


def test_without_javascript_the_evidence_is_read_and_the_rest_is_data(text: str, report: Report) -> None:
    rows = {int(seq) for seq in re.findall(r'<tr id="e(\d+)"', text)}
    data = json.loads(re.findall(r'id="more-events">(.*?)</script>', text)[0])
    drawn = {row[0] for row in data}
    assert {seq for verdict in report.verdicts for seq in verdict.evidence} <= rows
    assert rows & drawn == set()
    assert rows | drawn == {event.seq for event in report.events()}
    assert [row[0] for row in data] == sorted(drawn), "the script puts them between the others"


def test_the_timeline_before_the_verdicts_is_that_of_the_worst_drill(report: Report) -> None:
    order = [one for one in report.verdicts if one.drill == "rollback"]
    blamed = tuple(replace(one, result=Result.FAIL) for one in order)
    page = html_page(replace(report, verdicts=blamed, result=Result.FAIL))
    assert page.index('id="timeline-rollback"') < page.index('id="verdicts"') < page.index('id="timeline-drift"')


CHANGE, LOOK = Entry(number=1, kind="push", subject="git", args={}), Entry(number=2, kind=CHECK, subject="", args={})
DONE = replace(CHANGE, state="done")


@pytest.mark.parametrize(
    ("entries", "damage", "words"),
    [
        ((replace(CHANGE, tried="failed"), LOOK), (), "Not everything could be put back"),
        ((CHANGE, LOOK), (), "Not everything could be put back"),  # its undo never ran
        ((replace(CHANGE, tried="unknown"), LOOK), (), "Not everything could be put back"),
        ((replace(CHANGE, tried="failed"), LOOK), ("line 3",), "Not everything could be put back"),
        ((DONE, replace(LOOK, tried="failed")), (), "something is not as it was before"),
        ((replace(LOOK, tried="failed"),), (), "something is not as it was before"),
        ((DONE, LOOK), (), "whether all is as before was not seen"),
        ((DONE, replace(LOOK, tried="unknown")), (), "whether all is as before was not seen"),
        ((DONE,), ("line 3",), "is not known in full"),
        ((DONE, replace(LOOK, tried="failed")), ("line 3",), "is not known in full"),
        (None, (), "Not everything could be put back"),
    ],
)
def test_exit_4_says_what_is_true(
    report: Report, entries: tuple[Entry, ...] | None, damage: tuple[str, ...], words: str
) -> None:
    journal = None if entries is None else Record(entries, damage)
    facts = {**report.facts, UNDO: replace(report.facts["zero-downtime"], journal=journal)}
    failed = replace(report, facts=facts, result=Result.FAIL, exit_code=4, undo="failed")
    assert words in undo_sentence(failed)
    assert bottom_line(failed) == undo_sentence(failed)
    assert ("put back: run" in undo_sentence(failed)) is (words == "Not everything could be put back")


def test_where_the_undo_failed_what_is_still_changed_comes_first_and_what_broke_is_said_too(report: Report) -> None:
    hint = "run `rollproof undo 20261124T090000Z-all`, then look at Deployment/shop/shop"
    undo = Verdict(
        "undo",
        "Undo",
        Result.FAIL,
        "2-drift could not be undone",
        "",
        findings=(Finding("UNDO_FAILED", "2-drift", hint),),
    )
    failed = replace(report, verdicts=(*report.verdicts, undo), result=Result.FAIL, exit_code=4, undo="failed")
    top = Page(html_page(failed).partition('class="cards"')[0]).text
    assert top.index("Not everything could be put back") < top.index(hint) < top.index("53 of 12,000 requests failed")
