from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rollproof.core.syncwindows import Synced
from rollproof.faults.selfheal.windows import denied

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)  # a Wednesday


def window(kind: str = "deny", schedule: str = "0 12 * * *", duration: str = "1h", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "schedule": schedule, "duration": duration, "applications": ["shop*"], **more}


HERE = Synced("shop-dev", "shop", frozenset({"https://kubernetes.default.svc"}))


def ask(*windows: dict[str, Any]) -> bool | None:
    return denied(windows, HERE, now=NOW)


@pytest.mark.parametrize(
    ("schedule", "duration", "is_open"),
    [
        ("0 12 * * *", "1h", True),
        ("0 12 * * *", "30m", False),
        ("0 12 * * *", "30m1s", True),
        ("*/15 * * * *", "1m", True),
        ("20-25 12 * * *", "6m", True),
        ("0 22 * * *", "15h", True),
        ("0 12 * * mon,wed", "1h", True),
        ("0 12 * * thu", "1h", False),
        ("0 12 * * 0-3", "1h", True),
        ("0 12 1 * wed", "1h", True),
        ("0 12 1 * thu", "1h", False),
        ("0 12 * apr *", "1h", False),
    ],
)
def test_a_deny_window_forbids_while_it_is_open(schedule: str, duration: str, is_open: bool) -> None:
    assert ask(window(schedule=schedule, duration=duration)) is is_open


def test_a_window_counts_in_its_own_time_zone() -> None:
    assert ask(window(schedule="0 13 * * *", timeZone="Europe/Berlin"))
    assert ask(window(timeZone="Europe/Berlin", duration="30m")) is False


def test_allow_windows_forbid_while_none_of_them_is_open() -> None:
    assert ask(window("allow", "0 3 * * *"))
    assert ask(window("allow", "0 3 * * *"), window("allow")) is False
    assert ask(window("allow"), window("deny"))


def test_windows_of_other_applications_do_not_count() -> None:
    assert ask(window(applications=["other"])) is False
    assert ask(window(applications=["other"], namespaces=["shop"]))
    assert ask(window(applications=["other"], namespaces=["shop"], andOperator=True)) is False
    assert ask() is False


@pytest.mark.parametrize(
    ("schedule", "duration", "is_open"),
    [
        ("0 0 29 2 *", "20000h", True),
        ("0 0 29 2 *", "700h", False),
        ("0 12 30 2 *", "80000h", False),  # there is no such day
        ("0 0 1 1 *", "1512h30m", True),
        ("0 0 1 1 *", "1500h", False),
        ("* * * * *", "99999999999999h", True),
    ],
)
def test_a_window_may_last_for_years(schedule: str, duration: str, is_open: bool) -> None:
    assert ask(window(schedule=schedule, duration=duration)) is is_open


@pytest.mark.parametrize(
    "broken",
    [
        {"schedule": "@daily"}, {"duration": "1d"}, {"timeZone": "Mars/Base"}, {"schedule": "0 12 * * fri-mon"},
        {"schedule": "0-99999999999 12 * * *"}, {"schedule": "*/0 12 * * *"}, {"schedule": "*/-1 12 * * *"},
        {"schedule": "60 12 * * *"}, {"schedule": "0 12 0 * *"},
        {"schedule": "0 12 30 2 *", "duration": "99999999999999h"},
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_not_guessed(broken: dict[str, Any]) -> None:
    assert ask(window(**broken)) is None
