"""Endpoints: what a Service, its pods and the lag make of the EndpointSlice and of the ingress's addresses."""

from __future__ import annotations

from itertools import groupby

from rollproof_sandbox.api.store import Object
from rollproof_sandbox.settings import SHAS, Cluster, Settings, Workload
from tests.sandbox.workloads.living import NAME, NAMESPACE, Begin, World

FIRST, SECOND, _ = SHAS


def select(world: World, value: str) -> None:
    def change(item: Object) -> None:
        item["spec"]["selector"]["app"] = value

    world.change(change, kind="Service")


def test_a_slice_names_its_service_its_pods_and_its_port(begin: Begin) -> None:
    world = begin(Settings())
    world.deploy()
    found = world.endpoints()
    assert found is not None
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == NAME
    assert found["metadata"]["ownerReferences"][0]["kind"] == "Service"
    assert [port["port"] for port in found["ports"]] == [world.addresses.port]
    named = {one["targetRef"]["name"] for one in found["endpoints"]}
    assert named == {pod["metadata"]["name"] for pod in world.pods()}
    addresses = [f"{ip}:{world.addresses.port}" for ip in world.ready_addresses()]
    world.until(lambda: world.routes[-1:] == [(addresses, False)], "the ingress to be told")


def test_a_terminating_pod_serves_but_is_not_ready(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(prestop_s=0.5)))
    world.deploy()
    pod = world.pods()[0]
    world.store.delete("Pod", NAMESPACE, pod["metadata"]["name"], manager="kubectl-delete")

    def conditions() -> list[tuple[bool, bool, bool]]:
        told = [
            (one["conditions"]["ready"], one["conditions"]["serving"], one["conditions"]["terminating"])
            for change in world.changes
            if change.kind == "EndpointSlice"
            for one in change.object.get("endpoints") or ()
            if one["addresses"] == [pod["status"]["podIP"]]
        ]
        return [one for one, _ in groupby(told)]

    world.until(lambda: world.store.get("Pod", NAMESPACE, pod["metadata"]["name"]) is None)
    world.until(lambda: len(world.ready_addresses()) == 2)
    assert conditions() == [(False, False, False), (True, True, False), (False, True, True)]


def test_selector_drift_empties_the_endpoints_and_its_repair_fills_them(begin: Begin) -> None:
    world = begin(Settings())
    world.deploy()
    world.until(lambda: len(world.routes[-1][0]) == 2, "the first routes")
    before = world.endpoints() or {}
    select(world, "nobody")
    world.until(lambda: world.routes[-1][0] == [], "no route")
    after = world.endpoints() or {}
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert not after.get("endpoints")
    select(world, NAME)
    world.until(lambda: len(world.routes[-1][0]) == 2, "the routes")
    assert (world.endpoints() or {})["endpoints"] == before["endpoints"]


def test_a_deleted_service_takes_its_slice_and_a_new_one_gets_a_new_slice(begin: Begin) -> None:
    world = begin(Settings())
    world.deploy()
    before = world.endpoints() or {}
    world.store.delete("Service", NAMESPACE, NAME, manager="kubectl-delete")
    world.until(lambda: world.endpoints() is None and world.routes[-1][0] == [])
    world.serve()
    world.until(lambda: len(world.routes[-1][0]) == 2, "the routes")
    assert (world.endpoints() or {})["metadata"]["uid"] != before["metadata"]["uid"]
    assert world.ready_addresses() == sorted(one["addresses"][0] for one in before["endpoints"])


def test_the_lag_delays_every_change_of_a_pod_and_hides_none(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(prestop_s=0.0), cluster=Cluster(endpoint_lag_s=1.0)))
    world.deploy()
    world.release(SECOND)
    world.until_rolled_out()
    new = [pod["status"]["podIP"] for pod in world.pods(SECOND)]
    assert not set(new) <= set(world.ready_addresses())  # available, and not yet in the slice
    world.until(lambda: set(new) == set(world.ready_addresses()))
    pieces = [change.object.get("endpoints") or () for change in world.changes if change.kind == "EndpointSlice"]
    sizes = [sum(one["conditions"]["ready"] for one in piece) for piece in pieces]
    assert [size for size, _ in groupby(sizes)][-5:] == [2, 3, 2, 3, 2]


def test_a_change_of_the_service_does_not_wait_for_the_lag(begin: Begin) -> None:
    world = begin(Settings(cluster=Cluster(endpoint_lag_s=1.0)))
    world.deploy()
    begun = len(world.changes)
    select(world, "nobody")
    world.until(lambda: world.ready_addresses() == [])
    assert {change.kind for change in world.changes[begun:]} == {"Service", "EndpointSlice"}


def test_the_ingress_hears_when_the_first_rollout_has_begun(begin: Begin) -> None:
    world = begin(Settings(workload=Workload(prestop_s=0.0)))
    world.deploy()
    world.until(lambda: len(world.routes[-1][0]) == 2)
    assert not any(rolled_out for _, rolled_out in world.routes)
    begun = len(world.routes)
    world.release(SECOND)
    world.until_rolled_out()
    world.until(lambda: len(world.routes) > begun)
    assert all(rolled_out for _, rolled_out in world.routes[begun:])
