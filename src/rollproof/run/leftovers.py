"""Leftovers: what unfinished runs have left, in the reports folder and in the cluster; one line each, to say first.

It reads, decides nothing and never fails: what cannot be looked at is not mentioned. A run that holds the target is
refused by the lock (`preflight/lock.py`), and by nothing here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rollproof.clients.kube import Kube
from rollproof.core.commandline import typed
from rollproof.core.counts import many
from rollproof.core.journal import LEASE_KIND, Record, missing_entries, read_journal
from rollproof.core.labels import MANAGED_BY, OURS, RUN_LABEL
from rollproof.core.target import Target
from rollproof.errors import RollproofError
from rollproof.store import folderfiles
from rollproof.store.clusterjournal import stored_journals
from rollproof.store.reading import JOURNAL, PLAN, TIMELINE, good_events
from rollproof.target.file import LoadedTarget

__all__ = ["left_in", "tell_leftovers", "unfinished_folders"]

_JOURNAL_MAX = 64 << 20
_LOOK_S = 5.0  # for one request: who only wants to be told must not wait for an API server that is away


def tell_leftovers(loaded: LoadedTarget | None, reports: Path, say: Callable[[str], None]) -> None:
    """Say what there is: of the reports folder, and of the target's cluster if one is named."""
    told: set[str] = set()
    for path, what in unfinished_folders(reports):
        told.add(path.name)
        say(f"unfinished run {path.name}: {what}: {typed('undo', path)}")
    if loaded is not None:
        with suppress(RollproofError):
            target = loaded.target
            kube = Kube(target.cluster.context, target.cluster.kubeconfig, timeout_s=_LOOK_S)
            for line in _in_cluster(target, kube, loaded.path, told):
                say(line)


def unfinished_folders(reports: Path) -> Iterator[tuple[Path, str]]:
    """Run folders with open entries, oldest first, and what is open, in words. One that somebody is at work in is none.

    Also one whose journal does not tell all that was changed: after a lost machine a damaged journal may be all that is
    left, and must not pass for "nothing was left".
    """
    for path in folderfiles.folders_in(reports):
        with suppress(OSError):
            if not any(os.path.lexists(path / name) for name in (PLAN, JOURNAL)) or folderfiles.is_owned(path):
                continue
            if what := left_in(path):
                yield path, what


def left_in(path: Path) -> str:
    """What is left of a run, in words; "" if nothing is. The last look alone is no reason to undo anything."""
    record = _record(path)
    number = sum(1 for entry in record.changes if entry.state == "open")
    if number:
        return f"{many(number, 'change')} not undone"
    if record.damage:
        return "its undo journal is damaged"
    locked = any(entry.state == "open" and entry.kind == LEASE_KIND for entry in record.entries)
    return "its lock not given back" if locked else ""


def _record(path: Path) -> Record:
    """What the journal says, with all that is wrong with it, also what the timeline alone knows."""
    try:
        there = os.path.lexists(path / JOURNAL)
        content = folderfiles.read_whole(path / JOURNAL, size_max=_JOURNAL_MAX) if there else b""
    except (RollproofError, OSError) as error:
        return Record(damage=(str(error),))
    record = read_journal(content)
    with suppress(RollproofError):  # without a timeline the journal alone says it
        missing = missing_entries(record, good_events(path / TIMELINE, source="undo"))
        return replace(record, damage=record.damage + missing)
    return record


def _in_cluster(target: Target, kube: Kube, file: Path, told: set[str]) -> Iterator[str]:
    """Journals and dead-men that are there; what a folder's line has said already is left out."""
    undo_all = typed("undo", "--all", "--target", file)
    if target.journal.store == "cluster":
        for stored in stored_journals(kube, target.cluster.namespace):
            if stored.run_id not in told:
                yield f"journal of run {stored.run_id} in {target.cluster.namespace}: unfinished or at work: {undo_all}"
    for namespace in target.fences.namespaces:
        with suppress(RollproofError):  # without the right to list Jobs there
            for job in kube.list("Job", namespace, labels=f"{MANAGED_BY}={OURS}")["items"]:
                metadata = job["metadata"]
                run = str((metadata.get("labels") or {}).get(RUN_LABEL, ""))
                if run not in told:
                    name = str(metadata["name"])
                    what = f"dead-man Job/{namespace}/{name} of run {run or 'unknown'}: it acts and ends by itself"
                    yield f"{what}; to undo now: {undo_all}, where its journal is"
