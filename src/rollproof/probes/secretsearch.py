"""Secretsearch: looks for known values, in all their forms (`rollproof.redaction`), and for canaries of its own.

A canary is a random value that is put into our own copy of what is searched, never into the target. It must never keep
or tell a value: what leaves here are names, salted hashes and places. What looks like a secret, whatever it is, is
found by the patterns of `secretpatterns`; the canary looks like one, too.
"""

from __future__ import annotations

import base64
import codecs
import json
import secrets
import string
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from rollproof.clients.kube import Object
from rollproof.core.event import Outcome, Recorder
from rollproof.core.secretsearch import LEAST, SOURCE, Place, SearchWord, hash_of, subject_of
from rollproof.errors import InputError, RunFolderError
from rollproof.probes.secretpatterns import alike
from rollproof.redaction import SECRETS, Redactor, texts_of
from rollproof.redaction.register import unhideable
from rollproof.store.folderfiles import read_whole

__all__ = ["CANARY", "SecretSearch", "canary_objects", "ci_log_text", "texts_of_objects"]

_HITS_MAX = 20
CANARY = "rollproof-canary"  # in the place of all that is ours
_CI_LOG_MAX = 64 * 1024 * 1024
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")  # zip, gzip, zstd, bzip2, xz
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

Texts = Iterable[tuple[str, str]]


class SecretSearch:
    """Searches the `places` for the `values`, by their names (`Secret/key`), and for what looks like a secret."""

    def __init__(
        self, values: Mapping[str, str], recorder: Recorder, *, places: Iterable[Place] = Place, patterns: bool = True
    ) -> None:
        self._recorder, self._patterns = recorder, patterns
        self._salt = secrets.token_bytes(16)
        key = "".join(secrets.choice(string.ascii_uppercase) for _ in range(16))
        self.canary = f"AKIA{key}/{secrets.token_hex(8)}+="  # like a key of AWS; another text in base64 and in a URL
        self._canary = Redactor([self.canary])
        unsearchable = {name: why for name, value in values.items() if (why := _unsearchable(value))}
        self._values = {name: value for name, value in values.items() if name not in unsearchable}
        self._each = {name: Redactor([value]) for name, value in self._values.items()}
        self._any = Redactor(self._values.values())
        names = [self._shown(name) for name in self._values]
        data = {"names": names, "unsearchable": unsearchable, "places": [*places]}
        recorder.record(SOURCE, subject_of("values"), SearchWord.KNOWN, data=data)

    def _shown(self, name: str) -> str:
        return f"{name}#{hash_of(self._values[name], self._salt)}"

    def look(self, place: Place, texts: Texts, *, planted: int) -> tuple[int, int]:
        """Search; (canaries found, texts). Raises what reading the texts raises. `told` records what came of it."""
        self._place, self._planted = place, planted
        self._hits: list[str] = []
        self._alike: dict[str, str] = {}  # hash -> the first place of what looks like a secret, in words
        self._found = self._planted_found = self._alike_planted_found = self._texts = self._size_bytes = 0
        new: set[str] = set()
        try:
            for where, text in texts:
                self._look_at(where, text, new)
        finally:
            SECRETS.add(new)  # at once: each time makes the index of all of them anew
        return self._planted_found, self._texts

    def _look_at(self, where: str, text: str, new: set[str]) -> None:
        if self._canary.holds(text):
            self._planted_found += 1
            self._alike_planted_found += self._patterns and any(value in self.canary for _, value in alike(text))
        if CANARY in where:
            return
        self._texts += 1
        self._size_bytes += len(text)
        if self._any.holds(text):
            self._note(where, text)
        if self._patterns:
            self._note_alike(where, text, new)

    def _note(self, where: str, text: str) -> None:
        for name, redactor in self._each.items():
            if redactor.holds(text):
                self._found += 1
                if len(self._hits) < _HITS_MAX:
                    self._hits.append(f"{self._shown(name)} in {where}")

    def _note_alike(self, where: str, text: str, new: set[str]) -> None:
        for kind, value in alike(text):
            if self._any.holds(value):  # it is told by its name
                continue
            new.add(value)
            shown = f"{kind}#{hash_of(value, self._salt)}"
            self._alike.setdefault(shown, f"{shown} in {where}")

    def tell(self, *, cut: str = "") -> None:
        """Record the last search; `cut`: what was left out."""
        data = {
            "texts": self._texts, "size_bytes": self._size_bytes, "found": self._found, "hits": self._hits,
            "planted": self._planted, "planted_found": self._planted_found, "cut": cut,
        }  # fmt: skip
        if self._patterns:
            data["alike"], data["alike_hits"] = len(self._alike), [*self._alike.values()][:_HITS_MAX]
            data["alike_planted_found"] = self._alike_planted_found
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


def ci_log_text(path: Path) -> str:
    """The text of CI's log. InputError if it is no regular file, cannot be read, is larger than 64 MiB, or no text.

    In an archive or in nothing no value is found, wherever it is; PowerShell writes UTF-16.
    """
    try:
        content = read_whole(path, size_max=_CI_LOG_MAX)
    except (OSError, RunFolderError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        hint = "name a regular file of at most 64 MiB, or none"
        raise InputError(f"secrets.ci_log_file {path} cannot be read: {why}", hint) from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    if not content.strip():
        raise InputError(f"secrets.ci_log_file {path} is empty", "was the log written, and is this the file?")
    if content.count(0) * 100 > len(content) or content.startswith(_PACKED):
        raise InputError(f"secrets.ci_log_file {path} is no text", "unpack it: GitHub gives the logs of a run as a zip")
    return content.decode(errors="replace")


def texts_of_objects(items: Iterable[Object]) -> Iterator[tuple[str, str]]:
    """(where, text) of every text in Kubernetes objects: `ConfigMap/shop-config data.password`."""
    for item in items:
        name = f"{item.get('kind', 'object')}/{(item.get('metadata') or {}).get('name', '?')}"
        for place, text in texts_of(item):
            yield f"{name} {place}", text


def canary_objects(place: Place, canary: str) -> tuple[Object, ...]:
    """Objects with a canary where a secret would be, in the form that it would have there."""
    metadata = {"name": CANARY}
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
