"""A pod that policies must deny, on a small API server that plays it; its script is run in a real shell."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from faults.podcluster import Cluster, Stage, endpoints

from rollproof.core.event import Outcome
from rollproof.core.facts import Facts
from rollproof.core.injection import Skip
from rollproof.core.networkpolicy import ROUNDS
from rollproof.core.target import FaultSettings
from rollproof.core.verdict import Result, Verdict
from rollproof.faults import denied_pod
from rollproof.faults.denied_pod import FAULT
from rollproof.judge.checkers import network_policy as checker

POD = ("pods", "rollproof-denied-pod")
FELT = ["planned", "injecting", "injected", "effect"]
DENIED, REACHED = "nn y", "yn y"


def policy(name: str = "web", **spec: Any) -> dict[str, Any]:
    chosen = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": []}
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "generation": 1}
    return {"metadata": metadata, "spec": {**chosen, **spec}}


class World(Cluster):
    """The pod ends at once with `message`, where `exit_code` is 0; `ip` is its address."""

    def __init__(self) -> None:
        super().__init__()
        self.message, self.exit_code, self.ip = said(DENIED), 0, "10.9.0.9"
        deployment = self.objects["deployments", "web"]
        ports = [{"name": "http", "containerPort": 8080}]
        pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "ports": ports}]}}
        self.put("deployments", {**deployment, "spec": {**deployment["spec"], "template": pod}})
        self.put("networkpolicies", policy())
        self.on_create = self.created

    def created(self, plural: str, item: Any) -> None:
        if plural == "pods":
            threading.Thread(target=self.ends, args=(item,)).start()

    def ends(self, item: dict[str, Any]) -> None:
        state = {"terminated": {"exitCode": self.exit_code, "message": self.message, "reason": "Completed"}}
        status = {"phase": "Failed" if self.exit_code else "Succeeded", "podIP": self.ip}
        self.put("pods", {**item, "status": {**status, "containerStatuses": [{"name": "try", "state": state}]}})

    def remove(self, plural: str, name: str) -> Any:
        return super(Cluster, self).remove(plural, name)


def said(*rounds: str) -> str:
    """A message of these rounds, the last one as often as are missing."""
    return "\n".join(["12", *rounds, *[rounds[-1]] * (ROUNDS - len(rounds))]) + "\n"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    monkeypatch.setattr(denied_pod, "_START_S", 0.0)
    monkeypatch.setattr(denied_pod, "_CONNECT_S", 0.0)
    monkeypatch.setattr(denied_pod, "_APART_S", 0.0)
    with ExitStack() as stack:
        stage = Stage(FAULT, World(), tmp_path, stack)
        limits = FaultSettings(effect_within_s=1.0, recovery_limit_s=2.0, dead_man_image="curl:1")
        stage.target = replace(stage.target, faults=limits, app=replace(stage.target.app, pod_port=8080))
        stage.live = replace(stage.live, target=stage.target)
        yield stage


def world(stage: Stage) -> World:
    assert isinstance(stage.api, World)
    return stage.api


def verdict(stage: Stage, *, entry: bool = True) -> Verdict:
    """What the checker makes of it, beside an entry that answers."""
    if entry:
        stage.recorder.record("proof", "Ingress", "version", data={"version": "aaaaaaa", "status": 200})
    facts = Facts(plan=story.plan(target=stage.target), drill="", events=tuple(stage.recorder.events))
    (one,) = checker.check(facts)
    return one


def codes(one: Verdict) -> list[str]:
    return [finding.code for finding in one.findings]


def test_nobody_is_reached(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.subject == "Pod/shop/rollproof-denied-pod"
    assert "port 8080 of 2 pods 8 times, which web must deny" in injection.change
    assert FAULT.blast(injection, stage.target).pods == 0
    assert stage.run(injection) == [*FELT, "recovered", "undone"]
    assert stage.said("effect").data["tries"] == ["10.0.0.1 nnnnnnnn", "10.0.0.2 nnnnnnnn"]
    assert verdict(stage).result is Result.PASS
    assert POD not in stage.api.objects
    assert not [name for plural, name in stage.api.objects if plural == "jobs"], "the dead-man is ended as well"
    assert stage.journal.open_entries() == []


@pytest.mark.parametrize(("pod_port", "open_to_all"), [(8080, True), (9090, False)])
def test_the_port_is_the_target_files_and_a_policy_may_name_it(stage: Stage, pod_port: int, open_to_all: bool) -> None:
    stage.target = replace(stage.target, app=replace(stage.target.app, pod_port=pod_port))
    stage.live = replace(stage.live, target=stage.target)
    stage.api.put("networkpolicies", policy(ingress=[{"ports": [{"port": "http"}]}]))
    found = FAULT.available(stage.live)
    assert isinstance(found, Skip) is open_to_all
    assert isinstance(found, Skip) or found.args["port"] == 9090


def test_it_asks_for_no_right_that_every_run_has(stage: Stage) -> None:
    asked = {one.resource for one in FAULT.permissions(stage.target)}
    assert asked == {"pods", "networkpolicies", "jobs"}


def test_the_pod_is_the_jobs_and_has_no_rights(stage: Stage) -> None:
    stage.run()
    made = [body for method, path, body in stage.api.sent if method == "POST" and path.endswith("/pods")]
    assert len(made) == 1
    assert made[0]["metadata"]["ownerReferences"][0]["kind"] == "Job"
    assert made[0]["metadata"]["labels"].get("app") is None, "no Service and no policy takes it for the app"
    assert made[0]["spec"]["automountServiceAccountToken"] is False
    assert made[0]["spec"]["securityContext"]["runAsNonRoot"] is True


def test_a_pod_that_gets_through_is_a_failure(stage: Stage) -> None:
    world(stage).message = said(REACHED)
    stage.run()
    found = verdict(stage, entry=False)
    assert (found.result, codes(found)) == (Result.FAIL, ["NOT_ENFORCED"]), "a connection is evidence by itself"


def test_once_in_the_end_is_a_failure_too(stage: Stage) -> None:
    world(stage).message = said(*[DENIED] * (ROUNDS - 2), REACHED, DENIED)
    stage.run()
    assert verdict(stage).result is Result.FAIL


def test_only_in_the_beginning_is_late(stage: Stage) -> None:
    world(stage).message = said(REACHED, REACHED, DENIED)
    stage.run()
    found = verdict(stage)
    assert (found.result, codes(found)) == (Result.PASS, ["ENFORCED_LATE"])
    assert found.numbers["reached_for_s"] == 3.0


def test_a_pod_without_a_network_proves_nothing(stage: Stage) -> None:
    world(stage).message = said("nn n", "nn y")
    stage.run()
    found = verdict(stage)
    assert found.result is Result.INCONCLUSIVE
    assert "did not reach the API server either, in 1 round" in found.why


@pytest.mark.parametrize("status", [0, 503])
def test_an_app_that_is_deaf_to_everybody_proves_nothing(stage: Stage, status: int) -> None:
    stage.run()
    if status:
        data = {"version": "", "status": status}
        stage.recorder.record("proof", "Ingress", "version", outcome=Outcome.FAIL, data=data)
    found = verdict(stage, entry=False)
    assert found.result is Result.INCONCLUSIVE
    assert "through its entry" in found.why


@pytest.mark.parametrize(
    ("message", "exit_code", "word"), [("", 3, "exit code 3"), ("what", 0, "exit code 0"), (said(DENIED), 137, "137")]
)
def test_a_pod_that_does_not_come_to_its_end_is_void(stage: Stage, message: str, exit_code: int, word: str) -> None:
    world(stage).message, world(stage).exit_code = message, exit_code
    assert stage.run() == ["planned", "injecting", "injected", "void", "undone"]
    found = verdict(stage)
    assert found.result is Result.INCONCLUSIVE
    assert word in found.why


def test_a_pod_whose_address_is_let_in_is_void(stage: Stage) -> None:
    block = {"from": [{"ipBlock": {"cidr": "10.9.0.0/16"}}]}
    stage.api.put("networkpolicies", policy(ingress=[block]))
    assert "void" in stage.run()
    assert "web lets 10.9.0.0/16 in" in verdict(stage).why


def test_an_app_pod_that_goes_meanwhile_is_void(stage: Stage) -> None:
    ends = world(stage).ends

    def and_one_goes(item: dict[str, Any]) -> None:
        stage.api.put("endpointslices", endpoints("10.0.0.1"))
        while "web-2" in stage.live.watches.serving():
            time.sleep(0.01)
        ends(item)

    world(stage).ends = and_one_goes  # type: ignore[method-assign]
    assert stage.run() == ["planned", "injecting", "injected", "void", "undone"]
    assert "pod web-2 does not serve at 10.0.0.2" in verdict(stage).why


def test_policies_that_change_after_the_plan_are_void(stage: Stage) -> None:
    injection = stage.injection()
    changed = policy()
    changed["metadata"]["generation"] = 2
    stage.api.put("networkpolicies", changed)
    assert stage.run(injection) == ["planned", "void"]
    assert POD not in stage.api.objects


@pytest.mark.parametrize(
    ("policies", "reason"),
    [
        ([], "no NetworkPolicy restricts who reaches the app: everybody may"),
        ([policy(policyTypes=["Egress"])], "no NetworkPolicy restricts"),
        ([policy(podSelector={"matchLabels": {"app": "other"}})], "no NetworkPolicy restricts"),
        ([policy(ingress=[{}])], "web lets everybody in"),
        ([policy(ingress=[{"from": [{"podSelector": {}}]}])], "web lets pods of its own namespace in"),
        ([policy(), policy("all", podSelector={}, policyTypes=["Egress"])], "all restricts what such a pod sends"),
    ],
)
def test_where_it_could_not_be_told(stage: Stage, policies: list[dict[str, Any]], reason: str) -> None:
    stage.api.objects.pop(("networkpolicies", "web"))
    for one in policies:
        stage.api.put("networkpolicies", one)
    found = stage.available()
    assert isinstance(found, Skip)
    assert reason in found.reason


def test_without_an_image_it_is_skipped(stage: Stage) -> None:
    found = stage.available(faults=FaultSettings())
    assert isinstance(found, Skip)
    assert "faults.dead_man_image" in found.reason


def test_a_pod_that_has_not_ended_leaves_slowly(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a pod whose image cannot be pulled: it is there for a moment after it was deleted."""
    world(stage).on_create = lambda *_: None

    def leaves(plural: str, name: str) -> Any:
        if plural != "pods":
            return super(Cluster, world(stage)).remove(plural, name)
        item = stage.api.objects[plural, name]
        return stage.api.put(
            "pods", {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
        )

    monkeypatch.setattr(stage.api, "remove", leaves)
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert verdict(stage).result is Result.INCONCLUSIVE
    assert stage.journal.open_entries() == []


def test_a_pod_that_is_not_ours_stays(stage: Stage) -> None:
    args = stage.injection().args
    theirs = {"metadata": {"name": POD[1], "namespace": "shop", "uid": "u", "labels": {}}, "spec": {"containers": []}}
    stage.api.put("pods", theirs)
    assert isinstance(stage.available(), Skip)
    assert FAULT.undo(stage.live.kube, args).how == "left"
    assert POD in stage.api.objects


@pytest.mark.processes
@pytest.mark.parametrize("client", ["curl", "python3"])
def test_the_script_in_a_real_shell(tmp_path: Path, client: str) -> None:
    """One address takes connections, one refuses them; whichever client the image has."""
    for name in ("sh", "date", "sleep", client):
        found = os.path.realpath(sys.executable) if name == "python3" else shutil.which(name)
        if found is None:
            pytest.skip(f"this machine has no {name}")
        (tmp_path / name).symlink_to(found)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said_in = tmp_path / "termination-log"
        script = denied_pod._SCRIPT.replace("/dev/termination-log", str(said_in))
        environ = {
            "PATH": str(tmp_path), "ADDRESSES": "127.0.0.1 127.0.0.2", "PORT": str(port), "ROUNDS": "2",
            "CONNECT_S": "1", "APART_S": "0", "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(port),
        }  # fmt: skip
        subprocess.run([str(tmp_path / "sh"), "-c", script], env=environ, check=True, cwd=os.fspath(tmp_path))
    assert said_in.read_text().splitlines()[1:] == ["yn y", "yn y"]


@pytest.mark.processes
def test_an_image_without_a_client_says_so(tmp_path: Path) -> None:
    (tmp_path / "sh").symlink_to(shutil.which("sh") or "/bin/sh")
    done = subprocess.run([str(tmp_path / "sh"), "-c", denied_pod._SCRIPT], env={"PATH": str(tmp_path)}, check=False)
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (policy(ingress=[{"from": [{"podSelector": {}}]}]) | {"metadata": {"name": "web", "generation": 2}}, "changed"),
        (policy("more"), "changed"),
        (policy("egress", podSelector={}, policyTypes=["Egress"], egress=[]), "egress restricts what such a pod sends"),
    ],
    ids=["another version", "one more", "one of what it sends"],
)
@pytest.mark.parametrize("message", [said(REACHED), said(DENIED)])
def test_policies_that_changed_while_it_tried_are_void(
    stage: Stage, other: dict[str, Any], word: str, message: str
) -> None:
    """What they let in then was not denied, and what they hold back then was not denied by those that were tried."""
    world(stage).message = message

    def created(plural: str, item: Any) -> None:
        if plural == "pods":
            stage.api.put("networkpolicies", other)
        world(stage).created(plural, item)

    world(stage).on_create = created
    assert "void" in stage.run()
    found = verdict(stage)
    assert found.result is Result.INCONCLUSIVE
    assert word in found.why
