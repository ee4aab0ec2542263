"""Secret missing against a small API server that plays the kubelet of the copy's pod."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from faults.copycluster import CopyCluster, Said, copy_stage, pod_of, then_it_goes_on
from faults.podcluster import Stage

from rollproof.core.injection import Skip
from rollproof.core.verdict import Result
from rollproof.faults.secret_missing import FAULT

COPY = ("deployments", "rollproof-secret-missing")
POD = pod_of(COPY[1])
OURS = {"app.kubernetes.io/managed-by": "rollproof"}
FELT = ["planned", "injecting", "injected", "effect"]


WAITS, REFUSED = ("ContainerCreating", ""), ("CreateContainerConfigError", "")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    api = CopyCluster(COPY[1], {COPY[1]: [WAITS, REFUSED]}, refused=REFUSED[0])
    with ExitStack() as stack:
        yield copy_stage(FAULT, api, tmp_path, monkeypatch, stack, effect_s=0.5)


def world(stage: Stage) -> CopyCluster:
    assert isinstance(stage.api, CopyCluster)
    return stage.api


def says(stage: Stage, *said: Said) -> None:
    world(stage).said = {COPY[1]: said}


def test_a_missing_secret_is_named_and_the_copy_goes(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.subject == "Deployment/shop/rollproof-secret-missing"
    assert "a Job in shop whose deadline deletes it" in injection.dead_man
    assert FAULT.blast(injection, stage.target).pods == 0
    assert stage.run(injection) == [*FELT, "undone", "recovered"]
    assert stage.said("effect").data["watched"] == f"Pod/shop/{POD} says CreateContainerConfigError"
    assert stage.verdict() is Result.PASS
    assert COPY not in stage.api.objects
    assert not [name for plural, name in stage.api.objects if plural == "jobs"], "the dead-man is ended as well"
    assert stage.journal.open_entries() == []


def test_the_copy_is_never_the_app(stage: Stage) -> None:
    app = stage.api.objects["deployments", "web"]
    spec = app["spec"]["template"]["spec"]
    full = {
        **spec, "initContainers": [{"name": "migrate", "image": "m"}], "imagePullSecrets": [{"name": "pull"}],
        "volumes": [{"name": "data"}], "containers": [
            {**spec["containers"][0], "livenessProbe": {}, "volumeMounts": [{"name": "data"}], "env": [{"name": "A"}]},
        ],
    }  # fmt: skip
    stage.api.put("deployments", {**app, "spec": {**app["spec"], "template": {"spec": full}}})
    injection = stage.injection()
    stage.run(injection)
    made = next(body for method, path, body in stage.api.sent if method == "POST" and path.endswith("/deployments"))
    template = made["spec"]["template"]
    assert template["metadata"]["labels"] == {"rollproof.io/copy": COPY[1]}
    assert made["metadata"]["ownerReferences"][0]["kind"] == "Job"
    assert set(template["spec"]) == {
        "imagePullSecrets", "containers", "enableServiceLinks", "terminationGracePeriodSeconds"
    }  # fmt: skip
    (container,) = template["spec"]["containers"]
    assert container == {
        "name": "copy", "image": "ghcr.io/shop/web:aaaaaaa", "command": ["false"], "env": [{"name": "A"}],
        "envFrom": [{"secretRef": {"name": injection.args["secret"]}}],
    }  # fmt: skip


def test_a_copy_that_nobody_starts_is_no_effect(stage: Stage) -> None:
    says(stage, WAITS)
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.verdict() is Result.INCONCLUSIVE
    assert COPY not in stage.api.objects


def test_an_image_that_cannot_be_had_is_void(stage: Stage) -> None:
    says(stage, ("ErrImagePull", ""))
    assert "void" in stage.run()
    assert "says ErrImagePull" in str(stage.said("void").data["reason"])
    assert COPY not in stage.api.objects


def test_a_pod_that_starts_after_all_is_void(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    says(stage, REFUSED, WAITS)
    then_it_goes_on(stage, world(stage), monkeypatch)
    assert "void" in stage.run()
    assert stage.verdict() is Result.INCONCLUSIVE


def test_a_pod_that_stays_is_no_recovery(stage: Stage) -> None:
    world(stage).goes = False
    assert stage.run() == [*FELT, "undone", "not-recovered"]
    assert stage.said("not-recovered").data["last_seen"] == f"pod {POD} of the copy is still there"
    assert stage.verdict() is Result.FAIL


def test_what_is_not_as_planned_is_void(stage: Stage) -> None:
    injection = stage.injection()
    world(stage).kubelet(COPY[1])
    assert stage.run(injection) == ["planned", "void"]
    assert "of an earlier copy is still there" in str(stage.said("void").data["reason"])


def test_a_deployment_of_that_name_is_void_and_stays(stage: Stage) -> None:
    injection = stage.injection()
    says(stage)
    stage.api.put("deployments", _copy("other"))
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert COPY in stage.api.objects


def test_undone_twice_and_never_what_is_somebody_elses(stage: Stage) -> None:
    args = stage.injection().args
    says(stage)
    assert FAULT.undo(stage.live.kube, args).how == "not-needed"
    stage.api.put("deployments", _copy(args["secret"], labels=OURS))
    assert FAULT.undo(stage.live.kube, args).how == "done"
    assert FAULT.undo(stage.live.kube, args).how == "not-needed"
    for theirs in (_copy(args["secret"]), _copy("another", labels=OURS)):
        stage.api.put("deployments", theirs)
        assert FAULT.undo(stage.live.kube, args).how == "left"
        assert COPY in stage.api.objects


def test_what_cannot_be_done_is_skipped_with_its_reason(stage: Stage) -> None:
    def reason() -> str:
        skip = stage.available()
        assert isinstance(skip, Skip)
        return skip.reason

    says(stage)
    stage.api.put("deployments", _copy("x"))
    assert "rollproof undo --all" in reason()
    del stage.api.objects[COPY]
    app = stage.api.objects["deployments", "web"]
    two = {"spec": {"containers": [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]}}
    stage.api.put("deployments", {**app, "spec": {**app["spec"], "template": two}})
    assert "cluster.container" in reason()
    assert [method for method, _, _ in stage.api.asked if method != "GET"] == []


def _copy(secret: str, *, labels: dict[str, str] | None = None) -> dict[str, Any]:
    container = {"name": "copy", "image": "web", "envFrom": [{"secretRef": {"name": secret}}]}
    spec = {
        "selector": {"matchLabels": {"rollproof.io/copy": COPY[1]}}, "template": {"spec": {"containers": [container]}}
    }  # fmt: skip
    return {"metadata": {"name": COPY[1], "namespace": "shop", "labels": labels or {}}, "spec": spec}
