"""Exports: each form is read by what reads it, bounded, and carries no word of outside that its reader would obey."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from rollproof.core.facts import Facts
from rollproof.core.journal import Entry, Record
from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.errors import InputError
from rollproof.reports.cases import cases
from rollproof.reports.exports import FORMS, export, github
from rollproof.reports.model import Report

HOSTILE = "<img src=x>|`\n::error::x\x1b[31m[l](http://e) =1+1 &\u202e"


def hostile(report: Report, count: int = 3) -> Report:
    verdicts = tuple(
        Verdict(
            "version",
            f"Version/{HOSTILE}",
            Result.FAIL,
            HOSTILE,
            f"drill-{number}",
            numbers={"seen": f"={HOSTILE}"},
            findings=(Finding("CODE", HOSTILE, HOSTILE),),
        )
        for number in range(count)
    )
    return replace(report, verdicts=verdicts, result=Result.FAIL, exit_code=1)


@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_form_tells_of_every_kind_of_run(report: Report, form: str) -> None:
    for one in (report, hostile(report), replace(report, verdicts=(), result=Result.INCONCLUSIVE, facts={})):
        text = export(one, form)
        assert text.endswith("\n") or form in {"trace"}
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_an_unknown_form_is_refused_with_those_that_are_known(report: Report) -> None:
    with pytest.raises(InputError) as told:
        export(report, "pdf")
    assert "prom" in told.value.hint


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (("LEFT_ALONE",), "somebody else changed it after us"),
        (("NOT_SEEN",), "whether all is as before was not seen"),
        ((), "its record is gone"),
    ],
)
def test_that_somebody_else_changed_it_is_said_only_where_it_was_seen(
    report: Report, codes: tuple[str, ...], said: str
) -> None:
    """A journal that was lost, and a look that nobody could take, were blamed on somebody else."""
    findings = tuple(Finding(code, "it", "look") for code in codes)
    left = Verdict("undo", "Undo", Result.INCONCLUSIVE, "why", findings=findings)
    others = tuple(one for one in report.verdicts if one.checker != "undo")
    assert said in export(replace(report, verdicts=(*others, left), undo="left"), "slack")


def test_what_no_one_else_has_changed_is_not_said_to_be_changed_by_somebody(report: Report) -> None:
    entry = Entry(3, "branch-force-pushed", "the app", {}, state="left", reason="the branch stays", found="d677")
    left = Verdict("undo", "Undo", Result.INCONCLUSIVE, "why", findings=(Finding("LEFT_ALONE", "it", "look"),))
    facts = {**report.facts, "undo": Facts(plan=report.plan, drill="undo", events=(), journal=Record((entry,)))}
    told = replace(report, verdicts=(left,), undo="left", facts=facts)
    said = export(told, "slack")
    assert "was left as it is" in said
    assert "somebody else" not in said


def test_csv_has_every_number_of_every_verdict(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(export(report, "csv"))))
    expected = sum(max(1, len(verdict.numbers)) for verdict in report.verdicts)
    assert len(rows) == expected
    assert {row["target"] for row in rows} == {report.plan.target.name}
    values = {(row["drill"], row["check"], row["number"]): row["value"] for row in rows}
    for case in cases(report):
        for number, value in case.verdict.numbers.items():
            assert values[case.verdict.drill, case.name, number] == ("" if value is None else str(value))


def test_csv_has_no_cell_that_a_spreadsheet_computes(report: Report) -> None:
    for row in csv.reader(io.StringIO(export(hostile(report), "csv"))):
        assert not [cell for cell in row if cell[:1] in {"=", "+", "@"}]


def families(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    parse = openmetrics_families if text.endswith("# EOF\n") else text_string_to_metric_families
    samples = [sample for family in parse(text) for sample in family.samples]
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for one in samples}


@pytest.mark.parametrize("form", ["prom", "openmetrics"])
def test_metrics_are_read_by_prometheus_own_parser(report: Report, form: str) -> None:
    found = families(export(report, form))
    target = ("target", report.plan.target.name)
    for result in Result:
        expected = float(result is report.result)
        assert found["rollproof_result", tuple(sorted([("result", str(result)), target]))] == expected
    failed = [verdict for verdict in report.verdicts if verdict.checker == "availability"]
    for verdict in failed:
        key = ("rollproof_requests_failed", tuple(sorted([("drill", verdict.drill), target])))
        assert found[key] == verdict.numbers["failures"]
    with_a_sha = {name for name, labels in found if dict(labels).get("new_sha")}
    assert with_a_sha == {"rollproof_run_info"}, "a sha as a label of anything else is unbounded"


def test_what_was_not_measured_has_no_sample(report: Report) -> None:
    blind = tuple(replace(verdict, numbers={}) for verdict in report.verdicts)
    found = families(export(replace(report, verdicts=blind, undo=""), "prom"))
    names = {name for name, _ in found}
    assert not names & {"rollproof_requests", "rollproof_push_to_proof_seconds", "rollproof_undo_clean"}


def test_no_two_stretches_of_a_track_overlap_in_a_trace(report: Report) -> None:
    events = json.loads(export(report, "trace"))["traceEvents"]
    tracks: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for one in events:
        if one["ph"] == "X":
            assert one["dur"] > 0
            tracks.setdefault((one["pid"], one["tid"]), []).append((one["ts"], one["ts"] + one["dur"]))
    for stretches in tracks.values():
        ordered = sorted(stretches)
        assert all(end <= begin + 1e-3 for (_, end), (begin, _) in itertools.pairwise(ordered))
    told = [one for one in events if one["ph"] != "M" and one["cat"] != "request"]
    assert len(told) == sum(len(facts.events) for _, facts in report.drills())


def test_chat_messages_stay_within_what_the_services_take(report: Report) -> None:
    long = hostile(report, count=300)
    blocks = json.loads(export(long, "slack"))["blocks"]
    assert len(blocks) <= 50
    assert all(len(block["text"]["text"]) <= 3000 for block in blocks if block["type"] == "section")
    assert "<img" not in export(long, "slack").encode().decode("unicode_escape")
    assert len(export(long, "teams").encode()) < 28_000


@pytest.mark.parametrize("letter", ["<", "&", "ü", "漢", "😀", '"'])
def test_chat_messages_are_cut_after_they_are_escaped(report: Report, letter: str) -> None:
    """`<` is four characters to Slack, and a letter beyond ASCII six or twelve bytes of Teams' JSON."""
    verdict = Verdict("version", "Version/x", Result.FAIL, letter * 900, "drill")
    grown = replace(hostile(report), verdicts=(verdict,) * 20)
    slack = json.loads(export(grown, "slack"))
    said = [block["text"]["text"] for block in slack["blocks"] if block["type"] == "section"]
    assert len(slack["text"]) + sum(map(len, said)) < 13_000
    assert all(re.fullmatch(r"([^&<>]|&(amp|lt|gt);)*", text) for text in (slack["text"], *said)), "an escape was cut"
    assert said[1].endswith("...")
    assert len(export(grown, "teams").encode()) < 28_000


def test_the_summary_leads_with_the_result_and_the_first_cause(report: Report) -> None:
    text = export(report, "github")
    assert text.startswith("## ❌ FAIL ")
    assert "> **" in text
    assert "```yaml\n# rollproof: preStop: none before, 6 s now\nkind: Deployment\n```" in text
    first = next(line for line in text.splitlines() if line.startswith("| ❌"))
    assert "availability" in first
    assert "```mermaid" in text


def test_the_summary_is_cut_before_github_drops_it(report: Report) -> None:
    many = replace(report, verdicts=tuple(replace(report.verdicts[0], why="x" * 5000) for _ in range(500)))
    text = export(many, "github")
    assert len(text.encode()) <= github.BYTES_MAX + 200
    huge = Verdict("drift", "Drift/x", Result.SKIPPED, "y" * 400)
    text = export(replace(report, verdicts=tuple(replace(huge, subject=f"Drift/{n}") for n in range(199))), "github")
    assert len(text.encode()) <= github.BYTES_MAX + 200


def test_no_word_of_outside_leaves_its_cell_or_becomes_html(report: Report) -> None:
    text = export(hostile(report), "github")
    assert "<img" not in text
    assert "[l](" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ❌")]
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)


def test_an_annotation_is_one_line_and_names_a_file_that_is_there(report: Report) -> None:
    environment = {**report.environment, "target_file": {"path": "targets/staging.toml", "lines": {}}}
    lines = list(
        github.workflow_commands(hostile(replace(report, environment=environment)), there="targets/staging.toml".__eq__)
    )
    assert len(lines) == 3
    for line in lines:
        assert line.startswith("::error file=targets/staging.toml,line=1,title=")
        assert "\n" not in line
        assert line.count("::") == 3 + HOSTILE.count("::") * 2 - 1 or "%0A" in line
    nowhere = list(github.workflow_commands(hostile(report), there=lambda _: False))
    assert all(line.startswith("::error title=") for line in nowhere)


def test_no_more_annotations_than_github_shows(report: Report) -> None:
    lines = list(github.workflow_commands(hostile(report, count=30), there=lambda _: False))
    assert len(lines) == 10
    passed = replace(report, verdicts=tuple(v for v in report.verdicts if v.result is Result.PASS))
    assert not list(github.workflow_commands(passed, there=lambda _: False))
