"""The look at a pipeline's places: what is read of each, and what may not be read is not absent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from envserver import IMAGE, OVERLAY, Server
from fakeapi import FakeApi
from owntime import own_time
from recorder import ListRecorder
from siteserver import serving
from story import target

from rollproof.clients.argo import Argo
from rollproof.clients.kube import Kube
from rollproof.clients.repo import EnvRepo
from rollproof.core.event import Event
from rollproof.core.factshapes import check_fact
from rollproof.core.outside import Outside, timestamp_s
from rollproof.core.pipeline import DeliverySeen, ImageSeen, NodesSeen, Place, RolloutSeen, RunSeen, view_of
from rollproof.core.pipelinesettings import ActionsSettings, PipelineSettings, RegistrySettings
from rollproof.errors import OutsideDataError
from rollproof.probes import pipeline
from rollproof.probes.pipeline import PipelineLook

pytestmark = pytest.mark.processes

Object = dict[str, Any]
LABELS = {"app": "web"}
NEW = f"{IMAGE}:bbbbbbb"
_SET, _DEPLOYMENT = "replicasets", "deployments"


def owned(kind: str, name: str, uid: str) -> Object:
    return {"ownerReferences": [{"kind": kind, "name": name, "uid": uid, "controller": True}]}


def named(name: str, *, metadata: Object | None = None, **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "shop", "labels": LABELS, **(metadata or {})}, **more}


def revision(number: int) -> Object:
    return {"annotations": {"deployment.kubernetes.io/revision": str(number)}}


def deployment(**status: Any) -> Object:
    containers = [{"name": "web", "image": NEW}]
    done = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    return named(
        "web", metadata={"uid": "d-1", "generation": 3, **revision(2)},
        spec={
            "replicas": 1, "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": {"containers": containers}},
        },
        status={
            "observedGeneration": 3, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
            "conditions": [{**done, "lastUpdateTime": "2026-11-28T10:00:40Z"}], **status,
        },
    )  # fmt: skip


def pod(name: str, of: str, **status: Any) -> Object:
    ready = [{"type": "Ready", "status": "True"}]
    told = {"name": "web", "imageID": f"{IMAGE}@sha256:{'1' * 64}", "restartCount": 0}
    return named(
        name, metadata=owned("ReplicaSet", "web-2", of),
        spec={"nodeName": "n1", "containers": [{"name": "web", "image": NEW}]},
        status={"phase": "Running", "conditions": ready, "containerStatuses": [told], **status},
    )  # fmt: skip


def application(*history: tuple[int, str], revision: str, **status: Any) -> Object:
    entries = [
        {"id": number, "revision": of, "deployStartedAt": f"2026-11-28T10:0{at}:00Z",
         "deployedAt": f"2026-11-28T10:0{at}:03Z"}
        for at, (number, of) in enumerate(history)
    ]  # fmt: skip
    sync = {"status": "Synced", "revision": revision}
    return {"metadata": {"name": "shop", "namespace": "argocd"}, "spec": {"source": {}},
            "status": {"sync": sync, "history": entries, **status}}  # fmt: skip


NOT_NAMED = {Place.ACTIONS, Place.REGISTRY, Place.NODES, Place.SCAN_REPORT}


class World:
    """An env repo with three commits, of which the second sets the tag, and a cluster that runs it."""

    def __init__(self, api: FakeApi, kube: Kube, repo: EnvRepo, server: Server) -> None:
        self.api, self.kube, self.repo, self.server = api, kube, repo, server
        self.registry, self.actions, self.scan_file = RegistrySettings(), ActionsSettings(), ""
        self.before = server.commit("a", "README.md")
        self.commit = server.commit(OVERLAY.replace("newTag: aaaaaaa  # set", "newTag: bbbbbbb  # set"))
        self.after = server.commit("b", "README.md")
        api.put(_DEPLOYMENT, deployment())
        for name, number, made in (("web-1", 1, "09:00:00"), ("web-2", 2, "10:00:30")):
            metadata = {"uid": f"rs-{number}", "creationTimestamp": f"2026-11-28T{made}Z", **revision(number)}
            api.put(_SET, named(name, metadata={**metadata, **owned("Deployment", "web", "d-1")}, spec={}))
        api.put("pods", pod("web-2-a", "rs-2"))
        api.put("pods", pod("stranger", "rs-9"))
        api.put("pods", pod("evicted", "rs-2", phase="Failed"))
        api.put("applications", application((0, self.before), (1, self.after), revision=self.after))

    def look(self, *, then: Callable[[], object] = bool) -> dict[Place, Event]:
        recorder = ListRecorder()
        wanted = target(
            env_repo=self.server.target(),
            pipeline=PipelineSettings(actions=self.actions, registry=self.registry, scan_file=self.scan_file),
        )
        look = PipelineLook(wanted, self.kube, Argo(self.kube, "argocd", "shop"), self.repo, recorder, {})
        look.all()
        then()
        look.tag_again()
        for event in recorder.events:
            check_fact(event, "the timeline", error=OutsideDataError)
        assert not self.api.sent  # nothing is changed
        return {Place(event.subject.partition("/")[2]): event for event in recorder.events}

    def seen(self, place: Place) -> Any:
        event = self.look()[place]
        assert event.what == "read", event.data
        return view_of(place, Outside.of(event.data, "a fact"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    api, server = FakeApi(), Server(tmp_path)
    with api.serve(tmp_path) as kubeconfig, EnvRepo(server.target(), {}) as repo:
        yield World(api, Kube("fake", str(kubeconfig), timeout_s=5.0), repo, server)


def test_the_road_of_a_sound_release(world: World) -> None:
    told = world.look()
    assert {place for place, event in told.items() if event.what == "read"} == {*Place} - NOT_NAMED
    assert {told[place].what for place in NOT_NAMED} == {"absent"}
    assert (told[Place.ENV_REPO].data["revision"], told[Place.ENV_REPO].data["image"]) == (world.commit, IMAGE)
    seen: DeliverySeen = view_of(Place.APPLICATION, Outside.of(told[Place.APPLICATION].data, "a fact"))
    assert (seen.carries, seen.behind, seen.deployed) == (True, False, True)
    assert (seen.started_s, seen.deployed_s) == (
        timestamp_s("2026-11-28T10:01:00Z"),
        timestamp_s("2026-11-28T10:01:03Z"),
    )
    rollout: RolloutSeen = view_of(Place.DEPLOYMENT, Outside.of(told[Place.DEPLOYMENT].data, "a fact"))
    assert [(one.name, one.image, one.ready) for one in rollout.pods] == [("web-2-a", NEW, True)]
    assert rollout.made_s == timestamp_s("2026-11-28T10:00:30Z")
    assert rollout.completed_s == timestamp_s("2026-11-28T10:00:40Z")


def test_argo_cd_that_is_behind_has_not_seen_the_commit(world: World) -> None:
    operation = {"phase": "Failed", "operation": {"sync": {"revision": world.before}}}
    world.api.put("applications", application((4, world.before), revision=world.before, operationState=operation))
    seen: DeliverySeen = world.seen(Place.APPLICATION)
    assert (seen.carries, seen.behind, seen.deployed, seen.operation_carries) == (False, True, False, False)


def test_when_argo_cd_was_looked_at_is_before_what_git_is_asked_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had not seen then is no later for it that git takes a minute to answer."""
    now, is_ancestor = [1_000_000.0], world.repo.is_ancestor

    def slow(ancestor: str, descendant: str) -> bool:
        now[0] += 60.0
        return is_ancestor(ancestor, descendant)

    own_time(monkeypatch, pipeline, time=lambda: now[0])
    monkeypatch.setattr(world.repo, "is_ancestor", slow)
    seen: DeliverySeen = world.seen(Place.APPLICATION)
    assert now[0] >= 1_000_060.0
    assert seen.looked_s == 1_000_000.0


def test_a_failed_sync_of_the_commit_is_told_from_one_before(world: World) -> None:
    operation = {"phase": "Failed", "message": "no", "operation": {"sync": {"revision": world.after}}}
    world.api.put("applications", application((4, world.before), revision=world.after, operationState=operation))
    seen: DeliverySeen = world.seen(Place.APPLICATION)
    assert (seen.carries, seen.deployed, seen.operation_carries, seen.phase) == (True, False, True, "Failed")


@pytest.mark.parametrize(("number", "known"), [(0, True), (7, False)])
def test_a_history_that_has_lost_its_beginning_does_not_say_when_the_first_sync_was(
    world: World, number: int, known: bool
) -> None:
    world.api.put("applications", application((number, world.commit), (8, world.after), revision=world.after))
    seen: DeliverySeen = world.seen(Place.APPLICATION)
    assert (seen.deployed, seen.deployed_s is not None) == (True, known)


def test_a_rollout_that_is_not_complete_has_no_time(world: World) -> None:
    waiting = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    world.api.put(_DEPLOYMENT, deployment(conditions=waiting))
    seen: RolloutSeen = world.seen(Place.DEPLOYMENT)
    assert (seen.deadline_exceeded, seen.completed_s) == (True, None)


@pytest.mark.parametrize(
    ("plural", "place"), [("applications", Place.APPLICATION), (_SET, Place.DEPLOYMENT), ("pods", Place.DEPLOYMENT)]
)
def test_what_may_not_be_read_is_unknown(world: World, plural: str, place: Place) -> None:
    world.api.refusing[plural] = 403
    told = world.look()
    assert {one for one, event in told.items() if event.what == "unread"} == {place}
    assert "403" in told[place].data["reason"]


def test_a_tag_that_is_set_anew_meanwhile_leaves_nothing_known_of_the_env_commit(world: World) -> None:
    told = world.look(then=lambda: world.server.commit("c", "README.md"))
    assert told[Place.ENV_REPO].what == "read"
    told = world.look(then=lambda: world.server.commit(OVERLAY.replace("newTag: aaaaaaa  # set", "newTag: ccccccc  #")))
    assert (told[Place.ENV_REPO].what, told[Place.APPLICATION].what) == ("unread", "read")
    assert "from bbbbbbb to ccccccc" in told[Place.ENV_REPO].data["reason"]
    told = world.look(then=lambda: world.server.commit("images: []\n"))
    assert told[Place.ENV_REPO].what == "unread"


def test_without_the_env_commit_argo_cd_cannot_be_asked_about_it(world: World) -> None:
    world.server.commit("images: []\n")
    told = world.look()
    assert {one for one, event in told.items() if event.what == "unread"} == {Place.ENV_REPO, Place.APPLICATION}


def test_the_registry_is_asked_for_the_running_tag_and_the_nodes_for_their_platform(world: World) -> None:
    for name, architecture in (("n1", "arm64"), ("n2", "amd64")):
        info = {"operatingSystem": "linux", "architecture": architecture}
        world.api.put("nodes", {"metadata": {"name": name}, "status": {"nodeInfo": info}})
    config = json.dumps({"os": "linux", "architecture": "arm64"})
    digest = f"sha256:{hashlib.sha256(config.encode()).hexdigest()}"
    with serving() as site:
        world.registry = RegistrySettings(url=site.url)
        site.answers["GET", "/v2/shop/web/manifests/bbbbbbb"] = (200, {}, json.dumps({"config": {"digest": digest}}))
        site.answers["GET", f"/v2/shop/web/blobs/{digest}"] = (200, {}, config)
        told = world.look()
        seen: ImageSeen = view_of(Place.REGISTRY, Outside.of(told[Place.REGISTRY].data, "a fact"))
        assert ([one.platform for one in seen.platforms], seen.login) == (["linux/arm64"], "nobody")
        assert view_of(Place.NODES, Outside.of(told[Place.NODES].data, "a fact")) == NodesSeen(
            platforms={"n1": "linux/arm64"}
        )
        site.answers.clear()
        assert "404" in world.look()[Place.REGISTRY].data["reason"]


def test_a_report_of_the_scan_is_read_and_with_it_the_nodes_platforms(world: World, tmp_path: Path) -> None:
    info = {"operatingSystem": "linux", "architecture": "arm64"}
    world.api.put("nodes", {"metadata": {"name": "n1"}, "status": {"nodeInfo": info}})
    path = tmp_path / "trivy.json"
    world.scan_file = str(path)
    path.write_text(json.dumps({"SchemaVersion": 2, "Metadata": {"ImageID": f"sha256:{'2' * 64}"}}))
    assert world.seen(Place.SCAN_REPORT).config == f"sha256:{'2' * 64}"
    assert world.seen(Place.NODES).platforms == {"n1": "linux/arm64"}
    path.unlink()
    assert "cannot be read" in world.look()[Place.SCAN_REPORT].data["reason"]


def test_ci_is_asked_for_the_tag_s_commit_and_the_newest_run_of_the_workflow(world: World) -> None:
    full = "bbbbbbb" + "0" * 33
    runs: list[Object] = [
        {"id": 7, "path": ".github/workflows/deploy.yml@main", "status": "completed", "conclusion": "failure"},
        {"id": 8, "path": ".github/workflows/deploy.yml", "status": "completed", "conclusion": "success"},
        {"id": 9, "path": ".github/workflows/docs.yml", "status": "completed", "conclusion": "success"},
    ]
    job = {"name": "test", "status": "completed", "conclusion": "success", "completed_at": "2026-11-28T09:59:00Z"}
    with serving() as site:
        world.actions = ActionsSettings(repository="shop/web", api_url=site.url, workflow="deploy.yml")
        base = "/repos/shop/web"
        paths = (
            f"{base}/commits/bbbbbbb",
            f"{base}/actions/runs?head_sha={full}&per_page=100",
            f"{base}/actions/runs/8/jobs?filter=all&per_page=100",
        )
        answers: tuple[Object, ...] = (
            {"sha": full, "commit": {"committer": {"date": "2026-11-28T09:55:00Z"}}},
            {"total_count": 3, "workflow_runs": runs},
            {"total_count": 1, "jobs": [job]},
        )
        for path, found in zip(paths, answers, strict=True):
            site.answers["GET", path] = (200, {}, json.dumps(found))
        told = world.look()
        seen: RunSeen = view_of(Place.ACTIONS, Outside.of(told[Place.ACTIONS].data, "a fact"))
        assert (seen.sha, seen.number, seen.conclusion, [one.name for one in seen.parts]) == (
            full,
            8,
            "success",
            ["test"],
        )
        runs[0] |= {"created_at": "2026-11-28T09:56:00Z"}  # the env commit was made now, and the newer run will be
        runs[1] |= {"created_at": "2100-01-01T00:00:00Z", "run_attempt": 2}
        site.answers["GET", paths[1]] = (200, {}, json.dumps({"total_count": 3, "workflow_runs": runs}))
        site.answers["GET", paths[2].replace("8", "7")] = site.answers["GET", paths[2]]
        assert world.seen(Place.ACTIONS).number == 7
        site.answers.clear()
        assert "404" in world.look()[Place.ACTIONS].data["reason"]
