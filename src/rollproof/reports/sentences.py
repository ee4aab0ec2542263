"""Event -> sentence: turns the vocabulary of docs/facts.md into words for people.

Used by the console, the event table and the timeline's details. It must never fail: an event that it does not know,
or that lacks a field, still gets a sentence (the report of a broken run is needed most).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rollproof.core.counts import many
from rollproof.core.event import Event, Outcome
from rollproof.core.fault import SOURCE, FaultWord

__all__ = ["data_text", "headline", "sentence", "short_sha"]

_SHA_LENGTH = 10
_VALUE_LENGTH = 160


class _Data(dict[str, Any]):
    """Event data for str.format: a missing field reads "?", a full commit sha is cut."""

    def __missing__(self, key: str) -> str:
        return _Word("?")


class _Word(str):
    """A value in a sentence; as `{pods:pod}` it is a count with its noun."""

    __slots__ = ()

    def __format__(self, noun: str) -> str:
        return many(str(self), noun) if noun else str(self)


def short_sha(value: object) -> str:
    """A 40-digit commit is cut for reading; anything else is left as it is."""
    text = str(value)
    if len(text) == 40 and all(digit in "0123456789abcdef" for digit in text):
        return text[:_SHA_LENGTH]
    return text


def data_text(data: Mapping[str, Any]) -> str:
    """The data as `key=value` words, each value cut to a readable length."""
    return " ".join(f"{key}={_value_text(value)}" for key, value in data.items())


def _value_text(value: object) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(data_text(item) if isinstance(item, Mapping) else short_sha(item) for item in value) or "none"
    text = short_sha(value)
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 1] + "…"


# (source, what) -> template over the event's data; {subject} and {took} are added.
_TEMPLATES: Mapping[tuple[str, str], str] = {
    ("run", "settle"): "phase settle took {took}",
    ("run", "baseline"): "phase baseline took {took}",
    ("run", "act"): "phase act took {took}",
    ("run", "recovery"): "phase recovery took {took}",
    ("run", "steady"): "phase steady took {took}",
    ("run", "undo-check"): "phase undo-check took {took}",
    ("run", "started"): "drill started",
    ("run", "finished"): "drill finished",
    ("run", "skipped"): "drill {drill} skipped: {reason}",
    ("run", "error"): "the harness failed: {reason}",
    ("run", "interrupted"): "interrupted: {reason}",
    ("run", "calibrated"): "watch delay {median_ms} ms (the timeline's error bar)",
    ("run", "read"): "both clocks read",
    ("run", "lost"): "{reason}",
    ("run", "aborted"): "the drill is ended at once: {reason}",
    ("run", "before"): "what is missing of the steady state before the drill: {missing} ({took})",
    ("run", "after"): "what is missing of the steady state after the drill: {missing} ({took})",
    ("run", "left"): "{pod} was not replaced: {reason}",
    ("run", "replaced"): "{pod} was replaced after {took} ({why}) {error}",
    ("run", "asked"): "to be judged: {checkers}",
    ("watch", "gap"): "the watch was away for {took}: {reason}",
    ("release", "started"): "{old_sha} → {new_sha}, mode {mode}",
    ("release", "committed"): "new tag committed as {commit}",
    ("release", "pushed"): "pushed {commit} (attempt {attempts})",
    ("release", "restarted"): "rollout restarted: the sha already runs",
    ("release", "refresh-asked"): "asked Argo CD to look ({count}x)",
    ("release", "seen"): "Argo CD has seen {revision}, {took}",
    ("release", "synced"): "Argo CD has synced {operation_revision}, {took}",
    ("release", "rolled-out"): "rolled out: {replicas:replica} of {template_hash}, {took}",
    ("release", "old-gone"): "the last old pod is gone, {took}",
    ("release", "proven"): "version proven: {pods:pod}, {ingress_answers:answer} through the ingress, {took}",
    ("release", "failed"): "the release cannot go on at {stage}: {cause}: {reason}",
    ("rollback", "started"): "{reverts} is to be reverted: back to {old_sha}",
    ("rollback", "committed"): "revert committed as {commit}",
    ("rollback", "failed"): "the rollback cannot go on at {stage}: {cause}: {reason}",
    ("proof", "not-reachable"): "single pods cannot be asked: {reason}",
    ("load", "self-test"): "self-test of the load engine: passed {passed}",
    ("load", "started"): "load started: {rate_per_s} req/s on {lanes}",
    ("load", "stopped"): "load stopped: {requests:request}, {failures:failure}",
    ("drift", "model"): "back-off of Argo CD {version}: starts at {start_s} s, times {factor}, up to {cap_s} s",
    ("drift", "error"): "the harness could not do it: {reason}",
    ("drift", "planned"): "drift planned: {change} on {object}",
    ("drift", "skipped"): "drift skipped: {reason}",
    ("drift", "before"): "before: {attempts:self-heal} on this revision, the next in {remaining_s} s at the earliest",
    ("drift", "injected"): "drift injected: {field} from {from} to {to}",
    ("drift", "void"): "the patch changed nothing",
    ("drift", "detected"): "Argo CD has noticed the drift after {took}",
    ("drift", "restored"): "restored by {manager} after {took}",
    ("drift", "interfered"): "somebody else changed the same field: {manager}, {value}",
    ("drift", "synced"): "Synced again after {took}",
    ("drift", "healthy"): "Healthy again after {took}",
    ("drift", "after"): "after: {attempts:self-heal} on this revision",
    ("drift", "stayed"): "stayed for {watched_s} s, as an undeclared field must",
    ("drift", "not-healed"): "not healed ({stage}) within {waited_s} s",
    ("drift", "refreshed"): "asked Argo CD to look, as a diagnosis: restored {restored}",
    ("drift", "undone"): "undone by {by}",
    ("fault", "planned"): "fault planned: {change} on {object}",
    ("fault", "skipped"): "fault skipped: {reason}",
    ("fault", "void"): "no fault came of it: {reason}",
    ("fault", "aborted"): "ended at once: {reason}",
    ("fault", "error"): "the harness could not do it: {reason}",
    ("fault", "injecting"): "about to be injected",
    ("fault", "injected"): "fault injected",
    ("fault", "effect"): "felt: {watched}",
    ("fault", "no-effect"): "no effect was seen within {waited_s} s",
    ("fault", "recovered"): "recovered after {took}",
    ("fault", "not-recovered"): "not recovered within {waited_s} s; last seen: {last_seen}",
    ("fault", "undone"): "undone by {by}",
    ("kept", "state"): "{container}: waits {waiting}, ended last {ended}, {restarts:restart}",
    ("kept", "log"): "the log of {container} is kept in {file}, {lines:line}",
    ("kept", "events"): "{listed:event} of Kubernetes kept in {file}",
    ("kept", "unread"): "what it says could not be read ({cause}): {reason}",
    ("pipeline", "read"): "read",
    ("pipeline", "unread"): "could not be read: {reason}",
    ("pipeline", "absent"): "not there: {reason}",
    ("posture", "read"): "read",
    ("posture", "unread"): "could not be read ({cause}): {reason}",
    ("undo", "unknown"): "not known yet: {reason}",
    ("undo", "left"): "undo left it alone: somebody else changed it (expected {expected}, found {found})",
    (
        "scaling",
        "planned",
    ): "load to be raised: {rate_per_s} requests/s more on {path}; {floor} to {max_replicas} replicas",
    ("scaling", "raised"): "the added load is running",
    ("scaling", "scaled-up"): "more replicas are wanted: {replicas}",
    ("scaling", "not-scaled-up"): "no more replicas were wanted within {waited_s} s; {last_seen}",
    ("scaling", "ready"): "all {replicas:replica} get traffic, {took}",
    ("scaling", "not-ready"): "the added replicas get no traffic within {waited_s} s; {last_seen}",
    ("scaling", "lowered"): "the added load has ended: {requests:request}, {failures:failure}",
    ("scaling", "scaled-down"): "fewer replicas are wanted: {replicas}, after {took}",
    ("scaling", "floor"): "as before: {replicas:replica}, after {took}",
    ("scaling", "not-floor"): "not as before within {waited_s} s; {last_seen}",
    ("jobs", "read"): "report read, {replicas:pod} ready; runs since the drill began: {runs}",
    ("jobs", "unreadable"): "the report cannot be read: {reason}",
    ("secrets", "known"): "to be looked for: {names}",
    ("secrets", "searched"): "{texts:text} searched, {found} found, {planted_found} of {planted} canaries found",
    ("secrets", "unreadable"): "it cannot be read: {reason}",
    ("secrets", "compared"): "{checked:placeholder} compared, {found} the live value",
    ("ingress", "log"): (
        "ingress log: {lines:line}, {matched} of ours, of which {readable} say how often they were tried: "
        "{retried} retried, {masked} masked"
    ),
    ("ingress", "log-unreadable"): "the ingress log cannot be read: {reason}",
}

_KINDS: Mapping[str, str] = {
    "Pod": "phase {phase}, ready {ready}, terminating {terminating}, image {image}, ip {ip} {reason}",
    "ReplicaSet": "{ready} of {replicas} ready, image {image}",
    "Deployment": "{updated} updated, {ready} ready of {spec_replicas}, image {image}",
    "EndpointSlice": "ready {ready}",
    "HorizontalPodAutoscaler": "{metrics}, {current} replicas, {desired} wanted {reason}",
    "Application": "{sync_status} at {sync_revision}, {health}, operation {phase}, attempts {attempts}",
}


def sentence(event: Event) -> str:
    """What happened, in words; without the time, with the subject."""
    data = _Data({key: _Word(_value_text(value)) for key, value in event.data.items()})
    data.setdefault("drill", event.drill)
    data["took"] = f"{event.end_s - event.start_s:.2f} s"
    if event.source == "proof" and event.what in {"version", "database"}:
        return f"{event.subject}: {_answer(event, data)}"
    why = event.data.get("found") is None or event.data.get("reason")
    plain = event.what == "left" and event.data.get("expected") is None and bool(why)
    if event.source == "undo" and (plain or event.what in {"done", "not-needed", "failed"}):
        return f"{event.subject}: {_undone(event)}"
    template = _template(event)
    if template is None:
        return f"{event.subject}: {event.what} {data_text(event.data)}".strip()
    if event.source == "watch" and event.what != "gap":
        return f"{event.subject} {event.what}: {template.format_map(data)}".strip()
    if event.source == "run":  # the subject is "phase", "drill" or "clock": the words say that already
        return template.format_map(data)
    return f"{event.subject}: {template.format_map(data)}"


def _template(event: Event) -> str | None:
    source = event.source
    if source == "watch" and event.what != "gap":
        return _KINDS.get(event.subject.split("/", 1)[0])
    if source == "rollback" and (source, event.what) not in _TEMPLATES:
        source = "release"  # a rollback has the same stages
    if (source, event.what) == ("drift", "injected") and event.data.get("deleted") is True:
        return "drift injected: the whole object was deleted"
    return _TEMPLATES.get((source, event.what))


def _answer(event: Event, data: _Data) -> str:
    asked = "version" if event.what == "version" else "database status"
    seen = data["version"] if event.what == "version" else data["value"]
    if event.outcome is Outcome.OK:
        return f"{asked} is {seen}"
    if event.outcome is Outcome.FAIL:
        return f"{asked} is {seen}, expected {data['expected']}"
    return f"no {asked} (expected {data['expected']}): {data['error']}"


def _undone(event: Event) -> str:
    """The outcome of one entry of the journal: its subject, and the reason if there is one."""
    words = [
        event.what.replace("-", " "),
        *(_value_text(event.data[k]) for k in ("reason", "object") if event.data.get(k)),
    ]
    return ": ".join(words)


def _always(_: Event) -> bool:
    return True


def _bad(event: Event) -> bool:
    return event.outcome is not Outcome.OK


_HEADLINES: Mapping[str, Callable[[Event], bool]] = {
    "run": lambda event: event.what not in {"asked", "started", "finished", "read", "before", "after"} or _bad(event),
    "release": _always,
    "rollback": _always,
    "load": _always,
    "drift": lambda event: (
        event.what in {"injected", "restored", "stayed", "void", "not-healed", "skipped", "undone"} or _bad(event)
    ),
    SOURCE: lambda event: event.what not in {FaultWord.PLANNED, FaultWord.INJECTING} or _bad(event),
    "scaling": lambda event: event.what != "planned",
    "undo": lambda event: event.what != "written",
    "ingress": _always,
    "proof": _bad,
    "watch": _bad,
}


def headline(event: Event) -> bool:
    """Whether the event is worth a line on the console: our changes, proofs, and whatever is not ok."""
    worth = _HEADLINES.get(event.source, _bad)
    return worth(event)
