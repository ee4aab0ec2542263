"""Watched: typed readers of what the watches told about the cluster's objects (docs/facts.md, `watch`).

Everybody behind the recorders reads these facts by name here; a field that is absent says nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from rollproof.core.event import Event, by_time
from rollproof.core.facts import Facts
from rollproof.core.oldfacts import is_member

__all__ = [
    "ENDED_PHASES",
    "Gap",
    "PodSeen",
    "deployed_tag",
    "deployed_tags",
    "earliest_s",
    "endpoint_count",
    "failing_replicasets",
    "image_tag",
    "missed_clause",
    "pods_seen",
    "ready_addresses",
    "restarts_seen",
    "seen_late_clause",
    "seen_late_s",
    "watch_gaps",
]

_TOLD_AFTER_S = 0.5  # of the end of a gap: what happened in it is told
ENDED_PHASES = ("Succeeded", "Failed")  # of a pod, which never leaves them; an evicted one is Failed


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A pod at the moment of one watch event."""

    event: Event

    @property
    def subject(self) -> str:
        """Which pod: "Pod/<namespace>/<name>"."""
        return self.event.subject

    @property
    def name(self) -> str:
        """Its name alone."""
        return self.event.subject.rpartition("/")[2]

    @property
    def at_s(self) -> float:
        """When the event arrived."""
        return self.event.start_s

    @property
    def uid(self) -> str:
        """Its uid; the subject where none was told, so that pods are told apart all the same."""
        return str(self.event.data.get("uid") or self.event.subject)

    @property
    def gone(self) -> bool:
        """Whether the object was deleted."""
        return self.event.what == "deleted"

    @property
    def ended(self) -> bool:
        """Whether it was left lying after its end (evicted, completed): it answers nobody, and nobody stops it."""
        return self.event.data.get("phase") in ENDED_PHASES and not self.terminating

    @property
    def initial(self) -> bool:
        """Whether it is from the watch's first list: it was so before."""
        return bool(self.event.data.get("initial"))

    @property
    def ready(self) -> bool:
        """Its condition Ready."""
        return bool(self.event.data.get("ready"))

    @property
    def terminating(self) -> bool:
        """Whether it was told to end."""
        return bool(self.event.data.get("terminating"))

    @property
    def member(self) -> bool:
        """Whether it is the Deployment's."""
        return is_member(self.event.data)

    @property
    def in_service(self) -> bool:
        """Whether the Service's selector chooses it."""
        return bool(self.event.data.get("in_service"))

    @property
    def owner(self) -> str:
        """ "Kind/name" of its controller, or "nobody"."""
        return str(self.event.data.get("owner") or "nobody")

    @property
    def phase(self) -> str:
        """Its phase, "?" where none was told."""
        return str(self.event.data.get("phase") or "?")

    @property
    def trouble(self) -> str:
        """Why it waits, in Kubernetes' word; "" if it does not."""
        return str(self.event.data.get("reason") or "")

    @property
    def ip(self) -> str:
        """Its address, "" if it has none yet."""
        return str(self.event.data.get("ip") or "")

    @property
    def node(self) -> str:
        """The node that it was given, "" if it has none yet."""
        return str(self.event.data.get("node") or "")

    @property
    def template(self) -> str:
        """The hash of the template that it was made from, "" if that was not told."""
        return str(self.event.data.get("template_hash") or "")

    @property
    def tag(self) -> str:
        """The tag of its image."""
        return image_tag(self.event.data.get("image"))

    @property
    def restarts(self) -> int | None:
        """How often the app's container was started again; None if that was not told."""
        found = self.event.data.get("restarts")
        return found if isinstance(found, int) else None

    @property
    def image_id(self) -> str:
        """What the node really runs, "" if it did not say."""
        return str(self.event.data.get("image_id") or "")


def pods_seen(facts: Facts) -> Iterator[PodSeen]:
    """Every event of a pod, in order."""
    return (PodSeen(event) for event in facts.find(source="watch", subject="Pod/"))


def restarts_seen(facts: Facts, *, since_s: float, until_s: float) -> Iterator[PodSeen]:
    """Each time in that stretch that the app's container of a pod of the Deployment was seen to be started again."""
    count: dict[str, int] = {}
    for pod in pods_seen(facts):
        if not pod.member or pod.restarts is None:
            continue
        if since_s <= pod.at_s <= until_s and pod.restarts > count.get(pod.uid, pod.restarts):
            yield pod
        count[pod.uid] = pod.restarts


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch in which a watch was away."""

    event: Event

    @property
    def subject(self) -> str:
        """Which watch: "Watch/<kind>"."""
        return self.event.subject

    @property
    def lost(self) -> bool:
        """Whether facts may be missing; else it told everything afterwards, and late."""
        return bool(self.event.data.get("lost"))

    @property
    def reason(self) -> str:
        """Why, in words."""
        return str(self.event.data.get("reason") or "no reason")

    @property
    def length_s(self) -> float:
        """For how long; a drill's own watch tells that, and its span is of all the time that it watched."""
        blind_s = self.event.data.get("blind_s")
        return self.event.end_s - self.event.start_s if blind_s is None else float(blind_s)


def watch_gaps(facts: Facts) -> list[Gap]:
    """Every gap, in order of its end."""
    return [Gap(event) for event in by_time(facts.find(source="watch", what="gap"))]


def seen_late_s(facts: Facts, *at_s: float) -> float:
    """By how much, in all, what was seen at these times may have happened earlier: a watch had been away until then."""
    gaps = [(gap, gap.event.start_s, gap.event.end_s + _TOLD_AFTER_S) for gap in watch_gaps(facts)]
    late_s = (
        max((min(gap.length_s, at - since_s) for at in at_s if since_s < at <= until_s), default=0.0)
        for gap, since_s, until_s in gaps
    )
    return sum(late_s)


def seen_late_clause(late_s: float) -> str:
    """The end of a sentence about a limit, where `seen_late_s` says that the limit may have been kept."""
    return f"; but a watch was away until then, so that it may have been {late_s:.1f} s before"


def earliest_s(facts: Facts, event: Event) -> float:
    """When what an event tells may have been so already: after the last look that missed it had begun, if it was looked
    for, and not before a watch by which that was known went away."""
    at_s = event.end_s if event.not_before_s is None else event.not_before_s
    return min(at - seen_late_s(facts, at) for at in (at_s, event.end_s))


def missed_clause(least_s: float, allow: str) -> str:
    """The end of a sentence about a limit within the time of one look. allow: the setting that may be raised."""
    return (
        f"; but it is sure only until {least_s:.1f} s that it was not so yet, and it may have been in time: run it "
        f"again, or allow for it in {allow}"
    )


def ready_addresses(facts: Facts) -> list[tuple[Event, frozenset[str]]]:
    """After each EndpointSlice event, the ready addresses of all slices together."""
    latest: dict[str, frozenset[str]] = {}
    out = []
    for event in facts.find(source="watch", subject="EndpointSlice/"):
        ready = () if event.what == "deleted" else event.data.get("ready") or ()
        latest[event.subject] = frozenset(str(ip) for ip in ready)
        out.append((event, frozenset().union(*latest.values())))
    return out


def endpoint_count(addresses: Collection[str]) -> int:
    """How many endpoints these addresses are: one of a Service of two IP families has one of each."""
    of_ipv6 = sum(":" in address for address in addresses)
    return max(of_ipv6, len(addresses) - of_ipv6)


def failing_replicasets(facts: Facts, reason: str) -> list[Event]:
    """What was told last of each ReplicaSet whose condition ReplicaFailure has that reason at the end."""
    latest = {event.subject: event for event in facts.find(source="watch", subject="ReplicaSet/")}
    return [one for one in latest.values() if one.what != "deleted" and one.data.get("failure") == reason]


def image_tag(image: object) -> str:
    """The tag of an image reference, without a digest; "" if it has none."""
    name = str(image).partition("@")[0]  # "None" has no tag either
    return name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else ""


def deployed_tag(facts: Facts, at_s: float) -> str:
    """The image tag of the app's Deployment at that time, as its watch had told it; "" if it had told nothing."""
    cluster = facts.plan.target.cluster
    seen: Event | None = None
    for event in facts.find(source="watch", subject=f"Deployment/{cluster.namespace}/{cluster.deployment}"):
        if event.start_s <= at_s and event.what != "deleted":
            seen = event
    return image_tag(seen.data.get("image")) if seen is not None else ""


def deployed_tags(facts: Facts, *, since_s: float, until_s: float) -> frozenset[str]:
    """The image tags that the app's Deployment was given in that stretch, as its watch told."""
    cluster = facts.plan.target.cluster
    told = facts.find(source="watch", subject=f"Deployment/{cluster.namespace}/{cluster.deployment}")
    return frozenset(image_tag(one.data.get("image")) for one in told if since_s <= one.start_s <= until_s) - {""}
