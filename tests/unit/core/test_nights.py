"""Nights: what of a run is followed, whose nights are counted together, and which of them say anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rollproof.core.nights import FIGURES, Check, Night, group, inconclusive_in_a_row
from rollproof.core.verdict import Result

PASS, FAIL, UNCLEAR = Result.PASS, Result.FAIL, Result.INCONCLUSIVE


def night(run: str, *checks: Check, result: Result = PASS, target: str = "staging", platform: str = "kind") -> Night:
    return Night(run=run, target=target, platform=platform, sha="", result=result, exit_code=0, checks=checks)


def check(result: Result = PASS, *, name: str = "drift", **more: Any) -> Check:
    return Check(drill="drift", name=name, result=result, **more)


def test_the_number_of_each_checker_that_is_followed() -> None:
    assert FIGURES == {
        "availability": "outage_ms_upper",
        "drift": "detect_and_apply_s",
        "fault": "recovery_s",
        "release": "push_to_proof_s",
        "rollback": "push_to_proof_s",
    }


@pytest.mark.parametrize(
    ("figure", "numbers", "limit"),
    [
        ("outage_ms_upper", {"budget_ms": 500, "limit_s": 9.0}, 500.0),
        ("recovery_s", {"budget_ms": 500, "limit_s": 9.0}, 9.0),
        ("", {"limit_s": 9.0}, 9.0),
        ("recovery_s", {"limit_s": True}, None),
        ("recovery_s", {"limit_s": "9"}, None),
        ("recovery_s", {}, None),
        ("recovery_s", None, None),
    ],
)
def test_what_a_figure_was_compared_with(figure: str, numbers: Mapping[str, Any] | None, limit: float | None) -> None:
    assert check(figure=figure, numbers=numbers).limit == limit


@pytest.mark.parametrize(
    ("run", "platform", "of"),
    [
        ("20260101T020304Z-drift", "kind", "staging on kind, drift"),
        ("20260101T020304Z-zero-downtime", "kind", "staging on kind, zero-downtime"),
        ("20260101T020304Z-drift", "", "staging, drift"),
        ("20260101T020304Z", "", "staging"),
    ],
)
def test_whose_nights_are_counted_together_in_words(run: str, platform: str, of: str) -> None:
    assert night(run, platform=platform).of == of


def test_only_judged_nights_have_failed_or_have_a_figure() -> None:
    nights = [
        night("1", check(PASS, value=1.0)),
        night("2", check(UNCLEAR, value=2.0)),
        night("4", check(FAIL, value=4.0)),
        night("3", check(FAIL)),
    ]
    (found,) = group(nights)
    assert [one.run for one, _ in found.nights] == ["1", "2", "3", "4"]
    assert (found.figures, found.failed) == ([1.0, 4.0], [False, True, True])


def test_only_nights_of_one_target_platform_drill_and_check_are_grouped_the_newest_nights_checks_first() -> None:
    nights = [
        night("1", check(name="gone"), check()),
        night("2", check(), check(name="new"), target="other"),
        night("3", check(), platform=""),
        night("4", check(name="undo"), check()),
    ]
    found = [(one.target, one.platform, one.drill, one.name, len(one.nights)) for one in group(nights)]
    assert found == [
        ("staging", "kind", "drift", "undo", 1),
        ("staging", "kind", "drift", "drift", 2),
        ("staging", "", "drift", "drift", 1),
        ("other", "kind", "drift", "drift", 1),
        ("other", "kind", "drift", "new", 1),
        ("staging", "kind", "drift", "gone", 1),
    ]


@pytest.mark.parametrize(
    ("results", "count"),
    [((), 0), ((PASS,), 0), ((UNCLEAR,), 1), ((UNCLEAR, PASS, UNCLEAR, UNCLEAR), 2), ((UNCLEAR, FAIL), 0)],
)
def test_how_many_of_the_newest_nights_said_nothing(results: tuple[Result, ...], count: int) -> None:
    nights = [night(str(number), result=result) for number, result in enumerate(results)]
    assert inconclusive_in_a_row(nights) == inconclusive_in_a_row(reversed(nights)) == count
