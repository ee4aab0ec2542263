from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

from rollproof.core.verdict import Result, Verdict
from rollproof.reports import Report
from rollproof.reports.junit import junit_xml, write_junit


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


def test_names_do_not_change_with_the_sha(report: Report) -> None:
    root = Xml.fromstring(junit_xml(report))  # noqa: S314 - our own text
    names = [case.get("name") for case in root.iter("testcase")]
    assert "release Release" in names
    assert "rollback Rollback" in names
    assert not any(report.plan.new_sha in (name or "") for name in names)


def test_a_run_without_verdicts_is_an_error(report: Report) -> None:
    root = Xml.fromstring(junit_xml(replace(report, verdicts=(), result=Result.INCONCLUSIVE)))  # noqa: S314
    assert root.get("errors") == "1"


def test_control_characters_do_not_break_the_file(report: Report, tmp_path: Path) -> None:
    verdict = Verdict("version", "Ingress", Result.FAIL, "answered '\x00\x1b[31m<&>\ud800'")
    write_junit(tmp_path / "junit.xml", replace(report, verdicts=(verdict,)))
    root = Xml.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 - our own text
    failure = root.find(".//failure")
    assert failure is not None
    assert "<&>" in str(failure.get("message"))
    assert [path.name for path in tmp_path.iterdir()] == ["junit.xml"]
