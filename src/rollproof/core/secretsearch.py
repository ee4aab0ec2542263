"""Secretsearch: where secrets are looked for, what a search has found, as facts and their readers. Never a value.

A value is named by where it comes from (`Secret/key`, or the variable) and a short salted hash, which tells two values
apart and cannot be looked up in a list of passwords: the salt is of one run and kept nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts

__all__ = [
    "LEAST",
    "OBJECT_KINDS",
    "SOURCE",
    "Place",
    "Search",
    "SearchWord",
    "hash_of",
    "known_values",
    "search_of",
    "searched_places",
    "subject_of",
]

SOURCE = "secrets"
OBJECT_KINDS = ("Deployment", "ReplicaSet", "Pod", "Service", "ConfigMap", "Ingress", "HTTPRoute")  # of Place.OBJECTS
LEAST = 6  # characters: a shorter value is found everywhere
_HASH_DIGITS = 8


class Place(StrEnum):
    """Where it is looked."""

    GIT = "git"  # every object of every ref of the env repo
    OBJECTS = "objects"  # of the namespace: environment, data, annotations
    EVENTS = "events"
    APPLICATION = "application"  # what Argo CD says of it
    LOGS = "logs"  # of the app's containers, and of those before them
    CI_LOG = "ci-log"  # the file that the target names, if it names one
    RUN = "run"  # what this run has written so far


class SearchWord(StrEnum):
    """What is told."""

    KNOWN = "known"
    SEARCHED = "searched"
    UNREADABLE = "unreadable"
    COMPARED = "compared"


def subject_of(what: str) -> str:
    """The subject of the facts of a place, or of "values" and "placeholders"."""
    return f"Secrets/{what}"


def hash_of(value: str, salt: bytes) -> str:
    """A short name for a value, of no use without the salt."""
    return hmac.new(salt, value.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()[:_HASH_DIGITS]


@dataclass(frozen=True, slots=True)
class Search:
    """The search of one place. `hits`: each a name of a value and where it is; `found` counts them all.

    `planted`, `planted_found`: the canaries that were put into our own copy of it, and those that the search found.
    `cut`: why not all of it was searched, "" if all was.
    """

    event: Event

    @property
    def readable(self) -> bool:
        """Whether it could be read at all."""
        return self.event.what == SearchWord.SEARCHED and self.event.outcome is Outcome.OK

    @property
    def compared(self) -> bool:
        """Of the placeholders: whether they could be read."""
        return self.event.what == SearchWord.COMPARED and self.event.outcome is Outcome.OK

    @property
    def reason(self) -> str:
        """Why it could not."""
        return str(self.event.data.get("reason") or "no reason")

    @property
    def texts(self) -> int:
        """How many texts there were."""
        return int(self.event.data.get("texts") or 0)

    @property
    def size_bytes(self) -> int:
        """Their size."""
        return int(self.event.data.get("size_bytes") or 0)

    @property
    def planted(self) -> int:
        """Canaries in our own copy."""
        return int(self.event.data.get("planted") or 0)

    @property
    def planted_found(self) -> int:
        """Canaries that the search found."""
        return int(self.event.data.get("planted_found") or 0)

    @property
    def cut(self) -> str:
        """What was left out, and why."""
        return str(self.event.data.get("cut") or "")

    @property
    def hits(self) -> Sequence[str]:
        """The first of what was found, in words."""
        return tuple(self.event.data.get("hits") or ())

    @property
    def found(self) -> int:
        """How many."""
        return int(self.event.data.get("found") or 0)

    @property
    def alike(self) -> int:
        """How many values look like a secret, whatever they are."""
        return int(self.event.data.get("alike") or 0)

    @property
    def alike_hits(self) -> Sequence[str]:
        """The first of them: kind, hash and place, in words."""
        return tuple(self.event.data.get("alike_hits") or ())

    @property
    def alike_planted_found(self) -> int | None:
        """Canaries that were found to look like a secret; None where patterns were not looked for."""
        found = self.event.data.get("alike_planted_found")
        return None if found is None else int(found)

    @property
    def checked(self) -> int:
        """Of the placeholders: how many were compared."""
        return int(self.event.data.get("checked") or 0)


def search_of(facts: Facts, what: str) -> Search | None:
    """The last search of a place; None if there was none."""
    event = facts.last(source=SOURCE, subject=subject_of(what))
    return Search(event) if event is not None else None


def searched_places(facts: Facts) -> tuple[Place, ...]:
    """The places that the drill set out to search. Runs of before that was told had the first five."""
    event, _, _ = known_values(facts)
    told = event.data.get("places") if event is not None else None
    return tuple(place for place in Place if place in told) if told else tuple(Place)[:5]


def known_values(facts: Facts) -> tuple[Event | None, Sequence[str], Mapping[str, Any]]:
    """The fact, the names of the values that were looked for, and of those that could not be, with the reason."""
    event = facts.last(source=SOURCE, subject=subject_of("values"), what=SearchWord.KNOWN)
    if event is None:
        return None, (), {}
    return event, tuple(event.data.get("names") or ()), dict(event.data.get("unsearchable") or {})
