"""The watches against a small API server over real HTTP: facts, gaps, waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import story
from fakeapi import FakeApi
from recorder import ListRecorder

from rollproof.clients.argo import Argo
from rollproof.clients.kube import Kube
from rollproof.errors import CannotJudgeError
from rollproof.probes.watches import Watches

NAMESPACE = "shop"


OWNED = [{"kind": "ReplicaSet", "name": "web-h1", "uid": "uid-web-h1", "controller": True}]


def pod(name: str, *, ready: bool = False, **changes: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app": "web", "pod-template-hash": "h1"},
            "ownerReferences": OWNED,
        },
        "spec": {"containers": [{"name": "web", "image": "ghcr.io/shop/web:aaaaaaa"}]},
        "status": {"phase": "Running", "conditions": conditions},
        **changes,
    }


REPLICASET = {
    "metadata": {
        "name": "web-h1", "namespace": NAMESPACE, "uid": "uid-web-h1", "labels": {"app": "web"},
        "ownerReferences": [{"kind": "Deployment", "name": "web", "uid": "uid-web", "controller": True}],
    },
    "spec": {}, "status": {},
}  # fmt: skip
DEPLOYMENT = {
    "metadata": {"name": "web", "namespace": NAMESPACE, "generation": 1, "uid": "uid-web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]},
        "template": {"spec": {"containers": [{"name": "web", "image": "ghcr.io/shop/web:aaaaaaa"}]}},
    },
    "status": {"observedGeneration": 1},
}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    monkeypatch.setattr("rollproof.probes.waiting._WAKE_S", 0.02)  # neither a gap nor what was asked wakes who waits
    fake = FakeApi()
    for plural, item in ("deployments", DEPLOYMENT), ("replicasets", REPLICASET), ("pods", pod("web-1")):
        fake.put(plural, item)
    fake.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": {"sync": {"revision": "r1"}}})
    with fake.serve(tmp_path) as kubeconfig:
        fake.kubeconfig = str(kubeconfig)  # type: ignore[attr-defined]
        yield fake


@pytest.fixture
def recorder() -> ListRecorder:
    return ListRecorder()


@pytest.fixture
def watches(api: FakeApi, recorder: ListRecorder) -> Iterator[Watches]:
    kube = Kube("fake", api.kubeconfig)  # type: ignore[attr-defined]
    with Watches(story.target(), kube, Argo(kube, "argocd", "shop"), recorder) as started:
        yield started


def gaps(recorder: ListRecorder, kind: str = "Pod") -> list[dict[str, Any]]:
    return [dict(event.data) for event in recorder.events if event.what == "gap" and event.subject == f"Watch/{kind}"]


def until(watches: Watches, condition: Any, *, timeout_s: float = 60) -> Any:
    value = watches.poll(condition, timeout_s=timeout_s)
    assert value is not None, f"it did not come within {timeout_s:g} s"
    return value


def test_what_exists_is_known_and_recorded_as_initial_when_start_returns(
    watches: Watches, recorder: ListRecorder
) -> None:
    assert watches.pods()["web-1"].template_hash == "h1"
    assert watches.application().sync_revision == "r1"
    deployment = watches.deployment()
    assert deployment is not None
    assert deployment.spec_replicas == 2
    pod_events = [event for event in recorder.events if event.subject == f"Pod/{NAMESPACE}/web-1"]
    assert [(event.what, event.data["initial"]) for event in pod_events] == [("added", True)]


@pytest.mark.parametrize(
    "different",
    [
        {"ready": False},
        {"address": "10.0.0.9"},
        {"address": "10.0.0.2", "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
        {"address": "10.0.0.2", "metadata": {"ownerReferences": []}},
        {"address": "10.0.0.2", "status": {"phase": "Failed"}},
    ],
)
def test_who_serves(watches: Watches, api: FakeApi, different: dict[str, Any]) -> None:
    addresses = ["10.0.0.1", different.get("address", "10.0.0.2")]
    second = pod("web-2", ready=different.get("ready", True))
    for name, ip, item in (("web-1", "10.0.0.1", pod("web-1", ready=True)), ("web-2", "10.0.0.2", second)):
        item["metadata"]["uid"] = f"uid-{name}"
        item["status"]["podIP"] = ip
        for part in ("metadata", "status") if name == "web-2" else ():
            item[part] |= different.get(part, {})
        api.put("pods", item)
    api.put(
        "endpointslices",
        {
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"addresses": [one], "conditions": {"ready": True}} for one in addresses],
        },
    )
    until(watches, lambda: True if len(watches.endpoints()) == 2 else None)
    until(watches, lambda: True if watches._known("Pod").get("web-2") else None)
    assert list(watches.serving()) == ["web-1"]


def test_all_nodes_are_known_while_they_are_watched_and_are_no_facts(
    watches: Watches, api: FakeApi, recorder: ListRecorder
) -> None:
    def node(name: str, ready: str) -> dict[str, Any]:
        return {
            "metadata": {"name": name},
            "spec": {},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }

    api.put("nodes", node("n1", "True"))
    api.put("nodes", node("n2", "Unknown"))
    with watches.nodes_beside(watches._kube):
        until(watches, lambda: watches.nodes_not_ready() == {"n2"} or None)
        api.put("nodes", node("n1", "False"))
        until(watches, lambda: watches.nodes_not_ready() == {"n1", "n2"} or None)
    assert watches.nodes_not_ready() == frozenset()
    assert not [event for event in recorder.events if event.subject.startswith("Node/")]


@pytest.mark.usefixtures("watches")
def test_only_the_deployments_pods_are_asked_for(api: FakeApi) -> None:
    queries = [query for _, path, query in api.asked if path.endswith("/pods")]
    assert {query["labelSelector"] for query in queries} == {"app=web,tier"}


def test_changes_arrive_as_facts_in_order(watches: Watches, api: FakeApi, recorder: ListRecorder) -> None:
    before_s = time.monotonic()
    api.put("pods", pod("web-2"))
    api.put("pods", pod("web-2", ready=True))
    api.remove("pods", "web-1")
    until(watches, lambda: True if "web-1" not in watches.pods() else None)
    told = [(e.subject.split("/")[-1], e.what) for e in recorder.events if e.start_s >= before_s]
    assert told == [("web-2", "added"), ("web-2", "modified"), ("web-1", "deleted")]


def test_the_fact_is_on_record_before_anybody_can_see_the_change(
    watches: Watches, api: FakeApi, recorder: ListRecorder
) -> None:
    api.put("pods", pod("web-2"))
    until(watches, lambda: watches.pods().get("web-2"))
    recorder.record("release", "Release/x", "rolled-out")
    assert [event.what for event in recorder.events[-2:]] == ["added", "rolled-out"]


def test_a_heartbeat_that_changes_no_word_is_no_fact(watches: Watches, api: FakeApi, recorder: ListRecorder) -> None:
    item = api.objects["applications", "shop"]
    api.put("applications", {**item, "status": {**item["status"], "reconciledAt": "2026-01-01T00:00:09Z"}})
    newest = api.objects["applications", "shop"]["metadata"]["resourceVersion"]
    until(watches, lambda: True if watches.application().resource_version == newest else None)
    assert [e.what for e in recorder.events if e.subject.startswith("Application/")] == ["added"]


@pytest.mark.parametrize("abruptly", [False, True])
def test_a_watch_that_ends_is_resumed_and_loses_nothing(
    watches: Watches, api: FakeApi, recorder: ListRecorder, abruptly: bool
) -> None:
    api.end_watches("pods", abruptly=abruptly)
    api.put("pods", pod("web-2"))
    api.put("pods", pod("web-2", ready=True))
    until(watches, lambda: True if (p := watches.pods().get("web-2")) and p.ready else None)
    until(watches, lambda: True if gaps(recorder) else None)
    assert [e.what for e in recorder.events if e.subject == f"Pod/{NAMESPACE}/web-2"] == ["added", "modified"]
    assert [gap["lost"] for gap in gaps(recorder)] == [False]
    assert sum(1 for m, path, q in api.asked if path.endswith("/pods") and "watch" not in q) == 1, "it listed again"


def test_gone_versions_without_a_change_are_routine(watches: Watches, api: FakeApi, recorder: ListRecorder) -> None:
    api.forget("pods")
    api.end_watches("pods")
    until(watches, lambda: True if gaps(recorder) else None)
    assert [gap["lost"] for gap in gaps(recorder)] == [False]


@contextmanager
def unseen(watches: Watches, api: FakeApi, recorder: ListRecorder, plural: str, kind: str) -> Iterator[None]:
    """What happens inside of the block no watch shows: the version is gone after it, and there is a list alone."""
    api.refusing[f"{plural}?watch"] = 503
    api.end_watches(plural)
    until(watches, lambda: True if api.refused else None)
    yield
    api.forget(plural)
    api.refusing.clear()
    until(watches, lambda: True if gaps(recorder, kind) else None)


def test_gone_versions_with_a_change_in_between_have_lost_facts(
    watches: Watches, api: FakeApi, recorder: ListRecorder
) -> None:
    with unseen(watches, api, recorder, "pods", "Pod"):
        api.put("pods", pod("web-2"))
        api.remove("pods", "web-1")
    assert [gap["lost"] for gap in gaps(recorder)] == [True]
    assert set(watches.pods()) == {"web-2"}
    assert [e.what for e in recorder.events if e.subject == f"Pod/{NAMESPACE}/web-1"] == ["added", "deleted"]


def endpointslice(*addresses: str) -> dict[str, Any]:
    return {"metadata": {"name": "web-1"}, "endpoints": [{"addresses": [one]} for one in addresses]}


def test_what_changed_and_changed_back_is_lost(watches: Watches, api: FakeApi, recorder: ListRecorder) -> None:
    """A list shows what is, and not that an address had left the Service meanwhile."""
    api.put("endpointslices", endpointslice("10.0.0.1", "10.0.0.2"))
    until(watches, lambda: True if watches.endpoints() else None)
    with unseen(watches, api, recorder, "endpointslices", "EndpointSlice"):
        api.put("endpointslices", endpointslice("10.0.0.2"))
        api.put("endpointslices", endpointslice("10.0.0.1", "10.0.0.2"))
    assert [gap["lost"] for gap in gaps(recorder, "EndpointSlice")] == [True]


def test_another_pod_of_the_same_name_is_another(watches: Watches, api: FakeApi, recorder: ListRecorder) -> None:
    """It was deleted and made anew while nobody looked: whoever counts deletions must see one."""
    again = pod("web-1")
    again["metadata"]["uid"] = "another"
    with unseen(watches, api, recorder, "pods", "Pod"):
        api.remove("pods", "web-1")
        api.put("pods", again)
    told = [(e.what, e.data["uid"]) for e in recorder.events if e.subject == f"Pod/{NAMESPACE}/web-1"]
    assert [(what, uid == "another") for what, uid in told] == [("added", False), ("deleted", False), ("added", True)]
    assert [gap["lost"] for gap in gaps(recorder)] == [True]
    assert watches.pods()["web-1"].uid == "another"


def test_a_version_that_is_gone_in_mid_stream_lists_again(
    watches: Watches, api: FakeApi, recorder: ListRecorder
) -> None:
    error = {"code": 410, "reason": "Expired", "message": "too old", "metadata": {"resourceVersion": ""}}
    with api.changed:
        api.version += 1
        api.log.append((api.version, "pods", "ERROR", error))
        api.changed.notify_all()
    until(watches, lambda: True if gaps(recorder) else None)
    assert [gap["lost"] for gap in gaps(recorder)] == [False]
    assert "410" in gaps(recorder)[0]["reason"]
    assert sum(1 for _, path, query in api.asked if path.endswith("/pods") and "watch" not in query) == 2


def test_a_watch_that_never_came_back_has_lost_facts(api: FakeApi, recorder: ListRecorder) -> None:
    kube = Kube("fake", api.kubeconfig)  # type: ignore[attr-defined]
    watches = Watches(story.target(), kube, Argo(kube, "argocd", "shop"), recorder)
    watches.start()
    api.refusing["pods?watch"] = 503
    api.end_watches("pods")
    until(watches, lambda: True if api.refused > 1 else None)
    watches.stop()
    assert [gap["lost"] for gap in gaps(recorder)] == [True]


def test_a_watch_that_is_away_says_so_until_it_is_back(watches: Watches, api: FakeApi) -> None:
    assert watches.away() == ""
    api.refusing["pods?watch"] = 503
    api.end_watches("pods")
    until(watches, lambda: True if watches.away() == "Pod: the server ended the watch" else None)
    api.refusing.clear()
    until(watches, lambda: True if not watches.away() else None)


def test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_frenzy(
    watches: Watches, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollproof.probes.objectwatch._SHORT_S", 60.0)
    pauses: list[float] = []
    wait = watches._stopping.wait
    monkeypatch.setattr(watches._stopping, "wait", lambda timeout=None: pauses.append(timeout) or wait(0.001))
    for _ in range(30):
        api.refuse_next("pods?watch", 200, "OK\n")
    api.end_watches("pods")
    until(watches, lambda: None if any("pods?watch" in part for part, *_ in api.next_answers) else True)
    api.put("pods", pod("web-2"))
    until(watches, lambda: watches.pods().get("web-2"))
    assert pauses == sorted(pauses)
    assert max(pauses) == 2.0


def test_a_change_between_the_look_and_the_wait_is_not_slept_through(
    watches: Watches, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollproof.probes.waiting._WAKE_S", 60.0)
    looks: list[float] = []

    def condition() -> bool | None:
        looks.append(time.monotonic())
        if len(looks) == 1:
            api.put("pods", pod("web-2"))
            while "web-2" not in watches.pods():  # the event arrives while we are still looking
                time.sleep(0.001)
            return None
        return True

    until(watches, condition, timeout_s=120)
    assert looks[1] - looks[0] < 45, "woke up by the clock, not by the event"


def test_a_wait_that_expires_gives_nothing(watches: Watches) -> None:
    assert watches.poll(lambda: None, timeout_s=0.01) is None


def test_a_failing_watch_thread_ends_the_waits_of_others(
    watches: Watches, api: FakeApi, recorder: ListRecorder
) -> None:
    api.put("replicasets", {"metadata": {"name": "odd", "annotations": {"deployment.kubernetes.io/revision": "x"}}})
    with pytest.raises(CannotJudgeError, match=r"ReplicaSet: OutsideDataError: .*odd.*revision must be a whole number"):
        until(watches, lambda: None)
    assert gaps(recorder, "ReplicaSet")[0]["lost"] is True


def test_stop_ends_every_thread_and_wakes_who_waits(watches: Watches) -> None:
    names = {thread.name for thread in threading.enumerate()}
    assert {"watch-Pod", "watch-Application"} <= names
    got: list[object] = []
    waiter = threading.Thread(target=lambda: got.append(watches.poll(lambda: None, timeout_s=60)))
    waiter.start()
    watches.stop()
    waiter.join(timeout=60)
    assert got == [None]
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("watch-")]


def test_calibrate_measures_each_patch_and_records_the_median(
    watches: Watches, api: FakeApi, recorder: ListRecorder
) -> None:
    api.put("leases", {"metadata": {"name": "rollproof"}, "spec": {}})
    delays_ms = watches.calibrate(lease="rollproof", times=3)
    event = recorder.events[-1]
    assert len(delays_ms) == 3
    assert (event.subject, event.what) == ("clock", "calibrated")
    assert event.data["watch_delay_ms"] == delays_ms
    assert event.data["median_ms"] == sorted(delays_ms)[1]


def test_no_right_to_list_is_an_error_of_start(api: FakeApi, recorder: ListRecorder) -> None:
    api.refuse_next("/pods", 403)
    kube = Kube("fake", api.kubeconfig)  # type: ignore[attr-defined]
    with pytest.raises(CannotJudgeError, match="403"):
        Watches(story.target(), kube, Argo(kube, "argocd", "shop"), recorder).start()


def test_argo_cd_may_live_in_another_cluster(tmp_path: Path, recorder: ListRecorder) -> None:
    apps, argos = FakeApi(), FakeApi()
    apps.put("deployments", DEPLOYMENT)
    argos.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": {"sync": {"revision": "r1"}}})
    (tmp_path / "other").mkdir()
    with apps.serve(tmp_path) as here, argos.serve(tmp_path / "other") as there:
        argo = Argo(Kube("fake", str(there)), "argocd", "shop")
        with Watches(story.target(), Kube("fake", str(here)), argo, recorder) as watches:
            argo.refresh()
            until(watches, lambda: True if watches.application().refresh_pending else None)
            assert watches.deployment() is not None
    assert {path.split("/")[-1] for _, path, _ in argos.asked} == {"applications", "shop"}
    assert not [path for _, path, _ in apps.asked if "applications" in path]


def test_a_token_that_expires_during_a_watch_is_renewed(watches: Watches, api: FakeApi, recorder: ListRecorder) -> None:
    api.refuse_next("pods?watch", 401)
    api.end_watches("pods")
    api.put("pods", pod("web-2"))
    until(watches, lambda: watches.pods().get("web-2"))
    until(watches, lambda: True if gaps(recorder) else None)
    assert [gap["lost"] for gap in gaps(recorder)] == [False]


def test_a7_a8_only_the_deployments_living_pods_are_its_pods(
    watches: Watches, api: FakeApi, recorder: ListRecorder
) -> None:
    """An evicted pod of the running ReplicaSet, and the pod of a Job with the same labels, answer for nobody here."""
    job = [{"kind": "Job", "name": "migrate", "uid": "uid-job", "controller": True}]
    evicted, migrate = pod("evicted"), pod("migrate-x", ready=True)
    evicted["status"] = {"phase": "Failed", "reason": "Evicted"}
    migrate["metadata"]["ownerReferences"] = job
    api.put("pods", evicted)
    api.put("pods", migrate)
    api.put("pods", pod("web-2", ready=True))
    until(watches, lambda: True if "web-2" in watches.pods() else None)
    assert set(watches.pods()) == {"web-1", "web-2"}
    told = {event.subject.rpartition("/")[2]: event.data for event in recorder.events if event.what == "added"}
    assert (told["migrate-x"]["member"], told["migrate-x"]["owner"]) == (False, "Job/migrate")
    assert (told["evicted"]["member"], told["evicted"]["phase"]) == (True, "Failed")
    leaving = pod("web-2", ready=False)
    leaving["status"]["phase"] = "Succeeded"
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    api.put("pods", leaving)
    until(watches, lambda: True if watches.pods()["web-2"].terminating else None)


@pytest.mark.parametrize(
    ("plural", "item", "kind"),
    [
        ("pods", pod("web-9"), "Pod"),
        ("deployments", {**DEPLOYMENT, "status": {"observedGeneration": 1, "updatedReplicas": 2}}, "Deployment"),
        (
            "applications",
            {"metadata": {"name": "shop"}, "spec": {}, "status": {"sync": {"revision": "r2"}}},
            "Application",
        ),
    ],
)
def test_a4_a_watch_that_is_silent_about_what_a_list_shows_is_not_believed(
    watches: Watches, api: FakeApi, monkeypatch: pytest.MonkeyPatch, plural: str, item: dict[str, Any], kind: str
) -> None:
    monkeypatch.setattr("rollproof.probes.watches._LOOK_AGAIN_S", 0.01)
    assert watches.away() == ""
    version = api.put("nothing", item)["metadata"]["resourceVersion"]  # nobody watches those
    metadata = {**item["metadata"], "resourceVersion": version, "uid": item["metadata"].get("uid", "uid-new")}
    api.objects[plural, item["metadata"]["name"]] = {**item, "metadata": metadata}
    assert watches.away() == f"{kind}: it is silent, and a list shows something else"


def test_a4_what_a_watch_shows_a_little_later_is_no_silence(watches: Watches, api: FakeApi) -> None:
    threading.Timer(0.1, api.put, args=("pods", pod("web-2"))).start()
    assert watches.away() == ""
    until(watches, lambda: True if "web-2" in watches.pods() else None)
    assert watches.away() == ""
