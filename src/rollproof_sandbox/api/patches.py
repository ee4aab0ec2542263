"""Patches: JSON patch, JSON merge patch and strategic merge patch, each from an object and a body to a new object.

Strategic merge follows apimachinery: lists of maps merge by the kind's merge keys, `$patch: delete|replace|merge`,
`$retainKeys`, `$deleteFromPrimitiveList/x` and `$setElementOrder/x`. Pure: the input object is not changed.
"""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import jsonpointer

from rollproof_sandbox.api.errors import StoreError, bad_request, unprocessable
from rollproof_sandbox.api.kinds import Kind, Schema

__all__ = ["JSON", "MERGE", "STRATEGIC", "apply_patch", "merge_patch", "strategic_patch"]

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_APPLY = "application/apply-patch+yaml"  # server-side apply: supported by the real server, not used here


def apply_patch(kind: Kind, item: dict[str, Any], body: Any, how: str) -> dict[str, Any]:
    """The object after the patch; a StoreError like the API server's if it cannot be applied."""
    if how == JSON:
        return _json_patch(item, body)
    if how == MERGE:
        return _as_object(merge_patch(item, _as_object(body)))
    if how == STRATEGIC and not kind.custom:
        return _as_object(strategic_patch(item, _as_object(body), kind.schema))
    if how not in (STRATEGIC, _APPLY):
        raise StoreError(415, "UnsupportedMediaType", "415: Unsupported Media Type")
    message = "the body of the request was in an unknown format - accepted media types include: "
    raise StoreError(415, "UnsupportedMediaType", message + ", ".join((JSON, MERGE, _APPLY)))


def merge_patch(item: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(item) if isinstance(item, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def strategic_patch(item: Any, patch: dict[str, Any], schema: Schema) -> Any:
    """One map after the patch. A `$patch: replace` gives the patch itself, `$patch: delete` an empty map."""
    patch = dict(patch)
    directive = patch.pop("$patch", "merge")
    if directive == "replace":
        return copy.deepcopy(patch)
    if directive == "delete":
        return {}
    if directive != "merge":
        raise bad_request(f"Unknown patch type: {directive}")
    merged = dict(item) if isinstance(item, dict) else {}
    _retain(merged, patch)
    orders = _pop_prefixed(patch, "$setElementOrder/")
    for name, values in _pop_prefixed(patch, "$deleteFromPrimitiveList/").items():
        if name in merged:
            merged[name] = [value for value in merged[name] if value not in values]
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _strategic_field(merged.get(name), value, schema.child(name), orders.pop(name, None))
    for name, order in orders.items():
        if isinstance(merged.get(name), list):
            merged[name] = _ordered(merged[name], order, merged[name], schema.child(name))
    return merged


def _strategic_field(old: Any, value: Any, schema: Schema, order: list[Any] | None) -> Any:
    if isinstance(value, dict):
        return strategic_patch(old, value, schema)
    old = old if isinstance(old, list) else []
    if isinstance(value, list) and schema.key:
        return _strategic_list(old, value, schema, order)
    if isinstance(value, list) and schema.is_set:
        return _ordered([*old, *(one for one in value if one not in old)], order or value, old, schema)
    return copy.deepcopy(value)


def _strategic_list(old: list[Any], patch: list[Any], schema: Schema, order: list[Any] | None) -> list[Any]:
    if any(one.get("$patch") == "replace" for one in patch):
        return [copy.deepcopy(one) for one in patch if "$patch" not in one]
    merged = list(old)
    for one in patch:
        if schema.key not in one:
            raise StoreError(500, "", f"map: {_as_go(one)} does not contain declared merge key: {schema.key}")
        at = next((i for i, other in enumerate(merged) if other.get(schema.key) == one[schema.key]), None)
        if one.get("$patch") == "delete":
            merged = [other for other in merged if other.get(schema.key) != one[schema.key]]
        elif at is None:
            merged.append(strategic_patch({}, one, schema))
        else:
            merged[at] = strategic_patch(merged[at], one, schema)
    return _ordered(merged, order or patch, old, schema)


def _retain(merged: dict[str, Any], patch: dict[str, Any]) -> None:
    kept = patch.pop("$retainKeys", None)
    if kept is not None:
        for name in merged.keys() - set(kept):
            del merged[name]


def _pop_prefixed(patch: dict[str, Any], prefix: str) -> dict[str, Any]:
    names = [name for name in patch if name.startswith(prefix)]
    return {name.removeprefix(prefix): patch.pop(name) for name in names}


def _ordered(merged: list[Any], order: list[Any], old: list[Any], schema: Schema) -> list[Any]:
    """The patch's items in the patch's order, the others in the old order; new items as early as possible."""

    def key(one: Any) -> Any:
        return one.get(schema.key) if isinstance(one, dict) else one

    wanted, known = [key(one) for one in order], [key(one) for one in old]
    named = sorted((one for one in merged if key(one) in wanted), key=lambda one: wanted.index(key(one)))
    rest = [one for one in merged if key(one) not in wanted]
    result: list[Any] = []
    while named and rest:
        both = key(named[0]) in known and key(rest[0]) in known
        rest_first = both and known.index(key(rest[0])) < known.index(key(named[0]))
        result.append((rest if rest_first else named).pop(0))
    return [*result, *rest, *named]


def _json_patch(item: dict[str, Any], body: Any) -> dict[str, Any]:
    if not isinstance(body, list):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        )
    try:
        return _as_object(jsonpatch.JsonPatch(body).apply(item))
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise unprocessable() from error


def _as_object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        message = "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        raise bad_request(message)
    return body


def _as_go(one: dict[str, Any]) -> str:
    return "map[" + " ".join(f"{key}:{value}" for key, value in sorted(one.items())) + "]"
