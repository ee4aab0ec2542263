"""The corpus: every stored history gets exactly the verdicts that it is known to deserve."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from storedruns import CASES, case_id, judged

from rollproof.core.causecodes import CauseCode
from rollproof.core.reasons import ASIDES
from rollproof.core.verdict import Result
from rollproof.judge.checkers import CHECKERS

NEVER_FAIL = {"load_soundness", "watches"}  # they say how much can be claimed
KIND = {"good": "PASS", "bad": "FAIL", "inconclusive": "INCONCLUSIVE"}


def expected_of(case: Path) -> dict[str, Any]:
    return dict(json.loads((case / "expected.json").read_text()))


def known() -> Iterator[tuple[str, str, str]]:
    """(origin, checker, result) of every verdict that some history must get."""
    for case in CASES:
        expected = expected_of(case)
        for checkers in (*expected.get("checkers", {}).values(), expected.get("must", {})):
            for checker, results in checkers.items():
                yield from ((expected["origin"], checker, result) for result in results)


def wanted_first(case: Path) -> list[CauseCode]:
    """The cause that must be named first; none of a run that passed. Of one of which nothing can be claimed it says
    what was in the way, if anybody knows more than its verdict says."""
    return [CauseCode(code) for code in (expected_of(case).get("cause"),) if code]


def test_each_failed_run_says_its_first_cause_and_no_sound_one_has_any() -> None:
    assert [case.name for case in CASES if case.parent.name == "bad" and not wanted_first(case)] == []
    assert [case.name for case in CASES if case.parent.name == "good" and wanted_first(case)] == []
    asides = [case.name for case in CASES if {*wanted_first(case)} & ASIDES]
    assert asides == [], "that stands beside a failure and is no cause"


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_history(case: Path) -> None:
    expected, report = expected_of(case), judged(case)
    seen: dict[str, dict[str, list[str]]] = {}
    for verdict in report.verdicts:
        seen.setdefault(verdict.drill, {}).setdefault(verdict.checker, []).append(str(verdict.result))
    why = [f"{v.drill} {v.checker} {v.result}: {v.why}" for v in report.verdicts]
    if "checkers" in expected:
        assert seen == expected["checkers"], why
    for checker, wanted in expected.get("must", {}).items():
        found = {result for checkers in seen.values() for result in checkers.get(checker, [])}
        assert found >= set(wanted), why
    assert report.result == Result(KIND[case.parent.name]), why
    first = [CauseCode(cause.code) for cause in report.causes[:1]]
    assert first == wanted_first(case), report.causes
    if "patch" in expected:
        assert report.causes[0].patch is not None
        assert report.causes[0].patch.file == expected["patch"]


def test_every_checker_has_a_recorded_run_and_one_that_it_must_not_judge() -> None:
    """At least one run recorded on the lab that it judges, and one history that it must leave INCONCLUSIVE."""
    judged = {checker for origin, checker, result in known() if origin == "lab" and result in {"PASS", "FAIL"}}
    refused = {checker for _, checker, result in known() if result == "INCONCLUSIVE"}
    assert not set(CHECKERS) - judged, "no history recorded on the lab for these"
    assert not set(CHECKERS) - refused, "no history that these must not judge"


def test_every_checker_that_can_fail_has_a_history_that_it_must_fail() -> None:
    failed = {checker for _, checker, result in known() if result == "FAIL"}
    assert not set(CHECKERS) - NEVER_FAIL - failed, "no history that these must fail: record a defect's that shows it"
    assert not failed & NEVER_FAIL
