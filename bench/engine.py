"""The engine compared with locust's FastHttpUser and HttpUser as a user would write them, and with wrk.

Three questions, each asked of all in the same run against the same fault server on this machine: how exactly does it
keep its schedule, which outages of known length does it find and how exactly, and what does a request cost? To reach:
p99 <= 0.2 ms at 1000 req/s; 60 of 60 outages with their ends within 2 ms; >= 4 x FastHttpUser per core.

All engines use one keep-alive GET lane, so that they see the same thing; the server has CPU 0, the engine CPU 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollproof.core.intervals import Outage, outages
from rollproof.core.outcomes import Kind, kinds
from rollproof.core.requests import REQUEST_DTYPE, EngineFacts, RequestLog
from rollproof.loadgen.record import read_record

ROOT = Path(__file__).resolve().parents[1]
OURS, FAST, HTTP = "rollproof", "FastHttpUser", "HttpUser"
ENGINES = (OURS, FAST, HTTP)
USERS = 50
MODES = ("refuse", "http-503", "stall")
LENGTHS_S = (0.02, 0.05, 0.1, 0.5)
ERRORS = ("start error med/max ms", "end error med/max ms", "ends within 2 ms")
SLACK_NS = 40_000_000  # an outage found within this of a true one is the true one


@dataclass(frozen=True, slots=True)
class Run:
    """What one engine did: its log, its scheduling errors, its CPU time; and the failures it was given."""

    log: RequestLog
    error_ms: NDArray[np.float64]
    cpu_s: float
    truths: Sequence[dict[str, Any]] = ()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a smoke test: seconds instead of minutes")
    short = parser.parse_args().short
    schedule(rates=(200, 1000) if short else (200, 500, 1000, 2000), seconds=2.0 if short else 6.0)
    detection(rates=(1000,) if short else (200, 1000), windows=1 if short else 5)
    cost(rounds=1 if short else 5, seconds=2.0 if short else 5.0)


def schedule(*, rates: Sequence[int], seconds: float) -> None:
    """How late each request is sent, and how large the gaps are in which nothing is sent."""
    heading("Scheduling error (sent - intended, ms)", "engine", "req/s", "p50", "p99", "max", "largest gap", "CPU")
    for rate in rates:
        for engine in ENGINES:
            run = measure(engine, rate_per_s=rate, seconds=seconds)
            sends = np.sort(run.log.rows["send_ns"])[USERS:]
            p50, p99, most = np.quantile(run.error_ms, (0.5, 0.99, 1.0))
            row(engine, rate, f"{p50:.3f}", f"{p99:.3f}", f"{most:.1f}", f"{np.diff(sends).max() / 1e6:.1f}",
                f"{run.cpu_s / seconds:.0%}")  # fmt: skip


def detection(*, rates: Sequence[int], windows: int) -> None:
    """Outages of known length: found, false, and the error of their ends."""
    plan: list[dict[str, Any]] = []
    at = 0.5
    for _ in range(windows):
        for mode in MODES:
            for length_s in LENGTHS_S:
                plan.append({"at": round(at, 3), "for": length_s, "mode": mode})
                at += length_s + 0.4
    lengths = [f"{length_s * 1e3:.0f} ms" for length_s in LENGTHS_S]
    heading("Outages found (refused, 503, stalled)", "engine", "req/s", *lengths, "all", "false", *ERRORS)
    for rate in rates:
        for engine in ENGINES:
            run = measure(engine, rate_per_s=rate, seconds=at + 0.5, windows=plan)
            row(engine, rate, *compare(run, [window["for"] for window in plan]))


def compare(run: Run, lengths_s: Sequence[float]) -> list[str]:
    """The cells of one engine: found per length, all, false ones, errors of the ends."""
    log, truths = run.log, run.truths
    took_ns = log.rows["done_ns"] - log.rows["intended_ns"]
    failed = (kinds(log) == Kind.HARD) | (took_ns > max(8e6, 10 * float(np.median(took_ns))))
    everything = (0, int(np.iinfo(np.int64).max))
    found = outages(log, window_ns=everything, failed=failed)
    claimed: set[int] = set()
    hits = dict.fromkeys(LENGTHS_S, 0)
    starts: list[float] = []
    ends: list[float] = []
    hard = kinds(log) == Kind.HARD
    for truth, length_s in zip(truths, lengths_s, strict=True):
        near = [
            i for i, one in enumerate(found)
            if one.start_ns <= truth["end_ns"] + SLACK_NS and one.end_ns >= truth["start_ns"] - SLACK_NS
        ]  # fmt: skip
        claimed.update(near)
        if near:
            hits[length_s] += 1
            starts.append(abs(min(found[i].start_ns for i in near) - truth["start_ns"]) / 1e6)
            end_ns = max(_end_ns(log, found[i], failed, hard) for i in near)
            late_ns = end_ns - truth.get("drained_ns", truth["end_ns"])
            ends.append(max(truth["end_ns"] - end_ns, late_ns, 0) / 1e6)
    each = len(truths) // len(LENGTHS_S)
    cells = [f"{hits[length_s]}/{each}" for length_s in LENGTHS_S]
    cells += [f"{sum(hits.values())}/{len(truths)}", str(len(found) - len(claimed))]
    cells += [f"{statistics.median(x):.1f}/{max(x):.1f}" if x else "-" for x in (starts, ends)]
    return [*cells, f"{np.mean(np.array(ends) <= 2):.0%}" if ends else "-"]


def _end_ns(log: RequestLog, one: Outage, failed: NDArray[np.bool_], hard: NDArray[np.bool_]) -> int:
    """The end of an outage of slow answers only: the done time of the first of them, because the last ones may have
    waited too short a time to count as slow."""
    sends = log.rows["send_ns"]
    mine = failed & (sends >= one.first_send_ns) & (sends <= one.last_send_ns)
    return one.end_ns if np.any(mine & hard) else int(log.rows["done_ns"][mine].min())


def cost(*, rounds: int, seconds: float) -> None:
    """CPU time per request, each engine as fast as it can with ten connections; ours also at a fixed 4000 req/s."""
    heading("Cost of a request (median of the rounds)", "engine", "req/s", "CPU us/request", "requests per CPU s",
            "x FastHttpUser")  # fmt: skip
    paced = f"{OURS}, open loop"
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in (OURS, paced, FAST, HTTP, "wrk")}
    for _ in range(rounds):
        for name in (OURS, paced, FAST, HTTP):
            engine = OURS if name == paced else name
            run = measure(engine, rate_per_s=4000 if name == paced else 0, seconds=seconds, users=10)
            figures[name].append((len(run.log.rows) / seconds, run.cpu_s / max(1, len(run.log.rows)) * 1e6))
        if shutil.which("wrk"):
            figures["wrk"].append(wrk(seconds))
    base_us = statistics.median(us for _, us in figures[FAST])
    for engine, pairs in figures.items():
        if pairs:
            rate_per_s, us = (statistics.median(values) for values in zip(*pairs, strict=True))
            row(engine, f"{rate_per_s:,.0f}", f"{us:.0f}", f"{1e6 / us:,.0f}", f"{base_us / us:.1f}")


# ---- the engines ----


def measure(
    engine: str, *, rate_per_s: float, seconds: float, windows: list[dict[str, Any]] | None = None, users: int = USERS
) -> Run:
    """Run one engine against a fresh fault server."""
    with tempfile.TemporaryDirectory() as folder, server() as (port, run_windows):
        out = Path(folder) / "rows.npz"
        url = f"http://127.0.0.1:{port}/"
        if engine == OURS:
            drive = {"share": 1} if rate_per_s else {"concurrency": users, "pause_s": 0.0}
            lanes = [{"name": "keepalive-get", "url": url, **drive}]
            settings = {"lanes": lanes, "rate_per_s": rate_per_s, "timeout_s": 5.0, "max_duration_s": seconds,
                        "record": str(out)}  # fmt: skip
            script = ROOT / "load/engine.py"
        else:
            settings = {"user": "fast" if engine == FAST else "http", "url": url.rstrip("/"), "users": users,
                        "rate_per_s": rate_per_s, "seconds": seconds, "out": str(out)}  # fmt: skip
            script = ROOT / "bench/peers.py"
        with child(1, script) as process:
            say(process, settings)
            hear(process, "started")
            truths = run_windows(windows) if windows else []
            hear(process, "done")
        run = _ours(out) if engine == OURS else _peer(out, rate_per_s / users)
        return replace(run, truths=truths)


def wrk(seconds: float) -> tuple[float, float]:
    """Requests a second, and CPU us a request."""
    with server() as (port, _):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [*pin(1), "wrk", "-t1", "-c10", f"-d{seconds:.0f}s", f"http://127.0.0.1:{port}/"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"(\d+) requests in", text)
    requests = int(found.group(1)) if found else 0
    cpu_s = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return requests / seconds, cpu_s / max(1, requests) * 1e6


def _ours(out: Path) -> Run:
    log = read_record(out)
    return Run(log, (log.rows["send_ns"] - log.rows["intended_ns"]) / 1e6, log.engine.cpu_s)


def _peer(out: Path, rate_of_one_per_s: float) -> Run:
    """A peer's rows as a log. A locust user has its own pace; the phase that suits it best is assumed."""
    with out.open("rb") as stream, np.load(stream) as packed:
        data, cpu_s = packed["rows"], float(packed["cpu_s"])
    rows = np.zeros(len(data), dtype=REQUEST_DTYPE)
    rows["send_ns"], rows["done_ns"], rows["outcome"] = data[:, 1], data[:, 2], 1 - data[:, 3]
    rows["intended_ns"] = rows["send_ns"]
    errors: list[NDArray[np.float64]] = []
    if rate_of_one_per_s:
        for user in np.unique(data[:, 0]):
            sends = np.sort(data[data[:, 0] == user, 1])[2:]
            if len(sends) > 1:
                phase_ms = (sends - sends[0] - np.arange(len(sends)) * (1e9 / rate_of_one_per_s)) / 1e6
                errors.append(np.abs(phase_ms - np.median(phase_ms)))
    rows = rows[np.argsort(rows["send_ns"])]
    engine = EngineFacts(
        rate_per_s=rate_of_one_per_s, start_ns=int(rows["send_ns"][0]), end_ns=int(rows["done_ns"].max()),
        planned=len(rows), dispatched=len(rows), unfinished=0, dropped=0, cpu_s=cpu_s, scheduling="normal",
        request_id_prefix="", late_ns=np.zeros((0, 2), dtype=np.int64), monotonic_ns=(0, 0), wall_s=(0.0, 0.0),
        locust_requests=len(rows),
    )  # fmt: skip
    log = RequestLog(rows=rows, lanes=("get",), outcomes=("", "failed"), versions=("",), pods=("",),
                     open_loop=("get",), control="", engine=engine)  # fmt: skip
    return Run(log, np.concatenate(errors) if errors else np.zeros(1), cpu_s)


# ---- processes ----


def pin(cpu: int) -> list[str]:
    """The command that keeps a process on one CPU, where there is more than one."""
    return ["taskset", "-c", str(cpu)] if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else []


@contextmanager
def child(cpu: int, script: Path) -> Iterator[subprocess.Popen[str]]:
    """A script that speaks JSON lines, on one CPU; ended after the block."""
    command = [*pin(cpu), sys.executable, str(script)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def server() -> Iterator[tuple[int, Any]]:
    """The fault server: its port, and a function that runs windows of failure and returns their real times."""
    with child(0, ROOT / "load/faultserver.py") as process:
        port = hear(process, "ready")["ready"]

        def run_windows(windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            say(process, {"windows": windows})
            return [hear(process, "truth") for _ in windows]

        yield port, run_windows


def say(process: subprocess.Popen[str], message: dict[str, Any]) -> None:
    """Send one JSON line to the child."""
    if process.stdin is not None:
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()


def hear(process: subprocess.Popen[str], key: str) -> dict[str, Any]:
    """The child's next message with that key."""
    message: dict[str, Any] = {}
    for line in process.stdout or ():
        message = json.loads(line)
        if key in message:
            return message
        if "error" in message:
            break
    raise SystemExit(f"a child process ended before it said {key!r}; its last word: {message}")


def heading(title: str, *columns: str) -> None:
    """A table's head, in Markdown."""
    print(f"\n### {title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def row(*cells: object) -> None:
    """A table's row."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
