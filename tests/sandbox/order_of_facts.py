"""The order of facts: the order in which a run's watches reported changes of each object, to compare two targets.

Names, counts and times differ between two runs of the same target, and watch events may be merged; the order in which
a pod got its address, became ready and was deleted may not. So each change of a field becomes a word ("ready=yes"),
and only what is strictly earlier in one run and strictly later in the other counts as a difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Story", "differences", "stories", "together"]

Event = Mapping[str, Any]
Steps = tuple[frozenset[str], ...]
_OF_EACH_OPERATION = ("attempts=", "automated=")  # what they were before depends on what was done before
_WANTED = 2  # replicas of both targets' apps


@dataclass(frozen=True)
class Story:
    """The events of the objects of one role: for each object the words of its events, in order."""

    strategies: list[Steps] = field(default_factory=list)

    def ever(self) -> frozenset[str]:
        """All words of any object."""
        return frozenset(word for steps in self.strategies for word in _first(steps))

    def always(self) -> frozenset[str]:
        """The words that every object has."""
        return frozenset.intersection(*(frozenset(_first(steps)) for steps in self.strategies))

    def earlier(self) -> frozenset[tuple[str, str]]:
        """(a, b) where a came first strictly before b did, for at least one object."""
        pairs: set[tuple[str, str]] = set()
        for steps in self.strategies:
            first = _first(steps)
            pairs |= {(a, b) for a in first for b in first if first[a] < first[b]}
        return frozenset(pairs)


def _first(steps: Steps) -> dict[str, int]:
    first: dict[str, int] = {}
    for number, step in enumerate(steps):
        for word in step:
            first.setdefault(word, number)
    return first


def differences(here: Mapping[str, Story], there: Mapping[str, Story], names: tuple[str, str]) -> list[str]:
    """Words that every object of one run has and none of the other's, role by role; and pairs in another order.

    A word that only some objects have (a pod that was seen while its container was created) may be missing.
    """
    found = [f"{role}: only {names[0]}" for role in here.keys() - there.keys()]
    found += [f"{role}: only {names[1]}" for role in there.keys() - here.keys()]
    for role in here.keys() & there.keys():
        mine, theirs = here[role], there[role]
        found += [f"{role}: {word}: only {names[0]}" for word in mine.always() - theirs.ever()]
        found += [f"{role}: {word}: only {names[1]}" for word in theirs.always() - mine.ever()]
        mine_first, theirs_first = mine.earlier(), theirs.earlier()
        for a, b in mine_first:  # where a run has both orders, there is no rule
            if (b, a) in theirs_first and (b, a) not in mine_first and (a, b) not in theirs_first:
                found.append(f"{role}: {a} before {b} {names[0]}, after it {names[1]}")
    return sorted(found)


def together(*runs: Mapping[str, Story]) -> dict[str, Story]:
    """Several runs of one target as one: what differs between them is no rule of that target."""
    roles = dict.fromkeys(role for run in runs for role in run)
    return {role: Story([steps for run in runs if role in run for steps in run[role].strategies]) for role in roles}


def stories(run: Path) -> dict[str, Story]:
    """The stories of a run folder: one for each role of its acts, and for each drift and the Application during it."""
    lines = (run / "timeline.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    found: dict[str, Story] = {}
    for drill in dict.fromkeys(event["drill"] for event in events):
        for source in ("release", "rollback"):
            if source == "release" and drill == "rollback":
                continue  # its deploy comes before the load, if at all
            act = _window(events, drill, source)
            if act is not None:
                found = together(found, _act(events, *act))
    for subject in dict.fromkeys(e["subject"] for e in events if e["source"] == "drift" and "/" in e["subject"]):
        found |= _trial(events, subject)
    return found


# -- which events -----------------------------------------------------------------------------------------------------


def _window(events: Sequence[Event], drill: str, source: str) -> tuple[int, int] | None:
    """Indices of the act's start and of the event with which the drill asked for its verdicts."""
    own = [i for i, e in enumerate(events) if e["drill"] == drill]
    begun = next((i for i in own if (events[i]["source"], events[i]["what"]) == (source, "started")), None)
    end = next((i for i in own if (events[i]["source"], events[i]["subject"]) == ("run", "judge")), None)
    return (begun, end) if begun is not None and end is not None else None


def _act(events: Sequence[Event], begun: int, end: int) -> dict[str, Story]:
    started = events[begun]
    pods = started["data"]["old_pods"]
    old = {pod["uid"] for pod in pods}, {pod["template_hash"] for pod in pods}
    stages = [frozenset({e["what"]}) for e in events[begun:end] if e["source"] == started["source"]]
    found = {"stages": Story([tuple(stages)])}
    for subject in dict.fromkeys(e["subject"] for e in events[:end] if e["source"] == "watch"):
        kind = subject.partition("/")[0]
        if kind not in _WORDS:
            continue
        told = [e for e in events[:end] if (e["source"], e["subject"]) == ("watch", subject) and e["what"] != "gap"]
        role = _role(kind, told[-1], *old)
        steps = _steps(kind, told, since=started["seq"])
        if steps:
            found.setdefault(role, Story()).strategies.append(steps)
    return found


def _role(kind: str, told: Event, old_uids: set[str], old_templates: set[str]) -> str:
    if kind == "Pod":
        return "old pod" if told["data"]["uid"] in old_uids else "new pod"
    if kind == "ReplicaSet":
        return "old ReplicaSet" if told["data"]["template_hash"] in old_templates else "new ReplicaSet"
    return kind


def _trial(events: Sequence[Event], subject: str) -> dict[str, Story]:
    own = [i for i, e in enumerate(events) if (e["source"], e["subject"]) == ("drift", subject)]
    words = tuple(frozenset({events[i]["what"]}) for i in sorted(own, key=lambda i: events[i]["end_s"]))
    name = f"drift {subject.partition('/')[2]}"
    found = {f"{name}: facts": Story([words])}
    injected = next((i for i in own if events[i]["what"] == "injected"), None)
    if injected is None:
        return found
    told = [e for e in events[: own[-1] + 1] if e["source"] == "watch" and e["subject"].startswith("Application/")]
    found[f"{name}: Application"] = Story([_steps("Application", told, since=events[injected]["seq"])])
    return found


# -- which words ------------------------------------------------------------------------------------------------------


def _steps(kind: str, told: Iterable[Event], *, since: int) -> Steps:
    """The words that each event after `since` added: those that did not hold before it."""
    known: frozenset[str] = frozenset()
    steps: list[frozenset[str]] = []
    for event in told:
        now = frozenset(_WORDS[kind](event["data"])) | ({"deleted"} if event["what"] == "deleted" else frozenset())
        if event["seq"] > since and now - known:
            steps.append(now - known)
        known = frozenset(word for word in now if not word.startswith(_OF_EACH_OPERATION))
    return tuple(steps)


def _yes(**named: bool) -> Iterator[str]:
    yield from (f"{word}={'yes' if holds else 'no'}" for word, holds in named.items())


def _count(word: str, number: int) -> str:
    size = "none" if not number else "some" if number < _WANTED else "all" if number == _WANTED else "surge"
    return f"{word}={size}"


def _pod(data: Event) -> Iterator[str]:
    yield f"phase={data['phase']}"
    yield from _yes(
        ready=data["ready"], terminating=data["terminating"], scheduled=bool(data["node"]),
        address=bool(data["ip"]), image_id=bool(data["image_id"]),
    )  # fmt: skip
    if data["reason"]:
        yield f"reason={data['reason']}"


def _replicaset(data: Event) -> Iterator[str]:
    yield from (_count(word, data[word]) for word in ("replicas", "ready", "available"))


def _deployment(data: Event) -> Iterator[str]:
    yield from _yes(observed=data["observed_generation"] >= data["generation"], paused=data["paused"])
    yield from (_count(word, data[word]) for word in ("replicas", "updated", "available", "ready"))


def _slice(data: Event) -> Iterator[str]:
    yield from (_count(word, len(data[word])) for word in ("ready", "serving", "terminating"))


def _application(data: Event) -> Iterator[str]:
    same = data["sync_revision"] == data["operation_revision"]
    yield f"sync={data['sync_status']}"
    yield f"health={data['health']}"
    yield f"phase={data['phase'] or 'null'}"
    yield f"attempts={'some' if data['attempts'] else 'none'}"
    yield from _yes(
        operation=data["operation_pending"], refresh=data["refresh_pending"], automated=data["automated"],
        finished=bool(data["finished_at"]), compared_revision_is_synced=same,
    )  # fmt: skip
    yield from (f"condition={one}" for one in data["conditions"])


_WORDS: Mapping[str, Callable[[Event], Iterator[str]]] = {
    "Pod": _pod, "ReplicaSet": _replicaset, "Deployment": _deployment, "EndpointSlice": _slice,
    "Application": _application,
}  # fmt: skip
