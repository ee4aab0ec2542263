"""The table of docs/verdicts.md, each row with a history that it must judge and one that it must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import LANES, Requests
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from judge.properties.strategies import one_more_row, with_outcome
from story import NEW, OLD, Story, good_release, plan, target

from rollproof.core import intervals
from rollproof.core.requests import RequestLog
from rollproof.core.target import Ingress, Traffic
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers import availability

# The stories' act begins at 100 s; the last old pod goes at 124 s, so the window ends at 124 + 10 + 5 = 139 s.
RANK = {Result.PASS: 0, Result.INCONCLUSIVE: 1, Result.FAIL: 2}


def clean() -> Requests:
    return Requests(start=88.0, seconds=53.0, version=OLD).says(NEW, at=115.0).with_slow()


def judge(
    requests: Requests | RequestLog, story: Story | None = None, *, masked: str = "warn", **traffic: Any
) -> Verdict:
    story = story or good_release()
    changed = target(traffic=Traffic(**traffic), ingress=Ingress(masked=masked))
    story.plan = plan(target=changed)
    story.tell("run", "phase", "baseline", start=89.0, at=99.5)
    story.requests = requests if isinstance(requests, RequestLog) else requests.build()
    return availability.check(story.facts())


def test_a_clean_rollout_passes_with_the_largest_gap_in_its_claim() -> None:
    verdict = judge(clean())
    assert verdict.result is Result.PASS, verdict.why
    assert verdict.numbers["failures"] == 0
    assert f"{verdict.numbers['gap_ms_max']:.0f} ms" in verdict.why
    assert verdict.numbers["gap_ms_max"] == 30.0  # the control lane is sampled every 50 ms, but no claim rests on it
    assert verdict.numbers["latency_ms_p99"] == 4.06  # the slow lane is slow on purpose and does not count


class TestNothingHappened:
    def test_without_a_rollout_a_clean_load_proves_nothing(self) -> None:
        assert judge(clean(), Story()).result is Result.INCONCLUSIVE

    def test_an_old_pod_that_is_terminating_is_not_replaced_yet(self) -> None:
        verdict = judge(clean(), Story().release_started().pod("old-1", "modified", at=118.0).stages(until="synced"))
        assert "no pod was replaced" in verdict.why

    def test_no_pod_replaced_is_inconclusive_even_with_failures(self) -> None:
        story = Story().release_started().stages(until="pushed")
        verdict = judge(clean().fail(at=110.0), story)
        assert verdict.result is Result.INCONCLUSIVE
        assert "no pod was replaced" in verdict.why

    def test_without_requests_nothing_is_known(self) -> None:
        assert judge(Requests(seconds=0.001)).result is Result.INCONCLUSIVE

    def test_a_rollout_that_stuck_half_way_cannot_pass_but_can_fail(self) -> None:
        def half() -> Story:
            return Story().release_started().pod("old-1", "deleted", at=118.0).stages(until="synced")

        assert judge(clean(), half()).result is Result.INCONCLUSIVE
        assert judge(clean().fail(at=119.0), half()).result is Result.FAIL


class TestBaseline:
    @pytest.mark.parametrize("outcome", ["http.502", "connect.dns", "client.stalled", "http.429", "body.wrong"])
    def test_any_failure_before_the_act_is_said_to_be_whose_it_is(self, outcome: str) -> None:
        verdict = judge(clean().fail(at=95.0, outcome=outcome).fail(at=110.0, until=112.0))
        assert verdict.result is Result.INCONCLUSIVE
        assert "baseline" in verdict.why
        own = outcome in ("connect.dns", "client.stalled")
        assert ("the generator's own side failed before anything was touched: 1 of " in verdict.why) is own
        assert "sick" not in verdict.why or not own
        assert "sick" in judge(clean().fail(at=95.0, outcome=outcome).fail(at=96.0)).why or outcome == "http.429"

    def test_a_sick_control_lane_counts_as_well(self) -> None:
        assert judge(clean().fail("control", at=95.0)).result is Result.INCONCLUSIVE

    def test_a_baseline_that_hardly_was_is_not_clean(self) -> None:
        verdict = judge(Requests(start=97.0, seconds=44.0, version=OLD), Story())
        assert verdict.result is Result.INCONCLUSIVE
        short = good_release()
        short.plan = plan(target=target(traffic=Traffic()))
        short.tell("run", "phase", "baseline", start=98.0, at=99.5)
        short.requests = clean().build()
        assert "too short" in availability.check(short.facts()).why


class TestLost:
    @pytest.mark.parametrize("lane", ["keepalive-get", "new-get", "keepalive-post", "slow"])
    def test_one_lost_request_on_any_lane_of_the_app_fails(self, lane: str) -> None:
        verdict = judge(clean().fail(lane, at=118.0))
        assert verdict.result is Result.FAIL, verdict.why
        assert "1 of" in verdict.why
        assert lane in verdict.why

    @pytest.mark.parametrize(
        "outcome",
        ["connect.ECONNREFUSED", "connect.timeout", "connect.tls", "send.EPIPE", "read.eof", "read.ECONNRESET",
         "read.timeout", "read.truncated", "read.malformed", "http.500", "http.502", "http.404", "http.301",
         "body.wrong"],
    )  # fmt: skip
    def test_every_hard_class_fails(self, outcome: str) -> None:
        verdict = judge(clean().fail(at=118.0, outcome=outcome))
        assert verdict.result is Result.FAIL
        assert outcome in verdict.why

    def test_the_last_moments_count_too(self) -> None:
        assert judge(clean().fail(at=138.5)).result is Result.FAIL

    def test_a_failure_after_the_window_is_told_but_does_not_fail(self) -> None:
        verdict = judge(clean().fail(at=140.0))
        assert verdict.result is Result.PASS
        assert [finding.code for finding in verdict.findings] == ["FAILED_LATER"]

    def test_an_answer_of_a_third_version_is_a_failure(self) -> None:
        verdict = judge(clean().says("ccccccc", at=119.0, until=119.1))
        assert verdict.result is Result.FAIL
        assert "version.wrong" in verdict.why

    def test_a_blind_generator_does_not_excuse_what_was_seen(self) -> None:
        verdict = judge(clean().blind(at=126.0, until=130.0).fail(at=118.0))
        assert verdict.result is Result.FAIL

    def test_the_sentence_names_length_lane_and_what_a_retry_would_have_hidden(self) -> None:
        verdict = judge(clean().fail(at=118.0, until=118.5, outcome="read.ECONNRESET"))
        assert "489 to 514 ms on keepalive-get, 18.0 s after the start" in verdict.why
        assert verdict.numbers["failures_after_one_retry"] == 0
        assert judge(clean().fail("keepalive-post", at=118.0)).numbers["failures_after_one_retry"] == 1


class TestSomebodyElse:
    def test_failures_while_the_control_probe_failed_too_are_not_blamed_on_the_app(self) -> None:
        verdict = judge(clean().fail("", at=118.0, until=119.0, outcome="connect.timeout"))
        assert verdict.result is Result.INCONCLUSIVE
        assert "control" in verdict.why

    def test_failures_of_the_app_alone_are_blamed_even_if_the_control_failed_at_another_time(self) -> None:
        verdict = judge(clean().fail("control", at=126.0).fail(at=118.0))
        assert verdict.result is Result.FAIL

    def test_a_way_that_is_out_again_and_again_and_loses_the_larger_share_is_not_the_apps(self) -> None:
        """Seen on a lab whose machine was starved: 241 short outages, the control lane, asked rarely, saw a part."""
        broken = clean()
        for at in (118.0, 119.0, 120.0):
            broken = broken.fail("control", at=at, until=at + 0.3)
        verdict = judge(broken.fail(at=119.6))
        assert verdict.result is Result.INCONCLUSIVE
        assert verdict.numbers["failures_while_control_failed"] == 1

    def test_such_a_way_does_not_excuse_an_app_that_loses_more(self) -> None:
        broken = clean()
        for at in (118.0, 119.0, 120.0):
            broken = broken.fail("control", at=at)
        verdict = judge(broken.fail(at=118.2, until=118.9).fail(at=119.2, until=119.9))
        assert verdict.result is Result.FAIL

    def test_nor_one_that_loses_more_beside_its_outages_than_it_does_however_much_falls_into_them(self) -> None:
        broken = clean()
        for at in (118.0, 121.0, 124.0):  # it loses 43 %
            broken = broken.fail("", at=at, until=at + 1.0)
        for at in (119.1, 122.1):
            for lane in LANES[:3]:
                broken = broken.fail(lane, at=at, until=at + 1.8, every=2)
        assert judge(broken).result is Result.FAIL

    def test_nor_an_outage_of_the_app_in_which_it_was_seen_sound(self) -> None:
        """The control lane was answered well six times in it: it missed nothing then."""
        broken = clean()
        for at in (118.0, 119.0, 120.0):
            broken = broken.fail("control", at=at, until=at + 0.3)
        assert judge(broken.fail(at=119.4, until=119.7)).result is Result.FAIL

    def test_the_shortest_of_many_outages_of_the_way_is_an_excuse_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(intervals, "OUTAGES_MAX", 1)
        broken = clean().fail("control", at=118.0, until=119.0).fail("control", at=126.0)
        assert judge(broken.fail(at=126.0)).result is Result.INCONCLUSIVE

    @examples(60)
    @given(
        ways=st.lists(st.tuples(st.floats(117.0, 130.0), st.floats(0.01, 2.0)), min_size=3, max_size=6),
        failing=st.lists(st.tuples(st.floats(117.0, 132.0), st.floats(0.01, 1.0), st.integers(1, 4)), max_size=4),
        pick=st.floats(0.0, 1.0), added=st.booleans(), took_ms=st.sampled_from([1.0, 900.0, 5000.0]),
    )  # fmt: skip
    def test_one_more_failure_on_an_unsound_way_never_improves_a_verdict(
        self, ways: list[tuple[float, float]], failing: list[tuple[float, float, int]], pick: float, added: bool,
        took_ms: float,
    ) -> None:  # fmt: skip
        broken = clean()
        for at, lasts_s in ways:
            broken = broken.fail("control", at=at, until=at + lasts_s)
        for at, lasts_s, every in failing:
            broken = broken.fail(at=at, until=at + lasts_s, every=every)
        log = broken.build()
        sends, lanes = log.rows["send_ns"], log.rows["lane"]
        window = (sends > 101e9) & (sends < 138e9) & (lanes != LANES.index("control")) & (log.rows["outcome"] == 0)
        rows = np.flatnonzero(window)
        row = int(rows[int(pick * (len(rows) - 1))])
        worse = (one_more_row if added else with_outcome)(log, row, "http.502", took_ms)
        assert RANK[judge(worse).result] >= RANK[judge(log).result]

    def test_nor_what_failed_after_its_last_outage(self) -> None:
        broken = clean()
        for at in (118.0, 119.0, 120.0):
            broken = broken.fail("control", at=at, until=at + 0.3)
        assert judge(broken.fail(at=121.5)).result is Result.FAIL

    def test_the_control_probe_alone_makes_no_pass(self) -> None:
        assert judge(clean().fail("control", at=118.0)).result is Result.INCONCLUSIVE

    def test_the_control_probe_may_fail_after_the_window_and_still_explain_a_failure_in_it(self) -> None:
        """The app's request hung until the control probe failed as well: nobody knows whose fault it was."""
        hurt = clean().fail(at=138.9, outcome="read.timeout", took_ms=1500.0).fail("control", at=139.5, until=140.0)
        verdict = judge(hurt)
        assert (verdict.numbers["control_failures"], verdict.numbers["failures_while_control_failed"]) == (0, 1)
        assert verdict.result is Result.INCONCLUSIVE

    @pytest.mark.parametrize("outcome", ["http.403", "http.429"])
    def test_a_rate_limit_is_inconclusive_with_advice(self, outcome: str) -> None:
        verdict = judge(clean().fail(at=118.0, outcome=outcome))
        assert verdict.result is Result.INCONCLUSIVE
        assert "rate_per_s" in verdict.why

    def test_an_attempt_without_outcome_is_not_known(self) -> None:
        assert judge(clean().fail("slow", at=118.0, outcome="unfinished")).result is Result.INCONCLUSIVE


class TestBlind:
    def test_a_stall_of_the_generator_longer_than_the_resolution_is_inconclusive(self) -> None:
        verdict = judge(clean().blind(at=118.0, until=118.4))
        assert verdict.result is Result.INCONCLUSIVE
        assert "the generator itself" in verdict.why

    def test_a_shorter_one_is_in_the_claim(self) -> None:
        verdict = judge(clean().blind(at=118.0, until=118.2))
        assert verdict.result is Result.PASS
        assert float(verdict.numbers["gap_ms_max"] or 0) > 180

    @pytest.mark.parametrize("rate_per_s", [1.0, 2.0])
    def test_too_few_requests_see_too_little(self, rate_per_s: float) -> None:
        verdict = judge(Requests(start=88.0, seconds=53.0, rate_per_s=rate_per_s, version=OLD).says(NEW, at=115.0))
        assert verdict.result is Result.INCONCLUSIVE
        assert "nobody was looking" in verdict.why

    def test_a_load_that_ended_before_the_window_did_is_inconclusive(self) -> None:
        assert judge(Requests(start=88.0, seconds=50.0, version=OLD).says(NEW, at=115.0)).result is Result.INCONCLUSIVE

    def test_attempts_that_say_nothing_are_no_samples(self) -> None:
        verdict = judge(clean().fail("new-get", at=118.0, until=119.0, outcome="connect.dns"))
        assert verdict.result is Result.INCONCLUSIVE
        assert "new-get" in verdict.why

    def test_one_lane_without_samples_is_enough(self) -> None:
        assert judge(clean().without("keepalive-post", at=118.0, until=119.0)).result is Result.INCONCLUSIVE


class TestBudget:
    def test_above_it_for_sure_fails(self) -> None:
        assert judge(clean().fail(at=118.0, until=119.0), downtime_budget_ms=900.0).result is Result.FAIL

    def test_below_it_for_sure_passes_and_says_so(self) -> None:
        verdict = judge(clean().fail(at=118.0, until=118.1), downtime_budget_ms=500.0)
        assert verdict.result is Result.PASS
        assert "within the budget" in verdict.why

    def test_between_the_bounds_nobody_knows(self) -> None:
        verdict = judge(clean().fail(at=118.0, until=119.0), downtime_budget_ms=1000.0)
        assert verdict.result is Result.INCONCLUSIVE
        assert "989 and 1014 ms" in verdict.why

    def test_many_short_outages_add_up(self) -> None:
        hurt = clean()
        for i in range(20):
            hurt.fail(at=110.0 + i, until=110.2 + i)
        assert judge(hurt, downtime_budget_ms=1000.0).result is Result.FAIL

    def test_attempts_without_an_outcome_between_failures_may_have_been_good(self) -> None:
        """Two short outages or a long one: the second is more than the budget, and nobody can tell."""
        hurt = clean().fail(at=118.0, until=118.05).fail(at=118.05, until=118.6, outcome="unfinished")
        verdict = judge(hurt.fail(at=118.6, until=118.65), downtime_budget_ms=400.0)
        assert verdict.result is Result.INCONCLUSIVE
        assert (verdict.numbers["downtime_ms_lower"], verdict.numbers["downtime_ms_upper"]) == (78.0, 664.0)

    def test_failures_that_the_control_shared_do_not_prove_that_the_app_was_back(self) -> None:
        hurt = clean().fail(at=118.0, until=118.6).fail("control", at=118.25, until=118.35)
        verdict = judge(hurt, downtime_budget_ms=450.0)
        assert verdict.result is Result.FAIL
        assert verdict.numbers["outages"] == 1

    def test_failures_that_the_control_shared_may_have_been_the_apps(self) -> None:
        hurt = clean().fail(at=118.0, until=118.5).fail("control", at=118.25, until=118.5)
        assert float(judge(hurt).numbers["downtime_ms_upper"] or 0) > 490.0


class TestFindings:
    def test_slow_answers_never_fail(self) -> None:
        verdict = judge(clean().slow(at=116.0, until=120.0, took_ms=2000.0))
        assert verdict.result is Result.PASS
        assert [finding.code for finding in verdict.findings] == ["SLOW"]

    @pytest.mark.parametrize(("setting", "result"), [("warn", Result.PASS), ("fail", Result.FAIL)])
    def test_masked_retries(self, setting: str, result: Result) -> None:
        story = good_release().tell("ingress", "Ingress", "log", at=140.0, lines=9, matched=9, retried=3, masked=3)
        verdict = judge(clean(), story, masked=setting)
        assert verdict.result is result
        assert [finding.code for finding in verdict.findings] == ["MASKED"]

    def test_a_log_that_cannot_be_read_is_said(self) -> None:
        story = good_release().tell("ingress", "Ingress", "log-unreadable", at=140.0, reason="forbidden")
        assert [finding.code for finding in judge(clean(), story).findings] == ["INGRESS_LOG_UNREAD"]

    @pytest.mark.parametrize(("setting", "result"), [("warn", Result.PASS), ("fail", Result.FAIL)])
    def test_a5_what_an_unreadable_log_surely_says_counts(self, setting: str, result: Result) -> None:
        story = good_release().tell("ingress", "Ingress", "log-unreadable", at=140.0, reason="some", masked=3)
        verdict = judge(clean(), story, masked=setting)
        assert verdict.result is result
        assert [finding.code for finding in verdict.findings] == ["MASKED", "INGRESS_LOG_UNREAD"]

    @pytest.mark.parametrize("said", [{"reason": "no address"}, {"reason": "no address", "masked": 0}])
    def test_a5_a_log_that_does_not_speak_of_every_request_is_no_proof_of_none(self, said: dict[str, Any]) -> None:
        story = good_release().tell("ingress", "Ingress", "log-unreadable", at=140.0, **said)
        verdict = judge(clean(), story, masked="fail")
        assert verdict.result is Result.INCONCLUSIVE
        assert "no address" in verdict.why

    def test_a5_a_log_fact_without_its_count_is_no_proof_of_none(self) -> None:
        story = good_release().tell("ingress", "Ingress", "log", at=140.0, lines=9, matched=9)
        assert judge(clean(), story, masked="fail").result is Result.INCONCLUSIVE


@st.composite
def hurt_logs(draw: st.DrawFn) -> RequestLog:
    """A load with a clean baseline and some failures of every kind in the window."""
    requests = Requests(start=88.0, seconds=53.0, rate_per_s=40.0, version=OLD).says(NEW, at=115.0).with_slow()
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.floats(101.0, 137.0))
        until = at + draw(st.sampled_from([0.05, 0.3, 2.0]))
        lane = draw(st.sampled_from(["", *LANES]))
        outcome = draw(
            st.sampled_from(["http.502", "read.eof", "read.timeout", "http.429", "connect.dns", "unfinished"])
        )
        requests.fail(lane, at=at, until=until, outcome=outcome, took_ms=draw(st.sampled_from([1.0, 700.0, 5000.0])))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.floats(101.0, 137.0))
        requests.slow(draw(st.sampled_from(["", *LANES])), at=at, until=at + 0.5, took_ms=draw(st.floats(5.0, 4000.0)))
    return requests.build()


@examples(100)
@given(
    log=hurt_logs(), pick=st.floats(0.0, 1.0), budget_ms=st.sampled_from([0.0, 100.0, 600.0, 3000.0]),
    resolution_ms=st.sampled_from([250.0, 5000.0]), outcome=st.sampled_from(["http.502", "read.timeout", "read.eof"]),
)  # fmt: skip
def test_one_more_failed_request_never_improves_the_verdict(
    log: RequestLog, pick: float, budget_ms: float, resolution_ms: float, outcome: str
) -> None:
    before = judge(log, downtime_budget_ms=budget_ms, resolution_ms=resolution_ms)
    rows = log.rows
    window = (rows["send_ns"] >= 100e9) & (rows["send_ns"] <= 139e9) & (rows["lane"] != LANES.index("control"))
    candidates = np.flatnonzero(window & (rows["outcome"] == 0))
    if not len(candidates):
        return
    chosen = candidates[int(pick * (len(candidates) - 1))]
    worse_rows = rows.copy()
    worse_rows["outcome"][chosen] = len(log.outcomes)
    worse_rows["status"][chosen] = 0
    worse = replace(log, rows=worse_rows, outcomes=(*log.outcomes, outcome))
    after = judge(worse, downtime_budget_ms=budget_ms, resolution_ms=resolution_ms)
    assert RANK[after.result] >= RANK[before.result], (before.why, after.why)


class TestAnyAct:
    """The same table for a fault: from 100 s, over at 120 s, so that the window ends at 120 + 10 + 5 = 135 s."""

    @staticmethod
    def same_version() -> Requests:
        return Requests(start=88.0, seconds=53.0, version=OLD).with_slow()

    def test_a_fault_that_nobody_felt_passes(self) -> None:
        verdict = judge(self.same_version(), Story().fault())
        assert verdict.result is Result.PASS, verdict.why
        assert verdict.numbers["window_s"] == 35.0

    def test_a_lost_request_fails(self) -> None:
        assert judge(self.same_version().fail(at=101.0), Story().fault()).result is Result.FAIL

    def test_a_fault_without_effect_is_void_even_with_failures(self) -> None:
        verdict = judge(self.same_version().fail(at=101.0), Story().fault(until="injected"))
        assert verdict.result is Result.INCONCLUSIVE
        assert "the fault pod-delete had no effect that anybody saw" in verdict.why

    def test_one_of_two_without_effect_may_fail_and_cannot_pass(self) -> None:
        def two() -> Story:
            return Story().fault("node-drain", recovered=5).fault(at=110.0, until="injected")

        verdict = judge(self.same_version(), two())
        assert verdict.result is Result.INCONCLUSIVE
        assert "pod-delete" in verdict.why
        assert judge(self.same_version().fail(at=101.0), two()).result is Result.FAIL

    def test_a_drift_that_may_not_have_happened_cannot_pass_although_it_is_undone(self) -> None:
        told = Story().fault(recovered=5)
        told.tell("drift", "Drift/env", "before", at=106.0, fair=True)
        told.tell("drift", "Drift/env", "error", at=107.0, reason="no answer")
        verdict = judge(self.same_version(), told.tell("drift", "Drift/env", "undone", at=108.0))
        assert verdict.result is Result.INCONCLUSIVE
        assert "the drift env is not known to have changed anything" in verdict.why

    def test_what_did_not_recover_cannot_pass(self) -> None:
        verdict = judge(self.same_version(), Story().fault(until="effect"))
        assert verdict.result is Result.INCONCLUSIVE
        assert "not seen to recover" in verdict.why

    def test_failures_before_it_are_not_its_own(self) -> None:
        verdict = judge(self.same_version().fail(at=98.0), Story().fault())
        assert verdict.result is Result.INCONCLUSIVE
        assert "sick before" in verdict.why

    def test_another_version_than_the_running_one_is_lost(self) -> None:
        verdict = judge(self.same_version().says("ddddddd", at=110.0, until=111.0), Story().fault())
        assert verdict.result is Result.FAIL
        assert "version.wrong" in verdict.why

    def test_the_version_that_a_drift_puts_in_place_may_answer(self) -> None:
        told = Story("drift")
        for what, at in (("planned", 99.0), ("before", 100.0), ("injected", 101.0), ("undone", 115.0)):
            told.tell("drift", "Drift/image", what, at=at, fair=True, field="spec.c.image", to="shop/web:ddddddd")
        assert judge(self.same_version().says("ddddddd", at=105.0, until=110.0), told).result is Result.PASS


def test_of_many_outages_the_widest_five_hundred_are_told_and_on_each_lane_the_widest_gap() -> None:
    hurt = clean().fail(at=105.0, until=135.0, every=2).fail(at=120.0, until=121.0)
    told = judge(hurt).intervals
    widths = [one.ends_ns[1] - one.begins_ns[0] for one in told if one.kind == "outage"]
    assert len(widths) == 500
    assert widths == sorted(widths, reverse=True)
    gaps = [one.lane for one in told if one.kind == "blind"]
    assert (len(widths) + len(gaps), sorted(gaps)) == (len(told), sorted(set(gaps)))
    assert {"keepalive-get", "new-get", "keepalive-post"} <= set(gaps)
