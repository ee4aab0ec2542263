"""Drift: what is proven to be a self-heal in time, what fails, and the many repairs that prove nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import story
from story import Story

from rollproof.core.backoff import model
from rollproof.core.event import Outcome
from rollproof.core.target import DriftSettings
from rollproof.core.verdict import Result, Verdict
from rollproof.judge import checkers
from rollproof.judge.checkers import drift

REVISION, OTHER = "c" * 40, "d" * 40
T0 = 200.0


def tale(*trials: str, version: str = "v3.2.6", must_heal: bool = True, limit_s: float = 5.0) -> Story:
    """A drift drill that has read Argo CD's settings and done nothing yet."""
    settings = DriftSettings(trials=trials or ("image",), must_heal=must_heal, limit_s=limit_s)
    told = Story("drift", plan=story.plan(target=story.target(drift=settings)))
    return told.tell("drift", "Drift", "model", at=190, version=version, **asdict(model(version)))


def ready(told: Story, trial: str = "image", *, kind: str = "heal", **changes: Any) -> Story:
    """Planned, and its preconditions read; `changes` to those."""
    before = {
        "attempts": 1, "gap_s": 2.0, "remaining_s": 0.0, "quiet_s": 5.0, "sync_revision": REVISION,
        "operation_revision": REVISION, "fair": True, "why_unfair": "", "started_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    told.tell("drift", f"Drift/{trial}", "planned", at=199, object="Deployment/shop/web", change="x", kind=kind)
    return told.tell("drift", f"Drift/{trial}", "before", at=T0, **{**before, **changes})


def injected(told: Story, trial: str = "image") -> Story:
    return told.tell("drift", f"Drift/{trial}", "injected", at=T0, field="image", **{"from": "a", "to": "b"})


def healed(told: Story, trial: str = "image", *, after_s: float = 0.5, complete: bool = True, **after: Any) -> Story:
    """Detected, restored and read afterwards; by a self-heal, unless `after` says otherwise."""
    subject = f"Drift/{trial}"
    told.tell("drift", subject, "detected", at=T0 + after_s / 4, start=T0)
    manager = after.pop("manager", "argocd-controller")
    told.tell("drift", subject, "restored", at=T0 + after_s, start=T0, manager=manager, complete=complete, value="a")
    state = {"attempts": 2, "operation_revision": REVISION, "automated": True, "started_at": "2026-01-01T00:01:00Z"}
    return told.tell("drift", subject, "after", at=T0 + after_s + 0.2, **{**state, **after})


def judged(told: Story) -> Verdict:
    (verdict,) = drift.check(told.facts())
    return verdict


class TestHealed:
    def test_by_self_heal_in_time(self) -> None:
        verdict = judged(healed(injected(ready(tale()))))
        assert verdict.result is Result.PASS
        assert verdict.numbers["detect_and_apply_s"] == 0.5
        assert verdict.numbers["limit_kept_up_to_attempts"] == 1
        assert len(verdict.evidence) == 6

    def test_the_verdict_says_for_which_counts_the_limit_can_be_kept(self) -> None:
        (finding,) = judged(healed(injected(ready(tale())))).findings
        assert finding.code == "BACKOFF_SCHEDULE"
        assert "v3.2.6 lets 0, 2, 6, 18, 54, 162, 300 s" in finding.text
        assert "after 0 to 1 heals" in finding.text

    def test_later_than_the_limit_fails(self) -> None:
        verdict = judged(healed(injected(ready(tale())), after_s=5.2))
        assert verdict.result is Result.FAIL
        assert verdict.findings[0].code == "APPLY_SLOW"

    def test_back_off_is_not_slowness(self) -> None:
        verdict = judged(healed(injected(ready(tale(), attempts=3, remaining_s=16.0)), after_s=16.6, attempts=4))
        assert verdict.result is Result.PASS
        assert verdict.numbers["backoff_s"] == 16.0
        assert verdict.numbers["detect_and_apply_s"] == pytest.approx(0.6)
        assert "total 16.60 s" in verdict.why

    def test_the_grain_of_argo_cds_clock_is_not_hidden(self) -> None:
        verdict = judged(healed(injected(ready(tale(), attempts=3, remaining_s=10.0)), after_s=14.5, attempts=4))
        assert verdict.result is Result.INCONCLUSIVE
        assert "grain" in verdict.why

    def test_slow_even_after_the_back_off_fails(self) -> None:
        verdict = judged(healed(injected(ready(tale(), attempts=3, remaining_s=10.0)), after_s=16.0, attempts=4))
        assert verdict.result is Result.FAIL

    def test_partly_restored_fails(self) -> None:
        verdict = judged(healed(injected(ready(tale())), complete=False))
        assert verdict.result is Result.FAIL
        assert "in part" in verdict.why

    def test_a_deleted_object_that_came_back_in_part_is_said_in_words(self) -> None:
        told = ready(tale()).tell("drift", "Drift/image", "injected", at=T0, deleted=True)
        assert "only in part: the object is there again" in judged(healed(told, complete=False)).why

    def test_the_count_starts_again_where_the_version_says_so(self) -> None:
        told = healed(injected(ready(tale(), attempts=4, quiet_s=400.0)), attempts=1)
        assert judged(told).result is Result.PASS

    def test_the_same_count_on_a_newer_version_is_no_self_heal(self) -> None:
        told = healed(injected(ready(tale(version="v3.5.1"), attempts=4, quiet_s=400.0)), attempts=1)
        assert judged(told).result is Result.INCONCLUSIVE


class TestRestoredOtherwise:
    @pytest.mark.parametrize(
        ("after", "word"),
        [
            ({"attempts": 0}, "ordinary auto-sync"),
            ({"automated": False, "initiated_by": "alice"}, "alice"),
            ({"attempts": 4}, "something else"),
            ({"operation_revision": OTHER}, "another revision"),
            ({"attempts": 1, "started_at": "2026-01-01T00:00:00Z"}, "no operation"),
            ({"manager": "kubectl-edit"}, "kubectl-edit"),
            # A last operation that is older than the drift tells nothing of who repaired it, however it was started.
            (
                {
                    "automated": False,
                    "initiated_by": "rollproof",
                    "started_at": "2026-01-01T00:00:00Z",
                    "manager": "kubectl-edit",
                },
                "kubectl-edit",
            ),
            ({"automated": False, "started_at": "2026-01-01T00:00:00Z", "manager": ""}, "no operation"),
        ],
    )
    def test_proves_nothing(self, after: dict[str, Any], word: str) -> None:
        verdict = judged(healed(injected(ready(tale())), **after))
        assert verdict.result is Result.INCONCLUSIVE
        assert word in verdict.why

    def test_a_heal_whose_operation_state_was_not_read_proves_nothing(self) -> None:
        told = injected(ready(tale()))
        told.tell("drift", "Drift/image", "restored", at=T0 + 0.4, start=T0, manager="argocd-controller")
        assert judged(told).result is Result.INCONCLUSIVE

    def test_a_version_that_counts_nothing_proves_nothing(self) -> None:
        verdict = judged(healed(injected(ready(tale(version="v2.10.0")))))
        assert verdict.result is Result.INCONCLUSIVE

    def test_an_unknown_version_passes_on_measured_time_alone(self) -> None:
        assert judged(healed(injected(ready(tale(version="unknown"))))).result is Result.PASS

    def test_an_unknown_version_cannot_fail_for_what_may_be_back_off(self) -> None:
        told = healed(injected(ready(tale(version="unknown"))), after_s=20)
        assert judged(told).result is Result.INCONCLUSIVE


class TestNotHealed:
    @staticmethod
    def told(
        *, must_heal: bool = True, waited_s: float = 60.0, again: dict[str, Any] | None = None, **checked: bool | None
    ) -> Story:
        told = injected(ready(tale(must_heal=must_heal)))
        return told.tell(
            "drift", "Drift/image", "not-healed", at=T0 + waited_s, outcome=Outcome.FAIL, stage="not-synced",
            checked=checked, waited_s=waited_s, **(again or {}),
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("again", "result", "word"),
        [
            ({}, Result.FAIL, "not healed"),  # an old fact, which did not say
            ({"seen": True, "found": "ours"}, Result.FAIL, "not healed"),
            ({"seen": False, "found": "ours"}, Result.INCONCLUSIVE, "our own change was not seen on that watch"),
            ({"seen": None, "found": "ours"}, Result.INCONCLUSIVE, "our own change was not seen on that watch"),
            ({"seen": True, "found": "original"}, Result.INCONCLUSIVE, "it is as before"),
            ({"seen": True, "found": "other"}, Result.INCONCLUSIVE, "neither ours nor the original"),
            ({"seen": True, "found": "unread"}, Result.INCONCLUSIVE, "could not be read"),
            ({"seen": True, "found": "a word of a later version"}, Result.INCONCLUSIVE, "could not be read"),
        ],
    )
    @pytest.mark.parametrize("cause", ["self_heal_off", "controller_away"])
    def test_a4_not_healed_needs_a_fact_that_says_so(
        self, again: dict[str, Any], result: Result, word: str, cause: str
    ) -> None:
        verdict = judged(self.told(again=again, **{cause: True}))
        assert verdict.result is result
        assert word in verdict.why

    def test_a4_a_cause_that_nobody_could_check_is_named_as_such(self) -> None:
        verdict = judged(self.told(self_heal_off=False, sync_window=None))
        assert verdict.result is Result.FAIL
        assert "all were checked but sync_window" in verdict.why
        both = judged(self.told(self_heal_off=False, sync_window=None, controller_away=None))
        assert "all were checked but sync_window, controller_away)" in both.why

    def test_a4_whether_it_is_meant_to_heal_must_be_known_where_it_need_not(self) -> None:
        assert judged(self.told(must_heal=False, sync_window=None)).result is Result.INCONCLUSIVE
        assert judged(self.told(must_heal=False, controller_away=None)).result is Result.FAIL

    def test_fails_with_its_cause(self) -> None:
        verdict = judged(self.told(self_heal_off=True, sync_window=False))
        assert verdict.result is Result.FAIL
        assert "selfHeal is off" in verdict.why
        assert verdict.findings[0].code == "SELF_HEAL_OFF"

    def test_fails_without_a_known_cause(self) -> None:
        verdict = judged(self.told(self_heal_off=False))
        assert verdict.result is Result.FAIL
        assert "none of the known causes" in verdict.why
        assert verdict.findings[0].code == "NOT_SYNCED"

    def test_every_true_cause_is_named(self) -> None:
        codes = [finding.code for finding in judged(self.told(sync_window=True, controller_away=True)).findings]
        assert codes[:2] == ["SYNC_WINDOW", "CONTROLLER_AWAY"]

    def test_off_by_choice_is_skipped_where_nobody_promised_it(self) -> None:
        assert judged(self.told(must_heal=False, self_heal_off=True)).result is Result.SKIPPED

    def test_broken_is_not_a_choice(self) -> None:
        assert judged(self.told(must_heal=False, last_sync_failed=True)).result is Result.FAIL

    def test_not_watched_long_enough_is_not_judged(self) -> None:
        assert judged(self.told(waited_s=4.0)).result is Result.INCONCLUSIVE

    @pytest.mark.parametrize(("must_heal", "result"), [(True, Result.FAIL), (False, Result.SKIPPED)])
    def test_a_closed_sync_window_is_judged_without_a_drift(self, must_heal: bool, result: Result) -> None:
        told = ready(tale(must_heal=must_heal), window_denied=True, fair=False, why_unfair="a sync window forbids it")
        verdict = judged(told)
        assert verdict.result is result
        assert verdict.findings[0].code == "SYNC_WINDOW"

    def test_a_cause_that_this_version_does_not_know_is_no_excuse(self) -> None:
        assert judged(self.told(must_heal=False, sunspots=True)).result is Result.FAIL


class TestNotJudged:
    def test_never_tried(self) -> None:
        assert judged(tale()).result is Result.INCONCLUSIVE

    def test_no_trial_at_all(self) -> None:
        (verdict,) = drift.check(Story("drift", plan=_no_trials()).facts())
        assert verdict.result is Result.INCONCLUSIVE

    def test_not_fair(self) -> None:
        verdict = judged(healed(injected(ready(tale(), fair=False, why_unfair="OutOfSync already"))))
        assert verdict.result is Result.INCONCLUSIVE
        assert "OutOfSync already" in verdict.why

    def test_the_equality_of_revisions_is_checked_here_too(self) -> None:
        verdict = judged(healed(injected(ready(tale(), operation_revision=OTHER))))
        assert verdict.result is Result.INCONCLUSIVE
        assert "auto-sync" in verdict.why

    def test_void(self) -> None:
        told = ready(tale()).tell("drift", "Drift/image", "void", at=T0)
        assert judged(told).result is Result.INCONCLUSIVE

    def test_the_harness_failed(self) -> None:
        told = ready(tale()).tell(
            "drift", "Drift/image", "error", at=T0, outcome=Outcome.UNKNOWN, reason="403 on PATCH"
        )
        verdict = judged(told)
        assert verdict.result is Result.INCONCLUSIVE
        assert "403 on PATCH" in verdict.why

    def test_ended_in_the_middle(self) -> None:
        verdict = judged(injected(ready(tale())))
        assert verdict.result is Result.INCONCLUSIVE
        assert "'injected'" in verdict.why

    def test_a_blind_watch(self) -> None:
        told = injected(ready(tale()))
        told.tell("watch", "Watch/Deployment", "gap", at=T0 + 0.4, start=T0 + 0.1, lost=True, reason="API away")
        assert judged(healed(told)).result is Result.INCONCLUSIVE

    def test_a_blind_watch_when_nothing_was_seen_to_be_healed(self) -> None:
        told = TestNotHealed.told(**dict.fromkeys(drift.CAUSES, False))
        told.tell("watch", "Watch/object", "gap", at=T0 + 3, start=T0 + 2, lost=True, reason="API away")
        verdict = judged(told)
        assert verdict.result is Result.INCONCLUSIVE
        assert "blind" in verdict.why

    @pytest.mark.parametrize(
        ("step_s", "result"), [(0.9, Result.PASS), (5.0, Result.INCONCLUSIVE), (-5.0, Result.INCONCLUSIVE)]
    )
    def test_a_wall_clock_that_was_set(self, step_s: float, result: Result) -> None:
        told = healed(injected(ready(tale())))
        told.tell("run", "clock", "read", at=190, monotonic_s=190.0, wall_s=1000.0)
        told.tell("run", "clock", "read", at=210, monotonic_s=210.0, wall_s=1020.0 + step_s)
        verdict = judged(told)
        assert verdict.result is result
        assert ("the wall clock moved" in verdict.why) is (result is Result.INCONCLUSIVE)

    @pytest.mark.parametrize("end", ["healed", "too late", "not healed"])
    @pytest.mark.parametrize("after_restored", [False, True])
    def test_somebody_else_at_the_same_field(self, end: str, after_restored: bool) -> None:
        if end == "not healed":
            told = TestNotHealed.told(**dict.fromkeys(drift.CAUSES, False))
        else:
            told = healed(injected(ready(tale())), after_s=0.5 if end == "healed" else 9.0)
        told.tell(
            "drift", "Drift/image", "interfered", at=T0 + 1, start=T0, outcome=Outcome.UNKNOWN, manager="other",
            value="x:9", after_restored=after_restored,
        )  # fmt: skip
        verdict = judged(told)
        when = "after it was restored" if after_restored else "during the trial"
        assert verdict.result is Result.INCONCLUSIVE
        assert verdict.why == f"somebody else changed the same field {when} (other): 'x:9'"

    def test_a_blind_watch_before_the_trial_does_not_matter(self) -> None:
        told = ready(tale()).tell("watch", "Watch/Deployment", "gap", at=T0 - 1, start=T0 - 5, lost=True, reason="x")
        assert judged(healed(injected(told))).result is Result.PASS

    def test_a_blind_watch_does_not_excuse_what_was_never_healed(self) -> None:
        told = TestNotHealed.told(self_heal_off=True)
        told.tell("watch", "Watch/Deployment", "gap", at=T0 + 3, start=T0 + 2, lost=True, reason="API away")
        assert judged(told).result is Result.FAIL

    def test_skipped_with_its_reason(self) -> None:
        told = tale("replicas")
        told.tell("drift", "Drift/replicas", "planned", at=1, kind="heal")
        told.tell("drift", "Drift/replicas", "skipped", at=1, reason="replicas belongs to HorizontalPodAutoscaler web")
        verdict = judged(told)
        assert verdict.result is Result.SKIPPED
        assert "HorizontalPodAutoscaler" in verdict.why


class TestControls:
    def test_the_undeclared_annotation_stays(self) -> None:
        name = "undeclared-annotation"
        told = injected(ready(tale(name), name, kind="control"), name)
        assert judged(told.tell("drift", f"Drift/{name}", "stayed", at=T0 + 10, watched_s=10.0)).result is Result.PASS

    def test_an_annotation_that_is_healed_shakes_our_understanding(self) -> None:
        name = "undeclared-annotation"
        told = healed(injected(ready(tale(name), name, kind="control"), name), name)
        verdict = judged(told)
        assert verdict.result is Result.INCONCLUSIVE
        assert verdict.findings[0].code == "UNDECLARED_REMOVED"

    def test_an_annotation_that_was_watched_too_short(self) -> None:
        name = "undeclared-annotation"
        told = injected(ready(tale(name), name, kind="control"), name)
        assert judged(told.tell("drift", f"Drift/{name}", "stayed", at=T0 + 2, watched_s=2.0)).result is (
            Result.INCONCLUSIVE
        )

    def test_a_void_patch_is_refused(self) -> None:
        told = ready(tale("void-patch"), "void-patch", kind="control")
        assert judged(told.tell("drift", "Drift/void-patch", "void", at=T0)).result is Result.PASS

    def test_a_void_patch_that_counts_as_drift_is_a_broken_drill(self) -> None:
        told = injected(ready(tale("void-patch"), "void-patch", kind="control"), "void-patch")
        assert judged(told).result is Result.INCONCLUSIVE


def test_each_trial_of_the_plan_is_judged_in_its_order_and_the_schedule_is_told_once() -> None:
    told = healed(injected(ready(tale("env", "image", "configmap"), "env"), "env"), "env")
    healed(injected(ready(told, "image", attempts=2), "image"), "image", attempts=3)
    verdicts = checkers.judge(told.facts(), ("drift",))
    assert [verdict.subject for verdict in verdicts] == ["Drift/env", "Drift/image", "Drift/configmap"]
    assert [verdict.result for verdict in verdicts] == [Result.PASS, Result.PASS, Result.INCONCLUSIVE]
    codes = [finding.code for verdict in verdicts for finding in verdict.findings]
    assert codes == ["BACKOFF_SCHEDULE"]
    assert {verdict.drill for verdict in verdicts} == {"drift"}


def test_of_a_trial_that_was_repeated_the_last_one_counts() -> None:
    told = healed(injected(ready(tale())))
    assert judged(told).result is Result.PASS
    ready(told).tell("drift", "Drift/image", "void", at=T0)
    assert judged(told).why == "the patch changed nothing: there was no drift to heal"
    assert judged(injected(ready(told))).why == "the trial ended in the middle: the last that is known is 'injected'"


def test_a_trial_whose_name_begins_like_another_is_not_mixed_up() -> None:
    other = "delete-service-account"
    told = healed(injected(ready(tale("delete-service"), other), other), other)
    assert judged(told).why == "it was never tried"


def _no_trials() -> Any:
    return story.plan(target=story.target(drift=DriftSettings(trials=())))
