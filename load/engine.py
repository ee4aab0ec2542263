"""The generator's process. Started by rollproof.loadgen; by hand use `locust -f load/locustfile.py`.

stdin:  one JSON line of settings (rollproof.core.loadsettings), later {"stop": true}; its end, too, means stop
stdout: JSON lines {"started": ...}, at most once a second {"progress": ...}, at the end {"done": ...} or {"error": ...}
file:   the record (`record` in the settings), written here, so that no data is lost if the parent dies

It must be a process of its own: locust patches sockets, and garbage collection, scheduling class and signals are
changed here for the whole process. It ends with its parent, with SIGTERM (finish and flush), or when its time is over.
"""

import locust  # the first import of the process: it patches sockets, which fails after requests or kubernetes

# isort: split
import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import gevent
import gevent.os
import locust.html
import locust.stats

sys.path.append(str(Path(__file__).resolve().parents[1]))  # last: a folder `numpy/` beside this one is not numpy

from load.client import Connection
from load.dispatcher import Dispatcher
from load.lanes import Settings
from load.locustfile import OpenLoop, PreparedEnvironment
from load.tally import Tally
from rollproof.redaction import SECRETS

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
_FILES_BESIDE = 256  # open files that are not connections, with a margin
_FLUSH_S = 60  # after the drain, longer than writing a record can take; then the kernel ends this process


def main(connect: type[Connection] = Connection) -> None:
    """Run one session and end the process. `connect` is the client; a test of the self-test passes a wrong one."""
    try:
        lines = _lines()
        settings = Settings.from_json(json.loads(next(lines)))
        SECRETS.add(**settings.secrets_known)
        _run(settings, lines, connect)
    except Exception as problem:  # noqa: BLE001 - the parent turns this line into its own error
        _say({"error": SECRETS.text(f"{type(problem).__name__}: {problem}")})
        os._exit(1)
    os._exit(0)  # greenlets that wait for a dead peer must not block the exit


def _run(settings: Settings, lines: Any, connect: type[Connection]) -> None:
    clocks = [(time.monotonic_ns(), time.time())]
    _make_room_for_files(settings.in_flight_max + _FILES_BESIDE)
    environment = PreparedEnvironment(user_classes=[OpenLoop], host=settings.lanes[0].url)
    runner = environment.create_local_runner()
    dispatcher = Dispatcher(settings, environment.stats, connect=connect)
    environment.dispatcher = dispatcher
    _stop_when_asked(dispatcher, lines)
    scheduling = _become_quick()
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection is a 20-30 ms blind spot
    history = gevent.spawn(locust.stats.stats_history, runner)
    runner.start(1, spawn_rate=1)
    progress = gevent.spawn(_progress, dispatcher, scheduling)
    before_s = time.process_time()
    dispatcher.finished.wait()
    cpu_s = time.process_time() - before_s
    if dispatcher.problem is not None:
        raise dispatcher.problem
    gevent.killall([history, progress])
    signal.alarm(_FLUSH_S)
    _become_normal()
    gc.enable()
    clocks.append((time.monotonic_ns(), time.time()))
    counted = environment.stats.total.num_requests
    dispatcher.record.write(Path(settings.record), _meta(dispatcher, scheduling, cpu_s, clocks, counted))
    if settings.html:
        page = locust.html.get_html_report(environment, show_download_link=False)
        Path(settings.html).write_text(SECRETS.text(page), encoding="utf-8")
    _say({"done": {"requests": dispatcher.record.count, "failures": dispatcher.record.failed}})


def _meta(
    dispatcher: Dispatcher, scheduling: str, cpu_s: float, clocks: list[tuple[int, float]], counted: int
) -> dict[str, Any]:
    settings = dispatcher.settings
    return {
        "lanes": [lane.name for lane in settings.lanes],
        "open_loop": [lane.name for lane in settings.lanes if lane.share],
        "control": settings.control,
        "engine": {
            "rate_per_s": settings.rate_per_s, "start_ns": dispatcher.start_ns, "end_ns": dispatcher.end_ns,
            "planned": dispatcher.planned, "dispatched": dispatcher.dispatched, "unfinished": dispatcher.unfinished,
            "dropped": dispatcher.dropped, "cpu_s": cpu_s, "scheduling": scheduling,
            "request_id_prefix": settings.request_id_prefix, "monotonic_ns": [ns for ns, _ in clocks],
            "wall_s": [wall for _, wall in clocks], "locust_requests": counted,
        },
    }  # fmt: skip


def _progress(dispatcher: Dispatcher, scheduling: str) -> None:
    dispatcher.started.wait()
    _say({"started": {"start_ns": dispatcher.start_ns, "scheduling": scheduling}})
    tally = Tally([lane.name for lane in dispatcher.settings.lanes], dispatcher.record)
    while True:
        gevent.sleep(1.0)
        counts = {"at_ns": time.monotonic_ns(), "lanes": tally.count()}
        _say({"progress": {"sent": dispatcher.record.count, "failed": dispatcher.record.failed, **counts}})


def _stop_when_asked(dispatcher: Dispatcher, lines: Any) -> None:
    """On {"stop": true}, on the end of stdin, on SIGTERM, and when the parent has died."""
    parent = os.getppid()

    def listen() -> None:
        next(lines, None)
        dispatcher.stop()

    def orphaned() -> None:
        if os.getppid() != parent:  # the signal is also sent when only the thread that started us has ended
            dispatcher.stop()

    gevent.spawn(listen)
    gevent.signal_handler(signal.SIGTERM, dispatcher.stop)
    for number in (signal.SIGINT, signal.SIGHUP):  # Ctrl-C and a hang-up go to the whole group; the parent decides
        gevent.signal_handler(number, lambda: None)
    gevent.signal_handler(signal.SIGUSR1, orphaned)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)


def _lines() -> Any:
    """The lines of stdin, read without blocking the other greenlets."""
    gevent.os.make_nonblocking(0)
    buffer = b""
    while data := gevent.os.nb_read(0, 65_536):
        buffer += data
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            yield line


def _say(message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the reader may be gone; the record is still written
        os.write(1, json.dumps(message).encode() + b"\n")


def _make_room_for_files(count: int) -> None:
    """Raise the limit of open files, and enlarge the kernel's table of them now.

    The table doubles when it is full, and in a process with threads that waits for all CPUs (synchronize_rcu): 10 to 16
    ms in which nothing is sent, at the 64th, 128th, 256th .. connection, so when an outage makes them pile up.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    highest = count if limit == resource.RLIM_INFINITY else min(count, limit - 1)
    with contextlib.suppress(OSError):  # then it grows when needed
        os.close(os.dup2(0, highest))


def _become_quick() -> str:
    """Request real-time scheduling: an answer that waits for our CPU looks like a slow target."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(50))
    except (OSError, AttributeError):
        pass
    else:
        return "SCHED_FIFO 50"
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    except OSError:
        return "normal"
    return "nice -15"


def _become_normal() -> None:
    """Normal scheduling: writing the record is not urgent and must not take the CPU from the target."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, 0)


if __name__ == "__main__":
    main()
