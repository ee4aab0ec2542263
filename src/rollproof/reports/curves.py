"""Request log -> a bounded number of buckets -> SVG paths. A million rows and ten thousand make the same page.

Requests are shown at the time of their send (a failure belongs to its start); latency counts from the intended time.
Nothing is smoothed: a bucket shows its own counts and percentiles, and an empty bucket is a hole.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rollproof.core.outcomes import Kind, kinds
from rollproof.core.requests import RequestLog
from rollproof.reports.timeline import Axis

__all__ = ["Buckets", "bucketed", "decades", "latency_paths", "log_y", "stack_paths", "step_path"]

BUCKETS_MAX = 1200
_STEPS_MS = tuple(factor * unit for unit in (1, 10, 100, 1_000, 10_000, 100_000) for factor in (1, 2, 5))
_LATENCY_BITS = 40  # 2**40 ns are 18 minutes: more than any deadline
_STEP_MIN_MS = 20  # with less, a bucket has no more than a request or two


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """Counts: `sent[lane, bucket]`, `failed[lane, bucket]`, `versions[version, bucket]`; percentiles a bucket."""

    step_ms: int
    sent: NDArray[np.int64]
    failed: NDArray[np.int64]
    versions: NDArray[np.int64]
    p50_ms: NDArray[np.float64]
    p99_ms: NDArray[np.float64]

    @property
    def count(self) -> int:
        """The number of buckets."""
        return int(self.sent.shape[1])


def bucketed(log: RequestLog, axis: Axis, most: int = BUCKETS_MAX) -> Buckets:
    """Aggregate the log, into so many buckets at most. Percentiles are of good answers on the app's open-loop lanes,
    without slow and control."""
    step_ms = next(
        (step for step in _STEPS_MS if step >= _STEP_MIN_MS and axis.length_ms / step <= most),
        round(axis.length_ms / most) + 1,
    )
    count = int(axis.length_ms // step_ms) + 1
    begin_ns = int(axis.start_s * 1e9)
    edges = begin_ns + np.arange(1, count) * (step_ms * 1_000_000)
    ends = np.searchsorted(log.column("send_ns"), edges)  # rows are in the order of their sends
    index = np.repeat(np.arange(count), np.diff(ends, prepend=0, append=len(log.rows)))
    bad = kinds(log) == Kind.HARD
    lanes = log.column("lane").astype(np.int64)
    paced = np.array([lane in log.open_loop and lane != log.control for lane in log.lanes], dtype=bool)
    good = (log.column("outcome") == 0) & paced[lanes]
    p50_ms, p99_ms = _percentiles(index[good], (log.column("done_ns") - log.column("intended_ns"))[good], count)
    app = np.ones(len(log.rows), dtype=bool)
    if log.control:
        app = lanes != log.lanes.index(log.control)
    return Buckets(
        step_ms=step_ms,
        sent=_counts(lanes, index, len(log.lanes), count),
        failed=_counts(lanes[bad], index[bad], len(log.lanes), count),
        versions=_counts(log.column("version")[app].astype(np.int64), index[app], len(log.versions), count),
        p50_ms=p50_ms,
        p99_ms=p99_ms,
    )


def _counts(rows: NDArray[np.int64], index: NDArray[np.int64], row_count: int, bucket_count: int) -> NDArray[np.int64]:
    flat = np.bincount(rows * bucket_count + index, minlength=row_count * bucket_count)
    return flat.reshape(row_count, bucket_count)


def _percentiles(
    index: NDArray[np.int64], latency_ns: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nearest-rank p50 and p99 of each bucket; NaN where it has no good answer."""
    key = (index << _LATENCY_BITS) | np.clip(latency_ns, 0, (1 << _LATENCY_BITS) - 1)
    ordered = (np.sort(key) & ((1 << _LATENCY_BITS) - 1)) / 1e6  # one sort by bucket, then by latency
    sizes = np.bincount(index, minlength=count)
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    out = []
    for share in (0.5, 0.99):
        found = np.full(count, np.nan)
        filled = sizes > 0
        rank = np.ceil(share * sizes[filled]).astype(np.int64) - 1
        found[filled] = ordered[starts[filled] + rank]
        out.append(found)
    return out[0], out[1]


def step_path(values: NDArray[np.float64], step_ms: int, floor: float) -> str:
    """A filled step curve over `floor`; `values` are y coordinates, and values on the floor are not drawn."""
    parts = []
    for first, last in _runs(values < floor):
        parts.append(f"M{first * step_ms} {floor:g}")
        changes = np.flatnonzero(np.diff(values[first:last])) + first + 1
        edges = [first, *changes.tolist(), last]
        for begin, end in itertools.pairwise(edges):  # equal neighbours become one line
            parts.append(f"V{round(float(values[begin]), 1):g}H{end * step_ms}")
        parts.append(f"V{floor:g}Z")
    return "".join(parts)


def stack_paths(layers: NDArray[np.int64], step_ms: int, height: int) -> list[str]:
    """Layers as shares of each bucket, from the bottom up; a bucket without requests stays empty."""
    total = layers.sum(axis=0)
    share = np.divide(layers, total, out=np.zeros(layers.shape), where=total > 0)
    tops = np.cumsum(share, axis=0)
    uppers, lowers = height * (1 - tops), height * (1 - tops + share)
    return [_band(upper, lower, step_ms) for upper, lower in zip(uppers, lowers, strict=True)]


def _band(upper: NDArray[np.float64], lower: NDArray[np.float64], step_ms: int) -> str:
    """The area between two step curves, in pieces where its height is not 0."""
    parts = []
    for begin, end in _runs(np.isfinite(upper) & np.isfinite(lower) & (lower - upper > 0)):
        there = _steps(upper, range(begin, end), step_ms, 1)
        back = _steps(lower, range(end - 1, begin - 1, -1), step_ms, 0)
        parts.append(f"M{begin * step_ms} {round(float(lower[begin]), 1):g}{there}{back}Z")
    return "".join(parts)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    padded = np.concatenate(([False], mask, [False]))
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def decades(buckets: Buckets) -> tuple[float, float]:
    """The latency axis: whole powers of ten around the measured values, at least two of them."""
    seen = np.concatenate((buckets.p50_ms, buckets.p99_ms))
    seen = seen[np.isfinite(seen) & (seen > 0)]
    if not len(seen):
        return 1.0, 100.0
    low = 10.0 ** np.floor(np.log10(seen.min()))
    return float(low), float(max(10.0 ** np.ceil(np.log10(seen.max())), low * 100))


def log_y(value_ms: NDArray[np.float64], low: float, high: float, height: int) -> NDArray[np.float64]:
    """The y coordinate of a latency in a box of that height, on a logarithmic scale; NaN stays NaN."""
    share = np.log10(np.clip(value_ms, low, high) / low) / np.log10(high / low)
    return np.asarray(height * (1 - share), dtype=np.float64)


def latency_paths(buckets: Buckets, height: int) -> tuple[str, str, str]:
    """The band from p50 to p99, the p50 line and the p99 line."""
    low, high = decades(buckets)
    p50, p99 = (log_y(values, low, high, height) for values in (buckets.p50_ms, buckets.p99_ms))
    return _band(p99, p50, buckets.step_ms), _line(p50, buckets.step_ms), _line(p99, buckets.step_ms)


def _line(values: NDArray[np.float64], step_ms: int) -> str:
    parts = []
    for begin, end in _runs(np.isfinite(values)):
        parts.append(f"M{begin * step_ms} {round(float(values[begin]), 1):g}")
        parts.append(_steps(values, range(begin, end), step_ms, 1))
    return "".join(parts)


def _steps(values: NDArray[np.float64], at: range, step_ms: int, edge: int) -> str:
    """To each value's height, then along to its bucket's right (1) or left (0) edge; equal neighbours are one line."""
    heights = (f"{round(float(values[index]), 1):g}" for index in at)
    along_ms = step_ms if edge else -step_ms
    return "".join(f"V{height}h{along_ms * len([*same])}" for height, same in itertools.groupby(heights))
