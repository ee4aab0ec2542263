"""Allure results from verdicts: FAIL is failed, INCONCLUSIVE is broken, SKIPPED is skipped; one result a verdict.

Written from the verdicts and not by a pytest plugin, so that `rollproof judge` rewrites them too; as JSON and not by
allure_commons, which is a writer of these keys and takes longer to import than all results to write. The key of
Allure's history must stay the same from run to run, and differ between targets: Allure 2 reads our `historyId`; Allure
3 ignores it and makes its own of `testCaseId` and the parameters that are not excluded (`@allurereport/core` 3.18.0,
store/convert.js). Ours follows the same rule, so both agree.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

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
from rollproof.store.folderfiles import read_whole, write_whole

__all__ = ["write_allure"]

_Json = dict[str, Any]

_STATUS = {
    Result.PASS: "passed", Result.FAIL: "failed", Result.INCONCLUSIVE: "broken", Result.SKIPPED: "skipped",
}  # fmt: skip
_OUTCOMES = {Outcome.OK: "passed", Outcome.FAIL: "failed", Outcome.UNKNOWN: "broken"}
_ATTACHED_MAX = 5_000_000  # bytes of a file
_STEPS_MAX = 60


def write_allure(
    folder: Path, report: Report, attachments: Iterable[Path] = (), load_attachments: Iterable[Path] = ()
) -> None:
    """Replace `folder` (the run's allure-results) with one result per verdict, and the files beside them.

    attachments are pages of every result, load_attachments pages of those about the generator; each is copied once,
    and left out above 5 MB: a page with everything in it must stay one that opens. They hang on a tear down that the
    results share: Allure 3 gives a file that several results name to the first it reads, and shows it as missing in
    the others.
    """
    if folder.is_symlink() or folder.is_file():
        folder.unlink()  # a link in its place is neither emptied nor written through
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    results, of_load = [], []
    for case in cases(report):
        result = _result(report, case)
        _write(folder, "result", result)
        results.append(result["uuid"])
        if case.verdict.checker == "load_soundness":
            of_load.append(result["uuid"])
    for name, shared, sharing in (("the run", attachments, results), ("the load", load_attachments, of_load)):
        if sharing and (copied := _copied(folder, shared)):
            _write(folder, "container", _container(name, copied, sharing))
    for name, text in beside_results(report).items():
        write_whole(folder / name, SECRETS.text(text).encode())


def _write(folder: Path, kind: str, item: _Json) -> None:
    text = json.dumps(_said(item), ensure_ascii=False)
    write_whole(folder / f"{_new_id()}-{kind}.json", text.encode(errors="backslashreplace"))


def _said(item: Any) -> Any:
    """Without what says nothing: null, an empty text, an empty list."""
    if isinstance(item, Mapping):
        return {key: _said(value) for key, value in item.items() if value or value is False}
    return [_said(value) for value in item] if isinstance(item, list) else item


def _copied(folder: Path, paths: Iterable[Path]) -> list[_Json]:
    found = []
    for path in paths:
        if path.stat().st_size > _ATTACHED_MAX:
            continue
        source = f"{_new_id()}-attachment{path.suffix}"
        write_whole(folder / source, read_whole(path))
        found.append({"name": path.name, "source": source, "type": "text/html"})
    return found


def _container(name: str, attached: list[_Json], results: list[str]) -> _Json:
    told = {"name": f"pages of {name}", "status": "passed", "stage": "finished", "attachments": attached}
    return {"uuid": _new_id(), "name": name, "children": results, "afters": [told]}


def _result(report: Report, case: Case) -> _Json:
    verdict, target = case.verdict, report.plan.target.name
    full_name = f"rollproof.{case.suite}.{case.name}"
    test_case_id = _hash(full_name)
    category = [f"[{word}]"] if (word := category_of(report, verdict)) else []
    hints = [finding_line(finding) for finding in verdict.findings]
    changing = [("subject", verdict.subject), ("old_sha", report.plan.old_sha), ("new_sha", report.plan.new_sha)]
    labels = [
        ("parentSuite", f"rollproof {target}"), ("suite", case.suite), ("subSuite", verdict.checker), ("host", target),
        ("framework", "rollproof"), ("language", "python"),
    ]  # fmt: skip
    return {
        "uuid": _new_id(),
        "historyId": f"{_hash(test_case_id)}.{_hash(f'target:{target}')}",
        "testCaseId": test_case_id,
        "fullName": full_name,
        "name": case.name,
        "status": _STATUS[verdict.result],
        "statusDetails": {"message": verdict.why, "trace": "\n".join([*category, *hints])},
        "stage": "finished",
        "description": "\n\n".join([verdict.why, *hints]),
        "start": _ms(case.span.begun),
        "stop": _ms(case.span.ended),
        # The target is a part of the identity. What differs from run to run would break the history: it is excluded.
        "parameters": [
            {"name": "target", "value": target},
            *({"name": key, "value": str(value), "excluded": True} for key, value in changing),
            *({"name": key, "value": repr(value), "excluded": True} for key, value in verdict.numbers.items()),
        ],
        "labels": [{"name": name, "value": value} for name, value in labels],
        "links": [{"type": "custom", "url": url, "name": name} for name, url in ci_links()],
        "steps": list(_steps(report, case)),
    }


def _steps(report: Report, case: Case) -> Iterator[_Json]:
    """What was done and seen, each with its time: the stages of a rollout, the words of a drift or a fault."""
    facts = report.facts.get(case.verdict.drill)
    events = list(_told(facts, case.verdict)) if facts is not None else []
    for event in events[:_STEPS_MAX]:
        try:
            ended = datetime.fromisoformat(event.wall)
            begun = ended - timedelta(seconds=event.end_s - event.start_s)
        except (ValueError, TypeError, OverflowError):  # a damaged folder: its other steps are told
            continue
        yield {
            "name": SECRETS.text(visible(sentence(event))), "status": _OUTCOMES[event.outcome], "stage": "finished",
            "start": _ms(begun), "stop": _ms(ended),
        }  # fmt: skip


def _told(facts: Facts, verdict: Verdict) -> Iterable[Event]:
    if verdict.checker in {"release", "rollback", "rollout", "availability", "bad_release"}:
        rollout = find_rollout(facts)
        return rollout.events if rollout is not None else ()
    attempts = (*drift_trials(facts), *find_faults(facts))
    return next((one.events for one in attempts if one.subject == verdict.subject), ())


def _ms(at: datetime | None) -> int | None:
    """Epoch milliseconds, as Allure needs them. None if the run has no such events."""
    return int(at.timestamp() * 1000) if at is not None else None


def _hash(text: str) -> str:
    """As Allure's own writers make it: a key, and no secret."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _new_id() -> str:
    return str(uuid.uuid4())
