"""Rules that are declared beside the fields of a target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_type_hints

import pytest
import story

from rollproof.core.declared import Distinct, OneOf, Range, above, between, one_of
from rollproof.core.target import Control, Target
from rollproof.target.rules import broken_rules


def numbers() -> Iterator[tuple[str, str, Any]]:
    """Section, name and annotation of every number."""
    target = replace(story.target(), control=Control(url="http://control"))
    for section in fields(target):
        owner = getattr(target, section.name)
        if is_dataclass(owner):
            for name, hint in get_type_hints(type(owner), include_extras=True).items():
                plain = str(getattr(hint, "__origin__", hint))
                if "int" in plain or "float" in plain:
                    yield section.name, name, hint


def test_what_is_declared() -> None:
    assert above(0, 3) == Range(0, 3, low_allowed=False)
    assert between(1, 3) == Range(1, 3, low_allowed=True)
    assert one_of("a", "b") == OneOf(("a", "b"))


def test_every_number_of_a_section_has_a_range() -> None:
    found = list(numbers())
    assert len(found) > 30
    lost = [f"{section}.{name}" for section, name, hint in found if not _range_of(hint)]
    assert not lost


def _range_of(hint: Any) -> Range | None:
    return next((rule for rule in getattr(hint, "__metadata__", ()) if isinstance(rule, Range)), None)


@pytest.mark.parametrize(
    ("section", "name", "hint"), list(numbers()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_number_out_of_its_range_is_named(section: str, name: str, hint: Any) -> None:
    rule = _range_of(hint)
    assert rule is not None
    target = story.target()
    table = name == "recovery_limits_s"
    place = f"{section}.{name}.pod-delete" if table else f"{section}.{name}"
    for value in (rule.low - 1, rule.high + 1, float("nan"), *(() if rule.low_allowed else (rule.low,))):
        changed = replace(getattr(target, section), **{name: {"pod-delete": value} if table else value})
        broken: Target = replace(target, **{section: changed})
        said = next(mistake.text for mistake in broken_rules(broken) if mistake.place == place)
        begin = f"at least {rule.low:g}" if rule.low_allowed else f"above {rule.low:g}"
        assert said == f"must be {begin} and at most {rule.high:g}, found {value:g}"


MAY_REPEAT = {  # a pair of variables; versions of which the first that fits is taken; places where something may be
    "app.basic_auth_env", "release.shas", "fences.namespaces", "fences.load_hosts",
}  # fmt: skip


def lists(owner: Any, place: str = "") -> Iterator[tuple[str, bool]]:
    """Place of each list of names, and whether each of its entries must be another."""
    for name, hint in get_type_hints(type(owner), include_extras=True).items():
        rules = getattr(hint, "__metadata__", ())
        if str(hint.__origin__ if rules else hint) == "tuple[str, ...]":
            yield f"{place}{name}", Distinct() in rules
        elif is_dataclass(part := getattr(owner, name)):
            yield from lists(part, f"{place}{name}.")


def with_list(owner: Any, place: str, value: tuple[str, ...]) -> Any:
    first, _, rest = place.partition(".")
    return replace(owner, **{first: with_list(getattr(owner, first), rest, value) if rest else value})


def test_each_list_says_whether_it_may_name_one_thing_twice() -> None:
    found = dict(lists(story.target()))
    assert {place for place, distinct in found.items() if not distinct} == MAY_REPEAT
    assert len(found) > 10


@pytest.mark.parametrize("place", [place for place, distinct in lists(story.target()) if distinct])
def test_one_thing_named_twice_is_refused_and_not_shown(place: str) -> None:
    broken: Target = with_list(story.target(), place, ("env", "image", "env", "replicas"))
    said = [mistake.text for mistake in broken_rules(broken) if mistake.place == place]
    assert said == ["entries 1 and 3 are the same; name each once"]
    assert place not in {mistake.place for mistake in broken_rules(broken, stored=True)}, "an old run is judged"


@pytest.mark.parametrize("place", sorted(MAY_REPEAT - {"app.basic_auth_env"}))
def test_what_may_be_there_twice(place: str) -> None:
    target = story.target()
    there = {"release.shas": ("1a2b3c4",)}.get(place) or getattr(target.fences, place.partition(".")[2])
    assert [*broken_rules(with_list(target, place, there * 2))] == [*broken_rules(target)]
