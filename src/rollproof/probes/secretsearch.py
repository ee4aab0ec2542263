"""Secretsearch: looks for known values, in all their forms (`rollproof.redaction`), and for canaries of its own.

A canary is a random value that is put into our own copy of what is searched, never into the target. It must never keep
or tell a value: what leaves here are names, salted hashes and places.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from rollproof.clients.kube import Object
from rollproof.core.event import Outcome, Recorder
from rollproof.core.secretsearch import LEAST, SOURCE, Place, SearchWord, hash_of, subject_of
from rollproof.redaction import Redactor, texts_of
from rollproof.redaction.register import unhideable

__all__ = ["SecretSearch", "canary_objects", "texts_of_objects"]

_HITS_MAX = 20
_CANARY = "rollproof-canary"  # in the place of all that is ours
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

Texts = Iterable[tuple[str, str]]


class SecretSearch:
    """Searches for the `values`, by their names (`Secret/key`)."""

    def __init__(self, values: Mapping[str, str], recorder: Recorder) -> None:
        self._recorder = recorder
        self._salt = secrets.token_bytes(16)
        self.canary = f"canary/{secrets.token_hex(12)}+="  # another text in base64, in a URL, and in JSON of JSON
        self._canary = Redactor([self.canary])
        unsearchable = {name: why for name, value in values.items() if (why := _unsearchable(value))}
        self._values = {name: value for name, value in values.items() if name not in unsearchable}
        self._each = {name: Redactor([value]) for name, value in self._values.items()}
        self._any = Redactor(self._values.values())
        data = {"names": [self._shown(name) for name in self._values], "unsearchable": unsearchable}
        recorder.record(SOURCE, subject_of("values"), SearchWord.KNOWN, data=data)

    def _shown(self, name: str) -> str:
        return f"{name}#{hash_of(self._values[name], self._salt)}"

    def look(self, place: Place, texts: Texts, *, planted: int) -> tuple[int, int]:
        """Search; (canaries found, texts). Raises what reading the texts raises. `told` records what came of it."""
        self._place, self._planted = place, planted
        self._hits: list[str] = []
        self._found = self._planted_found = self._texts = self._size_bytes = 0
        for where, text in texts:
            if self._canary.holds(text):
                self._planted_found += 1
            if _CANARY in where:
                continue
            self._texts += 1
            self._size_bytes += len(text)
            if self._any.holds(text):
                self._note(where, text)
        return self._planted_found, self._texts

    def _note(self, where: str, text: str) -> None:
        for name, redactor in self._each.items():
            if redactor.holds(text):
                self._found += 1
                if len(self._hits) < _HITS_MAX:
                    self._hits.append(f"{self._shown(name)} in {where}")

    def tell(self, *, cut: str = "") -> None:
        """Record the last search; `cut`: what was left out."""
        data = {
            "texts": self._texts, "size_bytes": self._size_bytes, "found": self._found, "hits": self._hits,
            "planted": self._planted, "planted_found": self._planted_found, "cut": cut,
        }  # fmt: skip
        self._recorder.record(SOURCE, subject_of(self._place), SearchWord.SEARCHED, data=data)

    def unreadable(self, place: Place, reason: str) -> None:
        """Record that a place could not be read."""
        data = {"reason": reason}
        self._recorder.record(SOURCE, subject_of(place), SearchWord.UNREADABLE, outcome=Outcome.UNKNOWN, data=data)

    def compare(self, live: Mapping[str, str], placeholders: Mapping[str, str], reason: str = "") -> None:
        """Record which placeholders (`Secret/key` → value) are the live value."""
        both = [name for name in placeholders if name in live]
        same = [name for name in both if placeholders[name].strip() == live[name].strip()]
        outcome = Outcome.UNKNOWN if reason else Outcome.OK
        data = {"checked": len(both), "hits": same, "found": len(same), "reason": reason}
        self._recorder.record(SOURCE, subject_of("placeholders"), SearchWord.COMPARED, outcome=outcome, data=data)


def _unsearchable(value: str) -> str:
    if len(value.strip()) < LEAST:
        return f"has fewer than {LEAST} characters: it would be found everywhere"
    return unhideable(value.strip())


def texts_of_objects(items: Iterable[Object]) -> Iterator[tuple[str, str]]:
    """(where, text) of every text in Kubernetes objects: `ConfigMap/shop-config data.password`."""
    for item in items:
        name = f"{item.get('kind', 'object')}/{(item.get('metadata') or {}).get('name', '?')}"
        for place, text in texts_of(item):
            yield f"{name} {place}", text


def canary_objects(place: Place, canary: str) -> tuple[Object, ...]:
    """Objects with a canary where a secret would be, in the form that it would have there."""
    metadata = {"name": _CANARY}
    encoded = base64.b64encode(canary.encode()).decode()
    if place is Place.EVENTS:
        return ({"kind": "Event", "metadata": metadata, "message": f"cannot log in with {canary}"},)
    if place is Place.APPLICATION:
        said = json.dumps({"stringData": {"password": canary}})
        return ({"kind": "Application", "metadata": metadata, "status": {"conditions": [{"message": said}]}},)
    applied = json.dumps({"kind": "Secret", "data": {"password": encoded}})
    return (
        {"kind": "ConfigMap", "metadata": metadata, "data": {"url": f"mysql://shop:{quote(canary, safe='')}@database"}},
        {"kind": "Pod", "metadata": metadata, "spec": {"containers": [{"env": [{"name": "P", "value": canary}]}]}},
        {"kind": "Service", "metadata": {**metadata, "annotations": {_LAST_APPLIED: applied}}},
    )
