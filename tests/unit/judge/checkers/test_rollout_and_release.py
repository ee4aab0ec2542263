"""Rollout, release and rollback: for each what must pass, what must fail, and what must not be judged."""

from __future__ import annotations

import pytest
import story
from story import Story, good_release

from rollproof.core.event import Outcome
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers import judge, release, rollback, rollout


class TestRollout:
    def test_passes_when_every_old_pod_was_replaced(self) -> None:
        verdict = rollout.check(good_release().facts())
        assert verdict.result is Result.PASS
        assert verdict.numbers["last_old_pod_gone_s"] == 24.0

    def test_a_rollout_that_replaced_nothing_is_void(self) -> None:
        facts = Story().release_started().stages().proofs().facts()
        verdict = rollout.check(facts)
        assert verdict.result is Result.INCONCLUSIVE
        assert "no pod was replaced" in verdict.why

    def test_an_old_pod_left_behind_fails(self) -> None:
        told = Story().release_started().pod("new-1", "modified", at=110, ready=True).pod("old-1", "deleted", at=118)
        told.stages(until="rolled-out").tell(
            "release", "Release/x", "failed", at=400, outcome=Outcome.FAIL, stage="old-gone", cause="DeadlineExceeded",
            reason="pod old-2 is still Terminating",
        )  # fmt: skip
        verdict = rollout.check(told.facts())
        assert verdict.result is Result.FAIL
        assert "1 of 2 old pods" in verdict.why

    def test_without_a_start_nothing_is_claimed(self) -> None:
        assert rollout.check(Story().facts()).result is Result.INCONCLUSIVE

    def test_an_earlier_deletion_of_an_old_pod_does_not_count(self) -> None:
        told = Story().pod("old-1", "deleted", at=50).pod("old-2", "deleted", at=51).release_started().stages()
        assert rollout.check(told.facts()).result is Result.INCONCLUSIVE

    def test_a_pod_of_somebody_elses_that_goes_later_is_no_old_pod(self) -> None:
        verdict = rollout.check(good_release().pod("new-9", "deleted", at=200).facts())
        assert verdict.numbers["last_old_pod_gone_s"] == 24.0

    def test_an_old_pod_that_is_terminating_is_not_gone(self) -> None:
        told = Story().release_started().pod("new-1", "modified", at=110, ready=True).pod("old-1", "deleted", at=118)
        told.pod("old-2", "modified", at=119).stages()
        verdict = rollout.check(told.facts())
        assert verdict.result is Result.INCONCLUSIVE
        assert "1 of 2 old pods are called gone" in verdict.why

    def test_a_run_that_ended_early_is_not_called_failed(self) -> None:
        told = Story().release_started().pod("new-1", "modified", at=110, ready=True).pod("old-1", "deleted", at=118)
        assert rollout.check(told.facts()).result is Result.INCONCLUSIVE

    def test_old_pods_that_stay_in_somebody_elses_rollout_are_not_ours_to_judge(self) -> None:
        told = Story().release_started().pod("new-1", "modified", at=110, ready=True).pod("old-1", "deleted", at=118)
        told.stages(until="synced").tell(
            "release", "Release/x", "failed", at=120, outcome=Outcome.UNKNOWN, stage="rolled-out", cause="Superseded",
            reason="superseded by another tag",
        )  # fmt: skip
        verdict = rollout.check(told.facts())
        assert verdict.result is Result.INCONCLUSIVE
        assert "superseded by another tag" in verdict.why

    def test_a_pod_that_was_made_anew_of_the_old_version_is_no_replacement(self) -> None:
        """Evicted, or deleted by somebody: the old ReplicaSet made others in their place."""
        told = Story().release_started()
        for name, at in (("old-1", 105.0), ("old-2", 107.0)):
            told.pod(name, "deleted", at=at).pod(f"again-{name}", "modified", at=at + 3, ready=True)
        stuck = {"stage": "synced", "cause": "DeadlineExceeded", "reason": "Argo CD did nothing"}
        told.tell("release", "Release/x", "failed", at=400, outcome=Outcome.FAIL, **stuck)
        verdict = rollout.check(told.facts())
        assert verdict.result is Result.INCONCLUSIVE
        assert "no pod was replaced" in verdict.why

    @pytest.mark.parametrize(("gone_at", "result"), [(123.0, Result.PASS), (0.0, Result.INCONCLUSIVE)])
    def test_one_that_was_made_anew_has_to_go_as_well(self, gone_at: float, result: Result) -> None:
        told = good_release().pod("again-1", "added", at=112).pod("again-1", "modified", at=113, ready=True)
        if gone_at:
            told.pod("again-1", "deleted", at=gone_at)
        verdict = rollout.check(told.facts())
        assert verdict.result is result, verdict.why
        assert result is Result.PASS or "1 of 3 old pods are called gone" in verdict.why

    def test_the_old_version_that_comes_back_after_the_end_was_taken_back(self) -> None:
        told = good_release().pod("back-1", "added", at=140).pod("back-1", "modified", at=143, ready=True)
        assert rollout.check(told.facts()).result is Result.PASS

    def test_a_restart_says_that_it_proves_replacement_only(self) -> None:
        told = Story().release_started(restart=True).pods_replaced().stages()
        assert "replacement is proven, not a new version" in rollout.check(told.facts()).why


class TestRelease:
    def test_passes_with_the_time_of_every_stage(self) -> None:
        verdict = release.check(good_release().facts())
        assert verdict.result is Result.PASS
        assert verdict.numbers["seen_s"] == 1.5
        assert verdict.numbers["proven_s"] == 25.0

    def test_an_image_that_cannot_be_pulled_fails_with_its_cause(self) -> None:
        told = Story().release_started().stages(until="synced").tell(
            "release", f"Release/{story.NEW}", "failed", at=130, outcome=Outcome.FAIL, stage="rolled-out",
            cause="ImagePullBackOff", reason="pod new-1: image not found", look_at="the tag in the registry",
        )  # fmt: skip
        verdict = release.check(told.facts())
        assert verdict.result is Result.FAIL
        assert verdict.findings[0].code == "IMAGE_PULL_BACK_OFF"
        assert verdict.findings[0].hint == "the tag in the registry"

    def test_a_pod_that_says_another_version_has_a_hint_too(self) -> None:
        told = Story().release_started().stages(until="old-gone").tell(
            "release", f"Release/{story.NEW}", "failed", at=130, outcome=Outcome.FAIL, stage="proven",
            cause="WrongVersion", reason="Pod/shop/new-1: version 0badbad",
        )  # fmt: skip
        (finding,) = release.check(told.facts()).findings
        assert finding.code == "WRONG_VERSION"
        assert "built from that commit" in finding.hint

    def test_a_push_that_did_not_get_through_is_not_the_apps_fault(self) -> None:
        told = Story().release_started().tell(
            "release", f"Release/{story.NEW}", "failed", at=130, outcome=Outcome.UNKNOWN, stage="pushed",
            cause="PushFailed", reason="connection refused",
        )  # fmt: skip
        assert release.check(told.facts()).result is Result.INCONCLUSIVE

    def test_synced_is_not_proven(self) -> None:
        told = Story().release_started().stages(until="synced")
        assert release.check(told.facts()).result is Result.INCONCLUSIVE

    def test_a_superseded_commit_is_a_finding(self) -> None:
        told = Story().release_started().pods_replaced().stages(superseded=True)
        assert [finding.code for finding in release.check(told.facts()).findings] == ["SUPERSEDED"]

    def test_no_release_no_claim(self) -> None:
        assert release.check(Story().facts()).result is Result.INCONCLUSIVE


class TestRollback:
    def _told(self, proven_at: float) -> Story:
        told = Story(drill="rollback").release_started(source="rollback").pods_replaced(sha=story.OLD)
        return told.stages(source="rollback", proven_at=proven_at)

    def test_within_the_limit_passes_and_names_both_shas(self) -> None:
        verdict = rollback.check(self._told(125.0).facts())
        assert verdict.result is Result.PASS
        assert verdict.numbers["push_to_proof_s"] == 24.5
        assert story.OLD in verdict.why
        assert "cccccccccccc" in verdict.why

    def test_later_than_the_limit_fails_and_names_the_slowest_stage(self) -> None:
        verdict = rollback.check(self._told(131.0).facts())
        assert verdict.result is Result.FAIL
        assert verdict.findings[0].code == "SLOWEST_STAGE"
        assert "rolled-out" in verdict.findings[0].text

    def test_exactly_the_limit_passes(self) -> None:
        assert rollback.check(self._told(130.5).facts()).result is Result.PASS

    def test_an_image_that_is_gone_fails(self) -> None:
        told = Story(drill="rollback").release_started(source="rollback").stages(source="rollback", until="synced")
        told = told.tell(
            "rollback", "Rollback/x", "failed", at=140, outcome=Outcome.FAIL, stage="rolled-out",
            cause="ImagePullBackOff", reason="old image was deleted",
        )  # fmt: skip
        assert rollback.check(told.facts()).result is Result.FAIL

    def test_a_revert_that_was_overwritten_fails_and_says_whether_the_old_version_had_come_back(self) -> None:
        for until, said in (("seen", "did not come back"), ("proven", "came back, and does not stay")):
            told = Story(drill="rollback").release_started(source="rollback").pods_replaced(sha=story.OLD)
            told.stages(source="rollback", until=until).tell(
                "rollback", "Rollback/x", "failed", at=140, outcome=Outcome.FAIL, stage="proven", cause="Overwritten",
                reason="the overlay says bbbbbbb", look_at="an image updater?",
            )  # fmt: skip
            verdict = rollback.check(told.facts())
            assert verdict.result is Result.FAIL
            assert said in verdict.why
            assert [finding.code for finding in verdict.findings] == ["OVERWRITTEN"]

    def test_not_followed_to_the_end_is_inconclusive(self) -> None:
        told = Story(drill="rollback").release_started(source="rollback").stages(source="rollback", until="synced")
        assert rollback.check(told.facts()).result is Result.INCONCLUSIVE

    def test_a_release_is_no_rollback(self) -> None:
        assert rollback.check(good_release().facts()).result is Result.INCONCLUSIVE


class TestJudge:
    def test_an_unknown_checker_is_inconclusive(self) -> None:
        (verdict,) = judge(good_release().facts(), ["no-such-checker"])
        why = (
            "this version of rollproof has no checker named 'no-such-checker'; judge with the version that made the run"
        )
        assert verdict == Verdict("no-such-checker", "rollproof", Result.INCONCLUSIVE, why, drill="zero-downtime")

    def test_a_checker_that_breaks_is_inconclusive(self) -> None:
        broken = Story().tell("release", "Release/x", "started", at=1.0, old_pods=[{"no": "uid"}])
        (verdict,) = judge(broken.facts(), ["rollout"])
        why = "the checker itself failed: KeyError: 'uid'; please report it with the run folder"
        assert verdict == Verdict("rollout", "rollproof", Result.INCONCLUSIVE, why, drill="zero-downtime")
