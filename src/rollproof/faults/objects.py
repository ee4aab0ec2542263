"""Objects: one field of a Kubernetes object, read, patched and put back; and a deleted object created again.

A field is named by its path, in which `name=x` chooses an item of a list ("spec", "containers", "name=web", "image").
Putting back is compare-and-set: a value that is neither ours nor the original belongs to somebody else and stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rollproof.clients.kube import STRATEGIC, ApiError, Kube, Object
from rollproof.core.outside import parsed, without_nulls
from rollproof.store.journal import Handler, Undone

__all__ = [
    "KINDS", "declared", "field_name", "field_patch", "manager_of", "read_field", "restore_field", "restore_object",
    "saved", "undo_handlers",
]  # fmt: skip

KINDS = frozenset({"ConfigMap", "Deployment", "Service"})  # what a drift changes
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ARGO_MANAGER = "argocd-controller"
_TRIES = 5  # a status update between read and write is a conflict; five in a row are somebody at work
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


def restore_field(kube: Kube, args: Mapping[str, Any]) -> Undone:
    """Set a field back to `original` if it still has `ours`. `original` None: it was not there."""
    kind, namespace, name, path = args["kind"], args["namespace"], args["name"], tuple(args["path"])
    for _ in range(_TRIES):
        item = kube.find(kind, namespace, name)
        if item is None:
            return Undone("left", reason=f"{kind} {name} is gone", expected=args["ours"], found=None)
        found = read_field(item, path)
        if found == args["original"]:
            return Undone("not-needed", reason="it is as before")
        if found != args["ours"]:
            return Undone("left", reason="changed by somebody else", expected=args["ours"], found=found)
        body = field_patch(path, args["original"])
        body.setdefault("metadata", {})["resourceVersion"] = item["metadata"]["resourceVersion"]
        try:
            kube.patch(kind, namespace, name, body, how=STRATEGIC)
        except ApiError as error:
            if error.status != 409:
                raise
            continue
        return Undone("done")
    return Undone("failed", reason=f"{kind} {name} changed {_TRIES} times while it was being put back")


def undo_handlers(kube: Kube) -> Mapping[str, Handler]:
    """The undo of each kind of entry that faults write."""
    return {
        "field-restore": lambda args: restore_field(kube, args),
        "object-restore": lambda args: restore_object(kube, args),
    }


def restore_object(kube: Kube, args: Mapping[str, Any]) -> Undone:
    """Create a deleted object again if nobody else has."""
    item = args["object"]
    kind, namespace, name = item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]
    found = kube.find(kind, namespace, name)
    if found is not None:
        same = found["metadata"]["uid"] == args["uid"]
        return Undone("not-needed", reason="it was not deleted" if same else "it was created again")
    try:
        kube.create(kind, namespace, item)
    except ApiError as error:
        if error.status == 409:
            return Undone("not-needed", reason="it was created again")
        if error.status != 422 or kind != "Service":
            raise
        spec = {key: value for key, value in item["spec"].items() if key not in ("clusterIP", "clusterIPs")}
        kube.create(kind, namespace, {**item, "spec": spec})  # its address was given away meanwhile
        return Undone("done", reason="with a new cluster address: the old one was taken")
    return Undone("done")
