"""Histories for the golden of verdicts: for each checker one of every kind that it can tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from builders import Requests
from expected_bad_release_verdicts import bad_releases
from expected_drift_verdicts import drifts
from expected_fault_verdicts import faults
from expected_job_verdicts import job_runs
from expected_kept_verdicts import kept
from expected_meanwhile_verdicts import meanwhiles
from expected_outage_verdicts import dependencies, losses, outages
from expected_pipeline_verdicts import roads
from expected_policy_verdicts import policies
from expected_posture_verdicts import postures
from expected_scaling_verdicts import scalings
from expected_secret_verdicts import searches
from expected_traffic_verdicts import availabilities, generators
from story import NEW, OLD, Story, good_release

from rollproof.core.event import Outcome
from rollproof.core.facts import Facts

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
    unread = back().tell("rollback", ROLLBACK, "failed", at=140, outcome=UNKNOWN, stage="proven", cause="TagUnread")
    yield "came back, and git did not say whose the tag is", unread
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
    for name, missed_s, proven_s in (
        ("in time, and asked for 2 s", 128.0, 130.5), ("late, or in time while it was asked", 129.9, 132.0),
        ("late, and asked in vain after the limit", 131.0, 132.0),
    ):  # fmt: skip
        asked = back(until="old-gone").tell("rollback", ROLLBACK, "proven", at=proven_s, not_before_s=missed_s)
        yield name, asked
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

    deaf = ingress(started(), NEW, count=3).tell("proof", "Pods", "not-reachable", at=124, outcome=UNKNOWN)
    yield "pods cannot be asked, and run two images", imaged(imaged(deaf, "new-1", "id-1"), "new-2", "id-2")
    yield "answered, and the fault was not over", Story().fault(until="effect").proofs(OLD, expected=OLD)

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

    def deployed(told: Story, sha: str) -> Story:
        return told.tell("watch", "Deployment/shop/web", "modified", at=126, image=f"ghcr.io/shop/web:{sha}")

    late = Requests(seconds=50.0, rate_per_s=10.0).says(NEW, at=115.0)
    third = loaded(late.says("ccccccc", at=127.0), deployed(good_release(), "ccccccc"))
    yield "a third sha under load, that somebody else has deployed", third
    asked = ingress(deployed(good_release(), "ccccccc"), "ccccccc", at=128)
    yield "a third sha was proven, that somebody else has deployed", asked
    fourth = Requests(seconds=50.0, rate_per_s=10.0).says(NEW, at=115.0).says("ddddddd", at=119.0, until=119.5)
    yield "a fourth sha, and somebody else has deployed a third", loaded(fourth, deployed(good_release(), "ccccccc"))
    back = Requests(seconds=50.0, rate_per_s=10.0).says(NEW, at=115.0).says(OLD, at=127.0)
    yield "the old sha, that somebody has deployed again", loaded(back, deployed(good_release(), OLD))
    yield "the old sha, that was taken back when nobody asked any more", deployed(good_release(), OLD)
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
    yield "never asked after a fault", Story().fault()
    yield "never asked, and the fault is not over", Story().fault(until="effect")
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
    twice = read(read(good_release(), 90, 1000), 130, 1040.0)
    yield (
        "read twice, and stamped later",
        twice.tell("run", "drill", "started", at=90).tell("run", "drill", "finished", at=99),
    )
    stamped = good_release().tell("run", "drill", "started", at=90).tell("run", "drill", "finished", at=92)
    yield "read once, and stamped", read(stamped, 91, 1_767_225_690.0)
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
    yield "left, and nobody says why", entry(Story(), "1", "left", at=151)
    yield "an end without a beginning", Story().tell("undo", "Undo/1", "failed", at=150, reason="403")


_PARTS: dict[str, Callable[[], Told]] = {
    "autoscaling": scalings,
    "availability": availabilities,
    "bad_release": bad_releases,
    "dependency": dependencies,
    "drift": drifts,
    "fault": faults,
    "jobs": job_runs,
    "load_soundness": generators,
    "loss": losses,
    "meanwhile": meanwhiles,
    "network_policy": policies,
    "outage": outages,
    "pipeline": roads,
    "posture": postures,
    "readiness": readinesses,
    "release": releases,
    "replicas_kept": kept,
    "rollback": rollbacks,
    "rollout": rollouts,
    "secrets": searches,
    "undo": undos,
    "version": versions,
    "watches": watches,
}
