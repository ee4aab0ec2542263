"""How long does `rollproof judge` take on a run with 1,000,000 requests, and how much memory does it need?

The run is written by RunFolder itself; the measured thing is the whole command, as a user would start it: it judges,
and writes page, JUnit and Allure anew. Then, in this process: the page and every form of `rollproof export`, from the
judged run. CPU seconds are beside wall seconds, because a busy machine changes them less.
To reach: judge <= 1.0 s and <= 500 MB; the page <= 3 s, all forms <= 5 s, with the judging.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/unit"))

import builders  # noqa: E402 - the path above makes the test builders importable
import story  # noqa: E402

from rollproof.judge.judging import judge_run  # noqa: E402
from rollproof.reports.exports import FORMS, export  # noqa: E402
from rollproof.reports.html import html_page  # noqa: E402
from rollproof.store.runfolder import RunFolder  # noqa: E402

_Made = TypeVar("_Made")

REQUESTS = 1_000_000
CHECKERS = ("load_soundness", "rollout", "release", "version", "readiness", "availability", "watches")


def write_run(folder: Path) -> Path:
    """A sound release under a load of REQUESTS attempts."""
    told = story.good_release()
    run = RunFolder.create(folder, replace(told.plan, drills=("zero-downtime",)))
    run.drill = "zero-downtime"
    for event in told.events:
        run.record(
            event.source, event.subject, event.what, outcome=event.outcome, start_s=event.start_s, end_s=event.end_s,
            data=event.data,
        )  # fmt: skip
    run.record("run", "judge", "asked", data={"checkers": list(CHECKERS)})
    run.write_requests("zero-downtime", builders.steady(requests=REQUESTS, start_s=85.0, end_s=145.0))
    run.write_environment({})
    return folder


def measure(folder: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak resident MB of one `rollproof judge`."""
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # a user's
    command = [sys.executable, "-m", "rollproof", "judge", str(folder)]
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=surroundings)
    _, status, usage = os.wait4(child.pid, 0)
    took_s = time.monotonic() - begin
    if os.waitstatus_to_exitcode(status) not in (0, 1, 3):
        raise SystemExit(f"judge ended with {os.waitstatus_to_exitcode(status)}")
    return took_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def rendered(folder: Path) -> dict[str, tuple[float, float]]:
    """Wall and CPU seconds of judging in this process, of the page, and of all forms of `export` together."""
    found = {}

    def timed(what: str, do: Callable[[], _Made]) -> _Made:
        wall_s, cpu_s = time.monotonic(), time.process_time()
        made = do()
        found[what] = time.monotonic() - wall_s, time.process_time() - cpu_s
        return made

    with RunFolder.open(folder) as opened:
        report = timed("judging", lambda: judge_run(opened))
    timed("the page", lambda: html_page(report))
    timed(f"{len(FORMS)} forms of export", lambda: [export(report, form) for form in FORMS])
    return found


def main() -> None:
    """Five runs; the median and the range."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_run(Path(temporary) / "20260101T000000Z-zero-downtime")
        measured = [measure(folder) for _ in range(5)]
        parts = rendered(folder)
    seconds, cpu_s = (sorted(one[index] for one in measured) for index in (0, 1))
    megabytes = max(one[2] for one in measured)
    print("| what | wall | CPU | memory | limit |\n|---|---|---|---|---|")
    print(
        f"| rollproof judge, {REQUESTS:,} requests | median {seconds[2]:.2f} s ({seconds[0]:.2f}-{seconds[-1]:.2f}) "
        f"| median {cpu_s[2]:.2f} s | peak {megabytes:.0f} MB | 1.0 s, 500 MB |"
    )
    limits = {"judging": "-", "the page": "3 s with the judging"}
    for what, (wall_s, busy_s) in parts.items():
        print(
            f"| of it, {what} | {wall_s:.2f} s | {busy_s:.2f} s | | {limits.get(what, '5 s with page and judging')} |"
        )


if __name__ == "__main__":
    main()
