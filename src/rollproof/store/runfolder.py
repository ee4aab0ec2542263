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
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from pydantic import TypeAdapter, ValidationError

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.factshapes import check_fact
from rollproof.core.journal import Record, read_journal
from rollproof.core.oldfacts import translated
from rollproof.core.outside import Outside, parsed, shown
from rollproof.core.plan import SCHEMA, Plan
from rollproof.core.requests import LAYOUT, RequestLog
from rollproof.core.verdict import Result, Verdict
from rollproof.errors import CannotJudgeError, InputError, RunFolderError
from rollproof.redaction import SECRETS, texts_of
from rollproof.store import folderfiles, manifest, requestlog
from rollproof.store.folderfiles import FolderLock
from rollproof.target.rules import broken_rules

__all__ = ["JOURNAL", "UNDO", "RunFolder", "UnwritableError", "new_run_id"]

PLAN, TIMELINE, ENVIRONMENT, VERDICTS = "plan.json", "timeline.jsonl", "environment.json", "verdicts.json"
JOURNAL = "undo.jsonl"
UNDO = "undo"  # the drill that is stamped on everything after the last drill: putting back, and looking whether it is
_JSON_MAX = 16 << 20  # bytes of plan, environment or verdicts
_UNDAMAGED = "judge an undamaged copy of the folder"
_OUTCOMES = {str(outcome) for outcome in Outcome}
_EVENTS_MAX = 200_000  # of a timeline; a run of an hour has about ten thousand
_SPAN_MAX_S = 7 * 86400.0  # no run lasts for longer: each of its waits has a deadline of a day at most
_DRILL = re.compile(r"(?!undo$)[a-z][a-z0-9-]{0,40}")  # also a part of file names
_EVENT_KEYS = {field.name for field in fields(Event)}


class _Damaged(RunFolderError):  # noqa: N818 - what `parsed` and `Outside` raise here; for the user a RunFolderError
    """A file of the folder that does not say what it must."""

    def __init__(self, message: str, hint: str = _UNDAMAGED) -> None:
        super().__init__(message, hint)


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
        self, path: Path, plan: Plan, listener: Callable[[Event], None] | None = None, events: Iterable[Event] = ()
    ) -> None:
        self.path = path
        self.plan = plan
        self.drill = ""
        self._listener = listener
        self._events = list(events)
        self._next_seq = _end_of_timeline(path / TIMELINE)
        self._lock = threading.RLock()
        self._recorder: int | None = None  # the thread that is between writing an event and knowing it
        self._timeline: io.FileIO | None = None
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
            raise RunFolderError(f"run folder {path} exists already", "every run gets a folder of its own") from None
        except OSError as error:
            raise RunFolderError(f"run folder {path} cannot be made: {error.strerror}") from None
        folder = cls(path, plan, listener)
        folder.lock = FolderLock.take(path, f"the run {plan.run_id}", new=True)
        folder.write_json(PLAN, asdict(plan))
        try:
            manifest.mark(path, PLAN)
        except OSError as error:
            raise UnwritableError(path, error) from None
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
            event = _event(json.loads(line))  # what is judged now is what the file says, and is judged later
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
        self, verdicts: Iterable[Verdict], *, result: Result, exit_code: int, undo: str, target_kind: str
    ) -> None:
        """verdicts.json; the number of events lets a later reader notice that some were lost."""
        self.write_json(
            VERDICTS,
            {
                "schema": SCHEMA, "run": self.plan.run_id, "result": result, "exit_code": exit_code, "undo": undo,
                "target_kind": target_kind, "events": self._next_seq - 1, "verdicts": [asdict(v) for v in verdicts],
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
    def open(cls, path: Path, *, listener: Callable[[Event], None] | None = None) -> Self:
        """Read a folder. RunFolderError says what is wrong with it: missing, empty, cut off or of a newer version.

        Whoever writes reports into it owns it first: `FolderLock.take`.
        """
        plan = _read_plan(path)
        _check_rules(path / PLAN, plan)
        events = _read_timeline(path / TIMELINE)
        stored = _read_json(path / VERDICTS) if os.path.lexists(path / VERDICTS) else {}
        expected = Outside.of(stored, str(path / VERDICTS), error=_Damaged).count("events")
        if len(events) < expected:
            message = f"{path / TIMELINE} is cut off: {len(events)} of {expected} events are left"
            raise RunFolderError(message, "judge an undamaged copy of the folder")
        return cls(path, plan, listener, events)

    @classmethod
    def open_for_undo(cls, path: Path, *, listener: Callable[[Event], None] | None = None) -> Self:
        """The plan, and the facts that can be read: a damaged timeline must not keep anybody from putting things back.

        LockedError while the run itself, another undo or a judge is at work in the folder.
        """
        plan = _read_plan(path)
        lock = FolderLock.take(path, f"the undo of {plan.run_id}")
        try:
            folder = cls(path, plan, listener, _good_events(path / TIMELINE))
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
            events = _of_drill(events, drill)
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
        return _read_environment(path) if os.path.lexists(path) else {}

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
            return requestlog.read(path)
        except requestlog.OtherLayoutError as error:
            raise RunFolderError(f"{path} cannot be read: {error}", "judge it with the version that wrote it") from None
        except FileNotFoundError:
            raise RunFolderError(f"{path} does not exist: the drill {drill!r} ran no load") from None
        except requestlog.DAMAGED as error:
            raise RunFolderError(f"{path} is damaged: {error}", "judge an undamaged copy of the folder") from None

    def _requests_path(self, drill: str) -> Path:
        return self.path / f"requests-{drill}.npz"


def _read_plan(path: Path) -> Plan:
    if not path.is_dir():
        raise RunFolderError(f"run folder {path} does not exist", "`ls reports/` shows the runs")
    if not any(path.iterdir()):
        raise RunFolderError(f"run folder {path} is empty")
    if not os.path.lexists(path / PLAN):
        raise RunFolderError(f"{path} is no run folder: it has no {PLAN}")
    document = _read_json(path / PLAN)
    schema = Outside.of(document, str(path / PLAN), error=_Damaged).integer("schema", SCHEMA)
    if schema < 1:
        raise _Damaged(f"{path / PLAN} is damaged: schema: a whole number from 1 on was expected")
    if schema > SCHEMA:
        message = f"{path} was written by a newer rollproof (schema {schema}); this one knows up to {SCHEMA}"
        raise RunFolderError(message, "upgrade rollproof")
    try:
        return TypeAdapter(Plan).validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        seen = f", not {shown(first['input'])}" if first["type"] != "missing" else ""
        raise _Damaged(f"{path / PLAN} is damaged: {place}: {first['msg']}{seen}") from None


def _check_rules(path: Path, plan: Plan) -> None:
    """RunFolderError unless the stored plan obeys the rules of a target file: no setting without sense decides.

    An undo does without: nothing of these settings keeps anybody from putting things back.
    """
    mistakes = [f"{mistake.place}: {mistake.text}" for mistake in broken_rules(plan.target)]
    mistakes += [f"drills: {name!r} is no name of a drill" for name in plan.drills if not _DRILL.fullmatch(name)]
    if mistakes:
        raise RunFolderError(f"{path} is damaged: {mistakes[0]}", _UNDAMAGED)


def _end_of_timeline(path: Path) -> int:
    """The next event's number. Half a line, left by a machine that died, is cut off: it was never recorded."""
    if not os.path.lexists(path):
        return 1
    content = folderfiles.read_whole(path)
    if content and not content.endswith(b"\n"):
        with io.FileIO(folderfiles.open_append(path), "ab") as stream:
            stream.truncate(content.rfind(b"\n") + 1)
    return content.count(b"\n") + 1


def _good_events(path: Path) -> list[Event]:
    """Every event that can be read, whatever is wrong with the others."""
    events = []
    for line in folderfiles.read_whole(path).split(b"\n") if os.path.lexists(path) else ():
        with suppress(RunFolderError):
            events.append(_stored_event(line, str(path)))
    return events


def _of_drill(events: tuple[Event, ...], drill: str) -> tuple[Event, ...]:
    """The drill's events, those of no drill, and what was noted later but was so in the drill already.

    That is a gap of a watch that ended after it, and a lock that was lost before its end: once lost, it stays so.
    """
    own = [event for event in events if event.drill == drill]
    begun_s = own[0].start_s if own else float("inf")
    until_s = max((event.end_s for event in own), default=float("-inf"))

    def concerns(event: Event) -> bool:
        noted = (event.source, event.what)
        if noted == ("run", "lost"):
            return event.start_s < until_s
        return noted == ("watch", "gap") and begun_s < event.end_s and event.start_s < until_s

    return tuple(event for event in events if event.drill in {drill, ""} or concerns(event))


def _read_timeline(path: Path) -> list[Event]:
    if not os.path.lexists(path):
        raise RunFolderError(f"{path} is missing: there are no facts to judge")
    events: list[Event] = []
    with _whole_lines(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                break  # it was being written when the run was killed: never recorded
            event = _stored_event(line, f"{path} line {number}")
            if event.seq != len(events) + 1:
                message = f"{path} line {number} has event {event.seq}, expected {len(events) + 1}: lines are missing"
                raise RunFolderError(message, "judge an undamaged copy of the folder")
            events.append(event)
            if len(events) > _EVENTS_MAX:
                message = f"{path} has more than {_EVENTS_MAX} events, which is more than is judged"
                raise RunFolderError(message, "no run of ours is that long: is it damaged?")
    if not events:
        raise RunFolderError(f"{path} is empty: there are no facts to judge")
    first_s, last_s = min(event.start_s for event in events), max(event.end_s for event in events)
    if last_s - first_s > _SPAN_MAX_S:
        message = f"{path} is damaged: from its first fact to its last it is {(last_s - first_s) / 86400:.3g} days"
        raise RunFolderError(message, _UNDAMAGED)
    return events


def _whole_lines(path: Path) -> BinaryIO:
    try:
        return folderfiles.open_regular(path)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror}", _UNDAMAGED) from None


def _stored_event(line: bytes, who: str) -> Event:
    """An event as it was stored, each of its fields of the type that it must be."""
    row = Outside.of(parsed(line, who, error=_Damaged), who, error=_Damaged)
    outcome, what = row.needed("outcome"), row.needed("what")
    if outcome not in _OUTCOMES:  # as much a fact that this version does not know as another word would be
        outcome, what = Outcome.UNKNOWN, f"{what} (outcome {outcome})"
    for name in ("seq", "start_s", "end_s"):
        if not row.has(name):
            row.refuse(name, "a number")
    event = Event(
        seq=row.count("seq"), start_s=row.real("start_s"), end_s=row.real("end_s"), wall=row.text("wall"),
        drill=row.text("drill"), source=row.needed("source"), subject=row.needed("subject"), what=what,
        outcome=Outcome(outcome), data=translated(row.child("data").value),
    )  # fmt: skip
    check_fact(event, who, error=_Damaged)
    return event


def _plain(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in Event.__slots__}


def _event(line: Mapping[str, Any]) -> Event:
    known = {key: value for key, value in line.items() if key in _EVENT_KEYS}
    return Event(**{**known, "outcome": Outcome(known["outcome"])})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = folderfiles.read_whole(path, size_max=_JSON_MAX)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror}", _UNDAMAGED) from None
    return dict(Outside.of(parsed(content, str(path), error=_Damaged), str(path), error=_Damaged).value)


def _read_environment(path: Path) -> Mapping[str, Any]:
    """environment.json; its parts are shown as they are, but for those whose shape a reader counts on."""
    document = _read_json(path)
    whole = Outside.of(document, str(path), error=_Damaged)
    for part in ("packages", "host", "clock"):
        whole.child(part)
    whole.table("packages")
    if not isinstance(document.get("kubernetes"), str | None):
        whole.refuse("kubernetes", "a string")
    return document


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
