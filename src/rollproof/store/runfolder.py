"""RunFolder: the run on disk. It is the Recorder of a live run and the only source of `rollproof judge`.

Append-only while a run lives: an event is on disk before the code that recorded it goes on, so a killed run still tells
what it did. It must never judge, never overwrite a fact, and never let a secret through: every text is redacted on its
way in, before it is serialised. docs/facts.md says which file holds what.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.journal import Record, read_journal
from rollproof.core.outside import Outside
from rollproof.core.plan import SCHEMA, Plan
from rollproof.core.requests import LAYOUT, RequestLog
from rollproof.core.verdict import Result, Verdict
from rollproof.errors import CannotJudgeError, InputError, RunFolderError
from rollproof.redaction import SECRETS, texts_of
from rollproof.store import folderfiles, manifest, requestlog
from rollproof.store.folderfiles import FolderLock
from rollproof.store.reading import (
    ENVIRONMENT,
    JOURNAL,
    PLAN,
    TIMELINE,
    UNDAMAGED,
    UNDO,
    VERDICTS,
    DamagedError,
    check_rules,
    event_of,
    good_events,
    next_seq,
    of_drill,
    read_environment,
    read_json,
    read_plan,
    read_timeline,
)
from rollproof.store.unpacking import Ahead, requests_path

__all__ = ["JOURNAL", "TIMELINE", "UNDO", "RunFolder", "UnwritableError", "new_run_id"]


class UnwritableError(CannotJudgeError):
    """The run folder takes no more: what is not recorded cannot be judged."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"{path} cannot be written: {error.strerror or error}", "free the disk, or choose another --reports folder"
        )


def new_run_id(drills: Iterable[str], *, wall_s: float) -> str:
    """`<utc>-<drill>`, sortable; several drills in one run are called `all`."""
    names = tuple(drills)
    stamp = datetime.fromtimestamp(wall_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{names[0] if len(names) == 1 else 'all'}"


class RunFolder:
    """One run. `create` starts one, `open` reads one; both give an object that can record (an undo is recorded too).

    `drill` is stamped on every event; "" means that the event belongs to the run as a whole. `listener` is told of
    every event after it is on disk.
    """

    def __init__(
        self, path: Path, plan: Plan, listener: Callable[[Event], None] | None = None, events: Iterable[Event] = (),
        read_log: Callable[[Path], RequestLog] = requestlog.read,
    ) -> None:  # fmt: skip
        self.path = path
        self.plan = plan
        self.drill = ""
        self._listener = listener
        self._events = list(events)
        self._next_seq = next_seq(path / TIMELINE)
        self._lock = threading.RLock()
        self._recorder: int | None = None  # the thread that is between writing an event and knowing it
        self._timeline: io.FileIO | None = None
        self._read_log = read_log
        self.journal: Callable[[], Record] | None = None  # of a live run, which knows more than a full disk
        self.lock: FolderLock | None = None  # held until `close` by whoever writes here
        self.unwritable: UnwritableError | None = None  # from when on the timeline goes on in memory only

    # -- a live run ---------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls, path: Path, plan: Plan, *, secrets: Iterable[str] = (), listener: Callable[[Event], None] | None = None
    ) -> Self:
        """Make the folder and write the plan: this happens before anything is touched.

        InputError if the plan would hold a secret: undo and judging need its words as they are.
        """
        SECRETS.add(secrets)
        literal = _literal(plan)
        SECRETS.keep(literal)
        try:
            folderfiles.make_folder(path)
        except FileExistsError:
            hint = "another run was begun in the same second: run it again"
            raise RunFolderError(f"run folder {path} exists already", hint) from None
        except OSError as error:
            message = f"run folder {path} cannot be made: {error.strerror}"
            raise RunFolderError(message, "--reports names the folder for run folders") from None
        try:
            folder = cls(path, plan, listener)
            folder.lock = FolderLock.take(path, f"the run {plan.run_id}", new=True)
            folder.write_json(PLAN, asdict(plan))
            manifest.mark(path, PLAN)
        except BaseException as error:  # a folder without its plan is no run, and would stay for ever
            shutil.rmtree(path, ignore_errors=True)
            if isinstance(error, OSError):
                raise UnwritableError(path, error) from None
            raise
        return folder

    def redact(self, values: Iterable[str]) -> None:
        """From now on none of these values is written, in any form."""
        SECRETS.add(values)

    def redacted(self, text: str) -> str:
        """The text without any known secret."""
        return SECRETS.text(text)

    def record(
        self, source: str, subject: str, what: str, *, outcome: Outcome = Outcome.OK, start_s: float | None = None,
        end_s: float | None = None, data: Mapping[str, Any] | None = None,
    ) -> Event:  # fmt: skip
        """Append one fact; thread safe. On return it is in the file.

        UnwritableError when it cannot be, and for every later fact: then the file ends as if the run had been killed
        there. Putting back goes on all the same, with its facts in memory only.
        """
        now_s = time.monotonic()
        start_s = now_s if start_s is None else start_s
        with self._lock:
            self._recorder = threading.get_ident()
            event = Event(
                seq=self._next_seq,
                start_s=round(start_s, 6),
                end_s=round(start_s if end_s is None else end_s, 6),
                wall=datetime.now(UTC).isoformat(timespec="milliseconds"),
                drill=self.drill,
                source=source,
                subject=SECRETS.text(subject),
                what=what,
                outcome=outcome,
                data=_finite(SECRETS.value(data or {})),
            )
            line = json.dumps(_plain(event), ensure_ascii=False, default=_jsonable)
            event = event_of(json.loads(line))  # what is judged now is what the file says, and is judged later
            self._append(line)
            self._next_seq += 1
            self._events.append(event)
            self._recorder = None
        if self._listener is not None:
            self._listener(event)
        if self.unwritable is not None and self.drill != UNDO:
            raise self.unwritable
        return event

    def recording(self, thread: int | None) -> bool:
        """Whether that thread must not be interrupted now: half a record would leave a hole in the timeline."""
        return self._recorder is not None and self._recorder == thread

    def _append(self, line: str) -> None:
        if self.unwritable is not None:
            return  # a timeline with a hole in it would be worse than one that ends
        path, data = self.path / TIMELINE, _bytes(f"{line}\n")
        try:
            if self._timeline is None:
                self._timeline = io.FileIO(folderfiles.open_append(path), "ab")
            else:
                folderfiles.check_still(path, self._timeline.fileno())
            written = self._timeline.write(data)  # unbuffered: one line is one write, also if we are killed now
            if written == len(data):
                return
            self._timeline.truncate(self._timeline.tell() - written)  # the disk took a part of it
            error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as caught:
            error = caught
        self.unwritable = UnwritableError(path, error)

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """environment.json: versions, settings, host."""
        self.write_json(ENVIRONMENT, environment)

    def write_verdicts(
        self, verdicts: Iterable[Verdict], *, result: Result, exit_code: int, undo: str, target_kind: str,
        causes: Iterable[Mapping[str, object]] = (), faults: Iterable[Mapping[str, object]] = (),
    ) -> None:  # fmt: skip
        """verdicts.json, with the ranked causes, and a row a fault as the reports show it.

        The number of events lets a later reader notice that some were lost.
        """
        self.write_json(
            VERDICTS,
            {
                "schema": SCHEMA, "run": self.plan.run_id, "result": result, "exit_code": exit_code, "undo": undo,
                "target_kind": target_kind, "events": self._next_seq - 1, "verdicts": [asdict(v) for v in verdicts],
                "causes": list(causes), "faults": list(faults),
            },
        )  # fmt: skip

    def write_json(self, name: str, content: object) -> None:
        """A JSON file in the folder, redacted, whole or not at all."""
        text = json.dumps(_finite(SECRETS.value(content)), indent=1, ensure_ascii=False, default=_jsonable)
        self._replace(self.path / name, _bytes(f"{text}\n"))

    def write_text(self, name: str, text: str) -> None:
        """A text file in the folder, redacted, whole or not at all."""
        self._replace(self.path / name, _bytes(self.redacted(text)))

    def write_requests(self, drill: str, log: RequestLog) -> None:
        """The request log of one drill; no pickle, so that a folder from a stranger can be read safely."""
        meta = {name: getattr(log, name) for name in (*requestlog.TABLES, "control")} | {"layout": LAYOUT}
        meta["engine"] = {name: value for name, value in asdict(log.engine).items() if name != "late_ns"}
        text = json.dumps(SECRETS.value(meta), default=_jsonable)
        packed = io.BytesIO()
        np.savez_compressed(packed, rows=log.rows, late_ns=log.engine.late_ns, meta=np.array(text))
        self._replace(self._requests_path(drill), packed.getvalue())

    @staticmethod
    def _replace(path: Path, content: bytes) -> None:
        try:
            folderfiles.write_whole(path, content)
        except OSError as error:
            raise UnwritableError(path, error) from None

    def close(self) -> None:
        """Flush and close the timeline, which recording opens again, and give the folder free."""
        with self._lock:
            if self._timeline is not None:
                self._timeline.close()
                self._timeline = None
            if self.lock is not None:
                self.lock.release()
                self.lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- a stored run -------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path, *, listener: Callable[[Event], None] | None = None, logs: Ahead | None = None) -> Self:
        """Read a folder. RunFolderError says what is wrong with it: missing, empty, cut off or of a newer version.

        Whoever writes reports into it owns it first: `FolderLock.take`. `logs`: its request logs, being unpacked.
        """
        read_log = logs.reader(requestlog.read_for_judging) if logs is not None else requestlog.read
        plan = read_plan(path)
        check_rules(path / PLAN, plan)
        events = read_timeline(path / TIMELINE)
        stored = read_json(path / VERDICTS) if os.path.lexists(path / VERDICTS) else {}
        expected = Outside.of(stored, str(path / VERDICTS), error=DamagedError).count("events")
        if len(events) < expected:
            message = f"{path / TIMELINE} is cut off: {len(events)} of {expected} events are left"
            raise RunFolderError(message, UNDAMAGED)
        return cls(path, plan, listener, events, read_log)

    @classmethod
    def open_for_undo(cls, path: Path, *, listener: Callable[[Event], None] | None = None) -> Self:
        """The plan, and the facts that can be read: a damaged timeline must not keep anybody from putting things back.

        LockedError while the run itself, another undo or a judge is at work in the folder.
        """
        plan = read_plan(path)
        lock = FolderLock.take(path, f"the undo of {plan.run_id}")
        try:
            folder = cls(path, plan, listener, good_events(path / TIMELINE))
        except BaseException:
            lock.release()
            raise
        folder.lock = lock
        return folder

    def made_here(self) -> bool:
        """Whether its plan was made on this machine, and is as it was."""
        return manifest.made_here(self.path, PLAN)

    def events(self) -> tuple[Event, ...]:
        """All events so far, in order."""
        with self._lock:
            return tuple(self._events)

    def facts(self, drill: str) -> Facts:
        """What the checkers see of one drill. `UNDO` comes after all drills and sees every event, but no requests."""
        events = self.events()
        if drill != UNDO:
            events = of_drill(events, drill)
        return Facts(
            plan=self.plan,
            drill=drill,
            events=events,
            requests=self._requests_of(drill, events) if drill != UNDO else None,
            environment=self.environment(),
            journal=self._journal() if drill == UNDO else None,
        )

    def _journal(self) -> Record | None:
        """What undo.jsonl says; None if there is none."""
        if self.journal is not None:
            return self.journal()
        path = self.path / JOURNAL
        return read_journal(folderfiles.read_whole(path)) if os.path.lexists(path) else None

    def environment(self) -> Mapping[str, Any]:
        """environment.json, or nothing if the run did not come that far."""
        path = self.path / ENVIRONMENT
        return read_environment(path) if os.path.lexists(path) else {}

    def _requests_of(self, drill: str, events: Iterable[Event]) -> RequestLog | None:
        if os.path.lexists(self._requests_path(drill)):
            return self.read_requests(drill)
        if any(event.source == "load" and event.what == "stopped" and event.drill == drill for event in events):
            raise RunFolderError(f"{self._requests_path(drill)} is missing, although the drill ran load")
        return None

    def read_requests(self, drill: str) -> RequestLog:
        """The request log of one drill; RunFolderError if it is missing or damaged."""
        path = self._requests_path(drill)
        try:
            return self._read_log(path)
        except requestlog.OtherLayoutError as error:
            raise RunFolderError(f"{path} cannot be read: {error}", "judge it with the version that wrote it") from None
        except FileNotFoundError:
            raise RunFolderError(f"{path} does not exist: the drill {drill!r} ran no load") from None
        except requestlog.DAMAGED as error:
            raise RunFolderError(f"{path} is damaged: {error}", UNDAMAGED) from None

    def _requests_path(self, drill: str) -> Path:
        return requests_path(self.path, drill)


def _plain(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in Event.__slots__}


def _finite(value: Any) -> Any:
    """The value as JSON can say it: what is no finite number is not known."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _jsonable(value: object) -> object:
    """What json does not know by itself: numpy's numbers and arrays, paths, sets."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


def _bytes(text: str) -> bytes:
    """UTF-8; a lone surrogate, which no encoding has, as JSON's escape."""
    return text.encode(errors="backslashreplace")


def _literal(plan: Plan) -> Mapping[str, Any]:
    """What undo and judging need of the plan as it is: all but what touches, injections and skips say about values."""
    literal = {**asdict(plan), "touches": [(touch.drill, touch.subject) for touch in plan.touches]}
    literal["injections"] = [{**asdict(one), "change": "", "undo": ""} for one in plan.injections]
    literal["skips"] = [(skip.drill, skip.fault) for skip in plan.skips]
    for place, text in texts_of(literal):
        if SECRETS.holds(text):
            message = f"{place} of the plan holds a secret's value, so nothing could be recorded without printing it"
            raise InputError(message, "change that secret; nothing was touched")
    return literal
