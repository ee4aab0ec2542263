"""The pairs of Kubernetes and Argo CD that all drills of `make matrix` passed on: what is known, and what is not.

docs/matrix.md is the table with what was seen; tests/unit/test_matrix.py holds the two to each other. A version is
known by its line (its minor version): patches of a line differ in defects, not in the fields and rules that are read
here. Must never decide anything: an unknown version is said to be unknown, and is judged like any other.
"""

from __future__ import annotations

import re

__all__ = ["PAIRS", "said_of", "unknown"]

PAIRS: tuple[tuple[str, str], ...] = (
    ("1.37.2", "3.6.1"),
    ("1.37.2", "3.1.16"),
    ("1.37.2", "3.0.23"),
    ("1.37.2", "2.14.21"),
    ("1.36.3", "3.6.1"),
    ("1.36.3", "3.5.7"),
    ("1.36.3", "3.4.13"),
    ("1.36.3", "3.3.19"),
    ("1.35.4", "3.6.1"),
    ("1.34.4", "3.6.1"),
)
"""(Kubernetes, Argo CD), in the order of the table."""


def unknown(kubernetes: str, argocd: str) -> tuple[str, ...]:
    """Those of the two, in words, whose line is in no pair; "" as a version is one that could not be read."""
    named = (("Kubernetes", kubernetes, 0), ("Argo CD", argocd, 1))
    return tuple(
        f"{name} {version}".rstrip()
        for name, version, place in named
        if _line(version) is None or _line(version) not in {_line(pair[place]) for pair in PAIRS}
    )


def said_of(kubernetes: str, argocd: str) -> str:
    """Two known lines, in words: were they run together, or each with another?"""
    lines = (_line(kubernetes), _line(argocd))
    together = next((pair for pair in PAIRS if (_line(pair[0]), _line(pair[1])) == lines), None)
    if together:
        return f"run as Kubernetes {together[0]} with Argo CD {together[1]}"
    return "each line was run, not the two together"


def _line(version: str) -> tuple[int, int] | None:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None
