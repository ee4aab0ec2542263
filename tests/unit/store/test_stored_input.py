"""Stored input is checked by the same rules as a target file (A3), and work is bounded whatever it says (D2)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rollproof.core.verdict import Result
from rollproof.errors import RunFolderError
from rollproof.judge.judging import judge_run
from rollproof.reports.html import html_page
from rollproof.store.runfolder import RunFolder

HISTORIES = Path(__file__).resolve().parents[2] / "histories"
SOUND = "good/sandbox-sound-release"
NAN, INFINITE = float("nan"), float("inf")


def run_of(tmp_path: Path, name: str = SOUND) -> Path:
    shutil.copytree(HISTORIES / name, tmp_path / "run")
    return tmp_path / "run"


def set_in(document: dict[str, Any], place: str, value: Any) -> None:
    *sections, last = place.split(".")
    for section in sections:
        document = document[section]
    document[last] = value


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("schema", "2"), ("schema", 2), ("schema", True), ("schema", 0), ("schema", 1.5), ("schema", None),
        ("target.traffic.late_share_max", NAN), ("target.traffic.resolution_ms", INFINITE),
        ("target.traffic.resolution_ms", 1e300), ("target.traffic.downtime_budget_ms", -1.0),
        ("target.traffic.downtime_budget_ms", "1"), ("target.drift.limit_s", INFINITE), ("target.drift.limit_s", 0.0),
        ("target.rollback.limit_s", NAN), ("target.undo", {"late_s": NAN}), ("target.ingress.masked", "maybe"),
        ("target.drift.trials", ["no-such"]), ("target.release.proof_count", 0), ("restart", "no"),
        ("drills", "release"), ("drills", ["../../x"]), ("drills", ["undo"]), ("drills", [1]), ("run_id", 5),
    ],
)  # fmt: skip
def test_a3_a_plan_that_no_target_file_could_have_made_is_damaged(tmp_path: Path, place: str, value: Any) -> None:
    path = run_of(tmp_path) / "plan.json"
    document = json.loads(path.read_text())
    set_in(document, place, value)
    path.write_text(json.dumps(document))
    with pytest.raises(RunFolderError):
        RunFolder.open(path.parent)


def test_a_run_of_a_target_that_named_one_thing_twice_is_judged_as_ever(tmp_path: Path) -> None:
    """A target file may not any more; what was run by one is still what was run."""
    path = run_of(tmp_path) / "plan.json"
    document = json.loads(path.read_text())
    document["target"]["drift"]["trials"] = ["env", "env"]
    path.write_text(json.dumps(document))
    assert RunFolder.open(path.parent).plan.target.drift.trials == ("env", "env")


@pytest.mark.parametrize("value", [NAN, INFINITE, -INFINITE, "1", None, True, {}])
@pytest.mark.parametrize("name", ["wall_s", "monotonic_s"])
def test_a3_a_reading_of_the_clocks_that_is_none_is_no_pass(tmp_path: Path, name: str, value: Any) -> None:
    run = run_of(tmp_path)
    path = run / "timeline.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    for event in events:
        if (event["source"], event["subject"], event["what"]) == ("run", "clock", "read"):
            event["data"][name] = value
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    try:
        report = judge_run(RunFolder.open(run))
    except RunFolderError:
        return
    assert report.result is Result.INCONCLUSIVE


@pytest.mark.parametrize("step_s", [0.0, 3600.0, -3600.0])
def test_a3_a_run_without_readings_of_the_clocks_is_judged_by_its_stamps(tmp_path: Path, step_s: float) -> None:
    run = run_of(tmp_path)
    path = run / "timeline.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    events = [event for event in events if (event["subject"], event["what"]) != ("clock", "read")]
    for number, event in enumerate(events, 1):
        event["seq"] = number
        if (event["subject"], event["what"]) == ("drill", "started"):
            event["end_s"] = event["start_s"] = event["start_s"] - step_s
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert (judge_run(RunFolder.open(run)).result is Result.PASS) is (step_s == 0.0)


def test_a3_what_we_write_has_no_number_that_json_has_not(tmp_path: Path) -> None:
    from story import plan

    with RunFolder.create(tmp_path / "run", plan()) as folder:
        folder.record("run", "phase", "act", data={"a": NAN, "b": [INFINITE, 1.0], "c": {"d": -INFINITE}})
        folder.write_environment({"load": NAN})
    (event,) = RunFolder.open(tmp_path / "run").events()
    assert event.data == {"a": None, "b": [None, 1.0], "c": {"d": None}}
    assert RunFolder.open(tmp_path / "run").environment() == {"load": None}


@pytest.mark.parametrize("at_s", [1e9, 1e300, -1e9])
def test_d2_a_fact_far_from_all_others_is_damage_and_no_work(tmp_path: Path, at_s: float) -> None:
    run = run_of(tmp_path)
    path = run / "timeline.jsonl"
    last = json.loads(path.read_text().splitlines()[-1])
    with path.open("a") as stream:
        stream.write(json.dumps({**last, "seq": last["seq"] + 1, "start_s": at_s, "end_s": at_s}) + "\n")
    with pytest.raises(RunFolderError, match="days"):
        RunFolder.open(run)


def test_d2_a_day_between_two_facts_is_drawn_with_few_ticks(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    path = run / "timeline.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    own = next(event for event in events if event["drill"] == "release")
    far = {**own, "seq": len(events) + 1, "start_s": own["start_s"] + 6 * 86400, "end_s": own["start_s"] + 6 * 86400}
    path.write_text("".join(json.dumps(event) + "\n" for event in [*events, far]))
    assert len(html_page(judge_run(RunFolder.open(run)))) < 1_000_000


def test_d2_a_page_of_many_facts_is_of_a_bounded_size(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    path = run / "timeline.jsonl"
    many = [json.loads(line) for line in path.read_text().splitlines()]
    for source in ("watch", "proof", "run"):
        some = [event for event in many if event["source"] == source and event["drill"] == "release"]
        many += (some * (5_000 // len(some) + 1))[:5_000]
    path.write_text("".join(json.dumps({**event, "seq": seq}) + "\n" for seq, event in enumerate(many, 1)))
    assert len(html_page(judge_run(RunFolder.open(run)))) < 4_000_000
