"""Allure results from verdicts: FAIL is failed, INCONCLUSIVE is broken, SKIPPED is skipped; one result a verdict.

Written from the verdicts and not by a pytest plugin, so that `rollproof judge` rewrites them too. This is the only
importer of allure_commons. The key of Allure's history must stay the same from run to run, and differ between
targets: Allure 2 reads our `historyId`; Allure 3 ignores it and makes its own of `testCaseId` and the parameters
that are not excluded (`@allurereport/core` 3.18.0, store/convert.js). Ours follows the same rule, so both agree.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import (
    Attachment,
    Label,
    Link,
    Parameter,
    Status,
    StatusDetails,
    TestAfterResult,
    TestResult,
    TestResultContainer,
    TestStepResult,
)  # fmt: skip
from allure_commons.utils import md5, uuid4

from rollproof.core.drift import drift_trials
from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.fault import find_faults
from rollproof.core.rollout import find_rollout
from rollproof.core.verdict import Result, Verdict
from rollproof.core.visible import visible
from rollproof.redaction import SECRETS
from rollproof.reports.allure_files import beside_results, category_of, ci_links
from rollproof.reports.cases import Case, cases
from rollproof.reports.model import Report
from rollproof.reports.sentences import sentence
from rollproof.reports.words import finding_line
from rollproof.store.folderfiles import read_whole

__all__ = ["write_allure"]

_STATUS = {
    Result.PASS: Status.PASSED,
    Result.FAIL: Status.FAILED,
    Result.INCONCLUSIVE: Status.BROKEN,
    Result.SKIPPED: Status.SKIPPED,
}
_OUTCOMES = {Outcome.OK: Status.PASSED, Outcome.FAIL: Status.FAILED, Outcome.UNKNOWN: Status.BROKEN}
_ATTACHED_MAX = 5_000_000  # bytes of a file
_STEPS_MAX = 60


def write_allure(
    folder: Path, report: Report, attachments: Iterable[Path] = (), load_attachments: Iterable[Path] = ()
) -> None:
    """Replace `folder` (the run's allure-results) with one result per verdict, and the files beside them.

    attachments are of every result, load_attachments of those about the generator; each is copied once, and left out
    above 5 MB: a page with everything in it must stay one that opens. They hang on a tear down that the results share:
    Allure 3 gives a file that several results name to the first it reads, and shows it as missing in the others.
    """
    if folder.is_symlink() or folder.is_file():
        folder.unlink()  # a link in its place is neither emptied nor written through
    logger = AllureFileLogger(str(folder), clean=True)
    results, of_load = [], []
    for case in cases(report):
        result = _result(report, case)
        logger.report_result(result)
        results.append(result.uuid)
        if case.verdict.checker == "load_soundness":
            of_load.append(result.uuid)
    for name, shared, sharing in (("the run", attachments, results), ("the load", load_attachments, of_load)):
        if sharing and (copied := _copied(logger, shared)):
            logger.report_container(_container(name, copied, sharing))
    for name, text in beside_results(report).items():
        (folder / name).write_text(SECRETS.text(text), encoding="utf-8")


def _copied(logger: AllureFileLogger, paths: Iterable[Path]) -> list[Attachment]:
    found = []
    for path in paths:
        if path.stat().st_size > _ATTACHED_MAX:
            continue
        source = f"{uuid4()}-attachment{path.suffix}"
        logger.report_attached_data(read_whole(path), source)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        found.append(Attachment(name=path.name, source=source, type=kind))
    return found


def _container(name: str, attached: list[Attachment], results: list[str]) -> TestResultContainer:
    told = TestAfterResult(name=f"pages of {name}", status=Status.PASSED, stage="finished", attachments=attached)
    return TestResultContainer(uuid=uuid4(), name=name, children=results, afters=[told])


def _result(report: Report, case: Case) -> TestResult:
    verdict, target = case.verdict, report.plan.target.name
    full_name = f"rollproof.{case.suite}.{case.name}"
    test_case_id = md5(full_name)
    category = [f"[{word}]"] if (word := category_of(report, verdict)) else []
    hints = [finding_line(finding) for finding in verdict.findings]
    changing = [("subject", verdict.subject), ("old_sha", report.plan.old_sha), ("new_sha", report.plan.new_sha)]
    return TestResult(
        uuid=uuid4(),
        historyId=f"{md5(test_case_id)}.{md5(f'target:{target}')}",
        testCaseId=test_case_id,
        fullName=full_name,
        name=case.name,
        status=_STATUS[verdict.result],
        statusDetails=StatusDetails(message=verdict.why, trace="\n".join([*category, *hints]) or None),
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
        links=[Link(type="custom", url=url, name=name) for name, url in ci_links()],
        steps=list(_steps(report, case)),
    )


def _steps(report: Report, case: Case) -> Iterator[TestStepResult]:
    """What was done and seen, each with its time: the stages of a rollout, the words of a drift or a fault."""
    facts = report.facts.get(case.verdict.drill)
    events = list(_told(facts, case.verdict)) if facts is not None else []
    for event in events[:_STEPS_MAX]:
        try:
            ended = datetime.fromisoformat(event.wall)
            begun = ended - timedelta(seconds=event.end_s - event.start_s)
        except (ValueError, TypeError, OverflowError):  # a damaged folder: its other steps are told
            continue
        yield TestStepResult(
            name=SECRETS.text(visible(sentence(event))), status=_OUTCOMES[event.outcome], stage="finished",
            start=_ms(begun), stop=_ms(ended),
        )  # fmt: skip


def _told(facts: Facts, verdict: Verdict) -> Iterable[Event]:
    if verdict.checker in {"release", "rollback", "rollout", "availability", "bad_release"}:
        rollout = find_rollout(facts)
        return rollout.events if rollout is not None else ()
    attempts = (*drift_trials(facts), *find_faults(facts))
    return next((one.events for one in attempts if one.subject == verdict.subject), ())


def _ms(at: datetime | None) -> int | None:
    """Epoch milliseconds, as Allure needs them. None if the run has no such events."""
    return int(at.timestamp() * 1000) if at is not None else None
