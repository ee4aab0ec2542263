"""Folders that say what this version does not know, or that do not belong together: no claim is possible (A1, A2)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rollproof.core.verdict import Result
from rollproof.judge.judging import judge_run
from rollproof.store.runfolder import RunFolder

HISTORIES = Path(__file__).resolve().parents[2] / "histories"


def copy(name: str, to: Path) -> Path:
    shutil.copytree(HISTORIES / name, to / "run")
    return to / "run"


def with_events(run: Path, change: Any) -> Path:
    path = run / "timeline.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(change(event)) + "\n" for event in events))
    return run


def with_plan(run: Path, **changes: Any) -> Path:
    path = run / "plan.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return run


@pytest.mark.parametrize("drills", [[], ["zero-downtime"], ["release"]])
def test_a1_a_plan_without_the_drills_of_its_timeline_is_no_pass(tmp_path: Path, drills: list[str]) -> None:
    report = judge_run(RunFolder.open(with_plan(copy("bad/sandbox-self-heal-off", tmp_path), drills=drills)))
    assert (report.result, report.exit_code) == (Result.INCONCLUSIVE, 3)
    assert any("'drift' that its plan does not have" in verdict.why for verdict in report.verdicts)


RENAMED = [
    ("bad/sandbox-self-heal-off", "drift", "not-healed"),
    ("bad/sandbox-rollback-too-slow", "rollback", "proven"),
    ("bad/sandbox-crash-loop", "release", "failed"),
    ("good/sandbox-sound-drift", "drift", "restored"),
    ("good/sandbox-sound-release", "run", "finished"),
    ("good/sandbox-sound-release", "watch", "modified"),
]


@pytest.mark.parametrize(("history", "source", "what"), RENAMED)
@pytest.mark.parametrize("where", ["what", "source", "subject", "outcome"])
def test_a2_a_word_that_this_version_does_not_know_is_no_claim(
    tmp_path: Path, history: str, source: str, what: str, where: str
) -> None:
    def strange(event: dict[str, Any]) -> dict[str, Any]:
        if (event["source"], event["what"]) != (source, what):
            return event
        return {**event, where: event[where].replace("/", "-2/", 1) if where == "subject" else f"{event[where]}-2"}

    run = with_events(copy(history, tmp_path), strange)
    report = judge_run(RunFolder.open(run))
    if where == "subject" and source == "run":
        return  # the subject of these has no slash: it is as it was
    assert report.exit_code == 3, [(v.checker, v.result, v.why) for v in report.verdicts]
    assert any("a fact that this version does not know" in verdict.why for verdict in report.verdicts)


def test_a2_an_end_of_the_undo_that_is_not_known_is_no_end(tmp_path: Path) -> None:
    def strange(event: dict[str, Any]) -> dict[str, Any]:
        return {**event, "what": "done-2"} if (event["source"], event["what"]) == ("undo", "done") else event

    report = judge_run(RunFolder.open(with_events(copy("good/sandbox-sound-release", tmp_path), strange)))
    assert report.exit_code == 4
    assert any("a fact that this version does not know" in verdict.why for verdict in report.verdicts)
