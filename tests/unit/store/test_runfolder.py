"""A run folder gives back what was put in, hides secrets, and says clearly what is wrong with a damaged one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from story import NEW, OLD, plan

from rollproof.core.event import Event, Outcome
from rollproof.core.injection import Injection, Skip
from rollproof.core.requests import REQUEST_DTYPE, EngineFacts, RequestLog
from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.errors import InputError, RunFolderError
from rollproof.store.runfolder import UNDO, RunFolder, new_run_id


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder.create(tmp_path / "run", plan()) as folder:
        yield folder


def requests(count: int = 3) -> RequestLog:
    rows = np.zeros(count, dtype=REQUEST_DTYPE)
    rows["k"] = np.arange(count)
    rows["send_ns"] = np.arange(count) * 5_000_000
    engine = EngineFacts(
        rate_per_s=200.0, start_ns=1, end_ns=2, planned=count, dispatched=count, unfinished=0, dropped=0, cpu_s=0.5,
        scheduling="normal", request_id_prefix="run-1", late_ns=np.array([[5, 6_000_000]], dtype=np.int64),
        monotonic_ns=(1, 2), wall_s=(1.0, 2.0), locust_requests=count,
    )  # fmt: skip
    return RequestLog(
        rows=rows, lanes=("get", "control"), outcomes=("", "http.502"), versions=("", OLD, NEW), pods=("", "pod-1"),
        open_loop=("get", "control"), control="control", engine=engine,
    )  # fmt: skip


def test_what_is_recorded_can_be_read_again(folder: RunFolder) -> None:
    folder.drill = "drift"
    said = folder.record("drift", "Drift/env", "injected", start_s=1.0, end_s=2.5, data={"from": "a", "tags": {"x"}})
    folder.drill = ""
    folder.record("run", "drill", "finished", outcome=Outcome.UNKNOWN)

    again = RunFolder.open(folder.path)

    assert again.events() == folder.events()
    assert again.events()[0] == said
    assert said.data == {"from": "a", "tags": ["x"]}
    assert [event.seq for event in again.events()] == [1, 2]
    assert again.plan == plan()


def test_every_event_is_on_disk_before_record_returns(folder: RunFolder) -> None:
    told: list[Event] = []

    class Listener:
        def __call__(self, event: Event) -> None:
            assert len((folder.path / "timeline.jsonl").read_text().splitlines()) == event.seq
            told.append(event)

    live = RunFolder(folder.path, folder.plan, Listener())
    live.record("run", "phase", "act")
    live.record("run", "phase", "steady")
    live.close()
    assert [event.what for event in told] == ["act", "steady"]


def test_facts_of_a_drill_hold_its_own_events_and_those_of_the_run(folder: RunFolder) -> None:
    folder.record("watch", "Pod/shop/a", "added")
    folder.drill = "zero-downtime"
    folder.record("release", "Release/x", "started")
    folder.drill = "drift"
    folder.record("drift", "Drift/env", "planned")
    assert [event.source for event in folder.facts("drift").events] == ["watch", "drift"]
    assert [event.source for event in folder.facts(UNDO).events] == ["watch", "release", "drift"]


def test_a_watch_gap_that_ends_after_the_drill_belongs_to_it(folder: RunFolder) -> None:
    folder.drill = "drift"
    folder.record("drift", "Drift/env", "planned", start_s=10.0, end_s=20.0)
    folder.drill = UNDO
    folder.record("watch", "Watch/Pod", "gap", start_s=15.0, end_s=30.0)
    folder.record("watch", "Watch/Pod", "gap", start_s=25.0, end_s=30.0)
    folder.record("watch", "Pod/shop/a", "deleted", start_s=15.0)
    assert [event.seq for event in folder.facts("drift").events] == [1, 2]


def test_requests_come_back_column_by_column(folder: RunFolder) -> None:
    log = requests()
    folder.write_requests("zero-downtime", log)
    again = RunFolder(folder.path, folder.plan).read_requests("zero-downtime")
    assert np.array_equal(again.rows, log.rows)
    assert np.array_equal(again.engine.late_ns, log.engine.late_ns)
    assert (again.lanes, again.outcomes, again.versions, again.pods) == (
        log.lanes,
        log.outcomes,
        log.versions,
        log.pods,
    )
    assert (again.open_loop, again.control) == (log.open_loop, log.control)
    assert again.engine.monotonic_ns == log.engine.monotonic_ns
    assert again.engine.rate_per_s == log.engine.rate_per_s


def test_no_artifact_holds_a_secret(tmp_path: Path) -> None:
    secret = 'tök"en/+1'
    folder = RunFolder.create(tmp_path / "run", plan(), secrets=[secret, "abc"])
    url = "http://user:t%C3%B6k%22en%2F%2B1@host"
    basic = base64.b64encode(secret.encode()).decode()
    event = folder.record("run", secret, "error", data={"reason": f"{secret} {url} {basic}"})
    folder.write_environment({"header": secret})
    verdict = Verdict("x", secret, Result.FAIL, secret, findings=(Finding("X", secret, "look"),))
    folder.write_verdicts([verdict], result=Result.FAIL, exit_code=1, undo="clean", target_kind="kind")
    folder.close()
    for path in folder.path.iterdir():
        content = path.read_text()
        assert secret not in content
        assert json.dumps(secret, ensure_ascii=False)[1:-1] not in content
        assert "%C3%B6k" not in content
        assert basic not in content
    assert event.subject == "[redacted]"
    assert folder.redacted("abc") == "abc"  # too short to hide without hiding the report


def test_an_undo_adds_to_the_timeline(folder: RunFolder) -> None:
    folder.record("run", "phase", "act")
    folder.close()
    later = RunFolder.open_for_undo(folder.path)
    later.record("undo", "Undo/1", "done")
    later.close()
    assert [event.source for event in RunFolder.open(folder.path).events()] == ["run", "undo"]


def test_half_a_line_of_a_killed_run_was_never_recorded_and_keeps_nobody_from_going_on(folder: RunFolder) -> None:
    folder.record("run", "phase", "act")
    folder.close()
    with (folder.path / "timeline.jsonl").open("a") as stream:
        stream.write('{"seq": 2, "start')
    assert [event.what for event in RunFolder.open(folder.path).events()] == ["act"]
    with RunFolder.open_for_undo(folder.path) as later:
        later.record("undo", "Undo/1", "done")
    assert [event.what for event in RunFolder.open(folder.path).events()] == ["act", "done"]


def test_a_second_run_never_writes_into_the_first(folder: RunFolder) -> None:
    with pytest.raises(RunFolderError, match="exists already"):
        RunFolder.create(folder.path, plan())


class TestDamaged:
    def test_missing_and_empty(self, tmp_path: Path) -> None:
        with pytest.raises(RunFolderError, match="does not exist"):
            RunFolder.open(tmp_path / "nothing")
        (tmp_path / "empty").mkdir()
        with pytest.raises(RunFolderError, match="is empty"):
            RunFolder.open(tmp_path / "empty")
        (tmp_path / "empty" / "file").touch()
        with pytest.raises(RunFolderError, match=r"has no plan\.json"):
            RunFolder.open(tmp_path / "empty")

    def test_a_file_of_a_run_is_answered_with_its_run(self, folder: RunFolder) -> None:
        (folder.path / "report.html").write_text("")
        with pytest.raises(RunFolderError, match="is no run folder, but a file") as told:
            RunFolder.open(folder.path / "report.html")
        assert str(folder.path) in told.value.hint
        with pytest.raises(RunFolderError, match="does not exist"):
            RunFolder.open(folder.path / "report.html" / "below")

    def test_a_newer_version(self, folder: RunFolder) -> None:
        document = json.loads((folder.path / "plan.json").read_text())
        (folder.path / "plan.json").write_text(json.dumps({**document, "schema": 99}))
        with pytest.raises(RunFolderError, match="newer rollproof"):
            RunFolder.open(folder.path)

    def test_a_plan_that_is_cut_off_or_lacks_a_field(self, folder: RunFolder) -> None:
        path = folder.path / "plan.json"
        text = path.read_text()
        path.write_text(text[: len(text) // 2])
        with pytest.raises(RunFolderError, match=r"plan\.json is cut off"):
            RunFolder.open(folder.path)
        document = json.loads(text)
        del document["target"]["cluster"]
        path.write_text(json.dumps(document))
        with pytest.raises(RunFolderError, match=r"damaged: target\.cluster"):
            RunFolder.open(folder.path)

    def test_a_timeline_that_is_missing_empty_or_has_holes(self, folder: RunFolder) -> None:
        with pytest.raises(RunFolderError, match=r"timeline\.jsonl is missing"):
            RunFolder.open(folder.path)
        for _ in range(3):
            folder.record("run", "phase", "act")
        folder.close()
        path = folder.path / "timeline.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text(lines[0] + lines[2])
        with pytest.raises(RunFolderError, match="expected 2: lines are missing"):
            RunFolder.open(folder.path)
        path.write_text("")
        with pytest.raises(RunFolderError, match="is empty"):
            RunFolder.open(folder.path)

    def test_a_timeline_that_lost_its_end(self, folder: RunFolder) -> None:
        for _ in range(3):
            folder.record("run", "phase", "act")
        folder.write_verdicts([], result=Result.PASS, exit_code=0, undo="clean", target_kind="kind")
        folder.close()
        path = folder.path / "timeline.jsonl"
        path.write_text(path.read_text().splitlines(keepends=True)[0])
        with pytest.raises(RunFolderError, match="cut off: 1 of 3 events"):
            RunFolder.open(folder.path)

    def test_a_request_log_that_is_cut_off_or_gone(self, folder: RunFolder) -> None:
        folder.drill = "zero-downtime"
        folder.record("load", "Load", "stopped")
        with pytest.raises(RunFolderError, match="is missing, although the drill ran load"):
            folder.facts("zero-downtime")
        folder.write_requests("zero-downtime", requests())
        path = folder.path / "requests-zero-downtime.npz"
        content = path.read_bytes()
        for broken in (content[: len(content) // 2], b"", b"x" * 100):
            path.write_bytes(broken)
            with pytest.raises(RunFolderError, match="is damaged"):
                folder.facts("zero-downtime")

    def test_a_pickle_is_refused(self, folder: RunFolder) -> None:
        path = folder.path / "requests-zero-downtime.npz"
        np.savez(path, rows=np.array([{"a": 1}], dtype=object), late_ns=np.zeros(1), meta=np.array("{}"))
        with pytest.raises(RunFolderError, match="is damaged"):
            folder.read_requests("zero-downtime")


@pytest.mark.parametrize("below", [".", "deeper"])
def test_a_file_where_the_folder_of_runs_should_be(tmp_path: Path, below: str) -> None:
    """It was said of the run folder that it exists already."""
    (tmp_path / "reports").touch()
    with pytest.raises(RunFolderError, match="cannot be made: Not a directory") as error:
        RunFolder.create(tmp_path / "reports" / below / "run", plan())
    assert "--reports" in error.value.hint


def test_run_ids_sort_by_time_and_name_the_drill() -> None:
    assert new_run_id(["drift"], wall_s=0.0) == "19700101T000000Z-drift"
    assert new_run_id(["zero-downtime", "drift"], wall_s=1.0) == "19700101T000001Z-all"


def an_injection(**changes: Any) -> Injection:
    words: dict[str, Any] = {
        "fault": "pod-delete", "drill": "pod-delete", "subject": "Pod/shop/web-1", "change": "deleted", "undo": "none",
        "args": {"name": "web-1", "uid": "u1", "members": 2}, "affects_traffic": True, "limit_s": 60.0,
        "effect_within_s": 10.0, "dead_man": "not needed",
    }  # fmt: skip
    return Injection(**{**words, **changes})


def test_the_injections_of_the_plan_are_read_as_they_were_made(tmp_path: Path) -> None:
    skip = Skip(fault="pod-delete", drill="other", reason="it has 1 replica")
    made = plan(injections=(an_injection(),), skips=(skip,))
    with RunFolder.create(tmp_path / "run", made):
        pass
    with RunFolder.open_for_undo(tmp_path / "run") as folder:
        assert folder.plan.injections == made.injections
        assert folder.plan.skips == (skip,)


def test_a_secret_may_be_in_the_words_of_an_injection_and_not_in_its_arguments(tmp_path: Path) -> None:
    secret = "hunter2-hunter2-hunter2"
    with pytest.raises(InputError, match="injections"):
        RunFolder.create(tmp_path / "a", plan(injections=(an_injection(args={"name": secret}),)), secrets=[secret])
    made = plan(injections=(an_injection(change=f"x = {secret}"),))
    with RunFolder.create(tmp_path / "b", made, secrets=[secret]) as folder:
        assert secret not in (folder.path / "plan.json").read_text()
