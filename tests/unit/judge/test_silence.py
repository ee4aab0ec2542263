"""Silence proves nothing: facts that are taken away never make a run better, over every stored history.

A source that said nothing, a log without its lines, a watch that did not show our own change: what is left may be
INCONCLUSIVE where it was FAIL, and nothing that was not PASS becomes PASS.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from examples import DEEP

from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.verdict import Result, worst
from rollproof.judge import checkers
from rollproof.judge.judging import judge_drill, judge_run
from rollproof.reports.model import Report
from rollproof.store.runfolder import UNDO, RunFolder

CORPUS = Path(__file__).resolve().parents[2] / "histories"
CASES = sorted(path.parent for path in CORPUS.glob("*/*/expected.json"))
NOT_PASSED = [case for case in CASES if case.parent.name != "good"]
SOURCES = ("watch", "proof", "release", "rollback", "drift", "ingress", "undo")


def judged(case: Path, folder: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Report:
    """The history with each event changed, or left out where the change gives None. Numbers stay in order."""
    shutil.copytree(case, folder)
    for extra in ("verdicts.json", "manifest.json"):
        (folder / extra).unlink(missing_ok=True)
    path = folder / "timeline.jsonl"
    events = [changed for line in path.read_text().splitlines() if (changed := change(json.loads(line))) is not None]
    numbered = [{**event, "seq": number} for number, event in enumerate(events, 1)]
    path.write_text("".join(f"{json.dumps(event)}\n" for event in numbered))
    with RunFolder.open(folder) as run:
        return judge_run(run)


def told(case: Path, folder: Path) -> tuple[list[Facts], Facts]:
    """The facts of each drill of the history, and those of the undo."""
    shutil.copytree(case, folder)
    with RunFolder.open(folder) as run:
        return [run.facts(drill) for drill in run.plan.drills], run.facts(UNDO)


@pytest.mark.parametrize("case", NOT_PASSED, ids=[f"{case.parent.name}/{case.name}" for case in NOT_PASSED])
def test_a4_a_source_that_says_nothing_never_makes_a_pass(case: Path, tmp_path: Path) -> None:
    drills, end = told(case, tmp_path / "run")
    undone = any(event.source == "undo" or event.what == "undo-check" for event in end.events)
    for source in sorted({event.source for event in end.events} & set(SOURCES)):
        verdicts = [one for facts in drills for one in judge_drill(without(facts, source))]
        verdicts += checkers.judge(without(end, source), ("undo",)) if undone else ()
        result = worst(one.result for one in verdicts)
        assert result is not Result.PASS, f"without {source}: {[one.why for one in verdicts]}"


def without(facts: Facts, *left_out: str) -> Facts:
    """Without a source, or without what it says of one kind of subject in one word."""
    return replace(facts, events=tuple(one for one in facts.events if kind(one)[: len(left_out)] != left_out))


def kind(event: Event) -> tuple[str, str, str]:
    return event.source, event.subject.partition("/")[0], event.what


SOME = CASES if DEEP else CASES[::16]  # all of them in `make fuzz`


@pytest.mark.deep
@pytest.mark.parametrize("case", SOME, ids=[f"{one.parent.name}/{one.name}" for one in SOME])
def test_what_was_not_said_makes_no_failure_and_no_pass(case: Path, tmp_path: Path) -> None:
    """Of the undo it does: a change that nothing says was undone is taken for one that is left."""
    drills, _ = told(case, tmp_path / "run")
    before = worst_of(drills)
    kinds = sorted({kind(event) for facts in drills for event in facts.events} - OBSERVED)
    for left_out in kinds:
        after = worst_of([without(facts, *left_out) for facts in drills])
        made = {Result.FAIL, Result.PASS} - {before}
        assert after not in made, f"without {left_out}: {before} became {after}"


# What is only seen where it is: nothing is said while nobody meddles, and no watch says that it is not interrupted. A
# drill's begin and end have stamps of the clock as well, and the sandbox sets forward only what is read of it.
OBSERVED = {
    ("drift", "Drift", "interfered"), ("rollback", "Rollback", "failed"), ("watch", "Watch", "gap"),
    ("run", "clock", "read"),
}  # fmt: skip


def worst_of(drills: list[Facts]) -> Result:
    return worst(one.result for facts in drills for one in judge_drill(facts))


def _holds(case: Path, what: str) -> bool:
    return f'"what": "{what}"' in (case / "timeline.jsonl").read_text()


UNHEALED = [case for case in CASES if _holds(case, "not-healed")]


def test_a4_there_are_histories_of_drifts_that_were_not_healed() -> None:
    assert len(UNHEALED) >= 4


@pytest.mark.parametrize("case", UNHEALED, ids=[f"{case.parent.name}/{case.name}" for case in UNHEALED])
@pytest.mark.parametrize(
    "again",
    [{"seen": False, "found": "ours"}, {"seen": False, "found": "original"}, {"seen": True, "found": "original"},
     {"seen": True, "found": "unread"}],
    ids=str,
)  # fmt: skip
def test_a4_without_the_watchs_sight_of_our_own_deed_no_drift_is_called_not_healed(
    case: Path, again: dict[str, Any], tmp_path: Path
) -> None:
    def change(event: dict[str, Any]) -> dict[str, Any]:
        return {**event, "data": {**event["data"], **again}} if event["what"] == "not-healed" else event

    report = judged(case, tmp_path / "run", change)
    unhealed = {line["subject"] for line in map(json.loads, (case / "timeline.jsonl").read_text().splitlines())
                if line["what"] == "not-healed"}  # fmt: skip
    said = {one.subject: one.result for one in report.verdicts if one.subject in unhealed}
    assert said
    assert Result.FAIL not in said.values()
