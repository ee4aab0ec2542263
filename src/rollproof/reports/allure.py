"""Allure results from verdicts: FAIL is failed, INCONCLUSIVE is broken, SKIPPED is skipped; one result a verdict.

Written from the verdicts and not by a pytest plugin, so that `rollproof judge` rewrites them too. This is the only
importer of allure_commons. The key of Allure's history must stay the same from run to run, and differ between
targets: Allure 2 reads our `historyId`; Allure 3 ignores it and makes its own of `testCaseId` and the parameters
that are not excluded (`@allurereport/core` 3.18.0, store/convert.js). Ours follows the same rule, so both agree.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Attachment, Label, Parameter, Status, StatusDetails, TestResult
from allure_commons.utils import md5, uuid4

from rollproof.core.verdict import Result
from rollproof.reports.cases import Case, cases
from rollproof.reports.model import Report
from rollproof.reports.words import finding_line
from rollproof.store.folderfiles import read_whole

__all__ = ["write_allure"]

_STATUS = {
    Result.PASS: Status.PASSED,
    Result.FAIL: Status.FAILED,
    Result.INCONCLUSIVE: Status.BROKEN,
    Result.SKIPPED: Status.SKIPPED,
}


def write_allure(folder: Path, report: Report, attachments: Iterable[Path] = ()) -> None:
    """Replace `folder` (the run's allure-results) with one result per verdict; attach the given files to each."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()  # a link in its place is neither emptied nor written through
    logger = AllureFileLogger(str(folder), clean=True)
    attached = []
    for path in attachments:
        source = f"{uuid4()}-attachment{path.suffix}"
        logger.report_attached_data(read_whole(path), source)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        attached.append(Attachment(name=path.name, source=source, type=kind))
    for case in cases(report):
        logger.report_result(_result(report, case, attached))


def _result(report: Report, case: Case, attached: list[Attachment]) -> TestResult:
    verdict, target = case.verdict, report.plan.target.name
    full_name = f"rollproof.{case.suite}.{case.name}"
    test_case_id = md5(full_name)
    hints = [finding_line(finding) for finding in verdict.findings]
    changing = [("subject", verdict.subject), ("old_sha", report.plan.old_sha), ("new_sha", report.plan.new_sha)]
    return TestResult(
        uuid=uuid4(),
        historyId=f"{md5(test_case_id)}.{md5(f'target:{target}')}",
        testCaseId=test_case_id,
        fullName=full_name,
        name=case.name,
        status=_STATUS[verdict.result],
        statusDetails=StatusDetails(message=verdict.why, trace="\n".join(hints) or None),
        stage="finished",
        description="\n\n".join([verdict.why, *hints]),
        start=_ms(case.span.begun),
        stop=_ms(case.span.ended),
        # The target is a part of the identity. What differs from run to run would break the history: it is excluded.
        parameters=[
            Parameter(name="target", value=target),
            *(Parameter(name=key, value=str(value), excluded=True) for key, value in changing),
            *(Parameter(name=key, value=repr(value), excluded=True) for key, value in verdict.numbers.items()),
        ],
        labels=[
            Label(name="parentSuite", value=f"rollproof {target}"),
            Label(name="suite", value=case.suite),
            Label(name="subSuite", value=verdict.checker),
            Label(name="host", value=target),
            Label(name="framework", value="rollproof"),
            Label(name="language", value="python"),
        ],
        attachments=attached,
    )


def _ms(at: datetime | None) -> int | None:
    """Epoch milliseconds, as Allure needs them. None if the run has no such events."""
    return int(at.timestamp() * 1000) if at is not None else None
