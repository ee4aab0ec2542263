"""Platform: what kind of cluster a run was on, as one word, from what the API server says of itself.

A verdict's reader must not take one target for another, and no list of platforms is kept here: distributions mark
their version (v1.30.4-eks-a737599, v1.31.2+k3s1), and kind names its contexts.
"""

from __future__ import annotations

import re

__all__ = ["platform_word"]

_SUFFIX = re.compile(r"v?\d+(?:\.\d+)*[+-]([a-z][a-z0-9]*)")
_PRERELEASE = re.compile(r"(?:alpha|beta|rc)\d*")
_HASH = re.compile(r"[0-9a-f]{6,}")


def platform_word(version: str, context: str = "") -> str:
    """`eks`, `gke`, `k3s`, `kind` and so on; `cluster` where nothing is said."""
    marked = _SUFFIX.match(version)
    if marked and not _PRERELEASE.fullmatch(marked[1]) and not _HASH.fullmatch(marked[1]):
        return re.sub(r"r?\d+$", "", marked[1])  # k3s1, rke2r1: the release of the distribution
    return "kind" if context.startswith("kind-") else "cluster"
