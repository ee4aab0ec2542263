"""Others in the Service: ready pods that are not the Deployment's, and have the labels that its Service selects.

They receive a part of the traffic, so that clients see not only the release. A finding that names the owner: it is
neither a failure of the rollout nor a reason for INCONCLUSIVE.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rollproof.core.facts import Facts
from rollproof.core.verdict import Finding
from rollproof.core.watched import pods_seen

__all__ = ["Other", "finding", "others"]

_NAMES_MAX = 5


@dataclass(frozen=True, slots=True)
class Other:
    """A pod of another owner that was ready in the Service from `since_s` until `until_s`."""

    pod: str
    owner: str
    since_s: float
    until_s: float


def others(facts: Facts, *, since_s: float = -math.inf, until_s: float = math.inf) -> tuple[Other, ...]:
    """Each time in which such a pod was ready, cut to those limits."""
    begun: dict[str, tuple[str, float]] = {}  # subject -> owner, ready since
    found: list[Other] = []
    for pod in pods_seen(facts):
        there = not pod.gone and pod.ready and pod.in_service
        if there and not pod.member:
            begun.setdefault(pod.subject, (pod.owner, -math.inf if pod.initial else pod.at_s))
        elif pod.subject in begun:
            owner, start_s = begun.pop(pod.subject)
            found.append(Other(pod.name, owner, start_s, pod.at_s))
    found += [
        Other(subject.rpartition("/")[2], owner, start_s, math.inf) for subject, (owner, start_s) in begun.items()
    ]
    return tuple(one for one in found if one.since_s <= until_s and one.until_s >= since_s)


def finding(facts: Facts, found: Iterable[Other]) -> tuple[Finding, ...]:
    """The finding OTHERS_IN_SERVICE, once; nothing if there were none."""
    names = list(dict.fromkeys(f"{one.pod} of {one.owner}" for one in found))
    if not names:
        return ()
    more = f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
    service = facts.plan.target.cluster.service
    text = f"pods of others are ready in Service {service} and get its traffic: {', '.join(names[:_NAMES_MAX])}{more}"
    return (Finding("OTHERS_IN_SERVICE", text, "give them other labels, or the Service a narrower selector"),)
