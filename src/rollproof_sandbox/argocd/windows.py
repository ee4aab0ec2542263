"""Sync windows of an AppProject: may this Application be synced now? Pure; the time is an argument.

As SyncWindows.Matches and CanSync of Argo CD 3.6.1 without `syncOverrun`, with cron fields of five columns.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

__all__ = ["can_sync"]

Window = Mapping[str, Any]

_COLUMNS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_UNITS = {"h": "hours", "m": "minutes", "s": "seconds"}


def can_sync(windows: Iterable[Window], application: Mapping[str, Any], now: datetime, *, manual: bool) -> bool:
    """Whether the windows allow a sync at `now` (with a time zone); a schedule that cannot be read forbids."""
    ours = [one for one in windows if _matches(one, application)]
    try:
        active = [one for one in ours if _is_open(one, now)]
    except (KeyError, ValueError, OSError):  # an unknown form or time zone
        return False
    denying = [one for one in active if one.get("kind") == "deny"]
    if denying:
        return manual and all(one.get("manualSync") for one in denying)
    if any(one.get("kind") == "allow" for one in active):
        return True
    closed = [one for one in ours if one.get("kind") == "allow"]
    return not closed or (manual and all(one.get("manualSync") for one in closed))


def _matches(window: Window, application: Mapping[str, Any]) -> bool:
    destination = application["spec"].get("destination") or {}
    names: tuple[tuple[str, Sequence[str]], ...] = (
        ("applications", (application["metadata"]["name"],)),
        ("clusters", (destination.get("name", ""), destination.get("server", ""))),
        ("namespaces", (destination.get("namespace", ""),)),
    )
    found = [
        any(value and fnmatch.fnmatchcase(value, pattern) for value in values for pattern in window[key])
        for key, values in names
        if window.get(key)
    ]
    return bool(found) and (all(found) if window.get("andOperator") else any(found))


def _is_open(window: Window, now: datetime) -> bool:
    """Whether it began within the last `duration`."""
    here = now.astimezone(ZoneInfo(str(window.get("timeZone") or "UTC")))
    columns = _schedule(str(window["schedule"]))
    begin = here.replace(second=0, microsecond=0)
    earliest = here - _duration(str(window["duration"]))
    while begin > earliest:
        if _begins(columns, begin):
            return True
        begin -= timedelta(minutes=1)
    return False


def _duration(text: str) -> timedelta:
    parts = re.findall(r"(\d+)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"duration {text!r}")
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())


def _schedule(text: str) -> list[frozenset[int] | None]:
    parts = text.split()
    if len(parts) != len(_COLUMNS):
        raise ValueError(f"schedule {text!r}")
    return [_column(part, *limits) for part, limits in zip(parts, _COLUMNS, strict=True)]


def _column(text: str, low: int, high: int) -> frozenset[int] | None:
    """The values that match; None: all."""
    if text in ("*", "?"):
        return None
    values: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else int(first)
        end = high if first == "*" or (step and not last) else int(last or first)
        values.update(range(start, end + 1, int(step or 1)))
    return frozenset(values)


def _begins(columns: Sequence[frozenset[int] | None], at: datetime) -> bool:
    minutes, hours, days, months, weekdays = columns
    now = ((minutes, at.minute), (hours, at.hour), (months, at.month))
    if any(fits is not None and value not in fits for fits, value in now):
        return False
    by_day = days is None or at.day in days
    by_weekday = weekdays is None or at.isoweekday() % 7 in weekdays
    either = days is not None and weekdays is not None  # cron: if both are given, one match is enough
    return (by_day or by_weekday) if either else (by_day and by_weekday)
