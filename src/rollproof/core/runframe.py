"""Runframe: typed readers of the frame around the acts: the run, its clocks, the load, the ingress's log, the proofs.

Their words and fields are in docs/facts.md (`run`, `load`, `ingress`, `proof`); nobody else behind the recorders knows
a field of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rollproof.core.event import Event
from rollproof.core.facts import Facts

__all__ = [
    "Answer", "IngressLog", "SelfTest", "answers", "asked_checkers", "clocks_ahead_s", "drill_took_s", "ingress_log",
    "median_delay_ms",
    "reason", "self_test", "sha_at_start", "unreadable_log", "watch_delays_ms",
]  # fmt: skip


def reason(event: Event | None, *, otherwise: str = "no reason") -> str:
    """The sentence for people that came with an event."""
    return str(event.data.get("reason") or otherwise) if event is not None else otherwise


def sha_at_start(facts: Facts) -> str:
    """The app version that should have been running when the drill started; "" where that was not recorded yet."""
    return next(
        (str(event.data.get("sha", "")) for event in facts.find(source="run", subject="drill", what="started")), ""
    )


def drill_took_s(facts: Facts) -> float | None:
    """From the drill's begin to its end, whatever the end was; None where one of the two was not recorded."""
    told = [event for event in facts.find(source="run", subject="drill") if event.drill == facts.drill]
    begun = [event.start_s for event in told if event.what == "started"]
    ended = [event.end_s for event in told if event.what != "started"]
    return ended[-1] - begun[0] if begun and ended else None


def asked_checkers(asked: Event) -> list[str]:
    """By which checkers the drill asked to be judged."""
    return [str(name) for name in asked.data.get("checkers", ())]


def clocks_ahead_s(reading: Event) -> float:
    """By how much the wall clock was ahead of the monotonic one, at a reading of both."""
    return float(reading.data["wall_s"]) - float(reading.data["monotonic_s"])


def watch_delays_ms(facts: Facts) -> tuple[tuple[float, ...], Event | None]:
    """The measured delays of a watch, and the event that tells them; none where it was not measured."""
    event = facts.last(source="run", what="calibrated")
    return tuple(float(ms) for ms in event.data.get("watch_delay_ms", ())) if event is not None else (), event


def median_delay_ms(calibrated: Event) -> float | None:
    """The median of the measured delays, as it was recorded with them."""
    return calibrated.data.get("median_ms")


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What the load generator found when it was tested against the fault server.

    `classes` maps a class of outcome to how many there were, and how many it reported; `why` is for a test that could
    not be made.
    """

    passed: bool
    classes: Mapping[str, tuple[int, int]]
    why: str


def self_test(facts: Facts) -> SelfTest | None:
    """The last self-test; None if there was none."""
    event = facts.last(source="load", what="self-test")
    if event is None:
        return None
    classes = {str(name): (done, told) for name, (done, told) in event.data.get("classes", {}).items()}
    return SelfTest(bool(event.data.get("passed")), classes, str(event.data.get("why", "no reason given")))


@dataclass(frozen=True, slots=True)
class IngressLog:
    """What was read of the ingress's log. `masked`: None where it does not say how many failures a retry has hidden.
    `upstreams`: the servers that it asked in vain, as far as it names them; `retried_ids`: the first of the requests
    that were tried again; `in_front`: of the masked ones those that something in front of it asked for again; `mute`:
    lines of ours were there, and none says how often it tried."""

    event: Event
    matched: int
    masked: int | None
    upstreams: frozenset[str] = frozenset()
    retried_ids: frozenset[str] = frozenset()
    in_front: int = 0
    mute: bool = False


def ingress_log(facts: Facts) -> IngressLog | None:
    """The log of the last load; None if it was not read, or could not be believed."""
    return _log(facts.last(source="ingress", what="log"))


def unreadable_log(facts: Facts) -> IngressLog | None:
    """The log of the last load that could not be believed: what it holds all the same; its event says why."""
    return _log(facts.last(source="ingress", what="log-unreadable"))


def _log(event: Event | None) -> IngressLog | None:
    if event is None:
        return None
    masked = event.data.get("masked")
    matched = int(event.data.get("matched") or 0)
    return IngressLog(
        event, matched, None if masked is None else int(masked),
        upstreams=frozenset(map(str, event.data.get("upstreams") or ())),
        retried_ids=frozenset(map(str, event.data.get("retried_ids") or ())),
        in_front=int(event.data.get("in_front") or 0),
        mute=matched > 0 and event.data.get("readable") == 0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a proof: who was asked is its event's subject."""

    event: Event

    @property
    def version(self) -> str:
        """The version that it gave."""
        return str(self.event.data.get("version"))

    @property
    def expected(self) -> str:
        """What was wanted."""
        return str(self.event.data.get("expected"))

    @property
    def value(self) -> object:
        """The value of the field that was asked for, as it came."""
        return self.event.data.get("value")

    @property
    def status(self) -> int:
        """The HTTP status, 0 where there was none."""
        return int(self.event.data.get("status") or 0)

    @property
    def took_s(self) -> float | None:
        """How long the question took, whether an answer came or not; None where that was not recorded."""
        took_s = self.event.data.get("took_s")
        return None if took_s is None else float(took_s)


def answers(facts: Facts, what: str, *, since_s: float) -> Iterator[Answer]:
    """The answers about "version" or "database" that were asked for since then."""
    found = facts.find(source="proof", what=what)
    return (Answer(event) for event in found if event.start_s >= since_s)
