"""Store: every object of the sandbox's cluster, with versions, as etcd and the API server's registry keep them.

One lock around all writes; every change has the next resourceVersion, is kept in a bounded history for watches, and is
passed to subscribers in order, outside of the lock. Returned objects are copies. Must not know HTTP or controllers.
"""

from __future__ import annotations

import secrets
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rollproof_sandbox.api import errors
from rollproof_sandbox.api.defaults import fill_in
from rollproof_sandbox.api.errors import StoreError
from rollproof_sandbox.api.kinds import KINDS, Kind
from rollproof_sandbox.api.managedfields import track
from rollproof_sandbox.api.patches import apply_patch
from rollproof_sandbox.api.rules import check, check_name, type_problem

__all__ = ["Change", "Object", "Store", "StoreError"]

Object = dict[str, Any]
_Key = tuple[str, str, str]  # kind, namespace, name
_HISTORY_MAX = 20_000  # changes; a watch that is further behind gets 410
_FIRST_VERSION = 1_000
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # the letters of generated names
_KEPT = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")


@dataclass(frozen=True, slots=True)
class Change:
    """One change: ADDED, MODIFIED or DELETED. `old` is the object before it, `manager` its author."""

    type: str
    object: Object
    old: Object | None
    kind: str
    manager: str

    @property
    def version(self) -> int:
        """The resourceVersion that this change made."""
        return int(self.object["metadata"]["resourceVersion"])


class Store:
    """The cluster's objects. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._objects: dict[_Key, Object] = {}  # never changed in place: a write replaces the object
        self._version = _FIRST_VERSION
        self._oldest = _FIRST_VERSION  # older versions are gone
        self._history: deque[Change] = deque(maxlen=_HISTORY_MAX)
        self._address = 0
        self._heard: list[Callable[[Change], None]] = []
        self._untold: deque[Change] = deque()
        self._telling = threading.Lock()
        self.notified_version = _FIRST_VERSION  # every subscriber has received all changes up to this one

    # -- reading ------------------------------------------------------------------------------------------------

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        found = self._objects.get((kind, namespace, name))
        return _copy(found) if found else None

    def list(self, kind: str, namespace: str = "", *, labels: Mapping[str, str] | None = None) -> list[Object]:
        """All objects of the kind, sorted by namespace and name; without a namespace, of all."""
        return [*self.list_at(kind, namespace, labels=labels)[0]]

    def list_at(
        self, kind: str, namespace: str = "", *, labels: Mapping[str, str] | None = None
    ) -> tuple[Sequence[Object], int]:
        """The objects and the version of that state."""
        wanted = (labels or {}).items()
        with self._lock:
            found = sorted(key for key in self._objects if key[0] == kind and namespace in ("", key[1]))
            items = [self._objects[key] for key in found]
            version = self._version
        chosen = [item for item in items if wanted <= (item["metadata"].get("labels") or {}).items()]
        return [_copy(item) for item in chosen], version

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._version

    # -- writing ------------------------------------------------------------------------------------------------

    def create(self, item: Object, *, manager: str, dry_run: bool = False) -> Object:
        """Create; AlreadyExists if the name is in use. `metadata.generateName` generates a name."""
        kind, new = _kind(item), _copy(item)
        metadata = new.setdefault("metadata", {})
        if problem := type_problem(kind, new):
            raise errors.wrong_type(kind, problem)
        with self._notifying():
            if not metadata.get("name") and metadata.get("generateName"):
                metadata["name"] = metadata["generateName"] + "".join(secrets.choice(_LETTERS) for _ in range(5))
            key = _key(kind, metadata)
            if key in self._objects:
                raise errors.already_exists(kind, key[2])
            check_name(kind, key[2])
            if metadata.get("resourceVersion"):
                raise StoreError(500, "", "resourceVersion should not be set on objects to be created")
            for name in (*_KEPT, "managedFields"):
                metadata.pop(name, None)
            metadata["uid"], metadata["creationTimestamp"] = str(uuid.uuid4()), _now()
            if kind.generation:
                metadata["generation"] = 1
            fill_in(kind, new)
            check(kind, None, new)
            if kind.name == "Service":
                self._give_address(kind, new)
            new["metadata"]["managedFields"] = track(kind, None, new, manager=manager, subresource="", now=_now())
            return _copy(new if dry_run else self._commit(kind, key, None, new, manager))

    def update(self, item: Object, *, manager: str, subresource: str = "", dry_run: bool = False) -> Object:
        """Replace; Conflict if the item's resourceVersion or uid is set and is not the current one."""
        kind = _kind(item)
        key = _key(kind, item["metadata"])
        with self._notifying():
            old = self._objects.get(key)
            if old is None:
                raise errors.not_found(kind, key[2])
            return _copy(self._write(kind, key, old, _copy(item), manager, subresource, dry_run=dry_run))

    def mutate(
        self, kind: str, namespace: str, name: str, change: Callable[[Object], None], *, manager: str,
        subresource: str = "",
    ) -> Object | None:  # fmt: skip
        """Let `change` modify the object, and keep the result; None if there is no such object."""
        with self._notifying():
            old = self._objects.get((kind, namespace, name))
            if old is None:
                return None
            new = _copy(old)
            change(new)
            return _copy(self._write(KINDS[kind], (kind, namespace, name), old, new, manager, subresource))

    def patch(
        self, kind: str, namespace: str, name: str, body: Any, how: str, *, manager: str, dry_run: bool = False,
        subresource: str = "",
    ) -> Object:  # fmt: skip
        """Patch; `how` is the content type. Conflict if the body has a resourceVersion that is not the current one."""
        key = (kind, namespace, name)
        with self._notifying():
            old = self._objects.get(key)
            if old is None:
                raise errors.not_found(KINDS[kind], name)
            new = apply_patch(KINDS[kind], _copy(old), body, how)
            if problem := type_problem(KINDS[kind], new):
                raise errors.patched_wrong_type(body, problem)
            return _copy(self._write(KINDS[kind], key, old, new, manager, subresource, dry_run=dry_run, patched=True))

    def delete(
        self, kind: str, namespace: str, name: str, *, uid: str = "", resource_version: str = "", manager: str = "",
        grace_s: int | None = None, dry_run: bool = False,
    ) -> Object | None:  # fmt: skip
        """Delete, and in the background what it owns. A running Pod is Terminating until it is deleted without grace.

        None if there is no such object; Conflict if it has another uid or version. Returns the object's last state.
        """
        with self._notifying():
            key = (kind, namespace, name)
            old = self._objects.get(key)
            if old is None:
                return None
            _check_preconditions(KINDS[kind], old["metadata"], uid, resource_version)
            if dry_run:
                return _copy(old)
            own_s = _grace_s(kind, old)
            grace_s = own_s if grace_s is None or not own_s else grace_s
            if kind == "Pod" or old["metadata"].get("finalizers"):
                old = self._begin_deletion(KINDS[kind], key, old, grace_s, manager)
            if grace_s or old["metadata"].get("finalizers"):
                return _copy(old)
            return _copy(self._remove(key, old, manager))

    # -- watching -----------------------------------------------------------------------------------------------

    def subscribe(self, heard: Callable[[Change], None]) -> Callable[[], None]:
        """Call `heard` with every change from now on, in order; returns what ends that. `heard` must be quick."""
        with self._lock:
            self._heard = [*self._heard, heard]

        def end() -> None:
            with self._lock:
                self._heard = [one for one in self._heard if one is not heard]

        return end

    def follow(self, since: int, heard: Callable[[Change], None]) -> tuple[Sequence[Change], Callable[[], None]]:
        """The changes after version `since`, and a subscription to later ones. StoreError 410 if they are gone.

        A change may come both ways: the caller skips versions that it has had.
        """
        with self._lock:
            if since < self._oldest:
                raise errors.expired(since, self._oldest)
            missed = []
            for change in reversed(self._history):
                if change.version <= since:
                    break
                missed.append(change)
            return missed[::-1], self.subscribe(heard)

    def follow_all(
        self, kind: str, namespace: str, heard: Callable[[Change], None]
    ) -> tuple[Sequence[Object], int, Callable[[], None]]:
        """The existing objects, the version of that state, and a subscription to later changes."""
        with self._lock:
            return *self.list_at(kind, namespace), self.subscribe(heard)

    def await_notified(self) -> None:
        """Return when subscribers have received everything written before. Not to be called by a subscriber."""
        with self._telling:
            pass
        self._notify()  # a writer that found the lock taken has left it to us

    def expire(self) -> None:
        """Make every version up to now unavailable: a watch from one of them gets 410."""
        with self._lock:
            self._version += 1
            self._oldest = self._version
            self._history.clear()

    # -- inside -------------------------------------------------------------------------------------------------

    def _notifying(self) -> _NotifyingLock:
        return _NotifyingLock(self._lock, self._notify)

    def _notify(self) -> None:
        """Pass new changes to subscribers; if another thread is doing that, leave it to that one."""
        while self._untold and self._telling.acquire(blocking=False):
            try:
                while self._untold:
                    change = self._untold.popleft()
                    for heard in self._heard:
                        heard(change)
                    self.notified_version = change.version
            finally:
                self._telling.release()

    def _write(
        self, kind: Kind, key: _Key, old: Object, new: Object, manager: str, subresource: str, *, dry_run: bool = False,
        patched: bool = False,
    ) -> Object:  # fmt: skip
        sent, was = new.setdefault("metadata", {}), old["metadata"]
        if sent.get("name", was["name"]) != was["name"]:
            message = f"the name of the object ({sent['name']}) does not match the name on the URL ({was['name']})"
            raise errors.bad_request(message)
        _check_sent(kind, sent, was, patched=patched)
        if problem := type_problem(kind, new):
            raise errors.wrong_type(kind, problem)
        new = _with_its_part(kind, old, new, subresource)
        metadata = new["metadata"] = {**new["metadata"], "name": was["name"], "resourceVersion": was["resourceVersion"]}
        if "namespace" in was:
            metadata["namespace"] = was["namespace"]
        for name in (*_KEPT, "managedFields"):
            metadata.pop(name, None)
            if name in was:
                metadata[name] = was[name]
        if kind.name == "Service":
            _keep_address(old, new)
        fill_in(kind, new)
        check(kind, old, new)
        if new == old:
            return old
        if subresource != "status" and _is_new_generation(kind, old, new):
            new["metadata"]["generation"] = was.get("generation", 0) + 1
        new["metadata"]["managedFields"] = track(kind, old, new, manager=manager, subresource=subresource, now=_now())
        if dry_run:
            return new
        if "deletionTimestamp" in was and not new["metadata"].get("finalizers") and was.get("finalizers"):
            return self._remove(key, new, manager)
        return self._commit(kind, key, old, new, manager)

    def _commit(self, kind: Kind, key: _Key, old: Object | None, new: Object, manager: str) -> Object:
        self._version += 1
        new["metadata"]["resourceVersion"] = str(self._version)
        self._objects[key] = new
        self._note(Change("MODIFIED" if old else "ADDED", _copy(new), old, kind.name, manager))
        return new

    def _note(self, change: Change) -> None:
        if len(self._history) == _HISTORY_MAX:
            self._oldest = self._history[0].version
        self._history.append(change)
        self._untold.append(change)

    def _remove(self, key: _Key, old: Object, manager: str) -> Object:
        self._version += 1
        gone = _copy(old)
        gone["metadata"]["resourceVersion"] = str(self._version)
        self._objects.pop(key, None)
        self._note(Change("DELETED", gone, old, key[0], manager))
        self._collect(old["metadata"]["uid"], key[1])
        return gone

    def _collect(self, uid: str, namespace: str) -> None:
        """Background deletion: objects without a living owner are deleted too."""
        for key, item in list(self._objects.items()):
            owners = item["metadata"].get("ownerReferences") or ()
            if key[1] == namespace and any(one["uid"] == uid for one in owners):
                self.delete(*key, manager="kube-controller-manager")

    def _begin_deletion(self, kind: Kind, key: _Key, old: Object, grace_s: int, manager: str) -> Object:
        """Mark it; a shorter grace period replaces a longer one, also right before the removal."""
        if old["metadata"].get("deletionGracePeriodSeconds", grace_s + 1) <= grace_s:
            return old
        new = _copy(old)
        if kind.generation and "deletionTimestamp" not in new["metadata"]:
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        new["metadata"]["deletionTimestamp"] = _now(grace_s)
        new["metadata"]["deletionGracePeriodSeconds"] = grace_s
        return self._commit(kind, key, old, new, manager)

    def _give_address(self, kind: Kind, new: Object) -> None:
        spec = new["spec"]
        taken = {item["spec"].get("clusterIP") for key, item in self._objects.items() if key[0] == "Service"}
        wanted = spec.get("clusterIP")
        if wanted in taken and wanted != "None":
            problem = f'Invalid value: ["{wanted}"]: failed to allocate IP {wanted}: provided IP is already allocated'
            raise errors.invalid(kind, new["metadata"]["name"], "spec.clusterIPs", problem)
        while not spec.get("clusterIP") or (spec["clusterIP"] in taken and not wanted):
            self._address += 1
            spec["clusterIP"] = f"10.96.{self._address // 250}.{self._address % 250 + 1}"
        spec["clusterIPs"] = [spec["clusterIP"]]


class _NotifyingLock:
    """The store's lock; when the outermost holder releases it, subscribers receive the changes."""

    __slots__ = ("_lock", "_notify")

    def __init__(self, lock: AbstractContextManager[bool], notify: Callable[[], None]) -> None:
        self._lock = lock
        self._notify = notify

    def __enter__(self) -> None:
        self._lock.__enter__()

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__(None, None, None)
        self._notify()


def _kind(item: Object) -> Kind:
    kind = KINDS.get(str(item.get("kind")))
    if kind is None:
        raise errors.bad_request(f"no kind {item.get('kind')!r} is registered for version {item.get('apiVersion')!r}")
    return kind


def _key(kind: Kind, metadata: Mapping[str, Any]) -> _Key:
    name = metadata.get("name")
    if not name:
        raise errors.invalid(kind, "", "metadata.name", "Required value: name or generateName is required",
                             "FieldValueRequired")  # fmt: skip
    return kind.name, str(metadata.get("namespace", "")) if kind.namespaced else "", str(name)


def _check_sent(kind: Kind, sent: Mapping[str, Any], was: Mapping[str, Any], *, patched: bool) -> None:
    if sent.get("uid", was["uid"]) != was["uid"]:
        if patched:
            problem = f'Invalid value: "{sent["uid"]}": field is immutable'
            raise errors.invalid(kind, was["name"], "metadata.uid", problem)
        raise errors.other_uid(kind, was.get("namespace", ""), was["name"], sent["uid"], was["uid"])
    if sent.get("resourceVersion") and str(sent["resourceVersion"]) != was["resourceVersion"]:
        raise errors.conflict(kind, was["name"])


def _check_preconditions(kind: Kind, was: Mapping[str, Any], uid: str, version: str) -> None:
    if uid and uid != was["uid"]:
        why = (
            f"the UID in the precondition ({uid}) does not match the UID in record ({was['uid']}). "
            "The object might have been deleted and then recreated"
        )
        raise errors.other_object(kind, was["name"], why)
    if version and version != was["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
            f"({was['resourceVersion']}). The object might have been modified"
        )
        raise errors.other_object(kind, was["name"], why)


def _with_its_part(kind: Kind, old: Object, new: Object, subresource: str) -> Object:
    """What a write may change: the status subresource only the status, any other all but the status."""
    if subresource == "status":
        kept = {key: value for key, value in old.items() if key != "status"}
        metadata = dict(old["metadata"])
        if kind.name == "Deployment" and "annotations" in new["metadata"]:  # the controller's revision stays
            metadata["annotations"] = new["metadata"]["annotations"]
        return {**kept, "metadata": metadata, "status": new.get("status", {})}
    if kind.status_apart:
        new = {key: value for key, value in new.items() if key != "status"}
        if "status" in old:
            new["status"] = old["status"]
    return dict(new)


def _keep_address(old: Object, new: Object) -> None:
    spec = new.setdefault("spec", {})
    for name in ("clusterIP", "clusterIPs"):
        if name in old["spec"]:
            spec.setdefault(name, old["spec"][name])


def _is_new_generation(kind: Kind, old: Object, new: Object) -> bool:
    counted = set(kind.generation.split("+")) - {""}
    for part in counted & {"annotations", "labels"}:
        if old["metadata"].get(part) != new["metadata"].get(part):
            return True
    if "all" in counted:
        return {**old, "metadata": 0} != {**new, "metadata": 0}
    return "spec" in counted and old.get("spec") != new.get("spec")


def _grace_s(kind: str, old: Object) -> int:
    if kind != "Pod" or not old["spec"].get("nodeName"):
        return 0
    return int(old["spec"].get("terminationGracePeriodSeconds", 30))


def _now(later_s: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=later_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _copy(item: Object) -> Object:
    """A deep copy of plain JSON: several times as fast as copy.deepcopy."""
    return {key: _copied(value) for key, value in item.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_copied(one) for one in value]
    return value
