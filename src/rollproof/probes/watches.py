"""Watches: what the cluster says, as it arrives, one thread a kind; and the only place where code waits for it.

Each change becomes a fact with its arrival time on the monotonic clock. A watch that ends is resumed from its last
version; one that must list again (410 Gone) is a recorded gap, and marked as lossy only if something changed meanwhile.
Waits are event driven, bounded and named: their expiry says what was wanted and what was seen last.
"""

from __future__ import annotations

import contextlib
import queue
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from rollproof.clients.argo import ApplicationState, Argo, application_state
from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.core.event import Outcome, Recorder
from rollproof.core.target import Target
from rollproof.errors import CannotJudgeError, RollproofError
from rollproof.probes.views import DeploymentView, EndpointSliceView, PodView, ReplicaSetView

__all__ = ["WaitExpiredError", "Watches"]

T = TypeVar("T")
_LOSSY_GAP_S = 1.0  # a shorter gap with changes in it may have merged them, but a rollout's facts are far apart
_PAUSE_S = 0.2


class WaitExpiredError(CannotJudgeError):
    """A bounded wait ended without its condition; the text says who waited for what, and what was seen last."""


@dataclass(slots=True)
class _Stream:
    """One watched collection: what to ask for, and what is known of it."""

    kind: str
    kube: Kube
    namespace: str
    view: Callable[[Object], Any]
    labels: str = ""
    fields: str = ""
    version: str = ""
    known: dict[str, Any] = field(default_factory=dict)


class Watches:
    """Watches of one target. `start` returns when everything that exists is known; `stop` ends all threads."""

    def __init__(self, target: Target, kube: Kube, argo: Argo, recorder: Recorder) -> None:
        self._target = target
        self._kube = kube
        self._argo = argo
        self._recorder = recorder
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._streams: dict[str, _Stream] = {}
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Watches:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """List everything once, record it as initial, then watch. Raises what the first list raises."""
        for stream in self._plan():
            self._streams[stream.kind] = stream
            self._list(stream, initial=True)
        for stream in self._streams.values():
            thread = threading.Thread(target=self._follow, args=(stream,), name=f"watch-{stream.kind}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End all watches. Threads that wait for the server are daemons and end with their next event or time-out."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    # -- what is known now --------------------------------------------------------------------------------------

    def pods(self) -> Mapping[str, PodView]:
        """All pods of the Deployment's selector, by name, Terminating ones included."""
        return self._known("Pod")

    def replicasets(self) -> Mapping[str, ReplicaSetView]:
        """All ReplicaSets of the Deployment's selector, by name."""
        return self._known("ReplicaSet")

    def deployment(self) -> DeploymentView | None:
        """The Deployment, or None while it does not exist."""
        return self._known("Deployment").get(self._target.cluster.deployment)

    def application(self) -> ApplicationState:
        """The Application; an empty state while it does not exist."""
        state = self._known("Application").get(self._argo.application)
        return state if isinstance(state, ApplicationState) else ApplicationState()

    def _known(self, kind: str) -> dict[str, Any]:
        with self._changed:
            return dict(self._streams[kind].known)

    # -- waiting ------------------------------------------------------------------------------------------------

    def poll(self, condition: Callable[[], T | None], *, timeout_s: float) -> T | None:
        """The condition's first value that is not None, or None when the time is over. Tried after each event."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            value = condition()
            left_s = deadline_s - time.monotonic()
            if value is not None or left_s <= 0 or self._stopping.is_set():
                return value
            with self._changed:
                self._changed.wait(min(left_s, 1.0))

    def wait_for(
        self, condition: Callable[[], T | None], *, timeout_s: float, what: str, seen: Callable[[], object], hint: str
    ) -> T:
        """Like `poll`, but the expiry is an error that names the wait and what was seen last."""
        value = self.poll(condition, timeout_s=timeout_s)
        if value is None:
            raise WaitExpiredError(f"waited {timeout_s:g} s for {what}; last seen: {seen()}", hint)
        return value

    def calibrate(self, *, lease: str, times: int = 5) -> list[float]:
        """Measure the watch delay in ms (reply of a patch to its event) on the run's own Lease, and record it."""
        start_s = time.monotonic()
        delays_ms = [ms for number in range(times) if (ms := self._one_delay_ms(lease, number)) is not None]
        data = {"watch_delay_ms": delays_ms, "median_ms": statistics.median(delays_ms) if delays_ms else None}
        self._recorder.record("run", "clock", "calibrated", start_s=start_s, end_s=time.monotonic(), data=data)
        return delays_ms

    def _one_delay_ms(self, lease: str, number: int) -> float | None:
        namespace, arrived_s, watching = self._target.cluster.namespace, queue.Queue[float](), threading.Event()
        version = self._kube.get("Lease", namespace, lease)["metadata"]["resourceVersion"]

        def look() -> None:
            events = self._kube.watch(
                "Lease", namespace, resource_version=version, fields=f"metadata.name={lease}", timeout_s=5
            )
            watching.set()
            with contextlib.suppress(RollproofError):
                if any(kind == "MODIFIED" for kind, _ in events):
                    arrived_s.put(time.monotonic())

        threading.Thread(target=look, name="calibrate", daemon=True).start()
        watching.wait(5)
        self._kube.patch("Lease", namespace, lease, {"metadata": {"annotations": {"rollproof/delay": f"{number}"}}})
        replied_s = time.monotonic()
        try:
            return round(max(0.0, arrived_s.get(timeout=6) - replied_s) * 1e3, 3)
        except queue.Empty:
            return None

    # -- inside -------------------------------------------------------------------------------------------------

    def _plan(self) -> list[_Stream]:
        cluster, container = self._target.cluster, self._target.cluster.container
        deployment = self._kube.get("Deployment", cluster.namespace, cluster.deployment)
        selector = ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())

        def ours(kind: str, view: Callable[[Object], Any], *, labels: str = "", fields: str = "") -> _Stream:
            return _Stream(kind, self._kube, cluster.namespace, view, labels, fields)

        return [
            ours("Pod", lambda o: PodView.of(o, container), labels=selector),
            ours("ReplicaSet", lambda o: ReplicaSetView.of(o, container), labels=selector),
            ours("Deployment", lambda o: DeploymentView.of(o, container), fields=f"metadata.name={cluster.deployment}"),
            ours("EndpointSlice", EndpointSliceView.of, labels=f"kubernetes.io/service-name={cluster.service}"),
            _Stream(
                "Application", self._argo.kube, self._argo.namespace, application_state,
                fields=f"metadata.name={self._argo.application}",
            ),
        ]  # fmt: skip

    def _list(self, stream: _Stream, *, initial: bool) -> bool:
        """Take over a fresh list; True if it differs from what was known."""
        listed = stream.kube.list(stream.kind, stream.namespace, labels=stream.labels, fields=stream.fields)
        stream.version = listed["metadata"]["resourceVersion"]
        views = {item["metadata"]["name"]: stream.view(item) for item in listed["items"]}
        before = dict(stream.known)
        for name in before.keys() - views.keys():
            self._take(stream, "deleted", name, before[name])
        for name, view in views.items():
            self._take(stream, "modified" if name in before else "added", name, view, initial=initial)
        return before != views

    def _follow(self, stream: _Stream) -> None:
        while not self._stopping.is_set():
            lost_at_s = time.monotonic()
            try:
                self._watch_once(stream)
            except ApiError as error:
                if error.status != 410:
                    self._gap(stream, lost_at_s, str(error))
                    continue
                self._gap(stream, lost_at_s, "410 Gone: listed again")
            except RollproofError as error:
                self._gap(stream, lost_at_s, str(error))

    def _watch_once(self, stream: _Stream) -> None:
        events = stream.kube.watch(
            stream.kind, stream.namespace, resource_version=stream.version, labels=stream.labels, fields=stream.fields
        )
        for kind, item in events:
            if self._stopping.is_set():
                return
            stream.version = item["metadata"]["resourceVersion"]
            if kind != "BOOKMARK":
                what = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted"}[kind]
                self._take(stream, what, item["metadata"]["name"], stream.view(item))

    def _gap(self, stream: _Stream, start_s: float, reason: str) -> None:
        """The watch is gone: list until that works, then record how long we were blind and whether it mattered."""
        start_s = max(start_s, time.monotonic() - 0.001)
        while not self._stopping.wait(_PAUSE_S):
            try:
                changed = self._list(stream, initial=False)
            except RollproofError:
                continue
            end_s = time.monotonic()
            lost = changed and end_s - start_s > _LOSSY_GAP_S
            self._recorder.record(
                "watch", f"Watch/{stream.kind}", "gap", outcome=Outcome.UNKNOWN, start_s=start_s, end_s=end_s,
                data={"lost": lost, "reason": reason},
            )  # fmt: skip
            return

    def _take(self, stream: _Stream, what: str, name: str, view: Any, *, initial: bool = False) -> None:
        arrived_s = time.monotonic()
        with self._changed:
            before = stream.known.get(name)
            if what == "deleted":
                stream.known.pop(name, None)
            else:
                stream.known[name] = view
            self._changed.notify_all()
        if what != "deleted" and before is not None and _same(before, view):
            return  # a heartbeat that changes no field of the view is no fact
        data = asdict(view)
        if initial:
            data["initial"] = True
        subject = f"{stream.kind}/{stream.namespace}/{name}"
        self._recorder.record("watch", subject, what, start_s=arrived_s, end_s=arrived_s, data=data)


def _same(before: Any, after: Any) -> bool:
    """Equal but for the resourceVersion."""
    a, b = asdict(before), asdict(after)
    a.pop("resource_version", None)
    b.pop("resource_version", None)
    return bool(a == b)
