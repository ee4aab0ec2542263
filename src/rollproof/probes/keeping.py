"""Keeping: reads what pods that do not come up say of themselves, before an undo takes them away.

Events of Kubernetes about the Deployment, its ReplicaSets and pods; the state of each container that was not ready or
had restarted; the end of its log, and of the one before its last restart. All reads share one deadline. It decides
nothing and raises nothing: what may not be read, is not there or does not answer is a fact (`unread`), never "none".
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rollproof.clients.kube import ApiError, Kube
from rollproof.core.event import Outcome, Recorder
from rollproof.core.kept import SOURCE, TAIL_LINES, KeptWord
from rollproof.core.outside import Outside
from rollproof.core.posturewords import Unread
from rollproof.core.target import Target
from rollproof.core.visible import printable, visible
from rollproof.errors import CannotJudgeError, RollproofError
from rollproof.probes.secretpatterns import alike
from rollproof.probes.views import DeploymentView, PodView, ReplicaSetView
from rollproof.redaction import REDACTED

__all__ = ["WITHIN_ABORTED_S", "WITHIN_S", "Keeper"]

WITHIN_S = 10.0  # for all reads together: they must not hold up an undo
WITHIN_ABORTED_S = 2.0  # the same while users are without an answer until it is taken back
_PODS_MAX = 6
_LOGS_MAX = 12  # of one look
_RUN_LOGS_MAX = 60  # of one run: many faults may fail in it
_LINES_MAX = 200
_KEPT_BYTES = 64 * 1024  # of one log
_ASKED_BYTES = 1024 * 1024  # of the answer: 200 lines may be long
_LINE_SHOWN = 300
_EVENTS_SHOWN, _EVENTS_MAX = 20, 200
_MESSAGE_MAX = 500
_SKEW_S = 30.0  # by so much the clocks of a cluster's nodes may differ from its API server's
_SEARCHED_BYTES = (
    2 * _KEPT_BYTES
)  # for secrets: one that is cut in two at the begin of what is kept is still seen whole
_REGISTERED_MAX = 40  # of one run: what only looks like a secret makes the search of everything slower
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(.*?)(?:-----END|\Z)", re.DOTALL)
_PEM_REST = re.compile(r"\A((?:(?!-----BEGIN).)*?)-----END [A-Z0-9 ]*PRIVATE KEY-----", re.DOTALL)  # of a log's end
_PEM_LINE = re.compile(r"[A-Za-z0-9+/=]{40,}")
_KEY_LINE_MIN = 20
_NO_NAME = re.compile(r"[^a-z0-9.-]+")
_NO_LOG = (400, 404)  # the API server's answer for a container that never ran, and for a pod that is gone


class KeepingFolder(Recorder, Protocol):
    """What it needs of the run folder."""

    def redact(self, values: Iterable[str]) -> None:
        """Hide these values from now on."""

    def redacted(self, text: str) -> str:
        """The text without any known secret."""

    def write_text(self, name: str, text: str) -> None:
        """A text file in the folder."""


class KnownPods(Protocol):
    """What it needs of the watches."""

    def pods(self) -> Mapping[str, PodView]:
        """The Deployment's pods by name."""

    def deployment(self) -> DeploymentView | None:
        """The Deployment."""

    def replicaset(self, deployment_uid: str) -> ReplicaSetView | None:
        """Its newest ReplicaSet."""


class UnansweredReadError(CannotJudgeError):
    """The time for all reads is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One container of one pod, with the state that its log is read by."""

    pod: str
    container: str
    started: bool
    restarts: int


class Keeper:
    """Of one run. `begin` at each drill's begin; `keep` when something did not reach its end."""

    def __init__(self, target: Target, kube: Kube, folder: KeepingFolder, known: KnownPods) -> None:
        self._cluster, self._kube, self._folder, self._known = target.cluster, kube, folder, known
        self._since_s = kube.wall_s()  # by the cluster's clock, which stamps the events
        self._until_s = 0.0
        self._logs = self._lists = self._registered = 0
        self.kept = False  # whether something was read in this drill

    def begin(self) -> None:
        """A drill begins: older events are not its own."""
        self._since_s, self.kept = self._kube.wall_s(), False

    def keep(self, within_s: float = WITHIN_S) -> None:
        """Read and record. It takes at most `within_s`, and raises nothing but that the timeline takes no more."""
        self.kept, self._until_s = True, time.monotonic() + within_s
        try:
            chosen = _troubled(self._known.pods())
        except RollproofError as error:  # a watch has ended: nobody knows which pods there are
            self._refused(f"Pods/{self._cluster.namespace}", {}, error)
            return
        left = _LOGS_MAX
        for name in chosen[:_PODS_MAX]:
            for part in self._states(name):
                for previous in _which(part):
                    if left <= 0 or self._logs >= _RUN_LOGS_MAX:
                        break
                    left -= self._log(part, previous=previous)
        self._events()

    # -- one read each ------------------------------------------------------------------------------------------

    @property
    def _left_s(self) -> float:
        """For the next read. UnansweredReadError where there is nothing left of it."""
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise UnansweredReadError("the time for all reads was over")
        return left_s

    def _states(self, pod: str) -> list[_Part]:
        """The containers of the pod that are in trouble; each is recorded."""
        try:
            listed = self._kube.list(
                "Pod", self._cluster.namespace, fields=f"metadata.name={pod}", within_s=self._left_s
            )
            if not listed["items"]:
                self._unread(f"Pod/{self._cluster.namespace}/{pod}", {}, Unread.ABSENT, "it is gone")
            found = [self._state(pod, one) for item in listed["items"] for one in _in_trouble(item)]
        except RollproofError as error:
            self._refused(f"Pod/{self._cluster.namespace}/{pod}", {}, error)
            return []
        return found

    def _state(self, pod: str, status: Outside) -> _Part:
        state, last = status.child("state"), status.child("lastState").child("terminated")
        ended = state.child("terminated") if state.child("terminated").value else last
        data: dict[str, Any] = {
            "container": status.needed("name"), "waiting": state.child("waiting").text("reason"),
            "ended": ended.text("reason"), "restarts": status.count("restartCount"),
        }  # fmt: skip
        if ended.value:
            data["exit_code"] = ended.integer("exitCode")
        self._folder.record(SOURCE, f"Pod/{self._cluster.namespace}/{pod}", KeptWord.STATE, data=data)
        started = bool(state.child("running").value or ended.value)
        return _Part(pod=pod, container=data["container"], started=started, restarts=data["restarts"])

    def _log(self, part: _Part, *, previous: bool) -> int:
        """Read one log; 1 if there is a file of it."""
        subject = f"Pod/{self._cluster.namespace}/{part.pod}"
        about = {"container": part.container, "previous": previous}
        try:
            text = self._read_log(part, _LINES_MAX, previous=previous)
            if len(text.encode()) >= _ASKED_BYTES - _KEPT_BYTES:  # (about) cut at its end, where the newest lines are
                text = self._read_log(part, TAIL_LINES, previous=previous)
        except RollproofError as error:
            self._refused(subject, about, error)
            return 0
        searched, long = _end_of(text, _SEARCHED_BYTES)
        kept, longer = _end_of(self._without_secrets(searched), _KEPT_BYTES)
        lines, cut = kept.splitlines(), long or longer or len(text.splitlines()) >= _LINES_MAX
        self._logs += 1
        name = _NO_NAME.sub("-", f"{part.pod[:80]}-{part.container[:40]}".lower())
        file = f"podlog-{self._logs:02d}-{name}{'-previous' if previous else ''}.log"
        if not self._written(file, kept, subject, about):
            return 0
        data = {**about, "file": file, "lines": len(lines), "size_bytes": len(kept.encode()), "cut": cut}
        data["tail"] = [printable(line, length_max=_LINE_SHOWN) for line in lines if line.strip()][-TAIL_LINES:]
        self._folder.record(SOURCE, subject, KeptWord.LOG, data=data)
        return 1

    def _read_log(self, part: _Part, lines: int, *, previous: bool) -> str:
        return self._kube.pod_log_end(
            self._cluster.namespace, part.pod, part.container, lines=lines, previous=previous,
            bytes_max=_ASKED_BYTES, within_s=self._left_s,
        )  # fmt: skip

    def _events(self) -> None:
        subject = f"Events/{self._cluster.namespace}"
        try:
            about = self._objects()
            items = self._kube.list("Event", self._cluster.namespace, within_s=self._left_s)["items"]
        except RollproofError as error:
            self._refused(subject, {}, error)
            return
        found: list[tuple[float, dict[str, Any]]] = []
        strange: list[RollproofError] = []
        for item in items:
            try:
                found += filter(None, [self._event(Outside.of(item, "an Event"), about)])
            except RollproofError as error:  # the others may say why
                strange.append(error)
        for first in strange[:1]:
            self._refused(subject, {}, first)
        rows = [one for _, one in sorted(found, key=lambda one: one[0])[-_EVENTS_MAX:]]
        for row in rows:  # before it is cut: half a secret has no form
            row["message"] = printable(self._without_secrets(row["message"]), length_max=_MESSAGE_MAX)
        self._lists += 1
        file = f"podevents-{self._lists}.txt"
        if not self._written(file, visible("".join(map(_event_line, rows))), subject, {}):
            return
        rows.reverse()
        shown = sorted(rows, key=lambda one: not one["warning"])[:_EVENTS_SHOWN]
        self._folder.record(
            SOURCE, subject, KeptWord.EVENTS, data={"file": file, "listed": len(rows), "seen": shown}
        )  # fmt: skip

    def _objects(self) -> frozenset[str]:
        """The objects that events are kept of, each as `Kind/name`."""
        name, pods, deployment = self._cluster.deployment, self._known.pods(), self._known.deployment()
        owned = {f"ReplicaSet/{pod.replicaset}" for pod in pods.values() if pod.replicaset}
        newest = self._known.replicaset(deployment.uid) if deployment is not None else None
        if newest is not None:  # it may have no pod yet
            owned.add(f"ReplicaSet/{name}-{newest.template_hash}")
        return frozenset({f"Deployment/{name}", *owned, *(f"Pod/{pod}" for pod in pods)})

    def _event(self, item: Outside, about: frozenset[str]) -> tuple[float, dict[str, Any]] | None:
        """When it happened last, and what of it is kept; None if it is about something else, or older."""
        whom = item.child("involvedObject")
        which = f"{whom.text('kind')}/{whom.text('name')}"
        series = item.child("series")
        times_s = [item.time_s("lastTimestamp"), item.time_s("eventTime"), series.time_s("lastObservedTime"),
                   item.child("metadata").time_s("creationTimestamp")]  # fmt: skip
        last_s = max((one for one in times_s if one), default=0.0)
        if which not in about or last_s < self._since_s - _SKEW_S:
            return None
        return last_s, {
            "object": which, "reason": printable(item.text("reason"), length_max=_LINE_SHOWN),
            "warning": item.text("type") == "Warning",
            "count": max(1, item.count("count"), series.count("count")),
            "message": printable(item.text("message"), length_max=_ASKED_BYTES),
        }  # fmt: skip

    def _without_secrets(self, text: str) -> str:
        """As a file and a terminal may have it: without what is known as a secret, or has the form of one.

        The first of the latter are hidden everywhere from now on; each is hidden here.
        """
        found = dict.fromkeys((*(value for _, value in alike(text)), *_key_lines(text)))
        known = [*found][: _REGISTERED_MAX - self._registered]
        self._registered += len(known)
        self._folder.redact(known)
        for value in sorted(found, key=len, reverse=True):
            text = text.replace(value, REDACTED)
        return visible(self._folder.redacted(text))

    def _written(self, file: str, text: str, subject: str, about: Mapping[str, Any]) -> bool:
        """Whether the file is there: that it is not must not hold up an undo, nor hide what has failed."""
        try:
            self._folder.write_text(file, text)
        except RollproofError as error:
            self._refused(subject, about, error)
            return False
        return True

    def _refused(self, subject: str, about: Mapping[str, Any], error: RollproofError) -> None:
        cause = Unread.NO_ANSWER
        if isinstance(error, ApiError) and error.status in (401, 403):
            cause = Unread.FORBIDDEN
        elif isinstance(error, ApiError) and error.status in _NO_LOG:
            cause = Unread.ABSENT
        self._unread(subject, about, cause, str(error))

    def _unread(self, subject: str, about: Mapping[str, Any], cause: Unread, reason: str) -> None:
        outcome = Outcome.OK if cause is Unread.ABSENT else Outcome.UNKNOWN
        data = {**about, "cause": cause, "reason": printable(reason)}
        self._folder.record(SOURCE, subject, KeptWord.UNREAD, outcome=outcome, data=data)


def _troubled(pods: Mapping[str, PodView]) -> list[str]:
    """The pods that were not ready or had restarted; those that are stuck come first, those that are leaving last."""
    found = {name: pod for name, pod in pods.items() if not pod.ready or pod.restarts}

    def rank(name: str) -> tuple[bool, bool, bool, int, str]:
        pod = found[name]
        return pod.terminating, pod.ready, not pod.reason, -pod.restarts, name

    return sorted(found, key=rank)


def _in_trouble(item: Mapping[str, Any]) -> Iterator[Outside]:
    """The status of each container that is not ready or has restarted; of init containers if they did not end well."""
    status = Outside.of(item, "a pod").child("status")
    for one in status.objects("initContainerStatuses"):
        ended = one.child("state").child("terminated")
        if one.count("restartCount") or not ended.value or ended.integer("exitCode"):
            yield one
    yield from (
        one for one in status.objects("containerStatuses") if not one.flag("ready") or one.count("restartCount")
    )


def _which(part: _Part) -> Iterator[bool]:
    """Whether to read the log from before the restart, and then the present one."""
    if part.restarts:
        yield True
    if part.started or part.restarts:
        yield False


def _end_of(text: str, size_max: int) -> tuple[str, bool]:
    """The last bytes of it, from the begin of a line if there is one, and whether something was left out."""
    data = text.encode()
    if len(data) <= size_max:
        return text, False
    end = data[-size_max:]
    lines = end.partition(b"\n")[2]
    return (lines if lines.strip() else end).decode(errors="replace"), True


def _key_lines(text: str) -> Iterator[str]:
    """The lines of the private keys in it."""
    blocks = [block.splitlines() for block in _PEM.findall(text)]
    found = (line.strip() for lines in (*blocks, _last_of_key(text)) for line in lines)
    return (line for line in found if len(line) >= _KEY_LINE_MIN)


def _last_of_key(text: str) -> list[str]:
    """Of a key whose begin is not in the text; what is right before its end may be short, or begin that line."""
    rest = _PEM_REST.match(text)
    lines = rest[1].splitlines()[::-1] if rest is not None else []
    body = itertools.takewhile(_PEM_LINE.search, lines[2:])
    return [*lines[:2], *body]


def _event_line(one: Mapping[str, Any]) -> str:
    kind = "Warning" if one["warning"] else "Normal"
    return f"{kind} {one['reason']} {one['object']} x{one['count']}: {one['message']}\n"
