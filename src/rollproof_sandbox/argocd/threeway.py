"""Three-way merge: the live object after applying what git declares, as `kubectl apply` does it.

Declared fields are set, fields that were declared before and are not any more are removed, all others stay. Used by
comparison and sync: an object is in sync if applying it would change nothing. Pure.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof_sandbox.api.defaults import fill_in
from rollproof_sandbox.api.kinds import KINDS, Schema

__all__ = ["LAST_APPLIED", "applied", "last_applied", "with_last_applied"]

Object = dict[str, Any]

_WHOLE = ("strategy", "updateStrategy")  # $retainKeys: when they change, only what is declared stays
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def applied(live: Object, target: Object) -> Object:
    """The live object with the target applied and defaults filled in; the last-applied annotation is not changed."""
    kind = KINDS[target["kind"]]
    merged: Object = _merged(kind.schema, last_applied(live), target, live)
    fill_in(kind, merged)
    return merged


def last_applied(live: Mapping[str, Any]) -> Object:
    """What was applied to it last; empty if unknown."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    return dict(json.loads(text)) if text else {}


def with_last_applied(item: Object, target: Object) -> Object:
    """The object with the annotation that the next apply compares with."""
    text = json.dumps(target, separators=(",", ":"), sort_keys=True, ensure_ascii=False) + "\n"
    metadata = item["metadata"]
    return {
        **item,
        "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), LAST_APPLIED: text}},
    }


def _merged(schema: Schema, before: Mapping[str, Any], target: Mapping[str, Any], live: Mapping[str, Any]) -> Object:
    found = {name: copy.deepcopy(value) for name, value in live.items() if name in target or name not in before}
    for name, value in target.items():
        if value is None:
            found.pop(name, None)
        else:
            made = _field(schema.child(name), before.get(name), value, found.get(name))
            if name in _WHOLE and isinstance(value, dict) and made != found.get(name):
                made = {key: inner for key, inner in made.items() if key in value}
            found[name] = made
    return found


def _field(schema: Schema, before: Any, target: Any, live: Any) -> Any:
    if isinstance(target, dict) and isinstance(live, dict):
        return _merged(schema, before if isinstance(before, dict) else {}, target, live)
    if isinstance(target, list) and isinstance(live, list):
        if schema.key:
            return _items(schema, before if isinstance(before, list) else [], target, live)
        if schema.is_set:
            gone = [one for one in before or () if one not in target]
            return [one for one in live if one not in gone] + [one for one in target if one not in live]
    return copy.deepcopy(target)


def _items(schema: Schema, before: list[Any], target: list[Any], live: list[Any]) -> list[Any]:
    """A list of maps: items by their key; declared items in the declared order, others in their places."""
    was, declared, there = (_by_key(schema.key, items) for items in (before, target, live))
    made = {
        key: _merged(schema, was.get(key, {}), item, there[key]) if key in there else copy.deepcopy(item)
        for key, item in declared.items()
    }
    kept = [key for key in there if key in declared or key not in was]
    in_order = iter([key for key in declared if key in there])
    places = [next(in_order) if key in declared else key for key in kept]
    places += [key for key in declared if key not in there]
    return [made[key] if key in made else copy.deepcopy(there[key]) for key in places]


def _by_key(key: str, items: Iterable[Any]) -> dict[Any, Any]:
    return {item.get(key): item for item in items if isinstance(item, dict)}
