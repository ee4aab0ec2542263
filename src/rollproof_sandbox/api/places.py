"""Places: what a URL of the API names. Only the form of paths; whether the object exists is decided by the store."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from rollproof_sandbox.api.kinds import Kind, kind_of_plural

__all__ = ["Place", "place_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """A collection (no name), an object, or a subresource of it; `rest` is the remaining path (pods/proxy)."""

    kind: Kind
    namespace: str
    name: str = ""
    subresource: str = ""
    rest: str = ""


def place_of(path: str) -> Place | None:
    """The place, or None for a path of no known kind."""
    parts = path.split("/")[1:]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, parts = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = unquote(parts[1]), parts[2:]
    kind = kind_of_plural(group, version, parts[0])
    if kind is None or (namespace and not kind.namespaced):
        return None
    name, subresource = (*map(unquote, parts[1:3]), "", "")[:2]
    return Place(kind, namespace, name, subresource, "/".join(parts[3:]))
