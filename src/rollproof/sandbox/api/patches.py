"""Patches: JSON patch, JSON merge patch and strategic merge patch, each from an object and a body to a new object.

Strategic merge follows apimachinery: lists of maps merge by the kind's merge keys, `$patch: delete|replace|merge`,
`$retainKeys`, `$deleteFromPrimitiveList/x` and `$setElementOrder/x`. Pure: the object that comes in is not changed.
"""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import jsonpointer

from rollproof.sandbox.api.errors import StoreError, bad_request, unprocessable
from rollproof.sandbox.api.kinds import Kind, Schema

__all__ = ["JSON", "MERGE", "STRATEGIC", "apply_patch", "merge_patch", "strategic_patch"]

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
_CBOR = "application/apply-patch+cbor"


def apply_patch(kind: Kind, item: dict[str, Any], body: Any, how: str) -> dict[str, Any]:
    """The object after the patch; StoreError as the API server's when it cannot be applied."""
    if how == JSON:
        return _json_patch(item, body)
    if how == MERGE:
        return _as_object(merge_patch(item, _as_object(body)))
    if how == STRATEGIC and not kind.custom:
        return _as_object(strategic_patch(item, _as_object(body), kind.schema))
    accepted = (JSON, MERGE, APPLY) if kind.custom else (JSON, MERGE, STRATEGIC, APPLY)
    message = "the body of the request was in an unknown format - accepted media types include: "
    raise StoreError(415, "UnsupportedMediaType", message + ", ".join(accepted))


def merge_patch(item: Any, patch: Any) -> Any:
    """RFC 7396."""
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
            merged[name] = _strategic_field(merged.get(name), value, schema.child(name))
    for name, order in orders.items():
        if isinstance(merged.get(name), list):
            merged[name] = _ordered(merged[name], order, schema.child(name))
    return merged


def _strategic_field(old: Any, value: Any, schema: Schema) -> Any:
    if isinstance(value, dict):
        return strategic_patch(old, value, schema)
    if isinstance(value, list) and schema.key:
        return _strategic_list(old if isinstance(old, list) else [], value, schema)
    if isinstance(value, list) and schema.is_set and isinstance(old, list):
        return [*old, *(one for one in value if one not in old)]
    return copy.deepcopy(value)


def _strategic_list(old: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    for one in patch:
        if not isinstance(one, dict):
            raise bad_request("unable to parse a list item of the patch: it is not an object")
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
    return merged


def _retain(merged: dict[str, Any], patch: dict[str, Any]) -> None:
    kept = patch.pop("$retainKeys", None)
    if kept is not None:
        for name in merged.keys() - set(kept):
            del merged[name]


def _pop_prefixed(patch: dict[str, Any], prefix: str) -> dict[str, Any]:
    names = [name for name in patch if name.startswith(prefix)]
    return {name.removeprefix(prefix): patch.pop(name) for name in names}


def _ordered(items: list[Any], order: list[Any], schema: Schema) -> list[Any]:
    """Named items in the wanted order; the others keep their places relative to the one before them."""
    wanted = [one.get(schema.key) if isinstance(one, dict) else one for one in order]
    name_of = [one.get(schema.key) if isinstance(one, dict) else one for one in items]
    named = sorted(
        (item for item, name in zip(items, name_of, strict=True) if name in wanted),
        key=lambda item: wanted.index(item.get(schema.key) if isinstance(item, dict) else item),
    )
    return [named.pop(0) if name in wanted else item for item, name in zip(items, name_of, strict=True)]


def _json_patch(item: dict[str, Any], body: Any) -> dict[str, Any]:
    if not isinstance(body, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    try:
        return _as_object(jsonpatch.JsonPatch(body).apply(item))
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise unprocessable(str(error)) from None


def _as_object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise bad_request("couldn't get version/kind; json parse error: the patch is not an object")
    return body


def _as_go(one: dict[str, Any]) -> str:
    return "map[" + " ".join(f"{key}:{value}" for key, value in sorted(one.items())) + "]"
