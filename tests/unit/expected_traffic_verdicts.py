"""Histories for the golden of verdicts: those of the checkers of load and availability."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from builders import Requests
from story import NEW, OLD, Story, good_release, plan, target

from rollproof.core.target import Ingress, Traffic

__all__ = ["availabilities", "generators"]

RELEASE = f"Release/{NEW}"
Told = Iterator[tuple[str, Story]]


def generators() -> Told:
    def told(
        requests: Requests, tested: dict[str, Any] | None = None, story: Story | None = None, **traffic: Any
    ) -> Story:
        story = story or good_release()
        story.plan = plan(target=target(traffic=Traffic(**traffic)))
        words = {"classes": {"read.eof": [2, 2], "http.502": [3, 3]}, "passed": True} if tested is None else tested
        if words:
            story.tell("load", "Load", "self-test", at=80, **words)
        story.requests = requests.build()
        return story

    def load(**engine: Any) -> Requests:
        return Requests(seconds=50.0, rate_per_s=100.0).engine(**engine)

    yield "no load", Story()
    empty = told(Requests(seconds=0.0))
    yield "an empty load", empty
    yield "sound", told(load().with_slow())
    yield "no act", told(load(), story=Story())
    unended = Story().release_started()
    yield "an act without a stage", told(load(), story=unended)
    beyond = Story().release_started(at=500.0).stages()
    yield "an act after the load", told(load(), story=beyond)
    before = Story().release_started(at=50.0).tell("release", RELEASE, "proven", at=60)
    yield "an act before the load", told(load(), story=before)
    yield "not tested", told(load(), {"passed": False}, None)
    untested = good_release()
    untested.requests = load().build()
    yield "never tested", untested
    lied = {"classes": {"read.eof": [2, 1], "http.502": [3, 3], "stall": [1, 0]}, "passed": False}
    yield "it lied", told(load(), lied)
    yield "its test broke", told(load(), {"passed": False, "why": "no port"})
    yield "without a table of classes", told(load(), {"passed": True})
    yield "not sent, not finished", told(load(dropped=3, unfinished=1, planned=5003))
    yield "it cannot count", told(load(planned=5002, dispatched=4999, locust_requests=7))
    yield "its own errors", told(load().fail(at=110, until=110.1, outcome="client.stalled"))
    yield "rate missed before", told(load().without(at=92, until=94))
    yield "rate missed during", told(load().without(at=110, until=114))
    yield "rate missed after", told(load().without(at=130, until=132))
    yield "rate just reached", told(load().without(at=92, until=92.5))
    yield "late", told(load().blind(at=110, until=111.5))
    yield "late, as far as is allowed", told(load().blind(at=110, until=111))
    yield "late, and allowed", told(load().blind(at=110, until=111.5), late_share_max=0.5)
    yield "busy", told(load(cpu_s=40.5))
    yield "as busy as it may be", told(load(cpu_s=40.0))
    yield "suspended", told(load(wall_s=(1e9, 1e9 + 51.5)))
    yield "set back", told(load(wall_s=(1e9, 1e9 + 48.5)))
    yield "a second apart", told(load(wall_s=(0.0, 51.0)))
    yield "moved a little", told(load(wall_s=(0.0, 49.75)))
    yield "moved too little to be said", told(load(wall_s=(0.0, 50.046875)))
    yield "ordinary priority", told(load(scheduling="normal"))
    yield "no time at all", told(load(end_ns=90_000_000_000, wall_s=(0.0, 50.0)))


def availabilities() -> Told:
    def clean(seconds: float = 53.0, start: float = 88.0) -> Requests:
        return Requests(start=start, seconds=seconds, rate_per_s=100.0, version=OLD).says(NEW, at=115.0).with_slow()

    def told(
        requests: Requests | None, story: Story | None = None, *, masked: str = "warn", baseline: float | None = 89.0,
        **traffic: Any,
    ) -> Story:  # fmt: skip
        story = story or good_release()
        story.plan = plan(target=target(traffic=Traffic(**traffic), ingress=Ingress(masked=masked)))
        if baseline is not None:
            story.tell("run", "phase", "baseline", start=baseline, at=99.5)
        if requests is not None:
            story.requests = requests.build()
        return story

    def theirs(story: Story, *, at: float = 128) -> Story:
        return story.tell("watch", "Deployment/shop/web", "modified", at=at, image="ghcr.io/shop/web:ccccccc")

    yield "nothing was started", told(clean(), Story())
    yield "no load", told(None)
    yield "an empty load", told(Requests(seconds=0.0))
    closed = told(clean())
    assert closed.requests is not None
    closed.requests = replace(closed.requests, open_loop=())
    yield "no lane at a rate", closed
    yield "no pod replaced", told(clean().fail(at=110), Story().release_started().stages(until="pushed"))
    yield "no pod seen to go, but called gone", told(clean(), Story().release_started().stages())
    none = Story().tell("release", RELEASE, "started", at=100, old_sha=OLD, new_sha=NEW).stages()
    yield "there was no pod", told(clean(), none)
    yield "rate limit before", told(clean().fail(at=95, until=95.1, outcome="http.429"))
    yield (
        "sick before",
        told(
            clean()
            .fail(at=95, until=95.1)
            .fail("new-get", at=96, outcome="read.eof")
            .fail(at=97, outcome="connect.dns")
        ),
    )
    yield "short baseline", told(clean(), baseline=96.0)
    yield "half a baseline", told(clean(), baseline=95.0)
    yield "no baseline at all", told(Requests(start=100.0, seconds=40.0), baseline=None)
    late = told(clean(), baseline=None).tell("run", "phase", "baseline", start=90, at=101.5)
    yield "a baseline that reached into the act is not one", late
    two = told(clean(), baseline=89.0).tell("run", "phase", "baseline", start=91, at=101)
    yield "the last baseline counts", two
    yield "blind baseline", told(clean().blind(at=95, until=96.2))
    yield "blind baseline, as long as it may be", told(clean().without(at=95, until=95.92))
    yield (
        "blind baseline within a coarse resolution",
        told(clean().blind(at=95, until=96.2), resolution_ms=1500.0),
    )
    yield "sound", told(clean())
    yield "one lost", told(clean().fail(at=118))
    yield (
        "the first and the last moment",
        told(clean().fail("new-get", at=100.0, until=100.02).fail(at=138.98, until=139.0)),
    )
    yield (
        "lost in two ways",
        told(clean().fail(at=118, until=118.5, outcome="read.ECONNRESET").fail("keepalive-post", at=120, until=120.05)),
    )
    yield "a third version", told(clean().says("ccccccc", at=119, until=119.1))
    yield "a third version, that somebody else has deployed", theirs(told(clean().says("ccccccc", at=130)))
    lost = clean().says("ccccccc", at=130).fail(at=112, until=113)
    yield "a third version, that somebody else has deployed, and losses", theirs(told(lost))
    strange = clean().says("ccccccc", at=130).says("ddddddd", at=119, until=119.1)
    yield "a third version, that somebody else has deployed, and a fourth", theirs(told(strange))
    yield "somebody else had deployed before", theirs(told(clean()), at=95)
    yield "no request in the window", told(clean().without(at=100, until=150))
    yield "more than the budget", told(clean().fail(at=118, until=119), downtime_budget_ms=900.0)
    yield "between the bounds", told(clean().fail(at=118, until=119), downtime_budget_ms=1000.0)
    yield "within the budget", told(clean().fail(at=118, until=118.1), downtime_budget_ms=500.0)
    yield "at the budget", told(clean().fail(at=118, until=119), downtime_budget_ms=1014.0)
    yield "at the budget for sure", told(clean().fail(at=118, until=119), downtime_budget_ms=989.0)
    yield "rate limit", told(clean().fail(at=118, until=118.1, outcome="http.403"))
    yield "the way there", told(clean().fail("", at=118, until=118.5, outcome="connect.timeout"))
    yield "the control alone", told(clean().fail("control", at=118))
    yield (
        "explained, and lost besides",
        told(clean().fail("", at=118, until=118.5, outcome="connect.timeout").fail(at=126, until=126.1)),
    )
    yield "unfinished", told(clean().fail("slow", at=118, outcome="unfinished"))
    unseen = Story().release_started().pod("old-1", "deleted", at=118).stages(until="rolled-out")
    yield "the end was not seen", told(clean(), unseen)
    yield "ended early", told(clean(seconds=50.0))
    yield "blind of itself", told(clean().blind(at=118, until=118.4))
    yield "blind for another reason", told(clean().without(at=118, until=118.4))
    yield "blind within the resolution", told(clean().without(at=118, until=118.2))
    yield "not known on one lane", told(clean().fail("new-get", at=118, until=119, outcome="connect.dns"))
    yield "slow", told(clean().slow(at=116, until=116.05, took_ms=2000.0).slow(at=120, took_ms=1000.06))
    yield "slow by our own lateness", told(clean().blind(at=118, until=119.1), resolution_ms=5000.0)
    stale = clean()
    stale.rows["stale"][stale.rows["intended_ns"] == int(118e9)] = True
    yield "stale connections", told(stale)
    for setting in ("warn", "fail"):
        log = good_release().tell("ingress", "Ingress", "log", at=140, masked=3, retried=3)
        yield f"masked, {setting}", told(clean(), log, masked=setting)
    clear = good_release().tell("ingress", "Ingress", "log", at=140, masked=0)
    yield "nothing masked where that fails", told(clean(), clear, masked="fail")
    unread = good_release().tell("ingress", "Ingress", "log-unreadable", at=140, reason="forbidden")
    yield "log unread", told(clean(), unread)
    yield "log unread where masking fails", told(clean(), unread, masked="fail")
    yield "log not read where masking fails", told(clean(), masked="fail")
    bare = good_release().tell("ingress", "Ingress", "log-unreadable", at=140)
    yield "log unread, without a reason", told(clean(), bare)
    mute = {"lines": 4000, "matched": 3641, "readable": 0, "reason": "none of the lines says how often it tried"}
    yield (
        "log read, and mute",
        told(clean(), good_release().tell("ingress", "Ingress", "log-unreadable", at=140, **mute)),
    )
    yield "failed later", told(clean().fail(at=140, until=140.1).fail("control", at=140))
    back = Story("rollback").release_started(source="rollback").pods_replaced(sha=OLD).stages(source="rollback")
    yield "a rollback", told(Requests(start=88.0, seconds=53.0, version=NEW).says(OLD, at=115.0), back)
    half = Story().tell("release", RELEASE, "started", at=100, new_sha=NEW, old_pods=[{"uid": "uid-old-1"}])
    yield "the old sha is not known", told(clean(), half.pods_replaced().stages())
    half = Story().tell("release", RELEASE, "started", at=100, old_sha=OLD, old_pods=[{"uid": "uid-old-1"}])
    yield "the new sha is not known", told(clean(), half.pods_replaced().stages())
    nameless = Story().tell("release", "Release/?", "started", at=100, old_pods=[{"uid": "uid-old-1"}])
    yield "shas not known", told(clean(), nameless.pods_replaced().stages())
    yield from ((name, told(requests, **rules)) for name, requests, rules in _ruled(clean))


def _ruled(clean: Callable[[], Requests]) -> Iterator[tuple[str, Requests, dict[str, Any]]]:
    """Loads that the rules of a target file decide."""
    some = {"background_failures_per_million": 500.0}
    yield "a background that is not there", clean(), some
    yield "a background within its rate", clean().fail(at=95).fail(at=110).fail("new-get", at=120), some
    yield "a background of the control lane", clean().fail("control", at=95).fail("control", at=110), some
    yield "failures beside those of the control lane", clean().fail(at=110).fail("control", at=110), some
    many = clean()
    for i in range(12):
        many.fail(("keepalive-get", "new-get", "keepalive-post")[i % 3], at=101.0 + 3 * i)
    yield "more than the background explains", many, some
    crowd = clean()
    for i in range(60):
        crowd.fail(("keepalive-get", "new-get", "keepalive-post")[i % 3], at=101.0 + 0.6 * i)
    yield "a rate that the baseline contradicts", crowd, {"background_failures_per_million": 50_000.0}
    after = clean()
    for i in range(8):
        after.fail(("keepalive-get", "new-get", "keepalive-post")[i % 3], at=125.0 + 1.5 * i)
    yield "all after the last old pod was gone", after, {"background_failures_per_million": 900.0}
    yield "an outage is no background", clean().fail(at=110, until=110.1), some
    yield "a wrong body is no background", clean().fail(at=110, outcome="body.wrong"), some
    yield "wrong bodies are no background", clean().fail(at=110, until=110.1, outcome="body.wrong"), some
    yield "a baseline that is worse", clean().fail(at=95, until=95.1), some
    yield "a baseline of attempts that say nothing", clean().fail(at=95, outcome="connect.dns"), some
    yield "a budget covers what the background does not", clean().fail(at=110, until=110.1), {
        **some, "downtime_budget_ms": 300.0,
    }  # fmt: skip
    posts = clean()
    for i in range(7):
        posts.fail("keepalive-post", at=101.0 + 5 * i)
    yield "all on one lane", posts, some
    yield "many small outages", posts, {"downtime_budget_ms": 900.0, "outages_max": 4}
    yield "not too many small outages", posts, {"downtime_budget_ms": 900.0, "outages_max": 7}
    late = clean().slow(at=110, took_ms=800.0)
    yield "an answer that came too late", late, {"longest_ms_max": 500.0}
    yield "a late answer within the background", late, {**some, "longest_ms_max": 500.0}
    yield "a late answer within the budget", late, {"downtime_budget_ms": 900.0, "longest_ms_max": 500.0}
    both = clean().slow(at=110, took_ms=800.0).slow("control", at=110, until=110.2, took_ms=800.0)
    yield "a late answer beside the control lane's", both, {"longest_ms_max": 500.0}
    budget = {"downtime_budget_ms": 900.0, "outages_max": 1, "longest_ms_max": 500.0}
    yield "one outage, and perhaps another", both.fail(at=120), budget
    unsound = clean().slow(at=110, took_ms=800.0).engine(cpu_s=50.0)
    yield "a late answer, and a generator that was not on time", unsound, {"longest_ms_max": 500.0}
    slow = clean().slow(at=110, until=112, took_ms=800.0)
    yield "too slow", slow, {"p99_ms_max": 500.0}
    yield "slow, and fast enough", slow, {"p99_ms_max": 900.0}
    all_slow = clean().slow("", at=110, until=112, took_ms=800.0)
    yield "slow with the control lane", all_slow, {"p99_ms_max": 500.0}
    yield "slow before", clean().slow(at=90, until=92, took_ms=800.0), {"p99_ms_max": 500.0}
    lost = {"p99_ms_max": 500.0, "downtime_budget_ms": 9000.0}
    yield "too many lost for a p99", clean().fail(at=110, until=112), lost
    yield "too many without an outcome for a p99", clean().fail(at=110, until=112, outcome="connect.dns"), lost
