"""Scaling: one rise and fall of load, and what the autoscaler made of it, as the facts tell it (docs/facts.md).

    planned ─► raised ─► scaled-up ─► ready ─► lowered ─► scaled-down ─► floor
                  └► not-scaled-up  └► not-ready    └──────────┴► not-floor

Whoever raises the load records these words and no others; the autoscaler and the Deployment are told by watches. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollproof.core.attempt import Attempt, said_by_subject
from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.part import ActKind

__all__ = [
    "AUTOSCALER", "METRICS_S", "SOURCE", "SYNC_S", "ReplicasSeen", "ScalerSeen", "Scaling", "ScalingPlan",
    "ScalingWord", "Sent", "degraded_s", "deleted_meanwhile", "find_scalings", "replicas_seen", "scalers_seen",
    "subject_of", "syncs_begun",
]  # fmt: skip

SOURCE = "scaling"
_KIND = "Scaling"
_AUTOSCALERS = "HorizontalPodAutoscaler/"
AUTOSCALER = "kube-controller-manager"  # the field manager as which every HorizontalPodAutoscaler writes replicas
METRICS_S = 15.0  # metrics-server: --metric-resolution
SYNC_S = 15.0  # kube-controller-manager: --horizontal-pod-autoscaler-sync-period


class ScalingWord(StrEnum):
    """What may be said of it. The load itself is raised and lowered, the replicas are scaled up and down."""

    PLANNED = "planned"
    RAISED = "raised"  # the added load is running: the act begins
    SCALED_UP = "scaled-up"  # more replicas are wanted than before
    NOT_SCALED_UP = "not-scaled-up"
    READY = "ready"  # all that are wanted get traffic
    NOT_READY = "not-ready"
    LOWERED = "lowered"  # the added load has ended
    SCALED_DOWN = "scaled-down"  # fewer are wanted than at the end of the load
    FLOOR = "floor"  # as many as before are wanted, and no other pod is there
    NOT_FLOOR = "not-floor"


class Scaling(Attempt):
    """What is known of one rise and fall."""

    __slots__ = ()

    @property
    def kind(self) -> ActKind:
        """A rise of load."""
        return ActKind.SCALING

    @property
    def name(self) -> str:
        """For people."""
        return "the rise of load"

    @property
    def version(self) -> str:
        """It brings none."""
        return ""

    @property
    def begun(self) -> bool:
        """Whether the load was raised."""
        return ScalingWord.RAISED in self.said

    @property
    def started(self) -> Event:
        """The load is up."""
        return self.said[ScalingWord.RAISED]

    @property
    def happened(self) -> Event | None:
        """Replicas were raised: without that nothing of the autoscaler was tried."""
        return self.sure(ScalingWord.SCALED_UP) if self.begun else None

    @property
    def over_s(self) -> float | None:
        """The replicas are back at the floor."""
        floor = self.sure(ScalingWord.FLOOR)
        return floor.end_s if floor is not None else None

    @property
    def over_means(self) -> str:
        """The floor."""
        return "the replicas were back where they had been"

    def sure(self, word: ScalingWord) -> Event | None:
        """The event of that word, if it was surely so."""
        event = self.said.get(word)
        return event if event is not None and event.outcome is Outcome.OK else None

    @property
    def load_over_s(self) -> float | None:
        """When the added load was told to end; its last answers came after that. None if it was not."""
        lowered = self.said.get(ScalingWord.LOWERED)
        return lowered.start_s if lowered is not None else None

    def after_s(self, begun_s: float | None, word: ScalingWord) -> float | None:
        """Seconds from then to the end of what the word says; None if it was not surely seen."""
        event = self.sure(word)
        return event.end_s - begun_s if event is not None and begun_s is not None else None

    @property
    def plan(self) -> ScalingPlan | None:
        """What it is held against; None if that was not recorded: then nothing of it is late, and nothing in time."""
        event = self.said.get(ScalingWord.PLANNED)
        said: Mapping[str, Any] = event.data if event is not None else {}
        if said.get("floor") is None or said.get("window_s") is None or said.get("ready_within_s") is None:
            return None
        return ScalingPlan(int(said["floor"]), float(said["window_s"]), float(said["ready_within_s"]))

    @property
    def path(self) -> str:
        """Where the added load went; "" if that was not recorded."""
        plan = self.said.get(ScalingWord.PLANNED)
        return str(plan.data.get("path") or "") if plan is not None else ""

    @property
    def sent(self) -> Sent | None:
        """What was sent of the added load; None if its end was not seen."""
        event = self.said.get(ScalingWord.LOWERED)
        if event is None:
            return None
        data = event.data
        return Sent(
            requests=int(data.get("requests") or 0), failures=int(data.get("failures") or 0),
            rate_per_s=float(data.get("rate_per_s") or 0.0),
            outcomes={str(name): int(count) for name, count in (data.get("outcomes") or {}).items()},
        )  # fmt: skip

    def last_seen(self, word: ScalingWord) -> str:
        """The state that was seen last, where something was waited for in vain."""
        event = self.said.get(word)
        return str(event.data.get("last_seen") or "nobody noted it") if event is not None else "nobody noted it"

    def why_void(self) -> str:
        """No replica came."""
        return f"{self.name} made the autoscaler add no replica that anybody saw ({self._last()})"

    def why_not_over(self) -> str:
        """They were not seen to go."""
        return f"the replicas were not seen to come back after {self.name} ({self._last()})"

    def _last(self) -> str:
        return f"the last that is known is {self.last_word()!r}"


@dataclass(frozen=True, slots=True)
class ScalingPlan:
    """The replicas before it, for how long the autoscaler waits before it takes any away, and the limit of `ready`."""

    floor: int
    window_s: float
    ready_within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Counts of the added load; `outcomes` are those that were not good."""

    requests: int
    failures: int
    rate_per_s: float
    outcomes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ScalerSeen:
    """The autoscaler at the moment of one watch event. `use` is what it measures, as a share of its target."""

    event: Event

    @property
    def use(self) -> float | None:
        """Of the metric that is the most used; None where it knows none."""
        value = self.event.data.get("use")
        return None if value is None else float(value)

    @property
    def tolerance(self) -> float:
        """By so much `use` may differ from 1 without that anything is scaled."""
        value = self.event.data.get("tolerance")
        return 0.1 if value is None else float(value)

    @property
    def is_above(self) -> bool:
        """Whether it must scale up."""
        return self.use is not None and self.use > 1 + self.tolerance

    @property
    def up_window_s(self) -> float:
        """For how long the use must be above before it acts."""
        return float(self.event.data.get("up_window_s") or 0.0)

    @property
    def current(self) -> int:
        """The replicas that it counts."""
        return int(self.event.data.get("current") or 0)

    @property
    def floor(self) -> int:
        """Its minReplicas."""
        return int(self.event.data.get("min_replicas") or 0)

    @property
    def ceiling(self) -> int:
        """Its maxReplicas: beyond that it takes replicas away whatever it measures."""
        return int(self.event.data.get("max_replicas") or 0)

    @property
    def reason(self) -> str:
        """Why it cannot scale, in Kubernetes' word; "" if it can."""
        return str(self.event.data.get("reason") or "")


@dataclass(frozen=True, slots=True)
class ReplicasSeen:
    """The Deployment's `spec.replicas` at the moment of one watch event, and whose field it is by managedFields."""

    event: Event

    @property
    def wanted(self) -> int:
        """Their number."""
        return int(self.event.data["spec_replicas"])

    @property
    def owners(self) -> tuple[str, ...]:
        """The field managers; nobody where the API did not say it."""
        return tuple(map(str, self.event.data.get("replicas_by") or ()))


def find_scalings(facts: Facts) -> tuple[Scaling, ...]:
    """Every rise that the timeline tells of, in order."""
    return tuple(Scaling(subject, said) for subject, said in said_by_subject(facts, SOURCE, _KIND).items())


def scalers_seen(facts: Facts, *, since_s: float, until_s: float) -> list[ScalerSeen]:
    """The autoscaler's states: the one at `since_s`, and each after it until `until_s`."""
    seen = [ScalerSeen(one) for one in facts.find(source="watch", subject=_AUTOSCALERS)]
    there = [one for one in seen if one.event.what != "deleted" and one.event.start_s <= until_s]
    before = [one for one in there if one.event.start_s <= since_s]
    return before[-1:] + [one for one in there if one.event.start_s > since_s]


def replicas_seen(facts: Facts, *, since_s: float, until_s: float) -> list[ReplicasSeen]:
    """The Deployment's states that tell a number: the one at `since_s`, and each after it until `until_s`."""
    cluster = facts.plan.target.cluster
    found = facts.find(source="watch", subject=f"Deployment/{cluster.namespace}/{cluster.deployment}")
    told = (one for one in found if one.what != "deleted" and isinstance(one.data.get("spec_replicas"), int))
    there = [ReplicasSeen(one) for one in told if one.start_s <= until_s]
    before = [one for one in there if one.event.start_s <= since_s]
    return before[-1:] + [one for one in there if one.event.start_s > since_s]


def deleted_meanwhile(facts: Facts, *, since_s: float, until_s: float) -> Event | None:
    """The first deletion of the autoscaler or the Deployment in that stretch: what was seen before it ends there."""
    cluster = facts.plan.target.cluster
    deployment = f"Deployment/{cluster.namespace}/{cluster.deployment}"
    gone = (one for one in facts.find(source="watch", what="deleted") if since_s <= one.start_s <= until_s)
    return next((one for one in gone if one.subject == deployment or one.subject.startswith(_AUTOSCALERS)), None)


def syncs_begun(facts: Facts, *, since_s: float, until_s: float) -> int:
    """How many operations of Argo CD were seen to begin meanwhile, by their start."""
    begun: list[str] = []
    before = ""
    for event in facts.find(source="watch", subject="Application/"):
        started = str(event.data.get("started_at") or "")
        if event.start_s < since_s:
            before = started
        elif event.start_s <= until_s and started not in ("", before, *begun):
            begun.append(started)
    return len(begun)


def degraded_s(facts: Facts, *, since_s: float, until_s: float) -> float:
    """For how long Argo CD called the Application Degraded meanwhile (s)."""
    begun_s: float | None = None
    lasted_s = 0.0
    for event in facts.find(source="watch", subject="Application/"):
        at_s = min(max(event.start_s, since_s), until_s)
        if begun_s is not None:
            lasted_s += at_s - begun_s
        begun_s = at_s if event.data.get("health") == "Degraded" else None
    return lasted_s if begun_s is None else lasted_s + until_s - begun_s


def subject_of(name: str) -> str:
    """The subject of the events of a rise that the autoscaler of that name is to answer."""
    return f"{_KIND}/{name}"
