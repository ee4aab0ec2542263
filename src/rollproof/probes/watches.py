"""Watches: the state of one target as the cluster reports it, one object watch per kind.

Each change becomes a fact with its arrival time on the monotonic clock, and each interruption of a watch a recorded
gap. Waits are event driven, bounded and named: on expiry they say what was wanted and what was seen last. Must never
poll the API, and never leave a gap unrecorded.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from typing import Any, TypeVar

from rollproof.clients.argo import ApplicationState, Argo, application_state
from rollproof.clients.kube import Kube, Object, WatchStream
from rollproof.core.event import Event, Outcome, Recorder
from rollproof.core.outside import Outside
from rollproof.core.target import Target
from rollproof.errors import CannotJudgeError, RollproofError
from rollproof.probes.members import Members
from rollproof.probes.objectwatch import ObjectWatch
from rollproof.probes.standstill import Standstill
from rollproof.probes.views import (
    AutoscalerView,
    DeploymentView,
    EndpointSliceView,
    NodeView,
    PodView,
    ReplicaSetView,
    label_selector,
    those_that_serve,
)
from rollproof.probes.waiting import Changes
from rollproof.store.runfolder import UnwritableError

__all__ = ["Watches"]

T = TypeVar("T")
_WHAT = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted"}
_LOOKS, _LOOK_AGAIN_S = 5, 0.4  # how often, and how far apart, a list is compared with the watch's state
_ALL_NODES = "Nodes"  # the key of their watch
_STOOD_STILL = "rollproof itself stood still: it was stopped, or had no CPU"
_LEASE_ANNOTATION = "rollproof/watch-delay"


class _Known:
    """The known objects of one kind: each change is recorded as a fact before waiting threads can see it.

    `view` turns an object into the few fields that a fact contains.
    """

    def __init__(
        self, kind: str, kube: Kube, namespace: str, view: Callable[[Object], Any], recorder: Recorder,
        changes: Changes, *, stopping: threading.Event, labels: str = "", fields: str = "",
    ) -> None:  # fmt: skip
        self.kind, self.view = kind, view
        self.views: dict[str, Any] = {}
        self._versions: dict[str, str] = {}
        self._recorder, self._changes, self._namespace = recorder, changes, namespace
        self.watch = ObjectWatch(kube, kind, namespace, self, labels=labels, fields=fields, stopping=stopping)

    def listed(self, items: list[Object], *, initial: bool) -> bool:
        """Take a new list. What differs from the known state is recorded.

        Facts were lost if any object has another version, also where our fields of it are as before: an address that
        left an EndpointSlice and came back meanwhile is in no list.
        """
        views = {item["metadata"]["name"]: self.view(item) for item in items}
        before, seen = dict(self.views), self._versions
        self._versions = {item["metadata"]["name"]: item["metadata"].get("resourceVersion", "") for item in items}
        for name, view in before.items():
            if name not in views or _uid(view) != _uid(views[name]):
                self._take("deleted", name, view)
        for name, view in views.items():
            self._take("modified" if name in self.views else "added", name, view, initial=initial)
        return seen != self._versions or before != views

    def changed(self, change: str, item: Object, at_s: float) -> None:
        """One event of the watch."""
        name = item["metadata"]["name"]
        self._versions[name] = item["metadata"]["resourceVersion"]
        if change == "DELETED":
            self._versions.pop(name, None)
        self._take(_WHAT[change], name, self.view(item), arrived_s=at_s)

    def gap(self, since_s: float, reason: str, *, lost: bool) -> None:
        """The watch was interrupted."""
        self._record(
            f"Watch/{self.kind}", "gap", outcome=Outcome.UNKNOWN, start_s=since_s, end_s=time.monotonic(),
            data={"lost": lost, "reason": reason},
        )  # fmt: skip
        self._changes.wake()

    def _take(self, what: str, name: str, view: Any, *, initial: bool = False, arrived_s: float | None = None) -> None:
        before = self.views.get(name)
        heartbeat = what == "modified" and before is not None and _words(before) == _words(view)
        if not heartbeat:  # a change of none of our fields is not a fact
            data = {**asdict(view), "initial": True} if initial else asdict(view)
            place = f"{self._namespace}/" if self._namespace else ""
            self._record(f"{self.kind}/{place}{name}", what, start_s=arrived_s, data=data)
        with self._changes.lock:
            if what == "deleted":
                self.views.pop(name, None)
            else:
                self.views[name] = view
        self._changes.wake()

    def _record(self, subject: str, what: str, **fact: Any) -> None:
        """Record a fact. If the disk refuses, the drill's own next fact ends it, and the undo must keep its watches."""
        with suppress(UnwritableError):
            self._recorder.record("watch", subject, what, **fact)


class _Silent:
    """A recorder of nothing."""

    def record(self, source: str, subject: str, what: str, **_: Any) -> Event:
        return Event(
            seq=0, start_s=0.0, end_s=0.0, wall="", drill="", source=source, subject=subject, what=what,
            outcome=Outcome.OK, data={},
        )  # fmt: skip


class Watches:
    """Watches of one target. `start` returns when everything that exists is known; `stop` ends all threads."""

    def __init__(self, target: Target, kube: Kube, argo: Argo, recorder: Recorder) -> None:
        self._target = target
        self._kube = kube
        self._argo = argo
        self._recorder = recorder
        self._changes = Changes()
        self._stopping = threading.Event()
        self._standstill = Standstill(self._stood_still, self._stopping)
        self._kinds: dict[str, _Known] = {}
        self._asked: Callable[[], None] | None = None

    def __enter__(self) -> Watches:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """List everything once, record it as initial, then watch. Raises the errors of the first lists and watches."""
        try:
            for known in self._plan():
                self._kinds[known.kind] = known
                known.watch.open()
        except RollproofError:
            self.stop()
            raise
        for known in self._kinds.values():
            known.watch.start()
        self._standstill.start()

    def stop(self) -> None:
        """End all watches and their threads, and wake all waiting threads."""
        self._stopping.set()
        for known in self._kinds.values():
            known.watch.close()
        self._changes.wake()
        for known in self._kinds.values():
            known.watch.join()
        self._standstill.join()

    def _stood_still(self, since_s: float, until_s: float) -> None:
        """A gap of all watches at once; they have lost nothing by it."""
        with suppress(UnwritableError):  # as `_Known._record`
            self._recorder.record(
                "watch", "Watch/all", "gap", outcome=Outcome.UNKNOWN, start_s=since_s, end_s=until_s,
                data={"lost": False, "reason": _STOOD_STILL},
            )  # fmt: skip

    # -- what is known now --------------------------------------------------------------------------------------

    def pods(self) -> Mapping[str, PodView]:
        """The Deployment's pods by name: those of its ReplicaSets, Terminating ones included.

        Not those of others with the same labels, and none that has ended (evicted) and was not removed: it does not
        answer.
        """
        known: dict[str, PodView] = self._known("Pod")
        return {
            name: pod for name, pod in known.items() if pod.member is not False and (pod.terminating or not pod.ended)
        }

    def deployment(self) -> DeploymentView | None:
        """The Deployment, or None while it does not exist."""
        return self._known("Deployment").get(self._target.cluster.deployment)

    def replicaset(self, deployment_uid: str) -> ReplicaSetView | None:
        """The newest ReplicaSet of that Deployment, by its revision; None while there is none."""
        known: dict[str, ReplicaSetView] = self._known("ReplicaSet")
        owned = [one for one in known.values() if one.owner_uid == deployment_uid]
        return max(owned, key=lambda one: one.revision, default=None)

    def endpoints(self) -> frozenset[str]:
        """The addresses that receive new connections of the Service: those that its EndpointSlices call ready."""
        slices: dict[str, EndpointSliceView] = self._known("EndpointSlice")
        return frozenset(address for one in slices.values() for address in one.ready)

    def serving(self) -> Mapping[str, PodView]:
        """The Deployment's pods that serve, by name, in the order of their names: for whoever asks, the same ones."""
        return those_that_serve(self.pods(), self.endpoints())

    def application(self) -> ApplicationState:
        """The Application; an empty state while it does not exist."""
        state = self._known("Application").get(self._argo.application)
        return state if isinstance(state, ApplicationState) else ApplicationState()

    @contextmanager
    def pods_beside(self, kube: Kube, namespace: str, labels: str) -> Iterator[None]:
        """Watch the pods of another namespace as well, inside of the block; `beside` returns them.

        Their facts have `member: false`.
        """

        def view(item: Object) -> PodView:
            return replace(PodView.of(item), member=False, in_service=False)

        with self._also(f"Pod/{namespace}", "Pod", kube, namespace, view, labels=labels):
            yield

    @contextmanager
    def node_beside(self, kube: Kube, name: str) -> Iterator[None]:
        """Watch one node of the cluster as well, inside of the block; `node` returns it."""
        with self._also(f"Node/{name}", "Node", kube, "", NodeView.of, fields=f"metadata.name={name}"):
            yield

    @contextmanager
    def nodes_beside(self, kube: Kube) -> Iterator[None]:
        """Watch all nodes of the cluster, inside of the block; `nodes_not_ready` knows them.

        Their changes are no facts: the node that a fault is done to has a watch of its own.
        """
        with self._also(_ALL_NODES, "Node", kube, "", NodeView.of, recorder=_Silent()):
            yield

    @contextmanager
    def autoscaler_beside(self, name: str) -> Iterator[None]:
        """Watch one autoscaler of the app's namespace as well, inside of the block; `autoscaler` returns it."""
        kind, namespace = "HorizontalPodAutoscaler", self._target.cluster.namespace
        with self._also(kind, kind, self._kube, namespace, AutoscalerView.of, fields=f"metadata.name={name}"):
            yield

    @contextmanager
    def _also(
        self, key: str, kind: str, kube: Kube, namespace: str, view: Callable[[Object], Any], *,
        recorder: Recorder | None = None, **asked: str,
    ) -> Iterator[None]:  # fmt: skip
        known = _Known(
            kind, kube, namespace, view, recorder or self._recorder, self._changes, stopping=threading.Event(), **asked
        )  # fmt: skip
        known.watch.open()
        known.watch.start()
        with self._changes.lock:
            self._kinds[key] = known
        try:
            yield
        finally:
            with self._changes.lock:
                del self._kinds[key]
            known.watch.close()
            known.watch.join()

    def beside(self, namespace: str) -> Mapping[str, PodView]:
        """The pods that `pods_beside` watches there, by name."""
        return self._known(f"Pod/{namespace}")

    def node(self, name: str) -> NodeView | None:
        """The node that `node_beside` watches; None while it does not exist."""
        view = self._known(f"Node/{name}").get(name)
        return view if isinstance(view, NodeView) else None

    def nodes_not_ready(self) -> frozenset[str]:
        """The nodes that do not say that they are ready, by name; none where `nodes_beside` does not watch them."""
        views: dict[str, NodeView] = self._known(_ALL_NODES)
        return frozenset(name for name, view in views.items() if view.ready != "True")

    def autoscaler(self) -> AutoscalerView | None:
        """The autoscaler that `autoscaler_beside` watches; None while it does not exist."""
        return next(iter(self._known("HorizontalPodAutoscaler").values()), None)

    def away(self) -> str:
        """Which watches do not show the current state, and why; "" if all do. What is not seen then may still exist.

        A broken connection is known; a connected watch that is silent is found by lists that differ for a while.
        """
        if self._standstill.lately():
            return _STOOD_STILL
        blind = ((known.kind, known.watch.away or self._silent(known)) for known in list(self._kinds.values()))
        return "; ".join(f"{kind}: {why}" for kind, why in blind if why)

    def _silent(self, known: _Known) -> str:
        """Why a connected watch cannot be trusted: it has not shown what a list shows, and did not soon after."""
        for _ in range(_LOOKS):
            try:
                watch = known.watch
                listed = watch.kube.list(known.kind, watch.namespace, labels=watch.labels, fields=watch.fields)
                there = {item["metadata"]["name"]: _words(known.view(item)) for item in listed["items"]}
            except RollproofError as error:
                return f"it could not be listed ({error})"
            with self._changes.lock:
                seen = dict(known.views)
            if there == {name: _words(view) for name, view in seen.items()}:
                return ""
            self._stopping.wait(_LOOK_AGAIN_S)
        return "it is silent, and a list shows something else"

    def _known(self, kind: str) -> dict[str, Any]:
        with self._changes.lock:
            known = self._kinds.get(kind)
            return dict(known.views) if known else {}

    # -- waiting ------------------------------------------------------------------------------------------------

    def poll(
        self, condition: Callable[[], T | None], *, timeout_s: float, in_a_row: int = 1, apart_s: float = 0.0
    ) -> T | None:
        """The condition's first value that is not None, or None when the time is over. Tried after each event.

        `in_a_row`, `apart_s`: so many looks in a row must have one (`Changes.wait`).
        CannotJudgeError when a watch cannot go on: what is waited for could not be seen any more.
        """
        return self._changes.wait(
            condition, timeout_s=timeout_s, in_a_row=in_a_row, apart_s=apart_s, give_up=self._is_over
        )

    @contextmanager
    def asking(self, look: Callable[[], None]) -> Iterator[None]:
        """Inside of the block whoever waits asks this too, at least once a second; what it raises ends the wait."""
        self._asked = look
        try:
            yield
        finally:
            self._asked = None

    def _is_over(self) -> bool:
        if self._stopping.is_set():
            return True
        if self._asked is not None:
            self._asked()
        if broken := next((known.watch.broken for known in list(self._kinds.values()) if known.watch.broken), ""):
            raise CannotJudgeError(f"a watch ended for good: {broken}")
        return False

    def calibrate(self, *, lease: str, times: int = 5) -> list[float]:
        """Measure the watch delay in ms on the run's own Lease, and record it. Empty if no event came at all.

        From the sending of a patch to its event: an upper bound, since the change is made somewhere in between. Not
        from the reply, which often arrives after the event.
        """
        namespace, start_s = self._target.cluster.namespace, time.monotonic()
        version = self._kube.get("Lease", namespace, lease)["metadata"]["resourceVersion"]
        arrived_s: dict[str, float] = {}
        events = self._kube.watch("Lease", namespace, resource_version=version, fields=f"metadata.name={lease}")
        reader = threading.Thread(target=_note_arrivals, args=(events, arrived_s, self._changes.wake), daemon=True)
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

    def _plan(self) -> list[_Known]:
        cluster, image = self._target.cluster, self._target.env_repo.image
        kube, namespace = self._kube, cluster.namespace
        deployment = kube.get("Deployment", namespace, cluster.deployment)
        service = kube.find("Service", namespace, cluster.service) or {}
        members = Members(kube, namespace, deployment, service, cluster.container, image)
        slices = f"kubernetes.io/service-name={cluster.service}"
        named = f"metadata.name={cluster.deployment}"
        application = f"metadata.name={self._argo.application}"

        def known(kind: str, view: Callable[[Object], Any], **asked: str) -> _Known:
            where = self._argo if kind == "Application" else None
            return _Known(
                kind, where.kube if where else kube, where.namespace if where else namespace, view, self._recorder,
                self._changes, stopping=self._stopping, **asked,
            )  # fmt: skip

        return [  # owners first: pods are assigned to the Deployment by them
            known("Deployment", members.deployment, fields=named),
            known("ReplicaSet", members.replicaset, labels=label_selector(deployment)),
            known("Pod", members.pod, labels=members.labels),
            known("EndpointSlice", EndpointSliceView.of, labels=slices),
            known("Application", application_state, fields=application),
        ]


def _uid(view: Any) -> str:
    """Which object a view is of, where its kind says so: one of the same name may be another one."""
    return str(getattr(view, "uid", ""))


def _words(view: Any) -> dict[str, Any]:
    """The fields of a view without the version, which changes with every heartbeat."""
    return {key: value for key, value in asdict(view).items() if key != "resource_version"}


def _note_arrivals(events: WatchStream, arrived_s: dict[str, float], wake: Callable[[], None]) -> None:
    """Note when each mark arrived on the Lease, until the watch is closed."""
    try:
        for _, lease in events:
            now_s = time.monotonic()
            annotations = Outside.of(lease, "the run's Lease").child("metadata").child("annotations")
            mark = annotations.text(_LEASE_ANNOTATION)
            if mark:
                arrived_s.setdefault(mark, now_s)
            wake()
    except RollproofError:
        wake()  # fewer delays are measured, and the record says how many
