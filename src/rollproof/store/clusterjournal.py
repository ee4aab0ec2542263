"""Cluster journal: the undo journal of a run in the cluster, so that its machine may vanish with the run folder.

One ConfigMap a run in the app's namespace, written before each change and bound to its version (compare-and-set). It
holds the lines of `undo.jsonl` and the plan, as the folder has them: no secret is in either. It is deleted when all of
it is undone. `rollproof undo --all --target T` makes a run folder of each that is left, and undoes that.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollproof.clients.kube import ApiError, Kube, LostAnswerError
from rollproof.core.labels import MANAGED_BY, OURS, labels_of
from rollproof.core.outside import Outside
from rollproof.core.plan import Plan
from rollproof.errors import RollproofError, RunFolderError
from rollproof.store import folderfiles
from rollproof.store.journal import FolderStore, JournalStore
from rollproof.store.reading import JOURNAL, PLAN

__all__ = ["BothStores", "ClusterStore", "StoredJournal", "fetch", "journal_store", "stored_journals"]

_PREFIX = "rollproof-journal-"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")  # it becomes the name of a folder, and of an object
_CHANGES_MAX = 700_000  # bytes of a ConfigMap's content after which no change is noted any more (the API takes 1 MiB)
_SIZE_MAX = 1_000_000  # and after which nothing is; what is between is for how the changes end


class ClusterStore:
    """The ConfigMap of one run. `plan` is the text of its plan.json."""

    def __init__(self, kube: Kube, namespace: str, run_id: str, plan: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._run_id = run_id
        self._plan = plan
        self._name = object_name(run_id)
        self._lock = threading.Lock()
        self._version = ""  # of the object as it was written or read last; "": not looked yet, or not there
        self._content = ""
        self._looked = False

    @property
    def place(self) -> str:
        """The object, for messages."""
        return f"ConfigMap/{self._namespace}/{self._name}"

    def append(self, line: Mapping[str, Any]) -> None:
        """Add one line, unless somebody else has written since. RunFolderError: then the change must not be made."""
        text = json.dumps(line, default=str)
        with self._lock:
            try:
                self._look()
                content = f"{self._content}{text}\n"
                size = len(content.encode()) + len(self._plan.encode())
                if size > (_CHANGES_MAX if "args" in line else _SIZE_MAX):
                    raise RunFolderError(f"the undo journal {self.place} is full", "run fewer drills in one run")
                self._version = self._write(content)
                self._content = content
            except ApiError as error:
                other = error.reason in ("Conflict", "AlreadyExists")
                why = "another process has written it since (an undo of this run?)" if other else str(error)
                raise self._unwritten(why) from None
            except RunFolderError:
                raise
            except RollproofError as error:
                raise self._unwritten(str(error)) from None

    def read(self) -> bytes:
        """All lines; nothing if there is no object. Raises what the API says."""
        with self._lock:
            self._look()
            return self._content.encode()

    def delete(self) -> None:
        """Take it away: all of it is undone. ApiError, or that nobody answered."""
        if self._kube.find("ConfigMap", self._namespace, self._name) is not None:
            self._kube.delete("ConfigMap", self._namespace, self._name)

    def _look(self) -> None:
        if self._looked:
            return
        found = self._kube.find("ConfigMap", self._namespace, self._name)
        if found is not None:
            self._version = str(found["metadata"]["resourceVersion"])
            self._content = str((found.get("data") or {}).get(JOURNAL, ""))
        self._looked = True

    def _write(self, content: str) -> str:
        """The new version. An answer that was lost is asked for again: what stands there is as good as an answer."""
        metadata = {"name": self._name, "namespace": self._namespace, "labels": labels_of(self._run_id)}
        data = {"run": self._run_id, PLAN: self._plan, JOURNAL: content}
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        try:
            if self._version:
                metadata["resourceVersion"] = self._version
                made = self._kube.replace("ConfigMap", self._namespace, self._name, body)
            else:
                made = self._kube.create("ConfigMap", self._namespace, body)
        except LostAnswerError:
            found = self._kube.find("ConfigMap", self._namespace, self._name)
            if found is None or (found.get("data") or {}).get(JOURNAL) != content:
                raise
            made = found
        return str(made["metadata"]["resourceVersion"])

    def _unwritten(self, why: str) -> RunFolderError:
        message = f"the undo journal {self.place} cannot be written: {why}; nothing was changed"
        return RunFolderError(message, '`rollproof doctor` asks for its permissions; or journal.store = "folder"')


@dataclass(frozen=True, slots=True)
class BothStores:
    """The run folder's and the cluster's. A change is in both before it is made; the folder's is the one that is read.

    How a change ended is kept in the folder whether or not the cluster takes it: then a later undo finds it done.
    """

    folder: FolderStore
    cluster: ClusterStore

    def append(self, line: Mapping[str, Any]) -> None:
        """RunFolderError if either refuses."""
        first, then = (self.cluster, self.folder) if "args" in line else (self.folder, self.cluster)
        first.append(line)
        then.append(line)

    def read(self) -> bytes:
        """The folder's."""
        return self.folder.read()


def journal_store(folder: Path, plan: Plan, kube: Kube) -> JournalStore:
    """Where the journal of the run in this folder lives, by `journal.store` of its target."""
    own = FolderStore(folder / JOURNAL)
    if plan.target.journal.store != "cluster":
        return own
    text = folderfiles.read_whole(folder / PLAN).decode()
    return BothStores(own, ClusterStore(kube, plan.target.cluster.namespace, plan.run_id, text))


def object_name(run_id: str) -> str:
    """The ConfigMap's name: a DNS subdomain made of the run's."""
    return _PREFIX + re.sub(r"[^a-z0-9-]+", "-", run_id.lower()).strip("-")


@dataclass(frozen=True, slots=True)
class StoredJournal:
    """What a ConfigMap says: the run, its plan.json and its undo.jsonl, none of it believed yet."""

    run_id: str
    plan: str
    journal: str


def stored_journals(kube: Kube, namespace: str) -> Iterator[StoredJournal]:
    """Every journal that is left in the namespace. What has no run's name is none of ours, and is passed over."""
    for item in kube.list("ConfigMap", namespace, labels=f"{MANAGED_BY}={OURS}")["items"]:
        name = str(item["metadata"]["name"])
        data = Outside.of(item, f"ConfigMap/{namespace}/{name}").child("data")
        run_id = data.text("run")
        if _RUN_ID.fullmatch(run_id) and object_name(run_id) == name:
            yield StoredJournal(run_id, data.text(PLAN), data.text(JOURNAL))


def fetch(stored: StoredJournal, reports: Path) -> Path:
    """Make a run folder of it, from which the run can be undone. RunFolderError if the disk refuses."""
    folder = reports / stored.run_id
    try:
        folderfiles.make_folder(folder)
    except OSError as error:  # one that is there already is not touched
        raise _unmade(folder, error) from None
    try:
        folderfiles.write_whole(folder / JOURNAL, stored.journal.encode())
        folderfiles.write_whole(folder / PLAN, stored.plan.encode())  # last: without one it is no run folder
    except OSError as error:
        with suppress(OSError):
            (folder / JOURNAL).unlink(missing_ok=True)
            folder.rmdir()  # so that the next try can make it
        raise _unmade(folder, error) from None
    return folder


def _unmade(folder: Path, error: OSError) -> RunFolderError:
    return RunFolderError(f"run folder {folder} cannot be made: {error.strerror}", "choose another --reports folder")
