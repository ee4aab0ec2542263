"""The window in which availability is judged, and the class of each request in it: failed, explained, or unknown.

The window is from the start of the act to `after_old_gone_s` plus the tail after its end (of a rollout: after the last
old pod was gone; of a drift or a fault: after all was as before). One window covers everything that the drill did. The
baseline is the time before it, up to the act. Only facts decide, never the drill's plan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rollproof.core.act import Act
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.intervals import edges_ns, outages
from rollproof.core.latency import Took, generator_ms, mark_late, took
from rollproof.core.outcomes import LATE, Kind, counted, kinds, lane_mask, named, of_lateness, was_silence
from rollproof.core.requests import RequestLog
from rollproof.judge.checkers import load_soundness

__all__ = ["Window", "baseline_event", "open_window"]

_OUTAGES_OF_AN_UNSOUND_WAY = 3
_STOOD_STILL_SHARE = 0.5  # of a wait without an answer: from there on the app had no fair chance to answer it in time


@dataclass(frozen=True, slots=True)
class Window:
    """Masks over the rows of the log. `app` rows are those of every lane but the control lane.

    `hard`: app rows in the window that failed (including an answer of a third version, and one that came too late) ·
    `suspect`: those of them that failed while the control lane failed too, or between its outages where it lost the
    larger share: they may be the way's · `doubtful`: answers that came too late for a reason that need not be the
    app's, and what the lateness of the generator may have made · `late`: rows, anywhere, whose answer came too late ·
    `limited`, `unknown`: app rows in the window without information about the app, by kind. `took` is None if no rule
    needs the duration of answers; `not_on_time` says why the generator's times cannot be used (empty: they can).
    If the end of the act was not seen, the window ends with the load.
    """

    log: RequestLog
    act: Act
    baseline_ns: tuple[int, int]
    window_ns: tuple[int, int]
    app: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    hard: NDArray[np.bool_]
    suspect: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    limited: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    control_failed: NDArray[np.bool_]
    late: NDArray[np.bool_]
    took: Took | None
    not_on_time: tuple[str, ...]

    @property
    def before(self) -> NDArray[np.bool_]:
        """Rows of the baseline, with those of the control lane."""
        sends = self.log.column("send_ns")
        found: NDArray[np.bool_] = (sends >= self.baseline_ns[0]) & (sends < self.baseline_ns[1])
        return found

    @property
    def blamed(self) -> NDArray[np.bool_]:
        """Failures that only the app can have caused."""
        return self.hard & ~self.explained

    @property
    def explained(self) -> NDArray[np.bool_]:
        """Failures that need not be the app's."""
        return self.suspect | self.doubtful

    @property
    def self_made(self) -> NDArray[np.bool_]:
        """Failures that the generator's lateness may have made."""
        return self.doubtful & ~self.late

    @property
    def why_late(self) -> str:
        """Why the generator may have made failures."""
        return "; ".join(self.not_on_time) or "it stood still for half of that time or more"

    @property
    def unfinished(self) -> int:
        """Number of app rows in the window without an outcome when the load ended."""
        return counted(self.unknown & named(self.log, "unfinished"))

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Rows that neither fail nor prove anything, anywhere in the log."""
        return (kinds(self.log) > Kind.HARD) | self.explained


def open_window(facts: Facts, log: RequestLog, act: Act) -> Window:
    """Find the window in the facts and classify the requests."""
    traffic = facts.plan.target.traffic
    start_ns = int(act.started.start_s * 1e9)
    over_s = act.over_s
    end_ns = log.engine.end_ns
    if over_s is not None:
        end_ns = int((over_s + traffic.after_old_gone_s + traffic.tail_s) * 1e9)
    baseline = baseline_event(facts, act)
    since_ns = int(baseline.start_s * 1e9) if baseline is not None else log.engine.start_ns
    not_on_time = tuple(load_soundness.not_on_time(facts, log))
    timed: Took | None = None
    if traffic.p99_ms_max is not None or traffic.longest_ms_max is not None:
        timed = took(log, on_time=not not_on_time)
    if timed is not None and traffic.longest_ms_max is not None:
        log = mark_late(log, timed, traffic.longest_ms_max)
    late = named(log, LATE)
    doubtful = late if timed is None else late & (timed.at_least_ms <= (traffic.longest_ms_max or 0.0))
    doubtful = doubtful | _of_the_generator(log, on_time=not not_on_time)
    sends = log.column("send_ns")
    inside = (sends >= start_ns) & (sends <= end_ns)
    kind = kinds(log)
    control = lane_mask(log, log.control)
    app = ~control
    hard = ((kind == Kind.HARD) | _third_version(log, act)) & app & inside
    beside = _while_control_failed(log)
    of_the_way = hard & (beside | _while_way_was_unsound(log, hard, beside, (start_ns, end_ns)))
    return Window(
        log=log,
        act=act,
        baseline_ns=(since_ns, start_ns),
        window_ns=(start_ns, end_ns),
        app=app,
        inside=inside,
        hard=hard,
        suspect=of_the_way & ~late,
        doubtful=(hard & doubtful & ~of_the_way) | (of_the_way & late),
        limited=(kind == Kind.LIMITED) & app & inside,
        unknown=(kind == Kind.OWN) & app & inside,
        control_failed=control & (kind == Kind.HARD) & inside,
        late=late,
        took=timed,
        not_on_time=not_on_time,
    )


def baseline_event(facts: Facts, act: Act) -> Event | None:
    """The baseline phase before the act, or None."""
    phases = facts.find(source="run", subject="phase", what="baseline")
    before = [event for event in phases if event.end_s <= act.started.start_s + 1]
    return before[-1] if before else None


def _third_version(log: RequestLog, act: Act) -> NDArray[np.bool_]:
    """Answers of a version that should not answer: not the old or new one, not one that a drift has set, and not one
    that somebody else has deployed."""
    if not act.from_sha or not act.to_sha:
        return np.zeros(len(log.rows), dtype=bool)
    known = act.shas | act.foreign
    return log.chosen("version", [bool(name) and name not in known for name in log.versions])


def _of_the_generator(log: RequestLog, *, on_time: bool) -> NDArray[np.bool_]:
    """Rows whose failure the generator's lateness may have made. Of one that was on time as a whole: what was not
    answered within a wait of which it stood still for half or more."""
    if not on_time:
        return of_lateness(log)
    silent = was_silence(log)
    if not len(log.engine.late_ns) or not silent.any():
        return np.zeros(len(log.rows), dtype=bool)
    waited_ms = (log.rows["done_ns"] - log.rows["send_ns"]) / 1e6
    found: NDArray[np.bool_] = silent & (generator_ms(log) >= waited_ms * _STOOD_STILL_SHARE)
    return found


def _while_control_failed(log: RequestLog) -> NDArray[np.bool_]:
    """Rows whose time from send to outcome overlaps an outage of the control lane."""
    everything = (int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max))
    low, _, high = edges_ns(log, log.control, window_ns=everything)  # both increase: outages are sorted
    if not len(low):
        return np.zeros(len(log.rows), dtype=bool)
    at = np.searchsorted(high, log.column("send_ns"), side="left")
    overlap: NDArray[np.bool_] = np.append(low, everything[1])[at] <= log.column("done_ns")
    return overlap


def _while_way_was_unsound(
    log: RequestLog, hard: NDArray[np.bool_], beside: NDArray[np.bool_], window_ns: tuple[int, int]
) -> NDArray[np.bool_]:
    """Rows between the first and the last outage of the control lane, where it was out again and again, and lost at
    least the share of its requests that the app lost beside those outages (`beside`: rows that overlap one).

    The control lane is asked a few times a second: it cannot have seen each of the moments in which the way was broken.
    """
    _, first, end = edges_ns(log, log.control, window_ns=window_ns)
    if len(first) < _OUTAGES_OF_AN_UNSOUND_WAY:
        return np.zeros(len(log.rows), dtype=bool)
    sends, kind = log.column("send_ns"), kinds(log)
    span: NDArray[np.bool_] = (sends >= first[0]) & (sends <= end[-1])
    control, told = span & lane_mask(log, log.control), kind <= Kind.HARD
    app = span & ~control & ~beside & (told | hard)  # what says nothing, or fell into an outage, thins no share out
    lost = (control & (kind == Kind.HARD)).sum() / max(1, (control & told).sum())
    if lost < (app & hard).sum() / max(1, app.sum()):
        return np.zeros(len(log.rows), dtype=bool)
    return span & ~_while_way_was_sound(log, hard, window_ns)


def _while_way_was_sound(log: RequestLog, hard: NDArray[np.bool_], window_ns: tuple[int, int]) -> NDArray[np.bool_]:
    """Rows of those outages of the app, one after the other failed, in which the control lane was answered well as
    often as it must be out for the way to count as unsound: a good answer is evidence, and more than what it missed."""
    control = lane_mask(log, log.control)
    good = log.rows[control & (kinds(log) < Kind.HARD)]
    sends, dones = np.sort(good["send_ns"]), np.sort(good["done_ns"])
    found = np.zeros(len(log.rows), dtype=bool)
    for one in outages(log, window_ns=window_ns, failed=hard):
        answered = np.searchsorted(dones, one.ends_ns[0], "right") - np.searchsorted(sends, one.begins_ns[1], "left")
        if one.lane != log.control and answered >= _OUTAGES_OF_AN_UNSOUND_WAY:
            between = (log.rows["send_ns"] >= one.first_send_ns) & (log.rows["send_ns"] <= one.last_send_ns)
            found |= between & lane_mask(log, one.lane)
    return found
