"""The corpus: every stored history gets exactly the verdicts that it is known to deserve."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rollproof.checkers import CHECKERS
from rollproof.core.verdict import Result
from rollproof.judging import judge_run
from rollproof.runfolder import RunFolder

CORPUS = Path(__file__).resolve().parents[1] / "histories"
CASES = sorted(path.parent for path in CORPUS.glob("*/*/expected.json"))
KIND = {"good": "PASS", "bad": "FAIL", "murky": "INCONCLUSIVE"}


def expected_of(case: Path) -> dict[str, Any]:
    return dict(json.loads((case / "expected.json").read_text()))


@pytest.mark.parametrize("case", CASES, ids=[f"{case.parent.name}/{case.name}" for case in CASES])
def test_history(case: Path, tmp_path: Path) -> None:
    folder = tmp_path / case.name
    shutil.copytree(case, folder)
    expected = expected_of(case)
    with RunFolder.open(folder) as run:
        report = judge_run(run)
    seen: dict[str, dict[str, list[str]]] = {}
    for verdict in report.verdicts:
        seen.setdefault(verdict.drill, {}).setdefault(verdict.checker, []).append(str(verdict.result))
    assert seen == expected["checkers"], [f"{v.checker}: {v.why}" for v in report.verdicts]
    assert report.result == Result(KIND[case.parent.name]) == Result(expected["result"])


def test_every_checker_has_a_recorded_run_and_one_that_it_must_not_judge() -> None:
    """`undo` and `rollback` excepted where named: their INCONCLUSIVE needs a second person, told in unit tests."""
    recorded: Counter[tuple[str, str]] = Counter()
    for case in CASES:
        expected = expected_of(case)
        for checkers in expected["checkers"].values():
            for checker, results in checkers.items():
                for result in results:
                    recorded[checker, result] += expected["origin"] == "lab" or result == "INCONCLUSIVE"
    missing = [name for name in CHECKERS if not any(recorded[name, result] for result in ("PASS", "FAIL"))]
    assert not missing, f"no history recorded on the lab for {missing}"
    unjudged = [name for name in CHECKERS if not recorded[name, "INCONCLUSIVE"]]
    assert not unjudged, f"no history that {unjudged} must not judge"
