"""What a drill did, as one act: a rollout, drifts and faults answer the same questions."""

from __future__ import annotations

import pytest
from builders import steady
from expected_bad_release_verdicts import bad_release
from story import NEW, OLD, Story, good_release, plan

from rollproof.core.act import Act, find_act, measured_until_s
from rollproof.core.drift import drift_trial
from rollproof.core.event import Outcome
from rollproof.core.fault import FaultWord, find_faults, subject_of
from rollproof.core.part import ActKind


def act_of(told: Story) -> Act:
    act = find_act(told.facts())
    assert act is not None
    return act


def drift(told: Story, name: str = "env", *, at: float = 100.0, until: str = "undone", **injected: object) -> Story:
    data: dict[str, dict[str, object]] = {
        "planned": {"kind": "heal"}, "before": {"fair": True}, "injected": {"field": "x", **injected},
        "restored": {"manager": "argocd-controller"}, "undone": {"by": "self-heal"},
    }  # fmt: skip
    for i, (what, words) in enumerate(data.items()):
        told.tell("drift", f"Drift/{name}", what, at=at + i, **words)
        if what == until:
            break
    return told


def test_of_nothing_there_is_no_act() -> None:
    assert find_act(Story().facts()) is None
    assert find_act(Story().fault(until="planned").facts()) is None
    assert find_act(drift(Story(), until="before").facts()) is None
    skipped = Story().fault(until="planned").tell("fault", "Fault/pod-delete", "skipped", at=101, reason="one replica")
    assert find_act(skipped.facts()) is None


def test_a_rollout_is_over_when_the_last_old_pod_is_gone() -> None:
    act = act_of(good_release())
    assert (act.kind, act.from_sha, act.to_sha) == (ActKind.ROLLOUT, OLD, NEW)
    assert (act.started.start_s, act.over_s, act.end_s, act.settled_s) == (100.0, 124.0, 125.0, 100.0)
    assert act.happened is not None
    assert act.happened.subject == "Pod/shop/old-1"
    assert act.void is act.unfinished is None


def test_a_drift_starts_with_the_look_before_and_is_over_when_it_is_undone() -> None:
    act = act_of(drift(Story("drift")))
    assert act.kind is ActKind.DRIFT
    assert (act.started.what, act.started.start_s, act.over_s, act.settled_s) == ("before", 101.0, 104.0, 104.0)
    assert act.happened is not None
    assert act.happened.what == "injected"


def test_a_drift_that_nobody_saw_undone_is_not_over() -> None:
    act = act_of(drift(Story("drift"), until="restored"))
    assert act.over_s is act.settled_s is None
    assert "not seen to be undone" in act.why_not_over()


def test_a_fault_starts_before_it_is_asked_for_and_is_over_when_all_recovered() -> None:
    act = act_of(Story().fault())
    assert (act.kind, act.noun) == (ActKind.FAULT, "fault")
    assert (act.started.start_s, act.over_s, act.end_s) == (100.0, 120.0, 120.0)
    assert act.happened is not None
    assert act.happened.what == FaultWord.EFFECT


@pytest.mark.parametrize("word", [FaultWord.VOID, FaultWord.ERROR, FaultWord.NO_EFFECT])
def test_a_fault_without_evidence_has_not_happened(word: FaultWord) -> None:
    told = (
        Story()
        .fault(until="injected")
        .tell("fault", subject_of("pod-delete"), word, at=111, outcome=Outcome.UNKNOWN, reason="so", waited_s=10.0)
    )
    act = act_of(told)
    assert act.happened is None
    assert act.void is not None
    assert "the fault pod-delete had no effect that anybody saw" in act.void.why_void()


def test_an_effect_that_is_not_sure_is_none() -> None:
    told = Story().fault(until="injected")
    told.tell("fault", subject_of("pod-delete"), "effect", at=101, outcome=Outcome.UNKNOWN)
    assert act_of(told).happened is None


def test_a_fault_that_did_not_recover_is_not_over() -> None:
    told = (
        Story()
        .fault(until="effect")
        .tell("fault", subject_of("pod-delete"), "not-recovered", at=170, outcome=Outcome.FAIL, waited_s=70.0)
    )
    act = act_of(told)
    assert act.over_s is None
    assert act.settled_s is None
    assert "not seen to recover" in act.why_not_over()


def test_all_that_was_done_is_one_act() -> None:
    told = drift(drift(Story(), "env", at=100), "image", at=130, field="spec.x.image", to="shop/web:ccccccc")
    told.fault(at=160, recovered=30)
    act = act_of(told)
    assert [part.name for part in act.parts] == ["the drift env", "the drift image", "the fault pod-delete"]
    assert (act.kind, act.noun, act.started.start_s, act.over_s) == (None, "act", 101.0, 190.0)
    assert act.shas == {OLD, "ccccccc"}
    later = act.at(161.0)
    assert later is not None
    assert later.name == "the fault pod-delete"
    assert act.at(150.0) is None


def test_one_void_part_is_named_and_does_not_hide_the_others() -> None:
    told = Story().fault("pod-delete", at=100).fault("node-drain", at=150, until="injected")
    act = act_of(told)
    assert act.happened is not None
    assert act.void is not None
    assert act.void.name == "the fault node-drain"
    assert act.over_s is None


def test_what_was_tried_again_counts_the_last_time() -> None:
    told = drift(drift(Story("drift"), at=100, until="injected"), at=200)
    assert act_of(told).started.start_s == 201.0


def test_a_trial_that_broke_while_it_was_asking_may_have_happened() -> None:
    told = drift(Story("drift"), until="before")
    told.tell("drift", "Drift/env", "error", at=103, outcome=Outcome.UNKNOWN, reason="no answer")
    act = act_of(told)
    assert act.happened is None
    assert act.void is not None
    assert "no answer" in act.void.why_void()


@pytest.mark.parametrize(("at", "parts"), [(124.9, 2), (125.0, 1), (125.1, 1)])
def test_a_rollout_that_ends_as_a_fault_begins_is_no_part_of_its_act(at: float, parts: int) -> None:
    assert len(act_of(good_release().fault(at=at)).parts) == parts


def test_a_drill_has_measured_until_its_last_question_or_request() -> None:
    told = Story()
    assert measured_until_s(told.facts()) == 0.0
    told.tell("proof", "Ingress", "version", at=100).tell("proof", "Pod/a", "database", at=110)
    assert measured_until_s(told.tell("watch", "Pod/shop/a", "added", at=120).facts()) == 110.0
    told.requests = steady(requests=100, start_s=1.0, end_s=130.0)
    assert measured_until_s(told.facts()) == 130.0


class TestVersions:
    def test_without_a_deploy_it_is_the_one_of_the_plan(self) -> None:
        act = act_of(Story().fault())
        assert (act.from_sha, act.to_sha, act.shas) == (OLD, OLD, {OLD})

    @pytest.mark.parametrize(("tag", "sha"), [(NEW, NEW), (OLD, OLD), ("ddddddd", OLD)])
    def test_what_an_earlier_drill_left_running_is_read_from_the_deployment(self, tag: str, sha: str) -> None:
        told = Story().tell("watch", "Deployment/shop/web", "added", at=90, image=f"reg:5000/shop/web:{tag}@sha256:1")
        told.fault().tell("watch", "Deployment/shop/web", "modified", at=105, image="reg:5000/shop/web:later")
        assert act_of(told).to_sha == sha

    @pytest.mark.parametrize("sha", [OLD, NEW])
    def test_the_drills_start_says_it_whatever_the_deployment_had_before_an_earlier_drill(self, sha: str) -> None:
        told = Story().tell("watch", "Deployment/shop/web", "added", at=90, image=f"reg:5000/shop/web:{OLD}")
        told.tell("run", "drill", "started", at=95, sha=sha).fault()
        assert act_of(told).shas == {sha}

    def test_a_deploy_of_the_same_drill_before_it_all_says_which_should_run(self) -> None:
        told = good_release().fault(at=200)
        told.requests = steady(requests=500, start_s=180, end_s=240)
        act = act_of(told)
        assert (act.kind, act.from_sha, act.to_sha, act.rollout) == (ActKind.FAULT, NEW, NEW, None)

    def test_a_fault_in_the_middle_of_a_rollout_is_one_act_with_both_versions(self) -> None:
        act = act_of(good_release().fault(at=112, recovered=5))
        assert act.rollout is not None
        assert (act.kind, act.from_sha, act.to_sha, act.over_s) == (None, OLD, NEW, 124.0)

    def test_a_drill_without_a_new_sha_knows_the_running_one(self) -> None:
        act = act_of(Story(plan=plan(new_sha="")).fault())
        assert act.shas == {OLD}


def test_the_fields_of_a_fault_are_read_by_name() -> None:
    fault = find_faults(Story().fault(limit_s=30.0).facts())[0]
    assert (fault.limit_s, fault.effect_s, fault.recovery_s, fault.effect_within_s) == (30.0, 1.0, 20.0, 10.0)
    assert (fault.change, fault.watched) == ("Pod/shop/old-1 delete it", "Pod/shop/old-1 is deleted")
    assert fault.undone_by == "platform"


def test_of_an_attempt_that_the_timeline_does_not_know_nothing_is_said() -> None:
    trial = drift_trial(Story("drift").facts(), "env")
    assert (trial.said, trial.begun, trial.last_word(), trial.end_s) == ({}, False, "", None)


def test_what_an_act_of_several_parts_is_over_by() -> None:
    one, two = Story().fault(), Story().fault().fault("node-drain", at=200)
    assert act_of(one).over_means == "the target had recovered from the fault pod-delete"
    assert act_of(two).over_means == "all that was done was over"


@pytest.mark.parametrize(("at_s", "there"), [(94.9, False), (95.0, True), (100.0, True), (122.0, True), (122.1, False)])
def test_a_part_counts_from_a_little_before_its_start_to_a_little_after_its_end(at_s: float, there: bool) -> None:
    assert (act_of(Story().fault()).at(at_s, early_s=5.0, late_s=2.0) is not None) is there


def test_a_rollout_that_did_not_fail_has_no_cause() -> None:
    rollout = act_of(good_release()).rollout
    assert rollout is not None
    assert rollout.cause == ""


def test_a_bad_release_is_over_when_the_last_pod_of_it_is_gone() -> None:
    assert act_of(bad_release()).over_means == "the last pod of the bad version was gone"
