"""Histories for the golden of verdicts: secrets were looked for in each place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from story import Story

from rollproof.core.event import Outcome
from rollproof.core.secretsearch import Place

__all__ = ["searched", "searches"]

NAME = "shop-secret/DB_PASS#0123abcd"
Told = Iterator[tuple[str, Story]]


def known(*names: str, **unsearchable: str) -> Story:
    told = {name.replace("_", "/", 1): why for name, why in unsearchable.items()}
    return Story("secrets").tell(
        "secrets", "Secrets/values", "known", at=100, names=list(names), unsearchable=told, places=[*Place]
    )  # fmt: skip


def search(story: Story, place: str, **more: Any) -> Story:
    """One sound search; `more` are fields of its fact that are not."""
    sound = {"texts": 12, "size_bytes": 3456, "found": 0, "hits": [], "planted": 2, "planted_found": 2, "cut": ""}
    sound |= {"alike": 0, "alike_hits": [], "alike_planted_found": 1}
    return story.tell("secrets", f"Secrets/{place}", "searched", at=101, **{**sound, **more})


def unreadable(story: Story, place: str, reason: str) -> Story:
    return story.tell(
        "secrets", f"Secrets/{place}", "unreadable", at=101, outcome=Outcome.UNKNOWN, reason=reason
    )  # fmt: skip


def searched(*, names: tuple[str, ...] = (NAME,), **places: dict[str, Any]) -> Story:
    """Every place, sound but for what is said of it."""
    story = known(*names)
    for place in Place:
        search(story, place, **places.get(place, {}))
    return story


def compared(story: Story, *hits: str, checked: int = 2, reason: str = "") -> Story:
    return story.tell(
        "secrets", "Secrets/placeholders", "compared", at=102, outcome=Outcome.UNKNOWN if reason else Outcome.OK,
        checked=checked, hits=list(hits), found=len(hits), reason=reason,
    )  # fmt: skip


def searches() -> Told:
    yield "nothing was done", Story("secrets")
    yield "no value could be looked for", known(shop_KEY="is shorter than 6 characters")
    yield "nowhere", searched()
    yield "nowhere, and one value could not be looked for", _partly()
    found = {"found": 1, "hits": [f"{NAME} in blob 0a1b2c3d4e base/secret.yaml"]}
    yield "in git", searched(git=found)
    yield "in git, and the search was cut off", searched(git={**found, "cut": "too large"})
    yield "in git, and the canary was not found", searched(git={**found, "planted_found": 0})
    many = {"found": 7, "hits": [f"{NAME} in Pod/web-{number} spec" for number in range(7)]}
    yield "in many objects, and in a log", searched(objects=many, logs={"found": 1, "hits": [f"{NAME} in log of a/b"]})
    yield (
        "in an event and in Argo CD's words",
        searched(
            events={"found": 1, "hits": [f"{NAME} in Event/x message"]},
            application={"found": 1, "hits": [f"{NAME} in Application/shop status.conditions.message"]},
        ),
    )
    yield "a canary was not found", searched(logs={"planted_found": 1})
    yield "no canary was planted", searched(logs={"planted": 0, "planted_found": 0})
    yield "not all was searched", searched(git={"cut": "the objects have more than 64 bytes"})
    yield "nothing to search", searched(logs={"texts": 0}, events={"texts": 0})
    yield "a place that may not be read", unreadable(searched(), "events", "list events: 403 Forbidden")
    yield "what looks like a secret is a finding", searched(git=ALIKE)
    yield "what looks like a secret is FAIL where that is promised", _promised(searched(git=ALIKE))
    yield "both a named value and what looks like a secret", searched(logs={**ALIKE, "found": 1, "hits": found["hits"]})
    yield "the patterns did not find the canary", searched(objects={"alike_planted_found": 0})
    yield "a run from before there were patterns", _old()
    yield "a place that was left out", search(known(NAME), "git")
    yield "placeholders are none of the live values", compared(searched())
    yield "a placeholder is the live value", compared(searched(), "shop-secret/DB_PASS")
    yield "placeholders of other Secrets", compared(searched(), checked=0)
    yield "placeholders that cannot be read", compared(searched(), checked=0, reason="base/secret.yaml is no YAML")


ALIKE = {"alike": 5, "alike_hits": [f"Private Key#0{number}23abcd in blob 0a1b2c3d4e key.pem" for number in range(5)]}


def _promised(story: Story) -> Story:
    settings = replace(story.plan.target.secrets, patterns="must")
    story.plan = replace(story.plan, target=replace(story.plan.target, secrets=settings))
    return story


def _old() -> Story:
    """Its facts name no places and no patterns: it had five places."""
    story = Story("secrets").tell("secrets", "Secrets/values", "known", at=100, names=[NAME], unsearchable={})
    for place in ("git", "objects", "events", "application", "logs"):
        sound = {"texts": 12, "size_bytes": 3456, "found": 0, "hits": [], "planted": 2, "planted_found": 2, "cut": ""}
        story.tell("secrets", f"Secrets/{place}", "searched", at=101, **sound)
    return story


def _partly() -> Story:
    story = known(NAME, shop_KEY="is shorter than 6 characters")
    for place in Place:
        search(story, place)
    return story
