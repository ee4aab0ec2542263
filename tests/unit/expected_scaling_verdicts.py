"""Histories for the golden of verdicts: a rise of load at 100 s, which the autoscaler of `web` is to answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from story import Story

from rollproof.core.event import Outcome
from rollproof.core.scaling import AUTOSCALER, ScalingWord, subject_of

__all__ = ["scalings"]

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN
Told = Iterator[tuple[str, Story]]
W = ScalingWord
FOUR = "4 replicas are wanted, 2 of 4 pods are ready"


def begun() -> Story:
    """Two replicas, an autoscaler that measures little; then the load rises."""
    told = replicas(scaler(Story("autoscaling"), 0.2, at=90), 2, at=90)
    say(
        told, W.PLANNED, at=99, floor=2, max_replicas=4, window_s=30.0, path="/jobs", rate_per_s=40.0,
        up_within_s=90.0, ready_within_s=60.0, down_within_s=90.0,
    )  # fmt: skip
    return say(told, W.RAISED, at=100)


def say(told: Story, word: ScalingWord, *, at: float, outcome: Outcome = Outcome.OK, **data: Any) -> Story:
    return told.tell("scaling", subject_of("web"), word, at=at, outcome=outcome, **data)


def scaler(told: Story, use: float | None, *, at: float, current: int = 2, reason: str = "", **data: Any) -> Story:
    metrics = [] if use is None else [f"cpu {80 * use:.0f} % of 80 %"]
    return told.tell(
        "watch", "HorizontalPodAutoscaler/shop/web", "modified", at=at, use=use, current=current, desired=current,
        metrics=metrics, reason=reason, window_s=30.0, up_window_s=0.0, tolerance=0.1, **data,
    )  # fmt: skip


def replicas(told: Story, count: int, *, at: float, by: tuple[str, ...] = (AUTOSCALER,)) -> Story:
    return told.tell(
        "watch", "Deployment/shop/web", "modified", at=at, spec_replicas=count, replicas_by=list(by),
        image="ghcr.io/shop/web:aaaaaaa",
    )  # fmt: skip


def up(*, by: tuple[str, ...] = (AUTOSCALER,), at: float = 130, use: float = 2.0) -> Story:
    """Four replicas, 30 s after the rise; all get traffic 8 s later."""
    told = replicas(scaler(begun(), use, at=129), 4, at=at, by=by)
    say(say(told, W.SCALED_UP, at=at, replicas=4), W.READY, at=138, replicas=4)
    return scaler(told, 1.0, at=145, current=4)


def lowered(told: Story | None = None, **data: Any) -> Story:
    sent = {"requests": 2200, "failures": 0, "rate_per_s": 40.0, "outcomes": {}, **data}
    return say(told or up(), W.LOWERED, at=155, **sent)


def back(told: Story | None = None, *, by: tuple[str, ...] = (AUTOSCALER,)) -> Story:
    told = scaler(told or lowered(), 0.2, at=160, current=4)
    say(replicas(told, 2, at=195, by=by), W.SCALED_DOWN, at=195, replicas=2)
    return say(told, W.FLOOR, at=203, replicas=2)


def not_up(*uses: tuple[float, float | None], outcome: Outcome = FAIL, **data: Any) -> Story:
    """The autoscaler's uses by their times, and no replica until 190 s."""
    told = begun()
    for at, use in uses:
        scaler(told, use, at=at, reason="" if use is not None else "FailedGetResourceMetric")
    say(told, W.NOT_SCALED_UP, at=190, outcome=outcome, waited_s=90.0, last_seen="2 replicas are wanted", **data)
    return lowered(told)


def not_back(*uses: tuple[float, float | None], outcome: Outcome = FAIL) -> Story:
    told = lowered()
    for at, use in uses:
        scaler(told, use, at=at, current=4)
    return say(told, W.NOT_FLOOR, at=275, outcome=outcome, waited_s=120.0, last_seen=FOUR)


def scalings() -> Told:
    yield "nothing at all", Story("autoscaling")
    yield "up and down", back()
    for name, took_s in {"just in time": 60.0, "seen to get traffic later than the limit": 60.5}.items():
        told = back()
        told.events = [
            replace(one, start_s=one.end_s - took_s) if one.what == W.READY else one for one in told.events
        ]  # fmt: skip
        yield f"up and down, {name}", told
    yield "the added load lost requests", back(lowered(failures=3, outcomes={"http.503": 2, "read.timeout": 1}))
    yield "up, and then nothing is known", up()
    yield "up and down, and the autoscaler told nothing", _without(back(), "Horizontal")
    yield "up and down, and the plan was not recorded", _without(back(), "Scaling", W.PLANNED)
    yield "up and down, and nobody saw what was scaled up", _without(back(), "Scaling", W.SCALED_UP)
    yield "up and down, with a use and times that are no round figures", back(lowered(up(at=130.04, use=2.00456)))
    yield from _not_up()
    yield from _not_down()
    yield from _owners()
    lost = back().tell(
        "watch", "Watch/Deployment", "gap", at=150, start=140, outcome=UNKNOWN, lost=True, reason="410 Gone"
    )
    yield "a watch was blind", lost


def _without(told: Story, subject: str, what: str = "") -> Story:
    told.events = [one for one in told.events if not (one.subject.startswith(subject) and what in ("", one.what))]
    return told


def _not_up() -> Told:
    yield "too little load", not_up((120, 0.63), (150, 0.71))
    yield "just what is tolerated", not_up((120, 1.1))
    yield "enough load for long, and no replica", not_up((115, 1.0), (130, 2.5), (145, 2.6))
    yield "enough load at the very end", not_up((115, 0.9), (170, 2.5))
    yield "enough load in the last half second", not_up((115, 0.9), (189.5, 2.5))
    first = not_up((101, 2.5))
    first.events = [one for one in first.events if not one.subject.startswith("Horizontal") or one.end_s > 100]
    yield "enough load from the first that the autoscaler told", first
    yield "too little load, and how much was sent is not known", _without(not_up((120, 0.63)), "Scaling", W.LOWERED)
    yield "enough load in between", not_up((115, 2.5), (140, 0.9), (160, 1.0))
    yield "the metrics were lost", not_up((101, None))
    yield "the metrics were lost after a while", not_up((115, 2.5), (125, None))
    yield "the autoscaler told nothing", _without(not_up(), "Horizontal")
    yield "no replica, and the plan was not recorded", _without(not_up((115, 2.5)), "Scaling", W.PLANNED)
    gone = not_up((115, 2.5)).tell("watch", "HorizontalPodAutoscaler/shop/web", "deleted", at=120)
    yield "no replica, and somebody deleted the autoscaler", gone
    yield "no replica, but nobody could look", not_up((115, 2.5), outcome=UNKNOWN)
    slow = say(replicas(scaler(begun(), 2.0, at=129), 4, at=130), W.SCALED_UP, at=130, replicas=4)
    say(slow, W.NOT_READY, at=190, outcome=FAIL, waited_s=60.0, last_seen=FOUR)
    yield "replicas that never got traffic", back(lowered(slow))
    yield "replicas that never got traffic, and the plan was not recorded", _without(slow, "Scaling", W.PLANNED)


def _not_down() -> Told:
    yield "never down", not_back((165, 0.2))
    yield "down at the very end", not_back((165, 0.9), (255, 0.2))
    yield "somebody else uses it", not_back((165, 0.9))
    yield "never down, and the plan was not recorded", _without(not_back((165, 0.2)), "Scaling", W.PLANNED)
    yield "the use at the end is not known", not_back((165, None))
    yield "not down, but nobody could look", not_back((165, 0.2), outcome=UNKNOWN)
    stays = say(replicas(scaler(lowered(), 0.2, at=160, current=4), 2, at=195), W.SCALED_DOWN, at=195, replicas=2)
    yield (
        "a pod stays",
        say(stays, W.NOT_FLOOR, at=275, outcome=FAIL, waited_s=80.0, last_seen="2 replicas are wanted, 2 of 3 pods"),
    )

    part = scaler(replicas(scaler(lowered(), 0.2, at=160, current=4), 3, at=195), 0.9, at=200, current=3)
    say(say(part, W.SCALED_DOWN, at=195, replicas=3), W.NOT_FLOOR, at=275, outcome=FAIL, waited_s=80.0, last_seen=FOUR)
    yield "down in part, and somebody else uses the rest", part
    blind = scaler(replicas(scaler(lowered(), 0.2, at=160, current=4), 2, at=195), None, at=200, current=2)
    say(say(blind, W.SCALED_DOWN, at=195, replicas=2), W.NOT_FLOOR, at=275, outcome=FAIL, waited_s=80.0, last_seen=FOUR)
    yield "a pod stays, and the use is not known", blind


def _owners() -> Told:
    fought = replicas(up(), 2, at=147, by=("argocd-controller",))
    yield "a sync took the replicas away", back(lowered(replicas(fought, 4, at=150)))
    twice = replicas(replicas(up(), 2, at=147, by=("argocd-controller",)), 4, at=148)
    yield "two syncs took them away", back(lowered(replicas(twice, 2, at=150, by=("argocd-controller",))))
    yield "two people scaled it", back(lowered(up(by=("kubectl", "helm"))), by=("kubectl",))
    yield "a person scaled it", back(by=("kubectl",))
    yield "a person scaled it up", back(lowered(up(by=("kubectl",))))
    away = say(replicas(scaler(begun(), 2.0, at=129), 4, at=130), W.SCALED_UP, at=130, replicas=4)
    replicas(away, 2, at=135, by=("kubectl",))
    say(away, W.NOT_READY, at=190, outcome=FAIL, waited_s=60.0, last_seen="2 replicas are wanted")
    yield "a person took the replicas away", say(lowered(away), W.FLOOR, at=200, replicas=2)
    yield "who wrote it is not known", back(by=())
    yield "git declares it, and the autoscaler wrote it last", back(lowered(up(by=("argocd-controller", AUTOSCALER))))
    synced = up().tell("watch", "Application/argocd/shop", "modified", at=90, started_at="2026-01-01T00:00:00Z")
    synced.tell("watch", "Application/argocd/shop", "modified", at=140, started_at="2026-01-01T00:02:00Z")
    yield "a sync meanwhile, which left it alone", back(lowered(synced))
