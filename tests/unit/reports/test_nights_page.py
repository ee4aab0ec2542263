"""The page of nights: its marks are the verdicts, its points the figures, and no word of outside becomes HTML."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from reports.test_history import night, stored
from reports.test_html import NASTY, Page

from rollproof.core.nights import Night
from rollproof.core.verdict import Result
from rollproof.errors import InputError
from rollproof.reports.console import LiveConsole
from rollproof.reports.night_charts import CHART_PX, NIGHTS_MAX, parts
from rollproof.reports.nights_page import nights_page
from rollproof.run.history import show_history


def limited(one: Night, limit_s: float) -> Night:
    check = one.checks[0]
    return replace(one, checks=(replace(check, numbers={**(check.numbers or {}), "limit_s": limit_s}),))


def month(newest: float = 0.5) -> list[Night]:
    return [limited(night(number), 5.0) for number in range(1, 30)] + [limited(night(30, newest), 5.0)]


def test_a_strip_has_a_mark_for_each_night_and_its_height_says_the_result() -> None:
    results = [Result.PASS, Result.FAIL, Result.INCONCLUSIVE, Result.SKIPPED]
    (part,) = parts([night(number, result=result) for number, result in enumerate(results, start=1)])
    run, check = part.strips
    assert [mark.result for mark in check.marks] == [mark.result for mark in run.marks] == results
    assert len({(mark.top, mark.height) for mark in check.marks}) == 4, "no meaning by colour alone"
    assert [mark.x for mark in check.marks] == sorted(mark.x for mark in check.marks)
    assert check.counts == "1 PASS, 1 FAIL, 1 INCONCLUSIVE, 1 SKIPPED"


def test_a_check_that_is_missing_in_a_night_leaves_its_column_empty() -> None:
    (part,) = parts([night(1), replace(night(2), checks=()), night(3)])
    first, last = part.strips[1].marks
    assert last.x - first.x == pytest.approx(2 * part.width / 3, abs=0.2)


def test_a_log_axis_puts_ten_times_as_far_as_ten_times_and_zero_below_it() -> None:
    values = (0.01, 0.1, 1.0, 0.0)
    (part,) = parts([night(number, value) for number, value in enumerate(values, start=1)])
    (chart,) = part.charts
    low, middle, high, zero = (point.y for point in chart.points)
    assert low - middle == pytest.approx(middle - high, abs=0.2)
    assert high < middle < low < zero < CHART_PX
    assert [label for _, label in chart.steps] == ["0.01", "0.1", "1"]


@pytest.mark.parametrize("value", [0.0, 1e-9, 5.0, 1e12, 5e-324, 1e-300, 1.5e308, 2**63 - 1, -1.0])
def test_an_axis_of_one_value_has_a_place_for_it(value: float) -> None:
    (part,) = parts([night(1, value), night(2, value)])
    assert all(0 <= point.y <= CHART_PX for point in part.charts[0].points)
    assert part.charts[0].steps
    (part,) = parts([night(1, value), night(2, 1.0)])
    assert all(0 <= y <= CHART_PX for y in [point.y for point in part.charts[0].points])
    assert all(0 <= y <= CHART_PX for y, _ in part.charts[0].steps)


def test_the_limit_of_each_night_is_drawn_and_changes_of_version_are_marked() -> None:
    nights = month()
    nights[20:] = [replace(one, sha="fffffff") for one in nights[20:]]
    (part,) = parts(nights)
    assert part.charts[0].limit.count("M") == 1
    nights[10] = limited(nights[10], 3.0)
    (changed,) = parts(nights)
    assert changed.charts[0].limit.count("M") == 3
    assert [(sha, run) for _, sha, run in part.shas] == [("fffffff", nights[20].run)]
    (bare,) = parts([night(1), night(2)])
    assert bare.charts[0].limit == ""


def test_an_odd_night_is_ringed_and_said_with_its_test() -> None:
    text = nights_page(month(9.0), [])
    assert text.count('class="odd"') == 1
    assert "rank test, one-sided: p = 0.033, N = 29" in text
    assert 'class="said urgent"' in text
    assert "odd: p = 0.033, N = 29" in re.findall(r"<title>([^<]*)</title>", text)[-1]
    calm = nights_page(month(), [])
    assert 'class="odd"' not in calm
    assert "No figure of the newest night is odd" in calm


def test_inconclusive_nights_are_hollow_and_never_odd() -> None:
    blind = [*month(), *(night(number, 99.0, Result.INCONCLUSIVE) for number in (31, 32, 33))]
    text = nights_page(blind, [])
    assert text.count('class="point INCONCLUSIVE"') == 3
    assert 'class="odd"' not in text
    assert "ALARM staging" in text


def test_targets_and_platforms_have_parts_of_their_own() -> None:
    both = [night(1), night(2, target="lab"), replace(night(3), platform="kind")]
    assert [(part.target, part.platform) for part in parts(both)] == [
        ("staging", "eks"), ("lab", "eks"), ("staging", "kind")
    ]  # fmt: skip


def test_more_nights_than_can_be_drawn_are_counted() -> None:
    many = [replace(night(1), run=f"2026{number:04d}T020000Z-all") for number in range(NIGHTS_MAX + 5)]
    (part,) = parts(many)
    assert (len(part.nights), part.left_out) == (NIGHTS_MAX, 5)


def test_the_page_is_whole_loads_nothing_and_has_no_script() -> None:
    page = Page(nights_page(month(9.0), ["reports/x: no verdicts yet"]))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert page.loads == []
    assert "script" not in page.tags
    assert "reports/x: no verdicts yet" in page.text


def test_no_word_of_outside_becomes_html() -> None:
    hostile = replace(night(1), run=f"20260101T020000Z-{NASTY}", target=NASTY, platform=NASTY, sha=NASTY)
    check = replace(hostile.checks[0], drill=NASTY, name=NASTY, why=NASTY, result=Result.FAIL, figure=NASTY)
    text = nights_page([replace(hostile, checks=(check,)), night(2)], [NASTY])
    assert not {"script", "img"} & set(Page(text).tags)


def test_it_is_written_whole_and_a_table_is_not_written(tmp_path: Path) -> None:
    stored(tmp_path / "runs", night(1))
    out, console = tmp_path / "nights.html", LiveConsole(io.StringIO())
    show_history([tmp_path / "runs"], "html", "", console, out)
    assert out.read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(InputError, match="--out needs a format"):
        show_history([tmp_path / "runs"], "table", "", console, out)
    with pytest.raises(InputError, match="cannot be written"):
        show_history([tmp_path / "runs"], "html", "", console, tmp_path / "runs")


def test_a_newest_night_that_says_nothing_is_not_called_one_that_could_be_judged() -> None:
    text = nights_page([night(1), night(2, result=Result.INCONCLUSIVE)], [])
    assert "The newest night is INCONCLUSIVE: it says nothing about the app." in text
    assert "The newest night is PASS." in nights_page([night(1), night(2)], [])
