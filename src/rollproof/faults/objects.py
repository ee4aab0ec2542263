"""Objects: one field of a Kubernetes object, read and patched; who declares it, and who wrote it last.

A field is named by its path, in which `name=x` chooses an item of a list ("spec", "containers", "name=web", "image").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rollproof.clients.kube import Object
from rollproof.core.outside import parsed, without_nulls

__all__ = ["declared", "field_name", "field_patch", "manager_of", "read_field", "saved"]

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
