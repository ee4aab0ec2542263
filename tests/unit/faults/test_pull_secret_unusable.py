"""Pull secret unusable against a small API server that plays the kubelets of both copies' pods."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from faults.copycluster import CopyCluster, copy_stage, pod_of, then_it_goes_on
from faults.podcluster import Stage

from rollproof.core.injection import Skip
from rollproof.core.verdict import Result
from rollproof.faults.pull_secret_unusable import FAULT

COPY, CONTROL = "rollproof-pull-secret", "rollproof-pull-control"
POD = pod_of(COPY)
FELT = ["planned", "injecting", "injected", "effect"]
IMAGE_ID = "ghcr.io/shop/web@sha256:12"
PULLED, REFUSED = ("CrashLoopBackOff", IMAGE_ID), ("ErrImagePull", "")


WAITS = ("ContainerCreating", "")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    said = {COPY: [WAITS, REFUSED, ("ImagePullBackOff", "")], CONTROL: [WAITS, PULLED]}
    api = CopyCluster(COPY, said, refused=REFUSED[0])
    api.objects["deployments", "web"]["spec"]["template"]["spec"]["imagePullSecrets"] = [{"name": "pull"}]
    with ExitStack() as stack:
        yield copy_stage(FAULT, api, tmp_path, monkeypatch, stack, effect_s=1.0)


def world(stage: Stage) -> CopyCluster:
    assert isinstance(stage.api, CopyCluster)
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
    world(stage).said = {COPY: [REFUSED, WAITS], CONTROL: [PULLED]}
    then_it_goes_on(stage, world(stage), monkeypatch)
    assert "void" in stage.run()
    assert "did not go on saying" in str(stage.said("void").data["reason"])
    assert left(stage) == []


@pytest.mark.parametrize("control", [[WAITS], []])
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
