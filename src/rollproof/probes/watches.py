"""Watches: what the cluster says, as it arrives, one thread a kind; and the only place where code waits for it.

Each change becomes a fact with its arrival time on the monotonic clock. A watch that ends is resumed from its last
version, which loses nothing but lateness; one whose version is gone (410) lists again, and has lost facts if anything
changed meanwhile. Either is a recorded gap. Waits are event driven, bounded and named: their expiry says what was
wanted and what was seen last. Must never poll the API, and never call a gap nothing.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import tenacity

from rollproof.clients.argo import ApplicationState, Argo, application_state
from rollproof.clients.kube import ApiError, Kube, Object, SilenceError, WatchStream
from rollproof.core.event import Outcome, Recorder
from rollproof.core.outside import Outside
from rollproof.core.target import Target
from rollproof.errors import CannotJudgeError, OutsideDataError, RollproofError
from rollproof.probes.members import Members
from rollproof.probes.scheduling import quick
from rollproof.probes.views import DeploymentView, EndpointSliceView, PodView, label_selector
from rollproof.store.runfolder import UnwritableError

__all__ = ["Watches"]

T = TypeVar("T")
_WHAT = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted"}
_WAKE_S = 1.0  # a condition may look at more than the watches: it is tried again at least this often
_PAUSE_MAX_S = 2.0  # between two tries to come back
_LOOKS, _LOOK_AGAIN_S = 5, 0.4  # how often, and how far apart, a list is compared with what a watch has shown
_SHORT_S = 0.5  # a watch that ended so soon was none
_LEASE_ANNOTATION = "rollproof/watch-delay"


@dataclass(slots=True)
class _Stream:
    """One watched collection: what to ask for, what is known of it, and from which version the watch goes on.

    An empty `version` means that it must be listed again; `lost` notes that a fact may be missing since the last gap.
    """

    kind: str
    kube: Kube
    namespace: str
    view: Callable[[Object], Any]
    labels: str = ""
    fields: str = ""
    version: str = ""
    lost: bool = False
    known: dict[str, Any] = field(default_factory=dict)
    events: WatchStream | None = None
    away: str = ""  # why it is not connected now


class Watches:
    """Watches of one target. `start` returns when everything that exists is known; `stop` ends all threads."""

    def __init__(self, target: Target, kube: Kube, argo: Argo, recorder: Recorder) -> None:
        self._target = target
        self._kube = kube
        self._argo = argo
        self._recorder = recorder
        self._changed = threading.Condition()
        self._changes = 0  # counted, so that a change between a look and the wait for the next one is not slept through
        self._stopping = threading.Event()
        self._streams: dict[str, _Stream] = {}
        self._threads: list[threading.Thread] = []
        self._broken = ""

    def __enter__(self) -> Watches:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """List everything once, record it as initial, then watch. Raises what the first lists and watches raise."""
        for stream in self._plan():
            self._list(stream, initial=True)
            self._open(stream)
            self._streams[stream.kind] = stream
        for stream in self._streams.values():
            thread = threading.Thread(target=self._run, args=(stream,), name=f"watch-{stream.kind}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End all watches and their threads, and wake whoever waits."""
        self._stopping.set()
        for stream in self._streams.values():
            if stream.events is not None:
                stream.events.close()
        self._wake()
        for thread in self._threads:
            thread.join(timeout=5)
        self._threads.clear()

    # -- what is known now --------------------------------------------------------------------------------------

    def pods(self) -> Mapping[str, PodView]:
        """The Deployment's pods by name: those of its ReplicaSets, Terminating ones included.

        Not those of others with the same labels, and none that has ended (evicted) and is left lying: it answers
        nobody.
        """
        known: dict[str, PodView] = self._known("Pod")
        return {
            name: pod for name, pod in known.items() if pod.member is not False and (pod.terminating or not pod.ended)
        }

    def deployment(self) -> DeploymentView | None:
        """The Deployment, or None while it does not exist."""
        return self._known("Deployment").get(self._target.cluster.deployment)

    def application(self) -> ApplicationState:
        """The Application; an empty state while it does not exist."""
        state = self._known("Application").get(self._argo.application)
        return state if isinstance(state, ApplicationState) else ApplicationState()

    def away(self) -> str:
        """Which watches do not show what there is, and why: what is not seen then may be there all the same.

        One that is not connected says so; of one that only is silent, a list that differs for a while tells.
        """
        blind = ((stream.kind, stream.away or self._silent(stream)) for stream in list(self._streams.values()))
        return "; ".join(f"{kind}: {why}" for kind, why in blind if why)

    def _silent(self, stream: _Stream) -> str:
        """Why a connected watch is not to be believed: it has not shown what a list shows, nor soon after."""
        for _ in range(_LOOKS):
            try:
                listed = stream.kube.list(stream.kind, stream.namespace, labels=stream.labels, fields=stream.fields)
                there = {item["metadata"]["name"]: _words(stream.view(item)) for item in listed["items"]}
            except RollproofError as error:
                return f"it could not be listed ({error})"
            if there == {name: _words(view) for name, view in self._known(stream.kind).items()}:
                return ""
            self._stopping.wait(_LOOK_AGAIN_S)
        return "it is silent, and a list shows something else"

    def _known(self, kind: str) -> dict[str, Any]:
        with self._changed:
            stream = self._streams.get(kind)
            return dict(stream.known) if stream else {}

    # -- waiting ------------------------------------------------------------------------------------------------

    def poll(self, condition: Callable[[], T | None], *, timeout_s: float) -> T | None:
        """The condition's first value that is not None, or None when the time is over. Tried after each event.

        CannotJudgeError when a watch cannot go on: nothing that is waited for could be seen any more.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            looked_at = self._changes
            value = condition()
            left_s = deadline_s - time.monotonic()
            if value is not None or left_s <= 0 or self._stopping.is_set():
                return value
            if self._broken:
                raise CannotJudgeError(f"a watch ended for good: {self._broken}")
            with self._changed:
                if self._changes == looked_at:
                    self._changed.wait(min(left_s, _WAKE_S))

    def calibrate(self, *, lease: str, times: int = 5) -> list[float]:
        """Measure the watch delay in ms on the run's own Lease, and record it. Empty if no event came at all.

        From the sending of a patch to its event: an upper bound, for the change is made somewhere in between; the
        reply is too late to count from, the event is often here first.
        """
        namespace, start_s = self._target.cluster.namespace, time.monotonic()
        version = self._kube.get("Lease", namespace, lease)["metadata"]["resourceVersion"]
        arrived_s: dict[str, float] = {}
        events = self._kube.watch("Lease", namespace, resource_version=version, fields=f"metadata.name={lease}")
        reader = threading.Thread(target=_note_arrivals, args=(events, arrived_s, self._wake), daemon=True)
        reader.start()
        delays_ms: list[float] = []
        try:
            for mark in (f"{self._target.name}-{number}" for number in range(times)):
                sent_s = time.monotonic()
                self._kube.patch("Lease", namespace, lease, {"metadata": {"annotations": {_LEASE_ANNOTATION: mark}}})
                seen_s = self.poll(lambda mark=mark: arrived_s.get(mark), timeout_s=5)  # type: ignore[misc]
                if seen_s is not None:
                    delays_ms.append(round((seen_s - sent_s) * 1e3, 3))
        finally:
            events.close()
            reader.join(timeout=5)
        data = {"watch_delay_ms": delays_ms, "median_ms": statistics.median(delays_ms) if delays_ms else None}
        self._recorder.record("run", "clock", "calibrated", start_s=start_s, end_s=time.monotonic(), data=data)
        return delays_ms

    # -- inside -------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _plan(self) -> list[_Stream]:
        cluster, image = self._target.cluster, self._target.env_repo.image
        kube, namespace = self._kube, cluster.namespace
        deployment = kube.get("Deployment", namespace, cluster.deployment)
        service = kube.find("Service", namespace, cluster.service) or {}
        members = Members(kube, namespace, deployment, service, cluster.container, image)
        slices = f"kubernetes.io/service-name={cluster.service}"
        named = f"metadata.name={cluster.deployment}"
        application = f"metadata.name={self._argo.application}"
        return [  # the owners first: they tell whose the pods are
            _Stream("Deployment", kube, namespace, members.deployment, fields=named),
            _Stream("ReplicaSet", kube, namespace, members.replicaset, labels=label_selector(deployment)),
            _Stream("Pod", kube, namespace, members.pod, labels=members.labels),
            _Stream("EndpointSlice", kube, namespace, EndpointSliceView.of, labels=slices),
            _Stream("Application", self._argo.kube, self._argo.namespace, application_state, fields=application),
        ]

    def _list(self, stream: _Stream, *, initial: bool = False) -> None:
        """Take over a fresh list. What differs from what was known is recorded, and means that facts were lost."""
        listed = stream.kube.list(stream.kind, stream.namespace, labels=stream.labels, fields=stream.fields)
        views = {item["metadata"]["name"]: stream.view(item) for item in listed["items"]}
        before = dict(stream.known)
        stream.lost = stream.lost or (not initial and before != views)
        for name in before.keys() - views.keys():
            self._take(stream, "deleted", name, before[name])
        for name, view in views.items():
            self._take(stream, "modified" if name in before else "added", name, view, initial=initial)
        stream.version = listed["metadata"]["resourceVersion"]

    def _open(self, stream: _Stream) -> None:
        """Connect from the last version; ask for a new list first if that version is gone."""
        if not stream.version:
            self._list(stream)
        try:
            stream.events = stream.kube.watch(
                stream.kind, stream.namespace, resource_version=stream.version, labels=stream.labels,
                fields=stream.fields,
            )  # fmt: skip
        except ApiError as error:
            if error.status == 410:
                stream.version = ""
            raise
        if self._stopping.is_set():
            stream.events.close()

    def _run(self, stream: _Stream) -> None:
        """A watch's thread: read until it ends, come back, say how long it was away."""
        try:
            with quick():
                short = (
                    0  # in a row: a server that ends every watch at once must not be asked a thousand times a second
                )
                while not self._stopping.is_set():
                    opened_s = time.monotonic()
                    since_s, reason = self._read(stream)
                    short = short + 1 if time.monotonic() - opened_s < _SHORT_S else 0
                    if short > 1:
                        self._stopping.wait(min(_PAUSE_MAX_S, 0.1 * short))
                    if not self._stopping.is_set():
                        self._come_back(stream, since_s, reason)
        except Exception as error:  # noqa: BLE001 - a bug in here must end the wait of others, not this thread alone
            self._broken = f"{stream.kind}: {type(error).__name__}: {error}"
            stream.away = self._broken
            self._gap(stream, time.monotonic(), self._broken, lost=True)

    def _read(self, stream: _Stream) -> tuple[float, str]:
        """Take events until the watch ends: (since when nothing came, why)."""
        heard_s = time.monotonic()
        try:
            for kind, item in stream.events or ():
                heard_s = time.monotonic()
                stream.version = item["metadata"]["resourceVersion"]
                if kind in _WHAT:
                    self._take(stream, _WHAT[kind], item["metadata"]["name"], stream.view(item), arrived_s=heard_s)
        except SilenceError as error:
            return heard_s, str(error)
        except ApiError as error:
            if error.status == 410:
                stream.version = ""
            return heard_s, str(error)
        except OutsideDataError:
            raise  # what it said is a fact that cannot be read: nothing may be waited for any more
        except RollproofError as error:
            return time.monotonic(), str(error)
        return time.monotonic(), "the server ended the watch"

    def _come_back(self, stream: _Stream, since_s: float, reason: str) -> None:
        """Connect again, for as long as it takes, and record the gap; one that never ended has lost facts."""
        stream.lost, stream.away = False, reason
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=tenacity.wait_exponential(multiplier=0.05, max=_PAUSE_MAX_S),
            sleep=tenacity.sleep_using_event(self._stopping),
            stop=tenacity.stop_when_event_set(self._stopping),
            reraise=True,
        )
        try:
            retry(self._open, stream)
        except OutsideDataError:
            raise
        except RollproofError as error:
            self._gap(stream, since_s, f"{reason}; then: {error}", lost=True)
            return
        stream.away = ""
        self._gap(stream, since_s, reason, lost=stream.lost)

    def _gap(self, stream: _Stream, since_s: float, reason: str, *, lost: bool) -> None:
        self._record(
            f"Watch/{stream.kind}", "gap", outcome=Outcome.UNKNOWN, start_s=since_s, end_s=time.monotonic(),
            data={"lost": lost, "reason": reason},
        )  # fmt: skip
        self._wake()

    def _record(self, subject: str, what: str, **fact: Any) -> None:
        """A fact, if it can be written. Else the drill's own next fact ends it, and the undo has to see on."""
        with suppress(UnwritableError):
            self._recorder.record("watch", subject, what, **fact)

    def _take(
        self, stream: _Stream, what: str, name: str, view: Any, *, initial: bool = False,
        arrived_s: float | None = None,
    ) -> None:  # fmt: skip
        """A change: first a fact, then known to those who wait, so that what they record comes after it."""
        before = stream.known.get(name)
        heartbeat = what == "modified" and before is not None and _words(before) == _words(view)
        if not heartbeat:  # a change of no word of ours is no fact
            data = {**asdict(view), "initial": True} if initial else asdict(view)
            subject = f"{stream.kind}/{stream.namespace}/{name}"
            self._record(subject, what, start_s=arrived_s, data=data)
        with self._changed:
            if what == "deleted":
                stream.known.pop(name, None)
            else:
                stream.known[name] = view
        self._wake()


def _words(view: Any) -> dict[str, Any]:
    """What a view says but for the version, which every heartbeat changes."""
    return {key: value for key, value in asdict(view).items() if key != "resource_version"}


def _may_pass(error: BaseException) -> bool:
    """Whether it may be another answer in a moment: an object that cannot be read stays so."""
    return isinstance(error, RollproofError) and not isinstance(error, OutsideDataError)


def _note_arrivals(events: WatchStream, arrived_s: dict[str, float], wake: Callable[[], None]) -> None:
    """When each mark came back on the Lease, until the watch is closed."""
    try:
        for _, lease in events:
            now_s = time.monotonic()
            annotations = Outside.of(lease, "the run's Lease").child("metadata").child("annotations")
            mark = annotations.text(_LEASE_ANNOTATION)
            if mark:
                arrived_s.setdefault(mark, now_s)
            wake()
    except RollproofError:
        wake()  # fewer delays are measured, and the reader of the record sees how many
