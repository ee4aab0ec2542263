"""Rollouts with real processes, from the Deployment to the addresses at the ingress."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from rollproof.probes import views
from rollproof_sandbox.api.store import Change, Object
from rollproof_sandbox.settings import SHAS, Settings, Workload
from rollproof_sandbox.workloads.deployments import Deployments
from rollproof_sandbox.workloads.objects import Key, is_active, is_ready
from tests.sandbox.workloads.living import NAME, NAMESPACE, Begin, World

FIRST, SECOND, THIRD = SHAS
RECORDED = Path(__file__).parents[3] / "tests/histories/good/all/timeline.jsonl"


def pods_over_time(changes: list[Change]) -> Iterator[list[Object]]:
    """All pods after each change of one."""
    there: dict[str, Object] = {}
    for change in changes:
        if change.kind == "Pod":
            name = change.object["metadata"]["name"]
            there.pop(name, None)
            if change.type != "DELETED":
                there[name] = change.object
            yield list(there.values())


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable"), [(2, 1, 0), (3, 0, 1), (4, "25%", "25%"), (3, "100%", 0)]
)
def test_a_rollout_never_breaks_its_bounds(
    begin: Begin, replicas: int, surge: int | str, unavailable: int | str
) -> None:
    world = begin(Settings(workload=Workload(replicas=replicas, prestop_s=0.0)))
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    world.deploy(strategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    begun = len(world.changes)
    world.release(SECOND)
    world.until_rolled_out()
    most = max(sum(map(is_active, pods)) for pods in pods_over_time(world.changes))
    less = min(
        sum(1 for pod in pods if is_active(pod) and is_ready(pod))
        for pods in list(pods_over_time(world.changes))[len(list(pods_over_time(world.changes[:begun]))) :]
    )
    allowed = {1: 1, 0: 0, "25%": 1, "100%": 3}
    assert most == replicas + allowed[surge]
    assert less == replicas - allowed[unavailable]
    world.until_only(SECOND)


def test_the_facts_come_in_the_order_that_was_recorded_on_a_real_cluster(begin: Begin) -> None:
    world = begin(Settings())
    world.deploy()
    begun = len(world.changes)
    world.release(SECOND)
    world.until_rolled_out()
    world.until_only(SECOND)
    world.until(lambda: all(one["conditions"]["ready"] for one in (world.endpoints() or {})["endpoints"]))
    assert steps(seen(world.changes, begun)) == steps(recorded())


def recorded() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """(kind, name, what, words) of the first release in the recorded run."""
    started = False
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if (event["source"], event["what"]) == ("release", "proven"):
            return
        started = started or (event["source"], event["what"]) == ("release", "started")
        kind, _, name = event["subject"].partition("/")
        if started and event["source"] == "watch" and kind != "Application":
            yield kind, name, event["what"], event["data"]


def seen(changes: list[Change], begun: int) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """The same of our changes: as in the harness, a change of no word is no fact."""
    known: dict[tuple[str, str], dict[str, Any]] = {}
    of = {
        "Pod": views.PodView.of,
        "ReplicaSet": views.ReplicaSetView.of,
        "Deployment": views.DeploymentView.of,
        "EndpointSlice": views.EndpointSliceView.of,
    }
    for number, change in enumerate(changes):
        if change.kind in of:
            name, words = change.object["metadata"]["name"], asdict(of[change.kind](change.object))
            words.pop("resource_version", None)
            same = known.get((change.kind, name)) == words and change.type == "MODIFIED"
            known[change.kind, name] = words
            if number >= begun and not same:
                yield change.kind, name, change.type.lower(), words


def steps(facts: Iterator[tuple[str, str, str, dict[str, Any]]]) -> dict[str, list[list[Any]]]:
    """What each object of a kind went through, in the order of the objects' appearance, without names."""
    found: dict[str, dict[str, list[Any]]] = {}
    first_generation = 0
    for kind, name, what, data in facts:
        if kind == "Deployment":
            first_generation = first_generation or data["generation"]
            seen_it = data["observed_generation"] >= first_generation
            step: Any = (seen_it, data["replicas"], data["updated"], data["available"], data["ready"])
        elif kind == "ReplicaSet":
            if not data["replicas"] and name not in found.get(kind, {}):
                continue  # the new one begins with nothing, there or fresh
            step = (data["replicas"], data["ready"], data["available"])
        elif kind == "Pod":
            scheduled = data["node"] != "" or data["phase"] != "Pending"
            step = (what == "deleted", data["phase"], scheduled, data["ready"], data["terminating"])
        else:
            step = tuple(len(data[key]) for key in ("ready", "serving", "terminating"))
        found.setdefault(kind, {}).setdefault(name, []).append(step)
    return {kind: [[step for step, _ in groupby(one)] for one in objects.values()] for kind, objects in found.items()}


def places(world: World, begun: int) -> tuple[int, int]:
    """Where, among the changes since then, the first new pod is, and the Deployment's first status."""
    told = world.changes[begun:]
    pod = next(number for number, change in enumerate(told) if (change.kind, change.type) == ("Pod", "ADDED"))

    def observed(change: Change) -> bool:
        status = change.object.get("status") or {}
        return change.kind == "Deployment" and status["observedGeneration"] == change.object["metadata"]["generation"]

    return pod, next(number for number, change in enumerate(told) if observed(change))


def test_in_a_rollout_the_pod_comes_before_the_status_and_when_scaling_after_it(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(prestop_s=0.0)))
    world.deploy()
    begun = len(world.changes)
    world.release(SECOND)
    world.until_rolled_out()
    pod, status = places(world, begun)
    assert pod < status
    begun = len(world.changes)
    world.change(lambda item: item["spec"].update(replicas=3))
    world.until_rolled_out()
    pod, status = places(world, begun)
    assert pod > status


def test_every_status_of_a_rollout(begin: Begin) -> None:
    world = begin(Settings())
    item = world.deploy()
    assert item["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert world.condition("Available")["reason"] == "MinimumReplicasAvailable"
    assert world.condition("Progressing")["reason"] == "NewReplicaSetAvailable"
    begun = len(world.changes)
    world.release(SECOND)
    world.until_rolled_out()
    assert world.get()["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert world.get()["metadata"]["generation"] == 2
    reasons = [
        next(one["reason"] for one in change.object["status"]["conditions"] if one["type"] == "Progressing")
        for change in world.changes[begun:]
        if change.kind == "Deployment"
    ]
    said = [reason for reason, _ in groupby(reasons)]
    assert said == ["NewReplicaSetAvailable", "NewReplicaSetCreated", "ReplicaSetUpdated", "NewReplicaSetAvailable"]


def test_a_pod_is_what_the_kubelet_says(begin: Begin) -> None:
    world = begin(Settings())
    world.deploy()
    pod = world.pods()[0]
    [replicaset] = world.store.list("ReplicaSet", NAMESPACE)
    [owner] = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("ReplicaSet", replicaset["metadata"]["uid"], True)
    assert pod["metadata"]["labels"]["pod-template-hash"] == replicaset["metadata"]["labels"]["pod-template-hash"]
    [status] = pod["status"]["containerStatuses"]
    assert status["imageID"].startswith("sha256:")
    assert status["imageID"] == world.pods()[1]["status"]["containerStatuses"][0]["imageID"]
    assert (status["started"], status["ready"], status["restartCount"]) == (True, True, 0)
    assert pod["status"]["hostIP"] == world.addresses.node
    assert pod["spec"]["nodeName"]
    assert world.ask(pod)["version"] == FIRST


def test_the_old_template_again_is_the_old_replicaset_with_a_new_revision(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(prestop_s=0.0)))
    world.deploy()
    for tag in (SECOND, FIRST):
        world.release(tag)
        world.until_rolled_out()
    sets = world.store.list("ReplicaSet", NAMESPACE)
    revisions = {one["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for one in sets}
    assert len(sets) == 2
    assert revisions == {"2", "3"}
    assert world.get()["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


def test_old_replicasets_are_forgotten(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(replicas=1, prestop_s=0.0)))
    world.deploy(revisionHistoryLimit=1)
    for tag in (SECOND, THIRD):
        world.release(tag)
        world.until_rolled_out()
    world.until(lambda: len(world.store.list("ReplicaSet", NAMESPACE)) == 2, "the oldest ReplicaSet to go")
    revisions = [
        one["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        for one in world.store.list("ReplicaSet", NAMESPACE)
    ]
    assert sorted(revisions) == ["2", "3"]


def test_scaling_is_no_rollout(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(prestop_s=0.0)))
    world.deploy()
    begun = len(world.changes)
    for replicas in (4, 1):
        world.change(lambda item, replicas=replicas: item["spec"].update(replicas=replicas))
        world.until_rolled_out()
    assert len(world.store.list("ReplicaSet", NAMESPACE)) == 1
    told = {
        next(one["reason"] for one in change.object["status"]["conditions"] if one["type"] == "Progressing")
        for change in world.changes[begun:]
        if change.kind == "Deployment"
    }
    assert told == {"NewReplicaSetAvailable"}
    world.until(lambda: len(world.pods()) == 1)


def test_paused_means_no_rollout_until_it_is_resumed(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(prestop_s=0.0)))
    world.deploy()
    world.change(lambda item: item["spec"].update(paused=True))
    world.until(lambda: world.condition("Progressing")["reason"] == "DeploymentPaused")
    world.release(SECOND)
    world.until(lambda: world.get()["status"]["observedGeneration"] == 3)
    world.change(lambda item: item["spec"].update(replicas=3))  # scaling goes on
    world.until(lambda: world.get()["status"].get("availableReplicas") == 3)
    assert len(world.store.list("ReplicaSet", NAMESPACE)) == 1
    world.change(lambda item: item["spec"].pop("paused"))
    world.until_rolled_out()
    world.until_only(SECOND)


def test_min_ready_seconds_delay_availability(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(replicas=1)))
    world.deploy(minReadySeconds=2)
    counts = [
        (change.object["status"].get("readyReplicas", 0), change.object["status"].get("availableReplicas", 0))
        for change in world.changes
        if change.kind == "ReplicaSet"
    ]
    assert [count for count, _ in groupby(counts)] == [(0, 0), (1, 0), (1, 1)]


def test_a_stranger_with_the_labels_is_taken_in_and_one_without_is_let_go(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(prestop_s=0.0)))
    world.deploy()
    name = world.pods()[0]["metadata"]["name"]

    def relabel(item: Object, value: str) -> None:
        item["metadata"]["labels"]["pod-template-hash"] = value

    own = world.pods()[0]["metadata"]["labels"]["pod-template-hash"]
    world.store.mutate("Pod", NAMESPACE, name, lambda item: relabel(item, "none"), manager="kubectl-label")
    world.until(lambda: len(world.pods()) == 3, "a replacement")
    assert "ownerReferences" not in (world.store.get("Pod", NAMESPACE, name) or {})["metadata"]
    world.until_rolled_out()
    world.store.mutate("Pod", NAMESPACE, name, lambda item: relabel(item, own), manager="kubectl-label")
    world.until(lambda: len(world.pods()) == 2, "one of the three to go")
    world.until_rolled_out()


def test_a_deleted_deployment_takes_all_with_it(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(prestop_s=0.0)))
    world.deploy()
    world.store.delete("Deployment", NAMESPACE, NAME, manager="kubectl-delete")
    world.until(lambda: not world.pods() and not world.processes.running(), "the pods to go")
    assert world.store.list("ReplicaSet", NAMESPACE) == []


def test_stop_ends_everything_at_any_moment(begin: Begin) -> None:
    world: World = begin(Settings())
    world.deploy()
    world.release(SECOND)
    world.until(lambda: len(world.pods()) == 3)
    world.controllers.stop()
    assert world.processes.running() == []


def test_a_template_that_comes_in_the_middle_of_a_turn_is_not_called_rolled_out(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status of a turn is of the generation that the turn began with, whatever was written beside it."""
    world = begin(Settings(workload=Workload(prestop_s=0.0)))
    world.deploy()
    written: list[tuple[int, int]] = []
    came: list[int] = []  # the generation that comes in the middle of a turn
    note, status = Deployments._note_revision, Deployments.write_status

    def noted(self: Deployments, deployment: Object, new: Object, old: list[Object]) -> Object:
        if "turn" in deployment["metadata"].get("annotations", {}).values() and not came:
            came.append(deployment["metadata"]["generation"] + 1)
            world.release(SECOND)
        return note(self, deployment, new, old)

    def writing(self: Deployments, key: Key) -> None:
        written.extend((one["observedGeneration"], one.get("updatedReplicas", 0)) for _, one in self._computed.values())
        status(self, key)

    monkeypatch.setattr(Deployments, "_note_revision", noted)
    monkeypatch.setattr(Deployments, "write_status", writing)
    world.change(lambda item: item["metadata"].setdefault("annotations", {}).update({"a": "turn"}))
    world.until_only(SECOND)
    world.until_rolled_out()
    assert next(updated for generation, updated in written if generation == came[0]) == 0
