"""Allure's files beside the results: categories, environment, executor; and which category a verdict belongs to.

Categories are told apart by a word from a closed list at the beginning of a result's trace (`[lost-requests]`), never
by the sentences of a verdict. Allure 2 and 3 read these files from the results (`@allurereport/reader` 3.18.0,
allure2/index.js); Allure 3 shows categories only where its configuration names them (docs/ci.md).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from rollproof.core.fault import find_faults
from rollproof.core.verdict import Result, Verdict
from rollproof.core.visible import printable
from rollproof.reports.model import Report
from rollproof.reports.tables import flat

__all__ = ["CATEGORIES", "beside_results", "category_of", "ci_links"]

CATEGORIES: Mapping[str, str] = {  # word -> name
    "undo": "Undo: something was left changed", "lost-requests": "Lost requests", "wrong-version": "Wrong version",
    "not-healed": "Not healed or not recovered", "no-effect": "No effect: nobody felt the fault",
    "inconclusive": "Inconclusive: no claim is possible",
}  # fmt: skip
_FAILED = {
    "availability": "lost-requests", "loss": "lost-requests", "outage": "lost-requests", "version": "wrong-version",
    "drift": "not-healed", "fault": "not-healed", "rollback": "not-healed", "undo": "undo",
}  # fmt: skip
_STATUSES = {"inconclusive": "broken", "no-effect": "broken"}
_VALUE_MAX, _ENVIRONMENT_MAX = 300, 60


def category_of(report: Report, verdict: Verdict) -> str:
    """A word of CATEGORIES; "" for what passed, was skipped, or failed in a way of its own."""
    if verdict.result is Result.FAIL:
        return _FAILED.get(verdict.checker, "")
    if verdict.result is not Result.INCONCLUSIVE:
        return ""
    return "no-effect" if _unfelt(report, verdict) else "inconclusive"


def _unfelt(report: Report, verdict: Verdict) -> bool:
    facts = report.facts.get(verdict.drill)
    if verdict.checker != "fault" or facts is None:
        return False
    return any(one.subject == verdict.subject and one.begun and one.happened is None for one in find_faults(facts))


def beside_results(report: Report) -> dict[str, str]:
    """File name -> text. No executor where no CI says who it is."""
    files = {"categories.json": _categories(), "environment.properties": _environment(report)}
    job = _job(os.environ)
    return {**files, "executor.json": json.dumps(_executor(job, report), indent=1) + "\n"} if job else files


def _categories() -> str:
    """`[\\s\\S]*`: Allure 2 wants the whole trace to match, Allure 3 a part of it."""
    rules = [
        {"name": name, "matchedStatuses": [_STATUSES.get(word, "failed")], "traceRegex": rf"\[{word}\][\s\S]*"}
        for word, name in CATEGORIES.items()
    ]
    return json.dumps(rules, indent=1) + "\n"


def _environment(report: Report) -> str:
    """Java properties: keys without spaces, ASCII alone."""
    plan = report.plan
    known = [
        ("target", plan.target.name), ("platform", report.platform), ("old_sha", plan.old_sha),
        ("new_sha", plan.new_sha), ("run", plan.run_id),
        *flat({key: said for key, said in report.environment.items() if key != "target_file"}),
    ]  # fmt: skip
    return "".join(f"{_escaped(key, key=True)}={_escaped(value)}\n" for key, value in known[:_ENVIRONMENT_MAX])


def _escaped(text: str, *, key: bool = False) -> str:
    shown = printable(text, length_max=_VALUE_MAX).replace("\\", "\\\\")
    if key:
        shown = shown.replace(" ", "_").replace("=", "_").replace(":", "_")
    return "".join(one if 32 <= ord(one) < 127 else f"\\u{ord(one):04x}" for one in shown if ord(one) < 0x10000)


def ci_links() -> list[tuple[str, str]]:
    """Name and URL of the CI job that this is, for a reader of a result; none elsewhere."""
    job = _job(os.environ)
    return [(job.name, job.url)] if job is not None and job.url.startswith(("https://", "http://")) else []


@dataclass(frozen=True, slots=True)
class _Job:
    kind: str
    name: str
    number: str
    build: str
    url: str


def _job(said: Mapping[str, str]) -> _Job | None:
    """Which CI job ran this, from the variables that it sets itself; None elsewhere."""

    def known(*names: str) -> tuple[str, ...]:
        return tuple(printable(said.get(name, ""), length_max=_VALUE_MAX) for name in names)

    if said.get("GITHUB_ACTIONS"):
        server, repository, run = known("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
        number, workflow = known("GITHUB_RUN_NUMBER", "GITHUB_WORKFLOW")
        return _Job("github", "GitHub Actions", number, workflow, f"{server}/{repository}/actions/runs/{run}")
    if said.get("GITLAB_CI"):
        return _Job("gitlab", "GitLab CI", *known("CI_PIPELINE_IID", "CI_JOB_NAME", "CI_JOB_URL"))
    if said.get("JENKINS_URL"):
        return _Job("jenkins", "Jenkins", *known("BUILD_NUMBER", "JOB_NAME", "BUILD_URL"))
    return None


def _executor(job: _Job, report: Report) -> dict[str, object]:
    number = {"buildOrder": int(job.number)} if re.fullmatch("[0-9]{1,9}", job.number) else {}
    return {
        "type": job.kind, "name": job.name, **number, "buildName": f"{job.build} {job.number}".strip(),
        "buildUrl": job.url, "reportName": f"rollproof {report.plan.target.name}",
    }  # fmt: skip
