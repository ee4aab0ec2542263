"""Requests → outages with a lower and an upper bound, and blind gaps in which nobody was looking.

Samples are points; an outage is what lies between them, so each end is a bracket and never a moment:

    good   good   FAIL   FAIL   FAIL   good   good        sends of one lane
           |      |                |   |
           begins[0] begins[1]  ends[0] ends[1]

It began after the last good request was sent and before the first failure was known; it ended after the last failed
request was sent and before the next good one was answered. Failures with a good answer between them are two outages.
An attempt that says nothing about the target (kind OWN or LIMITED) neither ends an outage nor fills a blind gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rollproof.core.outcomes import Kind, kinds, lane_mask, named, was_silence
from rollproof.core.requests import RequestLog

__all__ = [
    "OUTAGES_MAX", "Gap", "Outage", "Span", "blind_gaps", "downtime_ms", "edges_ns", "merge", "most_in_a_row",
    "outages",
]  # fmt: skip

OUTAGES_MAX = 1000  # per lane, the longest ones: a lane that fails every second request must not make a million objects
_NEVER = np.iinfo(np.int64).max
_REFUSED = "connect.ECONNREFUSED"  # said at once, by the kernel of a machine on which nobody listens


@dataclass(frozen=True, slots=True)
class Outage:
    """Consecutive failures of one lane. Times are CLOCK_MONOTONIC ns; `open_end`: no good answer came after it.

    `accepted_ns`: if the last attempt was refused and the next one was given a connection, when that one was sent, else
    0.
    """

    lane: str
    begins_ns: tuple[int, int]
    ends_ns: tuple[int, int]
    first_send_ns: int
    last_send_ns: int
    count: int
    outcomes: Mapping[str, int]
    open_end: bool = False
    accepted_ns: int = 0

    @property
    def start_ns(self) -> int:
        """The best single guess for its beginning: half-way between the last good and the first failed send."""
        return (self.begins_ns[0] + self.first_send_ns) // 2

    @property
    def end_ns(self) -> int:
        """The best single guess for its end: half-way to the first good answer.

        After refusals half-way to the request that was given a connection: somebody listened again when it was sent,
        and all handshakes that follow at once make its answer late.
        """
        return max(self.start_ns, (self.last_send_ns + (self.accepted_ns or self.ends_ns[1])) // 2)

    @property
    def lower_ms(self) -> float:
        """It lasted at least so long: from the first failure known to the last failed send; 0 for a single one."""
        return max(0, self.ends_ns[0] - self.begins_ns[1]) / 1e6

    @property
    def upper_ms(self) -> float:
        """It lasted at most so long: from the last good send before it to the first good answer after it."""
        return (self.ends_ns[1] - self.begins_ns[0]) / 1e6


@dataclass(frozen=True, slots=True)
class Span:
    """Outages of several lanes that overlap, as one: for the headline and for pictures."""

    start_ns: int
    end_ns: int
    lower_ms: float
    upper_ms: float
    count: int
    lanes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """The largest time without a sample on one lane. `own_ms`: the generator's worst lateness inside it."""

    lane: str
    start_ns: int
    end_ns: int
    own_ms: float

    @property
    def gap_ms(self) -> float:
        """How long nobody looked."""
        return (self.end_ns - self.start_ns) / 1e6


def outages(
    log: RequestLog, *, window_ns: tuple[int, int], failed: NDArray[np.bool_] | None = None,
    silent: NDArray[np.bool_] | None = None,
) -> tuple[Outage, ...]:  # fmt: skip
    """The outages of every lane with a failed send inside the window, in order of their beginning.

    `failed` are the rows that count as failures (default: kind HARD); `silent` those that say nothing (default: kinds
    OWN and LIMITED). Brackets look beyond the window's edges.
    """
    found: list[Outage] = []
    for lane, runs in _runs_by_lane(log, window_ns, failed, silent):
        found += [runs.outage(log, lane, int(i)) for i in runs.longest(OUTAGES_MAX)]
    return tuple(sorted(found, key=lambda outage: (outage.first_send_ns, outage.lane)))


def downtime_ms(
    log: RequestLog, *, window_ns: tuple[int, int], failed: NDArray[np.bool_] | None = None,
    silent: NDArray[np.bool_] | None = None,
) -> dict[str, tuple[float, float]]:  # fmt: skip
    """For each lane with an outage in the window, how long all its outages lasted together: at least, at most.

    One more failure never makes either bound smaller.
    """
    return {
        lane: (runs.lower_ns() / 1e6, runs.upper_ns() / 1e6)
        for lane, runs in _runs_by_lane(log, window_ns, failed, silent)
    }


def edges_ns(
    log: RequestLog, lane: str, *, window_ns: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of all outages of one lane, however many, in order: the earliest begin, the first failed send, the latest end."""
    for _, runs in _runs_by_lane(log, window_ns, None, None, (lane,)):
        return runs.begins[0], runs.sends[runs.first], runs.ends[1]
    nothing = np.zeros(0, dtype=np.int64)
    return nothing, nothing, nothing


def most_in_a_row(
    log: RequestLog, *, window_ns: tuple[int, int], failed: NDArray[np.bool_], silent: NDArray[np.bool_]
) -> tuple[int, str]:
    """The largest number of failures one after the other on one lane, and that lane (the first by name); 0 if none."""
    sizes = [(-int(runs.sizes().max()), lane) for lane, runs in _runs_by_lane(log, window_ns, failed, silent)]
    most, lane = min(sizes, default=(0, ""))
    return -most, lane


@dataclass(frozen=True, slots=True)
class _Runs:
    """The runs of failures of one lane, [first, after), in columns; brackets as in Outage.

    They count the lane's attempts that say something: `rows` are their places in the log, `sends` when they were sent.
    """

    rows: NDArray[np.intp]
    sends: NDArray[np.int64]
    first: NDArray[np.intp]
    after: NDArray[np.intp]
    begins: tuple[NDArray[np.int64], NDArray[np.int64]]
    ends: tuple[NDArray[np.int64], NDArray[np.int64]]
    ended: NDArray[np.bool_]
    accepted: NDArray[np.int64]

    def longest(self, size: int) -> NDArray[np.intp]:
        """Indices of the longest runs, in order."""
        if len(self.first) <= size:
            return np.arange(len(self.first))
        return np.sort(np.argsort(self.begins[0] - self.ends[1], kind="stable")[:size])

    def sizes(self) -> NDArray[np.intp]:
        """How many failures each run has."""
        found: NDArray[np.intp] = self.after - self.first
        return found

    def lower_ns(self) -> int:
        """The sum of what each lasted at least."""
        return int(np.maximum(0, self.ends[0] - self.begins[1]).sum())

    def upper_ns(self) -> int:
        """The brackets may overlap; their union is counted once."""
        reached = np.concatenate((self.begins[0][:1], np.maximum.accumulate(self.ends[1])[:-1]))
        return int(np.maximum(0, self.ends[1] - np.maximum(self.begins[0], reached)).sum())

    def outage(self, log: RequestLog, lane: str, i: int) -> Outage:
        """The i-th run as an object."""
        first, after = self.first[i], self.after[i]
        values, counts = np.unique(log.column("outcome")[self.rows[first:after]], return_counts=True)
        named = zip(values, counts, strict=True)
        return Outage(
            lane=lane,
            begins_ns=(int(self.begins[0][i]), int(self.begins[1][i])),
            ends_ns=(int(self.ends[0][i]), int(self.ends[1][i])),
            first_send_ns=int(self.sends[first]),
            last_send_ns=int(self.sends[after - 1]),
            count=int(after - first),
            outcomes={log.outcomes[value] or "version.wrong": int(n) for value, n in named},
            open_end=not bool(self.ended[i]),
            accepted_ns=int(self.accepted[i]),
        )


def _runs_by_lane(
    log: RequestLog, window_ns: tuple[int, int], failed: NDArray[np.bool_] | None, silent: NDArray[np.bool_] | None,
    lanes: Iterable[str] | None = None,
) -> Iterator[tuple[str, _Runs]]:  # fmt: skip
    """Of these lanes (None: of all) each that has such a run."""
    kind = kinds(log)
    failed = kind == Kind.HARD if failed is None else failed
    silent = (kind > Kind.HARD) & ~failed if silent is None else silent
    for lane in log.lanes if lanes is None else lanes:
        telling = lane_mask(log, lane) & ~silent
        if (telling & failed).any():  # rarely: only then their places are looked for
            chosen = np.flatnonzero(telling)
            runs = _runs(log, chosen, failed[chosen], window_ns)
            if len(runs.first):
                yield lane, runs


def _runs(log: RequestLog, chosen: NDArray[np.intp], failed: NDArray[np.bool_], window_ns: tuple[int, int]) -> _Runs:
    send, done, reused = (log.column(name)[chosen] for name in ("send_ns", "done_ns", "reused"))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], failed, [False])).astype(np.int8)))
    inside = (send[edges[::2]] <= window_ns[1]) & (send[edges[1::2] - 1] >= window_ns[0])
    first, after = edges[::2][inside], edges[1::2][inside]
    cuts = np.stack((first, after), axis=1).ravel()
    known = np.append(np.where(was_silence(log)[chosen], send, done), _NEVER)
    all_reused = np.logical_and.reduceat(np.append(reused, True), cuts)[::2]
    known_first = np.minimum.reduceat(known, cuts)[::2]
    begun = np.where(first > 0, send[np.maximum(first - 1, 0)], min(log.engine.start_ns, int(send[0])))
    good_by = _good_by(done, failed)[_proof_of_end(reused, failed, after, all_reused)]
    ended = good_by < _NEVER
    over = np.where(ended, good_by, max(int(done.max()), log.engine.end_ns))
    last = send[after - 1]
    then = np.minimum(after, len(send) - 1)
    opened = ~failed[then] & (log.column("connected_ns")[chosen][then] > 0)
    accepted = np.where(opened & named(log, _REFUSED)[chosen][after - 1], send[then], 0)
    ends = (last, np.maximum(over, last))
    return _Runs(chosen, send, first, after, (begun, known_first), ends, ended, accepted)


def _good_by(done: NDArray[np.int64], failed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each position the earliest moment at which any good request from there on was answered."""
    good = np.append(np.where(failed, _NEVER, done), [_NEVER, _NEVER])
    earliest: NDArray[np.int64] = np.minimum.accumulate(good[::-1])[::-1]
    return earliest


def _proof_of_end(
    reused: NDArray[np.bool_], failed: NDArray[np.bool_], after: NDArray[np.intp], all_reused: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """From which position on a good answer proves that the run was over. After failures on reused connections alone, a
    request on a new one proves nothing about reused ones: then from the next but one (docs/measurement.md 10.3)."""
    last = len(reused) - 1
    on_new = (after <= last) & ~reused[np.minimum(after, last)]
    then_good = (after < last) & ~failed[np.minimum(after + 1, last)]
    position: NDArray[np.intp] = after + (all_reused & on_new & then_good)
    return position


def merge(found: Iterable[Outage]) -> tuple[Span, ...]:
    """Outages whose best guesses overlap, whatever their lane, as one span each; bounds are the widest among them."""
    spans: list[Span] = []
    for outage in sorted(found, key=lambda one: one.start_ns):
        span = Span(
            outage.start_ns, outage.end_ns, outage.lower_ms, outage.upper_ms, outage.count, (outage.lane,)
        )  # fmt: skip
        if spans and span.start_ns <= spans[-1].end_ns:
            before = spans.pop()
            span = Span(
                start_ns=before.start_ns,
                end_ns=max(before.end_ns, span.end_ns),
                lower_ms=max(before.lower_ms, span.lower_ms),
                upper_ms=max(before.upper_ms, span.upper_ms),
                count=before.count + span.count,
                lanes=tuple(sorted({*before.lanes, *span.lanes})),
            )
        spans.append(span)
    return tuple(spans)


def blind_gaps(log: RequestLog, *, window_ns: tuple[int, int]) -> tuple[Gap, ...]:
    """For each open-loop lane of the app its largest time without a sample inside the window, edges included.

    Largest first. The control lane is left out: it watches the way in, and no claim about the app rests on it.
    A dispatch that came late is seen as it was: the sample lies where it was really sent.
    """
    start_ns, end_ns = window_ns
    sends = log.column("send_ns")
    inside = slice(np.searchsorted(sends, start_ns, side="left"), np.searchsorted(sends, end_ns, side="right"))
    sends, useful = sends[inside], kinds(log)[inside] <= Kind.HARD
    gaps: list[Gap] = []
    for lane in log.open_loop:
        if lane == log.control:
            continue
        points = np.concatenate(([start_ns], sends[useful & lane_mask(log, lane)[inside]], [end_ns])).astype(np.int64)
        i = int(np.argmax(np.diff(points)))
        low, high = int(points[i]), int(points[i + 1])
        gaps.append(Gap(lane, low, high, _own_ms(log, low, high)))
    return tuple(sorted(gaps, key=lambda gap: -gap.gap_ms))


def _own_ms(log: RequestLog, low_ns: int, high_ns: int) -> float:
    """The worst late dispatch that was due inside."""
    late = log.engine.late_ns
    inside = late[(late[:, 0] >= low_ns) & (late[:, 0] <= high_ns), 1]
    return float(inside.max()) / 1e6 if len(inside) else 0.0
