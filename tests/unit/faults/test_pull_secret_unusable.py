"""Pull secret unusable against a small API server that plays the kubelets of both copies' pods."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults.podcluster import Cluster, Stage

from rollproof.core.injection import Skip
from rollproof.core.target import FaultSettings
from rollproof.core.verdict import Result
from rollproof.faults.pull_secret_unusable import FAULT

COPY, CONTROL = "rollproof-pull-secret", "rollproof-pull-control"
POD, CONTROL_POD = f"{COPY}-x", f"{CONTROL}-x"
FELT = ["planned", "injecting", "injected", "effect"]
IMAGE_ID = "ghcr.io/shop/web@sha256:12"
PULLED, REFUSED = ("CrashLoopBackOff", IMAGE_ID), ("ErrImagePull", "")


class World(Cluster):
    """`said`: by Deployment, what its pod says and which image it has, one after the other, 0.1 s apart."""

    def __init__(self) -> None:
        waits = ("ContainerCreating", "")
        self.said = {COPY: [waits, REFUSED, ("ImagePullBackOff", "")], CONTROL: [waits, PULLED]}
        self.creates = threading.Event()  # a pod says ContainerCreating only then
        self.creates.set()
        super().__init__()
        app = self.objects["deployments", "web"]
        app["spec"]["template"]["spec"]["imagePullSecrets"] = [{"name": "pull"}]

    def put(self, plural: str, item: Any) -> Any:
        made, name = super().put(plural, item), item["metadata"]["name"]
        if plural == "deployments" and name in self.said:
            threading.Thread(target=self.kubelet, args=(name,)).start()
        return made

    def kubelet(self, deployment: str) -> None:
        for reason, image_id in self.said[deployment]:
            if reason == "ContainerCreating":
                self.creates.wait(10)
            status = {"phase": "Pending", "containerStatuses": [
                {"name": "copy", "restartCount": 0, "imageID": image_id, "state": {"waiting": {"reason": reason}}}
            ]}  # fmt: skip
            name = f"{deployment}-x"
            metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "labels": {"rollproof.io/copy": COPY}}
            spec = {"containers": [{"name": "copy", "image": "web"}]}
            self.put("pods", {"metadata": metadata, "spec": spec, "status": status})
            time.sleep(0.1)

    def remove(self, plural: str, name: str) -> Any:
        if plural == "deployments" and ("pods", f"{name}-x") in self.objects:
            super(Cluster, self).remove("pods", f"{name}-x")
        return super(Cluster, self).remove(plural, name)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    monkeypatch.setattr("rollproof.faults.copied_pod.CopiesPod.of_copy", staticmethod(_of_copy))
    with ExitStack() as stack:
        stage = Stage(FAULT, World(), tmp_path, stack)
        limits = FaultSettings(effect_within_s=1.0, hold_s=0.2, recovery_limit_s=1.0)
        stage.target = replace(stage.target, faults=limits)
        stage.live = replace(stage.live, target=stage.target)
        yield stage


def _of_copy(injection: Any, live: Any) -> dict[str, Any]:
    """The small API server does not choose by labels."""
    pods = live.watches.beside(injection.args["namespace"])
    return {name: one for name, one in pods.items() if name.startswith("rollproof-pull")}


def world(stage: Stage) -> World:
    assert isinstance(stage.api, World)
    return stage.api


def left(stage: Stage) -> list[str]:
    return [name for plural, name in stage.api.objects if plural in ("deployments", "jobs") and name != "web"]


def test_an_image_that_cannot_be_pulled_is_named_and_both_copies_go(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.subject == f"Deployment/shop/{COPY}"
    assert FAULT.blast(injection, stage.target).pods == 0
    assert stage.run(injection) == [*FELT, "undone", "recovered"]
    watched = str(stage.said("effect").data["watched"])
    assert watched.startswith(f"Pod/shop/{POD} says ")
    assert watched.endswith("and the control has got its image")
    assert stage.verdict() is Result.PASS
    assert left(stage) == []
    assert stage.journal.open_entries() == []


def test_both_ask_the_registry_and_one_of_them_as_declared(stage: Stage) -> None:
    injection = stage.injection()
    stage.run(injection)
    made = {
        body["metadata"]["name"]: body["spec"]["template"] for method, path, body in stage.api.sent
        if method == "POST" and path.endswith("/deployments")
    }  # fmt: skip
    assert list(made) == [CONTROL, COPY]
    for template in made.values():
        (container,) = template["spec"]["containers"]
        assert (container["imagePullPolicy"], container["command"]) == ("Always", ["false"])
        assert template["metadata"]["labels"]["rollproof.io/copy"] == COPY
    assert made[CONTROL]["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    assert made[COPY]["spec"]["imagePullSecrets"] == [{"name": injection.args["secret"]}]
    assert made[COPY]["metadata"]["labels"] != made[CONTROL]["metadata"]["labels"], "they would take each other's pods"


@pytest.mark.parametrize(
    ("copy", "control", "reason"),
    [
        ([PULLED], [PULLED], "everybody may pull it, or the nodes have a login"),
        ([REFUSED], [REFUSED], "a node which lacks it cannot start the app now"),
    ],
)
def test_what_does_not_show_it_is_void(stage: Stage, copy: Any, control: Any, reason: str) -> None:
    world(stage).said = {COPY: copy, CONTROL: control}
    assert "void" in stage.run()
    assert reason in str(stage.said("void").data["reason"])
    assert stage.verdict() is Result.INCONCLUSIVE
    assert left(stage) == []


def test_a_pod_that_gets_on_after_all_is_void(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    world(stage).said = {COPY: [REFUSED, ("ContainerCreating", "")], CONTROL: [PULLED]}
    world(stage).creates.clear()
    seen = FAULT.evidence

    def then_it_gets_on(injection: Any, live: Any) -> Any:
        if (effect := seen(injection, live)) is not None:
            world(stage).creates.set()
        return effect

    monkeypatch.setattr(FAULT, "evidence", then_it_gets_on)
    stage.live = replace(stage.live, target=replace(stage.target, faults=replace(stage.target.faults, hold_s=5.0)))
    assert "void" in stage.run()
    assert "did not go on saying" in str(stage.said("void").data["reason"])
    assert left(stage) == []


@pytest.mark.parametrize("control", [[("ContainerCreating", "")], []])
def test_without_the_control_s_word_there_is_no_effect(stage: Stage, control: Any) -> None:
    world(stage).said = {COPY: [REFUSED], CONTROL: control}
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert left(stage) == []


def test_of_two_that_cannot_both_be_made_none_stays(stage: Stage) -> None:
    injection = stage.injection()
    world(stage).said = {}
    stage.api.put("deployments", _deployment(COPY, ours=False))
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert left(stage) == [COPY], "somebody else's"


def test_undone_twice_and_never_what_is_somebody_elses(stage: Stage) -> None:
    args = stage.injection().args
    world(stage).said = {}
    for name in (COPY, CONTROL):
        assert FAULT.undo(stage.live.kube, args).how == "not-needed"
        stage.api.put("deployments", _deployment(name, ours=True))
        assert FAULT.undo(stage.live.kube, args).how == "done"
        stage.api.put("deployments", _deployment(name, ours=False))
        assert FAULT.undo(stage.live.kube, args).how == "left"
        del stage.api.objects["deployments", name]
    stage.api.put("deployments", _deployment(COPY, ours=True))
    stage.api.put("deployments", _deployment(CONTROL, ours=False))
    assert FAULT.undo(stage.live.kube, args).how == "left", "what stays is said, whatever else was deleted"
    assert left(stage) == [CONTROL]


def test_what_cannot_be_done_is_skipped_with_its_reason(stage: Stage) -> None:
    def reason() -> str:
        skip = stage.available()
        assert isinstance(skip, Skip)
        return skip.reason

    world(stage).said = {}
    stage.api.put("deployments", _deployment(CONTROL, ours=True))
    assert "rollproof undo --all" in reason()
    del stage.api.objects["deployments", CONTROL]
    del stage.api.objects["deployments", "web"]["spec"]["template"]["spec"]["imagePullSecrets"]
    assert "names no imagePullSecrets" in reason()
    assert [method for method, _, _ in stage.api.asked if method != "GET"] == []


def _deployment(name: str, *, ours: bool) -> dict[str, Any]:
    labels = {"app.kubernetes.io/managed-by": "rollproof"} if ours else {}
    pod = {"containers": [{"name": "copy", "image": "web", "imagePullPolicy": "Always"}]}
    spec = {"selector": {"matchLabels": {"rollproof.io/copy": COPY}}, "template": {"spec": pod}}
    return {"metadata": {"name": name, "namespace": "shop", "labels": labels}, "spec": spec}
