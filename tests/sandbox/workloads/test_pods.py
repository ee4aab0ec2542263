"""Pods: how they start, fail to start, are restarted, and end; and the knobs that make them do it."""

from __future__ import annotations

import signal
import socket
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest

from rollproof_sandbox.api.store import Object
from rollproof_sandbox.settings import SHAS, App, Cluster, Settings, Workload
from rollproof_sandbox.workloads import pods as kubelet
from tests.sandbox.workloads.living import NAMESPACE, Begin, World, container_of, reason_of

FIRST, SECOND, THIRD = SHAS
QUICK = Workload(prestop_s=0.0)
ONE = Workload(replicas=1, prestop_s=0.0)


@pytest.fixture(autouse=True)
def _small_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubelet, "_BACK_OFF_FIRST_S", 0.2)
    monkeypatch.setattr(kubelet, "_SEEN_S", 0.1)


def reasons(world: World, tag: str) -> list[str]:
    """What the containers of a release said, one after the other."""
    said = [
        reason_of(change.object)
        for change in world.changes
        if change.kind == "Pod" and change.object["spec"]["containers"][0]["image"].endswith(tag)
    ]
    return [reason for reason, _ in groupby(said)]


def test_an_image_that_cannot_be_pulled(begin: Begin) -> None:
    world = begin(Settings(workload=QUICK, cluster=Cluster(missing_images=(SECOND,))))
    world.deploy()
    world.release(SECOND)
    world.until(lambda: reasons(world, SECOND).count("ImagePullBackOff") == 2, "a second back-off")
    again = ["ErrImagePull", "ImagePullBackOff"]
    assert reasons(world, SECOND)[:6] == ["", "ContainerCreating", *again, *again]
    [pod] = world.pods(SECOND)
    assert pod["status"]["phase"] == "Pending"
    assert "not found" in container_of(pod)["state"]["waiting"]["message"]
    assert len(world.pods(FIRST)) == 2  # nothing was taken away for it
    world.release(FIRST)
    [last] = world.until(
        lambda: [change.object for change in world.changes if change.type == "DELETED" and change.kind == "Pod"],
        "the pod without an image to go",
    )
    assert (last["status"]["phase"], reason_of(last)) == ("Failed", "ContainerStatusUnknown")


def test_an_image_that_is_gone_after_its_first_use(begin: Begin) -> None:
    world = begin(Settings(workload=QUICK, cluster=Cluster(gone_after_first_use=(FIRST,))))
    world.deploy()
    world.change(lambda item: item["spec"].update(replicas=3))  # still there
    world.until_rolled_out()
    world.release(SECOND)
    world.until_rolled_out()
    world.until_only(SECOND)
    world.release(FIRST)
    world.until(lambda: [reason_of(pod) for pod in world.pods(FIRST)] == ["ImagePullBackOff"])


def test_a_crash_loop_backs_off_longer_each_time(begin: Begin) -> None:
    world = begin(Settings(workload=ONE, next_app=App(crash_after_s=0.05)))
    world.deploy()
    world.release(SECOND)
    world.until(lambda: any(container_of(pod).get("restartCount") == 3 for pod in world.pods(SECOND)))
    said = [
        container_of(change.object)["state"]["waiting"]["message"]
        for change in world.changes
        if change.kind == "Pod" and reason_of(change.object) == "CrashLoopBackOff"
    ]
    assert [text.partition(" restarting")[0] for text, _ in groupby(said)] == ["back-off 0.2s", "back-off 0.4s"]
    told = [reason for reason in reasons(world, SECOND) if reason]
    assert told == ["ContainerCreating", "Error", "Error", "CrashLoopBackOff", "Error", "CrashLoopBackOff"]
    [pod] = world.pods(SECOND)
    assert container_of(pod)["lastState"]["terminated"]["exitCode"] == 1
    assert pod["status"]["phase"] == "Running"


def test_a_pod_that_is_never_ready_ends_the_rollouts_patience(begin: Begin) -> None:
    world = begin(Settings(workload=replace(QUICK, progress_deadline_s=1), next_app=App(never_ready=True)))
    world.deploy()
    world.release(SECOND)
    world.until(lambda: world.condition("Progressing")["reason"] == "ProgressDeadlineExceeded")
    assert world.condition("Progressing")["status"] == "False"
    assert world.condition("Available")["status"] == "True"
    world.release(FIRST)
    world.until_rolled_out()
    assert world.condition("Progressing")["reason"] == "NewReplicaSetAvailable"


def test_a_failing_liveness_probe_restarts_the_container(begin: Begin) -> None:
    sick = App(database="down", health_follows_database=True)
    world = begin(Settings(workload=ONE, next_app=sick))
    world.deploy()
    world.release(SECOND)
    world.until(lambda: any(container_of(pod).get("restartCount") for pod in world.pods(SECOND)), "a restart")
    [pod] = world.pods(SECOND)
    assert not container_of(pod)["ready"]
    assert container_of(pod)["lastState"]["terminated"]["exitCode"] == 0  # it ended well when it was told to


def test_readiness_comes_and_goes_with_the_probe(begin: Begin) -> None:
    world = begin(Settings(workload=ONE))
    world.deploy()
    name = world.pods()[0]["metadata"]["name"]
    [child] = world.processes.running()
    child.signal(signal.SIGSTOP)
    world.until(lambda: world.ready_addresses() == [], "the stopped pod to leave the endpoints")
    assert (world.store.get("Pod", NAMESPACE, name) or {})["status"]["phase"] == "Running"
    assert world.condition("Available")["status"] == "False"
    child.signal(signal.SIGCONT)
    world.until(lambda: len(world.ready_addresses()) == 1)


def end_of_first_pod(world: World) -> list[tuple[bool, str, bool]]:
    """Delete a pod: (terminating, phase, ready) until it is removed."""
    name = world.pods()[0]["metadata"]["name"]
    begun = len(world.changes)
    world.store.delete("Pod", NAMESPACE, name, manager="kubectl-delete")
    world.until(
        lambda: any((one.type, one.object["metadata"]["name"]) == ("DELETED", name) for one in world.changes),
        "the pod to go",
    )
    told = [change.object for change in world.changes[begun:] if change.object["metadata"]["name"] == name]
    steps = [
        ("deletionTimestamp" in pod["metadata"], pod["status"]["phase"], container_of(pod)["ready"]) for pod in told
    ]
    return [step for step, _ in groupby(steps)]


def test_a_pod_ends_after_prestop_and_sigterm(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(prestop_s=3.0), app=App(at_sigterm="exit")))
    world.deploy()
    pod = world.pods()[0]
    world.store.delete("Pod", NAMESPACE, pod["metadata"]["name"], manager="kubectl-delete")
    world.until(lambda: pod["status"]["podIP"] not in world.ready_addresses(), "the endpoints to follow")
    assert world.ask(pod) is not None  # at SIGTERM it would have been gone before that
    world.until(lambda: pod["metadata"]["name"] not in {one["metadata"]["name"] for one in world.pods()})
    with pytest.raises(TimeoutError):  # nothing refuses there, and nothing answers
        socket.create_connection((pod["status"]["podIP"], world.addresses.port), timeout=0.3)


def test_the_steps_of_an_end(begin: Begin) -> None:
    world = begin(Settings(workload=QUICK))
    world.deploy()
    assert end_of_first_pod(world) == [(True, "Running", True), (True, "Succeeded", False)]


def test_a_pod_that_ignores_sigterm_is_killed_after_its_grace(begin: Begin) -> None:
    world = begin(Settings(workload=replace(QUICK, grace_s=1), app=App(at_sigterm="ignore")))
    world.deploy()
    assert end_of_first_pod(world) == [(True, "Running", True), (True, "Failed", False)]
    gone = [change.object for change in world.changes if change.type == "DELETED"][-1]
    assert container_of(gone)["state"]["terminated"]["exitCode"] == 128 + signal.SIGKILL


def test_prestop_is_part_of_the_grace(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(prestop_s=60, grace_s=1), app=App(at_sigterm="exit")))
    world.deploy()
    assert end_of_first_pod(world) == [(True, "Running", True), (True, "Succeeded", False)]


def test_a_pod_that_is_removed_by_force_is_gone_at_once(begin: Begin) -> None:
    world = begin(Settings())
    world.deploy()
    pod = world.pods()[0]
    [child] = [one for one in world.processes.running() if one.name == pod["metadata"]["name"]]
    world.store.delete("Pod", NAMESPACE, pod["metadata"]["name"], manager="kubectl-delete", grace_s=0)
    assert child.wait(60) == -signal.SIGKILL
    world.until_rolled_out()


def test_without_a_grace_period_a_process_hears_no_sigterm(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the kubelet sees the deletion before the object is gone: a finalizer holds it here."""
    world = begin(Settings())
    world.deploy()
    name = world.pods()[0]["metadata"]["name"]
    [child] = [one for one in world.processes.running() if one.name == name]
    sent: list[int] = []
    send = child.signal
    monkeypatch.setattr(child, "signal", lambda number: [sent.append(number), send(number)])
    kept = {"finalizers": ["example.org/kept"]}
    world.store.mutate("Pod", NAMESPACE, name, lambda item: item["metadata"].update(kept), manager="kubectl-edit")
    world.store.delete("Pod", NAMESPACE, name, manager="kubectl-delete", grace_s=0)
    assert child.wait(60) == -signal.SIGKILL
    assert set(sent) == {signal.SIGKILL}


def test_each_release_behaves_by_its_own_settings(begin: Begin) -> None:
    settings = Settings(
        workload=QUICK, app=App(health_version="zero"), next_app=App(health_version="one"),
        one_next_pod=App(health_version="odd"),
    )  # fmt: skip
    world = begin(settings)
    world.deploy()
    assert {world.ask(pod)["version"] for pod in world.pods()} == {"zero"}
    for tag in (SECOND, THIRD):
        world.release(tag)
        world.until_rolled_out()
        assert sorted(world.ask(pod)["version"] for pod in world.pods(tag)) == ["odd", "one"]
    odd = next(pod for pod in world.pods(THIRD) if world.ask(pod)["version"] == "odd")
    world.store.delete("Pod", NAMESPACE, odd["metadata"]["name"], manager="kubectl-delete")
    world.until(lambda: len(world.pods(THIRD)) == 2 and odd not in world.pods(THIRD))
    world.until(lambda: world.pods(FIRST) == [] and len(world.ready_addresses()) == 2)


def test_a_process_knows_the_release_before_its_own(begin: Begin) -> None:
    world = begin(Settings(workload=ONE, next_app=App(old_version_every=1)))
    world.deploy()
    world.release(SECOND)
    world.until_rolled_out()
    assert world.ask(world.pods(SECOND)[0])["version"] == FIRST


def test_an_old_pod_that_lost_its_owner_stays_and_is_served(begin: Begin) -> None:
    world = begin(Settings(workload=QUICK, cluster=Cluster(orphan_old_pod=True)))
    world.deploy()
    world.release(SECOND)
    world.until_rolled_out()
    world.until(lambda: len(world.pods(FIRST)) == 1, "all other old pods to go")
    [orphan] = world.pods(FIRST)
    assert "ownerReferences" not in orphan["metadata"]
    assert orphan["metadata"]["labels"] == {"app": "shop"}
    world.until(lambda: orphan["status"]["podIP"] in world.ready_addresses() and len(world.ready_addresses()) == 3)
    assert world.ask(orphan)["version"] == FIRST


def test_an_old_pod_that_stays_terminating_goes_on_answering(begin: Begin) -> None:
    world = begin(Settings(workload=QUICK, cluster=Cluster(stuck_terminating_s=60.0)))
    world.deploy()
    world.release(SECOND)
    world.until_rolled_out()
    world.until(lambda: len(world.pods(FIRST)) == 1, "the other old pod to go")
    [stuck] = world.pods(FIRST)
    assert "deletionTimestamp" in stuck["metadata"]
    assert world.ask(stuck)["version"] == FIRST
    assert len(world.ready_addresses()) == 2


def test_without_these_knobs_no_old_pod_is_left(begin: Begin) -> None:
    world = begin(Settings(workload=QUICK))
    world.deploy()
    world.release(SECOND)
    world.until_rolled_out()
    world.until_only(SECOND)
    assert all(reason == "" for pod in world.pods() for reason in [reason_of(pod)])


def exec_hook(*words: str) -> Object:
    return {"lifecycle": {"preStop": {"exec": {"command": list(words)}}}}


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, 0.0),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 3}}}}, 3.0),
        (exec_hook("sleep", "1.5"), 1.5),
        (exec_hook("/bin/sh", "-c", "sleep 4 && nginx -s quit"), 4.0),
        (exec_hook("nginx", "-s", "quit"), 0.0),
    ],
)
def test_how_long_a_prestop_hook_takes(container: dict[str, Any], expected: float) -> None:
    assert kubelet._prestop_s(container) == expected
