"""Windows of the week, on a wall clock: over midnight, over the week's end, and when clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from rollproof.core.hours import is_within, parsed_hours

WORK = "Mon-Fri 09:00-17:00"


def at(utc: str, hours: str = WORK, zone: str = "Europe/Berlin") -> bool:
    local = datetime.fromisoformat(utc).replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    return is_within(parsed_hours(hours), local)


@pytest.mark.parametrize(("utc", "inside"), [
    ("2026-01-05T07:59", False), ("2026-01-05T08:00", True), ("2026-01-05T15:59", True), ("2026-01-05T16:00", False),
    ("2026-07-06T06:59", False), ("2026-07-06T07:00", True), ("2026-07-06T14:59", True), ("2026-07-06T15:00", False),
    ("2026-01-10T10:00", False), ("2026-01-11T10:00", False),
])  # fmt: skip
def test_the_wall_clock_decides_in_winter_and_in_summer(utc: str, inside: bool) -> None:
    assert at(utc) is inside


@pytest.mark.parametrize(("utc", "inside"), [
    ("2026-03-29T00:30", False),  # 01:30, an hour before the clocks jump
    ("2026-03-29T01:00", True),  # 03:00: 02:00 to 03:00 was not on this day
    ("2026-03-29T01:59", True), ("2026-03-29T02:00", False),
    ("2026-10-25T00:30", True), ("2026-10-25T01:30", True),  # 02:30 comes twice
    ("2026-10-25T01:59", True), ("2026-10-25T02:59", False),
])  # fmt: skip
def test_the_nights_on_which_clocks_are_changed(utc: str, inside: bool) -> None:
    hours = "Sun 02:00-04:00" if "03-29" in utc else "Sun 02:00-03:00"
    assert at(utc, hours) is inside


@pytest.mark.parametrize(("utc", "inside"), [
    ("2026-01-10T21:59", False), ("2026-01-10T22:00", True), ("2026-01-11T01:59", True), ("2026-01-11T02:00", False),
    ("2026-01-11T22:30", False), ("2026-01-09T22:30", False),
])  # fmt: skip
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(utc: str, inside: bool) -> None:
    assert at(utc, "Sat 22:00-02:00", "UTC") is inside


def test_several_windows_whole_days_and_days_over_the_weeks_end() -> None:
    assert at("2026-01-11T11:00", "Mon-Fri 09:00-17:00, Sun 10:00-12:00", "UTC")
    assert at("2026-01-12T23:59", "fri-mon 00:00-24:00", "UTC")
    assert not at("2026-01-13T00:00", "Fri-Mon 00:00-24:00", "UTC")
    assert at("2026-01-12T01:00", "Sun 23:00-02:00", "UTC")
    assert not is_within(parsed_hours(" "), datetime.now(UTC))


@pytest.mark.parametrize(("number", "day"), list(enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))))
def test_each_day_of_the_week_is_itself(number: int, day: str) -> None:
    """2026-01-05 is a Monday."""
    inside = [other for other in range(7) if at(f"2026-01-{5 + other:02}T12:00", f"{day} 09:00-17:00", "UTC")]
    assert inside == [number]


@pytest.mark.parametrize(("text", "said"), [
    ("weekdays", "expected \"Mon-Fri 09:00-17:00\""), ("Mon-Fry 09:00-17:00", "'fry' is no day"),
    ("Mon 9:00-17:00", "is no window"), ("Mon 09:00-24:30", "24:30 is no time"),
    ("Mon 09:60-17:00", "09:60 is no time"),
    ("Mon 09:00-09:00", "is empty"), ("Mon 24:00-09:00", "is empty"), ("Mon 09:00-17:00,", "'' is no window"),
])  # fmt: skip
def test_what_is_no_window(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parsed_hours(text)
