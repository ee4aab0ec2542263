"""JUnit XML for CI: FAIL is <failure>, INCONCLUSIVE is <error>, SKIPPED is <skipped>; one test case a verdict.

Names hold no sha and no run id, so that a CI follows a check over months; those are properties. It must not pass
anything off as green: a report without verdicts gets one test case that is an error.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as Xml

from rollproof.core.verdict import Result, Verdict
from rollproof.reports.files import write_whole
from rollproof.reports.model import Report
from rollproof.reports.words import bottom_line, finding_line, stable_name

__all__ = ["junit_xml", "write_junit"]

_TAGS = {Result.FAIL: "failure", Result.INCONCLUSIVE: "error", Result.SKIPPED: "skipped"}
# XML 1.0 has no way to write these, not even escaped; an answer's body may hold them.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, report: Report) -> None:
    """Write junit.xml."""
    write_whole(path, junit_xml(report))


def junit_xml(report: Report) -> str:
    """The document as text."""
    root = Xml.Element("testsuites", name="rollproof")
    drills = list(dict.fromkeys(verdict.drill for verdict in report.verdicts)) or [""]
    for drill in drills:
        verdicts = [verdict for verdict in report.verdicts if verdict.drill == drill]
        root.append(_suite(report, drill, verdicts))
    for word in ("tests", "failures", "errors", "skipped"):
        root.set(word, str(sum(int(suite.get(word, "0")) for suite in root)))
    Xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _suite(report: Report, drill: str, verdicts: list[Verdict]) -> Xml.Element:
    facts = report.facts.get(drill)
    events = [event for event in facts.events if event.drill == drill] if facts else []
    took_s = max((event.end_s for event in events), default=0.0) - min((event.start_s for event in events), default=0.0)
    suite = Xml.Element("testsuite", name=f"rollproof.{drill or 'run'}", time=f"{took_s:.3f}")
    if events:
        suite.set("timestamp", _text(min(events, key=lambda event: event.start_s).wall))
    properties = Xml.SubElement(suite, "properties")
    plan = report.plan
    for name, value in (
        ("run", plan.run_id), ("target", plan.target.name), ("platform", report.platform),
        ("old_sha", plan.old_sha), ("new_sha", plan.new_sha),
        ("result", report.result), ("exit_code", report.exit_code), ("undo", report.undo),
    ):  # fmt: skip
        Xml.SubElement(properties, "property", name=name, value=_text(value))
    for verdict in verdicts:
        suite.append(_case(verdict))
    if not verdicts:
        case = Xml.SubElement(suite, "testcase", classname="rollproof.run", name="verdict", time="0")
        Xml.SubElement(case, "error", type="INCONCLUSIVE", message=bottom_line(report))
    suite.set("tests", str(len(suite.findall("testcase"))))
    for word, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(word, str(len(suite.findall(f"testcase/{tag}"))))
    return suite


def _case(verdict: Verdict) -> Xml.Element:
    case = Xml.Element("testcase", classname=f"rollproof.{verdict.drill or 'run'}", name=_text(stable_name(verdict)))
    case.set("time", "0")
    properties = Xml.SubElement(case, "properties")
    Xml.SubElement(properties, "property", name="subject", value=_text(verdict.subject))
    Xml.SubElement(properties, "property", name="evidence", value=" ".join(str(seq) for seq in verdict.evidence))
    for key, number in verdict.numbers.items():
        Xml.SubElement(properties, "property", name=_text(key), value=_text(number))
    if verdict.result in _TAGS:
        ending = Xml.SubElement(case, _TAGS[verdict.result], message=_text(verdict.why))
        if verdict.result is not Result.SKIPPED:
            ending.set("type", verdict.result)
            ending.text = _details(verdict)
    if verdict.findings:
        Xml.SubElement(case, "system-out").text = _details(verdict)
    return case


def _details(verdict: Verdict) -> str:
    return _text("\n".join([verdict.why, *(finding_line(finding) for finding in verdict.findings)]))


def _text(value: object) -> str:
    return _NOT_XML.sub("\ufffd", str(value))
