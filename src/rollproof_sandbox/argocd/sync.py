"""Sync: apply what git declares to the cluster, as `kubectl apply` with Argo CD's field manager, and prune the rest.

It uses objects and the store, and does not know the Application.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollproof_sandbox.api.kinds import KINDS
from rollproof_sandbox.api.moments import ARGO_MANAGER as MANAGER
from rollproof_sandbox.api.store import Object, Store, StoreError
from rollproof_sandbox.argocd.compare import Managed
from rollproof_sandbox.argocd.threeway import applied, with_last_applied

__all__ = ["MANAGER", "Done", "in_scope", "sync", "without_one_field"]

_ORDER = ("NetworkPolicy", "Secret", "ConfigMap", "Service", "Deployment", "HorizontalPodAutoscaler", "StatefulSet",
          "Ingress")  # fmt: skip
# Fields that may be missing without an effect on other parts of a drill.
_OPTIONAL = (("data",), ("spec", "revisionHistoryLimit"), ("metadata", "labels"))


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a sync, with `syncResult.resources`."""

    phase: str
    message: str
    results: tuple[Object, ...]


def in_scope(managed: Iterable[Managed], wanted: Sequence[Mapping[str, Any]]) -> list[Managed]:
    """The objects of an operation, in the order of applying; an empty `wanted` is everything."""
    chosen = [one for one in managed if not wanted or any(_names(entry, one) for entry in wanted)]
    return sorted(chosen, key=lambda one: (_ORDER.index(one.kind) if one.kind in _ORDER else len(_ORDER), one.name))


def _names(entry: Mapping[str, Any], one: Managed) -> bool:
    same_place = entry.get("namespace") in (None, "", one.namespace)
    same = (entry.get("group") or "", entry.get("kind"), entry.get("name"))
    return same_place and same == (KINDS[one.kind].group, one.kind, one.name)


def sync(store: Store, managed: Sequence[Managed], *, prune: bool, lacking: Mapping[tuple[str, str], str]) -> Done:
    """Bring every object to what is declared. `lacking`: the field (JSON pointer) that a restored object is to lack."""
    results = []
    for one in managed:
        try:
            what = _prune(store, one, prune=prune) if one.target is None else _apply(store, one.target, lacking)
        except StoreError as error:
            results.append(_result(one, "SyncFailed", error.message, "Failed"))
            message = f"one or more objects failed to apply, reason: {error.message}"
            return Done("Failed", message, tuple(results))
        skipped = one.target is None and not prune
        results.append(_result(one, "PruneSkipped" if skipped else "Pruned" if one.target is None else "Synced", what))
    return Done("Succeeded", "successfully synced (all tasks run)", tuple(results))


def _prune(store: Store, one: Managed, *, prune: bool) -> str:
    if not prune:
        return "ignored (requires pruning)"
    store.delete(one.kind, one.namespace, one.name, manager=MANAGER)
    return "pruned"


def _apply(store: Store, target: Object, lacking: Mapping[tuple[str, str], str]) -> str:
    kind, metadata = KINDS[target["kind"]], target["metadata"]
    where = kind.name, metadata.get("namespace", ""), metadata["name"]
    pointer = lacking.get((kind.name, metadata["name"]))
    wanted = _without(target, pointer) if pointer else target
    versions = []

    def change(live: Object) -> None:
        versions.append(live["metadata"]["resourceVersion"])
        new = with_last_applied(applied(live, wanted), target)
        live.clear()
        live.update(new)

    label = f"{kind.name.lower()}.{kind.group}".rstrip(".")
    written = store.mutate(*where, change, manager=MANAGER)
    if written is None:
        store.create(with_last_applied(wanted, target), manager=MANAGER)
        return f"{label}/{metadata['name']} created"
    same = written["metadata"]["resourceVersion"] == versions[-1]
    return f"{label}/{metadata['name']} {'unchanged' if same else 'configured'}"


def _result(one: Managed, status: str, message: str, hook_phase: str = "") -> Object:
    kind = KINDS[one.kind]
    phase = hook_phase or ("Succeeded" if status == "Pruned" else "Running")
    found: Object = {
        "group": kind.group, "hookPhase": phase, "kind": one.kind, "message": message, "name": one.name,
        "namespace": one.namespace, "status": status, "syncPhase": "Sync", "version": kind.version,
    }  # fmt: skip
    if one.target is not None and (images := _images(one.target)):
        found["images"] = images
    return found


def _images(target: Object) -> list[str]:
    pod = ((target.get("spec") or {}).get("template") or {}).get("spec") or {}
    return [container["image"] for container in pod.get("containers") or ()]


def without_one_field(one: Managed) -> str:
    """The JSON pointer of a field that is as declared (or gone with its object); "" if there is none."""
    for path in _OPTIONAL:
        target, live = _at(one.target, path), _at(one.live, path)
        prefix = "".join(f"/{part}" for part in path)
        if isinstance(target, dict):
            there = [key for key in sorted(target) if one.live is None or (live or {}).get(key) == target[key]]
            if there and len(target) > (path[0] == "data"):  # a ConfigMap must keep some data
                return f"{prefix}/{there[-1].replace('~', '~0').replace('/', '~1')}"
        elif target is not None and (one.live is None or live == target):
            return prefix
    return ""


def _at(item: Any, path: Sequence[str]) -> Any:
    for part in path:
        item = item.get(part) if isinstance(item, dict) else None
    return item


def _without(target: Object, pointer: str) -> Object:
    *path, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    made = copy.deepcopy(target)
    _at(made, path).pop(last)
    return made
