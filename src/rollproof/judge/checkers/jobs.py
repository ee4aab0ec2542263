"""Did each scheduled job run exactly once in each period, over all replicas? One verdict a job, one for the amount.

Judged are the whole periods between the first and the last reading of the app's report: the periods at its two edges
are not. A row that is missing or too many is FAIL by itself; a PASS needs several replicas, clocks that agree, a report
that reaches back far enough, and as many periods as the target file says (docs/jobs.md).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from rollproof.core.counts import many
from rollproof.core.facts import Facts
from rollproof.core.jobs import JobRun, Reading, readings, unreadable_reports
from rollproof.core.runframe import reason
from rollproof.core.target import JobSettings
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.judge.checkers.clock import CLOCK_STEP_MAX_S, clock_step_s

__all__ = ["check"]

_CLOCKS_APART_S = 1.0
_SHOWN = 3  # periods in a sentence


@dataclass(frozen=True, slots=True)
class _Watched:
    """What the readings of one drill showed: the runs of each (job, number of its period), and what was judged."""

    settings: JobSettings
    reads: Sequence[Reading]
    runs: Mapping[tuple[str, int], tuple[JobRun, ...]]
    periods: Sequence[int]  # the whole ones inside of the window, by their number since 1970

    @property
    def jobs(self) -> tuple[str, ...]:
        """The jobs that must run: as the target file names them, else all that the report has."""
        return self.settings.names or tuple(sorted({job for job, _ in self.runs}))

    @property
    def evidence(self) -> tuple[int, ...]:
        return tuple(read.event.seq for read in self.reads)

    def of(self, job: str, period: int) -> tuple[JobRun, ...]:
        return self.runs.get((job, period), ())

    def begin_s(self, period: int) -> float:
        return period * self.settings.period_s

    def may_be_at_work(self, run: JobRun) -> bool:
        """Whether a run that has no end may still come to it: it lasts no longer yet than another one of that job."""
        mine = [one for (job, _), runs in self.runs.items() if job == run.job for one in runs]
        took_s = [one.finished_s - one.started_s for one in mine if one.finished_s is not None]
        return self.reads[-1].wall_s - run.started_s <= max(took_s, default=0.0)

    def unseen(self) -> tuple[int, ...]:
        """The periods that no reading after their end has surely reached back to."""
        within_s = self.settings.reported_within_s
        return tuple(
            period for period in self.periods
            if not any(
                read.oldest_s is not None and read.oldest_s < self.begin_s(period)
                and read.wall_s >= self.begin_s(period + 1) + within_s
                for read in self.reads
            )
        )  # fmt: skip


def check(facts: Facts) -> tuple[Verdict, ...]:
    """A verdict for each job; one of "Jobs" where nothing is known of any."""
    settings, reads = facts.plan.target.jobs, readings(facts)
    if not reads:
        unread = unreadable_reports(facts)
        why = f"the job report could not be read: {reason(unread[-1])}" if unread else "the job report was never read"
        return (_open(why, tuple(event.seq for event in unread)),)
    watched = _watched(settings, reads)
    if not watched.jobs:
        why = f"the report has no run of any job since {_time(reads[0].wall_s)}, and jobs.names names none"
        return (_open(why, watched.evidence),)
    doubt = _clocks(facts, reads)
    verdicts = [_judge(watched, job, doubt) for job in watched.jobs]
    return (*verdicts, *_amount(settings, reads))


def _open(why: str, evidence: tuple[int, ...]) -> Verdict:
    return Verdict("jobs", "Jobs", Result.INCONCLUSIVE, why, evidence=evidence)


def _watched(settings: JobSettings, reads: Sequence[Reading]) -> _Watched:
    """Rows of several readings are one where job, pod and start agree; two such rows in one report are two runs."""
    counts: Counter[tuple[str, float, str, float]] = Counter()
    latest: dict[tuple[str, float, str, float], JobRun] = {}
    for read in reads:
        once = Counter((run.job, run.period_s, run.pod, run.started_s) for run in read.runs)
        latest |= {(run.job, run.period_s, run.pod, run.started_s): run for run in read.runs}
        counts |= once
    runs: dict[tuple[str, int], tuple[JobRun, ...]] = {}
    for key, run in sorted(latest.items()):
        place = (run.job, math.floor(run.period_s / settings.period_s))
        runs[place] = runs.get(place, ()) + (run,) * counts[key]
    first = math.ceil(reads[0].wall_s / settings.period_s)
    after = math.floor((reads[-1].wall_s - settings.reported_within_s) / settings.period_s)
    return _Watched(settings, reads, runs, range(first, after))


def _clocks(facts: Facts, reads: Sequence[Reading]) -> str:
    """Why the periods of the app cannot be laid beside our time; "" if they can."""
    step_s, _ = clock_step_s(facts)
    if abs(step_s) > CLOCK_STEP_MAX_S:
        return f"the harness's wall clock moved by {step_s:+.1f} s meanwhile"
    told = [read.clock_s for read in reads if read.clock_s is not None]
    if not told:
        return "whoever answers with the report does not say its time (HTTP Date): the clocks may be apart"
    least, most = max(low for low, _ in told), min(high for _, high in told)
    if least > _CLOCKS_APART_S or most < -_CLOCKS_APART_S:
        apart_s = least if least > 0 else most
        return f"the clocks are apart: the app's is {apart_s:+.1f} s from the harness's"
    ahead = [run for read in reads for run in read.runs if run.started_s > read.wall_s + _CLOCKS_APART_S]
    if ahead:
        return f"the clocks are apart: {ahead[0].pod} says that {ahead[0].job} began after its report was read"
    return ""


def _judge(watched: _Watched, job: str, doubt: str) -> Verdict:
    found = {period: watched.of(job, period) for period in watched.periods}
    unseen = set(watched.unseen())
    double = [period for period, runs in found.items() if len(runs) > 1]
    missed = [period for period, runs in found.items() if not runs and period not in unseen and not doubt]
    wrong = {period: runs[0] for period, runs in found.items() if len(runs) == 1 and not doubt}
    late = [period for period, run in wrong.items() if run.started_s >= watched.begin_s(period + 1)]
    open_ends = [period for period, run in wrong.items() if run.finished_s is None]
    at_work = [period for period in open_ends if watched.may_be_at_work(wrong[period])]
    unfinished = [period for period in open_ends if period not in at_work]
    findings = tuple(_findings(watched, job, double, missed, late, unfinished))
    if findings:
        result, why = Result.FAIL, "; ".join(finding.text for finding in findings)
    else:
        why = doubt or _too_little(watched, job, unseen) or _at_work(watched, at_work)
        result = Result.INCONCLUSIVE if why else Result.PASS
        why = why or f"once in each of {many(len(found), 'period')}, by {_by(found)}"
    numbers: dict[str, Number] = {
        "periods": len(found), "missed": len(missed), "doubled": len(double), "late": len(late),
        "unfinished": len(unfinished), "replicas": max(read.replicas for read in watched.reads),
    }  # fmt: skip
    started = [run.started_s - watched.begin_s(period) for period, runs in found.items() for run in runs]
    if started:
        numbers["latest_start_s"] = round(max(started), 3)
    return Verdict(
        "jobs", f"Job/{job}", result, why, numbers=numbers, evidence=watched.evidence, findings=findings
    )  # fmt: skip


def _too_little(watched: _Watched, job: str, unseen: set[int]) -> str:
    """Why "exactly once over all replicas" cannot be claimed although nothing was wrong; "" if it can."""
    settings = watched.settings
    if max(read.replicas for read in watched.reads) < 2:
        return "only one replica was ready: nothing could have run twice"
    if unseen:
        first = _time(watched.begin_s(min(unseen)))
        return f"the report does not surely reach back to {many(len(unseen), 'period')}, the first at {first}"
    if len(watched.periods) < settings.periods_min:
        seen = many(len(watched.periods), "whole period")
        return f"{job}: {seen} between the first and the last reading, and {settings.periods_min} are needed"
    return ""


def _at_work(watched: _Watched, periods: Sequence[int]) -> str:
    """Why it is not known whether these runs come to their end; "" if there are none."""
    if not periods:
        return ""
    which = f"the run of {_time(watched.begin_s(periods[0]))}"
    return f"{which} had not finished when the report was read last, and others of that job have taken as long"


def _findings(
    watched: _Watched, job: str, double: Sequence[int], missed: Sequence[int], late: Sequence[int],
    unfinished: Sequence[int],
) -> Iterator[Finding]:  # fmt: skip
    total = many(len(watched.periods), "period")

    def told(periods: Sequence[int], how: str) -> str:
        words = [f"{_time(watched.begin_s(period))}{_runs(watched.of(job, period))}" for period in periods[:_SHOWN]]
        more = f" and {len(periods) - _SHOWN} more" if len(periods) > _SHOWN else ""
        return f"{job} {how} in {len(periods)} of {total}: {'; '.join(words)}{more}"

    if double:
        hint = "take a lock that all replicas share, or insert a unique (job, period) row before the work"
        yield Finding("RUN_TWICE", told(double, "ran more than once"), hint)
    if missed:
        hint = "see cron and its log in the pods of that time: it catches up neither a restart nor a lost database"
        yield Finding("RUN_MISSED", told(missed, "did not run"), hint)
    if late:
        hint = "see what held it up: the lock, the database, a pod that was frozen"
        yield Finding("RUN_LATE", told(late, "began after its period was over"), hint)
    if unfinished:
        hint = "a run that ends with its pod must be taken up again: work and row belong into one transaction"
        yield Finding("RUN_UNFINISHED", told(unfinished, "began and did not finish"), hint)


def _runs(runs: Sequence[JobRun]) -> str:
    return f" ({', '.join(f'{run.pod} at {_time(run.started_s)}' for run in runs)})" if runs else ""


def _by(found: Mapping[int, Sequence[JobRun]]) -> str:
    return many(len({run.pod for runs in found.values() for run in runs}), "pod")


def _time(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).strftime("%H:%M:%S")


def _amount(settings: JobSettings, reads: Sequence[Reading]) -> Iterator[Verdict]:
    """What is settled must be what the runs say that they settled; a difference from before is said, not judged."""
    if not settings.settled_pointer:
        return
    told = [
        (read.event.seq, _exact(read.settled), _exact(read.booked))
        for read in reads if read.settled is not None and read.booked is not None
    ]  # fmt: skip
    evidence = tuple(seq for seq, _, _ in told)
    if len(told) < 2:
        why = f"the report told both amounts {len(told)} times: {settings.settled_pointer}, {settings.booked_pointer}"
        yield Verdict("jobs", "Jobs/amount", Result.INCONCLUSIVE, why, evidence=evidence)
        return
    (_, settled, booked), (_, settled_last, booked_last) = told[0], told[-1]
    before, after, moved = booked - settled, booked_last - settled_last, settled_last - settled
    numbers: dict[str, Number] = {
        "settled": float(moved), "difference_before": float(before), "difference_after": float(after),
    }  # fmt: skip
    if after != before:
        why = f"what the runs booked and what is settled drifted apart by {float(after - before):g} meanwhile"
        yield Verdict("jobs", "Jobs/amount", Result.FAIL, why, numbers=numbers, evidence=evidence)
    elif not moved:
        why = "nothing was settled meanwhile, so nothing could be settled twice"
        yield Verdict("jobs", "Jobs/amount", Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence)
    else:
        why = f"{float(moved):g} settled, and the runs booked as much"
        yield Verdict("jobs", "Jobs/amount", Result.PASS, why, numbers=numbers, evidence=evidence)


def _exact(amount: float) -> Decimal:
    """As it was written: of two amounts of cents a difference in binary would be another than the one before."""
    return Decimal(str(amount))
