"""The undo journal: what has to be put back is on the disk before anything is changed.

An entry is data (a kind and its arguments), so that any later process can replay it; the handler of each kind lives
with the code that does the deed. Replay runs in reverse, goes on after a failing entry, and may run any number of
times. Handlers compare before they set: what somebody else changed after us is left alone and reported.
Must never hold code, and never a secret.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rollproof.core.event import Outcome, Recorder
from rollproof.errors import CannotJudgeError, RollproofError, RunFolderError
from rollproof.redaction import SECRETS, texts_of

__all__ = ["Entry", "FolderStore", "Handler", "Journal", "JournalStore", "Undone", "replay"]

_OUTCOMES = {"done": Outcome.OK, "not-needed": Outcome.OK, "left": Outcome.UNKNOWN, "failed": Outcome.FAIL}


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: its number, the kind that names its handler, what the handler needs, and "open" or how it ended."""

    number: int
    kind: str
    subject: str
    args: Mapping[str, Any]
    state: str = "open"

    @property
    def name(self) -> str:
        """The entry's subject on the timeline."""
        return f"Undo/{self.number}-{self.kind}"


@dataclass(frozen=True, slots=True)
class Undone:
    """How an undo ended: `how` is done, not-needed, left or failed; the rest explains it.

    `kept`: the change stays on purpose, as the plan says.
    """

    how: str
    reason: str = ""
    expected: Any = None
    found: Any = None
    kept: bool = False


Handler = Callable[[Mapping[str, Any]], Undone]


class JournalStore(Protocol):
    """Where entries live. Append must be durable when it returns; a folder today, an object in the cluster later."""

    def append(self, line: Mapping[str, Any]) -> None:
        """Store one line for good, or raise."""
        ...

    def read(self) -> Sequence[Mapping[str, Any]]:
        """All lines in order; a last line that was cut off by a crash is left out."""
        ...


@dataclass(slots=True)
class FolderStore:
    """`undo.jsonl` in the run folder: one JSON line an append, synced to the disk."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def append(self, line: Mapping[str, Any]) -> None:
        """Write, flush, fsync. RunFolderError if the disk refuses: then the deed must not be done."""
        try:
            with self._lock:
                self._drop_torn_line()
                with self.path.open("ab") as file:
                    file.write(json.dumps(line, default=str).encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                self._sync_folder()
        except OSError as error:
            message = f"the undo journal {self.path} cannot be written: {error.strerror}; nothing was changed"
            raise RunFolderError(message, "free the disk or choose another --reports folder") from None

    def read(self) -> Sequence[Mapping[str, Any]]:
        """All whole lines; none if there is no journal."""
        if not self.path.is_file():
            return ()
        *whole, _torn = self.path.read_bytes().split(b"\n")
        lines: list[Mapping[str, Any]] = []
        for number, text in enumerate(whole, 1):
            try:
                lines.append(json.loads(text))
            except ValueError:
                message = f"{self.path} line {number} is not JSON"
                raise RunFolderError(message, "look at it by hand: it says what was changed") from None
        return lines

    def _drop_torn_line(self) -> None:
        """Cut off what a crash left of a last line: its append never returned, so its deed was never done."""
        if not self.path.is_file():
            return
        with self.path.open("rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)

    def _sync_folder(self) -> None:
        """A new file is only durable when its folder's entry is."""
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Journal:
    """The open changes of one run."""

    def __init__(self, store: JournalStore, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder
        self._lock = threading.Lock()
        self._entries: dict[int, Entry] = {}
        for line in store.read():
            if "args" in line:
                number = int(line["number"])
                self._entries[number] = Entry(number, line["kind"], line["subject"], line["args"])
            elif int(line["number"]) in self._entries:
                number = int(line["number"])
                old = self._entries[number]
                self._entries[number] = Entry(number, old.kind, old.subject, old.args, str(line["state"]))

    def write(self, kind: str, subject: str, args: Mapping[str, Any]) -> Entry:
        """Note a change BEFORE it is made. When this returns it survives a crash; when it raises, do not change.

        CannotJudgeError if what undo needs holds a secret: it must be written as it is, and must not be written.
        """
        if any(SECRETS.holds(text) for _, text in texts_of(args)):
            message = f"{subject} holds the value of a secret, which the undo journal must not; it was not changed"
            raise CannotJudgeError(message, "keep secrets in a Secret; or leave this drift out (drift.trials)")
        with self._lock:
            entry = Entry(max(self._entries, default=0) + 1, kind, subject, args)
            self._store.append({key: value for key, value in asdict(entry).items() if key != "state"})
            self._entries[entry.number] = entry
        self._recorder.record("undo", entry.name, "written", data={"object": subject, "args": dict(args)})
        return entry

    def settle(self, entry: Entry, undone: Undone) -> None:
        """Note how an entry ended. A failed one stays open: a later `rollproof undo` tries it again.

        So does one whose end cannot be written (the disk is full): undoing goes on, and a later undo finds it done.
        """
        with self._lock:
            if undone.how != "failed":
                with suppress(RunFolderError):
                    self._store.append({"number": entry.number, "state": undone.how})
                self._entries[entry.number] = Entry(entry.number, entry.kind, entry.subject, entry.args, undone.how)
        data = {"object": entry.subject, "reason": undone.reason, "expected": undone.expected, "found": undone.found}
        data |= {"kept": True} if undone.kept else {}
        self._recorder.record("undo", entry.name, undone.how, outcome=_OUTCOMES[undone.how], data=data)

    def kinds(self) -> frozenset[str]:
        """The kinds of all changes that were ever journalled, undone or not."""
        return frozenset(entry.kind for entry in self._entries.values())

    def open_entries(self, kind: str = "") -> list[Entry]:
        """What still has to be undone, newest first."""
        entries = [entry for entry in self._entries.values() if entry.state == "open"]
        return [entry for entry in reversed(entries) if not kind or entry.kind == kind]


def replay(
    journal: Journal, handlers: Mapping[str, Handler], *, later: frozenset[str] = frozenset()
) -> list[tuple[Entry, Undone]]:
    """Undo every open entry, newest first, all of them even if one fails; the kinds in `later` are left open."""
    ended: list[tuple[Entry, Undone]] = []
    for entry in journal.open_entries():
        if entry.kind in later:
            continue
        undone = _undo_one(entry, handlers)
        journal.settle(entry, undone)
        ended.append((entry, undone))
    return ended


def _undo_one(entry: Entry, handlers: Mapping[str, Handler]) -> Undone:
    handler = handlers.get(entry.kind)
    if handler is None:
        return Undone("failed", reason=f"this version of rollproof cannot undo {entry.kind!r}")
    try:
        return handler(entry.args)
    except RollproofError as error:
        return Undone("failed", reason=f"{error} {error.hint}".strip())
    except Exception as error:  # noqa: BLE001 - one failing undo must not keep the others from running
        return Undone("failed", reason=f"{type(error).__name__}: {error}")
