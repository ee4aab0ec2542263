"""Histories for the golden of verdicts: what a pod found that the app's NetworkPolicies must deny."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from story import NEW, Story

from rollproof.core.event import Outcome
from rollproof.core.fault import FaultWord, subject_of

__all__ = ["policies"]

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN
Told = Iterator[tuple[str, Story]]


def say(told: Story, word: FaultWord, *, at: float, outcome: Outcome = Outcome.OK, **data: Any) -> Story:
    return told.tell("fault", subject_of("denied-pod"), word, at=at, outcome=outcome, **data)


def tried(
    first: str, second: str = "nnnnnnnn", control: str = "yyyyyyyy", *, entry: Outcome | None = Outcome.OK
) -> Story:
    told = Story("network-policy").fault("denied-pod", until="injected")
    tries = [f"10.0.0.1 {first}", f"10.0.0.2 {second}"]
    say(told, FaultWord.EFFECT, at=120, watched="it has tried", pods=[], tries=tries, control=control, took_s=16.0)
    if entry is not None:
        told.tell("proof", "Ingress", "version", at=125, outcome=entry, version=NEW, expected=NEW, status=200)
    return told


def seen(told: Story, *, at: float, ip: str = "10.0.0.2") -> Story:
    return told.tell("watch", "Pod/shop/web-2", "modified", at=at, uid="uid-2", ip=ip, ready=False, member=True)


def policies() -> Told:
    yield "nothing at all", Story("network-policy")
    skipped = Story("network-policy").fault("denied-pod", until="planned")
    yield "skipped", say(skipped, FaultWord.SKIPPED, at=100, reason="no NetworkPolicy restricts who reaches the app")
    gone = say(
        Story("network-policy").fault("denied-pod", until="injected"), FaultWord.VOID, at=101, reason="it was deleted"
    )
    yield "void", gone
    vain = Story("network-policy").fault("denied-pod", until="injected")
    yield "it did not end", say(vain, FaultWord.NO_EFFECT, at=150, outcome=UNKNOWN, waited_s=50.0)
    yield "an effect without its tries", Story("network-policy").fault("denied-pod", until="effect")
    yield "denied", tried("nnnnnnnn")
    yield "let through at first", tried("yyynnnnn")
    yield "let through until the last but three", tried("nnnnynnn")
    yield "let through in one of the last three", tried("nnnnnynn")
    yield "let through", tried("yyyyyyyy", "yyyyyyyy")
    yield (
        "let through by one of two, and the API server was not reached",
        tried("yyyyyyyy", control="nnnnnnnn", entry=None),
    )
    yield "denied, and the API server was not always reached", tried("nnnnnnnn", control="nyyyyyyy")
    yield "denied, and the app did not answer its entry", tried("nnnnnnnn", entry=FAIL)
    yield "denied, and a pod of the app was not ready meanwhile", seen(tried("nnnnnnnn"), at=110)
    yield "denied, and a pod of the app was not ready before", seen(tried("nnnnnnnn"), at=99)
    yield "denied, and a pod of the app was not ready after", seen(tried("nnnnnnnn"), at=121)
    yield "denied, and another pod was not ready meanwhile", seen(tried("nnnnnnnn"), at=110, ip="10.0.0.9")
    yield "let through, and a pod of the app was not ready meanwhile", seen(tried("yyyyyyyy"), at=110)
    yield "denied, and nobody asked the app", tried("nnnnnnnn", entry=None)
