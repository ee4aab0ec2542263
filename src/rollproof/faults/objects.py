"""Objects: one field of a Kubernetes object, read and patched; who declares it, and who wrote it last.

A field is named by its path, in which `name=x` chooses an item of a list ("spec", "containers", "name=web", "image").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rollproof.clients.kube import Object
from rollproof.core.outside import parsed, without_nulls

__all__ = ["declared", "field_name", "field_patch", "is_whole", "manager_of", "read_field", "saved"]

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ARGO_MANAGER = "argocd-controller"
_SERVER_OWNED = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")


def field_name(path: Sequence[str]) -> str:
    """The path as people write it."""
    return ".".join(part.removeprefix("name=") for part in path)


def read_field(item: Any, path: Sequence[str]) -> Any:
    """The value at the path, or None where the path ends."""
    for part in path:
        if isinstance(item, list):
            name = part.removeprefix("name=")
            item = next((one for one in item if one.get("name") == name), None)
        elif isinstance(item, Mapping):
            item = item.get(part)
        else:
            return None
    return item


def field_patch(path: Sequence[str], value: Any) -> Object:
    """A strategic merge patch that sets one field; None removes it."""
    body: Any = value
    for part in reversed(path):
        body = [{"name": part.removeprefix("name="), **body}] if part.startswith("name=") else {part: body}
    return dict(body)


def declared(item: Object, path: Sequence[str]) -> bool | None:
    """Does git declare this field? From what Argo CD applied last; None if the object does not tell."""
    metadata = without_nulls(item).get("metadata") or {}
    applied = (metadata.get("annotations") or {}).get(_LAST_APPLIED)
    if applied:
        return read_field(parsed(applied, f"the annotation {_LAST_APPLIED}"), path) is not None
    entries = [one for one in metadata.get("managedFields") or () if one.get("manager") == _ARGO_MANAGER]
    return any(_owns(one, path) for one in entries) if entries else None


def is_whole(item: Object, before: Object) -> bool:
    """Has it all that git declares of the object, as that was before?

    By what Argo CD applied last, where the object tells: nobody brings back what git does not know, such as the note of
    a restart in a Deployment's template. Else by all that it had.
    """
    wanted, found = _content(before), _content(item)
    applied = ((without_nulls(before).get("metadata") or {}).get("annotations") or {}).get(_LAST_APPLIED)
    if applied:
        known = _content(parsed(applied, f"the annotation {_LAST_APPLIED}"))
        wanted, found = _part(wanted, known), _part(found, known)
    return bool(wanted == found)


def _content(item: Object) -> Mapping[str, Any]:
    """What a person would call the object: without bookkeeping, status, and the address that the cluster gives."""
    skipped = ("metadata", "status", "apiVersion", "kind")
    content = {key: value for key, value in item.items() if key not in skipped}
    if isinstance(content.get("spec"), Mapping):
        spec = dict(content["spec"])
        content["spec"] = {key: value for key, value in spec.items() if key not in ("clusterIP", "clusterIPs")}
    return content


def _part(value: Any, known: Any) -> Any:
    """What `known` has too of the value, by its keys; lists of another length are kept whole."""
    if isinstance(value, Mapping) and isinstance(known, Mapping):
        return {key: _part(value.get(key), known[key]) for key in known}
    if isinstance(value, list) and isinstance(known, list) and len(value) == len(known):
        return [_part(one, other) for one, other in zip(value, known, strict=True)]
    return value


def manager_of(item: Object, path: Sequence[str]) -> str:
    """Who wrote the field last, by managedFields; with an empty path who wrote anything last. "" if unknown."""
    entries = (without_nulls(item).get("metadata") or {}).get("managedFields") or ()
    owners = [one for one in entries if not one.get("subresource") and _owns(one, path)]
    newest: Mapping[str, Any] = max(owners, key=lambda one: str(one.get("time", "")), default={})
    return str(newest.get("manager", ""))


def _owns(entry: Mapping[str, Any], path: Sequence[str]) -> bool:
    fields = entry.get("fieldsV1") or {}
    for part in path:
        key = f'k:{{"name":"{part.removeprefix("name=")}"}}' if part.startswith("name=") else f"f:{part}"
        if key not in fields:
            return fields == {} and part is not path[0]  # an atomic parent is owned as a whole
        fields = fields[key]
    return True


def saved(item: Object) -> Object:
    """The object as it must be created again: without what only the server may set."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in _SERVER_OWNED}
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}
