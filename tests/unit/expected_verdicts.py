"""Histories for the golden of verdicts: for each checker one of every kind that it can tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from builders import Requests
from expected_drift_verdicts import drifts
from expected_fault_verdicts import faults
from story import NEW, OLD, Story, good_release, plan, target

from rollproof.core.event import Outcome
from rollproof.core.facts import Facts
from rollproof.core.target import Ingress, Traffic

__all__ = ["histories"]

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN
RELEASE, ROLLBACK = f"Release/{NEW}", f"Rollback/{OLD}"


def histories(checker: str) -> Iterator[tuple[str, Facts]]:
    """Name and facts, in the order of the golden."""
    for name, told in _PARTS[checker]():
        yield name, told.facts()


Told = Iterator[tuple[str, Story]]


def stuck(stage: str = "old-gone", outcome: Outcome = FAIL, source: str = "release", **words: Any) -> Story:
    """One of two old pods went; then the act failed."""
    told = Story().release_started(source=source).pod("new-1", "modified", at=110, ready=True)
    told.pod("old-1", "deleted", at=118).stages(until="rolled-out", source=source)
    words = {"cause": "DeadlineExceeded", "reason": "pod old-2 is still Terminating", **words}
    subject = RELEASE if source == "release" else ROLLBACK
    return told.tell(source, subject, "failed", at=130, outcome=outcome, stage=stage, **words)


def rollouts() -> Told:
    yield "nothing was started", Story()
    yield "there was no pod before", Story().tell("release", RELEASE, "started", at=100, old_sha=OLD)
    yield "nothing was replaced", Story().release_started().stages()
    only_new = Story().release_started().pod("new-1", "modified", at=110, ready=True).stages(until="rolled-out")
    yield "a new pod, and no old one gone", only_new
    only_gone = Story().release_started().pod("old-1", "deleted", at=110).pod("new-1", "modified", at=111)
    yield "an old pod gone, and no new one ready", only_gone
    yield "an old pod stays", stuck()
    yield "an old pod stays, and we lost sight of it", stuck(outcome=UNKNOWN)
    yield "an old pod stays, and somebody else has taken over", stuck(cause="Superseded")
    yield "an old pod stays, and a rollback was overwritten", stuck(source="rollback", cause="Overwritten")
    half = Story().release_started().pod("new-1", "modified", at=110, ready=True).pod("old-1", "deleted", at=118)
    yield "the run ended half-way", half
    told = (
        Story().release_started().pod("new-1", "modified", at=110, ready=True).pod("old-1", "deleted", at=118).stages()
    )
    yield "called gone, but one was not seen to go", told
    yield "all replaced", good_release()
    at_once = Story().release_started().pod("old-1", "deleted", at=100).pod("old-2", "deleted", at=100)
    yield "at the moment of the start", at_once.pod("new-1", "modified", at=100, ready=True)
    yield (
        "replaced before the start",
        (Story().pod("old-1", "deleted", at=99).pod("new-1", "modified", at=99, ready=True).release_started()),
    )
    yield "restarted", Story().release_started(restart=True).pods_replaced().stages()


def releases() -> Told:
    yield "nothing was started", Story()
    yield "impossible", stuck("rolled-out", cause="ImagePullBackOff", look_at="the registry")
    yield "lost sight of", stuck(outcome=UNKNOWN)
    bare = Story().tell("release", "Release/?", "started", at=100)
    yield "failed without a word", bare.tell("release", "Release/?", "failed", at=101, outcome=FAIL)
    yield "not begun", Story().release_started()
    yield "followed to the sync", Story().release_started().stages(until="synced")
    again = Story().release_started().stages(until="synced").release_started(at=200)
    yield "done again, the last one counts", again
    yield "proven", good_release()
    early = Story().tell("release", RELEASE, "committed", at=99).release_started().stages()
    yield "what came before the start is not its own", early
    yield "superseded", Story().release_started().pods_replaced().stages(superseded=True)
    yield "restarted", Story().release_started(restart=True).tell("release", RELEASE, "restarted", at=101)


def rollbacks() -> Told:
    def back(proven_at: float = 125.0, until: str = "proven", **data: Any) -> Story:
        told = Story("rollback").release_started(source="rollback").pods_replaced(sha=OLD)
        return told.stages(source="rollback", proven_at=proven_at, until=until, **data)

    def slow(**at: float) -> Story:
        times = {"committed": 100.2, "pushed": 100.5, "seen": 101, "synced": 102, "rolled-out": 103, "old-gone": 104,
                 "proven": 105, **{name.replace("_", "-"): value for name, value in at.items()}}  # fmt: skip
        told = Story("rollback").release_started(source="rollback")
        for what, end in times.items():
            told.tell("rollback", ROLLBACK, what, at=end, commit="d" * 40)
        return told

    yield "none", good_release()
    yield "nothing at all", Story()
    yield "impossible", stuck(source="rollback", cause="ImagePullBackOff", look_at="the registry")
    yield "lost sight of", stuck(source="rollback", outcome=UNKNOWN)
    overwritten = back().tell("rollback", ROLLBACK, "failed", at=140, outcome=FAIL, stage="proven", cause="Overwritten")
    yield "came back and was overwritten", overwritten
    superseded = Story("rollback").release_started(source="rollback").tell("rollback", ROLLBACK, "committed", at=100)
    yield "somebody else deployed before the push", superseded.tell(
        "rollback", ROLLBACK, "failed", at=101, outcome=UNKNOWN, cause="Superseded", stage="pushed",
        reason="somebody else set the tag to ccccccc meanwhile, so nothing was pushed", look_at="repeat the drill",
    )  # fmt: skip
    yield "not followed", back(until="synced")
    unpushed = Story("rollback").release_started(source="rollback").tell("rollback", ROLLBACK, "proven", at=120)
    yield "proven, but never pushed", unpushed
    yield "in time", back()
    yield "exactly in time", back(130.5)
    yield "by a forward commit", back(forward=True)
    yield "late, to be seen", slow(seen=140, synced=140.5, rolled_out=141, old_gone=142, proven=143)
    yield "late, to roll out", slow(rolled_out=140, old_gone=141, proven=142)
    yield "late, old pods", slow(old_gone=140, proven=142)
    yield "late, another stage", slow(proven=140)
    short = Story("rollback").release_started(source="rollback").tell("rollback", ROLLBACK, "pushed", at=100)
    yield "late, and no stage between", short.tell("rollback", ROLLBACK, "proven", at=140)
    yield "of a release in the same drill", back().release_started(at=90).stages()


def versions() -> Told:
    def started(until: str = "proven") -> Story:
        return Story().release_started().pods_replaced().stages(until=until)

    def ingress(told: Story, version: str | None, *, at: float = 124.5, count: int = 1) -> Story:
        outcome = UNKNOWN if version is None else Outcome.OK if version == NEW else FAIL
        for i in range(count):
            told.tell("proof", "Ingress", "version", at=at + i / 100, outcome=outcome, version=version, expected=NEW)
        return told

    def loaded(requests: Requests, told: Story | None = None) -> Story:
        told = told or good_release()
        told.requests = requests.build()
        return told

    yield "nothing was started", Story()
    yield "somebody else has taken over", started("seen").tell(
        "release", RELEASE, "failed", at=130, outcome=UNKNOWN, stage="synced", cause="Superseded", reason="tag x"
    ).proofs()  # fmt: skip
    yield "wrong ones", ingress(ingress(started("old-gone").proofs(), "ccccccc"), OLD, at=125)
    yield "wrong more than fifty times", ingress(started(), OLD, count=52)
    yield "right more than fifty times", ingress(good_release(), NEW, at=124.6, count=52)
    yield "before the start", ingress(Story(), OLD, at=99.0).release_started().stages().proofs()
    yield "at the moment of the start", ingress(Story().release_started(), OLD, at=100.0)
    yield "nobody was asked", started("seen")
    yield "called proven, and nobody was asked", started()
    yield "nobody answered", ingress(started("old-gone"), None)
    yield "too few in a row", ingress(ingress(good_release(), None, at=125.0), NEW, at=125.1, count=2)
    yield "no pod was asked", ingress(started(), NEW, count=3)
    silent = good_release().tell("proof", "Pod/shop/new-4", "version", at=126, outcome=UNKNOWN, error="timeout")
    yield "silent pods", silent.tell("proof", "Pod/shop/new-3", "version", at=126, outcome=UNKNOWN)
    yield "proof not finished", started("old-gone").proofs()
    yield "proven", good_release()
    unreachable = ingress(started(), NEW, count=3).tell("proof", "Pods", "not-reachable", at=124, outcome=UNKNOWN)
    yield "pods cannot be asked", unreachable
    why = ingress(started(), NEW, count=3)
    why.tell("proof", "Pods", "not-reachable", at=124, outcome=UNKNOWN, reason="403 on pods/proxy")
    yield "pods cannot be asked, with a reason", why
    yield "some pods could be asked", good_release().tell("proof", "Pods", "not-reachable", at=126)

    def imaged(told: Story, name: str, image_id: str, what: str = "modified", sha: str = NEW) -> Story:
        return told.tell("watch", f"Pod/shop/{name}", what, at=126, image=f"x/web:{sha}", image_id=image_id)

    mixed = imaged(imaged(imaged(good_release(), "new-1", "sha256:1"), "new-2", "sha256:2"), "new-3", "sha256:2")
    yield "mixed images", mixed
    yield (
        "one pod of another image went",
        imaged(
            imaged(imaged(good_release(), "new-1", "sha256:1"), "new-2", "sha256:2"), "new-2", "sha256:2", "deleted"
        ),
    )
    yield (
        "one image, and others of another tag",
        imaged(imaged(imaged(good_release(), "new-1", "sha256:1"), "x", "sha256:2", sha=OLD), "new-2", ""),
    )
    yield "a pod went that was never seen with an image", imaged(good_release(), "x", "", "deleted")
    steady = Requests(seconds=50.0, rate_per_s=10.0).says(NEW, at=115.0)
    yield "right under load", loaded(steady)
    yield (
        "a third sha under load",
        loaded(
            Requests(seconds=50.0, rate_per_s=10.0).says("ddddddd", at=119.0, until=119.5).says("ccccccc", at=120.0)
        ),
    )
    yield (
        "a third sha before the start",
        loaded(Requests(seconds=50.0, rate_per_s=10.0).says("ccccccc", at=95.0, until=99.5).says(NEW, at=115.0)),
    )
    yield "the old sha under load after the proof", loaded(Requests(seconds=50.0, rate_per_s=10.0))
    yield "the old sha until the proof", loaded(Requests(seconds=50.0, rate_per_s=10.0).says(NEW, at=125.0))
    other = Requests(seconds=50.0, rate_per_s=10.0).says(NEW, at=115.0)
    other.rows["version"][other.rows["lane"] == 3] = 1  # the control lane's app has a version of its own
    yield "the control lane's version is its own", loaded(other)
    alone = replace(other.build(), control="")
    told = good_release()
    told.requests = alone
    yield "without a control lane every lane counts", told
    same = Story().tell("release", f"Release/{OLD}", "started", at=100, old_sha=OLD, new_sha=OLD, old_pods=[])
    same.tell("release", f"Release/{OLD}", "proven", at=110).proofs(OLD, expected=OLD)
    yield "the same sha again", loaded(Requests(seconds=50.0, rate_per_s=10.0), same)
    empty = good_release()
    empty.requests = Requests(seconds=0.0).build()
    yield "an empty load", empty


def readinesses() -> Told:
    def asked(told: Story, subject: str, value: str | None, at: float = 124.8) -> Story:
        outcome = Outcome.OK if value == "ok" else UNKNOWN if value is None else FAIL
        return told.tell("proof", subject, "database", at=at, outcome=outcome, value=value, status=503)

    yield "never asked", Story()
    yield "only before the start", Story().database().release_started(at=124.9)
    yield "at the moment of the start", Story().release_started(at=124.8).database()
    yield "down", asked(asked(Story().database(), "Pod/shop/b", "down"), "Pod/shop/a", "off")
    told = Story().database()
    for i in range(52):
        asked(told, "Ingress", "down", 125.0 + i)
    yield "down more than fifty times", told
    for name, status, where, at in (
        ("too", 503, "Pod/shop/b", 125.0), ("too, barely", 500, "Pod/shop/b", 125.0),
        ("not", 499, "Pod/shop/b", 125.0), ("of another", 503, "Pod/shop/a", 125.0),
        ("not said", None, "Pod/shop/b", 125.0), ("at the start", 503, "Pod/shop/b", 100.0),
        ("before", 503, "Pod/shop/b", 99.9),
    ):  # fmt: skip
        told = asked(Story().release_started(at=100.0), "Pod/shop/b", "down")
        told.tell("proof", where, "version", at=at, outcome=UNKNOWN, status=status)
        yield f"down, and its health {name}", told
    yield "no such field", Story().database(None)
    yield "only pods were asked", asked(Story(), "Pod/shop/new-1", "ok")
    yield "a silent pod", asked(Story().database(), "Pod/shop/new-3", None)
    yield "all", good_release()
    told = Story()
    for i in range(52):
        asked(told, "Ingress", "ok", 125.0 + i)
    yield "only the ingress, more than fifty times", told


def watches() -> Told:
    def gap(told: Story, kind: str, start: float, at: float, *, lost: bool = False, **data: Any) -> Story:
        return told.tell("watch", f"Watch/{kind}", "gap", at=at, start=start, lost=lost, **data)

    def read(told: Story, at: float, wall_s: float) -> Story:
        return told.tell("run", "clock", "read", at=at, monotonic_s=at, wall_s=wall_s)

    yield "nothing arrived", gap(Story().release_started(), "Pod", 100, 110, lost=True)
    yield "lost", gap(gap(good_release(), "Pod", 110, 120, lost=True), "Node", 99, 99.5, reason="410 Gone")
    yield (
        "lost twice",
        gap(
            gap(good_release(), "Pod", 110, 120, lost=True, reason="late"), "Node", 112, 114, lost=True, reason="first"
        ),
    )
    many = good_release()
    for i in range(52):
        gap(many, "Pod", 100 + i, 100.5 + i, lost=True, reason="API away")
    yield "lost more than fifty times", many
    yield "away for long", gap(gap(good_release(), "Node", 100, 101.5), "Pod", 110, 112, reason="API away")
    yield "away for long without a reason", gap(good_release(), "Node", 100, 101.5)
    yield "away for a second", gap(gap(good_release(), "Pod", 110, 111), "Pod", 120, 120)
    yield "the clock was set", read(read(read(good_release(), 90, 1000), 100, 1010.0), 130, 1042.0)
    yield "the clock was set back", read(read(good_release(), 90, 1000), 130, 1038.5)
    yield "the clock moved a second", read(read(good_release(), 90, 1000), 130, 1041.0)
    yield "the clock was read once", read(good_release(), 90, 1000)
    yield "calibrated", good_release().tell("run", "clock", "calibrated", at=90, watch_delay_ms=[3.116, 9, 4])
    yield "calibrated by nothing", good_release().tell("run", "clock", "calibrated", at=90)
    yield "nothing to say", good_release()


def undos() -> Told:
    def entry(told: Story, name: str, end: str = "", at: float = 150.0, **data: Any) -> Story:
        told.tell("undo", f"Undo/{name}", "written", at=100)
        return told.tell("undo", f"Undo/{name}", end, at=at, **data) if end else told

    yield "nothing was changed", Story()
    yield "what others write is not the journal", Story().tell("drift", "Drift/image", "written", at=1)
    yield "all undone", entry(entry(Story(), "1", "done"), "2", "not-needed")
    yield "tried again until it worked", entry(Story(), "1", "failed").tell("undo", "Undo/1", "done", at=151)
    yield "it never ran", entry(entry(entry(Story(), "2"), "1"), "3", "done")
    yield "failed", entry(entry(Story(), "2", "failed", reason="403"), "1", "failed", at=151, reason="404")
    yield (
        "failed without a reason, one open, one left",
        entry(entry(entry(Story(), "1"), "2", "failed"), "3", "left"),
    )
    yield (
        "left",
        entry(entry(Story(), "1", "left", at=151, expected="a", found=None), "2", "left", expected="c", found="d"),
    )
    yield "an end without a beginning", Story().tell("undo", "Undo/1", "failed", at=150, reason="403")


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


_PARTS: dict[str, Callable[[], Told]] = {
    "availability": availabilities,
    "drift": drifts,
    "fault": faults,
    "load_soundness": generators,
    "readiness": readinesses,
    "release": releases,
    "rollback": rollbacks,
    "rollout": rollouts,
    "undo": undos,
    "version": versions,
    "watches": watches,
}
