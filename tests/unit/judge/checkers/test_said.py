"""What a verdict says beside its result: the sentence, the hint, the subject, a figure's digits, a time's zone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from builders import Requests
from expected_drift_verdicts import shared, unhealed
from expected_job_verdicts import FOUR
from expected_job_verdicts import told as runs_told
from expected_kept_verdicts import UNREAD, away, back, scaler
from expected_outage_verdicts import asked, held
from expected_pipeline_verdicts import COMMIT_S, OTHER, PARTS, PODS, changed, reported, told
from expected_secret_verdicts import known
from story import Story, good_release, target

from rollproof.core.facts import Facts
from rollproof.core.pipeline import Place
from rollproof.core.pipelinewords import Leg
from rollproof.core.target import PostureSettings
from rollproof.core.verdict import Result, Verdict
from rollproof.errors import InputError
from rollproof.judge.checkers import (
    dependency,
    drift,
    fault,
    jobs,
    judge,
    load_soundness,
    replicas_kept,
    rollback,
    rollout,
    secrets,
    undo,
)
from rollproof.judge.checkers.posture.table import check_names

PASS, FAIL, OPEN = Result.PASS, Result.FAIL, Result.INCONCLUSIVE


def leg(story: Story, name: Leg) -> Verdict:
    found = judge(Facts(plan=story.plan, drill=story.drill, events=tuple(story.events)), ("pipeline",))
    return next(one for one in found if one.subject.endswith(f"/{name}"))


# ---- the pipeline ----


@pytest.mark.parametrize("image_ids", [(), ("",), ("", OTHER), (OTHER, "")], ids=str)
@pytest.mark.parametrize("unread", [(), (Place.REGISTRY,)], ids=str)
def test_a_report_is_bound_only_to_pods_that_all_say_their_digest(
    image_ids: tuple[str, ...], unread: tuple[Place, ...]
) -> None:
    pods = tuple(replace(pod, image_id=image_id) for pod, image_id in zip(PODS, image_ids, strict=False))
    verdict = leg(reported({Place.DEPLOYMENT: {"pods": pods}}, unread=unread), Leg.SCAN)
    assert verdict.result is OPEN
    assert verdict.why == "not each pod says by a digest which image it runs"


@pytest.mark.parametrize(("artifact", "named"), [("ghcr.io/x:1", "of ghcr.io/x:1 ("), ("", "of an image (")])
def test_of_which_image_a_report_of_another_is(artifact: str, named: str) -> None:
    changes = {Place.SCAN_REPORT: {"config": OTHER, "digests": (OTHER,), "artifact": artifact}}
    verdict = leg(reported(changes), Leg.SCAN)
    assert (verdict.result, [one.code for one in verdict.findings]) == (FAIL, ["SCANNED_ANOTHER_IMAGE"])
    assert named in verdict.why


@pytest.mark.parametrize(
    ("early_s", "result"), [(-0.5, PASS), (0, PASS), (0.5, OPEN), (5, OPEN), (5.5, FAIL)]
)  # fmt: skip
def test_the_tag_was_committed_so_long_before_the_scan_had_ended(early_s: float, result: Result) -> None:
    assert leg(told(changed("image/Scan", ended_s=COMMIT_S + early_s)), Leg.SCAN).result is result


@pytest.mark.parametrize(("made_s", "result"), [(605, FAIL), (605.5, OPEN)])
def test_a_report_of_after_it_was_read_is_of_a_clock_that_is_wrong(made_s: float, result: Result) -> None:
    """It was read 600 s after the commit; the clocks may be apart by 5 s."""
    verdict = leg(reported({Place.SCAN_REPORT: {"made_s": COMMIT_S + made_s}}), Leg.SCAN)
    assert verdict.result is result, verdict.why


def test_of_a_matrix_the_part_that_failed_is_named_with_its_own_end() -> None:
    """Another part of it has failed later and otherwise."""
    failed = {"test (8.1)": "cancelled", "test (8.2)": "failure"}
    parts = tuple(replace(part, conclusion=failed.get(part.name, "success")) for part in PARTS)
    assert "test (8.1) ended as cancelled" in leg(told({Place.ACTIONS: {"parts": parts}}), Leg.TESTED).why
    again = (*parts, replace(PARTS[1], conclusion="timed_out", attempt=2), replace(PARTS[4], attempt=2))
    assert "test (8.1) ended as timed_out" in leg(told({Place.ACTIONS: {"parts": again}}), Leg.TESTED).why


# ---- the undo ----


@pytest.mark.parametrize("order", list(permutations([("Drift/b", 20), ("Drift/a", 20), ("Drift/0", 30)])))
def test_of_changes_without_a_record_the_first_is_named(order: tuple[tuple[str, float], ...]) -> None:
    story = Story()
    for subject, at in order:
        story.tell("drift", subject, "injected", at=at)
    verdict = undo.check(story.facts())
    assert (verdict.checker, verdict.subject, verdict.result) == ("undo", "Undo", OPEN)
    assert "(Drift/a)" in verdict.why
    assert verdict.evidence == (next(event.seq for event in story.events if event.subject == "Drift/a"),)


def undos() -> Iterator[Story]:
    yield Story()
    yield Story().tell("release", "Release/x", "pushed", at=1)
    for word in ("done", "left", "failed", "unknown"):
        yield Story().tell("undo", "Undo/1-x", "written", at=1).tell("undo", "Undo/1-x", word, at=2)


@pytest.mark.parametrize("story", list(undos()))
def test_each_verdict_of_the_undo_is_the_undos(story: Story) -> None:
    verdict = undo.check(story.facts())
    assert (verdict.checker, verdict.subject) == ("undo", "Undo")


# ---- hints ----


@pytest.mark.parametrize(
    ("stage", "said", "hint"),
    [
        (
            "not-detected",
            "Argo CD did not notice the change",
            "see the controller's load and its watches; the webhook does not help here",
        ),
        (
            "not-synced",
            "Argo CD noticed the change and began no sync",
            "see the controller's log and its self-heal timeout",
        ),
        (
            "not-restored",
            "Argo CD began a sync, and the change stayed",
            "see status.operationState: has it ended? Then compare what the overlay renders with the live object",
        ),
    ],
)
def test_how_far_a_heal_came_and_what_to_look_at(stage: str, said: str, hint: str) -> None:
    story = unhealed(shared(), stage=stage, checked={"self_heal_off": False})
    code = stage.upper().replace("-", "_")
    (found,) = (one for verdict in drift.check(story.facts()) for one in verdict.findings if one.code == code)
    assert found.hint == hint
    assert said in found.text


START = "shorten the start (image, migrations, probe periods), or allow for it in faults.recovery_limit_s"


@pytest.mark.parametrize(
    ("node_at", "ready_at", "hint"),
    [
        (150.0, 155.0, "see its events: room on the nodes, and how soon a lost node is noticed"),
        (102.0, 160.0, START),
        (102.0, 110.0, "see the Service's endpoints and the ingress's log of that time"),
        (None, None, "see the pods' events and logs of that time; or allow for it in faults.recovery_limit_s"),
    ],
)  # fmt: skip
def test_what_to_look_at_after_a_late_recovery(node_at: float | None, ready_at: float | None, hint: str) -> None:
    story = Story().fault(recovered=65.0)
    new = {"uid": "uid-new", "member": True, "phase": "Running", "node": "n1"}
    for at, ready in ((node_at, False), (ready_at, True)):
        if at is not None:
            story.tell("watch", "Pod/shop/new", "modified", at=at, ready=ready, **new)
    (verdict,) = fault.check(story.facts())
    assert [one.hint for one in verdict.findings] == [hint]


def test_what_to_do_about_pods_of_others() -> None:
    stray: dict[str, Any] = {"uid": "u", "ready": True, "member": False, "in_service": True, "owner": "Job/migrate"}
    verdict = rollout.check(good_release().tell("watch", "Pod/shop/migrate", "added", at=110, **stray).facts())
    assert [one.hint for one in verdict.findings] == ["give them other labels, or the Service a narrower selector"]


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        (
            {"must": ("config-missing", "config-rollout"), "skip": ("config-rollout", "config-missing")},
            "posture: config-missing, config-rollout is in `must` and in `skip`",
            "leave it in one of the two",
        ),
        (
            {"must": ("config-missin",)},
            "posture.must: there is no check 'config-missin'",
            "did you mean 'config-missing'?",
        ),
        ({"skip": ("zzzzzz",)}, "posture.skip: there is no check 'zzzzzz'", "docs/posture.md lists them"),
    ],
)  # fmt: skip
def test_what_to_do_about_names_of_checks(settings: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(InputError) as raised:
        check_names(target(posture=PostureSettings(**settings)))
    assert (str(raised.value), raised.value.hint) == (message, hint)


# ---- figures and times ----


def test_each_value_that_could_not_be_looked_for_is_named() -> None:
    why = {"a_KEY": "is short", "b_KEY": "is empty"}
    for names, said in (((), "no value could be looked for: "), (("x",), "2 values could not be looked for: ")):
        verdicts = secrets.check(known(*names, **why).facts())
        assert f"{said}a/KEY is short; b/KEY is empty" in [one.why for one in verdicts]


def test_times_are_of_utc_wherever_the_harness_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (expected,) = jobs.check(runs_told(*FOUR[1:]).facts())
    with monkeypatch.context() as context:
        context.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        (verdict,) = jobs.check(runs_told(*FOUR[1:]).facts())
    time.tzset()
    assert "12:0" in expected.why
    assert verdict.why == expected.why


def test_the_time_from_push_to_proof_is_told_in_ms() -> None:
    story = Story("rollback").release_started(source="rollback").pods_replaced(sha="aaaaaaa")
    story.stages(source="rollback", proven_at=125.12345).proofs("aaaaaaa", expected="aaaaaaa")
    assert rollback.check(story.facts()).numbers["push_to_proof_s"] == 24.623


def test_the_worst_lateness_is_told_in_tenths_of_a_ms() -> None:
    log = Requests().build()
    late_ns = np.array([[log.engine.start_ns, 7_777_777]])
    log = replace(log, engine=replace(log.engine, late_ns=late_ns))
    story = good_release()
    story.requests = log
    assert load_soundness.check(story.facts()).numbers["late_ms_max"] == 7.8


def sick_for_long() -> Story:
    told = held()
    for _ in range(30):
        asked(told, health=503)
    return told


def unmeasured_in_many_looks() -> Story:
    told = away()
    for at in range(60):
        scaler(told, at=113 + at / 10, reason=UNREAD)
    return back(told)


@pytest.mark.parametrize(
    ("checker", "told", "result"),
    [(dependency, sick_for_long(), FAIL), (replicas_kept, unmeasured_in_many_looks(), PASS)],
)
def test_the_evidence_is_no_more_than_fifty_facts(checker: ModuleType, told: Story, result: Result) -> None:
    (verdict,) = checker.check(told.facts())
    assert (verdict.result, len(verdict.evidence)) == (result, 50)


def test_the_evidence_is_no_more_than_fifty_answers() -> None:
    story = held()
    for _ in range(30):
        asked(story)
    (verdict,) = dependency.check(story.facts())
    assert verdict.result is PASS
    of_answers = [seq for seq in verdict.evidence if story.events[seq - 1].source == "proof"]
    assert len(of_answers) == 50
