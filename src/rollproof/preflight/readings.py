"""Readings: what a drill reads beside what every run does, by the word of its marker (`reads=`).

Each says what it reads (for `plan`), why a target cannot have it, which permissions it needs, and what must be so
before anything is touched. All but `check` is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rollproof.clients.http import Http
from rollproof.core.permission import Permission
from rollproof.core.target import Target
from rollproof.errors import CannotJudgeError, InputError, OutsideDataError
from rollproof.probes.jobreport import read_runs

__all__ = ["READINGS", "Reading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`skipped`: why this target cannot have it, "" if it can. `reads`: (object, what of it, in words).

    `check` returns the good answer in words; InputError where the target file is wrong, CannotJudgeError where only
    this moment is.
    """

    name: str
    skipped: Callable[[Target], str]
    reads: Callable[[Target], Iterable[tuple[str, str]]]
    permissions: Callable[[Target], Iterable[Permission]]
    check: Callable[[Target, Http], str]


def _no_report(target: Target) -> str:
    return "" if target.jobs.report_path else "the target file names no report of the app's jobs (jobs.report_path)"


def _job_report(target: Target) -> Iterable[tuple[str, str]]:
    jobs = target.jobs
    what = f"the report of the jobs is read once in each of {jobs.periods} periods of {jobs.period_s:g} s"
    yield f"{target.app.base_url}{jobs.report_path}", what


def _check_report(target: Target, http: Http) -> str:
    jobs = target.jobs
    answer = http.get(jobs.report_path)
    place = f"{target.app.base_url}{jobs.report_path}"
    if answer.error or (answer.status or 0) >= 500:
        raise CannotJudgeError(f"{place} (the job report) answered {answer.error or answer.status}", "is the app well?")
    try:
        runs = read_runs(jobs, answer)
    except (LookupError, OutsideDataError) as error:
        raise InputError(f"{place}: {error}", "see jobs.report_path and runs_pointer, and docs/jobs.md") from None
    return f"{place}: {len(runs)} runs of {', '.join(sorted({run.job for run in runs})) or 'no job'}"


READINGS: Mapping[str, Reading] = {
    "jobs": Reading(
        name="jobs", skipped=_no_report, reads=_job_report, permissions=lambda _: (), check=_check_report
    )
}  # fmt: skip
