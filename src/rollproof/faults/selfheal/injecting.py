"""Injected: one change of one object, noted in the undo journal first, told as a fact after the API's reply.

It is bound to the version that was read: if somebody writes in between, what was noted as the original is old, and it
is all done again. A patch that changes nothing is void and must never count as a drift.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.core.event import Recorder
from rollproof.errors import CannotJudgeError
from rollproof.faults.objects import field_name
from rollproof.faults.selfheal.drift import Drift
from rollproof.faults.selfheal.trial import GONE, Trial, subject_of_trial
from rollproof.faults.sending import sending
from rollproof.store.journal import Entry, Journal, Undone

__all__ = ["Injected", "inject"]

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Injected:
    """What was done: when the API's reply came, the version after it, and the entry that undoes it.

    `original` and `ours` are the two values that are right until it is repaired: of a field, or of the whole object.
    """

    drift: Drift
    trial: Trial
    at_s: float
    version: int
    entry: Entry
    before: Object
    original: Any
    ours: Any

    def value(self, item: Object | None) -> Any:
        """What it is in an object that was read later; GONE where there is none."""
        return GONE if item is None else self.drift.value(self.trial, self.before, item)


def inject(drift: Drift, trial: Trial, kube: Kube, journal: Journal, recorder: Recorder) -> Injected | None:
    """Make the change; None if it changed nothing. What the API refuses is settled in the journal and raised."""
    for _ in range(_TRIES):
        item = kube.get(trial.kind, trial.namespace, trial.object_name)
        entry = journal.write(drift.journal_kind, trial.target, drift.noted(trial, item, kube))
        try:
            with sending(journal, entry):
                asked_s = time.monotonic()
                reply = drift.send(trial, item, kube)
        except ApiError as error:
            if error.status == 409:
                continue
            raise
        at_s = time.monotonic()
        journal.made(entry)
        done = _injected(drift, trial, item, reply, entry, at_s)
        if done is None:
            journal.settle(entry, Undone("not-needed", reason="the patch changed nothing"))
            data = {"resource_version": item["metadata"]["resourceVersion"]}
            recorder.record("drift", subject_of_trial(trial.name), "void", start_s=at_s, data=data)
            return None
        recorder.record(
            "drift", subject_of_trial(trial.name), "injected", start_s=at_s, data=_told(trial, done, asked_s)
        )
        return done
    raise CannotJudgeError(f"{trial.target} changed {_TRIES} times between reading and patching it")


def _injected(drift: Drift, trial: Trial, item: Object, reply: Object, entry: Entry, at_s: float) -> Injected | None:
    version = drift.version_after(item, reply)
    if version is None:
        return None
    return Injected(
        drift=drift, trial=trial, at_s=at_s, version=version, entry=entry, before=item,
        original=drift.original(trial, item), ours=drift.ours(entry.args),
    )  # fmt: skip


def _told(trial: Trial, done: Injected, asked_s: float) -> dict[str, Any]:
    return {
        "resource_version": str(done.version), "uid": done.before["metadata"]["uid"], "field": field_name(trial.path),
        "from": done.original, "to": done.ours, "deleted": trial.deletes,
        "not_before_s": round(asked_s, 6),
    }  # fmt: skip
