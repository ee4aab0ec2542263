"""For how long a pod that was told to end still got requests: a number where it is known, and none where it is not."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from builders import Requests
from story import Story

from rollproof.core.posture import ContainerSeen, DeploymentSeen
from rollproof.core.requests import RequestLog
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers import availability
from rollproof.store.runfolder import RunFolder

HISTORIES = Path(__file__).resolve().parents[3] / "histories" / "good"
PODS = ("", "old-1", "old-2", "new-1")
TOLD = {"old-1": 112.0, "old-2": 118.0}  # when each was told to end, and was gone 6 s later
LAST = {"old-1": 113.5, "old-2": 120.25}  # the last request that each answered was sent then


def story(*, told: dict[str, float] = TOLD, gap: tuple[float, float] | None = None) -> Story:
    """A release of 24 s. The watch was away in the gap."""
    found = Story().release_started()
    found.pod("new-1", "modified", at=110, ready=True, sha="bbbbbbb").pod("new-2", "modified", at=115, ready=True)
    for number, (name, at_s) in enumerate(told.items()):
        uid, ip = f"uid-{name}", f"10.0.0.{number + 1}"
        found.tell("watch", f"Pod/shop/{name}", "modified", at=at_s, uid=uid, terminating=True, ip=ip)
    for name, at_s in TOLD.items():
        found.pod(name, "deleted", at=at_s + 6.0)
    if gap is not None:
        found.tell("watch", "Watch/Pod", "gap", start=gap[0], at=gap[1], lost=False, reason="cut")
    return found.stages().proofs().database()


def log(requests: Requests | None = None, *, last: dict[str, float] = LAST) -> RequestLog:
    """Each old pod answers every third request until then; the control lane and what failed name nobody."""
    built = (requests or Requests()).build()
    rows = built.rows.copy()
    rows["served_by"] = 3
    for number, (name, at_s) in enumerate(last.items()):
        mine = (rows["k"] % 3 == number) & (rows["send_ns"] <= int(at_s * 1e9))
        rows["served_by"][mine] = PODS.index(name)
    rows["served_by"][(rows["lane"] == 3) | (rows["outcome"] > 0)] = 0
    return replace(built, rows=rows, pods=PODS)


def verdict(told: Story | None = None, requests: RequestLog | None = None) -> Verdict:
    told = told or story()
    told.requests = requests if requests is not None else log()
    return availability.check(told.facts())


def known(found: Verdict) -> dict[str, Any]:
    return {name: found.numbers[name] for name in ("endpoint_lag_s", "endpoint_lag_pods") if name in found.numbers}


def test_the_largest_of_the_old_pods_is_a_number_and_the_end_of_the_sentence() -> None:
    found = verdict()
    assert found.result is Result.PASS
    assert found.numbers["endpoint_lag_s"] == pytest.approx(2.25, abs=0.05)
    assert found.numbers["endpoint_lag_pods"] == 2
    assert "pre_stop_s" not in found.numbers, "this run did not look at the Deployment"
    assert found.why.endswith(
        f"; a pod that was told to end got requests for {found.numbers['endpoint_lag_s']:.2f} s more"
    )


@pytest.mark.parametrize(
    ("pre_stop", "pre_stop_s", "app", "expected"),
    [("sleep", 5.0, "web", 5.0), ("", None, "web", 0.0), ("exec", None, "web", None), ("sleep", 5.0, "", None)],
)
def test_it_stands_beside_the_pre_stop_where_that_is_known(
    pre_stop: str, pre_stop_s: float | None, app: str, expected: float | None
) -> None:
    container = ContainerSeen(
        name="web", image="web:1", requests={}, limits={}, pre_stop=pre_stop, pre_stop_s=pre_stop_s
    )
    told = story()
    told.tell("posture", "Deployment/shop/web", "read", at=90.0, **asdict(_deployment(container, app)))
    found = verdict(told)
    assert found.numbers.get("pre_stop_s") == expected
    assert found.why.endswith(f"more (its preStop waits {expected:g} s)" if expected is not None else " s more")


def _deployment(container: ContainerSeen, app: str) -> DeploymentSeen:
    return DeploymentSeen(name="web", app=app, replicas=2, containers=(container,), node_selector={}, configs={})


def test_pods_that_got_nothing_more_are_a_nought_that_is_known() -> None:
    found = verdict(requests=log(last={"old-1": 111.0, "old-2": 117.5}))
    assert known(found) == {"endpoint_lag_s": 0.0, "endpoint_lag_pods": 2}
    assert found.why.endswith("a pod that was told to end got no more requests")


def test_without_the_data_there_is_no_number() -> None:
    nameless = replace(log(), pods=("",))
    nameless.rows["served_by"] = 0
    for found in (verdict(requests=nameless), verdict(story(told={}))):
        assert known(found) == {}
        assert "told to end" not in found.why


def test_a_pod_that_no_answer_ever_named_is_not_counted() -> None:
    found = verdict(requests=log(last={"old-1": 113.5}))
    assert found.numbers["endpoint_lag_s"] == pytest.approx(1.5, abs=0.05)
    assert found.numbers["endpoint_lag_pods"] == 1


def test_of_a_pod_that_may_have_been_asked_in_vain_nothing_is_said() -> None:
    """Its last answer is not the last request that it was sent: a small number would be believed."""
    refused = Requests().fail("keepalive-get", at=114.0, until=114.1, outcome="http.502")
    found = verdict(requests=log(refused))
    assert found.result is Result.FAIL
    assert known(found) == {"endpoint_lag_s": pytest.approx(2.25, abs=0.05), "endpoint_lag_pods": 1}  # of old-2
    late = Requests().fail("keepalive-get", at=121.0, until=121.1, outcome="http.502")
    assert known(verdict(requests=log(late))) == {}, "which of the two had it is not known"
    after = Requests().fail("keepalive-get", at=126.0, until=126.1, outcome="http.502")  # old-1 is gone since 118
    assert known(verdict(requests=log(after))) == {
        "endpoint_lag_s": pytest.approx(1.5, abs=0.05),
        "endpoint_lag_pods": 1,
    }
    control = Requests().fail("control", at=114.0, until=114.1, outcome="http.502")  # it never asks the app
    assert known(verdict(requests=log(control)))["endpoint_lag_pods"] == 2
    long_ago = Requests().fail("keepalive-get", at=104.0, until=104.1, outcome="http.502")
    assert known(verdict(requests=log(long_ago)))["endpoint_lag_pods"] == 2


@pytest.mark.parametrize(("upstream", "pods"), [("[fd00::2]:8080", 1), ("[fd00::3]:8080", 2), ("fd00::2", 2)])
def test_so_is_one_that_it_asked_in_vain_by_its_address_of_ipv6(upstream: str, pods: int) -> None:
    told = story().tell("watch", "Pod/shop/old-2", "modified", at=109, uid="uid-old-2", ip="fd00::2")
    told.events = sorted(told.events, key=lambda event: event.end_s)
    told.tell("ingress", "Ingress", "log", at=140, masked=1, retried=1, upstreams={upstream: 1})
    assert known(verdict(told))["endpoint_lag_pods"] == pods


@pytest.mark.parametrize("what", ["log", "log-unreadable"])
def test_a_pod_that_the_ingress_asked_in_vain_is_not_counted(what: str) -> None:
    told = story().tell("ingress", "Ingress", what, at=140, masked=1, retried=1, upstreams={"10.0.0.2:8080": 1})
    assert known(verdict(told)) == {"endpoint_lag_s": pytest.approx(1.5, abs=0.05), "endpoint_lag_pods": 1}


def test_an_end_that_was_told_late_is_no_beginning() -> None:
    assert verdict(story(gap=(116.0, 117.9))).numbers["endpoint_lag_pods"] == 1
    assert verdict(story(gap=(104.0, 106.0))).numbers["endpoint_lag_pods"] == 2
    assert verdict(story(gap=(116.0, 117.5))).numbers["endpoint_lag_pods"] == 1  # told half a second after it
    assert verdict(story(gap=(116.0, 117.4))).numbers["endpoint_lag_pods"] == 2


def test_a_pod_whose_termination_was_seen_with_its_end_only_is_not_counted() -> None:
    assert verdict(story(told={"old-1": 112.0})).numbers["endpoint_lag_pods"] == 1


def test_a_pod_that_ends_outside_of_the_window_is_somebody_elses() -> None:
    assert verdict(story(told={"old-1": 99.0, "old-2": 118.0})).numbers["endpoint_lag_pods"] == 1


SANDBOX_S, LAB_S = 0.15, 2.0  # the lag that is set there: src/rollproof_sandbox/settings.py, lab/ingress/ingress.yaml


@pytest.mark.parametrize(
    ("name", "drill", "least_s"),
    [
        ("sandbox-sound-load", "zero-downtime", SANDBOX_S),
        ("sandbox-sound-pod-delete", "pod-delete", SANDBOX_S),
        ("all", "zero-downtime", LAB_S),
        ("all-again", "rollback", LAB_S),
        ("node-drain", "node-drain", LAB_S),
        ("background-within-its-rate", "zero-downtime", None),  # what failed names nobody
        ("fault-ingress-reload", "ingress-reload", None),  # no pod was told to end
    ],
)
def test_in_stored_runs_it_is_the_lag_that_was_set(name: str, drill: str, least_s: float | None) -> None:
    with RunFolder.open(HISTORIES / name) as run:
        lag_s = availability.check(run.facts(drill)).numbers.get("endpoint_lag_s")
    assert lag_s is None if least_s is None else lag_s == pytest.approx(least_s + 0.1, abs=0.15)
