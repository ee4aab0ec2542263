"""The edges of intervals and statistics, in nanoseconds: first and last requests, windows, ties, other lanes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from builders import Requests
from story import Story

from rollproof.core import intervals
from rollproof.core.binomial import failure_bound, rollouts_bound
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.intervals import Gap, Outage, Span, blind_gaps, downtime_ms, merge, outages
from rollproof.core.outcomes import CLOSED_UNANSWERED, Kind, kinds, lane_mask, named, was_silence
from rollproof.core.requests import REQUEST_DTYPE, RequestLog
from rollproof.core.statistics import latency_ms, left_after_one_retry

EVER = (0, 10**18)
MS = 1_000_000


def lane(*sent: str, start_ns: int = 0, engine_start_ns: int = 0, every_ms: int = 10, took_ms: int = 1) -> RequestLog:
    """One request of keepalive-get each `every_ms`, by a letter: g good, f failed, n good on a new connection, s good
    but 3 s late, u unfinished; F and G on a new connection too."""
    log = Requests(seconds=0.01).fail(outcome="read.eof", at=90).fail(outcome="unfinished", at=90).build()
    rows = np.zeros(len(sent), dtype=REQUEST_DTYPE)
    rows["k"] = np.arange(len(sent))
    rows["send_ns"] = rows["intended_ns"] = start_ns + np.arange(len(sent)) * every_ms * MS
    late = np.array([3000 if letter == "s" else took_ms for letter in sent])
    rows["done_ns"] = rows["send_ns"] + late * MS
    rows["outcome"] = [{"f": 1, "F": 1, "u": 2}.get(letter, 0) for letter in sent]
    rows["reused"] = [letter not in "nFG" for letter in sent]
    engine = replace(log.engine, start_ns=engine_start_ns, end_ns=start_ns + len(sent) * every_ms * MS)
    return replace(log, rows=rows, engine=engine, outcomes=("", "read.eof", "unfinished"))


def found(letters: Iterable[str], window_ns: tuple[int, int] = EVER) -> list[Outage]:
    return list(outages(lane(*letters), window_ns=window_ns))


class TestBrackets:
    def test_every_field_of_an_outage(self) -> None:
        assert found("ggffg") == [
            Outage(
                lane="keepalive-get", begins_ns=(10 * MS, 21 * MS), ends_ns=(30 * MS, 41 * MS), first_send_ns=20 * MS,
                last_send_ns=30 * MS, count=2, outcomes={"read.eof": 2}, open_end=False,
            )
        ]  # fmt: skip
        (one,) = found("ggffg")
        assert (one.start_ns, one.end_ns, one.lower_ms, one.upper_ms) == (15 * MS, 35_500_000, 9.0, 31.0)

    def test_the_first_request_of_all(self) -> None:
        """Before it nobody looked: it may have begun when the load did."""
        (one,) = outages(lane("f", "g", start_ns=500 * MS, engine_start_ns=100 * MS), window_ns=EVER)
        assert one.begins_ns == (100 * MS, 501 * MS)
        (one,) = outages(lane("f", "g", start_ns=500 * MS, engine_start_ns=900 * MS), window_ns=EVER)
        assert one.begins_ns == (500 * MS, 501 * MS)

    def test_the_second_request_of_all(self) -> None:
        (one,) = outages(lane("g", "f", "g", start_ns=500 * MS, engine_start_ns=100 * MS), window_ns=EVER)
        assert one.begins_ns == (500 * MS, 511 * MS)

    def test_the_last_request_of_all(self) -> None:
        (one,) = found("gf")
        assert (one.open_end, one.ends_ns) == (True, (10 * MS, 20 * MS))  # the load's end
        assert found("gfg")[0].open_end is False

    def test_an_answer_that_hangs_past_the_end_of_the_load(self) -> None:
        log = lane("g", "f", "u", took_ms=500)
        (one,) = outages(log, window_ns=EVER, silent=np.zeros(3, dtype=bool))
        assert one.ends_ns[1] == 520 * MS
        assert one.count == 1

    def test_the_end_is_never_before_the_last_failed_send(self) -> None:
        """The next good request was sent, and answered, before an earlier one failed: nothing can be shorter than 0."""
        log = lane("g", "f", "g")
        log.rows["done_ns"][2] = 5 * MS
        (one,) = outages(log, window_ns=EVER)
        assert one.ends_ns == (10 * MS, 10 * MS)
        assert one.lower_ms == 0.0

    def test_a_failure_that_follows_proves_no_end(self) -> None:
        first, second = found("gfsffg")
        assert first.ends_ns == (10 * MS, 51 * MS)
        assert second.ends_ns == (40 * MS, 51 * MS)

    def test_a_host_that_has_been_up_for_a_year(self) -> None:
        """Times beyond 2**53 ns are still exact."""
        start_ns = 31_536_000_000_000_001
        log = lane("g", "f", "g", start_ns=start_ns, engine_start_ns=start_ns)
        (one,) = outages(log, window_ns=EVER)
        assert one.begins_ns == (start_ns, start_ns + 11 * MS)
        assert one.ends_ns == (start_ns + 10 * MS, start_ns + 21 * MS)
        (gap,) = blind_gaps(replace(log, open_loop=("keepalive-get",)), window_ns=(start_ns - 50 * MS, start_ns))
        assert (gap.start_ns, gap.end_ns) == (start_ns - 50 * MS, start_ns)


class TestNewConnections:
    """After failures on reused connections alone, a request on a new one proves nothing about reused ones."""

    @pytest.mark.parametrize(
        ("letters", "end_ms"),
        [
            ("gfng", 31),  # the next but one
            ("gfn", 21),  # there is no other
            ("gfnfg", 21),  # the next but one failed
            ("gfnfgg", 21),
            ("gFng", 21),  # a failure on a new connection
            ("gfFng", 31),
            ("gfgg", 21),
            ("gfnng", 31),
        ],
    )
    def test_who_proves_the_end(self, letters: str, end_ms: int) -> None:
        assert found(letters)[0].ends_ns[1] == end_ms * MS


class TestWindow:
    def test_its_edges_belong_to_it(self) -> None:
        assert len(found("gfg", (0, 10 * MS))) == len(found("gfg", (10 * MS, 99 * MS))) == 1
        assert found("gfg", (0, 10 * MS - 1)) == found("gfg", (10 * MS + 1, 99 * MS)) == []

    def test_an_outage_that_reaches_into_it(self) -> None:
        (one,) = found("gfffg", (20 * MS, 20 * MS))
        assert (one.count, one.lower_ms) == (3, 19.0)

    def test_each_lane_has_its_own(self) -> None:
        log = Requests().fail("new-get", at=100.0).fail(at=120.0, until=120.5).build()
        window_ns = (int(119e9), int(121e9))
        assert list(downtime_ms(log, window_ns=window_ns)) == ["keepalive-get"]
        assert list(downtime_ms(log, window_ns=(0, 1))) == []


class TestWhatCounts:
    def test_failures_that_are_not_blamed_are_good_answers_unless_they_are_called_silent(self) -> None:
        log = lane("g", "f", "f", "f", "g")
        failed = np.array([False, True, False, True, False])
        assert len(outages(log, window_ns=EVER, failed=failed)) == 2
        silent = np.array([False, False, True, False, False])
        (one,) = outages(log, window_ns=EVER, failed=failed, silent=silent)
        assert (one.count, one.lower_ms, one.upper_ms) == (2, 19.0, 41.0)
        assert downtime_ms(log, window_ns=EVER, failed=failed, silent=silent) == {"keepalive-get": (19.0, 41.0)}
        assert downtime_ms(log, window_ns=EVER, failed=failed) == {"keepalive-get": (0.0, 41.0)}

    def test_what_is_blamed_though_it_was_answered_well_is_a_wrong_version(self) -> None:
        failed = np.array([False, True, False])
        (one,) = outages(lane("g", "g", "g"), window_ns=EVER, failed=failed)
        assert one.outcomes == {"version.wrong": 1}

    def test_a_bracket_within_another_adds_nothing(self) -> None:
        log = lane(*"gfsfg")
        assert [one.upper_ms for one in outages(log, window_ns=EVER)] == [41.0, 21.0]
        assert downtime_ms(log, window_ns=EVER) == {"keepalive-get": (0.0, 41.0)}

    def test_the_longest_are_kept_and_of_equal_ones_the_first(self) -> None:
        ((_, runs),) = intervals._runs_by_lane(lane(*"gfgfffgfgffg"), EVER, None, None)
        assert [list(runs.longest(size)) for size in (1, 2, 3, 4, 5)] == [
            [1],
            [1, 3],
            [0, 1, 3],
            [0, 1, 2, 3],
            [0, 1, 2, 3],
        ]
        log = lane(*"gfgfg")
        log.rows["send_ns"][0] -= 5 * MS  # the first began, perhaps, a little earlier
        log.rows["done_ns"][1] += 5 * MS  # and was known a little later
        ((_, runs),) = intervals._runs_by_lane(log, EVER, None, None)
        assert list(runs.longest(1)) == [0]

    def test_of_many_equal_ones_the_first_are_kept(self) -> None:
        ((_, runs),) = intervals._runs_by_lane(lane(*("gf" * 200), "g"), EVER, None, None)
        assert list(runs.longest(100)) == list(range(100))


class TestMerge:
    @staticmethod
    def outage(name: str, start_ms: int, end_ms: int, count: int = 1) -> Outage:
        return Outage(
            name, (start_ms * MS, start_ms * MS), (end_ms * MS, end_ms * MS), start_ms * MS, end_ms * MS, count, {}
        )

    def test_spans_that_touch_are_one(self) -> None:
        spans = merge([self.outage("b", 10, 20, 3), self.outage("a", 0, 10, 2), self.outage("c", 21, 22)])
        assert spans == (
            Span(0, 20 * MS, 10.0, 10.0, 5, ("a", "b")),
            Span(21 * MS, 22 * MS, 1.0, 1.0, 1, ("c",)),
        )

    def test_one_inside_another_does_not_end_it(self) -> None:
        spans = merge([self.outage("a", 0, 30), self.outage("b", 5, 9), self.outage("a", 20, 25)])
        assert spans == (Span(0, 30 * MS, 30.0, 30.0, 3, ("a", "b")),)


class TestBlindGaps:
    def test_the_control_lane_is_passed_over_wherever_it_stands(self) -> None:
        log = replace(Requests().build(), open_loop=("control", "new-get"))
        assert [gap.lane for gap in blind_gaps(log, window_ns=(int(100e9), int(110e9)))] == ["new-get"]

    def test_only_lateness_that_was_due_inside_is_ours(self) -> None:
        late = np.array([[0, 900 * MS], [9 * MS, 800 * MS], [10 * MS, 5 * MS], [20 * MS, 7 * MS], [21 * MS, 850 * MS]])

        def gap(rows: slice) -> Gap:
            log = lane("g", "g", "g", every_ms=10)
            log = replace(log, open_loop=("keepalive-get",), engine=replace(log.engine, late_ns=late[rows]))
            log.rows["send_ns"][0] = 9 * MS
            (found,) = blind_gaps(log, window_ns=(9 * MS, 20 * MS))
            return found

        assert gap(slice(0, 1)) == Gap("keepalive-get", 10 * MS, 20 * MS, 0.0)
        assert gap(slice(2, 3)).own_ms == 5.0
        assert gap(slice(3, 4)).own_ms == 7.0
        assert gap(slice(0, 5)).own_ms == 7.0
        assert gap(slice(4, 5)).own_ms == 0.0
        assert gap(slice(0, 5)).gap_ms == 10.0


class TestKinds:
    def test_one_byte_a_row(self) -> None:
        assert kinds(lane("g", "f", "u")).dtype == np.uint8
        assert list(kinds(lane("g", "f", "u"))) == [Kind.GOOD, Kind.HARD, Kind.OWN]

    def test_masks(self) -> None:
        log = replace(lane("g", "f", "u"), outcomes=("", "read.timeout", "unfinished"))
        assert list(was_silence(log)) == [False, True, False]
        assert list(named(log, "unfinished")) == [False, False, True]
        assert list(lane_mask(log, "no-such-lane")) == [False, False, False]
        assert lane_mask(log, "no-such-lane").dtype == np.bool_
        assert list(lane_mask(log, "keepalive-get")) == [True, True, True]


class TestStatistics:
    def test_bounds_at_their_smallest(self) -> None:
        assert [failure_bound(clean) for clean in (2, 3, 4)] == [1.0, 1.0, 0.75]
        assert [rollouts_bound(clean) for clean in (0, 1, 2)] == pytest.approx([1.0, 0.95, 0.77639], abs=1e-5)

    def test_latencies(self) -> None:
        log = lane("g", "g", "s")
        assert latency_ms(log, np.zeros(3, dtype=bool)) == (0.0, 0.0, 0.0)
        assert latency_ms(log, np.ones(3, dtype=bool)) == (1.0, 2940.02, 3000.0)

    @pytest.mark.parametrize(
        ("letters", "left"), [("gfg", 0), ("gff", 2), ("gf", 1), ("gfgf", 1), ("ffg", 1), ("gg", 0)]
    )
    def test_a_retry_is_the_next_request_of_the_lane(self, letters: str, left: int) -> None:
        log = replace(lane(*letters), open_loop=("keepalive-get",))
        assert left_after_one_retry(log, log.rows["outcome"] == 1) == left

    def test_a_retry_is_sent_when_the_failure_is_known(self) -> None:
        log = replace(lane(*"gfgf"), open_loop=("keepalive-get",))
        log.rows["done_ns"][1] = 20 * MS  # known at the very moment of the next send
        assert left_after_one_retry(log, log.rows["outcome"] == 1) == 1
        log.rows["done_ns"][1] += 1
        assert left_after_one_retry(log, log.rows["outcome"] == 1) == 2

    def test_a_failure_that_is_known_after_the_last_request_was_never_tried_again(self) -> None:
        log = replace(lane(*"fg"), open_loop=("keepalive-get",))
        log.rows["done_ns"][0] = 11 * MS
        assert left_after_one_retry(log, log.rows["outcome"] == 1) == 1

    @pytest.mark.parametrize("outcome", [*CLOSED_UNANSWERED, "send.EPIPE", "send.ECONNRESET"])
    def test_before_any_byte_of_an_answer(self, outcome: str) -> None:
        log = replace(lane(*"gfg"), open_loop=("keepalive-get",), outcomes=("", outcome, ""))
        assert left_after_one_retry(log, log.rows["outcome"] == 1) == 0

    def test_a_retry_goes_by_a_new_connection_where_there_is_such_a_lane(self) -> None:
        hurt = Requests().fail(at=100.0, until=101.0, outcome="connect.ECONNREFUSED").build()
        failed = hurt.rows["outcome"] > 0
        assert left_after_one_retry(hurt, failed) == 0
        assert left_after_one_retry(replace(hurt, open_loop=("keepalive-get",)), failed) == 99

    def test_the_control_lane_is_tried_again_on_itself(self) -> None:
        hurt = Requests().fail("control", at=100.0, until=101.0, outcome="connect.ECONNREFUSED").build()
        assert left_after_one_retry(hurt, hurt.rows["outcome"] > 0) == 19

    def test_each_lane_by_its_own_rule(self) -> None:
        hurt = Requests().fail("keepalive-post", at=100.0, until=100.1, outcome="read.eof")
        hurt.fail("new-get", at=100.0, until=100.1, outcome="read.eof").fail(at=110.0, outcome="send.EPIPE")
        log = hurt.build()
        assert left_after_one_retry(log, log.rows["outcome"] > 0) == 4 + 3  # no POST; of the GETs only the last


class TestFacts:
    def test_first_and_last_by_every_word(self) -> None:
        told = Story().tell("a", "X/1", "went", at=1).tell("b", "Y/1", "went", at=2).tell("a", "Y/2", "came", at=3)
        facts = told.tell("b", "Y/3", "came", at=4).tell("c", "Z/1", "stayed", at=5).facts()

        def seq(event: Event | None) -> int | None:
            return event.seq if event else None

        def ends(facts: Facts, **words: str) -> tuple[int | None, int | None]:
            return seq(facts.first(**words)), seq(facts.last(**words))

        assert ends(facts) == (1, 5)
        assert ends(facts, source="b") == (2, 4)
        assert ends(facts, subject="Y/") == (2, 4)
        assert ends(facts, what="came") == (3, 4)
        assert ends(facts, source="a", what="went") == (1, 1)
        assert ends(facts, source="a", subject="Y/", what="came") == (3, 3)
        assert ends(facts, source="nobody") == (None, None)
