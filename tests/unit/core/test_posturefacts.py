"""A question about live objects that has no answer says of what, and why."""

from __future__ import annotations

from typing import Any

import pytest
from story import Story

from rollproof.core.posture import NodesSeen, PodsSeen
from rollproof.core.posturefacts import Posture, UnreadError
from rollproof.core.posturewords import Topic, Unread


@pytest.mark.parametrize(
    ("told", "cause", "reason"),
    [
        (None, Unread.NO_ANSWER, "this run did not ask for it"),
        ({}, Unread.NO_ANSWER, "no reason was noted"),
        ({"cause": "forbidden", "reason": "403"}, Unread.FORBIDDEN, "403"),
        ({"cause": "of another version", "reason": "x"}, Unread.NO_ANSWER, "x"),
    ],
)
def test_what_is_not_known(told: dict[str, Any] | None, cause: Unread, reason: str) -> None:
    story = Story().tell("posture", "Pods/shop/web", "unread", at=1, **(told or {}))
    seen = Posture(story.facts())
    with pytest.raises(UnreadError, match=f"{reason}$") as caught:
        seen.view(NodesSeen if told is None else PodsSeen)
    topic = Topic.NODES if told is None else Topic.PODS
    assert (caught.value.topic, caught.value.cause, caught.value.reason) == (topic, cause, reason)
    assert str(caught.value) == f"{topic}: {reason}"
    assert seen.used == ([] if told is None else [1])
