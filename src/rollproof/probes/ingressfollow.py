"""Follows the ingress's access log while the load runs, and keeps the lines of our requests.

Read only afterwards, a busy log lacks its beginning: kubelet rotates it at 10 MiB (containerLogMaxSize) and gives what
is in the newest file, which at 200 requests/s is less than a drill; and a pod that was replaced has taken its log with
it. What is missed here is missing in the count (`ingresslog`), so that nothing is claimed of it. Never raises into the
run: a log that cannot be followed is read at the end, as ever.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollproof.clients.apierrors import ApiError, SilenceError, UnreachableError
from rollproof.clients.exchange import MIB
from rollproof.clients.kube import Kube, Object
from rollproof.core.target import Ingress
from rollproof.core.watched import ENDED_PHASES
from rollproof.errors import RollproofError

__all__ = ["IngressFollow", "containers_of"]

_LOOK_S = 2.0  # between two lists of the ingress's pods: one that is new is followed from its beginning
_SILENCE_S = 5.0  # then it is connected anew: after a rotation some kubelets follow a file that nobody writes
_AGAIN_S = 0.5
_MARGIN_S = 5  # a log is asked for in whole seconds, by the cluster's clock; what comes twice is kept once
_END_S = 2.0  # for the threads, when the load is over
_KEPT_MAX = 128 * MIB  # an hour at 100 requests/s
_LOGS_MAX = 32  # containers of ingress pods
_NOTES_MAX = 10
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_REFUSED = (401, 403)


@dataclass(slots=True)
class _Log:
    """One container's log. `heard_s`: until when it is known (monotonic clock). `over`: its pod is gone."""

    pod: str
    container: str
    heard_s: float
    asked_s: float = 0.0
    stream: Any = None
    over: bool = False
    cut_s: float | None = None  # since when it is interrupted
    why: str = ""
    done: threading.Event = field(default_factory=threading.Event)


class IngressFollow:
    """A context manager around the load. `lines` has what was kept; `notes` what could not be followed, from when to
    when (seconds since the block began), and why."""

    def __init__(self, kube: Kube, ingress: Ingress, prefix: str) -> None:
        self._kube, self._ingress, self._prefix = kube, ingress, prefix
        self._kept: dict[str, None] = {}
        self._size, self._full = 0, False
        self._notes: list[str] = []
        self._logs: dict[tuple[str, str], _Log] = {}  # by the pod's uid and the container
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._begun_s = time.monotonic()

    @property
    def lines(self) -> tuple[str, ...]:
        """Lines with an id of ours, each once, in the order in which they came."""
        with self._lock:
            return tuple(self._kept)

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be followed, for people; the first ones."""
        with self._lock:
            return tuple(self._notes)

    def __enter__(self) -> IngressFollow:
        self._begun_s = time.monotonic()
        if self._ingress.namespace:
            self._begin(self._watch_pods, "ingress-pods")
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        until_s = time.monotonic() + _END_S
        for log in list(self._logs.values()):
            if log.stream is not None:
                log.stream.close()
        for log in list(self._logs.values()):  # one that waits for a first answer ends by itself
            log.done.wait(max(0.0, until_s - time.monotonic()))
            self._end_cut(log)

    def _begin(self, work: Any, name: str, *args: Any) -> None:
        def guarded() -> None:
            try:
                work(*args)
            except Exception as error:  # noqa: BLE001 - evidence may be lost here, never the run; it is told
                self._note(f"{name} ended: {type(error).__name__}: {error}")

        threading.Thread(target=guarded, name=name, daemon=True).start()

    # -- which logs there are -----------------------------------------------------------------------------------

    def _watch_pods(self) -> None:
        refused = ""
        while True:
            try:
                pods = self._kube.list("Pod", self._ingress.namespace, labels=self._ingress.selector)["items"]
            except RollproofError as error:
                if str(error) != refused:
                    self._note(f"at {self._now_s():.1f} s the ingress's pods could not be listed: {error}")
                refused = str(error)
            else:
                self._meet(pods)
            if self._stopping.wait(_LOOK_S):
                return

    def _meet(self, pods: list[Object]) -> None:
        there = {
            (str(pod["metadata"].get("uid", "")), container): str(pod["metadata"]["name"])
            for pod in pods
            if (pod.get("status") or {}).get("phase") not in ENDED_PHASES
            for container in containers_of(pod, self._ingress.container)
        }
        for key, log in self._logs.items():
            log.over = key not in there
        for key, name in there.items():
            if key in self._logs or self._stopping.is_set():
                continue
            if len(self._logs) >= _LOGS_MAX:
                self._note(f"only {_LOGS_MAX} logs are followed: {name}/{key[1]} is not")
                return
            log = self._logs[key] = _Log(name, key[1], self._begun_s)
            self._begin(self._follow, "ingress-log", log)

    # -- one log ------------------------------------------------------------------------------------------------

    def _follow(self, log: _Log) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    for line in self._connected(log):
                        self._take(log, line)
                    why = "the stream ended"
                except RollproofError as error:
                    if self._was_silent(error, log):
                        continue  # nothing was said: nothing is missing
                    why = str(error)
                    if isinstance(error, ApiError) and error.status in _REFUSED:
                        self._note(f"{log.pod}/{log.container} cannot be followed: {error}")
                        return
                if log.over or self._stopping.is_set():  # of a pod that is gone the last lines were in the stream
                    return
                if log.cut_s is None:
                    log.cut_s, log.why = log.heard_s, why
                self._stopping.wait(_AGAIN_S)
        finally:
            log.done.set()

    @staticmethod
    def _was_silent(error: RollproofError, log: _Log) -> bool:
        """Some servers begin their answer with the first line: without one they seem not to answer."""
        waited_s = time.monotonic() - max(log.heard_s, log.asked_s)
        return isinstance(error, SilenceError) or (isinstance(error, UnreachableError) and waited_s >= _SILENCE_S)

    def _connected(self, log: _Log) -> Iterator[str]:
        log.asked_s = time.monotonic()
        since_s = int(log.asked_s - log.heard_s) + _MARGIN_S
        stream = self._kube.follow_log(
            self._ingress.namespace, log.pod, log.container, since_s=since_s, silence_s=_SILENCE_S
        )  # fmt: skip
        log.stream = stream
        try:
            if self._stopping.is_set():
                return
            with contextlib.closing(iter(stream)) as lines:
                for line in lines:
                    yield line.decode(errors="replace")
        finally:
            log.stream = None

    def _take(self, log: _Log, line: str) -> None:
        self._end_cut(log)
        log.heard_s = time.monotonic()
        if self._prefix not in line:
            return
        with self._lock:
            if line in self._kept:
                return
            full = self._size + len(line) > _KEPT_MAX
            first, self._full = full and not self._full, full
            if not full:
                self._kept[line] = None
                self._size += len(line)
        if first:
            self._note(f"from {self._now_s():.1f} s on no more was kept: {_KEPT_MAX / MIB:g} MiB are there")

    def _end_cut(self, log: _Log) -> None:
        """It is connected again: from when to when it was not. What came meanwhile is asked for, and may be gone."""
        cut_s, log.cut_s = log.cut_s, None
        if cut_s is not None and not log.over:
            span = f"from {max(0.0, cut_s - self._begun_s):.1f} s to {self._now_s():.1f} s"
            self._note(f"{log.pod}/{log.container} was not followed {span}: {log.why}")

    def _note(self, text: str) -> None:
        with self._lock:
            if len(self._notes) < _NOTES_MAX and text not in self._notes:
                self._notes.append(text)

    def _now_s(self) -> float:
        return time.monotonic() - self._begun_s


def containers_of(pod: Mapping[str, Any], named: str) -> list[str]:
    """The containers whose logs are the ingress's: the one that is named, or the pod's default one, or all."""
    default = named or (pod["metadata"].get("annotations") or {}).get(_DEFAULT_CONTAINER)
    return [str(default)] if default else [str(one["name"]) for one in pod["spec"]["containers"]]
