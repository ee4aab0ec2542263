"""The engine beside open-loop peers: Vegeta and k6 at the same fixed rate, over HTTP and HTTPS.

Three questions, asked of all in turn in the same rounds, against the same fault server, on one keep-alive GET lane: how
late is a request sent, what does it cost with one record an attempt, how far off are the ends of the outages found? To
reach: p99 <= 0.12 ms and CPU a request <= 1.1 x Vegeta's at 1000/s and 4000/s; 95 % of the ends within 2 ms.

Nothing is pinned, and each is started as a user would start it: the engine takes a real-time class if permitted, the
peers do not (under SCHED_FIFO Vegeta used 1.5 to 2.8 times as much CPU, which would favour us). The server
(bench/server, Go) represents another machine and takes a real-time class below the engine's. The CPU of a peer is that
of the whole process, the engine's that of its session. A row "(asleep)" shows how late the machine itself is: a process
that only sleeps from tick to tick. Peers are built with `go install` from the module proxy into a cache folder; without
Go they are left out, and the server is load/faultserver.py, which is too slow for 4000/s over TLS.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.engine import ERRORS, LENGTHS_S, MODES, ROOT, Run, compare, heading, hear, row, say
from rollproof.core.requests import REQUEST_DTYPE, EngineFacts, RequestLog
from rollproof.loadgen.record import read_record

OURS = "rollproof"
MODULES = {"vegeta": "github.com/tsenart/vegeta/v12@v12.13.0", "k6": "go.k6.io/k6@v1.8.1"}
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rollproof/bench"
BUILD_S = 1800.0
K6_SCRIPT = """
import http from 'k6/http';
export const options = {
  insecureSkipTLSVerify: true, discardResponseBodies: false, summaryTrendStats: [],
  scenarios: { load: { executor: 'constant-arrival-rate', rate: %(rate)d, timeUnit: '1s', duration: '%(seconds)gs',
                       preAllocatedVUs: 50, maxVUs: 400 } },
};
export default function () { http.get('%(url)s', { timeout: '5s' }); }
"""


@dataclass(frozen=True, slots=True)
class Site:
    """The target of the load: a fault server, plain or with TLS."""

    url: str
    ca_file: str
    run_windows: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a smoke test: seconds instead of minutes")
    short = parser.parse_args().short
    tools = {name: path for name in MODULES if (path := tool(name)) is not None}
    left_out = sorted(set(MODULES) - set(tools))
    if left_out:
        print(f"\nNot measured, because it is neither installed nor could be built: {', '.join(left_out)}.")
    rounds, seconds = (1, 3.0) if short else (5, 5.0)
    for tls in (False, True):
        pace(tools, tls=tls, rates=(1000, 4000), rounds=rounds, seconds=seconds)
        ends(tools, tls=tls, rates=(1000,), windows=1 if short else 5)


def pace(tools: dict[str, Path], *, tls: bool, rates: Sequence[int], rounds: int, seconds: float) -> None:
    """Lateness and cost, one engine after the other in each round; medians of the rounds, with the range."""
    kind = "HTTPS" if tls else "HTTP"
    heading(f"Open loop over {kind}: lateness (sent - intended, ms) and cost", "engine", "req/s", "reached", "p50",
            "p99 (range)", "max", "CPU us/request (range)", "x Vegeta (in a round)")  # fmt: skip
    for rate in rates:
        found: dict[str, list[tuple[float, ...]]] = {name: [] for name in (OURS, *tools)}
        asleep: list[NDArray[np.float64]] = []
        for _ in range(rounds):
            asleep.append(np.quantile(_asleep_ms(rate, seconds), (0.5, 0.99, 1.0)))
            for name, figures in found.items():
                run = measure(name, tools, tls=tls, rate=rate, seconds=seconds)
                asked = len(run.log.rows)
                late_ms = np.quantile(run.error_ms, (0.5, 0.99, 1.0))
                figures.append((*late_ms.tolist(), asked / seconds, run.cpu_s / asked * 1e6))
        _pace_row("(asleep)", rate, np.array(asleep), [], [])
        for name, figures in found.items():
            base = [one[4] for one in found["vegeta"]] if "vegeta" in found else []
            _pace_row(name, rate, np.array(figures), [one[4] for one in figures], base)


def _pace_row(name: str, rate: int, rounds: NDArray[np.float64], us: list[float], base_us: list[float]) -> None:
    """`rounds` has p50, p99 and max lateness in ms and, except for the sleeper, the reached rate."""
    middle, low, high = np.median(rounds, axis=0), rounds.min(axis=0), rounds.max(axis=0)
    ratios = [one / base for one, base in zip(us, base_us, strict=False)]
    row(name, rate, f"{middle[3]:,.0f}" if us else "-", f"{middle[0]:.3f}",
        f"{middle[1]:.3f} ({low[1]:.3f}-{high[1]:.3f})", f"{middle[2]:.1f}",
        f"{statistics.median(us):.0f} ({min(us):.0f}-{max(us):.0f})" if us else "-",
        f"{statistics.median(ratios):.2f}" if ratios else "-")  # fmt: skip


def _asleep_ms(rate: int, seconds: float) -> NDArray[np.float64]:
    """The lateness of a process that only sleeps from tick to tick."""
    command = [sys.executable, str(ROOT / "bench/asleep.py"), str(rate), str(seconds)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return np.array(json.loads(text)["late_ns"]) / 1e6


def ends(tools: dict[str, Path], *, tls: bool, rates: Sequence[int], windows: int) -> None:
    """Outages of known length: found, false, and the error of their ends."""
    plan: list[dict[str, Any]] = []
    at = 1.5  # k6 needs some time to start
    for _ in range(windows):
        for mode in MODES:
            for length_s in LENGTHS_S:
                plan.append({"at": round(at, 3), "for": length_s, "mode": mode})
                at += length_s + 0.4
    lengths = [f"{length_s * 1e3:.0f} ms" for length_s in LENGTHS_S]
    kind = "HTTPS" if tls else "HTTP"
    heading(f"Outages over {kind} found (refused, 503, stalled)", "engine", "req/s", *lengths, "all", "false", *ERRORS)
    for rate in rates:
        for name in (OURS, *tools):
            run = measure(name, tools, tls=tls, rate=rate, seconds=at + 1.0, windows=plan)
            row(name, rate, *compare(run, [window["for"] for window in plan]))


# ---- the engines ----


def measure(
    name: str,
    tools: dict[str, Path],
    *,
    tls: bool,
    rate: int,
    seconds: float,
    windows: list[dict[str, Any]] | None = None,
) -> Run:
    """Run one engine against a fresh fault server."""
    with tempfile.TemporaryDirectory() as folder, site(Path(folder), tls=tls) as there:
        if name == OURS:
            return _ours(there, Path(folder), rate, seconds, windows)
        return _peer(name, tools[name], there, Path(folder), rate, seconds, windows)


def _ours(there: Site, folder: Path, rate: int, seconds: float, windows: list[dict[str, Any]] | None) -> Run:
    out = folder / "rows.npz"
    settings = {
        "lanes": [{"name": "keepalive-get", "url": there.url, "share": 1}], "rate_per_s": rate, "timeout_s": 5.0,
        "max_duration_s": seconds, "record": str(out), "tls": {"ca_file": there.ca_file},
    }  # fmt: skip
    with _child(sys.executable, str(ROOT / "load/engine.py")) as process:
        say(process, settings)
        hear(process, "started")
        truths = there.run_windows(windows) if windows else []
        hear(process, "done")
    log = read_record(out)
    return Run(log, (log.rows["send_ns"] - log.rows["intended_ns"]) / 1e6, log.engine.cpu_s, truths)


def _peer(
    name: str, binary: Path, there: Site, folder: Path, rate: int, seconds: float, windows: list[dict[str, Any]] | None
) -> Run:
    """Vegeta or k6 as a process: what it wrote, and the CPU time that it took from beginning to end."""
    out, command = folder / "out", [str(binary)]
    if name == "vegeta":
        targets = folder / "targets"
        targets.write_text(f"GET {there.url}\n")
        command += ["attack", f"-targets={targets}", f"-rate={rate}/1s", f"-duration={seconds}s", f"-output={out}"]
        command += ["-timeout=5s", "-redirects=-1", *([f"-root-certs={there.ca_file}"] if there.ca_file else [])]
    else:
        script = folder / "script.js"
        script.write_text(K6_SCRIPT % {"rate": rate, "seconds": seconds, "url": there.url})
        command += [
            "run",
            "--quiet",
            "--log-output=none",
            "--no-summary",
            "--no-usage-report",
            f"--out=csv={out}",
            str(script),
        ]
    environment = {**os.environ, "K6_CSV_TIME_FORMAT": "unix_nano"}
    words = folder / "words"  # a file: k6 prints a line for each failure, which would fill a pipe
    with words.open("wb") as stream:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stream
        )
    try:
        truths = there.run_windows(windows) if windows else []
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
    if process.returncode not in (0, 99):  # 99: thresholds of k6 were crossed
        raise SystemExit(f"{name} ended with {process.returncode}: {words.read_bytes()[-500:]!r}")
    sends, dones, failed = _vegeta_rows(binary, out) if name == "vegeta" else _k6_rows(out)
    return Run(_log(sends, dones, failed), _lateness_ms(sends, rate), usage.ru_utime + usage.ru_stime, truths)


def _vegeta_rows(binary: Path, out: Path) -> tuple[NDArray[np.int64], ...]:
    text = subprocess.run(
        [str(binary), "encode", "--to=csv", str(out)], capture_output=True, text=True, check=True
    ).stdout
    rows = [(int(cells[0]), int(cells[2]), int(cells[1]) != 200) for cells in csv.reader(text.splitlines())]
    return _columns(rows, ended=False)


def _k6_rows(out: Path) -> tuple[NDArray[np.int64], ...]:
    """The samples of http_req_duration: stamped at the end, in wall time; the connecting and blocking came before."""
    rows = []
    with out.open(newline="") as stream:
        for cells in csv.DictReader(stream):
            if cells["metric_name"] == "http_req_duration":
                took_ns = int(float(cells["metric_value"]) * 1e6)
                rows.append((int(cells["timestamp"]), took_ns, cells["status"] != "200"))
    return _columns(rows, ended=True)


def _columns(rows: list[tuple[int, int, bool]], *, ended: bool) -> tuple[NDArray[np.int64], ...]:
    """Send, done and failed, in the order of the sends, on the monotonic clock."""
    stamps, took, failed = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    sends = stamps - took if ended else stamps
    order = np.argsort(sends, kind="stable")
    shift = time.monotonic_ns() - time.time_ns()
    return sends[order] + shift, (sends + took)[order] + shift, failed[order]


def _lateness_ms(sends: NDArray[np.int64], rate: int) -> NDArray[np.float64]:
    """Against the schedule that suits it best: the earliest that no request was sent before (but for the first 1 %)."""
    off = (sends - np.arange(len(sends)) * (10**9 / rate)) / 1e6
    late: NDArray[np.float64] = np.maximum(0.0, off - np.quantile(off, 0.01))
    return late


def _log(sends: NDArray[np.int64], dones: NDArray[np.int64], failed: NDArray[np.int64]) -> RequestLog:
    rows = np.zeros(len(sends), dtype=REQUEST_DTYPE)
    rows["k"], rows["intended_ns"], rows["send_ns"], rows["done_ns"] = np.arange(len(sends)), sends, sends, dones
    rows["outcome"], rows["reused"] = failed, True
    engine = EngineFacts(
        rate_per_s=0.0, start_ns=int(sends[0]), end_ns=int(dones.max()), planned=len(rows), dispatched=len(rows),
        unfinished=0, dropped=0, cpu_s=0.0, scheduling="", request_id_prefix="", monotonic_ns=(0, 0),
        late_ns=np.zeros((0, 2), dtype=np.int64), wall_s=(0.0, 0.0), locust_requests=len(rows),
    )  # fmt: skip
    return RequestLog(rows=rows, lanes=("get",), outcomes=("", "failed"), versions=("",), pods=("",),
                      open_loop=("get",), control="", engine=engine)  # fmt: skip


# ---- tools, servers, processes ----


def tool(name: str) -> Path | None:
    """The peer's binary: from the PATH, else built into the cache folder; None without Go, or if it does not build."""
    found = shutil.which(name) or shutil.which(name, path=str(CACHE / "bin"))
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found or go is None:
        return Path(found) if found else None
    folders = {"GOBIN": CACHE / "bin", "GOPATH": CACHE / "go", "GOCACHE": CACHE / "build"}
    environment = {**os.environ, "GOFLAGS": "-modcacherw", **{key: str(path) for key, path in folders.items()}}
    print(f"building {MODULES[name]} into {CACHE}", file=sys.stderr, flush=True)
    if not _built([go, "install", MODULES[name]], environment):
        return None
    return CACHE / "bin" / name


@cache
def server() -> Path | None:
    """The server in Go, built from bench/server; None without Go: then it is load/faultserver.py."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    program = CACHE / "bin" / "server"
    environment = {**os.environ, "GOFLAGS": "", "GO111MODULE": "off", "GOCACHE": str(CACHE / "build")}
    source = str(ROOT / "bench/server/main.go")
    if go is None or not _built([go, "build", "-o", str(program), source], environment):
        return None
    return program


def _built(command: list[str], environment: dict[str, str]) -> bool:
    try:
        subprocess.run(command, env=environment, check=True, timeout=BUILD_S)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"{command[-1]} could not be built: {error}", file=sys.stderr, flush=True)
        return False
    return True


def _ahead() -> list[str]:
    """The command that gives the server priority over all but the engine: it represents another machine."""
    command = ["chrt", "--fifo", "40"]
    allowed = (
        shutil.which("chrt") and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    )
    return command if allowed else []


AHEAD = _ahead()


@contextmanager
def site(folder: Path, *, tls: bool) -> Iterator[Site]:
    """The server; with `tls` under a certificate of its own for 127.0.0.1."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    arguments: list[str] = []
    if tls:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True,
        )  # fmt: skip
        arguments = ["--tls", str(certificate), str(key)]
    program = server()
    if program is None:
        command = [sys.executable, str(ROOT / "load/faultserver.py"), *arguments]
    else:
        command = [*AHEAD, str(program), *arguments[1:]]
    with _child(*command) as process:
        port = hear(process, "ready")["ready"]

        def run_windows(windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            say(process, {"windows": windows})
            return [hear(process, "truth") for _ in windows]

        yield Site(f"http{'s' if tls else ''}://127.0.0.1:{port}/", str(certificate) if tls else "", run_windows)


@contextmanager
def _child(*command: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GOMAXPROCS": "1"}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    main()
