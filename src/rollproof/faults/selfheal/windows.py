"""Windows: does a sync window of the AppProject forbid an automated sync now? Pure; the time comes in.

A deny window that is open forbids; if there are allow windows for the Application and none is open, that forbids too.
A schedule that we cannot read is not guessed: the answer is then None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rollproof.core.syncwindows import Synced, applies

__all__ = ["denied"]

_LOOK_BACK_S = 10 * 366 * 86_400.0  # a schedule may fire on 29 February alone
_UNITS_S = {"h": 3600, "m": 60, "s": 1}
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = {
    name: str(number)
    for names, first in (("sun mon tue wed thu fri sat", 0), ("jan feb mar apr may jun jul aug sep oct nov dec", 1))
    for number, name in enumerate(names.split(), first)
}


def denied(windows: Iterable[Mapping[str, Any]], to: Synced, *, now: datetime) -> bool | None:
    """Is an automated sync of this Application forbidden at `now`? None if a schedule cannot be read."""
    ours = [one for one in windows if applies(one, to)]
    try:
        opened = {kind: [_open(one, now) for one in ours if one.get("kind") == kind] for kind in ("allow", "deny")}
    except (ValueError, KeyError, OSError):  # an unknown form or time zone
        return None
    return any(opened["deny"]) or (bool(opened["allow"]) and not any(opened["allow"]))


def _open(window: Mapping[str, Any], now: datetime) -> bool:
    """Did the schedule fire within the last `duration`? ValueError if that is longer than we look back."""
    here = now.astimezone(ZoneInfo(str(window.get("timeZone") or "UTC")))
    fields, duration_s = _fields(str(window["schedule"])), _duration_s(str(window["duration"]))
    at = here.replace(second=0, microsecond=0)
    earliest = here - timedelta(seconds=min(duration_s, _LOOK_BACK_S))
    while at > earliest:
        if not _is_day(fields, at):
            at = at.replace(hour=0, minute=0)
        elif _fires(fields, at):
            return True
        at -= timedelta(minutes=1)
    if duration_s > _LOOK_BACK_S:
        raise ValueError(f"duration {window['duration']!r}")
    return False


def _duration_s(text: str) -> float:
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"duration {text!r}")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _fields(schedule: str) -> tuple[frozenset[int] | None, ...]:
    """The allowed values of minute, hour, day, month and weekday; None for `*`."""
    parts = schedule.lower().split()
    if len(parts) != len(_RANGES):
        raise ValueError(f"schedule {schedule!r}")
    return tuple(_values(part, *limits) for part, limits in zip(parts, _RANGES, strict=True))


def _values(part: str, low: int, high: int) -> frozenset[int] | None:
    if part in ("*", "?"):
        return None
    found: set[int] = set()
    for item in part.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else _number(first, low, high)
        end = high if first == "*" or (step and not last) else _number(last or first, low, high)
        if start > end:  # Argo CD's cron refuses it too
            raise ValueError(f"range {span!r}")
        found.update(range(start, end + 1, _number(step or "1", 1, high)))
    return frozenset(found)


def _number(text: str, low: int, high: int) -> int:
    found = _NAMES.get(text, text)
    if not re.fullmatch("[0-9]{1,2}", found) or not low <= int(found) <= high:
        raise ValueError(f"{text!r} where {low} to {high} was expected")
    return int(found)


def _fires(fields: tuple[frozenset[int] | None, ...], at: datetime) -> bool:
    """At that time of a day that `_is_day`."""
    minutes, hours, *_ = fields
    return (minutes is None or at.minute in minutes) and (hours is None or at.hour in hours)


def _is_day(fields: tuple[frozenset[int] | None, ...], at: datetime) -> bool:
    _, _, days, months, weekdays = fields
    if months is not None and at.month not in months:
        return False
    weekday = at.isoweekday() % 7
    by_day = days is None or at.day in days
    by_weekday = weekdays is None or bool(weekdays & ({0, 7} if weekday == 0 else {weekday}))
    both = days is not None and weekdays is not None  # cron: if both are given, either is enough
    return (by_day or by_weekday) if both else (by_day and by_weekday)
