"""Compare: what git declares with what is live, object by object, as CompareAppState of Argo CD does.

Only declared fields count, without those of `ignoreDifferences`; live objects count if they are declared, or have the
Application's tracking id and no owner. Reads the store and changes nothing.
"""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollproof_sandbox.api.kinds import KINDS
from rollproof_sandbox.api.store import Object, Store
from rollproof_sandbox.argocd import health
from rollproof_sandbox.argocd.threeway import applied

__all__ = ["TRACKING", "Comparison", "Managed", "compare", "images", "tracked", "with_tracking"]

TRACKING = "argocd.argoproj.io/tracking-id"
_OWNABLE = (
    "ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "Secret", "Service", "StatefulSet"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Managed:
    """One object that git declares or that the Application owns. `status` is Synced, OutOfSync or Unknown."""

    kind: str
    namespace: str
    name: str
    target: Object | None
    live: Object | None
    status: str

    @property
    def prunable(self) -> bool:
        """Whether it is live and not declared."""
        return self.target is None and self.live is not None

    def as_status(self) -> Object:
        """Its entry in `status.resources`."""
        kind = KINDS[self.kind]
        group = {"group": kind.group} if kind.group else {}
        prune = {"requiresPruning": True} if self.prunable else {}
        where = {"namespace": self.namespace} if self.namespace else {}
        rest = {"status": self.status, "version": kind.version}
        return {**group, "kind": self.kind, "name": self.name, **where, **prune, **rest}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison. `error`: the target state could not be loaded, everything is Unknown."""

    revision: str
    status: str
    health: str
    managed: tuple[Managed, ...]
    images: tuple[str, ...]
    error: str = ""

    def resources(self) -> list[Object]:
        """`status.resources`."""
        listed = [one.as_status() for one in self.managed]
        return sorted(
            listed, key=lambda one: (one.get("group", ""), one["kind"], one.get("namespace", ""), one["name"])
        )


def with_tracking(items: Iterable[Object], application: str, namespace: str) -> list[Object]:
    """Targets in their applied form: in the destination's namespace if they name none, with their tracking id."""
    made = []
    for item in items:
        kind, target = KINDS[item["kind"]], copy.deepcopy(item)
        metadata = target["metadata"]
        if kind.namespaced:
            metadata.setdefault("namespace", namespace)
        metadata["annotations"] = {**(metadata.get("annotations") or {}), TRACKING: _tracking_id(application, target)}
        made.append(target)
    return made


def tracked(item: Mapping[str, Any], application: str) -> bool:
    """Whether it belongs to the Application: its tracking id names itself, and it has no owner."""
    metadata = item["metadata"]
    found = (metadata.get("annotations") or {}).get(TRACKING)
    return found == _tracking_id(application, item) and not metadata.get("ownerReferences")


def _tracking_id(application: str, item: Mapping[str, Any]) -> str:
    metadata, group = item["metadata"], KINDS[item["kind"]].group
    return f"{application}:{group}/{item['kind']}:{metadata.get('namespace', '')}/{metadata['name']}"


def compare(
    store: Store, targets: Sequence[Object] | None, *, application: str, namespace: str, revision: str,
    ignored: Sequence[Mapping[str, Any]] = (), error: str = "",
) -> Comparison:  # fmt: skip
    """Compare the targets with what is live now. None: they could not be loaded, for the reason `error`."""
    declared = {_key(target): target for target in targets or ()}
    live = {_key(item): item for kind in _OWNABLE for item in store.list(kind, namespace) if tracked(item, application)}
    for key in declared.keys() - live.keys():
        if (there := store.get(*key)) is not None:
            live[key] = there
    managed = []
    for key in sorted(declared.keys() | live.keys()):
        target, there = declared.get(key), live.get(key)
        same = target is not None and there is not None and _same(target, there, ignored)
        status = "Unknown" if targets is None else "Synced" if same else "OutOfSync"
        managed.append(Managed(*key, target, there, status))
    synced = all(one.status == "Synced" for one in managed)
    return Comparison(
        revision=revision,
        status="Unknown" if targets is None else "Synced" if synced else "OutOfSync",
        health=health.worst(health.of_object(one.kind, one.live) for one in managed),
        managed=tuple(managed),
        images=images(store, namespace, [one.live for one in managed if one.live is not None]),
        error=error,
    )


def _key(item: Mapping[str, Any]) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def images(store: Store, namespace: str, roots: Iterable[Object]) -> tuple[str, ...]:
    """Images of all live pods that the roots own, directly or through a ReplicaSet."""
    uids = {item["metadata"]["uid"] for item in roots}
    uids |= {item["metadata"]["uid"] for item in store.list("ReplicaSet", namespace) if _owned(item, uids)}
    pods = [item for item in store.list("Pod", namespace) if _owned(item, uids)]
    return tuple(sorted({container["image"] for pod in pods for container in pod["spec"]["containers"]}))


def _owned(item: Object, uids: set[str]) -> bool:
    return any(one["uid"] in uids for one in item["metadata"].get("ownerReferences") or ())


def _same(target: Object, live: Object, rules: Sequence[Mapping[str, Any]]) -> bool:
    predicted, there = applied(live, target), live
    pointers = [pointer for rule in rules if _covers(rule, target) for pointer in rule.get("jsonPointers") or ()]
    if pointers:
        predicted, there = copy.deepcopy(predicted), copy.deepcopy(live)
        for pointer in pointers:
            _remove(predicted, pointer)
            _remove(there, pointer)
    return predicted == there


def _covers(rule: Mapping[str, Any], target: Object) -> bool:
    """Whether an ignoreDifferences rule applies. A missing group is the core group, as in Argo CD (#28590)."""
    kind, namespace, name = _key(target)
    same_kind = fnmatch.fnmatchcase(KINDS[kind].group, rule.get("group") or "") and (
        fnmatch.fnmatchcase(kind, rule.get("kind") or "")
    )
    wanted = ((rule.get("name"), name), (rule.get("namespace"), namespace))
    return same_kind and all(not pattern or fnmatch.fnmatchcase(value, pattern) for pattern, value in wanted)


def _remove(item: Any, pointer: str) -> None:
    """Remove what the pointer names, and maps that become empty: a typed object drops those."""
    part, _, rest = pointer.removeprefix("/").partition("/")
    key: Any = part.replace("~1", "/").replace("~0", "~")
    if isinstance(item, list):
        key = int(key) if key.isdigit() and int(key) < len(item) else None
    if key is None or not isinstance(item, dict | list) or (isinstance(item, dict) and key not in item):
        return
    if rest:
        _remove(item[key], rest)
    if not rest or item[key] == {}:
        del item[key]
