"""Table: every check by its id, in the order of a report; each module has its own, and nothing else lists them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from rollproof.core.target import Target
from rollproof.errors import InputError
from rollproof.judge.checkers.posture import argocd, around, config, container, deployment, scan
from rollproof.judge.checkers.posture.base import Check

__all__ = ["CHECKS", "check_names"]

_MODULES = (deployment, container, around, config, argocd, scan)


def _by_id(checks: Iterable[Check]) -> Mapping[str, Check]:
    return MappingProxyType({one.id: one for one in checks})


CHECKS = _by_id(one for module in _MODULES for one in module.CHECKS)


def check_names(target: Target) -> None:
    """InputError if the target file names a check that does not exist, or promises one that it skips."""
    for place, names in (("posture.must", target.posture.must), ("posture.skip", target.posture.skip)):
        for name in names:
            if name not in CHECKS:
                near = difflib.get_close_matches(name, CHECKS, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else "docs/posture.md lists them"
                raise InputError(f"{place}: there is no check {name!r}", hint)
    if both := sorted(set(target.posture.must) & set(target.posture.skip)):
        raise InputError(f"posture: {', '.join(both)} is in `must` and in `skip`", "leave it in one of the two")
