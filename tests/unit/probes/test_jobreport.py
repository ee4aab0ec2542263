"""The job report: what is recorded of an answer, what of one that cannot be read, and what preflight says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import pytest
import story
from owntime import own_time
from recorder import ListRecorder

from rollproof.clients.http import Answer
from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.factshapes import check_fact
from rollproof.core.jobs import Reading, readings, unreadable_reports
from rollproof.core.target import JobSettings, Target
from rollproof.errors import CannotJudgeError, InputError, RollproofError
from rollproof.preflight.readings import READINGS
from rollproof.probes import jobreport
from rollproof.probes.jobreport import JobReport

NOW_S = 1_767_268_830.0  # 2026-01-01 12:00:30 UTC
ROW = {"job": "settlement", "period": "2026-01-01 12:00:00", "pod": "web-a", "version": "abc1234",
       "started_at": "2026-01-01T12:00:01.5Z", "finished_at": 1_767_268_803}  # fmt: skip
JOBS = JobSettings(report_path="/jobs", settled_pointer="/settled", booked_pointer="/booked")


class Http:
    """Answers with what it is given."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def get(self, path: str) -> Answer:
        assert path == "/jobs"
        return self.answer


def body(*rows: Mapping[str, Any], **more: Any) -> Answer:
    return Answer(200, json.dumps({"runs": list(rows), **more}).encode(), {"date": formatdate(NOW_S + 5, usegmt=True)})


def read(answer: Answer, monkeypatch: pytest.MonkeyPatch, *, settings: JobSettings = JOBS) -> Event:
    own_time(monkeypatch, jobreport, time=lambda: NOW_S, monotonic=lambda: 100.0)
    recorder = ListRecorder()
    JobReport(settings, Http(answer), recorder, lambda: 2).read()  # type: ignore[arg-type]
    (event,) = recorder.events
    check_fact(event, "the timeline", error=RollproofError)
    return event


def facts(event: Event) -> Facts:
    return Facts(plan=story.plan(), drill="jobs", events=(event,))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (body(), False),
        (body(ROW), True),  # of the period that is running
        (body({**ROW, "period": NOW_S + 30}), False),  # of the next one: a clock that is ahead
        (Answer(503, b"", {}), True),  # for `read` to record
        (body({"job": "x"}), True),
    ],
)
def test_whether_it_reaches_back(answer: Answer, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    own_time(monkeypatch, jobreport, time=lambda: NOW_S)
    recorder = ListRecorder()
    assert JobReport(JOBS, Http(answer), recorder, lambda: 2).reaches_back() is expected  # type: ignore[arg-type]
    assert not recorder.events


def test_what_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    old = {**ROW, "period": "2026-01-01T09:00:00+01:00"}
    running = {**ROW, "finished_at": None}
    event = read(body(ROW, running, old, settled=100, booked="100"), monkeypatch)
    (reading,) = readings(facts(event))
    assert (reading.wall_s, reading.replicas, reading.clock_s) == (NOW_S, 2, (5.0, 6.0))
    assert reading.oldest_s == NOW_S - 30 - 4 * 3600
    assert [(run.job, run.period_s, run.pod, run.version) for run in reading.runs] == [
        ("settlement", NOW_S - 30, "web-a", "abc1234")
    ] * 2
    assert [(run.started_s, run.finished_s) for run in reading.runs] == [
        (NOW_S - 28.5, NOW_S - 27), (NOW_S - 28.5, None)
    ]  # fmt: skip
    assert (reading.settled, reading.booked) == (100.0, None)


def test_a_report_without_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    event = read(Answer(200, b'{"runs": []}', {"date": "yesterday"}), monkeypatch)
    (reading,) = readings(facts(event))
    assert (reading.clock_s, reading.oldest_s, reading.runs) == (None, None, ())


def test_the_report_itself_may_be_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = JobSettings(report_path="/jobs", runs_pointer="")
    event = read(Answer(200, json.dumps([ROW]).encode()), monkeypatch, settings=settings)
    assert len(Reading.of(event).runs) == 1


UNREADABLE = {
    "no answer": (Answer(None, error="connect.refused"), "did not answer: connect.refused"),
    "an error": (Answer(503, b"{}"), "answered 503"),
    "no JSON": (Answer(200, b"<html>"), "the body is not JSON"),
    "cut off": (Answer(200, b'{"runs": [{"job": '), "the body is not JSON"),
    "no list": (Answer(200, b"{}"), "no /runs in the body"),
    "null": (Answer(200, b'{"runs": null}'), "runs must be a list of runs"),
    "an object": (Answer(200, b'{"runs": {}}'), "runs must be a list"),
    "texts": (Answer(200, b'{"runs": ["a"]}'), "a list of objects"),
    "no job": (body({**ROW, "job": ""}), r"runs\[0\].job must be a string that is not empty"),
    "no period": (body(ROW, {**ROW, "period": None}), r"runs\[1\].period must be a string"),
    "no time": (body({**ROW, "started_at": "soon"}), r"runs\[0\].started_at must be a time such as"),
    "of another age": (body({**ROW, "period": "0001-01-01"}), "period must be a time such as"),
}


@pytest.mark.parametrize(("answer", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_said(answer: Answer, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    event = read(answer, monkeypatch)
    assert (event.what, event.outcome) == ("unreadable", Outcome.UNKNOWN)
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(event.data["reason"])
    assert unreadable_reports(facts(event)) == (event,)
    assert readings(facts(event)) == ()


class TestPreflight:
    reading = READINGS["jobs"]

    def target(self, **settings: Any) -> Target:
        return story.target(jobs=JobSettings(**{"report_path": "/jobs", **settings}))

    def check(self, http: Http) -> str:
        return self.reading.check(self.target(), http, None)  # type: ignore[arg-type]

    def test_without_a_report_the_drills_are_skipped(self) -> None:
        assert "jobs.report_path" in self.reading.skipped(self.target(report_path=""))
        assert self.reading.skipped(self.target()) == ""

    def test_the_plan_says_what_is_read(self) -> None:
        assert list(self.reading.reads(self.target())) == [
            ("http://127.0.0.1:1/jobs", "the report of the jobs is read once in each of 5 periods of 60 s")
        ]
        assert list(self.reading.permissions(self.target())) == []

    def test_a_report_that_can_be_read(self) -> None:
        assert "2 runs of settlement" in self.check(Http(body(ROW, ROW)))

    @pytest.mark.parametrize("name", ["no JSON", "no list", "no job", "no time"])
    def test_one_that_cannot_is_a_mistake_in_the_target_file(self, name: str) -> None:
        with pytest.raises(InputError, match=UNREADABLE[name][1]) as caught:
            self.check(Http(UNREADABLE[name][0]))
        assert "jobs.report_path" in caught.value.hint

    def test_a_path_that_is_not_there(self) -> None:
        with pytest.raises(InputError, match="/jobs answered 404"):
            self.check(Http(Answer(404)))

    @pytest.mark.parametrize("name", ["no answer", "an error"])
    def test_one_that_does_not_come_now(self, name: str) -> None:
        with pytest.raises(CannotJudgeError, match="the job report"):
            self.check(Http(UNREADABLE[name][0]))
