"""Fences and the run lock."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
import story
from fakeapi import FakeApi

from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.core.target import App, Control, Fences, Traffic
from rollproof.errors import FenceError, LockedError
from rollproof.preflight.fences import check_load_fence, check_namespace_fence
from rollproof.preflight.lock import LEASE_NAME, RunLock, lease_release


def test_only_named_namespaces_may_be_changed() -> None:
    check_namespace_fence(story.target(), "shop")
    with pytest.raises(FenceError, match=r"'kube-system' is outside .* \(allowed: shop\)"):
        check_namespace_fence(story.target(), "kube-system")


@pytest.mark.parametrize("url", ["http://example.org/", "http://127.0.0.1.example.org", "http://user@example.org"])
def test_load_goes_to_named_hosts_only(url: str) -> None:
    with pytest.raises(FenceError, match="load may not go to"):
        check_load_fence(story.target(app=App(base_url=url)))
    with pytest.raises(FenceError, match="load may not go to"):
        check_load_fence(story.target(control=Control(url=url)))


def test_the_rate_is_fenced() -> None:
    target = story.target(traffic=Traffic(rate_per_s=500), fences=Fences(namespaces=("shop",), rate_per_s_max=400))
    with pytest.raises(FenceError, match=r"500 requests/s .* \(400\)"):
        check_load_fence(target)
    check_load_fence(replace(target, traffic=Traffic(rate_per_s=400)))


# -- the lock ---------------------------------------------------------------------------------------------------


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def kube(api: FakeApi, tmp_path: Path) -> Iterator[Kube]:
    with api.serve(tmp_path) as kubeconfig:
        yield Kube("fake", str(kubeconfig))


def lease(api: FakeApi) -> dict[str, object]:
    return dict(api.objects["leases", LEASE_NAME]["spec"])


def test_a_lock_is_held_refused_to_others_and_given_back(kube: Kube, api: FakeApi) -> None:
    first, second = RunLock(kube, "shop", "run-1"), RunLock(kube, "shop", "run-2")
    first.acquire()
    with pytest.raises(LockedError, match="another run holds this target: run-1 on"):
        second.acquire()
    assert str(lease(api)["holderIdentity"]).startswith("run-1 ")
    first.release()
    second.acquire()
    second.release()
    assert ("leases", LEASE_NAME) not in api.objects


def test_a_dead_holder_loses_the_lock_when_its_lease_ends(kube: Kube, api: FakeApi) -> None:
    dead = RunLock(kube, "shop", "run-1", lease_s=30)
    dead.acquire()
    dead._stop.set()
    item = api.objects["leases", LEASE_NAME]
    ended = (datetime.now(UTC) - timedelta(seconds=31)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    api.put("leases", {**item, "spec": {**item["spec"], "renewTime": ended}})
    heir = RunLock(kube, "shop", "run-2")
    heir.acquire()
    assert str(lease(api)["holderIdentity"]).startswith("run-2 ")
    dead.release()  # too late: it is not ours any more
    assert str(lease(api)["holderIdentity"]).startswith("run-2 ")
    heir.release()


@pytest.mark.parametrize("off_s", [-3600.0, -90.0, 90.0, 3600.0])
@pytest.mark.parametrize("whose", ["the holder's", "the other's"])
def test_a_machine_with_an_odd_clock_neither_loses_nor_takes_a_lock_that_is_held(
    kube: Kube, monkeypatch: pytest.MonkeyPatch, off_s: float, whose: str
) -> None:
    """Two minutes apart, and the second of two machines took the lock of the first one's live run."""
    held, other = RunLock(kube, "shop", "run-1"), RunLock(Kube("fake", kube.kubeconfig), "shop", "run-2")
    with monkeypatch.context() as here:
        if whose == "the holder's":
            here.setattr("rollproof.preflight.lock.datetime", shifted(off_s))
        held.acquire()
    with monkeypatch.context() as here:
        if whose == "the other's":
            here.setattr("rollproof.preflight.lock.datetime", shifted(off_s))
        with pytest.raises(LockedError, match="another run holds this target: run-1"):
            other.acquire()
        with pytest.raises(LockedError, match="another run holds this target: run-1"):
            other.check_free()
    held.release()


def shifted(off_s: float) -> type[datetime]:
    """The clock of a machine that is so far off."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Shifted:
            return cls.fromtimestamp(time.time() + off_s, tz)

    return Shifted


def test_of_two_at_the_same_moment_one_wins(kube: Kube, api: FakeApi) -> None:
    locks = [RunLock(kube, "shop", f"run-{number}") for number in range(4)]
    won: list[str] = []
    lost: list[str] = []
    gate = threading.Barrier(4)

    def go(lock: RunLock) -> None:
        gate.wait()
        try:
            lock.acquire()
            won.append(lock.run_id)
        except LockedError:
            lost.append(lock.run_id)

    threads = [threading.Thread(target=go, args=(lock,)) for lock in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 3)
    assert str(lease(api)["holderIdentity"]).startswith(f"{won[0]} ")
    for lock in locks:
        lock.release()
    assert ("leases", LEASE_NAME) not in api.objects


def test_of_two_heirs_of_a_dead_run_one_wins(kube: Kube, api: FakeApi) -> None:
    api.put("leases", {"metadata": {"name": LEASE_NAME}, "spec": {}})
    faster = RunLock(kube, "shop", "run-2")

    class Overtaken(Kube):
        def find(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
            found = super().find(kind, namespace, name)
            faster.acquire()
            return found

    with pytest.raises(LockedError, match="at the same moment"):
        RunLock(Overtaken("fake", kube.kubeconfig), "shop", "run-1").acquire()
    assert str(lease(api)["holderIdentity"]).startswith("run-2 ")
    faster.release()


def test_it_is_renewed_while_the_run_lives(kube: Kube, api: FakeApi) -> None:
    lock = RunLock(kube, "shop", "run-1", lease_s=1)
    lock.acquire()
    first = lease(api)["renewTime"]
    with api.changed:
        assert api.changed.wait_for(lambda: lease(api)["renewTime"] != first, timeout=60)
    lock.check()
    lock.release()


def test_a_lock_that_was_lost_is_noticed_and_left_to_its_new_holder(kube: Kube, api: FakeApi) -> None:
    lock = RunLock(kube, "shop", "run-1", lease_s=1)
    lock.acquire()
    item = api.objects["leases", LEASE_NAME]
    theirs = api.put("leases", {**item, "spec": {**item["spec"], "holderIdentity": "run-2 on x (pid 1)"}})
    assert lock._stop.wait(60), "the renewal did not notice"
    with pytest.raises(LockedError, match="lost while the run was under way, to run-2"):
        lock.check()
    lock.release()
    assert api.objects["leases", LEASE_NAME] == theirs


def test_an_api_server_that_is_away_for_a_moment_does_not_end_the_run(kube: Kube, api: FakeApi) -> None:
    lock = RunLock(kube, "shop", "run-1", lease_s=1)
    lock.acquire()
    first = lease(api)["renewTime"]
    api.refuse_next("leases", 503)
    with api.changed:
        assert api.changed.wait_for(lambda: lease(api)["renewTime"] != first, timeout=60)
    lock.check()
    lock.release()


def test_no_right_to_lock_is_not_taken_for_a_lock(kube: Kube, api: FakeApi) -> None:
    api.refusing["leases"] = 403
    with pytest.raises(ApiError, match="403"):
        RunLock(kube, "shop", "run-1").acquire()


def test_the_undo_of_a_killed_run_gives_its_lock_back_once(kube: Kube) -> None:
    killed = RunLock(kube, "shop", "run-1")
    killed.acquire()
    killed._stop.set()
    args = {"namespace": "shop", "run_id": "run-1"}
    assert lease_release(kube, {**args, "run_id": "run"}).how == "not-needed", "a prefix is another run"
    assert lease_release(kube, args).how == "done"
    assert lease_release(kube, args).how == "not-needed"


@pytest.mark.parametrize("then", ["taken", "gone"])
def test_a_lock_that_another_run_takes_over_just_now_is_left_to_it(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """Its lease had ended; whoever takes it over writes into the same object, with the same uid."""
    dead = RunLock(kube, "shop", "run-1")
    dead.acquire()
    dead._stop.set()
    find = Kube.find

    def found(self: Kube, kind: str, namespace: str, name: str) -> Object | None:
        item = find(self, kind, namespace, name)
        monkeypatch.setattr(Kube, "find", find)
        if then == "gone":
            api.remove("leases", LEASE_NAME)
        elif item is not None:
            api.put("leases", {**item, "spec": {**item["spec"], "holderIdentity": "run-2 on another host (pid 1)"}})
        return item

    monkeypatch.setattr(Kube, "find", found)
    assert lease_release(kube, {"namespace": "shop", "run_id": "run-1"}).how == "not-needed"
    assert ("leases", LEASE_NAME) in api.objects or then == "gone"


def test_whether_it_is_free_can_be_asked_without_taking_it(kube: Kube, api: FakeApi) -> None:
    RunLock(kube, "shop", "run-1").check_free()
    assert ("leases", LEASE_NAME) not in api.objects
    held = RunLock(kube, "shop", "run-1")
    held.acquire()
    with pytest.raises(LockedError, match="run-1"):
        RunLock(kube, "shop", "run-2").check_free()
    held.release()


def hold(api: FakeApi, holder: str) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 60, "renewTime": now}
    api.objects["leases", LEASE_NAME] = {"metadata": {"name": LEASE_NAME, "resourceVersion": "1"}, "spec": spec}


def test_nothing_is_undone_under_a_run_that_is_at_work(kube: Kube, api: FakeApi) -> None:
    """Whether its process is gone is told by the folder's lock: a process id may be one of another container (B5)."""
    hold(api, f"run-1 on {socket.gethostname()} (pid 999999999)")
    with pytest.raises(LockedError, match="run-1"):
        RunLock(kube, "shop", "run-1").check_undo(run_ended=False)
    RunLock(kube, "shop", "run-1").check_undo(run_ended=True)  # no need to wait for the lease's end


def test_another_run_is_believed_as_long_as_its_lease_is_fresh(kube: Kube, api: FakeApi) -> None:
    hold(api, "run-2 on elsewhere (pid 999999999)")
    with pytest.raises(LockedError, match="elsewhere"):
        RunLock(kube, "shop", "run-1").check_undo(run_ended=True)
