"""Small readers of facts whose answers nobody judges, and who are shown: each answer, and what an absent fact says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from story import Story, good_release, plan, target

from rollproof.core.counts import many, were
from rollproof.core.drift import drift_trials
from rollproof.core.fault import find_faults
from rollproof.core.injection import Injection
from rollproof.core.journal import read_journal
from rollproof.core.kept import kept_containers
from rollproof.core.nights import Check
from rollproof.core.plan import Touch
from rollproof.core.rollout import find_rollout
from rollproof.core.runframe import drill_took_s
from rollproof.core.secretsearch import hash_of
from rollproof.core.target import DriftSettings, Fences, ReleaseSettings
from rollproof.core.trials import TRIALS, allowed_trials
from rollproof.core.verdict import Result
from rollproof.core.watched import pods_seen


def drill(*words: tuple[str, float], source: str = "run") -> Story:
    told = Story()
    for what, at in words:
        told.tell(source, "drill", what, at=at + 0.5, start=at)
    return told


@pytest.mark.parametrize(
    ("told", "took_s"),
    [
        (drill(), None),
        (drill(("started", 10)), None),
        (drill(("finished", 20)), None),
        (drill(("started", 10), ("finished", 20)), 10.5),  # to the end of the last fact
        (drill(("started", 10), ("error", 15), ("finished", 20)), 10.5),
        (drill(("started", 10), ("started", 12), ("skipped", 20)), 10.5),
        (drill(("started", 10), ("finished", 20), source="watch"), None),
    ],
)
def test_how_long_a_drill_took(told: Story, took_s: float | None) -> None:
    assert drill_took_s(told.facts()) == took_s


def test_another_drills_time_is_not_its_own() -> None:
    told = drill(("started", 10), ("finished", 20))
    told.drill = "rollback"
    told.tell("run", "drill", "finished", at=90)
    told.drill = "zero-downtime"
    assert drill_took_s(told.facts()) == 10.5


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"path": "kustomization.yaml", "line_number": 12}, ("kustomization.yaml", 12)),
        ({"path": "kustomization.yaml"}, ("kustomization.yaml", 0)),
        ({"path": "kustomization.yaml", "line_number": "12"}, ("kustomization.yaml", 0)),
        ({}, None),
    ],
)
def test_where_the_tag_was_committed(data: dict[str, Any], place: tuple[str, int] | None) -> None:
    told = Story().release_started().stages(until="committed", **data)
    rollout = find_rollout(told.facts())
    assert rollout is not None
    assert rollout.overlay_place == place
    unborn = find_rollout(Story().release_started().facts())
    assert unborn is not None
    assert unborn.overlay_place is None


def test_why_a_pod_waits() -> None:
    told = Story().tell("watch", "Pod/shop/a", "added", at=1, reason="CrashLoopBackOff")
    told.tell("watch", "Pod/shop/b", "added", at=1).tell("watch", "Pod/shop/c", "added", at=1, reason=None)
    assert [pod.trouble for pod in pods_seen(told.facts())] == ["CrashLoopBackOff", "", ""]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "running, not ready"),
        ({"waiting": "CrashLoopBackOff"}, "waits: CrashLoopBackOff"),
        ({"ended": "Error", "exit_code": 1}, "ended last with exit code 1 (Error)"),
        ({"exit_code": 3}, "ended last with exit code 3"),
        ({"restarts": 1}, "1 restart"),
        (
            {"waiting": "CrashLoopBackOff", "ended": "OOMKilled", "exit_code": 137, "restarts": 4},
            "waits: CrashLoopBackOff, ended last with exit code 137 (OOMKilled, SIGKILL), 4 restarts",
        ),
        *(
            ({"exit_code": code}, f"ended last with exit code {code} ({word})")
            for code, word in {
                0: "ended by itself, without an error",
                126: "its command cannot be run",
                127: "its command was not found",
                132: "SIGILL",
                134: "SIGABRT",
                137: "SIGKILL",
                139: "SIGSEGV",
                143: "SIGTERM",
            }.items()
        ),
    ],
)
def test_the_state_of_a_container_in_words(state: dict[str, Any], words: str) -> None:
    told = Story().tell("kept", "Pod/shop/web-1", "state", at=1, container="web", **state)
    (one,) = kept_containers(told.facts())
    assert one.words == words


def test_the_production_fence_keeps_away_what_traffic_feels() -> None:
    names = tuple(TRIALS)
    for production in (False, True):
        allowed = allowed_trials(
            target(drift=DriftSettings(trials=names), fences=Fences(namespaces=("shop",), production=production))
        )
        assert allowed == tuple(name for name in names if not (production and TRIALS[name].affects_traffic))
    assert {"undeclared-annotation", "void-patch"} <= set(allowed)
    assert "delete-deployment" not in allowed


def test_a_change_says_what_undoes_it_if_nobody_comes_back() -> None:
    injection = Injection(
        fault="node-drain", drill="node-drain", subject="Node/a", change="drained", undo="uncordoned", args={},
        affects_traffic=True, limit_s=60.0, effect_within_s=10.0,
    )  # fmt: skip
    assert (injection.dead_man, Touch.of(injection).undo) == ("not needed", "uncordoned")
    other = {**{name: getattr(injection, name) for name in Injection.__dataclass_fields__}, "dead_man": "a Job does it"}
    assert Touch.of(Injection(**other)).undo == "uncordoned; if rollproof is killed: a Job does it"


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, True),
        ({"new_sha": ""}, False),
        ({"new_sha": "", "restart": True}, False),
        ({"restart": True}, False),
        ({"bad": "image_missing"}, False),
        ({"bad": "crash_loop"}, True),
        ({"target": target(release=ReleaseSettings(mode="observe"))}, False),
        ({"target": target(release=ReleaseSettings(mode="observe")), "new_sha": ""}, False),
    ],
)
def test_whether_an_image_must_be_there_before_a_run(changes: dict[str, Any], needed: bool) -> None:
    assert plan(**changes).needs_image is needed


def test_the_name_of_a_value_is_short_and_salted() -> None:
    assert len(hash_of("value", b"salt")) == 8
    assert hash_of("value", b"salt") != hash_of("value", b"other")
    assert hash_of("value", b"salt") == hash_of("value", b"salt")


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (1, "proof", "1 proof"),
        (0, "proof", "0 proofs"),
        (1204, "request", "1,204 requests"),
        ("?", "pod", "? pods"),
        ("1", "pod", "1 pod"),
        (2, "patch", "2 patches"),
        (2, "push", "2 pushes"),
        (2, "loss", "2 losses"),
        (2, "box", "2 boxes"),
        (2, "entry", "2 entries"),
        (2, "day", "2 days"),
        (2, "key", "2 keys"),
        (2, "boy", "2 boys"),
        (2, "guy", "2 guys"),
    ],
)
def test_a_count_with_its_noun(count: object, noun: str, said: str) -> None:
    assert many(count, noun) == said


def test_the_verb_of_a_count() -> None:
    assert [were(count) for count in (0, 1, 2)] == ["were", "was", "were"]


@pytest.mark.parametrize(
    ("state", "entry", "tried"),
    [
        ("done", "done", ""),
        ("not-needed", "not-needed", ""),
        ("left", "left", ""),
        ("failed", "open", "failed"),
        ("unknown", "open", "unknown"),
        ("haunted", "open", ""),
    ],
)
def test_how_an_undo_ended(state: str, entry: str, tried: str) -> None:
    lines = [
        {"number": 1, "kind": "drain", "subject": "Node/a", "args": {}},
        {"number": 1, "state": state, "reason": "x", "expected": 1, "found": 2, "kept": True},
    ]
    record = read_journal("".join(json.dumps(line) + "\n" for line in lines).encode())
    (one,) = record.entries
    assert (one.state, one.tried, one.name) == (entry, tried, "Undo/1-drain")
    known = state != "haunted"
    assert (one.reason, one.expected, one.found, one.kept) == (("x", 1, 2, True) if known else ("", None, None, False))
    assert record.damage == (
        () if known else ("undo.jsonl line 2 cannot be read: it says nothing that this version knows",)
    )


def test_a_release_without_facts_is_none() -> None:
    assert find_rollout(Story().facts()) is None
    assert find_rollout(good_release().facts()) is not None


@pytest.mark.parametrize(
    ("numbers", "limit"),
    [
        ({"limit_s": 60}, 60.0),
        ({"limit_s": 0.5}, 0.5),
        ({"limit_s": True}, None),
        ({"limit_s": None}, None),
        ({}, None),
    ],
)
def test_what_a_figure_of_a_night_was_compared_with(numbers: dict[str, Any], limit: float | None) -> None:
    assert Check(drill="drift", name="heal", result=Result.PASS, numbers=numbers).limit == limit
    assert Check(drill="drift", name="heal", result=Result.PASS).limit is None


def test_the_limit_of_an_outage_is_its_budget() -> None:
    check = Check(
        drill="rollback", name="availability", result=Result.PASS, figure="outage_ms_upper",
        numbers={"limit_s": 3.0, "budget_ms": 200.0},
    )  # fmt: skip
    assert check.limit == 200.0


@pytest.mark.parametrize(("data", "by"), [({"by": "self-heal"}, "self-heal"), ({"by": None}, ""), ({}, "")])
def test_who_undid_a_drift(data: dict[str, Any], by: str) -> None:
    told = Story().tell("drift", "Drift/env", "planned", at=1).tell("drift", "Drift/env", "undone", at=2, **data)
    (trial,) = drift_trials(told.facts())
    assert trial.undone_by == by


def test_a_fact_of_another_source_is_none_of_an_attempts() -> None:
    told = Story().fault().tell("elsewhere", "Fault/pod-delete", "void", at=130)
    (fault,) = find_faults(told.facts())
    assert "void" not in fault.said
