"""Allure results from verdicts: FAIL is failed, INCONCLUSIVE is broken, SKIPPED is skipped; one result a verdict.

Written from the verdicts and not by a pytest plugin, so that `rollproof judge` rewrites them too. This is the only
importer of allure_commons. It must keep names and historyId stable: Allure's history is keyed by them.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Attachment, Label, Parameter, Status, StatusDetails, TestResult
from allure_commons.utils import md5, uuid4

from rollproof.core.verdict import Result, Verdict
from rollproof.folderfiles import read_whole
from rollproof.reports.model import Report
from rollproof.reports.words import finding_line, stable_name

__all__ = ["write_allure"]

_STATUS = {
    Result.PASS: Status.PASSED,
    Result.FAIL: Status.FAILED,
    Result.INCONCLUSIVE: Status.BROKEN,
    Result.SKIPPED: Status.SKIPPED,
}


def write_allure(folder: Path, report: Report, attachments: Iterable[Path] = ()) -> None:
    """Replace `folder` (the run's allure-results) by one result for each verdict; attach the given files to each."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()  # a link that somebody left there is neither emptied nor written through
    logger = AllureFileLogger(str(folder), clean=True)
    attached = []
    for path in attachments:
        source = f"{uuid4()}-attachment{path.suffix}"
        logger.report_attached_data(read_whole(path), source)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        attached.append(Attachment(name=path.name, source=source, type=kind))
    for verdict in report.verdicts:
        logger.report_result(_result(report, verdict, attached))


def _result(report: Report, verdict: Verdict, attached: list[Attachment]) -> TestResult:
    name = stable_name(verdict)
    full_name = f"rollproof.{verdict.drill or 'run'}.{name}"
    start_ms, stop_ms = _span_ms(report, verdict.drill)
    hints = [finding_line(finding) for finding in verdict.findings]
    return TestResult(
        uuid=uuid4(),
        historyId=md5(report.plan.target.name, full_name),
        testCaseId=md5(full_name),
        fullName=full_name,
        name=name,
        status=_STATUS[verdict.result],
        statusDetails=StatusDetails(message=verdict.why, trace="\n".join(hints) or None),
        stage="finished",
        description="\n\n".join([verdict.why, *hints]),
        start=start_ms,
        stop=stop_ms,
        # A parameter that differs from run to run would break the history, so it is left out of the identity.
        parameters=[
            Parameter(name=key, value=repr(value), excluded=True) for key, value in verdict.numbers.items()
        ] + [Parameter(name="subject", value=repr(verdict.subject), excluded=True)],
        labels=[
            Label(name="parentSuite", value="rollproof"),
            Label(name="suite", value=verdict.drill or "run"),
            Label(name="subSuite", value=verdict.checker),
            Label(name="host", value=report.plan.target.name),
            Label(name="framework", value="rollproof"),
            Label(name="language", value="python"),
        ],
        attachments=attached,
    )  # fmt: skip


def _span_ms(report: Report, drill: str) -> tuple[int | None, int | None]:
    """Wall times of the drill; Allure wants epoch milliseconds. None where the run has no such events."""
    facts = report.facts.get(drill)
    walls = [event.wall for event in facts.events if event.drill == drill] if facts else []
    if not walls:
        return None, None
    stamps = sorted(int(datetime.fromisoformat(wall).timestamp() * 1000) for wall in walls)
    return stamps[0], stamps[-1]
