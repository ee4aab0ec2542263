"""Pods that a fault has left behind are replaced: which ones, one at a time, and what is told where that fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import story
from recorder import ListRecorder
from views import pod

from rollproof.clients.kube import ApiError
from rollproof.core.event import Outcome
from rollproof.core.injection import Injection
from rollproof.core.target import Database, FaultSettings
from rollproof.errors import CannotJudgeError, LockedError, UnansweredError
from rollproof.probes.views import PodView, those_that_serve
from rollproof.run import renewal
from rollproof.run.drill import Run
from rollproof.run.renewal import Renewal, crowded_pod, hanging_pods, is_over, restarted_pods


class Cluster:
    """As the watches and the API show it: a deleted pod is gone, and `next_one` serves in its place."""

    def __init__(self, *pods: tuple[str, PodView]) -> None:
        self.there = dict(pods)
        self.deleted: list[tuple[str, str]] = []
        self.error: Exception | None = None
        self.comes_back = True
        self.databases: list[dict[str, Any]] = []
        self.refused = False

    def pods(self) -> dict[str, PodView]:
        return dict(self.there)

    def serving(self) -> dict[str, PodView]:
        return those_that_serve(self.there, {one.ip for one in self.there.values()})

    def find(self, *_: str) -> Any:
        if self.refused:
            raise ApiError("statefulsets is forbidden", status=403)
        return {"metadata": {"name": "db"}, "spec": {"selector": {"matchLabels": {"app": "db"}}}}

    def list(self, kind: str, namespace: str, *, labels: str) -> Any:
        assert (kind, namespace, labels) == ("Pod", "database", "app=db")
        return {"items": self.databases}

    def poll(self, look: Any, **_: Any) -> Any:
        return look()

    def delete(self, kind: str, namespace: str, name: str, *, uid: str) -> None:
        assert (kind, namespace) == ("Pod", "shop")
        self.deleted.append((name, uid))
        if self.error is not None:
            raise self.error
        del self.there[name]
        if self.comes_back:
            self.there[f"{name}-next"] = pod(f"{name}-next", node="n2")


def renew(cluster: Cluster, recorder: ListRecorder, **settings: Any) -> Renewal:
    target = story.target(faults=FaultSettings(**settings))
    return Renewal(target, cluster, cluster, recorder)  # type: ignore[arg-type] - both sides of it


def database_pod(*, ready: bool) -> dict[str, Any]:
    return {
        "metadata": {"name": "db-0"}, "spec": {"containers": []},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }  # fmt: skip


DATABASE = Database(kind="StatefulSet", namespace="database", name="db")


@pytest.mark.parametrize(
    ("there", "said", "deleted"),
    [
        ([database_pod(ready=False)], Outcome.FAIL, False),
        ([database_pod(ready=False)], Outcome.UNKNOWN, False),  # it hangs, as another one would
        ([], Outcome.FAIL, False),
        ([database_pod(ready=False)], Outcome.OK, True),  # whatever it is, it is not the database
        ([database_pod(ready=True)], Outcome.FAIL, True),  # the database is back, and the pod has not noticed
    ],
)
def test_no_pod_is_deleted_in_vain_where_the_database_itself_is_away(
    there: list[dict[str, Any]], said: Outcome, *, deleted: bool
) -> None:
    cluster, recorder = two(ready=False), ListRecorder()
    cluster.databases = there
    target = story.target(faults=FaultSettings(database=DATABASE))
    renewal = Renewal(target, cluster, cluster, recorder, database_said=lambda _: said)  # type: ignore[arg-type]
    assert renewal.replace_hanging() == (("web-b",) if deleted else ())
    assert bool(cluster.deleted) is deleted
    (event,) = recorder.events
    if not deleted:
        assert (event.what, event.outcome) == ("left", Outcome.UNKNOWN)
        reason = "its database is still away: no pod of StatefulSet/database/db is ready"
        assert event.data == {"pod": "web-b", "reason": reason}


def test_where_nobody_may_look_at_the_database_the_pod_is_replaced() -> None:
    cluster, recorder = two(ready=False), ListRecorder()
    cluster.refused = True
    assert renew(cluster, recorder, database=DATABASE).replace_hanging() == ("web-b",)


def test_a_pod_that_was_restarted_is_replaced_whatever_the_database_does() -> None:
    cluster, recorder = two(), ListRecorder()
    renewal = renew(cluster, recorder, database=DATABASE)
    cluster.there["web-b"] = pod("web-b", restarts=1)
    assert renewal.replace_marked() == ("web-b",)


def two(**second: Any) -> Cluster:
    return Cluster(("web-a", pod("web-a")), ("web-b", pod("web-b", **second)))


def test_a_pod_that_hangs_is_replaced_and_one_that_serves_is_not() -> None:
    cluster, recorder = two(ready=False), ListRecorder()
    assert renew(cluster, recorder).replace_hanging() == ("web-b",)
    assert cluster.deleted == [("web-b", "uid-web-b")]
    (event,) = recorder.events
    assert (event.source, event.subject, event.what, event.outcome) == ("run", "renewal", "replaced", Outcome.OK)
    assert event.data == {"pod": "web-b", "why": "not-serving", "error": ""}


def test_all_hang_and_each_is_replaced_when_the_one_before_serves() -> None:
    cluster = Cluster(("web-a", pod("web-a", ready=False)), ("web-b", pod("web-b", ready=False)))
    recorder = ListRecorder()
    assert renew(cluster, recorder).replace_hanging() == ("web-a", "web-b")
    assert [event.outcome for event in recorder.events] == [Outcome.OK, Outcome.OK]


def test_no_second_one_is_deleted_where_nothing_serves_in_place_of_the_first() -> None:
    cluster = Cluster(("web-a", pod("web-a", ready=False)), ("web-b", pod("web-b", ready=False)))
    cluster.comes_back, recorder = False, ListRecorder()
    assert renew(cluster, recorder).replace_hanging() == ()
    assert [name for name, _ in cluster.deleted] == ["web-a"]
    assert "no other pod served" in recorder.events[-1].data["error"]


@pytest.mark.parametrize(
    "different",
    [{"reason": "ImagePullBackOff"}, {"terminating": True}, {"phase": "Failed"}, {"member": False}],
)
def test_what_would_not_fare_better_anew_or_is_not_the_apps_stays(different: dict[str, Any]) -> None:
    cluster, recorder = two(ready=False, **different), ListRecorder()
    assert renew(cluster, recorder).replace_hanging() == ()
    assert (cluster.deleted, recorder.events) == ([], [])


def test_what_was_restarted_since_the_start_is_replaced_before_the_next_drill() -> None:
    cluster, recorder = two(node="n2", restarts=3), ListRecorder()
    renewal = renew(cluster, recorder)
    assert renewal.replace_marked() == ()  # it was so before the run
    cluster.there["web-b"] = pod("web-b", node="n2", restarts=4)
    assert renewal.replace_marked() == ("web-b",)
    assert [event.data["why"] for event in recorder.events] == ["restarted"]


def test_the_only_pod_that_serves_stays_though_it_was_restarted() -> None:
    cluster, recorder = Cluster(("web-a", pod("web-a"))), ListRecorder()
    renewal = renew(cluster, recorder)
    cluster.there["web-a"] = pod("web-a", restarts=1)
    assert renewal.replace_marked() == ()
    assert cluster.deleted == []


def test_of_pods_that_a_drain_has_put_on_one_node_one_is_replaced() -> None:
    cluster, recorder = two(node="n2"), ListRecorder()
    renewal = renew(cluster, recorder)
    cluster.there = {"web-c": pod("web-c", node="n1"), "web-d": pod("web-d", node="n1")}
    assert renewal.replace_marked() == ("web-c",)
    assert [event.data["why"] for event in recorder.events] == ["crowded"]
    assert crowded_pod({"web-c": pod("web-c")}, 1) == []  # it began on one


def test_nothing_is_deleted_where_the_target_says_so() -> None:
    cluster, recorder = two(ready=False), ListRecorder()
    assert renew(cluster, recorder, renew_pods=False).replace_hanging() == ()
    assert cluster.deleted == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ApiError("pods is forbidden", status=403), "forbidden"),
        (UnansweredError("the API server did not answer"), "did not answer"),
    ],
)
def test_what_cannot_be_done_is_unknown_and_no_other_pod_is_tried(error: Exception, said: str) -> None:
    cluster = Cluster(("web-a", pod("web-a", ready=False)), ("web-b", pod("web-b", ready=False)))
    cluster.error = error
    recorder = ListRecorder()
    assert renew(cluster, recorder).replace_hanging() == ()
    assert [name for name, _ in cluster.deleted] == ["web-a"]
    (event,) = recorder.events
    assert event.outcome is Outcome.UNKNOWN
    assert said in event.data["error"]


def test_a_pod_that_is_gone_already_and_has_no_successor_is_told() -> None:
    cluster, recorder = two(ready=False), ListRecorder()
    cluster.error = ApiError("pods web-b not found", status=404)
    assert renew(cluster, recorder).replace_hanging() == ()
    assert "no other pod served" in recorder.events[-1].data["error"]


def test_a_watch_that_has_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: Any, **__: Any) -> None:
        raise CannotJudgeError("the watch of pods cannot go on")

    cluster, recorder = two(ready=False), ListRecorder()
    monkeypatch.setattr(cluster, "poll", ended)
    assert renew(cluster, recorder).replace_hanging() == ()
    assert recorder.events[-1].data["error"] == "the watch of pods cannot go on"


def test_pure_choices() -> None:
    pods = {"a": pod("a", ready=False), "b": pod("b", restarts=1)}
    assert hanging_pods(pods, frozenset({"uid-b"})) == ["a"]
    assert restarted_pods(pods, {}) == ["b"]
    assert renewal.crowded_pod({}, 2) == []


def test_a_drill_is_over_unless_its_fault_was_not_recovered_from() -> None:
    recorder = ListRecorder()
    recorder.record("fault", "Fault/database-lost", "not-recovered", outcome=Outcome.FAIL, data={})
    drill = recorder.events[-1].drill
    assert not is_over(recorder.events, drill)
    assert is_over(recorder.events, "another")


class TestADrill:
    """Before a drill of several, pods with a memory; after one that was not recovered from, pods that hang."""

    @staticmethod
    def run_of(told: list[str], *, several: bool = True, recovered: bool = True, lost: bool = False) -> Run:
        def check_lock() -> None:
            told.append("lock")
            if lost:
                raise LockedError("another run has it")

        recorder = ListRecorder()
        word = "recovered" if recovered else "not-recovered"
        drill = recorder.record("fault", "Fault/pod-delete", word, data={}).drill
        replaced = SimpleNamespace(
            replace_marked=lambda: told.append("marked"), replace_hanging=lambda: told.append("hanging")
        )
        drills = (drill, "pod-evict") if several else (drill,)
        injection = Injection(
            fault="pod-delete", drill=drill, subject="Pod/shop/web-1", change="", undo="", args={},
            affects_traffic=True, limit_s=60.0, effect_within_s=10.0,
        )  # fmt: skip
        context: Any = SimpleNamespace(
            plan=story.plan(drills=drills, injections=(injection,)), status=lambda _: None, check_lock=check_lock,
            renewal=lambda: replaced, folder=SimpleNamespace(events=lambda: recorder.events), steady=True,
            journal=SimpleNamespace(open_entries=lambda *_: ()), target=story.target(),
        )  # fmt: skip
        return Run(context, drill)

    def test_pods_that_hang_after_the_only_drill(self) -> None:
        told: list[str] = []
        self.run_of(told, several=False, recovered=False).leave()
        assert told == ["lock", "hanging"]

    def test_who_has_recovered_leaves_nothing_behind(self) -> None:
        told: list[str] = []
        self.run_of(told, several=False).leave()
        assert told == []

    def test_nothing_is_deleted_without_the_lock(self) -> None:
        told: list[str] = []
        self.run_of(told, several=False, recovered=False, lost=True).leave()
        assert told == ["lock"]
        with pytest.raises(LockedError):
            self.run_of(told, lost=True).enter()
        assert "marked" not in told

    def test_pods_with_a_memory_before_the_next_drill(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[str] = []
        run = self.run_of(told)
        monkeypatch.setattr(run, "_pass", lambda *_, **__: "no steady state")
        with pytest.raises(CannotJudgeError, match="no steady state"):
            run.enter()
        assert told == ["lock", "marked"]
