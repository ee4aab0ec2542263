"""Histories for the golden of verdicts: what each place of a pipeline said of the running version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from story import NEW, OLD, Story, plan, target

from rollproof.core.event import Outcome
from rollproof.core.pipeline import (
    DeliverySeen,
    EnvCommitSeen,
    ImageSeen,
    NodesSeen,
    PartSeen,
    Place,
    PlatformSeen,
    PodImage,
    ReportSeen,
    ResultSeen,
    RolloutSeen,
    RunSeen,
    subject_of,
)
from rollproof.core.pipelinesettings import ActionsSettings, PipelineSettings, RegistrySettings
from rollproof.core.pipelinewords import SOURCE, PipelineWord
from rollproof.core.typedviews import stored

__all__ = ["COMMIT", "reported", "roads", "told"]

COMMIT_S = 1_800_000_000.0  # when the env commit was made
IMAGE = "ghcr.io/shop/web"
COMMIT, BEFORE = "c" * 40, "b" * 40
Told = Iterator[tuple[str, Story]]

ENV_COMMIT = EnvCommitSeen(
    revision=COMMIT, tag=NEW, tag_before=OLD, image=IMAGE, committed_s=COMMIT_S, author="ci", author_email="ci@shop",
    committer="GitHub", committer_email="noreply@github.com", parents=1,
)  # fmt: skip
DELIVERY = DeliverySeen(
    sync_status="Synced", revision=COMMIT, carries=True, phase="Succeeded", operation_carries=True, deployed=True,
    started_s=COMMIT_S + 20, deployed_s=COMMIT_S + 23, looked_s=COMMIT_S + 600,
)  # fmt: skip
INDEX, ARM, CONFIG, OTHER = (f"sha256:{digit * 64}" for digit in "1234")
PODS = tuple(
    PodImage(name=name, image=f"{IMAGE}:{NEW}", image_id=f"{IMAGE}@{INDEX}", node="n1", ready=True)
    for name in ("web-a", "web-b")
)
ROLLOUT = RolloutSeen(
    image=f"{IMAGE}:{NEW}", generation=4, observed=4, wanted=2, replicas=2, updated=2, ready=2,
    made_s=COMMIT_S + 22, completed_s=COMMIT_S + 41, pods=PODS,
)  # fmt: skip
TAGGED = ImageSeen(
    image=IMAGE, tag=NEW, digest=INDEX, is_index=True, login="nobody",
    platforms=(PlatformSeen(platform="linux/arm64/v8", digest=ARM, config=CONFIG),),
)  # fmt: skip
AMD = PlatformSeen(platform="linux/amd64", digest=f"sha256:{'5' * 64}", config=f"sha256:{'6' * 64}")
PARTS = tuple(
    PartSeen(name=name, status="completed", conclusion="success", ended_s=COMMIT_S + at)
    for name, at in (
        ("lint", -90.0),
        ("test (8.1)", -60.0),
        ("test (8.2)", -55.0),
        ("image", -15.0),
        ("image/Scan", -20.0),
    )
)
RUN = RunSeen(
    sha=NEW + "0" * 33, committed_s=COMMIT_S - 150, number=77, path=".github/workflows/deploy.yml", status="completed",
    conclusion="success", started_s=COMMIT_S - 140, parts=PARTS,
)  # fmt: skip
REPORT = ReportSeen(
    tool="Trivy 0.74.0", artifact=f"{IMAGE}:{NEW}", kind="container_image", config=CONFIG, digests=(INDEX,),
    platform="linux/arm64", made_s=COMMIT_S - 22, total=2,
    results=(ResultSeen(name="CVE-1", severity="MEDIUM", place="curl"), ResultSeen(name="CVE-2", severity="LOW")),
)  # fmt: skip
SOUND: dict[Place, Any] = {
    Place.ENV_REPO: ENV_COMMIT, Place.APPLICATION: DELIVERY, Place.DEPLOYMENT: ROLLOUT, Place.REGISTRY: TAGGED,
    Place.ACTIONS: RUN, Place.NODES: NodesSeen(platforms={"n1": "linux/arm64"}), Place.SCAN_REPORT: REPORT,
}  # fmt: skip


def told(
    changes: dict[Place, dict[str, Any]] | None = None, *, unread: tuple[Place, ...] = (),
    absent: tuple[Place, ...] = (), answers: tuple[str, ...] = (NEW,) * 3, pods: tuple[str, ...] = ("web-a", "web-b"),
    **settings: Any,
) -> Story:  # fmt: skip
    """A sound road with other fields of the views of some places; `answers` are those through the ingress."""
    actions = ActionsSettings(repository="shop/web", test_jobs=("lint", "test"), scan_jobs=("image/Scan",))
    settings = {"actions": actions, "registry": RegistrySettings(url="https://ghcr.io"), **settings}
    chosen = plan(target=target(pipeline=PipelineSettings(**settings)))
    story = Story("pipeline", plan=chosen)
    for at, (place, view) in enumerate(SOUND.items()):
        subject = subject_of(place)
        if place in unread:
            story.tell(
                SOURCE, subject, PipelineWord.UNREAD, at=100 + at, outcome=Outcome.UNKNOWN, reason="403 Forbidden"
            )
        elif place in absent or (place is Place.SCAN_REPORT and not settings.get("scan_file")):
            story.tell(SOURCE, subject, PipelineWord.ABSENT, at=100 + at, reason="the target file names none")
        else:
            data = stored(replace(view, **(changes or {}).get(place, {})))
            story.tell(SOURCE, subject, PipelineWord.READ, at=100 + at, **data)
    for pod in pods:
        story.tell("proof", f"Pod/shop/{pod}", "version", at=120, version=NEW, expected=NEW)
    for version in answers:
        outcome = Outcome.OK if version == NEW else Outcome.FAIL if version else Outcome.UNKNOWN
        story.tell("proof", "Ingress", "version", at=121, outcome=outcome, version=version or None, expected=NEW)
    return story


def roads() -> Told:
    yield "nobody has looked", Story("pipeline")
    yield "sound", told()
    yield (
        "sound, in time, by the right author",
        told(author="ci@shop", limits_s={"seen": 60, "synced": 60, "rolled-out": 60}),
    )
    yield from _runs()
    yield from _images()
    yield from _reports()
    yield from _commits()
    yield from _deliveries()
    yield from _rollouts()
    yield from _proofs()


def changed(part: str, /, **changes: Any) -> dict[Place, dict[str, Any]]:
    """The run with another state of one of its parts."""
    return {Place.ACTIONS: {"parts": tuple(replace(one, **changes) if one.name == part else one for one in PARTS)}}


def _runs() -> Told:
    actions = Place.ACTIONS
    yield "the app's repository is not named", told(actions=ActionsSettings())
    yield "no jobs are named", told(actions=ActionsSettings(repository="shop/web"))
    yield "CI does not answer", told(unread=(actions,))
    yield "the tag is the name of a branch", told({actions: {"sha": "d" * 40}})
    yield "nothing has run", told({actions: {"number": 0, "parts": ()}})
    yield "it still runs", told({actions: {"status": "in_progress", "conclusion": ""}})
    yield "the run failed", told({actions: {"conclusion": "failure"}})
    yield "a test failed", told(changed("test (8.2)", conclusion="failure"))
    yield "a test still runs", told(changed("test (8.2)", status="in_progress", conclusion="", ended_s=None))
    yield "the scan was skipped, and the run is green", told(changed("image/Scan", conclusion="skipped", ended_s=None))
    yield "the scan is not in the run", told({actions: {"parts": PARTS[:3]}})
    yield "the tag was committed before the scan", told(changed("image/Scan", ended_s=COMMIT_S + 30))
    yield (
        "the tag was committed before the scan, or the clocks are apart",
        told(changed("image/Scan", ended_s=COMMIT_S + 3)),
    )
    yield "a test ended, and nobody says how", told(changed("test (8.2)", conclusion=""))
    yield "a run of a workflow without a path", told({actions: {"path": ""}})
    yield "the scan's end is not known", told(changed("image/Scan", ended_s=None))
    again = (*PARTS, replace(PARTS[4], ended_s=COMMIT_S + 900))
    yield "scanned again since", told({actions: {"parts": again, "attempt": 2}})
    yield "CI began late", told(limits_s={"started": 3})


def reported(changes: dict[Place, dict[str, Any]] | None = None, /, **more: Any) -> Story:
    """A road whose scan has a report and no named job."""
    named = ActionsSettings(repository="shop/web", test_jobs=("lint", "test"))
    return told(changes, **{"scan_file": "/trivy.json", "scan_severity_max": "MEDIUM", "actions": named, **more})


def _reports() -> Told:
    place = Place.SCAN_REPORT
    yield "a report of the image that runs", reported()
    yield "and a job", reported(actions=ActionsSettings(repository="shop/web", scan_jobs=("image/Scan",)))
    yield "a report without a limit", reported(scan_severity_max="")
    yield "a report of another image", reported({place: {"config": OTHER, "digests": (OTHER,)}})
    two = {"platforms": (AMD, *TAGGED.platforms)}
    yield "a report of another platform", reported({place: {"config": AMD.config}, Place.REGISTRY: two})
    yield "a report of a folder", reported({place: {"kind": "filesystem", "config": "", "digests": ()}})
    each = tuple(replace(PODS[0], name=f"web-{at}", image_id=one) for at, one in enumerate((INDEX, ARM, CONFIG)))
    for name, config in (("", CONFIG), (", and the report has another configuration", OTHER)):
        changes = {place: {"config": config}, Place.DEPLOYMENT: {"pods": each}}
        yield f"each pod names the image by another digest{name}", reported(changes)
    worse = tuple(ResultSeen(name=f"CVE-{at}", severity="HIGH", place="curl") for at in range(4))
    yield "three results above the limit", reported({place: {"results": worse[:3]}})
    yield "four results above the limit", reported({place: {"results": worse}})
    yield "a report of nothing", reported({place: {"scanned": False}})
    yield "a report above the limit", reported(scan_severity_max="LOW")
    yield "a report of after the env commit", reported({place: {"made_s": COMMIT_S + 300}})
    yield "a report that does not say when", reported({place: {"made_s": None}})
    yield (
        "a report of another image than the registry knows",
        reported({place: {"digests": (OTHER,)}}, unread=(Place.REGISTRY,)),
    )
    yield "a report that cannot be read", reported(unread=(place,))
    yield "neither job nor report", told(actions=ActionsSettings(repository="shop/web"))


def _images() -> Told:
    yield "no registry is named", told(registry=RegistrySettings())
    yield "the tag is latest", told({Place.ENV_REPO: {"tag": "latest"}})
    yield (
        "the tag is latest, and no registry is named",
        told({Place.ENV_REPO: {"tag": "latest"}}, registry=RegistrySettings()),
    )
    yield "an image of another platform", told({Place.NODES: {"platforms": {"n1": "linux/amd64"}}})
    yield (
        "an image of none of two platforms",
        told({Place.NODES: {"platforms": {"n1": "linux/amd64", "n2": "linux/s390x"}}}),
    )
    yield (
        "the tag was moved after the deploy",
        told({Place.REGISTRY: {"digest": OTHER, "platforms": ()}, **_no_nodes()}),
    )
    yield (
        "a pod of the tag before it was moved",
        told({Place.DEPLOYMENT: {"pods": (PODS[0], replace(PODS[1], image_id=OTHER))}}),
    )
    for name, digest in (("platform's manifest", ARM), ("configuration", CONFIG)):
        pods = tuple(replace(pod, image_id=digest) for pod in PODS)
        yield f"nodes name the {name}", told({Place.DEPLOYMENT: {"pods": pods}})
    yield (
        "a pod does not say which image it has",
        told({Place.DEPLOYMENT: {"pods": (PODS[0], replace(PODS[1], image_id=""))}}),
    )
    yield "a node does not say its platform", told(_no_nodes())
    yield "the registry does not answer", told(unread=(Place.REGISTRY,))


def _no_nodes() -> dict[Place, dict[str, Any]]:
    return {Place.NODES: {"platforms": {}}}


def _commits() -> Told:
    repo = Place.ENV_REPO
    yield (
        "the env commit changes more",
        told({repo: {"others": ("base/deployment.yaml", "o/k.yaml, more than the tag")}}),
    )
    yield "the env commit changes much more", told({repo: {"others": ("a", "b", "c", "d")}})
    yield "the env commit is the branch's first", told({repo: {"parents": 0, "tag_before": ""}})
    yield "the env commit is somebody else's", told(author="pipeline@shop")
    yield "the env commit is the committer's", told(author="GitHub")
    yield "the env repo cannot be read", told(unread=(repo,))


def _deliveries() -> Told:
    argo = Place.APPLICATION
    away: dict[str, Any] = {
        "revision": BEFORE, "carries": False, "behind": True, "deployed": False, "operation_carries": False,
        "started_s": None, "deployed_s": None,
    }  # fmt: skip
    yield "not seen, and nothing is promised", told({argo: away})
    yield "not seen within its limit", told({argo: away}, limits_s={"seen": 180})
    yield "not seen, within the slack", told({argo: away | {"looked_s": COMMIT_S + 184}}, limits_s={"seen": 180})
    yield "not seen, and at no revision", told({argo: away | {"revision": ""}})
    yield "synced, and at no revision since", told({argo: {"carries": False, "revision": ""}})
    yield (
        "when it was seen is forgotten, and the sync was late",
        told({argo: {"started_s": None}}, limits_s={"synced": 10}),
    )
    yield "on a revision of another history", told({argo: away | {"behind": False}}, limits_s={"seen": 180})
    yield "seen too late", told(limits_s={"seen": 10})
    yield "seen too late by less than the clocks", told(limits_s={"seen": 18})
    unsynced = {"deployed": False, "started_s": None, "deployed_s": None, "sync_status": "OutOfSync"}
    yield "its sync failed", told({argo: {**unsynced, "phase": "Failed", "message": "one or more objects failed"}})
    yield "another sync failed", told({argo: {**unsynced, "phase": "Failed", "operation_carries": False}})
    yield "no operation is known", told({argo: {**unsynced, "phase": ""}})
    yield "its sync runs", told({argo: {**unsynced, "phase": "Running"}})
    yield "the first sync is forgotten", told({argo: {"started_s": None, "deployed_s": None}}, limits_s={"synced": 60})
    early = {"started_s": COMMIT_S - 60, "deployed_s": COMMIT_S - 58}
    yield "clocks apart", told({argo: early}, limits_s={"seen": 60})
    yield "the Application cannot be read", told(unread=(argo,))
    yield "without Argo CD", told(absent=(argo,), limits_s={"rolled-out": 60})


def _rollouts() -> Told:
    there = Place.DEPLOYMENT
    other = f"{IMAGE}:{OLD}"
    yield "another tag runs", told({there: {"image": other}})
    unsynced = {"deployed": False, "operation_carries": False}
    yield "another image runs", told({there: {"image": f"ghcr.io/shop/other:{NEW}"}})
    yield "no image runs", told({there: {"image": ""}})
    yield "another tag runs, before the sync", told({there: {"image": other}, Place.APPLICATION: unsynced})
    yield "the rollout is stuck", told({there: {"deadline_exceeded": True}})
    yield "the rollout is under way", told({there: {"updated": 1, "pods": PODS[:1]}})
    yield "the controller has not seen it", told({there: {"generation": 5}})
    old = replace(PODS[0], image=other)
    yield "an old pod is there", told({there: {"pods": (*PODS, old), "replicas": 3}})
    yield "rolled out late", told({there: {"completed_s": COMMIT_S + 400}}, limits_s={"rolled-out": 120})
    yield (
        "restarted since",
        told({there: {"made_s": COMMIT_S + 400, "completed_s": COMMIT_S + 420}}, limits_s={"rolled-out": 9}),
    )
    unknown = {"started_s": None, "deployed_s": None}
    yield "no time of the sync", told({Place.APPLICATION: unknown}, limits_s={"rolled-out": 120})
    yield "the Deployment cannot be read", told(unread=(there,))


def _proofs() -> Told:
    yield "another version answers", told(answers=(NEW, OLD))
    yield "nobody answers", told(answers=("", ""), pods=())
    yield "too few in a row", told(answers=(NEW, NEW, "", NEW))
    yield "a pod does not say", told(pods=("web-a",))
