"""What delivers a commit is taken away after a push, against a small API server: git, all of Argo CD, a part of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from recorder import ListRecorder
from surroundings import AppCluster, controlled, pod_of

from rollproof.clients.argo import Argo, ControllerSettings
from rollproof.clients.kube import ApiError, Kube
from rollproof.core.event import Event, Outcome
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import FaultSettings, Fences, Target, UndoSettings, Workload
from rollproof.faults.base import LiveContext
from rollproof.faults.deadman import NO_IMAGE
from rollproof.faults.delivery import DeliveryAway, poll_s
from rollproof.faults.registry import fault_named
from rollproof.faults.runner import FaultRunner
from rollproof.probes.watches import Watches
from rollproof.store.journal import FolderStore, Journal, replay

PARTS = {
    "argocd-controller-away": ("statefulsets", "argocd-application-controller"),
    "argocd-repo-server-away": ("deployments", "argocd-repo-server"),
    "argocd-redis-away": ("deployments", "argocd-redis"),
}
NAMES = ("git-away", "argocd-all-away", *PARTS)
FELT = ["planned", "injecting", "injected", "effect", "undone"]
BEFORE, PUSHED = "1" * 40, "2" * 40
Part = tuple[str, str]  # plural, name


class World(AppCluster):
    """The app, and the parts of the fault with a pod each, which go and come with their replicas."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.namespace = "git" if name == "git-away" else "argocd"
        self.beside: tuple[Part, ...] = ()  # of Argo CD, and none of the fault's
        self.parts: tuple[Part, ...] = (("deployments", "git"),)
        if name in PARTS:
            self.parts, self.beside = (PARTS[name],), tuple(PARTS[one] for one in PARTS if one != name)
        elif name != "git-away":
            self.parts = (("statefulsets", "controller"), ("deployments", "repo-server"))
        self.named = name in PARTS
        for part in (*self.parts, *self.beside):
            self.scale(part, 1)
        for part in self.parts:  # not of those beside: this API server filters no pods by their labels
            self.put("pods", self.pod(part))
        self.at(BEFORE)
        self.delivers, self.pods_follow = True, True
        self.on_patch = self.scaled

    def labels(self, part: Part) -> dict[str, str]:
        if self.namespace == "git":
            return {"app": "git"}
        named = {"app.kubernetes.io/name": part[1]} if self.named else {}
        return {"app.kubernetes.io/part-of": "argocd", **named}

    def pod(self, part: Part) -> dict[str, Any]:
        owner = controlled("ReplicaSet", part[1])
        return pod_of(f"{part[1]}-x", namespace=self.namespace, labels=self.labels(part), owner=owner)

    def scale(self, part: Part, replicas: int) -> None:
        containers = [{"name": "part", "image": "part:1"}]
        labels = self.labels(part)
        template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        metadata = {"name": part[1], "namespace": self.namespace, "uid": f"uid-{part[1]}"}
        self.put(part[0], {"metadata": metadata, "spec": spec, "status": {}})

    def replicas(self) -> list[int]:
        return [self.objects[part]["spec"]["replicas"] for part in self.parts]

    def came_back(self, part: Part) -> None:
        self.put("pods", self.pod(part))

    def at(self, revision: str) -> None:
        sync = {"status": "Synced", "revision": revision}
        status = {"sync": sync, "operationState": {"phase": "Succeeded"}}
        self.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": status})

    def scaled(self, plural: str, item: dict[str, Any]) -> None:
        part = (plural, item["metadata"]["name"])
        if part in self.parts and self.pods_follow:
            threading.Thread(target=self.follow, args=(part, item["spec"]["replicas"])).start()

    def follow(self, part: Part, replicas: int) -> None:
        if not replicas:
            self.remove("pods", f"{part[1]}-x")
            return
        self.put("pods", self.pod(part))
        if self.delivers and all(self.replicas()):
            self.at(PUSHED)


class FollowedRecorder(ListRecorder):
    """`then` is told of each event: what happens in the middle of a fault."""

    def __init__(self) -> None:
        super().__init__()
        self.then: Callable[[Event], None] = lambda _: None

    def record(self, *args: Any, **more: Any) -> Event:
        event = super().record(*args, **more)
        self.then(event)
        return event


class Stage:
    """The runner on that cluster."""

    def __init__(self, name: str, folder: Path, stack: ExitStack) -> None:
        fault = fault_named(name)
        assert isinstance(fault, DeliveryAway)
        self.fault, self.api, self.recorder = fault, World(name), FollowedRecorder()
        self.kube = Kube("fake", str(stack.enter_context(self.api.serve(folder))))
        argo = Argo(self.kube, "argocd", "shop")
        git = Workload(kind="Deployment", namespace="git", name="git")
        limits = FaultSettings(effect_within_s=0.5, hold_s=0.1, git=git, recovery_limits_s={name: 1.5})
        self.target: Target = story.target(
            faults=limits, fences=Fences(namespaces=("shop", "git", "argocd")), undo=UndoSettings(late_s=0.0)
        )
        watches = stack.enter_context(Watches(self.target, self.kube, argo, self.recorder))
        self.live = LiveContext(
            drill=name, target=self.target, kube=self.kube, argo=argo, watches=watches, in_release=True
        )  # fmt: skip
        self.journal = Journal(FolderStore(folder / "undo.jsonl"), self.recorder)

    def available(self, **faults: Any) -> Injection | Skip:
        target = replace(self.target, faults=replace(self.target.faults, **faults))
        return self.fault.available(replace(self.live, target=target))

    def injection(self) -> Injection:
        found = self.available()
        assert isinstance(found, Injection)
        return replace(found, effect_within_s=0.5)  # not what a pod may take to end

    def run(
        self, injection: Injection | None = None, *, while_held: Callable[[], None] = lambda: None, **faults: Any
    ) -> list[str]:  # fmt: skip
        plan = story.plan(injections=(injection or self.injection(),))
        target = replace(self.target, faults=replace(self.target.faults, **faults))
        live = replace(self.live, target=target)
        FaultRunner(live, self.recorder, self.journal, while_held=while_held).run(plan)
        return [event.what for event in self.recorder.events if event.source == "fault"]

    def said(self, what: str) -> Event:
        return next(one for one in self.recorder.events if (one.source, one.what) == ("fault", what))


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Stage]]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        yield lambda name: Stage(name, tmp_path, stack)


@pytest.mark.parametrize("name", NAMES)
def test_a_commit_that_arrives_when_all_is_back(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    injection = stage.injection()
    assert injection.args["revision"] == BEFORE
    assert [one["original"] for one in injection.args["workloads"]] == [1] * len(stage.api.parts)
    assert stage.run(injection) == [*FELT, "recovered"]
    assert stage.api.replicas() == [1] * len(stage.api.parts)
    assert stage.said("undone").data == {"by": "harness"}
    patched = [path for method, path, _ in stage.api.asked if method == "PATCH"]
    assert patched
    assert all(path.endswith("/scale") for path in patched), "Argo CD is not asked to look"


@pytest.mark.parametrize("name", NAMES)
def test_a_commit_that_does_not_arrive_is_no_recovery(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    stage.api.delivers = False
    assert stage.run() == [*FELT, "not-recovered"]
    said = stage.said("not-recovered")
    assert said.outcome is Outcome.FAIL
    assert "still at 111111111111" in said.data["last_seen"]
    assert stage.api.replicas() == [1] * len(stage.api.parts)


@pytest.mark.parametrize("name", NAMES)
def test_pods_that_go_on_serving_are_no_effect(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    stage.api.pods_follow = False
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.api.replicas() == [1] * len(stage.api.parts)


@pytest.mark.parametrize("name", NAMES)
def test_a_commit_that_was_seen_before_is_void(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    injection = stage.injection()
    stage.api.at(PUSHED)
    stage.live.watches.poll(lambda: stage.live.watches.application().sync_revision == PUSHED or None, timeout_s=60)
    assert stage.run(injection) == ["planned", "void"]
    assert "has seen the commit before" in stage.said("void").data["reason"]
    assert [method for method, _, _ in stage.api.asked if method == "PATCH"] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_did_not_serve_before_is_not_taken_away(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    ill = stage.api.pod(stage.api.parts[0])
    ill["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    stage.api.put("pods", ill)
    assert stage.run() == ["planned", "void"]
    wanted = len(stage.api.parts)
    assert f"{wanted - 1} of {wanted} pods of " in stage.said("void").data["reason"]
    assert [method for method, _, _ in stage.api.asked if method == "PATCH"] == []


@pytest.mark.parametrize("name", PARTS)
def test_a_part_whose_pod_is_still_ending_is_not_away(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    found = stage.available()
    assert isinstance(found, Injection)
    assert found.effect_within_s == 30.5, "as long as Kubernetes gives a pod to end"
    stage.api.pods_follow = False
    ending = stage.api.pod(PARTS[name])
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    stage.api.on_patch = lambda *_: stage.api.put("pods", ending)
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]


def test_a_commit_that_is_seen_while_all_goes_is_void_and_all_comes_back(stages: Callable[[str], Stage]) -> None:
    stage = stages("git-away")
    stage.api.on_patch = lambda plural, _: stage.api.at(PUSHED) if plural == "deployments" else None
    assert stage.run()[:4] == ["planned", "injecting", "injected", "void"]
    assert stage.api.replicas() == [1]


@pytest.mark.parametrize("name", PARTS)
def test_the_other_parts_of_argo_cd_stay(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    injection, changed = stage.injection(), list[Part]()
    assert [one.labels for one in stage.fault.watched(injection)] == [f"app.kubernetes.io/name={PARTS[name][1]}"]
    stage.api.on_patch = lambda plural, item: changed.append((plural, item["metadata"]["name"]))
    stage.run(injection)
    assert set(changed) == {PARTS[name]}
    assert [stage.api.objects[part]["spec"]["replicas"] for part in stage.api.beside] == [1, 1]


@pytest.mark.parametrize("name", PARTS)
def test_without_a_commit_it_is_over_when_its_pods_are_back(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    stage.live, stage.api.delivers = replace(stage.live, in_release=False), False
    stage.recorder.then = lambda event: stage.api.at(PUSHED) if event.what == "effect" else None  # somebody else's
    assert stage.run() == [*FELT, "recovered"]
    assert stage.said("effect").data["healer_gone"] is (name == "argocd-controller-away")


def test_what_is_done_while_it_is_held_is_done_once_and_before_its_undo(stages: Callable[[str], Stage]) -> None:
    stage = stages("argocd-redis-away")
    seen: list[list[int]] = []
    stage.run(while_held=lambda: seen.append(stage.api.replicas()))
    assert seen == [[0]]


def test_what_was_not_felt_is_not_held(stages: Callable[[str], Stage]) -> None:
    stage = stages("argocd-redis-away")
    stage.api.pods_follow = False
    seen: list[list[int]] = []
    stage.run(while_held=lambda: seen.append(stage.api.replicas()))
    assert seen == []


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_comes_back_while_it_is_held_is_void(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    stage.recorder.then = lambda event: stage.api.came_back(PARTS[name]) if event.what == "effect" else None
    assert stage.run(hold_s=30.0) == ["planned", "injecting", "injected", "effect", "void", "undone"]
    assert "1 pod of app.kubernetes.io/name=" in stage.said("void").data["reason"]
    assert stage.api.replicas() == [1]


@pytest.mark.parametrize("name", PARTS)
def test_a_commit_that_is_seen_while_a_part_is_held_is_void(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    stage.recorder.then = lambda event: stage.api.at(PUSHED) if event.what == "effect" else None
    assert stage.run(hold_s=30.0) == ["planned", "injecting", "injected", "effect", "void", "undone"]
    assert "although it was away: it is at 222222222222" in stage.said("void").data["reason"]


def test_what_somebody_else_has_scaled_is_void_and_the_parts_before_it_come_back(
    stages: Callable[[str], Stage],
) -> None:
    stage = stages("argocd-all-away")
    injection = stage.injection()
    stage.api.scale(("deployments", "repo-server"), 3)
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert stage.api.replicas() == [1, 3]


def test_a_part_that_may_not_be_scaled_leaves_none_at_0(stages: Callable[[str], Stage]) -> None:
    stage = stages("argocd-all-away")
    injection = stage.injection()
    stage.api.refusing["deployments/repo-server/scale"] = 403
    assert stage.run(injection)[-1] == "error"
    del stage.api.refusing["deployments/repo-server/scale"]
    assert stage.fault.undo(stage.kube, injection.args).how in {"done", "not-needed"}
    assert stage.api.replicas() == [1, 1]


def test_a_part_that_cannot_be_scaled_up_keeps_no_other_away(stages: Callable[[str], Stage]) -> None:
    stage = stages("argocd-all-away")
    args = stage.injection().args
    for one in stage.api.parts:
        stage.api.scale(one, 0)
    stage.api.refusing["statefulsets/controller/scale"] = 403
    with pytest.raises(ApiError):
        stage.fault.undo(stage.kube, args)
    assert stage.api.replicas() == [0, 1]


def test_half_a_deed_that_could_not_be_taken_back_stays_open(stages: Callable[[str], Stage]) -> None:
    stage = stages("argocd-all-away")
    injection = stage.injection()
    stage.api.on_patch = lambda *_: stage.api.refusing.update({"/scale": 401})  # the token ends after the first
    assert stage.run(injection)[-1] == "error"
    assert "was done and could not be taken back" in stage.said("error").data["reason"]
    assert [entry.kind for entry in stage.journal.open_entries()] == ["argocd-all-away"]
    assert stage.api.replicas() == [0, 1]
    stage.api.on_patch = lambda *_: None
    stage.api.refusing.clear()
    replay(stage.journal, {"argocd-all-away": lambda args: stage.fault.undo(stage.kube, args)})
    assert stage.api.replicas() == [1, 1]
    assert stage.journal.open_entries() == []


@pytest.mark.parametrize("name", NAMES)
def test_an_undo_does_no_harm_twice_and_leaves_what_others_did(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    args, part = stage.injection().args, stage.api.parts[0]
    for one in stage.api.parts:
        stage.api.scale(one, 0)
    assert [stage.fault.undo(stage.kube, args).how for _ in range(2)] == ["done", "not-needed"]
    stage.api.scale(part, 5)
    assert stage.fault.undo(stage.kube, args).how == "left"
    assert stage.api.replicas()[0] == 5
    stage.api.remove(*part)
    assert stage.fault.undo(stage.kube, args).how == "left"


def test_where_there_is_nothing_to_scale_it_is_skipped(stages: Callable[[str], Stage]) -> None:
    def reason(found: Injection | Skip) -> str:
        assert isinstance(found, Skip)
        return found.reason

    stage = stages("git-away")
    assert "[faults.git]" in reason(stage.available(git=None))
    other = Workload(kind="StatefulSet", namespace="git", name="forge")
    assert "there is no StatefulSet/git/forge" in reason(stage.available(git=other))
    stage.api.scale(("deployments", "git"), 0)
    assert "scaled to 0 already" in reason(stage.available())
    argocd = fault_named("argocd-all-away")
    assert "part-of=argocd" in reason(argocd.available(stage.live))
    redis = fault_named("argocd-redis-away")
    assert "has pods with the label app.kubernetes.io/name=argocd-redis" in reason(redis.available(stage.live))


def test_a_part_that_is_not_one_workload_is_skipped(stages: Callable[[str], Stage]) -> None:
    stage = stages("argocd-redis-away")
    own = stage.api.objects[PARTS["argocd-redis-away"]]
    stage.api.put("deployments", {**own, "metadata": {**own["metadata"], "name": "other-redis"}})
    found = stage.available()
    assert isinstance(found, Skip)
    assert "several workloads in namespace argocd (Deployment argocd-redis, Deployment other-redis)" in found.reason
    stage.api.remove("deployments", "other-redis")
    stage.api.remove(*PARTS["argocd-redis-away"])
    stage.api.scale(("deployments", "argocd-redis-ha-haproxy"), 3)
    found = stage.available()
    assert isinstance(found, Skip)
    assert "it runs as a set of several: Deployment argocd-redis-ha-haproxy" in found.reason


@pytest.mark.parametrize("name", PARTS)
def test_a_part_has_a_dead_man_beside_it_and_none_in_another_cluster(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    assert stage.injection().dead_man == NO_IMAGE
    found = stage.available(dead_man_image="tools:1")
    assert isinstance(found, Injection)
    plural, workload = PARTS[name]
    assert found.dead_man == f"a Job in argocd sets /spec/replicas of {plural} {workload} to 1 after 90.6 s"
    there = replace(stage.target, argocd=replace(stage.target.argocd, context="elsewhere"))
    there = replace(there, faults=replace(there.faults, dead_man_image="tools:1"))
    moved = stage.fault.available(replace(stage.live, target=there))
    assert isinstance(moved, Injection)
    assert "in another cluster" in moved.dead_man
    here = replace(there, argocd=stage.target.argocd)
    assert any(one.resource == "jobs" for one in stage.fault.permissions(here))
    assert not any(one.resource == "jobs" for one in stage.fault.permissions(there))


def test_the_limit_allows_for_the_poll_of_argo_cd(stages: Callable[[str], Stage]) -> None:
    assert stages("git-away").injection().limit_s == 1.5, "what the target file says holds"
    found = stages("argocd-all-away").available(recovery_limits_s={})
    assert isinstance(found, Injection)
    assert found.limit_s == 60.0 + 120.0 + 60.0


@pytest.mark.parametrize(
    ("said", "jitter", "seconds"),
    [
        ("", "", 180.0), ("0", "", 180.0), ("120s", "", 180.0), ("2m30s", "", 210.0), ("1h", "", 3660.0),
        ("1d", "", 86_460.0), ("500ms", "", 180.0), ("3 minutes", "", 180.0), ("-5m", "", 180.0),
        ("120s", "10m", 720.0), ("120s", "0s", 180.0), ("", "1h", 3720.0), ("120s", "soon", 180.0),
    ],
)  # fmt: skip
def test_the_poll_is_read_as_argo_cd_does(said: str, jitter: str, seconds: float) -> None:
    assert poll_s(ControllerSettings(reconciliation=said, jitter=jitter)) == seconds


def test_the_limit_allows_for_the_jitter_that_argo_cd_has(stages: Callable[[str], Stage]) -> None:
    stage = stages("argocd-all-away")
    data = {"timeout.reconciliation": "120s", "timeout.reconciliation.jitter": "10m"}
    stage.api.put("configmaps", {"metadata": {"name": "argocd-cm"}, "data": data})
    found = stage.available(recovery_limits_s={})
    assert isinstance(found, Injection)
    assert found.limit_s == 60.0 + 120.0 + 600.0
