"""The probe: armed with the act, asked while somebody waits, and heard once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import story
import views
from recorder import ListRecorder

from rollproof.core.abort import LaneCount
from rollproof.core.event import Outcome
from rollproof.core.target import FaultSettings
from rollproof.errors import AbortedError
from rollproof.loadgen.session import LiveCounts
from rollproof.probes.views import those_that_serve
from rollproof.run.abort import AbortProbe


class Load:
    """The counts that the test wants."""

    def __init__(self) -> None:
        self.lost = 0

    def live(self) -> LiveCounts:
        lanes = {"get": LaneCount({"": 5, "http.502": self.lost}, last_good_ns=1, bad_since=0)}
        return LiveCounts(at_ns=2, lanes=lanes)


class Stage:
    def __init__(self) -> None:
        self.load, self.recorder = Load(), ListRecorder()
        self.lost_nodes: set[str] = set()
        self.pods = views.pods(2)
        watches: Any = SimpleNamespace(
            deployment=lambda: views.deployment(spec_replicas=2), nodes_not_ready=lambda: frozenset(self.lost_nodes),
            serving=lambda: those_that_serve(self.pods, {"10.0.0.1", "10.0.0.2"}), asking=nullcontext,
            nodes_beside=self.watch_nodes,
        )  # fmt: skip
        target = story.target(faults=FaultSettings(abort_failures=10, abort_pods=1, abort_nodes=0))
        self.probe = AbortProbe(target, self.load, watches, self.recorder)
        self.watched_nodes = False

    @contextmanager
    def watch_nodes(self, _: Any) -> Iterator[None]:
        self.watched_nodes = True
        yield
        self.watched_nodes = False


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_before_the_act_nothing_counts(stage: Stage) -> None:
    stage.load.lost = 50
    stage.probe.look()
    stage.probe.arm()
    stage.load.lost = 60
    stage.probe.look()
    assert not stage.recorder.events


def test_it_says_so_once_and_it_is_a_fact(stage: Stage) -> None:
    stage.probe.arm()
    stage.load.lost = 11
    with pytest.raises(AbortedError, match="11 requests were lost, 10 are allowed"):
        stage.probe.look()
    stage.probe.look()
    (event,) = stage.recorder.events
    assert (event.source, event.subject, event.what, event.outcome) == ("run", "abort", "aborted", Outcome.UNKNOWN)
    assert (event.data["cause"], event.data["lost"]) == ("failures", 11)
    assert stage.probe.fired


def test_an_outage_by_design_has_a_budget_of_its_own(stage: Stage) -> None:
    stage.probe.arm()
    stage.load.lost = 11
    stage.probe.expect_outage(30.0)
    stage.probe.look()
    stage.probe.expect_outage(0.0)
    with pytest.raises(AbortedError):
        stage.probe.look()


def test_a_pod_that_is_told_to_go_does_not_count_though_its_address_is_there_still(stage: Stage) -> None:
    """As with `publishNotReadyAddresses`."""
    stage.probe.arm()
    stage.pods = views.pods(2, terminating=True)
    with pytest.raises(AbortedError, match="2 pods do not serve, 1 may"):
        stage.probe.look()


def test_pods_that_do_not_serve(stage: Stage) -> None:
    stage.probe.arm()
    stage.pods["web-1"] = replace(stage.pods["web-1"], ready=False)
    stage.probe.look()
    stage.pods = views.pods(2, ready=False)
    with pytest.raises(AbortedError, match="2 pods do not serve, 1 may"):
        stage.probe.look()


def test_a_node_that_the_fault_does_not_name(stage: Stage) -> None:
    """Neither the one that it names nor one that was away before ends the drill; one more does."""
    stage.lost_nodes = {"n1"}
    stage.probe.arm()
    stage.probe.expect_outage(0.0, 0.0, "n2")
    stage.lost_nodes = {"n1", "n2"}
    stage.probe.look()
    stage.lost_nodes = {"n1", "n2", "n3"}
    with pytest.raises(AbortedError, match=r"1 nodes are NotReady that no fault of ours names, 0 may \(n3\)"):
        stage.probe.look()
    assert stage.recorder.events[0].data["cause"] == "nodes"


def test_nodes_are_watched_only_if_they_have_a_limit(stage: Stage) -> None:
    with stage.probe.watching(None):  # type: ignore[arg-type] - the stage watches nothing
        assert stage.watched_nodes
    assert not stage.watched_nodes
    watches: Any = SimpleNamespace(asking=nullcontext)
    with AbortProbe(story.target(), stage.load, watches, stage.recorder).watching(None):  # type: ignore[arg-type]
        pass
