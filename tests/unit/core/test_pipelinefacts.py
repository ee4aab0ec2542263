"""What was seen of a road to production: the answer of each place, or why there is none."""

from __future__ import annotations

from typing import Any

import pytest
from story import Story

from rollproof.core.outside import Outside
from rollproof.core.pipeline import AbsentError, NodesSeen, Road, UnknownError, view_of
from rollproof.errors import OutsideDataError

NODES = "Pipeline/nodes"
SEEN = {"platforms": {"a": "linux/arm64"}}


def road(what: str, *, source: str = "pipeline", **data: Any) -> Road:
    return Road(Story().tell(source, NODES, what, at=1, **data).facts())


def test_the_answer_of_a_place_is_read_from_its_last_fact() -> None:
    told = Story().tell("pipeline", NODES, "read", at=1, platforms={}).tell("pipeline", NODES, "read", at=2, **SEEN)
    seen = Road(told.facts())
    assert seen.view(NodesSeen) == NodesSeen(**SEEN)
    assert (seen.used, seen.asked) == ([2], True)


@pytest.mark.parametrize(
    ("what", "data", "error", "said"),
    [
        ("absent", {"reason": "not named"}, AbsentError, "not named"),
        ("absent", {}, AbsentError, "no reason was noted"),
        ("unread", {"reason": "403"}, UnknownError, "403"),
        ("unread", {"reason": ""}, UnknownError, "no reason was noted"),
        ("of another version", {}, UnknownError, "no reason was noted"),
    ],
)
def test_a_place_without_an_answer_says_why(what: str, data: dict[str, str], error: type[Exception], said: str) -> None:
    seen = road(what, **data)
    with pytest.raises(error, match=f"^{said}$"):
        seen.view(NodesSeen)
    assert (seen.used, seen.asked) == ([1], True)


def test_a_place_that_nobody_asked_is_unknown() -> None:
    seen = road("read", source="posture", **SEEN)
    with pytest.raises(UnknownError, match=r"^nodes: nobody has asked$"):
        seen.view(NodesSeen)
    assert (seen.used, seen.asked) == ([], False)


def test_another_drills_road_is_not_its_own() -> None:
    told = Story()
    told.drill = "posture"
    told.tell("pipeline", NODES, "read", at=1, **SEEN)
    told.drill = "pipeline"
    told.tell("run", "drill", "started", at=2)
    assert not Road(told.facts()).asked


def test_a_field_of_another_type_is_refused_by_the_name_of_its_fact() -> None:
    with pytest.raises(OutsideDataError, match=rf"^{NODES}: platforms must be an object"):
        road("read", platforms=1).view(NodesSeen)


def test_the_view_in_a_fact_of_any_place() -> None:
    assert view_of("nodes", Outside(SEEN, "x")) == NodesSeen(**SEEN)
    assert view_of("of another version", Outside(SEEN, "x")) is None
    with pytest.raises(OutsideDataError, match=r"^x: platforms must be"):
        view_of("nodes", Outside({"platforms": 1}, "x"))
