"""Histories for the golden of verdicts: runs of scheduled jobs, with a period of a minute, watched from 12:00:30."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from story import Story, plan, target

from rollproof.core.event import Outcome
from rollproof.core.jobs import JobRun
from rollproof.core.target import JobSettings

__all__ = ["job_runs", "told", "watched"]

NOON_S = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
JOB = "settlement"
Told = Iterator[tuple[str, Story]]


def job_run(
    minute: int, pod: str = "web-a", *, at_s: float = 1.0, took_s: float | None = 2.0, job: str = JOB
) -> JobRun:
    """The run of 12:MINUTE, begun so many seconds into it."""
    started_s = NOON_S + 60 * minute + at_s
    finished_s = None if took_s is None else started_s + took_s
    return JobRun(job=job, period_s=NOON_S + 60 * minute, pod=pod, started_s=started_s, finished_s=finished_s)


def told(
    *runs: JobRun, last: float = 5.5, story: Story | None = None, earlier_s: float | None = 2.0, **settings: Any
) -> Story:  # fmt: skip
    """The report is read at 12:00:30 and at minute `last`; the runs of 11:59 and 12:00 are there beside `runs`."""
    story = story or story_of(**settings)
    earlier = (job_run(-1, took_s=earlier_s), job_run(0, "web-b", took_s=earlier_s))
    read(story, 0.5, earlier)
    return read(story, last, (*earlier, *runs))


def story_of(**settings: Any) -> Story:
    jobs = JobSettings(**{"report_path": "/jobs", "names": (JOB,), **settings})
    return Story("jobs", plan=plan(target=target(jobs=jobs)))


def read(story: Story, minute: float, runs: tuple[JobRun, ...], **more: Any) -> Story:
    """One reading; `more` are fields of its fact that are not the sound ones."""
    sound: Mapping[str, Any] = {
        "wall_s": NOON_S + 60 * minute, "replicas": 2, "settled": None, "booked": None, "clock_s": [-0.4, 0.6],
        "oldest_s": min((run.period_s for run in runs), default=None), "runs": [asdict(run) for run in runs],
    }  # fmt: skip
    return story.tell("jobs", "Jobs", "read", at=100 + 60 * minute, **{**sound, **more})


FOUR = tuple(job_run(minute, f"web-{'ab'[minute % 2]}") for minute in (1, 2, 3, 4))


def watched(**more: Any) -> Story:
    """Four whole periods, each with one run; `more` are fields of both readings."""
    earlier = (job_run(-1), job_run(0, "web-b"))
    return read(read(story_of(), 0.5, earlier, **more), 5.5, (*earlier, *FOUR), **more)


def job_runs() -> Told:
    yield "never read", Story("jobs")
    yield (
        "unreadable",
        Story("jobs").tell("jobs", "Jobs", "unreadable", at=100, outcome=Outcome.UNKNOWN, reason="/jobs answered 404"),
    )
    yield "once in each", told(*FOUR)
    yield "once in each, of which the edges are not judged", told(*FOUR, job_run(5), job_run(5, "web-b"))
    yield "missed", told(*FOUR[:1], *FOUR[2:])
    yield "twice, by two pods", told(*FOUR, job_run(3, "web-c", at_s=1.5))
    yield "twice, by one pod in one moment", told(*FOUR, FOUR[2])
    yield "twice in many", told(*FOUR, *(job_run(minute, "web-c") for minute in (1, 2, 3, 4)))
    yield "late", told(*FOUR[:3], job_run(4, at_s=61.23456))
    yield "at the very end of its period", told(*FOUR[:3], job_run(4, at_s=59.9))
    yield "did not finish", told(*FOUR[:3], job_run(4, took_s=None))
    long = [job_run(minute, took_s=89.0) for minute in (1, 2, 3)]
    yield "did not finish, and others have taken as long", told(*long, job_run(4, took_s=None))
    yield "did not finish for longer than any other", told(*long, job_run(4, took_s=None), last=5.6)
    runs = (job_run(-1), job_run(0), *long, job_run(4, took_s=None))
    yield "did not finish for longer than any other, by the last of three readings", read(told(*runs[2:]), 5.6, runs)
    yield "none has ever finished", told(*(job_run(minute, took_s=None) for minute in (1, 2, 3, 4)), earlier_s=None)
    yield "missed, twice and late", told(FOUR[0], FOUR[0], job_run(3, at_s=70), FOUR[3])
    yield "two periods only", told(*FOUR[:2], last=3.5)
    yield "two periods only, one of them missed", told(*FOUR[:1], last=3.5)
    yield "no whole period", told(last=0.9)
    yield "one replica", watched(replicas=1)
    yield "clocks apart, ahead", watched(clock_s=[4.0, 5.0])
    yield "clocks apart, behind", watched(clock_s=[-5.0, -4.0])
    yield "clocks apart, and a miss that may be none", read(told(*FOUR[1:]), 6, FOUR[1:], clock_s=[90.0, 91.0])
    yield (
        "clocks apart, and twice all the same",
        read(watched(clock_s=[4.0, 5.0]), 5.6, (*FOUR, job_run(2, "web-c")), clock_s=[4.0, 5.0]),
    )
    yield "nobody says what time it is", watched(clock_s=None)
    yield "a pod's clock is ahead", told(*FOUR, job_run(6))
    stepped = watched().tell("run", "clock", "read", at=90, monotonic_s=90.0, wall_s=1000.0)
    yield "our clock was set", stepped.tell("run", "clock", "read", at=500, monotonic_s=500.0, wall_s=1500.0)
    cut = read(story_of(), 0.5, (job_run(0),))
    yield "the report is cut off", read(cut, 5.5, FOUR[2:])
    yield (
        "the report is cut off, and two readings cover it",
        read(read(cut, 3.4, (job_run(0), *FOUR[:2])), 5.5, FOUR[1:]),
    )
    yield "the report is empty", read(read(story_of(), 0.5, ()), 5.5, ())
    yield "the report is empty, and names nobody to look for", read(read(story_of(names=()), 0.5, ()), 5.5, ())
    yield "jobs by the report's own names", told(*FOUR, names=())
    yield "a job that nobody has heard of", told(*FOUR, names=(JOB, "statistics"))
    yield (
        "one reading of three was unreadable",
        watched().tell("jobs", "Jobs", "unreadable", at=160, outcome=Outcome.UNKNOWN, reason="/jobs did not answer"),
    )
    yield from amounts()


def amounts() -> Told:
    def booked(*pairs: tuple[float | None, float | None]) -> Story:
        story = story_of(settled_pointer="/settled", booked_pointer="/booked")
        minutes = (0.5, 5.5) if len(pairs) == 2 else (0.5, 3.5, 5.5)
        for minute, (settled, sum_of_runs) in zip(minutes, pairs, strict=True):
            read(
                story, minute, (job_run(-1), job_run(0), *FOUR[: int(minute - 1)]), settled=settled, booked=sum_of_runs
            )
        return story

    yield "settled once", booked((100, 100), (500, 500))
    yield "settled once, read in the middle too", booked((100, 100), (300, 300), (500, 500))
    yield "settled twice", booked((100, 100), (500, 600))
    yield "settled twice, and before we came", booked((100, 200), (500, 700))
    yield "settled twice, before we came", booked((100, 200), (500, 600))
    yield "settled once, in cents", booked((10.0, 10.1), (20.2, 20.3))
    yield "one cent settled twice, of very much", booked((0, 0), (9007199254740993, 9007199254740994))
    yield "nothing settled", booked((100, 100), (100, 100))
    yield "amounts not told", booked((100, 100), (None, 500))
