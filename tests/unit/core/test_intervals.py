"""Outages and blind gaps: the true one must lie within the bounds, and bounds must not be wider than the samples."""

from __future__ import annotations

import numpy as np
import pytest
from builders import LANES, Requests
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from rollproof.core.binomial import failure_bound, rollouts_bound
from rollproof.core.intervals import OUTAGES_MAX, Outage, blind_gaps, downtime_ms, merge, most_in_a_row, outages
from rollproof.core.outcomes import Kind, kind, kinds
from rollproof.core.requests import RequestLog
from rollproof.core.statistics import latency_ms, left_after_one_retry

ALL_NS = (int(90e9), int(145e9))


def found(requests: Requests, lane: str = "keepalive-get") -> list[Outage]:
    return [outage for outage in outages(requests.build(), window_ns=ALL_NS) if outage.lane == lane]


def test_a_clean_load_has_no_outage() -> None:
    assert found(Requests()) == []


def test_bounds_are_the_nearest_good_requests() -> None:
    (outage,) = found(Requests().fail(at=100.0, until=101.0, outcome="connect.ECONNREFUSED"))
    # GETs go out each 10 ms; those due at 100.00 ... 100.99 fail 1 ms after the send (60 us after they were due).
    assert outage.count == 100
    assert outage.outcomes == {"connect.ECONNREFUSED": 100}
    assert (outage.begins_ns[0], outage.ends_ns[0]) == (99_990_060_000, 100_990_060_000)
    assert outage.lower_ms == pytest.approx(989.0)
    assert outage.upper_ms == pytest.approx(1014.0)
    assert outage.start_ns == pytest.approx(99.995e9, abs=1e6)
    assert outage.end_ns == pytest.approx(100.997e9, abs=3e6)


@pytest.mark.parametrize(
    ("outcome", "opened", "end_ms"),
    [
        ("connect.ECONNREFUSED", True, 995),  # it was sent at 1000.06 ms, and somebody listened then
        ("connect.ECONNREFUSED", False, 1010),  # on a connection that was open before: it says nothing of listening
        ("connect.timeout", True, 1010),  # it was not refused; whoever did not answer may have gone on waiting
        ("http.503", True, 1010),
    ],
)
def test_a_handshake_after_refusals_does_not_move_the_best_guess_of_the_end(
    outcome: str, opened: bool, end_ms: float
) -> None:
    requests = Requests().slow(at=101.0, until=101.1, took_ms=30.0).fail(at=100.0, until=101.0, outcome=outcome)
    first = (requests.rows["lane"] == 0) & (requests.rows["send_ns"] > int(101.0e9))
    requests.rows["connected_ns"][first] = (requests.rows["send_ns"][first] + 25_000_000) * opened
    (outage,) = found(requests)
    assert (outage.end_ns - 100e9) / 1e6 == pytest.approx(end_ms, abs=1.0)
    assert outage.ends_ns[1] / 1e6 == pytest.approx(101_030.0, abs=1.0)  # the bounds stay what answers prove


def test_a_single_failure_has_no_lower_bound() -> None:
    (outage,) = found(Requests().fail(at=100.0))
    assert outage.lower_ms == 0.0
    assert outage.upper_ms == pytest.approx(24.0)


def test_failures_with_a_good_answer_between_them_are_two_outages() -> None:
    assert len(found(Requests().fail(at=100.0).fail(at=100.02))) == 2
    assert len(found(Requests().fail(at=100.0).fail(at=100.01))) == 1


def test_attempts_that_say_nothing_neither_end_an_outage_nor_make_one() -> None:
    quiet = Requests().fail(at=100.0, until=100.01).fail(at=100.01, until=100.02, outcome="connect.dns")
    (outage,) = found(quiet.fail(at=100.02, until=100.03))
    assert outage.count == 2
    assert found(Requests().fail(at=100.0, until=101.0, outcome="http.429")) == []


def test_silence_counts_from_the_send() -> None:
    (outage,) = found(Requests().fail(at=100.0, until=103.0, outcome="read.timeout", took_ms=5000.0))
    assert outage.lower_ms == pytest.approx(2990.0)


def test_a_cut_in_mid_request_is_dated_to_its_end() -> None:
    """Ten requests of half a second that one pod's death cuts at the same moment are no outage of half a second."""
    requests = Requests()
    requests.fail(at=100.0, until=100.1, outcome="read.eof")
    cut = requests.rows["outcome"] > 0
    requests.rows["done_ns"][cut] = int(100.5e9)
    (outage,) = found(requests)
    assert outage.lower_ms == 0.0


def test_an_early_good_answer_proves_the_end_even_if_an_earlier_request_hangs() -> None:
    requests = Requests().fail(at=100.0, until=100.1).slow(at=100.1, until=100.11, took_ms=3000.0)
    (outage,) = found(requests)
    assert outage.upper_ms < 150


def test_resets_of_reused_connections_are_not_ended_by_a_fresh_one() -> None:
    requests = Requests().fail(at=100.0, until=100.05, outcome="read.ECONNRESET")
    (before,) = found(requests)
    requests.rows["reused"][(requests.rows["intended_ns"] == int(100.05e9)) & (requests.rows["lane"] == 0)] = False
    (after,) = found(requests)
    assert after.upper_ms == pytest.approx(before.upper_ms + 10.0)


def test_an_outage_that_never_ended_says_so() -> None:
    (outage,) = found(Requests().fail(at=140.0, until=145.0))
    assert outage.open_end
    assert outage.ends_ns[1] >= int(145e9)


def test_only_outages_of_the_window_are_given() -> None:
    requests = Requests().fail(at=100.0).fail(at=110.0).fail(at=120.0).build()
    assert len(outages(requests, window_ns=(int(105e9), int(115e9)))) == 1


def test_overlapping_lanes_merge_into_one_span() -> None:
    hurt = Requests().fail("", at=100.0, until=100.5).fail("new-get", at=120.0, until=120.1)
    spans = merge(outages(hurt.build(), window_ns=ALL_NS))
    assert len(spans) == 2
    assert spans[0].lanes == tuple(sorted(LANES[:4]))
    assert spans[1].lanes == ("new-get",)


def test_a_lane_that_fails_every_second_request_stays_bounded() -> None:
    log = Requests().fail(at=92.0, until=144.0, every=2).build()
    assert len(outages(log, window_ns=ALL_NS)) == OUTAGES_MAX == 1000
    assert downtime_ms(log, window_ns=ALL_NS)["keepalive-get"][1] > 50_000


def test_brackets_that_overlap_are_counted_once() -> None:
    log = Requests().fail(at=100.0).fail(at=100.02).build()
    one, two = outages(log, window_ns=ALL_NS)
    lower_ms, upper_ms = downtime_ms(log, window_ns=ALL_NS)["keepalive-get"]
    assert lower_ms == 0.0
    assert upper_ms == pytest.approx((two.ends_ns[1] - one.begins_ns[0]) / 1e6)
    assert upper_ms < one.upper_ms + two.upper_ms


@examples(60)
@given(
    at=st.floats(95.0, 130.0),
    length=st.floats(0.03, 3.0),
    lane=st.sampled_from(LANES[:4]),
    rate=st.sampled_from([200, 500]),
)
def test_the_truth_lies_within_the_bounds(at: float, length: float, lane: str, rate: int) -> None:
    """Whatever is sent while the server is down fails; the found bounds must contain that time."""
    requests = Requests(rate_per_s=float(rate)).fail(lane, at=at, until=at + length)
    if not (requests.rows["outcome"] > 0).any():
        return  # shorter than the lane's gap: nobody saw it, and nothing is claimed
    (outage,) = found(requests, lane)
    slack_ns = 1_100_000  # send and answer, 0.06 + 1 ms
    assert outage.begins_ns[0] - slack_ns <= at * 1e9 <= outage.begins_ns[1] + slack_ns
    assert outage.ends_ns[0] - slack_ns <= (at + length) * 1e9 <= outage.ends_ns[1] + slack_ns
    assert outage.lower_ms <= length * 1e3 + 1.1
    assert outage.upper_ms >= length * 1e3 - 1.1


class TestBlindGaps:
    def gap_ms(self, log: RequestLog, lane: str) -> float:
        return next(gap.gap_ms for gap in blind_gaps(log, window_ns=ALL_NS) if gap.lane == lane)

    def test_the_largest_gap_of_each_open_loop_lane_of_the_app(self) -> None:
        log = Requests().with_slow().build()
        gaps = blind_gaps(log, window_ns=ALL_NS)
        assert {gap.lane for gap in gaps} == set(LANES[:4]) - {"control"}
        assert self.gap_ms(log, "keepalive-get") == pytest.approx(10.0, abs=0.1)

    def test_a_stall_of_our_own_is_a_gap_and_named_as_ours(self) -> None:
        gap = blind_gaps(Requests().blind(at=100.0, until=100.3).build(), window_ns=ALL_NS)[0]
        assert gap.gap_ms >= 300
        assert gap.own_ms == pytest.approx(300.0, abs=5)

    def test_the_edges_of_the_window_count(self) -> None:
        gaps = blind_gaps(Requests(seconds=50.0).build(), window_ns=ALL_NS)
        assert all(gap.gap_ms >= 5000 for gap in gaps)

    def test_refused_and_unknown_attempts_are_no_samples(self) -> None:
        for outcome in ("http.429", "connect.dns", "client.stalled"):
            log = Requests().fail(at=100.0, until=101.0, outcome=outcome).build()
            assert self.gap_ms(log, "keepalive-get") > 1000
        assert self.gap_ms(Requests().fail(at=100.0, until=101.0).build(), "keepalive-get") < 11


def test_every_class_has_a_meaning() -> None:
    assert kind("") is Kind.GOOD
    assert kind("http.403") is kind("http.429") is Kind.LIMITED
    for own in (
        "connect.dns",
        "connect.EMFILE",
        "connect.ENFILE",
        "connect.ENOBUFS",
        "connect.ENOMEM",
        "connect.EACCES",
        "connect.EPERM",
        "connect.EADDRNOTAVAIL",
        "unfinished",
        "client.error",
        "client.stalled",
    ):
        assert kind(own) is Kind.OWN
    for hard in ("http.404", "http.301", "http.502", "read.eof", "connect.tls", "body.wrong", "something.new"):
        assert kind(hard) is Kind.HARD


class TestStatistics:
    def test_bounds(self) -> None:
        assert failure_bound(60_000) == pytest.approx(5e-5)
        assert failure_bound(0) == 1.0
        assert rollouts_bound(10) == pytest.approx(0.2589, abs=1e-4)
        assert rollouts_bound(0) == 1.0

    def test_latency_counts_from_the_intended_time(self) -> None:
        log = Requests().blind(at=100.0, until=110.0).build()
        assert latency_ms(log, np.ones(len(log.rows), dtype=bool))[2] > 9_900

    @pytest.mark.parametrize(
        ("lane", "outcome", "left"),
        [
            ("keepalive-get", "read.eof", 0), ("keepalive-post", "read.eof", 1),
            ("keepalive-post", "connect.ECONNREFUSED", 0), ("keepalive-get", "http.502", 1),
            ("keepalive-get", "read.truncated", 1), ("keepalive-get", "read.timeout", 1),
        ],
    )  # fmt: skip
    def test_one_retry_helps_only_where_it_is_allowed(self, lane: str, outcome: str, left: int) -> None:
        log = Requests().fail(lane, at=100.0, outcome=outcome).build()
        assert left_after_one_retry(log, log.rows["outcome"] > 0) == left

    def test_a_retry_during_the_outage_fails_as_well(self) -> None:
        log = Requests().fail("", at=100.0, until=101.0, outcome="connect.ECONNREFUSED").build()
        left = left_after_one_retry(log, log.rows["outcome"] > 0)
        assert left >= 190


def test_the_most_in_a_row_is_counted_by_lane_and_the_first_by_name_is_named() -> None:
    def most(requests: Requests, since_s: float = 90.0) -> tuple[int, str]:
        log = requests.build()
        failed, silent = kinds(log) == Kind.HARD, kinds(log) > Kind.HARD
        return most_in_a_row(log, window_ns=(int(since_s * 1e9), ALL_NS[1]), failed=failed, silent=silent)

    assert most(Requests()) == (0, "")
    assert most(Requests().fail("new-get", at=100.0).fail("keepalive-get", at=100.0)) == (1, "keepalive-get")
    both = Requests().fail("new-get", at=100.0, until=100.1).fail("keepalive-get", at=95.0, until=95.03)
    assert most(both) == (4, "new-get")
    assert most(Requests().fail(at=95.0, until=95.03), since_s=96.0) == (0, "")
    unknown_between = Requests().fail(at=100.0).fail(at=100.01, outcome="http.429").fail(at=100.02)
    assert most(unknown_between) == (2, "keepalive-get")
