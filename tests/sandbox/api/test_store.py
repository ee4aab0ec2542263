"""The store by itself: copies, versions, order, what deletion takes along."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollproof_sandbox.api.kinds import KINDS
from rollproof_sandbox.api.patches import MERGE, STRATEGIC, apply_patch
from rollproof_sandbox.api.store import Change, Object, Store, StoreError
from tests.sandbox.api.conftest import DEPLOYMENT, configmap, pod


def test_what_comes_out_is_a_copy() -> None:
    store = Store()
    made = store.create(configmap("a", KEY="1"), manager="test")
    heard: list[Change] = []
    store.subscribe(heard.append)
    for item in (made, store.get("ConfigMap", "shop", "a") or {}, store.list("ConfigMap", "shop")[0]):
        item["data"]["KEY"] = "spoiled"
    store.mutate("ConfigMap", "shop", "a", lambda item: item["data"].update(MORE="2"), manager="test")
    heard[0].object["data"]["KEY"] = "spoiled"
    assert (store.get("ConfigMap", "shop", "a") or {})["data"] == {"KEY": "1", "MORE": "2"}


def test_a_change_of_nothing_is_no_change() -> None:
    store = Store()
    made = store.create(DEPLOYMENT, manager="test")
    heard: list[Change] = []
    store.subscribe(heard.append)
    assert store.mutate("Deployment", "shop", "shop", lambda _: None, manager="other") == made
    assert store.update(made, manager="other") == made
    assert store.patch("Deployment", "shop", "shop", {"spec": {"replicas": 2}}, MERGE, manager="other") == made
    assert heard == []


def test_a_status_is_written_apart_and_is_no_generation() -> None:
    store = Store()
    store.create(DEPLOYMENT, manager="test")

    def change(item: Object) -> None:
        item["status"]["replicas"] = 2
        item["spec"]["replicas"] = 5

    after = store.mutate("Deployment", "shop", "shop", change, manager="test", subresource="status") or {}
    assert (after["spec"]["replicas"], after["status"], after["metadata"]["generation"]) == (2, {"replicas": 2}, 1)
    after = store.mutate("Deployment", "shop", "shop", change, manager="test") or {}
    assert (after["spec"]["replicas"], after["metadata"]["generation"]) == (5, 2)
    owners = {(one["manager"], one.get("subresource", "")) for one in after["metadata"]["managedFields"]}
    assert owners == {("test", ""), ("test", "status")}


def test_everybody_hears_every_change_in_order_also_from_within() -> None:
    store = Store()
    store.create(configmap("a", N="0"), manager="test")
    heard: list[int] = []

    def count(item: Object) -> None:
        item["data"]["N"] = str(int(item["data"]["N"]) + 1)

    def answer(change: Change) -> None:  # a controller that writes when it hears something
        heard.append(change.version)
        if change.manager == "test":
            store.mutate("ConfigMap", "shop", "a", count, manager="controller")

    store.subscribe(answer)

    def write() -> None:
        for _ in range(50):
            store.mutate("ConfigMap", "shop", "a", count, manager="test")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (store.get("ConfigMap", "shop", "a") or {})["data"]["N"] == "400"
    assert len(heard) == 400
    assert all(one < two for one, two in pairwise(heard))


def test_who_unsubscribed_hears_no_more() -> None:
    store = Store()
    heard: list[Change] = []
    end = store.subscribe(heard.append)
    store.create(configmap("a"), manager="test")
    end()
    store.create(configmap("b"), manager="test")
    assert [change.object["metadata"]["name"] for change in heard] == ["a"]


def test_a_deleted_owner_takes_along_what_it_owns() -> None:
    store = Store()
    owner = store.create(DEPLOYMENT, manager="test")
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "uid": owner["metadata"]["uid"]}
    owned = pod("shop-1")
    owned["metadata"]["ownerReferences"] = [reference]
    store.create(owned, manager="test")
    store.create(pod("stranger"), manager="test")
    store.delete("Deployment", "shop", "shop")
    terminating = [one["metadata"]["name"] for one in store.list("Pod") if "deletionTimestamp" in one["metadata"]]
    assert terminating == ["shop-1"]
    store.delete("Pod", "shop", "shop-1", grace_s=0)
    assert [one["metadata"]["name"] for one in store.list("Pod")] == ["stranger"]


def test_a_pod_without_a_node_goes_at_once() -> None:
    store = Store()
    waiting = pod("waiting")
    del waiting["spec"]["nodeName"]
    store.create(waiting, manager="test")
    store.delete("Pod", "shop", "waiting")
    assert store.list("Pod") == []


def test_what_is_not_there() -> None:
    store = Store()
    assert store.get("Pod", "shop", "x") is None
    assert store.delete("Pod", "shop", "x") is None
    assert store.mutate("Pod", "shop", "x", lambda _: None, manager="test") is None
    with pytest.raises(StoreError) as caught:
        store.patch("Pod", "shop", "x", {}, MERGE, manager="test")
    assert (caught.value.status, caught.value.reason) == (404, "NotFound")


def test_a_stale_update_is_a_conflict() -> None:
    store = Store()
    made = store.create(configmap("a", KEY="1"), manager="test")
    store.update({**made, "data": {"KEY": "2"}}, manager="test")
    with pytest.raises(StoreError) as caught:
        store.update({**made, "data": {"KEY": "3"}}, manager="test")
    assert (caught.value.status, caught.value.reason) == (409, "Conflict")


def test_old_versions_can_be_gone() -> None:
    store = Store()
    version = int(store.create(configmap("a"), manager="test")["metadata"]["resourceVersion"])
    store.create(configmap("b"), manager="test")
    missed, end = store.follow(version, lambda _: None)
    end()
    assert [change.object["metadata"]["name"] for change in missed] == ["b"]
    store.expire()
    with pytest.raises(StoreError) as caught:
        store.follow(version + 1, lambda _: None)
    assert (caught.value.status, caught.value.reason) == (410, "Expired")
    assert store.follow(store.version, lambda _: None)[0] == []


_VALUES = st.text(alphabet="abc", max_size=3)
_ENV = st.lists(st.sampled_from("ABCD"), unique=True).flatmap(
    lambda names: st.tuples(*(st.builds(dict, name=st.just(name), value=_VALUES) for name in names)).map(list)
)


@given(_ENV, _ENV)
def test_a_strategic_patch_of_env_is_what_it_says_and_is_done_once(old: list[Object], patch: list[Object]) -> None:
    def item(env: list[Object]) -> Object:
        return {"spec": {"template": {"spec": {"containers": [{"name": "shop", "env": env}]}}}}

    after = apply_patch(KINDS["Deployment"], item(old), item(patch), STRATEGIC)
    found = after["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {one["name"]: one["value"] for one in found} == {one["name"]: one["value"] for one in (*old, *patch)}
    assert len(found) == len({one["name"] for one in found})
    assert apply_patch(KINDS["Deployment"], after, item(patch), STRATEGIC) == after
