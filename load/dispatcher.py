"""The dispatcher: sends on the schedule, whatever the answers are (open loop), and records every attempt.

It never waits for an answer before it sends the next request and never skips a tick: a target that slows down must not
slow its own measurement down (coordinated omission). At the in-flight cap an attempt is counted as dropped instead.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.event import Event
from locust.stats import RequestStats

from load.answer import plain
from load.client import Attempt, Connection, Endpoint, request_parts
from load.counts import Counts
from load.lanes import SLOW_BASE, Lane, Settings, turns
from load.recorder import Recorder
from load.ticks import Ticks, wait_until

__all__ = ["Dispatcher"]

LATE_NS = 5_000_000
IDLE_MIN = 4  # connections that each open-loop lane keeps open, or
IDLE_S = 0.01  # as many as the lane has requests in this time: else one delay at a high rate opens many at once
OPENING_S = 1.0  # they are waited for so long
LEAD_NS = 200_000_000  # from "started" to the first attempt
FEW = 4  # in flight: so few answers cannot delay each other, so each is handled at once
AT_ONCE = 16  # answers that are handled before the event loop is asked for new events
_VERSIONS_KEPT = 1024
_now = time.monotonic_ns


class _Worker:
    """One connection and the greenlet that makes attempts over it, one at a time."""

    def __init__(self, session: Dispatcher, index: int) -> None:
        lane = session.settings.lanes[index]
        self.lane, self.lane_index = lane, index
        self.attempt: Attempt | None = None
        self.awaited: Attempt | None = None  # it was sent, and there is no answer yet
        self._wake: Callable[[bool], object] | None = None  # None until the greenlet has begun to wait
        self._session = session
        self._before, self._after = request_parts(lane, session.settings)
        self._connection = session.connect(session.endpoints[index], lane, session.settings)

    def open(self) -> None:
        """Connect before the first request."""
        self._connection.open()

    def ask(self, attempt: Attempt) -> None:
        """Make this attempt; send it now if that needs no waiting, so that it does not queue behind other work."""
        self.attempt = attempt
        if self._wake is None:  # new: it finds the attempt when it begins
            return
        if self._connection.begin(self._request(attempt), attempt, self._hear):
            self.awaited = attempt
            self._session.await_answer(self, attempt)
        else:
            wait_until(attempt.intended_ns)
            gevent.get_hub().loop.run_callback(self._wake, True)

    def give_up(self) -> None:
        """The deadline of the attempt that was sent has passed."""
        self._connection.give_up()

    def _hear(self, ready: bool) -> None:
        self.awaited = None
        self._connection.hear(ready)
        self._session.heard(self)

    def settle(self) -> None:
        """Handle what was read: a whole answer is recorded here, all else is left to the greenlet."""
        attempt = self.attempt
        if attempt is None or not self._is_complete(attempt):
            if self._wake is not None:
                self._wake(True)
            return
        self.attempt = None
        self._session.finish(self, attempt)
        self.go_idle()

    def _is_complete(self, attempt: Attempt) -> bool:
        try:
            return self._connection.complete(attempt)
        except Exception:  # noqa: BLE001 - a bug of ours must become a row that nobody takes for the target's failure
            self._failed_ourselves(attempt)
            return True

    def _failed_ourselves(self, attempt: Attempt) -> None:
        self._connection.close()
        attempt.error, attempt.done_ns = "client.error", _now()

    def go_idle(self) -> None:
        """Ready for another attempt."""
        self._session.in_flight -= 1
        self._session.idle[self.lane_index].append(self)

    def loop(self) -> None:
        """Make each attempt, or the rest of it, that needs waiting."""
        hub = gevent.get_hub()
        self._wake = gevent.getcurrent().switch
        while True:
            if self.attempt is None:
                hub.switch()
            self.one()
            self.go_idle()

    def loop_slow(self, first: int, step: int) -> None:
        """Keep one attempt in flight, for ever."""
        k = first
        while not self._session.stopping:
            begun_ns = _now()
            self.attempt = Attempt(SLOW_BASE + k, begun_ns)
            self.one()
            k += step
            left_s = self.lane.pause_s - (_now() - begun_ns) / 1e9
            if left_s > 0:
                gevent.sleep(left_s)

    def one(self) -> None:
        """Make the current attempt and record it."""
        attempt = self.attempt
        if attempt is None:  # given up as unfinished before it began: it is recorded
            return
        try:
            self._connection.run(self._request(attempt), attempt)
        except Exception:  # noqa: BLE001 - as in _is_complete
            self._failed_ourselves(attempt)
        if self.attempt is attempt:  # else it was given up as unfinished meanwhile, and is recorded
            self.attempt = None
            try:
                self._session.finish(self, attempt)
            except Exception as problem:  # noqa: BLE001 - gevent would only print it, and the attempt would be no row
                self._session.end_with(problem)

    def _request(self, attempt: Attempt) -> bytes:
        return b"%s%d%s" % (self._before, attempt.k, self._after)


class Dispatcher:
    """One load session. `run` blocks until `stop` was called or the time is over, and until all have an outcome."""

    def __init__(self, settings: Settings, stats: RequestStats, *, connect: type[Connection] = Connection) -> None:
        self.settings = settings
        self.connect = connect
        self.record = Recorder()
        self.endpoints = [Endpoint(lane.url, lane.host, settings.tls) for lane in settings.lanes]
        self.idle: list[list[_Worker]] = [[] for _ in settings.lanes]
        self.in_flight = self.planned = self.dispatched = self.dropped = self.unfinished = 0
        self.start_ns = self.end_ns = 0
        self.stopping = False
        self.started, self.finished = Event(), Event()
        self.problem: Exception | None = None
        self._counts = Counts(stats, settings.lanes, self.record, time.time() - time.monotonic())
        self._stop = Event()
        self._workers: list[_Worker] = []
        self._pointer = settings.version_pointer
        self._timeout_ns = int(settings.timeout_s * 1e9)
        self._versions_seen: dict[bytes, str] = {}
        self._awaited: deque[tuple[int, _Worker, Attempt]] = (
            deque()
        )  # with their deadlines, in order: all have the same time-out
        self._deadline = gevent.get_hub().loop.timer(0.0)
        self._deadline_on = False
        self._heard: deque[_Worker] = deque()
        self._settling = False
        self._heard_more = gevent.get_hub().loop.timer(0.0)
        self._period_ns = 0
        self._order: Iterator[int] = iter(())

    def stop(self) -> None:
        """Send nothing more; wait for what is in flight."""
        self._stop.set()

    def run(self) -> None:
        """The whole session. An exception is kept in `problem`: locust would only log it and restart the task."""
        try:
            self._run()
        except Exception as problem:  # noqa: BLE001 - handed to the engine, which reports it
            self.problem = problem
        finally:
            self.started.set()
            self.finished.set()

    def _run(self) -> None:
        self._prepare()
        self.start_ns = _now() + LEAD_NS
        self.started.set()
        ticks = self._schedule()
        counting = gevent.spawn(self._count)
        gevent.sleep(LEAD_NS / 1e9)
        self._start_slow()
        self._stop.wait(self.settings.max_duration_s)
        self.stopping = True
        if ticks is not None:
            ticks.stop()
        self.end_ns = _now()
        if self.problem is None:
            self._drain()
        counting.kill()
        self._counts.hand_over()

    def _count(self) -> None:
        while True:
            gevent.sleep(1.0)
            self._counts.hand_over()

    def _prepare(self) -> None:
        for index, lane in enumerate(self.settings.lanes):
            self.endpoints[index].settle_family(self.settings.timeout_s)
            for _ in range(self._at_hand(lane)):
                self.idle[index].append(self._worker(index))
        opening = [gevent.spawn(worker.open) for worker in self._workers if not worker.lane.new_connection]
        gevent.joinall(opening, timeout=OPENING_S)
        gevent.killall(opening, timeout=OPENING_S)

    def _at_hand(self, lane: Lane) -> int:
        if not lane.share:
            return 0
        part = lane.share / sum(one.share for one in self.settings.lanes)
        return max(IDLE_MIN, int(self.settings.rate_per_s * part * IDLE_S))

    def _worker(self, index: int) -> _Worker:
        worker = _Worker(self, index)
        self._workers.append(worker)
        if worker.lane.share:
            gevent.spawn(worker.loop)
        return worker

    def _start_slow(self) -> None:
        crews = [(i, lane.concurrency) for i, lane in enumerate(self.settings.lanes) if not lane.share]
        step = sum(size for _, size in crews)
        first = 0
        for index, size in crews:
            for _ in range(size):
                gevent.spawn(self._worker(index).loop_slow, first, step)
                first += 1

    def _schedule(self) -> Ticks | None:
        settings = self.settings
        index = {lane.name: i for i, lane in enumerate(settings.lanes)}
        shares = {lane.name: lane.share for lane in settings.lanes if lane.share}
        if not shares:
            return None  # all lanes are driven by concurrency
        self._period_ns = int(1e9 / settings.rate_per_s)
        self._order = (index[name] for name in turns(shares, settings.seed))
        return Ticks(self.start_ns, self._period_ns, self._tick)

    def _tick(self, due: int) -> None:
        """Called by the event loop, where an exception would be lost; it must end the session."""
        try:
            for _ in range(due):
                intended_ns = self.start_ns + self.planned * self._period_ns
                late_ns = _now() - intended_ns
                if late_ns > LATE_NS:
                    self.record.late.append((intended_ns, late_ns))
                self._dispatch(next(self._order), intended_ns)
        except Exception as problem:  # noqa: BLE001 - handed to the engine, which reports it
            self.end_with(problem)

    def end_with(self, problem: Exception) -> None:
        """A bug of ours: the session is over, and says so. The first one counts."""
        self.problem = self.problem or problem
        self._stop.set()

    def _dispatch(self, lane: int, intended_ns: int) -> None:
        k = self.planned
        self.planned += 1
        if self.in_flight >= self.settings.in_flight_max:
            self.dropped += 1
            return
        idle = self.idle[lane]
        worker = idle.pop() if idle else self._worker(lane)
        self.in_flight += 1
        self.dispatched += 1
        worker.ask(Attempt(k, intended_ns))

    def await_answer(self, worker: _Worker, attempt: Attempt) -> None:
        """Store the attempt's deadline. One timer is enough: the oldest deadline is always the next one."""
        awaited = self._awaited
        while awaited and awaited[0][1].awaited is not awaited[0][2]:
            awaited.popleft()
        awaited.append((attempt.send_ns + self._timeout_ns, worker, attempt))
        if not self._deadline_on:
            self._give_up_some()

    def _give_up_some(self) -> None:
        awaited = self._awaited
        while awaited:
            deadline_ns, worker, attempt = awaited[0]
            left_ns = deadline_ns - _now()
            if worker.awaited is attempt and left_ns > 0:
                self._deadline_on = True
                self._deadline.close()
                self._deadline = gevent.get_hub().loop.timer(left_ns / 1e9)
                self._deadline.start(self._give_up_some)
                return
            awaited.popleft()
            if worker.awaited is attempt:
                worker.give_up()
        self._deadline_on = False

    def heard(self, worker: _Worker) -> None:
        """Bytes have arrived for this worker: handled when all that arrived together is noted with its time."""
        self._heard.append(worker)
        if self.in_flight <= FEW:
            self._settle_some()
        elif not self._settling:
            self._settling = True
            gevent.get_hub().loop.run_callback(self._settle_some)

    def _settle_some(self) -> None:
        try:
            for _ in range(min(AT_ONCE, len(self._heard))):
                self._heard.popleft().settle()
        except Exception as problem:  # noqa: BLE001 - as in _tick
            self.end_with(problem)
        if self._heard:
            self._heard_more.start(self._settle_some)
        else:
            self._settling = False

    def finish(self, worker: _Worker, attempt: Attempt) -> None:
        """Judge one attempt by itself (status, version marker), record it and tell locust."""
        lane = worker.lane
        version = attempt.version.decode("latin-1") if attempt.version else ""
        if not attempt.error:
            if lane.version and not version and self._pointer:
                version = self._version_in(attempt.body)
            if not 200 <= attempt.status < 300:
                attempt.error = f"http.{attempt.status}"
            elif lane.version == "expected" and not version:
                attempt.error = "body.wrong"
        self.record.add(worker.lane_index, attempt, version)
        self._counts.sizes[worker.lane_index] += len(attempt.body)

    def _version_in(self, body: bytes) -> str:
        """The value at the version pointer, "" if there is none. Cached by body, because few different ones occur."""
        known = self._versions_seen.get(body)
        if known is None:
            known = _at_pointer(body, self._pointer)
            if len(self._versions_seen) < _VERSIONS_KEPT:
                self._versions_seen[body] = known
        return known

    def _drain(self) -> None:
        """Wait until each attempt has its outcome; what has none after its deadline gets "unfinished"."""
        deadline_ns = _now() + int((self.settings.timeout_s + 0.5) * 1e9)
        while any(worker.attempt for worker in self._workers) and _now() < deadline_ns:
            gevent.sleep(0.02)
        for worker in self._workers:
            attempt, worker.attempt = worker.attempt, None
            if attempt is not None:
                attempt.error, attempt.done_ns = "unfinished", _now()
                attempt.send_ns = attempt.send_ns or attempt.done_ns
                self.unfinished += 1
                self.finish(worker, attempt)


def _at_pointer(body: bytes, pointer: str) -> str:
    """The text or number at an RFC 6901 pointer into a JSON body; "" for anything else."""
    try:
        value: Any = json.loads(plain(body))
        for escaped in pointer.split("/")[1:]:
            part = escaped.replace("~1", "/").replace("~0", "~")
            value = value[int(part)] if isinstance(value, list) else value[part]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
