from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.reports.cases import Place, cases
from rollproof.reports.junit import junit_xml, write_junit
from rollproof.reports.model import Report
from rollproof.suites import drill_table


def test_the_file_is_the_golden_one(report: Report, golden: Callable[[str, str], None]) -> None:
    golden("junit.xml", junit_xml(report))


def test_each_result_has_its_element(report: Report) -> None:
    root = Xml.fromstring(junit_xml(report))  # noqa: S314 - our own text
    by_result = {verdict.result for verdict in report.verdicts}
    assert by_result == set(Result)
    assert len(root.findall(".//failure")) == 1
    assert len(root.findall(".//error")) == 1
    assert len(root.findall(".//skipped")) == 1
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == ("15", "1", "1", "1")


def test_a_run_without_verdicts_is_an_error(report: Report) -> None:
    root = Xml.fromstring(junit_xml(replace(report, verdicts=(), result=Result.INCONCLUSIVE)))  # noqa: S314
    assert root.get("errors") == "1"
    assert "INCONCLUSIVE" in str(root.findtext(".//error"))


def test_control_characters_do_not_break_the_file(report: Report, tmp_path: Path) -> None:
    verdict = Verdict("version", "Ingress", Result.FAIL, "answered '\x00\x1b[31m<&>\ud800'")
    write_junit(tmp_path / "junit.xml", replace(report, verdicts=(verdict,)))
    root = Xml.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 - our own text
    failure = root.find(".//failure")
    assert failure is not None
    assert "<&>" in str(failure.get("message"))
    assert [path.name for path in tmp_path.iterdir()] == ["junit.xml"]


def parsed(report: Report) -> Xml.Element:
    return Xml.fromstring(junit_xml(report))  # noqa: S314 - our own text


def case_of(report: Report, drill: str, name: str) -> Xml.Element:
    suite = f"rollproof.lab.{drill}"
    return next(c for c in parsed(report).iter("testcase") if (c.get("classname"), c.get("name")) == (suite, name))


def test_f3_each_case_has_the_time_that_it_is_about(report: Report) -> None:
    times = {
        (v.drill, c.get("name")): float(str(c.get("time")))
        for v, c in zip(report.verdicts, parsed(report).iter("testcase"), strict=True)
    }
    assert times["drift", "drift image"] == pytest.approx(2.18, abs=0.05)  # planned to undone
    assert times["zero-downtime", "release"] == pytest.approx(27.0, abs=0.5)  # commit to the last old pod gone
    assert times["rollback", "rollback"] < 30
    assert all(took_s > 0 for took_s in times.values()), times


def test_f3_the_window_is_the_time_of_an_availability(report: Report) -> None:
    verdict = Verdict("availability", "http://x", Result.PASS, "", "zero-downtime", numbers={"window_s": 41.5})
    assert case_of(replace(report, verdicts=(verdict,)), "zero-downtime", "availability").get("time") == "41.500"


def test_f3_a_skip_has_its_reason_as_text(report: Report) -> None:
    """GitLab takes the text of the element, others the attribute."""
    skipped = parsed(report).find(".//skipped")
    assert skipped is not None
    assert skipped.text == skipped.get("message") == "an HPA owns replicas"


def test_f3_what_failed_is_told_once(report: Report) -> None:
    """In the element: with it in system-out as well, every reader that shows both shows it twice."""
    for case in parsed(report).iter("testcase"):
        if any(case.find(tag) is not None for tag in ("failure", "error", "skipped")):
            assert case.find("system-out") is None
    failure = case_of(report, "zero-downtime", "availability").find("failure")
    assert failure is not None
    assert str(failure.text).count("53 of 12,000 requests failed") == 1
    assert "PRESTOP_TOO_SHORT" in str(failure.text)


def test_f3_a_finding_of_a_pass_is_in_system_out(report: Report) -> None:
    verdict = Verdict(
        "release", "Release", Result.PASS, "why", "zero-downtime", findings=(Finding("MASKED", "text", "look"),)
    )
    case = case_of(replace(report, verdicts=(verdict,)), "zero-downtime", "release")
    assert case.findtext("system-out") == "MASKED: text → look"


def test_f3_an_error_says_that_it_is_inconclusive(report: Report) -> None:
    """dorny, mikepenz, Jenkins and Azure show errors as failures."""
    error = parsed(report).find(".//error")
    assert error is not None
    assert str(error.get("message")).startswith("INCONCLUSIVE: ")
    assert str(error.text).startswith("INCONCLUSIVE: ")


DRILL = Place("load/test_zero_downtime.py", drill_table()["zero-downtime"].line)
NOTED = {"target_file": {"path": "targets/lab.toml", "lines": {"drift": 40, "drift.limit_s": 41, "rollback": 50}}}


@pytest.mark.parametrize(
    ("checker", "numbers", "result", "expected"),
    [
        ("release", {}, Result.FAIL, Place("overlays/dev", 7)),
        ("version", {}, Result.FAIL, Place("overlays/dev", 7)),
        ("availability", {"failures": 53, "budget_ms": 0.0}, Result.FAIL, Place("overlays/dev", 7)),
        ("availability", {"failures": 53, "budget_ms": 9.0}, Result.FAIL, Place("targets/lab.toml", 1)),
        ("availability", {"failures": 0, "gap_ms_max": 900.0}, Result.INCONCLUSIVE, Place("targets/lab.toml", 1)),
        ("rollback", {}, Result.INCONCLUSIVE, Place("overlays/dev", 7)),
        ("rollback", {"push_to_proof_s": 31.0}, Result.FAIL, Place("targets/lab.toml", 50)),
        ("drift", {"limit_s": 5.0}, Result.FAIL, Place("targets/lab.toml", 41)),
        ("watches", {}, Result.INCONCLUSIVE, DRILL),
        ("harness", {}, Result.INCONCLUSIVE, DRILL),
    ],
)
def test_f3_file_and_line_of_what_decided(
    report: Report, checker: str, numbers: dict[str, Any], result: Result, expected: Place
) -> None:
    """The overlay's tag line; the limit in the target file where one decided; else the drill."""
    facts = report.facts["zero-downtime"]
    events = tuple(
        replace(e, data={**e.data, "line_number": 7}) if e.what == "committed" else e for e in facts.events
    )  # fmt: skip
    verdict = Verdict(checker, "x", result, "why", "zero-downtime", numbers=numbers)
    seen = replace(
        report, verdicts=(verdict,), facts={**report.facts, "zero-downtime": replace(facts, events=events)},
        environment={**report.environment, **NOTED},
    )  # fmt: skip
    assert next(cases(seen)).place == expected
    case = next(parsed(seen).iter("testcase"))
    assert (case.get("file"), case.get("line")) == (expected.file, str(expected.line))


def test_f3_a_run_from_before_the_line_was_noted_has_the_file_alone(report: Report) -> None:
    case = case_of(report, "zero-downtime", "release")
    assert (case.get("file"), case.get("line")) == ("overlays/dev", None)


def test_f3_suites_say_where_and_when(report: Report) -> None:
    root = parsed(report)
    assert float(str(root.get("time"))) == pytest.approx(sum(float(str(s.get("time"))) for s in root))
    assert root.get("timestamp") == root[0].get("timestamp") == "2026-11-24T09:00:01.000+00:00"
    for suite in root:
        assert suite.get("hostname") == "lab"
        found = {p.get("name"): p.get("value") for p in suite.findall("properties/property")}
        assert {"run", "target", "platform", "old_sha", "new_sha", "base_url", "result"} <= found.keys()


def test_f3_what_the_readers_need_is_there(report: Report) -> None:
    """dorny: a suite's name, and cases flat where class and suite are one. CircleCI and Buildkite: class and name.

    Jenkins: one ending a case, and times as numbers. EnricoMi, mikepenz: file, and line as a number. The counts agree.
    """
    for suite in parsed(report):
        assert str(suite.get("name")).strip()
        assert next(child.tag for child in suite) == "properties"
        endings = [child.tag for case in suite.iter("testcase") for child in case if child.tag in TAGS]
        assert [int(str(suite.get(count))) for count in ("failures", "errors", "skipped")] == [
            endings.count(tag) for tag in TAGS
        ]
        assert int(str(suite.get("tests"))) == len(suite.findall("testcase"))
        for case in suite.iter("testcase"):
            assert case.get("classname") == suite.get("name")
            assert str(case.get("name")).strip()
            assert float(str(case.get("time"))) >= 0
            assert sum(child.tag in TAGS for child in case) <= 1
            assert not str(case.get("file")).startswith("/")
            assert str(case.get("line", "1")).isdigit()


TAGS = ("failure", "error", "skipped")


def test_f3_a_folder_with_impossible_times_still_gives_a_file(report: Report) -> None:
    facts = report.facts["drift"]
    odd = tuple(replace(e, end_s=1e300, wall="yesterday" if e.seq % 2 else e.wall) for e in facts.events)
    root = parsed(replace(report, facts={**report.facts, "drift": replace(facts, events=odd)}))
    assert len(root.findall(".//testcase")) == len(report.verdicts)
