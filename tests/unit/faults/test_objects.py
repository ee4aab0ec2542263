from __future__ import annotations

from typing import Any

import pytest
import story
from fakecluster import NAMESPACE, FakeCluster, configmap, deployment, merged

from rollproof.faults.objects import declared, field_name, field_patch, is_whole, manager_of, read_field, saved
from rollproof.faults.registry import undo_handlers

ENV = ("spec", "template", "spec", "containers", "name=web", "env", "name=LEVEL", "value")


def test_a_field_is_read_and_patched_through_lists_of_named_items() -> None:
    item = deployment()
    assert read_field(item, ENV) == "info"
    assert read_field(merged(item, field_patch(ENV, "debug")), ENV) == "debug"
    assert field_name(ENV) == "spec.template.spec.containers.web.env.LEVEL.value"


@pytest.mark.parametrize("path", [("spec", "absent"), (*ENV[:5], "env", "name=OTHER", "value"), ("kind", "deeper")])
def test_a_path_that_ends_early_is_none(path: tuple[str, ...]) -> None:
    assert read_field(deployment(), path) is None


def test_declared_is_what_argo_cd_applied_last() -> None:
    item = deployment()
    assert declared(item, ("spec", "replicas"))
    assert declared(item, ("spec", "paused")) is False


def test_declared_is_read_from_managed_fields_with_server_side_apply() -> None:
    item = deployment()
    item["metadata"]["annotations"] = {}
    assert declared(item, ("spec", "replicas")) is None
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}}}
    item["metadata"]["managedFields"] = [{"manager": "argocd-controller", "fieldsV1": fields}]
    assert declared(item, ("spec", "template", "spec", "containers", "name=web", "image"))
    assert declared(item, ("spec", "replicas")) is False


def test_the_newest_owner_of_a_field_wrote_it() -> None:
    def entry(manager: str, time: str, key: str) -> dict[str, Any]:
        return {"manager": manager, "time": time, "fieldsV1": {"f:data": {key: {}}}}

    item = configmap()
    item["metadata"]["managedFields"] = [
        entry("argocd-controller", "2026-01-01T00:00:02Z", "f:ZONE"),
        entry("kubectl-edit", "2026-01-01T00:00:01Z", "f:ZONE"),
        entry("somebody", "2026-01-01T00:00:09Z", "f:OTHER"),
    ]
    assert manager_of(item, ("data", "ZONE")) == "argocd-controller"


def test_a_saved_object_has_nothing_that_only_the_server_may_set() -> None:
    item = FakeCluster().get("Deployment", NAMESPACE, "web")
    kept = saved(item)
    assert "status" not in kept
    assert not {"uid", "resourceVersion", "managedFields", "generation"} & kept["metadata"].keys()


def test_what_git_does_not_know_need_not_come_back() -> None:
    item = deployment()
    before = merged(item, {"spec": {"template": {"metadata": {"annotations": {"restartedAt": "now"}}}}})
    assert is_whole(item, before)
    assert not is_whole(merged(item, {"spec": {"replicas": 3}}), before)
    assert not is_whole(merged(item, field_patch(ENV, "debug")), before)
    assert not is_whole(merged(item, field_patch(("spec", "template", "spec", "imagePullSecrets"), None)), before)
    before["metadata"]["annotations"] = {}
    assert not is_whole(item, before), "nobody tells what git knows: all of it counts"


def _field_args(**changes: Any) -> dict[str, Any]:
    args = {
        "kind": "ConfigMap", "namespace": NAMESPACE, "name": "config", "path": ["data", "ZONE"], "original": "UTC",
        "ours": "UTC-drift",
    }  # fmt: skip
    return {**args, **changes}


def _undo(cluster: FakeCluster, kind: str, args: dict[str, Any]) -> str:
    return undo_handlers(cluster, story.target())[kind](args).how  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("live", "how", "after"),
    [("UTC-drift", "done", "UTC"), ("UTC", "not-needed", "UTC"), ("CET", "left", "CET")],
)
def test_a_field_is_put_back_only_if_it_is_still_ours(live: str, how: str, after: str) -> None:
    cluster = FakeCluster(heals=False)
    cluster.patch("ConfigMap", NAMESPACE, "config", {"data": {"ZONE": live}})
    assert _undo(cluster, "field-restore", _field_args()) == how
    assert cluster.get("ConfigMap", NAMESPACE, "config")["data"]["ZONE"] == after
    assert _undo(cluster, "field-restore", _field_args()) in ("not-needed", "left")  # any number of times


def test_a_write_in_between_is_read_again_and_a_field_that_was_not_there_is_removed() -> None:
    cluster = FakeCluster(heals=False)
    path = ["metadata", "annotations", "rollproof/x"]
    cluster.patch("ConfigMap", NAMESPACE, "config", field_patch(path, "ours"))
    cluster.conflicts = 2
    assert _undo(cluster, "field-restore", _field_args(path=path, original=None, ours="ours")) == "done"
    assert "rollproof/x" not in cluster.get("ConfigMap", NAMESPACE, "config")["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("kind", "path", "ours", "theirs"),
    [
        ("Deployment", ("spec", "template", "spec", "imagePullSecrets"), None, [{"name": "another"}]),
        ("Ingress", ("spec", "rules"), [{"host": "ours.example"}], [{"host": "theirs.example"}]),
        ("NetworkPolicy", ("spec", "ingress"), [{}], [{"ports": []}]),
        ("HTTPRoute", ("spec", "rules"), [{"backendRefs": [{"name": "a"}]}], [{"backendRefs": [{"name": "b"}]}]),
    ],
)
def test_a_list_is_put_back_as_a_whole_and_what_somebody_else_made_of_it_is_left(
    kind: str, path: tuple[str, ...], ours: Any, theirs: Any
) -> None:
    cluster = FakeCluster(heals=False)
    item = cluster.get(kind, NAMESPACE, "web")
    args = _field_args(kind=kind, name="web", path=list(path), original=read_field(item, path), ours=ours)
    cluster.patch(kind, NAMESPACE, "web", field_patch(path, ours))
    assert [_undo(cluster, "field-restore", args) for _ in range(2)] == ["done", "not-needed"]
    assert cluster.get(kind, NAMESPACE, "web")["spec"] == item["spec"]
    for value in (None, theirs):
        cluster.patch(kind, NAMESPACE, "web", field_patch(path, value))
    assert _undo(cluster, "field-restore", args) == "left"
    assert read_field(cluster.get(kind, NAMESPACE, "web"), path) == theirs


def test_endless_conflicts_are_a_failure_and_not_a_loop() -> None:
    cluster = FakeCluster(heals=False)
    cluster.patch("ConfigMap", NAMESPACE, "config", {"data": {"ZONE": "UTC-drift"}})
    cluster.conflicts = 99
    assert _undo(cluster, "field-restore", _field_args()) == "failed"


@pytest.mark.parametrize("kind", ["Service", "Ingress", "HTTPRoute", "HorizontalPodAutoscaler", "Deployment"])
def test_a_deleted_object_is_created_again_only_if_nobody_did(kind: str) -> None:
    cluster = FakeCluster(heals=False)
    item = cluster.get(kind, NAMESPACE, "web")
    args = {"object": saved(item), "uid": item["metadata"]["uid"]}
    assert _undo(cluster, "object-restore", args) == "not-needed"
    cluster.delete(kind, NAMESPACE, "web", uid="", resource_version="")
    assert _undo(cluster, "object-restore", args) == "done"
    assert cluster.get(kind, NAMESPACE, "web")["spec"] == item["spec"]
    assert _undo(cluster, "object-restore", args) == "not-needed"
