"""Injected: one change of one object, noted in the undo journal first, told as a fact after the API's reply.

It is bound to the version that was read: if somebody writes in between, what was noted as the original is old, and it
is all done again. A patch that changes nothing is void and must never count as a drift.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rollproof.clients.kube import STRATEGIC, ApiError, Kube, Object
from rollproof.core.event import Recorder
from rollproof.errors import CannotJudgeError
from rollproof.faults.objects import field_name, field_patch, read_field, saved
from rollproof.faults.sending import sending
from rollproof.faults.trials import Trial
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


def inject(trial: Trial, kube: Kube, journal: Journal, recorder: Recorder) -> Injected | None:
    """Make the change; None if it changed nothing. What the API refuses is settled in the journal and raised."""
    for _ in range(_TRIES):
        item = kube.get(trial.kind, trial.namespace, trial.object_name)
        entry = _note(trial, item, kube, journal)
        try:
            with sending(journal, entry):
                reply = _do(trial, item, kube)
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
            recorder.record("drift", trial.subject, "void", start_s=at_s, data=data)
            return None
        recorder.record("drift", trial.subject, "injected", start_s=at_s, data=_told(trial, done, reply))
        return done
    raise CannotJudgeError(f"{trial.target} changed {_TRIES} times between reading and patching it")


def _note(trial: Trial, item: Object, kube: Kube, journal: Journal) -> Entry:
    if trial.deletes:
        args = {"object": {**saved(item), "kind": trial.kind}, "uid": item["metadata"]["uid"]}
        return journal.write("object-restore", trial.target, args)
    body = field_patch(trial.path, trial.value)  # tried first: the server may write the value in another form
    would = kube.patch(trial.kind, trial.namespace, trial.object_name, body, how=STRATEGIC, dry_run=True)
    args = {
        "kind": trial.kind, "namespace": trial.namespace, "name": trial.object_name, "path": list(trial.path),
        "original": read_field(item, trial.path), "ours": read_field(would, trial.path),
    }  # fmt: skip
    return journal.write("field-restore", trial.target, args)


def _do(trial: Trial, item: Object, kube: Kube) -> Object:
    metadata = item["metadata"]
    if trial.deletes:
        return kube.delete(
            trial.kind, trial.namespace, trial.object_name, uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
        )  # fmt: skip
    body = field_patch(trial.path, trial.value)
    body.setdefault("metadata", {})["resourceVersion"] = metadata["resourceVersion"]
    return kube.patch(trial.kind, trial.namespace, trial.object_name, body, how=STRATEGIC)


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
