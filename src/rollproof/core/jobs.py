"""Jobs: the runs of the app's scheduled jobs, as its report tells them; the facts of a reading, and their readers.

A row of the report has `job`, `period` (when the period began), `pod`, `started_at`, `finished_at` and, if the app
knows it, `version`. Times are RFC 3339, the same without a zone (taken for UTC, as SQL writes it), or seconds since
1970. Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.outside import Outside, timestamp_s

__all__ = ["SOURCE", "SUBJECT", "JobRun", "JobWord", "Reading", "readings", "runs_of", "unreadable_reports"]

SOURCE, SUBJECT = "jobs", "Jobs"
_WHO = "the job report"


class JobWord(StrEnum):
    """What came of one reading of the report."""

    READ = "read"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """One row: one run of a job. Times are seconds since 1970; `finished_s` is None while it has not finished."""

    job: str
    period_s: float
    pod: str
    started_s: float
    finished_s: float | None = None
    version: str = ""


def runs_of(rows: object) -> tuple[JobRun, ...]:
    """The rows of a report. OutsideDataError says which field of which row is not what it must be."""
    listed = Outside.of({"runs": rows}, _WHO)
    if rows is None:
        listed.refuse("runs", "a list of runs")
    return tuple(_run(row) for row in listed.objects("runs"))


def _run(row: Outside) -> JobRun:
    finished_s = _moment(row, "finished_at") if row.has("finished_at") else None
    return JobRun(
        job=row.needed("job"), period_s=_moment(row, "period"), pod=row.needed("pod"), version=row.text("version"),
        started_s=_moment(row, "started_at"), finished_s=finished_s,
    )  # fmt: skip


def _moment(row: Outside, key: str) -> float:
    value = row.value.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return row.real(key)
    text = row.needed(key)
    try:
        moment = datetime.fromisoformat(text.strip())
        found_s = timestamp_s((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat())
    except ValueError:
        found_s = None
    if found_s is None:
        row.refuse(key, "a time such as 2026-11-28T10:00:00Z, or seconds since 1970")
    return found_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of the report, at `wall_s` of the harness's wall clock (seconds since 1970).

    `runs`: those of the periods since the drill began, with the one before. `oldest_s`: the earliest period that the
    report reaches back to; None where it is empty. `clock_s`: the least and the most by which the clock of whoever
    answered was ahead of the harness's (s); None where it did not say its time. `replicas`: the ready pods then.
    `settled`, `booked`: the amounts of `[jobs]`; None where they are not reported.
    """

    event: Event
    wall_s: float
    runs: tuple[JobRun, ...]
    oldest_s: float | None
    clock_s: tuple[float, float] | None
    replicas: int
    settled: float | None = None
    booked: float | None = None

    @staticmethod
    def data(
        *, wall_s: float, runs: Iterable[JobRun], since_s: float, clock_s: tuple[float, float] | None, replicas: int,
        settled: float | None, booked: float | None,
    ) -> Mapping[str, Any]:  # fmt: skip
        """The fields of a fact that tells it; runs of periods before `since_s` are left out."""
        all_runs = tuple(runs)
        return {
            "wall_s": round(wall_s, 3), "replicas": replicas, "settled": settled, "booked": booked,
            "oldest_s": min((run.period_s for run in all_runs), default=None),
            "clock_s": None if clock_s is None else [round(one, 3) for one in clock_s],
            "runs": [asdict(run) for run in all_runs if run.period_s >= since_s],
        }  # fmt: skip

    @classmethod
    def of(cls, event: Event) -> Reading:
        """Of its fact."""
        data, clock_s = event.data, event.data.get("clock_s")
        return cls(
            event=event, wall_s=float(data["wall_s"]), runs=tuple(JobRun(**run) for run in data.get("runs") or ()),
            oldest_s=data.get("oldest_s"), clock_s=None if clock_s is None else (clock_s[0], clock_s[-1]),
            replicas=int(data.get("replicas") or 0), settled=data.get("settled"), booked=data.get("booked"),
        )  # fmt: skip


def readings(facts: Facts) -> tuple[Reading, ...]:
    """The readings of the drill that could be read, in order."""
    found = facts.find(source=SOURCE, subject=SUBJECT, what=JobWord.READ)
    return tuple(Reading.of(event) for event in found if event.outcome is Outcome.OK)


def unreadable_reports(facts: Facts) -> tuple[Event, ...]:
    """Those that could not."""
    return tuple(facts.find(source=SOURCE, subject=SUBJECT, what=JobWord.UNREADABLE))
