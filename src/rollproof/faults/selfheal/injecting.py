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
from rollproof.faults.objects import field_name, read_field
from rollproof.faults.selfheal.drift import Drift
from rollproof.faults.selfheal.trial import Trial, subject_of_trial
from rollproof.faults.sending import sending
from rollproof.store.journal import Entry, Journal, Undone

__all__ = ["Injected", "inject"]

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Injected:
    """What was done: when the API's reply came, the version after it, and the entry that undoes it."""

    at_s: float
    version: int
    entry: Entry
    before: Object
    original: Any


def inject(drift: Drift, trial: Trial, kube: Kube, journal: Journal, recorder: Recorder) -> Injected | None:
    """Make the change; None if it changed nothing. What the API refuses is settled in the journal and raised."""
    for _ in range(_TRIES):
        item = kube.get(trial.kind, trial.namespace, trial.object_name)
        entry = journal.write(drift.journal_kind, trial.target, drift.noted(trial, item, kube))
        try:
            with sending(journal, entry):
                reply = drift.send(trial, item, kube)
        except ApiError as error:
            if error.status == 409:
                continue
            raise
        at_s = time.monotonic()
        journal.made(entry)
        done = _injected(trial, item, reply, entry, at_s)
        if done is None:
            journal.settle(entry, Undone("not-needed", reason="the patch changed nothing"))
            data = {"resource_version": item["metadata"]["resourceVersion"]}
            recorder.record("drift", subject_of_trial(trial.name), "void", start_s=at_s, data=data)
            return None
        recorder.record("drift", subject_of_trial(trial.name), "injected", start_s=at_s, data=_told(trial, done, reply))
        return done
    raise CannotJudgeError(f"{trial.target} changed {_TRIES} times between reading and patching it")


def _injected(trial: Trial, item: Object, reply: Object, entry: Entry, at_s: float) -> Injected | None:
    was = item["metadata"]["resourceVersion"]
    version = was if trial.deletes else reply["metadata"]["resourceVersion"]
    if not trial.deletes and version == was:
        return None
    return Injected(at_s, int(version), entry, item, read_field(item, trial.path))


def _told(trial: Trial, done: Injected, reply: Object) -> dict[str, Any]:
    return {
        "resource_version": str(done.version), "uid": done.before["metadata"]["uid"], "field": field_name(trial.path),
        "from": "there" if trial.deletes else done.original,
        "to": "deleted" if trial.deletes else read_field(reply, trial.path), "deleted": trial.deletes,
    }  # fmt: skip
