"""Reading a run folder: the plan, the timeline and the rest, as they were stored; each checked, none believed.

A folder may come from another machine, another version or a full disk. RunFolderError says what is wrong with it.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import TypeAdapter, ValidationError

from rollproof.core.event import Event, Outcome
from rollproof.core.factshapes import check_fact
from rollproof.core.oldfacts import translated
from rollproof.core.outside import Outside, parsed, shown
from rollproof.core.plan import SCHEMA, Plan
from rollproof.errors import RunFolderError
from rollproof.store import folderfiles
from rollproof.target.rules import broken_rules

__all__ = [
    "ENVIRONMENT", "JOURNAL", "PLAN", "TIMELINE", "UNDAMAGED", "UNDO", "VERDICTS", "DamagedError", "check_rules",
    "event_of", "good_events", "next_seq", "of_drill", "read_environment", "read_json", "read_plan", "read_timeline",
]  # fmt: skip

PLAN, TIMELINE, ENVIRONMENT, VERDICTS = "plan.json", "timeline.jsonl", "environment.json", "verdicts.json"
JOURNAL = "undo.jsonl"
UNDO = "undo"  # the drill that is stamped on everything after the last drill: putting back, and looking whether it is
_JSON_MAX = 16 << 20  # bytes of plan, environment or verdicts
UNDAMAGED = "judge an undamaged copy of the folder"
_OUTCOMES = {str(outcome) for outcome in Outcome}
_EVENTS_MAX = 200_000  # of a timeline; a run of an hour has about ten thousand
_SPAN_MAX_S = 7 * 86400.0  # no run lasts for longer: each of its waits has a deadline of a day at most
_DRILL = re.compile(r"(?!undo$)[a-z][a-z0-9-]{0,40}")  # also a part of file names
_WATCHED = frozenset({"Pod", "ReplicaSet", "Deployment", "EndpointSlice", "Application"})  # all the time of a run
_EVENT_KEYS = {field.name for field in fields(Event)}


class DamagedError(RunFolderError):
    """A file of the folder that does not say what it must."""

    def __init__(self, message: str, hint: str = UNDAMAGED) -> None:
        super().__init__(message, hint)


@cache  # making one takes longer than reading a plan
def _plan_shape() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)


def _no_folder(path: Path) -> RunFolderError:
    if not os.path.lexists(path):
        return RunFolderError(
            f"run folder {path} does not exist", f"`ls {shlex.quote(str(path.parent))}` shows the runs"
        )
    of_run = os.path.lexists(path.parent / PLAN)  # report.html, as the console names it
    hint = f"it is a file of the run {path.parent}: name that" if of_run else "name the folder that a run has made"
    return RunFolderError(f"{path} is no run folder, but a file", hint)


def read_plan(path: Path) -> Plan:
    """plan.json of the folder `path`."""
    try:
        is_empty = not any(path.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        raise _no_folder(path) from None
    except OSError as error:
        raise RunFolderError(f"run folder {path} cannot be read: {error.strerror}", "is this folder yours?") from None
    if is_empty:
        raise RunFolderError(f"run folder {path} is empty")
    if not os.path.lexists(path / PLAN):
        raise RunFolderError(f"{path} is no run folder: it has no {PLAN}")
    document = read_json(path / PLAN)
    schema = Outside.of(document, str(path / PLAN), error=DamagedError).integer("schema", SCHEMA)
    if schema < 1:
        raise DamagedError(f"{path / PLAN} is damaged: schema: a whole number from 1 on was expected")
    if schema > SCHEMA:
        message = f"{path} was written by a newer rollproof (schema {schema}); this one knows up to {SCHEMA}"
        raise RunFolderError(message, "upgrade rollproof")
    try:
        return _plan_shape().validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        seen = f", not {shown(first['input'])}" if first["type"] != "missing" else ""
        raise DamagedError(f"{path / PLAN} is damaged: {place}: {first['msg']}{seen}") from None


def check_rules(path: Path, plan: Plan) -> None:
    """RunFolderError unless the stored plan obeys the rules of a target file: no setting without sense decides.

    An undo does without: nothing of these settings keeps anybody from putting things back.
    """
    mistakes = [f"{mistake.place}: {mistake.text}" for mistake in broken_rules(plan.target, stored=True)]
    mistakes += [f"drills: {name!r} is no name of a drill" for name in plan.drills if not _DRILL.fullmatch(name)]
    if mistakes:
        raise RunFolderError(f"{path} is damaged: {mistakes[0]}", UNDAMAGED)


def next_seq(path: Path) -> int:
    """The next event's number. Half a line, left by a machine that died, is cut off: it was never recorded."""
    if not os.path.lexists(path):
        return 1
    content = folderfiles.read_whole(path)
    if content and not content.endswith(b"\n"):
        with io.FileIO(folderfiles.open_append(path), "ab") as stream:
            stream.truncate(content.rfind(b"\n") + 1)
    return content.count(b"\n") + 1


def good_events(path: Path, *, source: str = "") -> list[Event]:
    """Every event that can be read, whatever is wrong with the others; with `source` only those of it, soon."""
    events = []
    for line in folderfiles.read_whole(path).split(b"\n") if os.path.lexists(path) else ():
        with suppress(RunFolderError):
            if source.encode() in line:
                events.append(_stored_event(line, str(path)))
    return [event for event in events if source in ("", event.source)]


def of_drill(events: tuple[Event, ...], drill: str) -> tuple[Event, ...]:
    """The drill's events, those of no drill, what was so as it began, and what was noted later but was so in it.

    What was noted later: a gap of a watch that ended after it, and a lock that was lost before its end: once lost, it
    stays so.
    """
    own = [event for event in events if event.drill == drill]
    begun_s = own[0].start_s if own else float("inf")
    until_s = max((event.end_s for event in own), default=float("-inf"))

    def concerns(event: Event) -> bool:
        noted = (event.source, event.what)
        if noted == ("run", "lost"):
            return event.start_s < until_s
        return noted == ("watch", "gap") and begun_s < event.end_s and event.start_s < until_s

    outdated, left = _left_behind([event for event in events if own and event.seq < own[0].seq])
    found = [event for event in events if event.drill in {drill, ""} or concerns(event)]
    kept = [event for event in found if event.seq not in outdated]
    return tuple(sorted((*kept, *left), key=lambda event: event.seq))


def _left_behind(before: list[Event]) -> tuple[set[int], list[Event]]:
    """Of what drills before this one have changed: what the first lists said of it, which is outdated (by seq), and
    how they left it, as facts of a first list. Without these a pod that was restarted then seems to be restarted now.
    """
    told: dict[str, list[Event]] = {}
    for event in before:
        if event.source == "watch" and event.what != "gap":
            told.setdefault(event.subject, []).append(event)
    changed = [of_one for of_one in told.values() if of_one[-1].drill]
    outdated = {event.seq for of_one in changed for event in of_one}
    there = [of_one[-1] for of_one in changed if of_one[-1].what != "deleted" and _is_watched_on(of_one[-1])]
    return outdated, [replace(event, data={**event.data, "initial": True}) for event in there]


def _is_watched_on(event: Event) -> bool:
    """Whether its watch goes on between drills; those that a fault opens for its own objects end with it."""
    kind = event.subject.partition("/")[0]
    beside = kind == "Pod" and event.data.get("member") is False and not event.data.get("in_service")
    return kind in _WATCHED and not beside


def read_timeline(path: Path) -> list[Event]:
    """Every event, without a gap. Half a line at the end, left by a run that was killed, was never recorded."""
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
                raise RunFolderError(message, UNDAMAGED)
            events.append(event)
            if len(events) > _EVENTS_MAX:
                message = f"{path} has more than {_EVENTS_MAX} events, which is more than is judged"
                raise RunFolderError(message, "no run of ours is that long: is it damaged?")
    if not events:
        raise RunFolderError(f"{path} is empty: there are no facts to judge")
    first_s, last_s = min(event.start_s for event in events), max(event.end_s for event in events)
    if last_s - first_s > _SPAN_MAX_S:
        message = f"{path} is damaged: from its first fact to its last it is {(last_s - first_s) / 86400:.3g} days"
        raise RunFolderError(message, UNDAMAGED)
    return events


def _whole_lines(path: Path) -> BinaryIO:
    try:
        return folderfiles.open_regular(path)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror}", UNDAMAGED) from None


def _stored_event(line: bytes, who: str) -> Event:
    """An event as it was stored, each of its fields of the type that it must be."""
    row = Outside.of(parsed(line, who, error=DamagedError), who, error=DamagedError)
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
    check_fact(event, who, error=DamagedError)
    return event


def event_of(line: Mapping[str, Any]) -> Event:
    """An event of a line that this process has just written."""
    known = {key: value for key, value in line.items() if key in _EVENT_KEYS}
    return Event(**{**known, "outcome": Outcome(known["outcome"])})


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object."""
    try:
        content = folderfiles.read_whole(path, size_max=_JSON_MAX)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror}", UNDAMAGED) from None
    return dict(Outside.of(parsed(content, str(path), error=DamagedError), str(path), error=DamagedError).value)


def read_environment(path: Path) -> Mapping[str, Any]:
    """environment.json; its parts are shown as they are, but for those whose shape a reader counts on."""
    document = read_json(path)
    whole = Outside.of(document, str(path), error=DamagedError)
    for part in ("packages", "host", "clock"):
        whole.child(part)
    whole.table("packages")
    if not isinstance(document.get("kubernetes"), str | None):
        whole.refuse("kubernetes", "a string")
    return document
