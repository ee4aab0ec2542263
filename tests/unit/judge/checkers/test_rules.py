"""The rules that a target file may set: background failures, the p99, the longest answer, many small outages.

Each with a history that it must fail, one that it must leave open, and one that it lets pass; off, nothing changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import LANES, Requests
from story import NEW, OLD, Story, good_release, plan, target

from rollproof.core.target import Traffic
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers import availability

# The act begins at 100 s; the last old pod goes at 124 s, so the window ends at 124 + 10 + 5 = 139 s: 7,800 requests at
# a rate, 780 of them of the control lane, and 130 of the slow lane. The baseline, from 89 s on, has 2,200 and 36.
PASS, FAIL, OPEN = Result.PASS, Result.FAIL, Result.INCONCLUSIVE
GET, NEW_GET, POST, CONTROL = "keepalive-get", "new-get", "keepalive-post", "control"


def clean() -> Requests:
    return Requests(start=88.0, seconds=53.0, version=OLD).says(NEW, at=115.0).with_slow()


def judge(requests: Requests, story: Story | None = None, **traffic: Any) -> Verdict:
    story = story or good_release()
    story.plan = plan(target=target(traffic=Traffic(**traffic)))
    story.tell("run", "phase", "baseline", start=89.0, at=99.5)
    story.requests = requests.build()
    return availability.check(story.facts())


def scattered(requests: Requests, count: int, *, outcome: str = "http.502", begin: float = 101.0) -> Requests:
    """So many single failures, over the window and over three lanes of the app."""
    for i in range(count):
        requests.fail((GET, GET, NEW_GET, POST)[i % 4], at=begin + i * (37.0 / count), outcome=outcome)
    return requests


def noise(verdict: Verdict) -> str:
    (found,) = (finding.text for finding in verdict.findings if finding.code == "NOISE")
    return found


class TestBackground:
    def test_one_lost_request_of_the_baseline_is_clean_if_the_rate_allows_it(self) -> None:
        assert judge(clean().fail(at=95.0)).result is OPEN
        verdict = judge(clean().fail(at=95.0), background_failures_per_million=500)
        assert verdict.result is PASS, verdict.why
        assert noise(verdict) == (
            "1 of 2,236 requests of the baseline failed (447 per million), and 0 of 7,151 in the window "
            "(0 per million); 500 per million are allowed"
        )

    def test_the_control_lane_has_a_background_too(self) -> None:
        assert judge(clean().fail(CONTROL, at=95.0), background_failures_per_million=500).result is PASS
        assert judge(clean().fail(CONTROL, at=118.0), background_failures_per_million=500).result is PASS
        both = clean().fail(CONTROL, at=118.0).fail(GET, at=118.0)
        assert judge(both, background_failures_per_million=500).result is PASS
        more = clean().fail(CONTROL, at=118.0, until=118.2)
        assert judge(more, background_failures_per_million=500).result is OPEN

    @pytest.mark.parametrize(("count", "result"), [(6, PASS), (7, OPEN)])
    def test_a_baseline_is_sick_only_where_luck_is_no_explanation(self, count: int, result: Result) -> None:
        """2,236 at 500 per million: 1.1 are expected; six have p = 0.0010463, seven p = 0.00016."""
        requests = clean()
        for i in range(count):
            requests.fail(at=90.0 + i)
        verdict = judge(requests, background_failures_per_million=500)
        assert verdict.result is result, verdict.why
        if result is OPEN:
            assert "p = 1.6e-04" in verdict.why

    @pytest.mark.parametrize(("count", "result"), [(11, PASS), (12, FAIL)])
    def test_more_than_the_rate_explains_fails(self, count: int, result: Result) -> None:
        """7,151 at 500 per million: 3.6 are expected; eleven have p = 0.0012, twelve p = 0.00035."""
        verdict = judge(scattered(clean(), count), background_failures_per_million=500)
        assert verdict.result is result, verdict.why
        assert verdict.numbers["background_p"] == {11: 0.0012, 12: 0.000347}[count]
        assert verdict.numbers["background_p_min"] == 0.001
        assert verdict.numbers["background_failures_per_million"] == 500
        assert verdict.numbers["failures_per_million"] == {11: 1538.2, 12: 1678.1}[count]
        assert verdict.numbers["baseline_failures"] == 0
        assert verdict.numbers["failures_in_a_row"] == 1

    def test_two_in_a_row_on_one_lane_are_an_outage(self) -> None:
        verdict = judge(clean().fail(at=118.0, until=118.02), background_failures_per_million=5000)
        assert verdict.result is FAIL
        assert "2 in a row on keepalive-get: that is an outage" in verdict.why
        beside = clean().fail(GET, at=118.0).fail(POST, at=118.0).fail(NEW_GET, at=118.0)
        assert judge(beside, background_failures_per_million=5000).result is PASS

    def test_an_outage_before_the_act_is_no_background(self) -> None:
        verdict = judge(clean().fail(at=95.0, until=95.02), background_failures_per_million=5000)
        assert verdict.result is OPEN
        assert "2 in a row on keepalive-get" in verdict.why

    @pytest.mark.parametrize(
        ("outcome", "lost"),
        [("connect.ECONNREFUSED", True), ("connect.timeout", True), ("send.EPIPE", True), ("read.eof", True),
         ("read.timeout", True), ("read.truncated", True), ("http.500", True), ("http.502", True), ("http.504", True),
         ("read.malformed", False), ("body.wrong", False), ("http.404", False), ("http.301", False),
         ("something.else", False)],
    )  # fmt: skip
    def test_what_is_wrong_is_never_background(self, outcome: str, lost: bool) -> None:
        after = judge(clean().fail(at=118.0, outcome=outcome), background_failures_per_million=5000)
        assert after.result is (PASS if lost else FAIL), after.why
        before = judge(clean().fail(at=95.0, outcome=outcome), background_failures_per_million=5000)
        assert before.result is (PASS if lost else OPEN), before.why

    def test_a_third_version_is_never_background(self) -> None:
        requests = clean().says("ccccccc", at=118.0, until=118.01, lane=GET)
        verdict = judge(requests, background_failures_per_million=5000)
        assert verdict.result is FAIL
        assert "1 wrong answer: what is wrong is never background" in verdict.why

    @pytest.mark.parametrize("outcome", ["http.429", "connect.dns", "unfinished"])
    def test_what_says_nothing_about_the_app_is_never_background(self, outcome: str) -> None:
        assert judge(clean().fail(at=95.0, outcome=outcome), background_failures_per_million=5000).result is OPEN

    def test_a_rate_that_the_baseline_contradicts_explains_no_more_than_the_baseline_allows(self) -> None:
        """0 of 2,236: with 99.9 % its rate is below 3,085 per million, whatever the target file says."""
        verdict = judge(scattered(clean(), 45), background_failures_per_million=50_000)
        assert verdict.result is OPEN
        assert "the baseline lost only 0 of 2,236" in verdict.why
        assert verdict.numbers["background_bound_per_million"] == pytest.approx(3084.5, abs=0.1)
        noisy = clean()
        for i in range(4):
            noisy.fail(at=90.0 + i)
        assert judge(scattered(noisy, 45), background_failures_per_million=50_000).result is PASS

    def test_failures_of_one_lane_or_of_one_part_of_the_act_are_not_spread_as_a_background_is(self) -> None:
        one_lane, before_it, after_it = clean(), clean(), clean()
        for i in range(9):
            one_lane.fail(POST, at=101.0 + 4 * i)
            before_it.fail((GET, NEW_GET, POST)[i % 3], at=101.0 + 2 * i)
            after_it.fail((GET, NEW_GET, POST)[i % 3], at=125.0 + 1.5 * i)
        verdict = judge(one_lane, background_failures_per_million=500)
        assert verdict.result is OPEN
        assert "9 of 1,560 did on keepalive-post" in verdict.why
        verdict = judge(after_it, background_failures_per_million=500)
        assert verdict.result is OPEN
        assert "did after the last old pod was gone" in verdict.why
        verdict = judge(before_it, background_failures_per_million=500)
        assert verdict.result is PASS, verdict.why
        alone = clean().fail("slow", at=118.0)
        assert judge(alone, background_failures_per_million=1).result is PASS  # one failure is not uneven

    def test_what_a_budget_covers_needs_no_background(self) -> None:
        hurt = clean().fail(at=118.0, until=118.1)
        assert judge(hurt, background_failures_per_million=500, downtime_budget_ms=500.0).result is PASS
        assert judge(hurt, background_failures_per_million=500, downtime_budget_ms=50.0).result is FAIL
        single = scattered(clean(), 8)
        assert judge(single, background_failures_per_million=500, downtime_budget_ms=1.0).result is PASS

    def test_an_attempt_of_which_nothing_is_known_may_have_been_good(self) -> None:
        """Between two failures it leaves open whether they were an outage."""
        hurt = clean().fail(at=118.0).fail(at=118.01, outcome="connect.dns").fail(at=118.02)
        verdict = judge(hurt, background_failures_per_million=500)
        assert verdict.result is OPEN
        assert "2 in a row" in verdict.why

    def test_attempts_of_which_nothing_is_known_count_as_requests_before_a_failure_is_blamed(self) -> None:
        """11 of all 7,151 are explained (p = 0.0012), 11 of those that are known are not: so nobody knows."""
        hurt = clean().fail(GET, at=101.0, until=138.0, outcome="connect.dns", every=5)
        verdict = judge(scattered(hurt, 11), background_failures_per_million=500)
        assert verdict.result is OPEN, verdict.why
        assert "explains so many with p = " in verdict.why

    def test_without_any_failure_there_is_no_noise(self) -> None:
        verdict = judge(clean(), background_failures_per_million=500)
        assert verdict.result is PASS
        assert not verdict.findings
        assert "background_p" not in judge(clean()).numbers


class TestManyOutages:
    @staticmethod
    def hurt(count: int, every_s: float = 1.5) -> Requests:
        requests = clean()
        for i in range(count):
            requests.fail(at=101.0 + i * every_s)
        return requests

    def test_the_sum_alone_never_fails_single_failures(self) -> None:
        assert judge(self.hurt(20), downtime_budget_ms=600.0).result is PASS

    @pytest.mark.parametrize(("count", "result"), [(5, PASS), (6, FAIL)])
    def test_their_number_has_a_limit_of_its_own(self, count: int, result: Result) -> None:
        verdict = judge(self.hurt(count), downtime_budget_ms=600.0, outages_max=5)
        assert verdict.result is result, verdict.why
        assert (verdict.numbers["outages_apart"], verdict.numbers["outages_max"]) == (count, 5)
        if result is FAIL:
            assert "the budget is 600 ms and 5 outages, and 6 were at least 1 s apart" in verdict.why

    def test_failures_within_a_second_are_one_outage_whatever_their_lane(self) -> None:
        near = clean().fail(GET, at=118.0).fail(POST, at=118.3).fail(NEW_GET, at=118.6).fail(GET, at=118.9)
        verdict = judge(near, downtime_budget_ms=600.0, outages_max=1)
        assert verdict.result is PASS
        assert verdict.numbers["outages_apart"] == 1
        assert judge(near.fail(at=119.1), downtime_budget_ms=600.0, outages_max=1).result is FAIL

    def test_a_long_outage_counts_for_each_second(self) -> None:
        verdict = judge(clean().fail(at=118.0, until=120.5), downtime_budget_ms=9000.0, outages_max=3)
        assert verdict.result is PASS
        assert verdict.numbers["outages_apart"] == 3
        assert judge(clean().fail(at=118.0, until=121.5), downtime_budget_ms=9000.0, outages_max=3).result is FAIL

    def test_late_answers_that_need_not_be_the_apps_leave_their_number_open(self) -> None:
        hurt = self.hurt(2).slow(at=120.0, took_ms=900.0).slow(CONTROL, at=120.0, until=120.2, took_ms=900.0)
        verdict = judge(hurt, downtime_budget_ms=600.0, outages_max=2, longest_ms_max=500.0)
        assert verdict.result is OPEN
        assert judge(hurt, downtime_budget_ms=600.0, outages_max=3, longest_ms_max=500.0).result is PASS


class TestLongest:
    def test_one_answer_above_it_fails(self) -> None:
        slow = clean().slow(at=118.0, took_ms=600.0)
        assert judge(slow).result is PASS
        verdict = judge(slow, longest_ms_max=500.0)
        assert verdict.result is FAIL
        assert "(1 answer.late)" in verdict.why
        assert verdict.numbers["longest_ms_upper"] == 600.06
        assert verdict.numbers["longest_ms_lower"] == 600.0
        assert (verdict.numbers["longest_ms_max"], verdict.numbers["late_answers"]) == (500.0, 1)
        assert verdict.numbers["latency_ms_max"] == 600.06
        assert judge(slow, longest_ms_max=700.0).result is PASS

    def test_the_slow_lane_and_the_control_lane_are_not_measured(self) -> None:
        assert judge(clean().slow(CONTROL, at=118.0, until=119.0, took_ms=900.0), longest_ms_max=200.0).result is PASS

    def test_where_the_generator_was_late_nobody_knows(self) -> None:
        stalled = clean().blind(at=118.0, until=118.2)
        verdict = judge(stalled, longest_ms_max=150.0)
        assert verdict.result is OPEN
        assert "the generator itself was late then" in verdict.why
        assert verdict.numbers["late_answers_in_doubt"] > 0
        assert (
            judge(clean().slow(at=117.9, took_ms=600.0).blind(at=118.0, until=118.2), longest_ms_max=300.0).result
            is FAIL
        )
        hidden = clean().slow(at=117.9, took_ms=400.0).blind(at=118.0, until=118.2)
        assert judge(hidden, longest_ms_max=300.0).result is OPEN

    def test_where_the_control_lane_was_slow_too_nobody_knows(self) -> None:
        both = clean().slow(at=118.0, took_ms=600.0).slow(CONTROL, at=118.0, until=118.2, took_ms=550.0)
        assert judge(both, longest_ms_max=500.0).result is OPEN
        less = clean().slow(at=118.0, took_ms=600.0).slow(CONTROL, at=118.0, until=118.2, took_ms=50.0)
        assert judge(less, longest_ms_max=500.0).result is FAIL

    def test_a_generator_that_was_not_on_time_times_nothing(self) -> None:
        requests = clean().slow(at=118.0, took_ms=600.0).engine(cpu_s=50.0)
        verdict = judge(requests, longest_ms_max=500.0)
        assert verdict.result is OPEN
        assert "it used 94% of a core" in verdict.why

    def test_a_slow_environment_before_the_act_is_sick(self) -> None:
        verdict = judge(clean().slow(at=95.0, took_ms=600.0), longest_ms_max=500.0)
        assert verdict.result is OPEN
        assert "the environment was sick before" in verdict.why

    def test_a_late_answer_is_as_good_as_a_lost_one_for_background_and_budget(self) -> None:
        late = clean().slow(at=118.0, took_ms=600.0)
        assert judge(late, longest_ms_max=500.0, background_failures_per_million=500).result is PASS
        assert judge(late, longest_ms_max=500.0, downtime_budget_ms=700.0).result is PASS
        row = clean().slow(at=118.0, until=118.05, took_ms=600.0)
        assert judge(row, longest_ms_max=500.0, background_failures_per_million=500).result is FAIL


class TestP99:
    """The paced lanes of the app have 7,020 requests in the window: the p99 is the 71st from the top."""

    @staticmethod
    def slow(*, took_ms: float = 600.0, until: float = 118.5) -> Requests:
        return clean().slow("", at=118.0, until=until, took_ms=took_ms)

    def test_above_its_limit_it_fails(self) -> None:
        requests = clean().slow(GET, at=118.0, until=118.8, took_ms=600.0)
        assert judge(requests).result is PASS
        verdict = judge(requests, p99_ms_max=500.0)
        assert verdict.result is FAIL
        assert "the p99 is 600 ms, of which at least 600 ms are the app's; the limit is 500 ms" in verdict.why
        assert verdict.numbers["p99_ms_lower"] == 600.0
        assert (verdict.numbers["p99_ms_upper"], verdict.numbers["p99_ms_max"]) == (600.06, 500.0)
        assert judge(requests, p99_ms_max=601.0).result is PASS
        assert judge(clean().slow(GET, at=118.0, until=118.6, took_ms=600.0), p99_ms_max=500.0).result is PASS

    def test_failures_count_as_slower_than_any_answer(self) -> None:
        """40 slow and 40 lost ones are more than one in a hundred."""
        hurt = clean().slow(GET, at=118.0, until=118.4, took_ms=600.0).fail(GET, at=120.0, until=120.4)
        assert judge(hurt, p99_ms_max=500.0, downtime_budget_ms=9000.0).result is FAIL
        lost = clean().fail(GET, at=118.0, until=118.8)
        verdict = judge(lost, p99_ms_max=500.0, downtime_budget_ms=9000.0)
        assert verdict.result is FAIL
        assert "there is no p99" in verdict.why
        assert verdict.numbers["p99_ms_upper"] is None

    def test_where_the_control_lane_was_slow_too_nobody_knows(self) -> None:
        verdict = judge(self.slow(), p99_ms_max=500.0)
        assert verdict.result is OPEN
        assert "the control lane was slow too" in verdict.why

    def test_where_the_generator_was_late_nobody_knows(self) -> None:
        requests = clean().blind(at=118.0, until=118.9)
        assert judge(requests, p99_ms_max=300.0, resolution_ms=2000.0).result is OPEN
        unsound = clean().slow(GET, at=118.0, until=118.8, took_ms=600.0).engine(cpu_s=50.0)
        verdict = judge(unsound, p99_ms_max=500.0)
        assert verdict.result is OPEN
        assert "the generator was not on time: it used" in verdict.why

    def test_an_app_that_was_slow_before_is_not_slowed_by_the_act(self) -> None:
        requests = clean().slow(GET, at=90.0, until=91.0, took_ms=600.0).slow(GET, at=118.0, until=119.0, took_ms=600.0)
        verdict = judge(requests, p99_ms_max=500.0)
        assert verdict.result is OPEN
        assert "slow before anything was touched" in verdict.why

    def test_attempts_without_an_outcome_may_have_been_fast_or_slow(self) -> None:
        requests = clean().fail(GET, at=118.0, until=118.8, outcome="connect.dns")
        assert judge(requests, p99_ms_max=500.0, resolution_ms=2000.0).result is OPEN
        unknown = judge(clean().fail("", at=100.0, until=141.0, outcome="connect.dns"), p99_ms_max=500.0)
        assert (unknown.result, unknown.numbers["p99_ms_lower"]) == (OPEN, 0.0)


@pytest.mark.parametrize(
    ("resolution_ms", "beyond_1_s_ns", "said"),
    [(900.0, 0, "no outage"), (900.0, 1, "nobody was looking for 1000 ms of the baseline on keepalive-get"),
     (1000.1, 1, "no outage"), (1000.1, 100_001, "nobody was looking for 1000 ms of the baseline")],
)  # fmt: skip
def test_the_widest_gap_of_a_baseline_may_be_a_second_or_what_the_target_file_allows(
    resolution_ms: float, beyond_1_s_ns: int, said: str
) -> None:
    load = clean().without(LANES[0], at=92.0, until=92.99)  # the lane is asked every 10 ms
    after = np.flatnonzero((load.rows["lane"] == 0) & (load.rows["intended_ns"] >= 92e9))[0]
    for column in ("send_ns", "done_ns"):
        load.rows[column][after] += beyond_1_s_ns
    assert judge(load, resolution_ms=resolution_ms).why.startswith(said)


def test_a_broken_way_does_not_excuse_an_app_whose_only_request_beside_its_outages_was_lost() -> None:
    """The way lost two of three: less than all."""
    broken = clean()
    for at in (118.0, 119.0, 120.0):
        broken = broken.fail("control", at=at, until=at + 0.6)
    for lane in (*LANES[1:3], "slow"):
        broken = broken.without(lane, at=117.0, until=122.0)
    broken = broken.without(LANES[0], at=117.0, until=118.8).without(LANES[0], at=118.805, until=122.0)
    assert judge(broken.fail(at=118.8)).result is FAIL
