"""A view comes back from the data of its fact as it was; what may be absent, and what is wrong in it, by its place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from rollproof.core.outside import Outside
from rollproof.core.typedviews import read_view, stored
from rollproof.errors import OutsideDataError


@dataclass(frozen=True)
class Part:
    name: str


@dataclass(frozen=True)
class View:
    name: str
    labels: dict[str, str]
    names: tuple[str, ...]
    parts: tuple[Part, ...]
    count: int = 7
    ratio: float | None = None
    more: tuple[str, ...] = ("the default",)
    part: Part | None = None


@pytest.mark.parametrize("lacking", [{}, {"labels": None, "names": None, "parts": None, "count": None, "ratio": None}])
def test_a_list_or_a_table_may_be_absent_and_is_empty(lacking: dict[str, Any]) -> None:
    assert read_view(View, Outside({"name": "a", **lacking}, "x")) == View("a", {}, (), (), more=())
    with pytest.raises(OutsideDataError, match="name must be there"):
        read_view(View, Outside(lacking, "x"))


def test_a_view_comes_back_as_it_was_with_all_that_is_in_it() -> None:
    view = View("a", {"b": "c"}, ("d",), (Part("e"), Part("f")), 8, 0.5, ("g",), Part("h"))
    assert read_view(View, Outside(json.loads(json.dumps(stored(view))), "x")) == view


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ratio": "x"}, "ratio must be a number"),
        ({"part": 1}, "part must be an object"),
        ({"part": {}}, "part.name must be there"),
        ({"parts": [{"name": "e"}, {}]}, r"parts\[1\].name must be there"),
        ({"parts": [1]}, "parts must be a list of objects"),
    ],
)
def test_what_is_wrong_in_a_view_is_named_by_its_place(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(OutsideDataError, match=f"^x: {said}"):
        read_view(View, Outside({"name": "a", **wrong}, "x"))
