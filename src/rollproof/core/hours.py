"""Hours: windows of the week on a wall clock, as `fences.hours` has them: "Mon-Fri 09:00-17:00, Sat 10:00-12:00".

Pure. The time that is asked about must be on the clock of the windows' own time zone: then daylight saving needs no
care here, because a wall clock says 09:00 once on every day, whatever it is in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

__all__ = ["Window", "is_within", "parsed_hours"]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # datetime.weekday() counts from Monday
_PART = re.compile(r"([a-z]{3})(?:-([a-z]{3}))?\s+(\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY_MIN = 24 * 60
_EXPECTED = 'expected "Mon-Fri 09:00-17:00", several separated by commas'


@dataclass(frozen=True, slots=True)
class Window:
    """From one minute of the day to another, on some days. One that ends before it begins ends on the next day."""

    days: frozenset[int]  # 0 is Monday; of a window over midnight the day on which it begins
    begin_min: int
    end_min: int  # the first minute that is outside

    def holds(self, weekday: int, minute: int) -> bool:
        """Is this minute of that day inside?"""
        if self.begin_min < self.end_min:
            return weekday in self.days and self.begin_min <= minute < self.end_min
        begun = weekday in self.days and minute >= self.begin_min
        return begun or ((weekday - 1) % 7 in self.days and minute < self.end_min)


def parsed_hours(text: str) -> tuple[Window, ...]:
    """The windows of such a text; none of an empty one. ValueError says what is wrong with it, in words."""
    return tuple(_window(part.strip()) for part in text.split(",")) if text.strip() else ()


def _window(part: str) -> Window:
    found = _PART.fullmatch(part.lower())
    if found is None:
        raise ValueError(f"{part!r} is no window; {_EXPECTED}")
    first, last = _day(found[1]), _day(found[2] or found[1])
    days = frozenset((first + number) % 7 for number in range((last - first) % 7 + 1))
    begin_min, end_min = _minute(found[3], found[4]), _minute(found[5], found[6])
    if begin_min in (end_min, _DAY_MIN):
        raise ValueError(f"{part!r} is empty; {_EXPECTED}")
    return Window(days, begin_min, end_min)


def _day(word: str) -> int:
    if word not in _DAYS:
        raise ValueError(f"{word!r} is no day; the days are {', '.join(day.title() for day in _DAYS)}")
    return _DAYS.index(word)


def _minute(hour: str, minute: str) -> int:
    of_day = int(hour) * 60 + int(minute)
    if int(minute) > 59 or of_day > _DAY_MIN:
        raise ValueError(f"{hour}:{minute} is no time of a day; 00:00 to 24:00")
    return of_day


def is_within(windows: tuple[Window, ...], local: datetime) -> bool:
    """Is this time, on the clock of the windows' time zone, inside any of them?"""
    return any(window.holds(local.weekday(), local.hour * 60 + local.minute) for window in windows)
