"""Render: the result of `kustomize build` for an overlay, for the parts of kustomize that our env repos use.

Pure, from a commit's files to objects. An unknown field is an error, never ignored: an overlay that needs more than
this must not look deployed.
"""

from __future__ import annotations

import copy
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from rollproof_sandbox.api.kinds import KINDS
from rollproof_sandbox.api.patches import JSON, STRATEGIC, apply_patch

__all__ = ["RenderError", "render"]

Object = dict[str, Any]
Files = Mapping[str, str]

_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet")


class RenderError(Exception):
    """The overlay cannot be built; in the words of kustomize where it has any."""


def render(files: Files, path: str) -> list[Object]:
    """The objects of the overlay at `path`, each with its namespace."""
    try:
        return _build(files, posixpath.normpath(path))
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # a value of a wrong type
        raise RenderError(f"invalid Kustomization: error unmarshaling: {type(error).__name__}: {error}") from error


def _build(files: Files, folder: str) -> list[Object]:
    name = next((name for name in _NAMES if posixpath.join(folder, name) in files), None)
    if name is None:
        raise RenderError(f"unable to find one of {', '.join(_NAMES)} in directory '{folder}'")
    where = posixpath.join(folder, name)
    documents = _documents(files, where)
    if len(documents) != 1:
        raise RenderError(f"invalid Kustomization: {where} must be one YAML document")
    content = documents[0]
    unknown = sorted(content.keys() - {"apiVersion", "kind", "metadata", "resources"} - _CHANGES.keys())
    if unknown:
        raise RenderError(f"invalid Kustomization: {where}: the sandbox does not know {', '.join(unknown)}")
    items: list[Object] = []
    for resource in content.get("resources") or ():
        found = posixpath.normpath(posixpath.join(folder, resource))
        items += _objects(files, found) if found in files else _build(files, found)
    _refuse_twins(items)
    for key, change in _CHANGES.items():  # in kustomize's order, not that of the file
        if key in content:
            items = change(items, content[key], files, folder)
    return items


def _documents(files: Files, path: str) -> list[Object]:
    try:
        documents = [one for one in YAML(typ="safe").load_all(files[path]) if one is not None]
    except YAMLError as error:
        raise RenderError(f"{path}: yaml: {' '.join(str(error).split())}") from error
    if any(not isinstance(one, dict) for one in documents):
        raise RenderError(f"{path}: error unmarshaling: it is not a map")
    return documents


def _objects(files: Files, path: str) -> list[Object]:
    items = _documents(files, path)
    for item in items:
        named = isinstance(item.get("metadata"), dict) and item["metadata"].get("name")
        kind = KINDS.get(str(item.get("kind")))
        if not named or kind is None or kind.api_version != item.get("apiVersion"):
            what = f"{item.get('apiVersion')} {item.get('kind')}"
            raise RenderError(f"{path}: missing metadata.name, or a kind that the cluster does not know: {what}")
    return items


def _identity(item: Object) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


def _refuse_twins(items: Iterable[Object]) -> None:
    seen: set[tuple[str, str]] = set()
    for item in items:
        if _identity(item) in seen:
            raise RenderError(f"may not add resource with an already registered id: {'/'.join(_identity(item))}")
        seen.add(_identity(item))


def _namespace(items: list[Object], namespace: str, _files: Files, _folder: str) -> list[Object]:
    return [
        {**item, "metadata": {**item["metadata"], "namespace": namespace}} if KINDS[item["kind"]].namespaced else item
        for item in items
    ]


def _patches(items: list[Object], patches: list[Object], files: Files, folder: str) -> list[Object]:
    for entry in patches:
        path = posixpath.normpath(posixpath.join(folder, entry["path"])) if "path" in entry else ""
        if path and path not in files:
            raise RenderError(f"failed to get the patch file from path({entry['path']}): no such file or directory")
        try:
            bodies = [*YAML(typ="safe").load_all(files[path] if path else entry["patch"])]
        except YAMLError as error:
            raise RenderError(f"patch {path or 'inline'}: yaml: {' '.join(str(error).split())}") from error
        for body in bodies:
            items = _patched(items, body, entry.get("target"), path or "inline")
    return items


def _patched(items: list[Object], body: Any, target: Mapping[str, Any] | None, where: str) -> list[Object]:
    how = JSON if isinstance(body, list) else STRATEGIC
    if target is None:
        if how == JSON:
            raise RenderError(f"patch {where}: a JSON patch must have a target")
        target = {"kind": body.get("kind"), "name": (body.get("metadata") or {}).get("name")}
    chosen = [item for item in items if all(_fits(target.get(key), value) for key, value in _facts(item))]
    if not chosen:
        raise RenderError(
            f"no resource matches strategic merge patch {where}: {target.get('kind')}/{target.get('name')}"
        )
    try:
        return [apply_patch(KINDS[item["kind"]], item, body, how) if item in chosen else item for item in items]
    except Exception as error:  # any error in a patch is an error of the commit
        raise RenderError(f"patch {where}: {error}") from error


def _facts(item: Object) -> tuple[tuple[str, str], ...]:
    kind = KINDS[item["kind"]]
    return ("kind", item["kind"]), ("name", item["metadata"]["name"]), ("group", kind.group), ("version", kind.version)


def _fits(pattern: str | None, value: str) -> bool:
    return not pattern or re.fullmatch(pattern, value) is not None


def _replicas(items: list[Object], entries: list[Object], _files: Files, _folder: str) -> list[Object]:
    for entry in entries:
        chosen = [one for one in items if one["kind"] in _WORKLOADS and one["metadata"]["name"] == entry["name"]]
        if not chosen:
            raise RenderError(f"resource with name {entry['name']} does not match a config with replicas")
        changed = [{**item, "spec": {**item["spec"], "replicas": int(entry["count"])}} for item in chosen]
        items = [changed[chosen.index(item)] if item in chosen else item for item in items]
    return items


def _images(items: list[Object], entries: list[Object], _files: Files, _folder: str) -> list[Object]:
    items = copy.deepcopy(items)
    for item in items:
        spec = item.get("spec") or {}
        pod = spec if item["kind"] == "Pod" else (spec.get("template") or {}).get("spec") or {}
        for container in [*(pod.get("containers") or ()), *(pod.get("initContainers") or ())]:
            for entry in entries:
                container["image"] = _image(str(container.get("image", "")), entry)
    return items


def _image(image: str, entry: Mapping[str, Any]) -> str:
    found = re.fullmatch(r"(?P<name>[^@]*?)(?P<tag>:[^:/@]+)?(?P<digest>@.+)?", image)
    if found is None or found["name"] != entry["name"]:
        return image
    name = entry.get("newName") or entry["name"]
    if entry.get("digest"):
        return f"{name}@{entry['digest']}"
    tag = entry.get("newTag") or ""
    if not isinstance(tag, str):  # an unquoted sha that YAML reads as a number
        problem = (
            f"cannot unmarshal {type(tag).__name__} into Go struct field Kustomization.images.newTag of type string"
        )
        raise RenderError(f"invalid Kustomization: json: {problem}")
    if tag:
        return f"{name}:{tag}"
    return f"{name}{found['tag'] or ''}{found['digest'] or ''}"


_CHANGES: Mapping[str, Callable[[list[Object], Any, Files, str], list[Object]]] = {
    "patches": _patches, "namespace": _namespace, "images": _images, "replicas": _replicas,
}  # fmt: skip
