"""What a folder is judged as: drills that did not come to their end, the undo, and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from story import good_release, plan, target

from rollproof.core.event import Outcome
from rollproof.core.target import DriftSettings
from rollproof.core.verdict import Result
from rollproof.judge.judging import judge_run, write_reports
from rollproof.store.runfolder import UNDO, RunFolder

DRILL = "zero-downtime"
ASKED = {"checkers": ["rollout", "release", "version", "readiness"]}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder.create(tmp_path / "run", plan()) as folder:
        yield folder


def tell(folder: RunFolder, *, ended: str = "finished", asked: dict[str, list[str]] | None = ASKED) -> None:
    """A sound release as the session would have recorded it."""
    folder.drill = DRILL
    folder.record("run", "drill", "started")
    for event in good_release().events:
        folder.record(
            event.source, event.subject, event.what, outcome=event.outcome, start_s=event.start_s, end_s=event.end_s,
            data=event.data,
        )  # fmt: skip
    if asked:
        folder.record("run", "judge", "asked", data=asked)
    if ended:
        folder.record("run", "drill", ended, data={"reason": "because"})
    folder.drill = UNDO


def test_a_sound_drill_passes(folder: RunFolder) -> None:
    tell(folder)
    report = judge_run(folder)
    assert [verdict.result for verdict in report.verdicts] == [Result.PASS] * 4
    assert (report.result, report.exit_code, report.undo) == (Result.PASS, 0, "")


@pytest.mark.parametrize("ended", ["error", "interrupted", ""])
def test_a_drill_that_did_not_end_is_inconclusive_whatever_was_proven(folder: RunFolder, ended: str) -> None:
    tell(folder, ended=ended)
    report = judge_run(folder)
    assert report.result is Result.INCONCLUSIVE
    assert report.exit_code == 3
    assert report.verdicts[-1].checker == "harness"


def test_a_drill_that_never_started_or_asked_for_nothing_is_inconclusive(folder: RunFolder) -> None:
    folder.record("run", "phase", "settle")
    assert "never started" in judge_run(folder).verdicts[0].why
    tell(folder, asked=None)
    assert "asked for no verdict" in judge_run(folder).verdicts[0].why


def test_a_skipped_drill_never_makes_a_pass(folder: RunFolder) -> None:
    folder.drill = DRILL
    folder.record("run", "drill", "skipped", data={"reason": "no HPA"})
    report = judge_run(folder)
    skipped, run = report.verdicts
    assert (skipped.result, skipped.why) == (Result.SKIPPED, "no HPA")
    assert (run.checker, run.result) == ("harness", Result.INCONCLUSIVE)
    assert run.why == "nothing was judged, all of it was skipped: no HPA"
    assert report.exit_code == 3


@pytest.mark.parametrize(("trials", "code"), [(("replicas",), 3), (("replicas", "undeclared-annotation"), 0)])
def test_trials_that_were_all_skipped_are_no_pass_however_well_one_could_look(
    tmp_path: Path, trials: tuple[str, ...], code: int
) -> None:
    """Watches and undo are sound then as well; one trial that was judged is enough for a verdict."""
    wanted = plan(drills=("drift",), target=target(drift=DriftSettings(trials=trials)))
    with RunFolder.create(tmp_path / "drift", wanted) as folder:
        folder.drill = "drift"
        folder.record("run", "drill", "started")
        folder.record("drift", "Drift/replicas", "planned", data={"kind": "heal"})
        folder.record("drift", "Drift/replicas", "skipped", data={"reason": "an HPA owns them"})
        for subject in (f"Drift/{trial}" for trial in trials[1:]):
            folder.record("drift", subject, "planned", data={"kind": "control"})
            folder.record("drift", subject, "injected", data={"field": "x"})
            folder.record("drift", subject, "stayed", data={"watched_s": 10.0})
        folder.record("run", "clock", "calibrated", data={"watch_delay_ms": [1.0], "median_ms": 1.0})
        folder.record("watch", "Pod/shop/web", "added", data={"initial": True})
        folder.record("run", "judge", "asked", data={"checkers": ["drift", "watches"]})
        folder.record("run", "drill", "finished")
        folder.record("undo", "Undo/1", "written")
        folder.drill = UNDO
        folder.record("undo", "Undo/1", "done")
        report = judge_run(folder)
    results = {verdict.checker: verdict.result for verdict in report.verdicts if verdict.subject != "Drift/replicas"}
    assert (results["watches"], results["undo"]) == (Result.PASS, Result.PASS)
    assert report.exit_code == code, [(verdict.checker, verdict.why) for verdict in report.verdicts]


@pytest.mark.parametrize(
    ("ends", "code", "word"),
    [
        (["done"], 0, "clean"),
        (["left"], 3, "left"),
        (["failed"], 4, "failed"),
        ([], 4, "failed"),
    ],
)
def test_the_undo_decides_with(folder: RunFolder, ends: list[str], code: int, word: str) -> None:
    tell(folder)
    folder.drill = DRILL
    folder.record("undo", "Undo/1", "written")
    folder.drill = UNDO
    for what in ends:
        outcome = {"left": Outcome.UNKNOWN, "failed": Outcome.FAIL}.get(what, Outcome.OK)
        folder.record("undo", "Undo/1", what, outcome=outcome)
    report = judge_run(folder)
    assert (report.exit_code, report.undo) == (code, word)


def test_a_kept_release_is_called_kept(folder: RunFolder) -> None:
    tell(folder)
    folder.record("undo", "Undo/1", "written")
    folder.record("undo", "Undo/1", "not-needed", data={"reason": "kept: the release passed"})
    assert judge_run(folder).undo == "kept"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({"reason": "the release passed", "kept": True}, "kept"),
        ({"reason": "kept: it reads like that", "kept": False}, "clean"),
        ({"reason": "kept in the cluster by somebody"}, "clean"),
    ],
)
def test_a12_what_stays_on_purpose_is_told_by_a_word_of_the_fact_and_not_by_its_sentence(
    folder: RunFolder, data: dict[str, Any], word: str
) -> None:
    folder.record("undo", "Undo/1", "written")
    folder.record("undo", "Undo/1", "not-needed", data=data)
    assert judge_run(folder).undo == word


def test_judging_again_gives_the_same(folder: RunFolder) -> None:
    tell(folder)
    write_reports(folder, judge_run(folder))
    first = (folder.path / "verdicts.json").read_text()
    for name in ("verdicts.json", "report.html", "junit.xml"):
        assert (folder.path / name).stat().st_size > 100
    with RunFolder.open(folder.path) as again:
        write_reports(again, judge_run(again))
    assert (folder.path / "verdicts.json").read_text() == first
    assert json.loads(first)["result"] == "PASS"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("before", "was not there before the drill, within 2.0 s: 1 of 2"),
        ("after", "did not come back after the drill"),
    ],
)
def test_a_steady_state_that_was_missing_makes_the_drill_inconclusive(folder: RunFolder, word: str, said: str) -> None:
    tell(folder)
    folder.drill = DRILL
    data = {"missing": "1 of 2 pods serve", "held_s": 10.0}
    folder.record("run", "gate", word, outcome=Outcome.UNKNOWN, start_s=5.0, end_s=7.0, data=data)
    report = judge_run(folder)
    assert (report.result, report.exit_code) == (Result.INCONCLUSIVE, 3)
    (verdict,) = (one for one in report.verdicts if one.checker == "harness")
    assert said in verdict.why


def test_a_steady_state_that_was_there_changes_nothing(folder: RunFolder) -> None:
    folder.drill = DRILL
    folder.record("run", "gate", "before", data={"missing": "nothing", "held_s": 0.0})
    tell(folder)
    assert judge_run(folder).result is Result.PASS


def test_a_drill_that_was_ended_at_once_says_so(folder: RunFolder) -> None:
    tell(folder)
    folder.drill = DRILL
    data = {"cause": "dead", "reason": "no good answer for 11.0 s", "lost": 2200, "dead_s": 11.0, "pods_away": 0}
    folder.record("run", "abort", "aborted", outcome=Outcome.UNKNOWN, data=data)
    report = judge_run(folder)
    assert report.result is Result.INCONCLUSIVE
    assert "it was ended at once: no good answer for 11.0 s" in report.verdicts[-1].why
