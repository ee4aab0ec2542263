"""Histories for the golden of verdicts: the metrics API is away from 100 s on; the autoscaler of `web` sees nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from expected_scaling_verdicts import replicas
from story import Story

from rollproof.core.event import Outcome
from rollproof.core.fault import FaultWord, subject_of
from rollproof.core.scaling import AUTOSCALER

__all__ = ["kept"]

UNKNOWN = Outcome.UNKNOWN
Told = Iterator[tuple[str, Story]]
UNREAD = "FailedGetResourceMetric"


def say(told: Story, word: FaultWord, *, at: float, outcome: Outcome = Outcome.OK, **data: Any) -> Story:
    return told.tell("fault", subject_of("metrics-away"), word, at=at, outcome=outcome, **data)


def scaler(told: Story, *, at: float, reason: str = "", use: float | None = 0.2, most: int = 4, **data: Any) -> Story:
    return told.tell(
        "watch", "HorizontalPodAutoscaler/shop/web", "modified", at=at, use=None if reason else use, current=2,
        desired=2, reason=reason, min_replicas=2, max_replicas=most, **data,
    )  # fmt: skip


def pod(told: Story, restarts: int, *, at: float, member: bool = True, name: str = "old-1") -> Story:
    data = {"uid": f"uid-{name}", "restarts": restarts, "member": member}
    return told.tell("watch", f"Pod/shop/{name}", "modified", at=at, **data)


def gone(told: Story, kind: str, *, at: float, name: str = "web") -> Story:
    return told.tell("watch", f"{kind}/shop/{name}", "deleted", at=at)


def health(told: Story, word: str, *, at: float) -> Story:
    return told.tell("watch", "Application/argocd/shop", "modified", at=at, health=word, started_at="1")


def away(*, most: int = 4, count: int = 3) -> Story:
    """So many replicas of one pod that has run well; nothing is measured from 112 s on."""
    told = health(
        pod(replicas(scaler(Story("metrics-away"), at=90, most=most), count, at=90), 0, at=90), "Healthy", at=90
    )
    planned = {"object": "Deployment/kube-system/metrics-server", "limit_s": 90.0, "effect_within_s": 25.0}
    say(told, FaultWord.PLANNED, at=99, held=True, change="replicas 1 -> 0", **planned)
    say(say(told, FaultWord.INJECTING, at=100), FaultWord.INJECTED, at=100.2)
    scaler(told, at=112, reason=UNREAD, most=most)
    return say(told, FaultWord.EFFECT, at=112, watched="it measures nothing", pods=[])


def back(told: Story | None = None) -> Story:
    """Given back at 142 s, measured again at 165 s."""
    told = say(told or away(), FaultWord.UNDONE, at=142, by="harness")
    return say(scaler(told, at=165), FaultWord.RECOVERED, at=166)


def kept() -> Told:
    yield "nothing at all", Story("metrics-away")
    skipped = say(Story("metrics-away"), FaultWord.PLANNED, at=99, held=True)
    yield "skipped", say(skipped, FaultWord.SKIPPED, at=100, reason="no HorizontalPodAutoscaler scales it")
    vain = say(say(Story("metrics-away"), FaultWord.PLANNED, at=99, held=True), FaultWord.INJECTING, at=100)
    yield "planned and not begun", say(Story("metrics-away"), FaultWord.PLANNED, at=99, held=True)
    yield "not felt", say(vain, FaultWord.NO_EFFECT, at=125, outcome=UNKNOWN, waited_s=25.0)
    yield "they stayed", back()
    yield "they stayed, and Argo CD called it ill", back(health(health(away(), "Degraded", at=113), "Healthy", at=150))
    yield "they stayed, and it is ill to the end", back(health(away(), "Degraded", at=113))
    yield "they stayed, and nothing was measured again", say(away(), FaultWord.UNDONE, at=142, by="harness")
    cut = say(scaler(Story("metrics-away"), at=110, reason=UNREAD), FaultWord.PLANNED, at=99, held=True)
    say(say(replicas(cut, 3, at=110), FaultWord.INJECTING, at=100), FaultWord.EFFECT, at=112, watched="x", pods=[])
    yield "the run ended as soon as it was felt", cut
    yield (
        "for two reasons, and it was ill for a moment",
        back(
            scaler(
                health(health(away(), "Degraded", at=113.04), "Healthy", at=113.1), at=120.04, reason="FailedGetScale"
            )
        ),
    )
    yield "measured again at once", back(scaler(away(), at=112.04))
    yield "the Deployment told its number again", back(replicas(away(), 3, at=120))
    first = Story("metrics-away")
    first.events = [
        one for one in replicas(back(), 3, at=100).events if one.subject != "Deployment/shop/web" or one.end_s == 100
    ]
    yield "the Deployment told its number as it began", first
    yield from _changed()
    yield "a pod was restarted", back(pod(away(), 1, at=120))
    other = pod(away(), 0, at=101, member=False, name="other")
    yield "a pod was restarted, and one of somebody else told something before", back(pod(other, 1, at=120))
    yield "a pod came that had been restarted", back(pod(away(), 2, at=120, name="new-1"))
    yield "a pod was restarted before", back(pod(pod(away(), 1, at=95), 1, at=120))
    yield (
        "a pod of somebody else was restarted",
        back(pod(pod(away(), 0, at=101, member=False), 1, at=120, member=False)),
    )
    early = say(away(), FaultWord.VOID, at=120, outcome=UNKNOWN, reason="it measures again")
    yield "given back by somebody else", back(early)
    yield "ended at once", say(away(), FaultWord.ABORTED, at=115, outcome=UNKNOWN, reason="2,001 requests were lost")
    blind = back().tell("watch", "Watch/Deployment", "gap", at=125, start=120, outcome=UNKNOWN, lost=True, reason="410")
    yield "a watch was blind", blind
    yield "the autoscaler was deleted, and made again", back(gone(away(), "HorizontalPodAutoscaler", at=120))
    yield "the Deployment was deleted, and made again", back(replicas(gone(away(), "Deployment", at=120), 3, at=121))
    yield "somebody deleted another Deployment", back(gone(away(), "Deployment", at=120, name="worker"))
    yield "the autoscaler was deleted long before", back(gone(away(), "HorizontalPodAutoscaler", at=95))
    untold = Story("metrics-away")
    untold.events = [one for one in back().events if not one.subject.startswith("Deployment/")]
    yield "the Deployment told nothing", untold
    unsaid = Story("metrics-away")
    told = replicas(back(), 2, at=120).events
    unsaid.events = [one for one in told if not one.subject.startswith("Deployment/") or one.end_s > 100]
    yield "the Deployment told nothing before it", unsaid
    deaf = Story("metrics-away")
    deaf.events = [one for one in back().events if not one.subject.startswith("Horizontal")]
    yield "the autoscaler told nothing", deaf


def _written(*counts: int) -> Story:
    told = away()
    for at, count in enumerate(counts, 120):
        replicas(told, count, at=at, by=("kubectl",))
    return told


def _changed() -> Told:
    yield "the autoscaler took one away", back(replicas(away(), 2, at=120))
    yield "the autoscaler took one away, from its maximum", back(replicas(away(most=3), 2, at=120))
    yield "the autoscaler took all away", back(replicas(away(), 0, at=120))
    yield "the autoscaler took too many away", back(replicas(away(), 1, at=120))
    yield "the autoscaler took one away just before it was blind", back(replicas(away(), 2, at=111))
    yield "the autoscaler took one away right after it was blind", back(replicas(away(), 2, at=116))
    yield "the autoscaler took one away five seconds after", back(replicas(away(), 2, at=117))
    yield (
        "the autoscaler took one away, and told at once that it measured",
        back(scaler(replicas(away(), 2, at=120), at=124)),
    )
    yield (
        "the autoscaler took one away, and measured five seconds later",
        back(scaler(replicas(away(), 2, at=120), at=125)),
    )
    yield "the autoscaler took one away when it measured again", replicas(back(), 2, at=165.5)
    yield "the autoscaler took away what is beyond its maximum", back(replicas(away(most=2), 2, at=120))
    yield "the autoscaler added one", back(replicas(away(), 4, at=120))
    yield "a sync wrote them", back(replicas(away(), 2, at=120, by=("argocd-controller",)))
    yield "a sync added some", back(replicas(away(), 4, at=120, by=("argocd-controller",)))
    yield "a person wrote them", back(replicas(away(), 2, at=120, by=("kubectl",)))
    yield "nobody is known to have written them", back(replicas(away(), 2, at=120, by=()))
    both = replicas(replicas(away(), 4, at=115, by=("kubectl",)), 3, at=120)
    yield "a person added one, and the autoscaler took it away", back(both)
    yield "four writes of a person", back(_written(2, 3, 2, 3))
    yield (
        "the autoscaler took one away, and no use was told",
        back(replicas(scaler(away(), at=118, use=None), 2, at=120)),
    )
    stale = {"use": 0.5, "current": 2, "desired": 2, "reason": UNREAD, "min_replicas": 2, "max_replicas": 2}
    told = away().tell("watch", "HorizontalPodAutoscaler/shop/web", "modified", at=118, **stale)
    yield (
        "the autoscaler took away what is beyond its maximum, and a use is still told",
        back(replicas(told, 2, at=120)),
    )
    told = replicas(back(), 2, at=120)
    told.events = [one for one in told.events if not one.subject.startswith("Horizontal")]
    yield "the autoscaler took one away, and told nothing", told
    yield "both owned them", back(replicas(away(), 2, at=120, by=("argocd-controller", AUTOSCALER)))
