from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.podlives import pod_lives
from rollproof.core.requests import RequestLog
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.diagnose import explain
from rollproof.judge.diagnose.causes import causes
from rollproof.reports.model import Report

# The release of the made-up run: new pods Ready at 22.3 and 29.1 s, old ones terminating at 22.5 and 29.3 s,
# out of the Service at 22.7 and 29.7 s, gone at 33.2 and 40.0 s (all + 1000 s on the timeline's clock).
TERMINATING, GONE, READY = 29.3, 40.0, 29.1
BASE = 1000.0


@pytest.fixture
def facts(report: Report) -> Facts:
    return report.facts["zero-downtime"]


def failing(facts: Facts, at: Iterable[float], outcome: str, **columns: Any) -> Facts:
    """Only these requests fail, sent at these seconds; `columns` set more of their row."""
    log = facts.requests
    assert isinstance(log, RequestLog)
    rows = log.rows.copy()
    rows["outcome"] = 0
    outcomes = (*log.outcomes, outcome)
    moments = np.array(sorted(at)) + BASE
    chosen = np.searchsorted(rows["send_ns"], moments * 1e9)
    took_s = columns.pop("took_s", 0.002)
    rows["lane"][chosen] = 0
    rows["reused"][chosen] = True
    rows["served_by"][chosen] = 0
    rows["outcome"][chosen] = len(outcomes) - 1
    rows["done_ns"][chosen] = rows["send_ns"][chosen] + int(took_s * 1e9)
    for name, value in columns.items():
        rows[name][chosen] = value
    return replace(facts, requests=replace(log, rows=rows, outcomes=outcomes))


def found(facts: Facts) -> list[str]:
    return [finding.code for finding in causes(facts)]


def with_event(facts: Facts, event: Event) -> Facts:
    events = sorted((*facts.events, event), key=lambda one: one.start_s)
    return replace(facts, events=tuple(events))


def pod_event(at: float, name: str, **data: Any) -> Event:
    base = {"uid": f"uid-{name}", "ip": "", "ready": False, "terminating": False}
    return Event(
        900, BASE + at, BASE + at, "w", "", "watch", f"Pod/shop/{name}", "modified", Outcome.OK, {**base, **data}
    )


def test_failures_right_after_termination_mean_no_prestop(facts: Facts) -> None:
    broken = failing(facts, np.arange(TERMINATING + 0.05, TERMINATING + 0.4, 0.05), "http.502", lane=1)
    assert found(broken) == ["PRESTOP_MISSING"]
    finding = causes(broken)[0]
    assert "left the Service after 0.40 s" in finding.text
    assert "preStop sleep of at least 6 s" in finding.hint


def test_failures_later_after_termination_mean_prestop_too_short(facts: Facts) -> None:
    broken = failing(facts, np.arange(TERMINATING + 2.1, TERMINATING + 5.2, 0.1), "http.502")
    assert found(broken) == ["PRESTOP_TOO_SHORT"]
    assert "at least 8 s" in causes(broken)[0].hint


def test_of_one_pod_and_of_one_template_one_thing_is_said_of_its_prestop(facts: Facts) -> None:
    early, late = np.arange(TERMINATING + 0.05, TERMINATING + 0.4, 0.05), np.arange(TERMINATING + 3.1, 34.1, 0.1)
    assert found(failing(facts, late, "http.502", lane=1)) == ["PRESTOP_TOO_SHORT"]
    (finding,) = causes(failing(facts, np.concatenate((early, late)), "http.502", lane=1))
    assert finding.code == "PRESTOP_MISSING"
    assert finding.numbers["failures"] == len(early) + len(late)
    assert finding.numbers["prestop_s"] == 7.0  # covers the latest failure, not the first burst
    assert "at least 7 s" in finding.hint
    first_pod = np.arange(24.6, 24.9, 0.05)  # of the other old pod, 2.1 s after it was told
    (both,) = causes(failing(facts, np.concatenate((first_pod, early)), "http.502", lane=1))
    assert (both.code, both.text.split()[0]) == ("PRESTOP_MISSING", "shop-6f9c-bbbbb")


def ended(facts: Facts, name: str, told_s: float) -> Facts:
    """A pod of the app that was told to end, and was gone 0.6 s later."""
    for at_s, state in ((told_s - 9.0, {"ready": True}), (told_s, {"ready": True, "terminating": True})):
        facts = with_event(facts, pod_event(at_s, name, member=True, **state))
    return with_event(facts, replace(pod_event(told_s + 0.6, name, member=True), what="deleted"))


def test_of_two_pods_that_ended_the_one_that_was_gone_nearest_to_the_failures_is_blamed(facts: Facts) -> None:
    broken = failing(facts, np.arange(TERMINATING + 0.15, TERMINATING + 0.5, 0.05), "http.502", lane=1)
    early = ended(broken, "shop-6f9c-earlier", TERMINATING - 3.0)
    assert "shop-6f9c-earlier" in causes(early)[0].text  # the fixture's own is there for 10 s more
    both = ended(early, "shop-6f9c-later", TERMINATING)
    assert found(both) == ["PRESTOP_MISSING"]
    assert "shop-6f9c-later" in causes(both)[0].text


def test_a_request_under_way_when_the_pod_stopped_is_dated_by_its_end_and_a_silent_one_by_its_sending(
    facts: Facts,
) -> None:
    early = np.arange(TERMINATING + 0.8, TERMINATING + 2.4, 0.1)
    assert found(failing(facts, early, "read.truncated", took_s=0.4)) == ["PRESTOP_TOO_SHORT"]
    assert found(failing(facts, early, "read.timeout", took_s=0.4)) == ["PRESTOP_MISSING"]


def test_failures_of_the_new_pod_mean_that_readiness_lies(facts: Facts) -> None:
    new_pod = 4  # the index of shop-7d4b-ddddd
    broken = failing(facts, np.arange(READY + 0.05, READY + 0.15, 0.02), "http.502", served_by=new_pod)
    assert found(broken) == ["READINESS_LIES"]


def test_a_pod_that_was_there_before_and_terminates_while_ready_did_not_get_ready_then(facts: Facts) -> None:
    ending = with_event(facts, pod_event(TERMINATING - 0.01, "shop-6f9c-bbbbb", ready=True, terminating=True))
    assert [life.ready_s for life in pod_lives(ending) if life.name == "shop-6f9c-bbbbb"] == [None]


def test_a_pod_that_loses_its_readiness_again_lied(facts: Facts) -> None:
    broken = failing(facts, np.arange(31.0, 32.0, 0.1), "http.503")
    broken = with_event(broken, pod_event(31.8, "shop-7d4b-ddddd"))
    assert found(broken) == ["READINESS_LIES"]
    assert "lost its readiness" in causes(broken)[0].text


def endpoints(at: float, ready: list[str]) -> Event:
    data = {"ready": ready}
    return Event(
        901, BASE + at, BASE + at, "w", "", "watch", "EndpointSlice/shop/shop-x1", "modified", Outcome.OK, data
    )


def test_no_endpoint_and_one_endpoint_are_told_apart(facts: Facts) -> None:
    broken = failing(facts, np.arange(24.0, 24.5, 0.05), "http.503")
    assert found(with_event(broken, endpoints(23.9, []))) == ["NO_READY_ENDPOINT"]
    assert found(with_event(broken, endpoints(23.9, ["10.244.1.19"]))) == ["ONE_ENDPOINT"]
    assert "ENDPOINT" not in found(broken)[0]


@pytest.mark.parametrize(("gone_s", "alone"), [(24.5, True), (25.8, False)])
def test_one_endpoint_explains_what_was_lost_while_there_was_one(facts: Facts, gone_s: float, *, alone: bool) -> None:
    broken = failing(facts, np.arange(24.0, 26.0, 0.05), "http.503")
    broken = with_event(
        with_event(broken, endpoints(20.0, ["10.244.1.19", "10.244.2.7"])), endpoints(gone_s, ["10.244.1.19"])
    )
    assert (found(broken) == ["ONE_ENDPOINT"]) is alone, "two were ready for most of it: nobody asked the other one"


@pytest.mark.parametrize(
    "end", [{"reason": "Error"}, {"restarts": 1}, {"phase": "Failed", "reason": "Evicted"}], ids=str
)
def test_a_pod_whose_container_ended_did_not_lie_about_its_readiness(facts: Facts, end: dict[str, Any]) -> None:
    broken = failing(facts, np.arange(31.0, 32.0, 0.1), "http.502")
    gone = with_event(broken, pod_event(31.8, "shop-7d4b-ddddd", **end))
    assert found(gone) == ["CONTAINER_ENDED"]
    assert "shop-7d4b-ddddd ended by itself" in causes(gone)[0].text
    named = failing(gone, np.arange(31.0, 32.0, 0.1), "http.502", served_by=3)
    assert found(named) == ["BAD_ANSWERS"], "they name another pod"


STRANGER = {"ready": True, "member": False, "in_service": True, "owner": "Job/x"}


def test_a_stranger_that_has_served_well_all_the_time_is_not_to_blame(facts: Facts) -> None:
    broken = failing(facts, np.arange(TERMINATING + 0.05, TERMINATING + 0.4, 0.05), "http.502", lane=1)
    there = with_event(broken, pod_event(1.0, "batch-x", **STRANGER))
    assert found(there) == ["PRESTOP_MISSING"]
    left = with_event(there, pod_event(TERMINATING + 2.0, "batch-x", **{**STRANGER, "ready": False}))
    assert found(left) == ["OTHERS_IN_SERVICE"], "it has gone at that time"


def test_no_stranger_is_to_blame_for_what_a_proxy_refuses(facts: Facts) -> None:
    broken = with_ingress_log(failing(facts, np.arange(50.0, 51.0, 0.1), "connect.ECONNREFUSED", lane=2, reused=False))
    assert found(with_event(broken, pod_event(49.0, "batch-x", **STRANGER))) == ["LISTENER_CLOSED"]


def test_one_endpoint_is_no_cause_where_the_other_pod_had_stopped_serving(facts: Facts) -> None:
    broken = failing(facts, np.arange(TERMINATING + 0.05, TERMINATING + 0.4, 0.05), "http.502")
    assert found(with_event(broken, endpoints(TERMINATING, ["10.244.1.19"]))) == ["PRESTOP_MISSING"]


def test_one_failure_of_a_pod_that_serves_does_not_mean_that_it_was_not_ready(facts: Facts) -> None:
    new_pod = 4
    assert found(failing(facts, [READY + 1.0], "body.wrong", served_by=new_pod)) == ["BAD_ANSWERS"]
    assert "READINESS_LIES" not in found(failing(facts, [READY + 1.0], "http.500"))


def test_single_failures_over_the_whole_time_are_no_step_of_the_rollout(facts: Facts) -> None:
    alone = np.arange(16.0, 44.0, 2.9)
    broken = failing(facts, alone, "http.502", reused=False)
    (finding,) = causes(broken)
    assert (finding.code, finding.numbers["failures"]) == ("SCATTERED", len(alone))
    assert found(failing(facts, alone, "http.502")) == found(failing(facts, alone, "read.eof"))  # connections alone
    assert "SCATTERED" not in found(failing(facts, alone, "read.eof"))
    assert "SCATTERED" not in found(failing(facts, alone[alone < 30.0], "http.502", reused=False))
    assert "SCATTERED" not in found(failing(facts, alone, "body.wrong", reused=False))
    crowd = np.concatenate((alone, np.arange(29.4, 29.9, 0.01)))
    assert "SCATTERED" not in found(failing(facts, crowd, "http.502", reused=False))


def test_long_requests_cut_when_their_pod_ends(facts: Facts) -> None:
    broken = failing(facts, [GONE - 0.4, GONE - 0.3], "read.eof", lane=3, took_s=0.35)
    assert found(broken) == ["IN_FLIGHT_CUT"]
    assert "10.7 s after it began to terminate" in causes(broken)[0].text


def test_what_a_late_generator_may_have_made_needs_no_cause_and_what_it_cannot_make_has_another(facts: Facts) -> None:
    def late(outcome: str) -> list[str]:
        broken = failing(facts, np.arange(TERMINATING + 0.05, TERMINATING + 0.4, 0.05), outcome, lane=1)
        assert broken.requests is not None
        spans = np.array([[int((BASE + TERMINATING) * 1e9), 500_000_000]], dtype=np.int64)
        engine = replace(broken.requests.engine, late_ns=spans)
        return found(replace(broken, requests=replace(broken.requests, engine=engine)))

    assert late("read.timeout") == []
    assert late("http.502") == ["PRESTOP_MISSING"]


# Failures of which each rule says something; `test_no_rule_...` puts them where no verdict counts them.
STEPS: dict[str, tuple[Iterable[float], str, dict[str, Any]]] = {
    "PRESTOP_MISSING": (np.arange(TERMINATING + 0.05, TERMINATING + 0.4, 0.05), "http.502", {"lane": 1}),
    "PRESTOP_TOO_SHORT": (np.arange(TERMINATING + 2.1, TERMINATING + 5.2, 0.1), "http.502", {}),
    "READINESS_LIES": (np.arange(READY + 0.05, READY + 0.15, 0.02), "http.502", {"served_by": 4}),
    "IN_FLIGHT_CUT": ([GONE - 0.4, GONE - 0.3], "read.eof", {"lane": 3, "took_s": 0.35}),
    "KEEPALIVE_RACE": ([50.0], "read.eof", {}),
    "INGRESS_RELOAD": ([50.0, 50.02, 50.04, 50.06], "read.ECONNRESET", {}),
    "LISTENER_CLOSED": (np.arange(50.0, 51.0, 0.1), "connect.ECONNREFUSED", {"lane": 2, "reused": False}),
    "BAD_ANSWERS": (np.arange(READY + 3.2, READY + 3.7, 0.1), "http.503", {"served_by": 4}),
    "NO_ANSWER_IN_TIME": (np.arange(50.0, 50.5, 0.1), "read.timeout", {"took_s": 0.6}),
    "SCATTERED": (np.arange(16.0, 44.0, 2.9), "http.502", {"reused": False}),
    "NO_READY_ENDPOINT": (np.arange(24.0, 24.5, 0.05), "http.503", {}),
    "ONE_ENDPOINT": (np.arange(24.0, 24.5, 0.05), "http.503", {}),
    "OTHERS_IN_SERVICE": (np.arange(24.0, 24.5, 0.05), "http.503", {}),
    "CONTAINER_ENDED": (np.arange(31.0, 32.0, 0.1), "http.502", {}),
    "INJECTED": (np.arange(36.0, 37.0, 0.1), "read.timeout", {"took_s": 2.0}),
    "UNEXPLAINED": (np.arange(50.0, 51.0, 0.1), "body.wrong", {}),
}


def told_of(code: str, facts: Facts) -> Facts:
    """The timeline that the rule wants beside its failures."""
    if code == "NO_READY_ENDPOINT":
        return with_event(facts, endpoints(23.9, []))
    if code == "ONE_ENDPOINT":
        return with_event(facts, endpoints(23.9, ["10.244.1.19"]))
    if code == "OTHERS_IN_SERVICE":
        stranger = {"ready": True, "member": False, "in_service": True, "owner": "Job/x"}
        return with_event(facts, pod_event(20.0, "batch-x", **stranger))
    if code == "CONTAINER_ENDED":
        return with_event(facts, pod_event(31.8, "shop-7d4b-ddddd", reason="OOMKilled"))
    return TestInjected().faulted(facts) if code == "INJECTED" else facts


def uncounted(facts: Facts, how: str) -> Facts:
    """The same failures where no verdict counts them: its lateness made them, or the control lane failed."""
    log = facts.requests
    assert log is not None
    rows, outcomes = log.rows.copy(), log.outcomes
    bad = rows["outcome"] > 0
    if how == "late":
        outcomes = (*outcomes, "read.timeout")
        rows["outcome"][bad] = len(outcomes) - 1
        return replace(
            facts, requests=replace(log, rows=rows, outcomes=outcomes, engine=replace(log.engine, cpu_s=1e9))
        )
    control = rows["lane"] == log.lanes.index(log.control)
    rows["outcome"][control] = len(outcomes) - 1
    return replace(facts, requests=replace(log, rows=rows))


def test_every_rule_has_failures_that_it_explains(facts: Facts) -> None:
    said = {
        code: found(failing(told_of(code, facts), at, outcome, **more)) for code, (at, outcome, more) in STEPS.items()
    }
    assert said == {code: [code] for code in STEPS}
    names = ("diagnose.causes", "diagnose.scattered", "checkers.others")
    files = [import_module(f"rollproof.judge.{name}").__file__ for name in names]
    source = "".join(Path(file or "").read_text() for file in files)
    assert {*re.findall(r'Finding\(\s*"([A-Z_]+)"', source), "INJECTED"} == {*STEPS, "CONTROL_SUFFERED"}


@pytest.mark.parametrize("how", ["late", "control"])
@pytest.mark.parametrize("code", STEPS)
def test_no_rule_speaks_of_failures_that_no_verdict_counts(facts: Facts, code: str, how: str) -> None:
    at, outcome, more = STEPS[code]
    assert found(uncounted(failing(told_of(code, facts), at, outcome, **more), how)) == []
    assert found(failing(told_of(code, facts), np.arange(58.0, 58.5, 0.1), outcome, **more)) == []  # after the window


def test_a_control_lane_that_suffers_too_acquits_the_app(facts: Facts) -> None:
    broken = failing(facts, np.arange(24.0, 24.5, 0.05), "connect.timeout")
    log = broken.requests
    assert log is not None
    log.rows["lane"][np.flatnonzero(log.rows["outcome"])[3]] = log.lanes.index("control")
    assert found(broken) == ["CONTROL_SUFFERED"]


def test_a_single_reset_far_from_any_step_is_a_race(facts: Facts) -> None:
    assert found(failing(facts, [17.0, 50.0], "read.eof", idle_ms=5000.0)) == ["KEEPALIVE_RACE"]


def test_many_reused_connections_closed_at_once_mean_a_reload(facts: Facts) -> None:
    assert found(failing(facts, [50.0, 50.02, 50.04, 50.06], "read.ECONNRESET")) == ["INGRESS_RELOAD"]


def test_refused_connections_alone_mean_a_closed_listener(facts: Facts) -> None:
    broken = failing(facts, np.arange(50.0, 51.0, 0.1), "connect.ECONNREFUSED", lane=2, reused=False)
    assert found(broken) == ["LISTENER_CLOSED"]


def with_ingress_log(facts: Facts) -> Facts:
    data = {"lines": 100, "matched": 100, "retried": 0, "masked": 0, "upstreams": {}}
    return with_event(facts, Event(950, BASE + 70, BASE + 70, "w", "", "ingress", "Ingress", "log", Outcome.OK, data))


@pytest.mark.parametrize(
    ("outcome", "columns", "code"),
    [
        ("connect.ECONNREFUSED", {"lane": 2, "reused": False}, "LISTENER_CLOSED"),
        ("read.eof", {}, "INGRESS_RELOAD"),
    ],
)
def test_behind_a_proxy_a_lost_client_connection_is_no_pods_fault(
    facts: Facts, outcome: str, columns: dict[str, Any], code: str
) -> None:
    """At a step of the rollout: without a proxy that answers for the pods, the pod that goes is blamed."""
    broken = failing(facts, np.arange(TERMINATING + 0.05, TERMINATING + 0.15, 0.02), outcome, **columns)
    direct = replace(broken, events=tuple(one for one in broken.events if one.source != "ingress"))
    assert found(direct) == ["PRESTOP_MISSING"]
    assert found(with_ingress_log(broken)) == [code]
    assert found(with_ingress_log(failing(facts, [TERMINATING + 0.1], "http.502", lane=1))) == ["PRESTOP_MISSING"]


def test_whole_but_wrong_answers_of_ready_pods_are_named_with_their_pods(facts: Facts) -> None:
    late = READY + 3.2  # while the last old pod terminates, which the answers do not name
    broken = failing(facts, np.arange(late, late + 0.5, 0.1), "http.503", served_by=4)
    assert found(broken) == ["BAD_ANSWERS"]
    assert "shop-7d4b-ddddd" in causes(broken)[0].text
    assert found(failing(facts, np.arange(late, late + 0.5, 0.1), "http.503")) == ["PRESTOP_TOO_SHORT"]


def test_silence_at_no_step_of_the_rollout_is_a_stall(facts: Facts) -> None:
    broken = failing(facts, np.arange(50.0, 50.5, 0.1), "read.timeout", took_s=0.6)
    assert found(broken) == ["NO_ANSWER_IN_TIME"]
    assert "0.6 s" in causes(broken)[0].text


def test_what_nothing_explains_is_called_so(facts: Facts) -> None:
    broken = failing(facts, np.arange(50.0, 51.0, 0.1), "body.wrong")
    assert found(broken) == ["UNEXPLAINED"]
    assert "body.wrong" in causes(broken)[0].text


def test_failures_before_the_act_and_own_failures_have_no_cause(facts: Facts) -> None:
    assert found(failing(facts, [5.0, 6.0], "http.502")) == []
    assert found(failing(facts, [24.0], "unfinished")) == []
    assert found(replace(facts, requests=None)) == []


def test_the_same_cause_is_told_once(facts: Facts) -> None:
    moments = [22.6, 22.7, TERMINATING + 0.1, TERMINATING + 0.2]
    assert found(failing(facts, moments, "http.502", lane=1)) == ["PRESTOP_MISSING"]


def test_only_an_availability_failure_is_explained_and_no_result_changes(facts: Facts, report: Report) -> None:
    broken = failing(facts, [TERMINATING + 0.1], "http.502", lane=1)
    verdicts = report.verdicts
    said = explain(broken, verdicts)
    assert [verdict.result for verdict in said] == [verdict.result for verdict in verdicts]
    changed = [after.checker for before, after in zip(verdicts, said, strict=True) if before != after]
    assert changed == ["availability"]
    assert explain(broken, [Verdict("availability", "x", Result.PASS, "fine")])[0].findings == ()


class TestInjected:
    """Beside a drift or a fault: it is named, and what speaks of a rollout is not said."""

    FAULT = (("injecting", 21.0), ("injected", 21.1), ("effect", 22.0), ("recovered", 41.0), ("undone", 41.0))

    def faulted(self, facts: Facts) -> Facts:
        """The same pods and endpoints, but it was a fault that made them go."""
        kept = [event for event in facts.events if event.source not in ("release", "proof")]
        told = [
            Event(900, BASE + at, BASE + at, "w", "", "fault", "Fault/node-drain", what, Outcome.OK, {})
            for what, at in self.FAULT
        ]
        return replace(facts, events=tuple(sorted((*kept, *told), key=lambda event: event.start_s)))

    def test_a_pod_that_was_told_to_go_is_blamed_and_the_fault_is_named(self, facts: Facts) -> None:
        broken = failing(
            self.faulted(facts), np.arange(TERMINATING + 0.05, TERMINATING + 0.4, 0.05), "http.502", lane=1
        )
        (finding,) = causes(broken)
        assert finding.code == "PRESTOP_MISSING"
        assert finding.text.endswith("; the fault node-drain was injected 8.4 s before")

    def test_a_pod_that_was_just_gone_needs_no_prestop(self, facts: Facts) -> None:
        gone = [
            event for event in self.faulted(facts).events
            if not (event.subject.startswith("Pod/") and event.what == "modified" and event.data["terminating"])
        ]  # fmt: skip
        broken = failing(replace(facts, events=tuple(gone)), np.arange(GONE - 0.1, GONE + 0.3, 0.05), "http.502")
        (finding,) = causes(broken)
        assert finding.code == "INJECTED"

    def test_where_nothing_nearer_explains_it_the_fault_is_the_cause(self, facts: Facts) -> None:
        broken = failing(self.faulted(facts), np.arange(36.0, 37.0, 0.1), "read.timeout", took_s=2.0)
        (finding,) = causes(broken)
        assert finding.code == "INJECTED"
        assert finding.text.startswith(
            "the fault node-drain was injected 15.0 s before 10 failures (read.timeout) on get"
        )

    def test_long_after_it_the_fault_explains_nothing(self, facts: Facts) -> None:
        broken = failing(self.faulted(facts), np.arange(47.0, 48.0, 0.1), "read.timeout", took_s=2.0)
        (finding,) = causes(broken)
        assert finding.code == "NO_ANSWER_IN_TIME"
        assert finding.text.endswith("at no step of the fault")

    def test_readiness_that_a_fault_took_away_is_no_lie(self, facts: Facts) -> None:
        name = next(life.name for life in pod_lives(facts) if life.terminating_s is None)
        told = with_event(self.faulted(facts), pod_event(36.0, name, ready=False))
        broken = failing(told, np.arange(36.1, 36.6, 0.1), "read.timeout")
        assert found(broken) == ["INJECTED"]

    def test_no_ready_endpoint_is_said_of_every_act(self, facts: Facts) -> None:
        none = Event(
            900, BASE + 25, BASE + 25, "w", "", "watch", "EndpointSlice/shop/shop-x1", "modified", Outcome.OK,
            {"ready": []},
        )  # fmt: skip
        broken = failing(with_event(self.faulted(facts), none), np.arange(25.1, 26.0, 0.1), "http.503")
        (finding,) = causes(broken)
        assert finding.code == "NO_READY_ENDPOINT"
        assert "the fault node-drain was injected" in finding.text
