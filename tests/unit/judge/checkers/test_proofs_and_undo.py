"""Version, readiness, watches, undo: what must pass, what must fail, what must not be judged."""

from __future__ import annotations

from dataclasses import replace

import pytest
import story
from story import Story, good_release

from rollproof.core.event import Outcome
from rollproof.core.journal import CHECK, LEASE_KIND, Entry, Record
from rollproof.core.verdict import EXIT_CODES, EXIT_UNDO_FAILED, EXIT_USAGE, Result, worst
from rollproof.judge.checkers import readiness, undo, version, watches


class TestVersion:
    def test_pods_and_ingress_agree(self) -> None:
        verdict = version.check(good_release().facts())
        assert verdict.result is Result.PASS
        assert verdict.numbers["pods_proven"] == 2

    def test_a_wrong_version_fails_and_says_which(self) -> None:
        told = Story().release_started().pods_replaced().stages(until="old-gone").proofs("ccccccc")
        verdict = version.check(told.facts())
        assert verdict.result is Result.FAIL
        assert "ccccccc" in verdict.why

    def test_after_somebody_elses_tag_no_version_is_the_wrong_one(self) -> None:
        told = Story().release_started().pods_replaced().stages(until="old-gone").proofs("ccccccc").tell(
            "release", "Release/x", "failed", at=126, outcome=Outcome.UNKNOWN, stage="proven", cause="Superseded",
            reason="superseded by another tag: ccccccc",
        )  # fmt: skip
        verdict = version.check(told.facts())
        assert verdict.result is Result.INCONCLUSIVE
        assert "superseded by another tag" in verdict.why

    def test_one_late_answer_of_the_old_sha_fails_even_after_many_good_ones(self) -> None:
        told = good_release().proofs(story.OLD, count=1)
        assert version.check(told.facts()).result is Result.FAIL

    def test_too_few_answers_in_a_row_prove_nothing(self) -> None:
        told = Story().release_started().pods_replaced().stages().proofs(count=2)
        assert version.check(told.facts()).result is Result.INCONCLUSIVE

    def test_nobody_asked_proves_nothing(self) -> None:
        told = Story().release_started().pods_replaced().stages()
        assert version.check(told.facts()).result is Result.INCONCLUSIVE

    def test_pods_that_cannot_be_reached_are_named_as_not_seen(self) -> None:
        told = Story().release_started().pods_replaced().stages()
        told.tell("proof", "Pods", "not-reachable", at=124, outcome=Outcome.UNKNOWN, reason="403 on pods/proxy")
        for i in range(3):
            told.tell("proof", "Ingress", "version", at=125 + i, version=story.NEW, expected=story.NEW, status=200)
        verdict = version.check(told.facts())
        assert verdict.result is Result.PASS
        assert verdict.findings[0].code == "PODS_NOT_SEEN"

    def test_one_tag_from_two_images_is_a_finding(self) -> None:
        told = good_release()
        for name, image_id in (("new-1", "sha256:1"), ("new-2", "sha256:2")):
            told.tell(
                "watch",
                f"Pod/shop/{name}",
                "modified",
                at=123,
                image=f"x/web:{story.NEW}",
                image_id=image_id,
                ready=True,
            )
        assert [finding.code for finding in version.check(told.facts()).findings] == ["MIXED_IMAGES"]

    def test_a_silent_pod_is_not_overlooked(self) -> None:
        told = good_release()
        told.tell("proof", "Pod/shop/new-3", "version", at=126, outcome=Outcome.UNKNOWN, error="read.timeout")
        assert version.check(told.facts()).result is Result.INCONCLUSIVE

    def test_silence_that_was_followed_by_an_answer_is_overcome_and_the_other_way_round_it_is_not(self) -> None:
        def asked(*outcomes: Outcome) -> Result:
            told = good_release()
            for i, outcome in enumerate(outcomes):
                told.tell("proof", "Pod/shop/new-3", "version", at=126 + i, outcome=outcome, version=story.NEW)
            return version.check(told.facts()).result

        assert asked(Outcome.UNKNOWN, Outcome.OK) is Result.PASS
        assert asked(Outcome.OK, Outcome.UNKNOWN) is Result.INCONCLUSIVE

    def test_a_proof_that_was_not_brought_to_its_end_proves_nothing(self) -> None:
        told = Story().release_started().pods_replaced().stages(until="old-gone").proofs()
        assert version.check(told.facts()).result is Result.INCONCLUSIVE

    def test_answers_from_before_the_start_do_not_count(self) -> None:
        told = Story()
        told.tell("proof", "Ingress", "version", at=50, outcome=Outcome.FAIL, version=story.OLD, expected=story.NEW)
        told.release_started().pods_replaced().stages().proofs()
        assert version.check(told.facts()).result is Result.PASS

    def test_after_a_rollback_the_old_sha_is_the_right_one(self) -> None:
        told = Story(drill="rollback").release_started(source="rollback").pods_replaced(sha=story.OLD)
        told.stages(source="rollback").proofs(story.OLD, expected=story.OLD)
        assert version.check(told.facts()).result is Result.PASS


class TestReadiness:
    def test_the_field_from_all(self) -> None:
        assert readiness.check(good_release().facts()).result is Result.PASS

    def test_database_down_fails(self) -> None:
        verdict = readiness.check(Story().database("down").facts())
        assert verdict.result is Result.FAIL
        assert "'down'" in verdict.why

    def test_a_missing_field_is_not_judged(self) -> None:
        assert readiness.check(Story().database(None).facts()).result is Result.INCONCLUSIVE

    def test_answers_from_before_the_rollout_do_not_count(self) -> None:
        told = Story().database().release_started(at=200.0)
        assert readiness.check(told.facts()).result is Result.INCONCLUSIVE

    def test_of_an_answer_and_silence_the_later_counts(self) -> None:
        told = good_release().tell("proof", "Ingress", "database", at=126, outcome=Outcome.UNKNOWN, error="timeout")
        assert readiness.check(told.facts()).result is Result.INCONCLUSIVE
        assert readiness.check(told.database().facts()).result is Result.INCONCLUSIVE  # at 124.8 s, before the silence
        told.tell("proof", "Ingress", "database", at=127, value="ok")
        assert readiness.check(told.facts()).result is Result.PASS

    def test_never_asked_is_not_judged(self) -> None:
        assert readiness.check(Story().facts()).result is Result.INCONCLUSIVE


class TestWatches:
    def test_a_routine_gap_is_fine(self) -> None:
        told = good_release().tell("watch", "Watch/Pod", "gap", at=111, start=110, lost=False, reason="410 Gone")
        assert watches.check(told.facts()).result is Result.PASS

    def test_lost_facts_forbid_a_verdict(self) -> None:
        told = good_release().tell(
            "watch", "Watch/Pod", "gap", at=120, start=110, outcome=Outcome.UNKNOWN, lost=True, reason="API away"
        )
        verdict = watches.check(told.facts())
        assert verdict.result is Result.INCONCLUSIVE
        assert "10.0 s" in verdict.why

    @pytest.mark.parametrize(("away_s", "result"), [(1.0, Result.PASS), (1.1, Result.INCONCLUSIVE)])
    def test_a_watch_that_was_away_for_long_told_everything_late(self, away_s: float, result: Result) -> None:
        told = good_release().tell("watch", "Watch/Pod", "gap", at=110 + away_s, start=110, lost=False, reason="away")
        verdict = watches.check(told.facts())
        assert verdict.result is result
        assert ("away for 1.1 s" in verdict.why) is (result is Result.INCONCLUSIVE)

    def test_the_longest_gap_counts_not_the_last(self) -> None:
        told = good_release().tell("watch", "Watch/Pod", "gap", at=112, start=110, lost=False, reason="away")
        told.tell("watch", "Watch/Pod", "gap", at=115.2, start=115, lost=False, reason="410 Gone")
        assert "away for 2.0 s" in watches.check(told.facts()).why

    @pytest.mark.parametrize(
        ("ahead_s", "result", "step_s"),
        [
            ((5.0, 5.4), Result.PASS, 0.4), ((0.0,), Result.PASS, None), ((0.0, 5.0), Result.INCONCLUSIVE, 5.0),
            ((5.0, 0.0), Result.INCONCLUSIVE, -5.0), ((0.0, 1.0), Result.PASS, 1.0),
            ((0.0, 3.0, 0.0), Result.INCONCLUSIVE, 3.0),
        ],
    )  # fmt: skip
    def test_a_wall_clock_that_was_set_misdates(
        self, ahead_s: tuple[float, ...], result: Result, step_s: float | None
    ) -> None:
        told = good_release()
        for number, ahead in enumerate(ahead_s):
            told.tell(
                "run", "clock", "read", at=100 + number, monotonic_s=100.0 + number, wall_s=500.0 + number + ahead
            )
        verdict = watches.check(told.facts())
        assert (verdict.result, verdict.numbers.get("clock_step_s")) == (result, step_s)
        assert (verdict.subject == "Clock") is (result is Result.INCONCLUSIVE)

    def test_no_event_at_all_is_not_silence_but_blindness(self) -> None:
        assert watches.check(Story().release_started().facts()).result is Result.INCONCLUSIVE


class TestUndo:
    def test_everything_undone(self) -> None:
        told = Story().tell("undo", "Undo/1", "written", at=1).tell("undo", "Undo/1", "done", at=2)
        assert undo.check(told.facts()).result is Result.PASS

    def test_an_entry_without_an_end_fails(self) -> None:
        verdict = undo.check(Story().tell("undo", "Undo/1", "written", at=1).facts())
        assert verdict.result is Result.FAIL
        assert "never ran" in verdict.why

    def test_a_failed_entry_fails_though_a_later_one_worked(self) -> None:
        told = Story().tell("undo", "Undo/1", "written", at=1).tell("undo", "Undo/2", "written", at=2)
        told.tell("undo", "Undo/2", "failed", at=3, outcome=Outcome.FAIL, reason="403")
        assert undo.check(told.tell("undo", "Undo/1", "done", at=4).facts()).result is Result.FAIL

    def test_somebody_elses_change_is_left_and_not_called_restored(self) -> None:
        told = Story().tell("undo", "Undo/1", "written", at=1)
        told.tell("undo", "Undo/1", "left", at=2, outcome=Outcome.UNKNOWN, expected="a", found="b")
        assert undo.check(told.facts()).result is Result.INCONCLUSIVE

    def test_what_nobody_answered_is_unknown_and_not_a_failed_undo(self) -> None:
        told = Story().tell("undo", "Undo/1", "written", at=1)
        told.tell("undo", "Undo/1", "unknown", at=2, outcome=Outcome.UNKNOWN, reason="no answer")
        verdict = undo.check(told.facts())
        assert verdict.result is Result.FAIL
        assert verdict.why.endswith(": unknown: no answer")

    @pytest.mark.parametrize(
        ("expected", "found", "code"),
        [("a", "b", "LEFT_ALONE"), ("a", None, "LEFT_ALONE"), (None, "b", "LEFT_ALONE"), (None, None, "NOT_SEEN")],
    )
    def test_left_alone_is_of_others_unless_nothing_of_it_is_known(
        self, expected: str | None, found: str | None, code: str
    ) -> None:
        told = Story().tell("undo", "Undo/1", "written", at=1)
        told.tell("undo", "Undo/1", "left", at=2, outcome=Outcome.UNKNOWN, expected=expected, found=found)
        (finding,) = undo.check(told.facts()).findings
        assert finding.code == code

    def test_what_the_undo_could_not_take_away_is_not_blamed_on_somebody_else(self) -> None:
        told = Story().tell("undo", "Undo/1", "written", at=1)
        told.tell(
            "undo", "Undo/1", "left", at=2, outcome=Outcome.UNKNOWN, found="d677", reason="the branch stays: refused"
        )
        (finding,) = undo.check(told.facts()).findings
        assert (finding.code, finding.text) == ("LEFT_ALONE", "Undo/1 was left as it is: the branch stays: refused")

    def test_where_only_the_last_look_fails_no_undo_of_ours_can_mend_it(self) -> None:
        told = Story().tell("undo", "Undo/1-git-push", "written", at=1).tell("undo", "Undo/1-git-push", "done", at=2)
        told.tell("undo", "Undo/check", "written", at=3, kind="check")
        told.tell("undo", "Undo/check", "failed", at=4, outcome=Outcome.FAIL, reason="a pod without an owner")
        verdict = undo.check(told.facts())
        assert verdict.result is Result.FAIL
        assert "mend what is said here by hand" in verdict.findings[0].hint
        told.tell("undo", "Undo/2-git-push", "written", at=5)
        told.tell("undo", "Undo/2-git-push", "failed", at=6, outcome=Outcome.FAIL, reason="403")
        assert "by hand" not in undo.check(told.facts()).findings[0].hint

    @pytest.mark.parametrize("kept", ["", "Undo/1-lease-release", "Undo/check"])
    def test_a_change_without_a_record_of_it_is_not_called_undone(self, kept: str) -> None:
        """Of the journal the lock's entry alone was left: "the one change was undone"."""
        told = Story().tell("release", f"Release/{story.NEW}", "pushed", at=3)
        if kept:
            told.tell("undo", kept, "written", at=1).tell("undo", kept, "done", at=9)
        verdict = undo.check(told.facts())
        assert verdict.result is Result.INCONCLUSIVE
        assert "although something was changed" in verdict.why
        told.tell("undo", "Undo/2-env-repo-tag", "written", at=2).tell("undo", "Undo/2-env-repo-tag", "done", at=8)
        assert undo.check(told.facts()).result is Result.PASS

    def test_nothing_written_is_nothing_to_undo(self) -> None:
        assert undo.check(Story().facts()).result is Result.PASS


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], Result.INCONCLUSIVE),
        ([Result.SKIPPED], Result.INCONCLUSIVE),
        ([Result.PASS, Result.SKIPPED], Result.PASS),
        ([Result.PASS, Result.INCONCLUSIVE], Result.INCONCLUSIVE),
        ([Result.INCONCLUSIVE, Result.FAIL, Result.PASS], Result.FAIL),
    ],
)
def test_the_worst_of_nothing_is_inconclusive(results: list[Result], expected: Result) -> None:
    assert worst(results) is expected


def test_exit_codes() -> None:
    codes = {Result.PASS: 0, Result.FAIL: 1, Result.INCONCLUSIVE: 3, Result.SKIPPED: 3}
    assert (codes, 2, 4) == (EXIT_CODES, EXIT_USAGE, EXIT_UNDO_FAILED)


def test_the_journal_is_believed_before_what_the_timeline_told_of_it() -> None:
    told = Story().tell("undo", "Undo/1-x", "written", at=1).tell("undo", "Undo/1-x", "done", at=2).facts()
    assert undo.check(told).result is Result.PASS
    still_open = Record(entries=(Entry(1, "x", "Deployment/shop/web", {}, tried="failed"),))
    assert undo.check(replace(told, journal=still_open)).result is Result.FAIL


def _ended(*kinds: str, kept: tuple[str, ...] = ()) -> Record:
    """A journal of entries that all ended well."""
    numbered = enumerate(kinds, 1)
    return Record(tuple(Entry(n, kind, "x", {}, "done", kept=kind in kept) for n, kind in numbered))


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (_ended(LEASE_KIND), "nothing was changed, so nothing had to be undone"),
        (_ended(LEASE_KIND, CHECK), "nothing was changed, so nothing had to be undone"),
        (_ended(LEASE_KIND, "tag", CHECK), "the one change was undone"),
        (_ended(LEASE_KIND, "tag", "drift", CHECK), "all 2 changes were undone"),
        (_ended(LEASE_KIND, "tag", CHECK, kept=("tag",)), "1 change stays on purpose"),
        (_ended("tag", "drift", kept=("tag",)), "the one change was undone; 1 change stays on purpose"),
        (_ended("tag", "tag", "a", "b", kept=("tag",)), "all 2 changes were undone; 2 changes stay on purpose"),
    ],
)
def test_the_lock_and_the_last_look_are_no_changes_and_what_stays_was_not_undone(record: Record, why: str) -> None:
    verdict = undo.check(replace(Story().facts(), journal=record))
    assert (verdict.result, verdict.why) == (Result.PASS, why)


def test_of_how_many_changes_one_was_not_undone() -> None:
    failed = Entry(3, "drift", "x", {}, tried="failed", reason="403")
    record = Record((*_ended(LEASE_KIND, "tag").entries, failed, Entry(4, CHECK, "x", {})))
    verdict = undo.check(replace(Story().facts(), journal=record))
    assert verdict.why == "1 of 2 changes was not undone; first Undo/3-drift: 403"


@pytest.mark.parametrize(
    ("record", "gone"),
    [(None, "is missing"), (Record(()), "is empty"), (Record((Entry(1, CHECK, "app", {}, "done"),)), "has no change")],
)
def test_a_change_without_a_record_of_its_undo_is_told(record: Record | None, gone: str) -> None:
    verdict = undo.check(replace(good_release().facts(), journal=record))
    assert verdict.result is Result.INCONCLUSIVE
    assert verdict.why.startswith(f"the record of what was undone {gone}, although something was changed (")


def test_what_failed_is_said_before_what_the_journal_lost() -> None:
    open_entry = Entry(1, "x", "Deployment/shop/web", {}, tried="failed", reason="403")
    record = Record(entries=(open_entry,), damage=("line 3 is cut off", "line 4 is cut off"))
    verdict = undo.check(replace(Story().facts(), journal=record))
    assert verdict.why.endswith(f"change was not undone; first {open_entry.name}: 403; line 3 is cut off")
