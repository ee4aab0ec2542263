"""The undo journal: what has to be put back is on the disk before anything is changed.

An entry is data (a kind and its arguments), so that any later process can replay it; the handler of each kind lives
with the code that makes the change. Replay runs in reverse, goes on after a failing entry, and may run any number of
times. Handlers compare before they set: what somebody else changed after us is left alone and reported.

Unknown is not "no": a change that nobody answered may have been made, or may still be. Its entry counts as not made
only after a second look, when no server can hold the request any more.
Must never hold code, and never a secret.
"""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from rollproof.core.event import Event, Outcome, Recorder
from rollproof.core.journal import CHECK, ENDS, Entry, Record, missing_entries, read_journal
from rollproof.errors import CannotJudgeError, RollproofError, RunFolderError
from rollproof.redaction import SECRETS, texts_of
from rollproof.store import folderfiles

__all__ = ["DEAD_MAN", "Entry", "FolderStore", "Handler", "Journal", "JournalStore", "Late", "Undone", "replay"]

_OUTCOMES = {
    "done": Outcome.OK, "not-needed": Outcome.OK, "left": Outcome.UNKNOWN,
    "unknown": Outcome.UNKNOWN, "failed": Outcome.FAIL,
}  # fmt: skip
DEAD_MAN = "dead-man"  # the kind of an entry for what undoes a fault in our absence: ended last, when all is undone
_LONG_AGO_S = 1.0
_SIZE_MAX = 64 << 20  # bytes of a journal


@dataclass(frozen=True, slots=True)
class Undone:
    """How an undo ended: `how` is done, not-needed, left, unknown or failed; the rest explains it.

    `kept`: the change stays on purpose, as the plan says.
    """

    how: str
    reason: str = ""
    expected: Any = None
    found: Any = None
    kept: bool = False


Handler = Callable[[Mapping[str, Any]], Undone]


@dataclass(frozen=True, slots=True)
class Late:
    """For how long a request that nobody answered may still be carried out, and since when none was sent.

    `after_s`: `undo.late_s` of the target. `quiet_s`: wall clock, seconds since 1970; 0: for long enough.
    """

    after_s: float = 0.0
    quiet_s: float = 0.0
    status: Callable[[str], None] = lambda _: None

    def left_s(self, entry: Entry) -> float:
        """Seconds until nothing can come any more; at most `after_s`, whatever the clocks say."""
        now_s = time.time()
        return max(0.0, min(self.after_s, (entry.gave_up_s or self.quiet_s) + self.after_s - now_s))


class JournalStore(Protocol):
    """Where entries live. Append must be durable when it returns; a folder today, an object in the cluster later."""

    def append(self, line: Mapping[str, Any]) -> None:
        """Store one line for good, or raise."""
        ...

    def read(self) -> bytes:
        """All that was stored, one JSON object a line."""
        ...


@dataclass(slots=True)
class FolderStore:
    """`undo.jsonl` in the run folder: one JSON line an append, synced to the disk."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def append(self, line: Mapping[str, Any]) -> None:
        """Write, flush, fsync. RunFolderError if the disk refuses: then the change must not be made."""
        try:
            with self._lock:
                before = self._end_last_line()
                with io.FileIO(folderfiles.open_append(self.path), "ab") as file:
                    data = before + json.dumps(line, default=str).encode() + b"\n"
                    if file.write(data) != len(data):
                        raise OSError(0, "the disk took only a part of it")  # the next append cuts that off
                    os.fsync(file.fileno())
                self._sync_folder()
        except OSError as error:
            message = f"the undo journal {self.path} cannot be written: {error.strerror}; nothing was changed"
            raise RunFolderError(message, "free the disk or choose another --reports folder") from None

    def read(self) -> bytes:
        """All of it; nothing if there is no journal."""
        if not os.path.lexists(self.path):
            return b""
        return folderfiles.read_whole(self.path, size_max=_SIZE_MAX)

    def _end_last_line(self) -> bytes:
        """Cut off an incomplete last line (its change was never made); a complete one without a line break gets one."""
        content = self.read()
        if not content or content.endswith(b"\n"):
            return b""
        whole = content.rfind(b"\n") + 1
        last = read_journal(content[whole:])
        if last.entries or last.damage:  # it can be read, whatever it says
            return b"\n"
        with self.path.open("rb+") as file:
            file.truncate(whole)
        return b""

    def _sync_folder(self) -> None:
        """A new file is only durable when its folder's entry is."""
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Journal:
    """The changes of one run. `allowed` is asked before each is noted, and raises when none may be made any more."""

    def __init__(self, store: JournalStore, recorder: Recorder, *, allowed: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._recorder = recorder
        self._allowed = allowed
        self._lock = threading.Lock()
        record = read_journal(store.read())
        self._entries = {entry.number: entry for entry in record.entries}
        self._damage = record.damage

    @property
    def record(self) -> Record:
        """All that the journal says now, also what a full disk did not take."""
        with self._lock:
            return Record(tuple(self._entries.values()), self._damage)

    def allow(self) -> None:
        """Raises if nothing may be changed any more (the lock on the target is lost). Asked before each change."""
        self._allowed()

    def write(self, kind: str, subject: str, args: Mapping[str, Any]) -> Entry:
        """Note a change BEFORE it is made. When this returns it survives a crash; when it raises, do not change.

        CannotJudgeError if what undo needs holds a secret: it must be written as it is, and must not be written.
        """
        self.allow()
        if any(SECRETS.holds(text) for _, text in texts_of(args)):
            message = f"{subject} holds the value of a secret, which the undo journal must not; it was not changed"
            raise CannotJudgeError(message, "keep secrets in a Secret; or leave this drift out (drift.trials)")
        return self._write(kind, subject, args)

    def begin_look(self, sha: str) -> Entry:
        """Note that the last look is owed, before anything is put back: `sha` is what should run ("": as git says).

        A look that an earlier process did not end is taken up again. It changes nothing, so a full disk allows it.
        """
        begun = self.open_entries(CHECK)
        if begun:
            return begun[0]
        try:
            return self._write(CHECK, "the app", {"version": sha})
        except RunFolderError:
            entry = self._known(CHECK, "the app", {"version": sha})
            self._tell_written(entry)
            return entry

    def made(self, entry: Entry) -> None:
        """Note that an answer said so: the change was made."""
        self._note(entry, {"made": True}, replace(self._entries[entry.number], made=True))

    def gave_up(self, entry: Entry, *, sent: bool = True) -> None:
        """Note that no answer came, and that nothing more is sent for it; not `sent` at all: nothing can come late."""
        now_s = time.time() if sent else _LONG_AGO_S
        self._note(entry, {"gave_up_s": now_s}, replace(self._entries[entry.number], gave_up_s=now_s))

    def settle(self, entry: Entry, undone: Undone, *, start_s: float | None = None) -> None:
        """Note how an undo ended. After failed or unknown the entry is open: a later `rollproof undo` tries again.

        So it is on the disk if its end cannot be written (it is full): undoing goes on, and a later undo finds it done.
        """
        told: dict[str, Any] = {"reason": undone.reason, "expected": undone.expected, "found": undone.found}
        told |= {"kept": True} if undone.kept else {}
        now = self._entries[entry.number]
        ended = undone.how in ENDS
        now = replace(now, state=undone.how if ended else "open", tried="" if ended else undone.how, **told)
        self._note(entry, {"state": undone.how, **told}, now)
        self._tell(now, undone.how, start_s)

    def tell_missing(self, events: Iterable[Event]) -> tuple[str, ...]:
        """Tell the timeline what an earlier process wrote here and did not live to tell there.

        Returns what is wrong with the journal, also what the timeline alone knows.
        """
        told: dict[str, str] = {}
        events = tuple(events)
        for event in events:
            if event.source == "undo":
                told[event.subject] = event.what
        for entry in self.record.entries:
            if entry.name not in told:
                self._tell_written(entry)
            if entry.state != "open" and told.get(entry.name) != entry.state:
                self._tell(entry, entry.state, None)
        self._damage += missing_entries(self.record, events)
        return self._damage

    def kinds(self) -> frozenset[str]:
        """The kinds of all changes that were ever journalled, undone or not."""
        return frozenset(entry.kind for entry in self._entries.values() if entry.kind != CHECK)

    def current(self, entry: Entry) -> Entry:
        """The entry as the journal has it now: an older copy does not know that the change was made or undone since."""
        with self._lock:
            return self._entries[entry.number]

    def open_entries(self, kind: str = "") -> list[Entry]:
        """What still has to be undone, newest first."""
        entries = [entry for entry in self._entries.values() if entry.state == "open"]
        return [entry for entry in reversed(entries) if not kind or entry.kind == kind]

    # -- inside -------------------------------------------------------------------------------------------------

    def _write(self, kind: str, subject: str, args: Mapping[str, Any]) -> Entry:
        with self._lock:
            entry = Entry(max(self._entries, default=0) + 1, kind, subject, args)
            line = {"number": entry.number, "kind": kind, "subject": subject, "args": args, "wall_s": time.time()}
            self._store.append(line)
            self._entries[entry.number] = entry
        self._tell_written(entry)
        return entry

    def _known(self, kind: str, subject: str, args: Mapping[str, Any]) -> Entry:
        """An entry that only this process knows."""
        with self._lock:
            entry = Entry(max(self._entries, default=0) + 1, kind, subject, args)
            self._entries[entry.number] = entry
        return entry

    def _note(self, entry: Entry, said: Mapping[str, Any], now: Entry) -> None:
        with self._lock:
            with suppress(RunFolderError):
                self._store.append({"number": entry.number, **SECRETS.value(said), "wall_s": time.time()})
            self._entries[entry.number] = now

    def _tell_written(self, entry: Entry) -> None:
        """Without the arguments: what is needed to put things back is nobody else's to read."""
        self._recorder.record("undo", entry.name, "written", data={"object": entry.subject})

    def _tell(self, entry: Entry, how: str, start_s: float | None) -> None:
        data = {"object": entry.subject, "reason": entry.reason, "expected": entry.expected, "found": entry.found}
        data |= {"kept": True} if entry.kept else {}
        end_s = time.monotonic() if start_s is not None else None
        self._recorder.record(
            "undo", entry.name, how, outcome=_OUTCOMES[how], start_s=start_s, end_s=end_s, data=data
        )  # fmt: skip


def replay(
    journal: Journal, handlers: Mapping[str, Handler], *, later: frozenset[str] = frozenset(), late: Late = Late(),
    entries: Sequence[Entry] | None = None,
) -> list[tuple[Entry, Undone]]:  # fmt: skip
    """Undo every open entry (or these), newest first, all of them even if one fails; the kinds in `later` stay open.

    A change that nobody answered and that is not there is looked for again, after all the others, when it cannot come
    any more.
    """
    ended: list[tuple[Entry, Undone]] = []
    again: list[Entry] = []
    for entry in journal.open_entries() if entries is None else map(journal.current, entries):
        if entry.kind in later or entry.kind == CHECK:
            continue
        undone = _undo_one(entry, handlers)
        if undone.how == "not-needed" and not entry.made and late.left_s(entry) > 0:
            reason = f"{undone.reason}; but nobody answered when it was asked for, so it may still come"
            journal.settle(entry, Undone("unknown", reason))
            again.append(entry)
            continue
        journal.settle(entry, undone)
        ended.append((entry, undone))
    for entry in again:
        while (left_s := late.left_s(entry)) > 0:
            late.status(f"{entry.subject}: nobody answered when it was asked for; it is looked for again")
            time.sleep(left_s)
        undone = _undo_one(entry, handlers)
        if undone.how == "not-needed":
            reason = f"{undone.reason}: not made, as seen {late.after_s:g} s after it was asked for without an answer"
            undone = replace(undone, reason=reason)
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
