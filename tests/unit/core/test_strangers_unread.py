"""A reader of facts reads those that it names and no other: not of another source, subject or word, nor another drill.

Each reader's facts are told again as a stranger's, earlier and later than all of them, with the same data and with
other data: its answer stays. `checkers/test_strangers.py` asks the same of whole verdicts, of two of these words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from story import Story, good_release
from strangers import FAR_S, other

from rollproof.core.abort import aborted
from rollproof.core.act import find_act
from rollproof.core.attempt import Attempt
from rollproof.core.backoff import schedule, stored_model
from rollproof.core.drift import argo_version, drift_trials
from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.fault import find_faults
from rollproof.core.gate import closed_gates
from rollproof.core.jobs import readings, unreadable_reports
from rollproof.core.kept import kept_containers, kept_events, kept_logs, unread_parts
from rollproof.core.rollout import find_rollout
from rollproof.core.runframe import (
    answers,
    drill_took_s,
    ingress_log,
    self_test,
    sha_at_start,
    unreadable_log,
    watch_delays_ms,
)
from rollproof.core.scaling import (
    degraded_s,
    deleted_meanwhile,
    find_scalings,
    replicas_seen,
    scalers_seen,
    syncs_begun,
)
from rollproof.core.secretsearch import known_values, search_of
from rollproof.core.undofacts import record_told, undo_events
from rollproof.core.watched import (
    deployed_tag,
    deployed_tags,
    failing_replicasets,
    pods_seen,
    ready_addresses,
    restarts_seen,
    watch_gaps,
)
from rollproof.judge.checkers.clock import clock_step_s
from rollproof.judge.checkers.window import baseline_event

EVER = {"since_s": -1e9, "until_s": 1e9}
MODEL = {"rule": "never", "start_s": 1.0, "factor": 2.0, "cap_s": 9.0, "cooldown_s": 8.0, "fixed_delay_s": 0.0}
IMAGE = "ghcr.io/shop/web:aaaaaaa"
Reader = Callable[[Facts], Any]
Row = tuple[str, str, Story, Reader]


def one(source: str, subject: str, what: str, **data: Any) -> Story:
    return Story().tell(source, subject, what, at=100, **data)


def said(attempts: tuple[Attempt, ...]) -> list[tuple[str, dict[str, Event]]]:
    return [(found.subject, dict(found.said)) for found in attempts]


def readers() -> Iterator[Row]:
    """Reader, by which words it tells its facts, a story of them, and the call."""
    yield from of_watches()
    yield from of_frames()
    yield from of_acts()
    yield from of_undo_and_pods()


def of_watches() -> Iterator[Row]:
    web = one("watch", "Deployment/shop/web", "modified", image=IMAGE, spec_replicas=2)
    by = "source subject"
    yield "deployed_tag", by, web, lambda facts: deployed_tag(facts, 1e9)
    yield "replicas_seen", by, web, lambda facts: replicas_seen(facts, **EVER)
    yield "deployed_tags", by, web, lambda facts: deployed_tags(facts, **EVER)
    ill = one("watch", "Application/argocd/shop", "modified", health="Degraded")
    yield "degraded_s", by, ill, lambda facts: degraded_s(facts, since_s=0.0, until_s=500.0)
    gone = one("watch", "Deployment/shop/web", "deleted")
    yield "deleted_meanwhile", "source subject what", gone, lambda facts: deleted_meanwhile(facts, **EVER)
    again = Story()
    for at in (0, 1):
        again.tell("watch", "Pod/shop/a", "modified", at=100 + at, uid="u", restarts=at)
    yield "restarts_seen", by, again, lambda facts: list(restarts_seen(facts, **EVER))
    failing = one("watch", "ReplicaSet/shop/web-1", "modified", failure="quota")
    yield "failing_replicasets", by, failing, lambda facts: failing_replicasets(facts, "quota")
    yield "pods_seen", by, Story().pod("a", "added", at=100), lambda facts: list(pods_seen(facts))
    slices = one("watch", "EndpointSlice/shop/web-1", "modified", ready=["10.0.0.1"])
    yield "ready_addresses", by, slices, ready_addresses
    scaler = one("watch", "HorizontalPodAutoscaler/shop/web", "modified", use=1.0)
    yield "scalers_seen", by, scaler, lambda facts: scalers_seen(facts, **EVER)
    syncs = one("watch", "Application/argocd/shop", "modified", started_at="10:00")
    yield "syncs_begun", by, syncs, lambda facts: syncs_begun(facts, **EVER)
    yield "watch_gaps", "source what", one("watch", "Watch/Pod", "gap", lost=True), watch_gaps


def of_frames() -> Iterator[Row]:
    gate = Story().tell("run", "gate", "before", at=100, outcome=Outcome.FAIL, missing="a pod")
    yield "closed_gates", "source subject drill", gate, closed_gates
    yield "aborted", "source subject what drill", one("run", "abort", "aborted", cause="dead"), aborted
    started = one("run", "drill", "started", sha="aaaaaaa")
    yield "sha_at_start", "source subject what", started, sha_at_start
    took = Story().tell("run", "drill", "started", at=100).tell("run", "drill", "finished", at=120)
    yield "drill_took_s", "source subject drill", took, drill_took_s
    clock = Story()
    for at in (100, 110):
        clock.tell("run", "clock", "read", at=at, monotonic_s=float(at), wall_s=at + at / 10)
    yield "clock_step_s", "source subject what", clock, clock_step_s
    delays = one("run", "watches", "calibrated", watch_delay_ms=[1.0], median_ms=1.0)
    yield "watch_delays_ms", "source what", delays, watch_delays_ms
    test = one("load", "load", "self-test", passed=True, classes={"read.eof": [2, 2]})
    yield "self_test", "source what", test, self_test
    yield "ingress_log", "source what", one("ingress", "log", "log", matched=3, masked=1), ingress_log
    bad_log = one("ingress", "log", "log-unreadable", matched=3, masked=1)
    yield "unreadable_log", "source what", bad_log, unreadable_log
    phase = one("run", "phase", "baseline")
    act = find_act(good_release().facts())
    assert act is not None
    yield "baseline_event", "source subject what", phase, lambda facts: baseline_event(facts, act)
    proof = one("proof", "Ingress", "version", version="aaaaaaa", expected="aaaaaaa")
    yield "answers", "source what", proof, lambda facts: list(answers(facts, "version", since_s=-1e9))


def of_acts() -> Iterator[Row]:
    yield "find_faults", "source subject", Story().fault(), lambda facts: said(find_faults(facts))
    drift = one("drift", "Drift/image", "planned")
    yield "drift_trials", "source subject", drift, lambda facts: said(drift_trials(facts))
    scaling = one("scaling", "Scaling/web", "planned")
    yield "find_scalings", "source subject", scaling, lambda facts: said(find_scalings(facts))
    model = one("drift", "Drift", "model", version="v2.13.0", known=True, **MODEL)
    for name, read in {"stored_model": stored_model, "schedule": schedule, "argo_version": argo_version}.items():
        yield name, "source subject what", model, read
    yield "find_rollout", "source", good_release(), find_rollout


def of_undo_and_pods() -> Iterator[Row]:
    undo = one("undo", "Undo/1-drain", "written", object="Node/a").tell("undo", "Undo/1-drain", "done", at=101)
    yield "record_told", "source what", undo, record_told
    yield "undo_events", "source what", undo, lambda facts: list(undo_events(facts))
    report = one("jobs", "Jobs", "read", wall_s=1.0, replicas=2, runs=[], clock_s=None, oldest_s=None)
    yield "readings", "source subject what", report, lambda facts: list(readings(facts))
    unread = one("jobs", "Jobs", "unreadable", reason="404")
    yield "unreadable_reports", "source subject what", unread, lambda facts: list(unreadable_reports(facts))
    values = one("secrets", "Secrets/values", "known", names=["KEY"], unsearchable={})
    yield "known_values", "source subject what", values, known_values
    searched = one("secrets", "Secrets/git", "searched", found=0)
    yield "search_of", "source subject", searched, lambda facts: search_of(facts, "git")
    state = one("kept", "Pod/shop/web-1", "state", container="web", waiting="CrashLoopBackOff")
    log = one("kept", "Pod/shop/web-1", "log", container="web", file="podlog-web.log", lines=3, tail=["x"])
    events = one("kept", "Events", "events", seen=[{"object": "Pod/a", "reason": "BackOff", "message": "x"}])
    by = "source what drill"
    yield "kept_containers", by, state, kept_containers
    yield "kept_logs", by, log, kept_logs
    yield "kept_events", by, events, kept_events
    yield "unread_parts", by, one("kept", "Pod/shop/web-1", "unread", reason="403"), unread_parts


def doubles(event: Event, word: str) -> Iterator[Event]:
    stranger = "Stranger/" + event.subject if word == "subject" else "stranger"
    same = replace(event, **{word: stranger})
    yield same
    yield replace(same, outcome=Outcome.FAIL, data={key: other(value) for key, value in event.data.items()})


ROWS = [
    pytest.param(told, read, word, id=f"{name}-{word}")
    for name, words, told, read in readers()
    for word in words.split()
]


@pytest.mark.parametrize(("told", "read", "word"), ROWS)
def test_a_strangers_fact_changes_no_answer(told: Story, read: Reader, word: str) -> None:
    facts = told.facts()
    expected = read(facts)
    assert expected != read(Story().facts()), "the story says nothing to this reader"
    for number in range(2):
        strangers = [list(doubles(event, word))[number] for event in facts.events]
        early = [replace(one, seq=at - len(strangers), start_s=at, end_s=at) for at, one in enumerate(strangers)]
        late = [
            replace(one, seq=one.seq + 500, start_s=one.start_s + FAR_S, end_s=one.end_s + FAR_S) for one in strangers
        ]
        assert read(replace(facts, events=(*early, *facts.events, *late))) == expected


@pytest.mark.parametrize(("told", "read", "word"), ROWS)
def test_of_a_strangers_facts_alone_nothing_is_read(told: Story, read: Reader, word: str) -> None:
    """The whole story is the stranger's: it is as if nothing had been told."""
    nothing = read(replace(told.facts(), events=()))
    assert read(replace(told.facts(), events=tuple(next(doubles(event, word)) for event in told.events))) == nothing
