"""Syncwindows: which sync windows of an AppProject are about an Application (Argo CD: `SyncWindows.Matches`). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["Synced", "applies", "synced_by"]

_ALTERNATIVES = re.compile(r"\{([^{}]*)\}")
_EXPANDED_MAX = 256  # of one pattern: more is no name that a person wrote


@dataclass(frozen=True, slots=True)
class Synced:
    """By what windows choose an Application: its name, and of its destination the namespace and the cluster's names."""

    application: str
    namespace: str
    clusters: frozenset[str]


def synced_by(application: Mapping[str, Any], namespace: str) -> Synced:
    """Of an Application of the API; `namespace` where its destination names none."""
    to = (application.get("spec") or {}).get("destination") or {}
    clusters = frozenset(str(to[key]) for key in ("name", "server") if to.get(key))
    name = str((application.get("metadata") or {}).get("name") or "")
    return Synced(name, str(to.get("namespace") or namespace), clusters)


def applies(window: Mapping[str, Any], to: Synced) -> bool:
    """Whether the window is about it: any of what it names, or with `andOperator` each of it."""
    values = {"applications": {to.application}, "clusters": to.clusters, "namespaces": {to.namespace}}
    matched = [_chosen(window[key], values[key]) for key in values if window.get(key)]
    return bool(matched) and (all(matched) if window.get("andOperator") else any(matched))


def _chosen(patterns: Collection[str], names: Collection[str]) -> bool:
    globs = [one for pattern in patterns for one in _plain(pattern)]
    return any(glob == "*" or any(fnmatchcase(name, glob) for name in names) for glob in globs)


def _plain(pattern: str) -> Iterator[str]:
    """The patterns that one with alternatives (`{dev,prod}-*`) stands for."""
    left = [pattern]
    for _ in range(_EXPANDED_MAX):
        if not left:
            return
        one = left.pop()
        found = _ALTERNATIVES.search(one)
        if found is None:
            yield one
        else:
            left += [f"{one[: found.start()]}{word}{one[found.end() :]}" for word in found[1].split(",")]
