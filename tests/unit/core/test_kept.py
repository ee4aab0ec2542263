"""What was kept of a pod, read back: each field from its own key."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest
from story import Story

from rollproof.core.kept import ContainerKept, kept_containers, kept_events, kept_logs
from rollproof.errors import OutsideDataError

POD = "Pod/shop/web-1"
EVENT = {"object": "Pod/web-1", "reason": "BackOff", "warning": True, "count": 3, "message": "Back-off restarting"}
LOG = {
    "container": "app",
    "previous": True,
    "file": "podlog-web-1.log",
    "lines": 9,
    "cut": True,
    "tail": ["1", "2", "3", "4", "5", "6"],
}


def kept(word: str, subject: str = POD, **data: Any) -> Story:
    return Story().tell("kept", subject, word, at=1, **data)


def test_a_container_comes_back_with_all_that_was_told() -> None:
    told = kept("state", container="app", waiting="CrashLoopBackOff", ended="Error", exit_code=3, restarts=2)
    (event,) = told.events
    assert kept_containers(told.facts()) == [
        ContainerKept(event, "web-1", "app", "CrashLoopBackOff", "Error", exit_code=3, restarts=2)
    ]
    (bare,) = kept_containers(kept("state").facts())
    assert astuple(bare)[1:] == ("web-1", "", "", "", None, 0)


def test_a_log_comes_back_with_all_that_was_told_and_its_last_five_lines() -> None:
    told = kept("log", **LOG)
    (log,) = kept_logs(told.facts())
    assert astuple(log)[1:] == ("web-1", "app", True, "podlog-web-1.log", 9, True, ("2", "3", "4", "5", "6"))
    (bare,) = kept_logs(kept("log").facts())
    assert astuple(bare)[1:] == ("web-1", "", False, "", 0, False, ())
    assert log.event is told.events[0]


def test_an_event_comes_back_with_all_that_was_told_and_was_seen_once_where_no_number_was() -> None:
    told = kept("events", "Deployment/shop/web", seen=[EVENT, {"object": "ReplicaSet/web-2"}])
    full, bare = kept_events(told.facts())
    assert astuple(full)[1:] == tuple(EVENT.values())
    assert astuple(bare)[1:] == ("ReplicaSet/web-2", "", False, 1, "")
    assert full.event is bare.event is told.events[0]


@pytest.mark.parametrize(
    ("word", "data", "read"),
    [
        ("state", {"restarts": "x"}, kept_containers),
        ("log", {"lines": "x"}, kept_logs),
        ("events", {"seen": "x"}, kept_events),
    ],
)
def test_a_field_of_another_type_is_refused_by_the_name_of_its_fact(word: str, data: dict[str, str], read: Any) -> None:
    with pytest.raises(OutsideDataError, match=f"^{POD}: {next(iter(data))} must be"):
        read(kept(word, **data).facts())
