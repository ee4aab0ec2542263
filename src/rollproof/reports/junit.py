"""JUnit XML for CI: FAIL is <failure>, INCONCLUSIVE is <error>, SKIPPED is <skipped>; one test case a verdict.

Names contain the target, the drill and the check, and no sha, URL or run id, so that a CI can follow a check over
months; those are properties. The requirements of each reader (GitLab, Jenkins, Azure, CircleCI, the GitHub actions) are
in tests/unit/reports/test_junit.py. It must never look green by omission: a report without verdicts gets one test case
that is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as Xml

from rollproof.core.verdict import Result, Verdict
from rollproof.core.visible import visible
from rollproof.reports.cases import Case, Span, cases, drill_span
from rollproof.reports.files import write_whole
from rollproof.reports.kept_rows import LOGS_SHOWN, kept_rows, kept_text
from rollproof.reports.model import Report
from rollproof.reports.words import bottom_line, finding_line

__all__ = ["junit_xml", "write_junit"]

_TAGS = {Result.FAIL: "failure", Result.INCONCLUSIVE: "error", Result.SKIPPED: "skipped"}
_COUNTS = (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))


def write_junit(path: Path, report: Report) -> None:
    """Write junit.xml."""
    write_whole(path, junit_xml(report))


def junit_xml(report: Report) -> str:
    """The document as text."""
    root = Xml.Element("testsuites", name="rollproof")
    found = list(cases(report))
    for drill in list(dict.fromkeys(case.verdict.drill for case in found)) or [""]:
        root.append(_suite(report, drill, [case for case in found if case.verdict.drill == drill]))
    for word in ("tests", "failures", "errors", "skipped"):
        root.set(word, str(sum(int(suite.get(word, "0")) for suite in root)))
    root.set("time", f"{sum(float(suite.get('time', '0')) for suite in root):.3f}")
    if begun := min((stamp for suite in root if (stamp := suite.get("timestamp"))), default=""):
        root.set("timestamp", begun)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _suite(report: Report, drill: str, found: list[Case]) -> Xml.Element:
    plan = report.plan
    name = _text(f"rollproof.{plan.target.name}.{drill or 'run'}")
    span = drill_span(report.facts.get(drill))
    # The host is the one that was tested; the name of this machine is private.
    suite = Xml.Element("testsuite", name=name, time=_seconds(span), hostname=_text(plan.target.name))
    if span.begun is not None:
        suite.set("timestamp", _stamp(span.begun))
    packages = report.environment.get("packages")
    version = packages.get("rollproof", "") if isinstance(packages, Mapping) else ""
    _properties(suite, (
        ("run", plan.run_id), ("target", plan.target.name), ("platform", report.platform),
        ("kubernetes", report.kubernetes), ("rollproof", version), ("base_url", plan.target.app.base_url),
        ("old_sha", plan.old_sha), ("new_sha", plan.new_sha),
        ("result", report.result), ("exit_code", report.exit_code), ("undo", report.undo),
    ))  # fmt: skip
    suite.extend(_case(name, case) for case in found)
    _add_kept(suite, report, drill)
    if not found:
        case = Xml.SubElement(suite, "testcase", classname=name, name="verdict", time="0.000")
        said = f"INCONCLUSIVE: {_text(bottom_line(report))}"
        Xml.SubElement(case, "error", type="INCONCLUSIVE", message=said).text = said
    suite.set("tests", str(len(suite.findall("testcase"))))
    for word, tag in _COUNTS:
        suite.set(word, str(len(suite.findall(f"testcase/{tag}"))))
    return suite


def _case(suite: str, found: Case) -> Xml.Element:
    verdict = found.verdict
    case = Xml.Element("testcase", classname=suite, name=_text(found.name), time=_seconds(found.span))
    if found.place is not None:
        case.set("file", _text(found.place.file))
        if found.place.line:
            case.set("line", str(found.place.line))
    numbers = [("subject", verdict.subject), ("evidence", " ".join(str(seq) for seq in verdict.evidence))]
    _properties(case, [*numbers, *verdict.numbers.items()])
    if verdict.result in _TAGS:
        # GitLab shows the text and not the attribute, dorny and Jenkins both: so the sentence is in each, once. Many
        # readers show an error like a failure: the sentence says which of the two it is.
        said = _said(verdict)
        ending = Xml.SubElement(case, _TAGS[verdict.result], type=verdict.result, message=_text(said))
        ending.text = _text("\n".join([said, *map(finding_line, verdict.findings)]))
    elif verdict.findings:
        Xml.SubElement(case, "system-out").text = _text("\n".join(map(finding_line, verdict.findings)))
    return case


def _add_kept(suite: Xml.Element, report: Report, drill: str) -> None:
    """Into the first failing case: what the pods that did not come up said last. GitLab shows no other text."""
    rows = [row for row in kept_rows(report) if row.drill == drill][:LOGS_SHOWN]
    failing = next((one for tag in ("failure", "error") for one in suite.iterfind(f"testcase/{tag}")), None)
    if rows and failing is not None:
        failing.text = "\n".join([failing.text or "", *map(_text, kept_text(rows))])


def _said(verdict: Verdict) -> str:
    return verdict.why if verdict.result is not Result.INCONCLUSIVE else f"INCONCLUSIVE: {verdict.why}"


def _properties(owner: Xml.Element, named: Iterable[tuple[str, object]]) -> None:
    properties = Xml.SubElement(owner, "properties")
    for name, value in named:
        Xml.SubElement(properties, "property", name=_text(name), value=_text(value))


def _seconds(span: Span) -> str:
    return f"{max(0.0, span.took_s):.3f}"


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _text(value: object) -> str:
    return visible(str(value))
