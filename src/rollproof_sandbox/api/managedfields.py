"""Managed fields: who wrote which field last, in the form of metadata.managedFields.

Only the Update operation: a manager owns what it changed, and its former owner loses it. A set of fields is a set of
paths; a path's parts are `f:name`, `k:{"name":"x"}` and `v:"x"`.
"""

from __future__ import annotations

import json
from typing import Any

from rollproof_sandbox.api.kinds import Kind, Schema

__all__ = ["track"]

_Path = tuple[str, ...]
_SERVER_OWNED = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink",
    "deletionTimestamp", "deletionGracePeriodSeconds",
)  # fmt: skip


def track(
    kind: Kind, old: dict[str, Any] | None, new: dict[str, Any], *, manager: str, subresource: str, now: str
) -> list[dict[str, Any]]:
    """The managedFields of `new`, the result of a write by `manager` to `old`."""
    before, after = (_fields(kind, old) if old else {}), _fields(kind, new)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    gone = before.keys() - after.keys()
    entries: list[dict[str, Any]] = []
    mine: set[_Path] = set()
    for entry in (old or {}).get("metadata", {}).get("managedFields") or ():
        owned = _paths(entry["fieldsV1"])
        if (entry["manager"], entry.get("subresource", "")) == (manager, subresource):
            mine = owned
            if not changed and not (owned & gone):
                entries.append(entry)
                mine = set()
            continue
        left = owned - changed - gone
        if left == owned:
            entries.append(entry)
        elif left:
            entries.append({**entry, "fieldsV1": _tree(left)})
    mine = (mine | changed) - gone
    if mine:
        apart = {"subresource": subresource} if subresource else {}
        entry = {
            "manager": manager, "operation": "Update", "apiVersion": kind.api_version, "time": now,
            "fieldsType": "FieldsV1", "fieldsV1": _tree(mine), **apart,
        }  # fmt: skip
        entries.append(entry)
    return sorted(entries, key=lambda one: (one["time"], one["manager"], one.get("subresource", "")))


def _fields(kind: Kind, item: dict[str, Any]) -> dict[_Path, Any]:
    """Every field that can be owned, with its value; a container's own value is its presence."""
    metadata = {key: value for key, value in item.get("metadata", {}).items() if key not in _SERVER_OWNED}
    rest = {key: value for key, value in item.items() if key not in ("apiVersion", "kind", "metadata")}
    found: dict[_Path, Any] = {}
    for name, value in {"metadata": metadata, **rest}.items():
        _walk(value, kind.schema.child(name), (f"f:{name}",), found)
    return found


def _walk(value: Any, schema: Schema, path: _Path, found: dict[_Path, Any]) -> None:
    if isinstance(value, dict) and value and not schema.atomic:
        if not schema.always:
            found[path] = True
        for name, inner in value.items():
            _walk(inner, schema.child(name), (*path, f"f:{name}"), found)
    elif isinstance(value, list) and value and schema.keys:
        if not schema.always:
            found[path] = True
        for one in value:
            item = (*path, _key(one, schema))
            found[item] = True
            for name, inner in one.items():
                _walk(inner, schema.child(name), (*item, f"f:{name}"), found)
    elif isinstance(value, list) and value and schema.is_set:
        found[path] = True
        for one in value:
            found[*path, f"v:{json.dumps(one)}"] = True
    elif not (schema.always and value == {}):
        found[path] = value


def _key(one: dict[str, Any], schema: Schema) -> str:
    named = {key: one[key] for key in sorted(schema.keys) if key in one}
    return "k:" + json.dumps(named, separators=(",", ":"))


def _tree(paths: set[_Path]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for part in path:
            node = node.setdefault(part, {})
        node["."] = {}
    return _without_lone_dots(root)


def _without_lone_dots(node: dict[str, Any]) -> dict[str, Any]:
    if node.keys() == {"."}:
        return {}
    return {part: _without_lone_dots(inner) if part != "." else {} for part, inner in node.items()}


def _paths(tree: dict[str, Any], path: _Path = ()) -> set[_Path]:
    found: set[_Path] = set()
    for part, inner in tree.items():
        if part == ".":
            found.add(path)
        elif inner:
            found |= _paths(inner, (*path, part))
        else:
            found.add((*path, part))
    return found
