"""How long does `rollproof judge` take on a run with 1,000,000 requests, and how much memory does it need?

The run is written by RunFolder itself; the measured thing is the whole command, as a user would start it.
To reach: <= 3 s and <= 500 MB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/unit"))

import builders  # noqa: E402 - the path above makes the test builders importable
import story  # noqa: E402

from rollproof.store.runfolder import RunFolder  # noqa: E402

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


def measure(folder: Path) -> tuple[float, float]:
    """Wall seconds and peak resident MB of one `rollproof judge`."""
    begin = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "rollproof", "judge", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    took_s = time.monotonic() - begin
    if os.waitstatus_to_exitcode(status) not in (0, 1, 3):
        raise SystemExit(f"judge ended with {os.waitstatus_to_exitcode(status)}")
    return took_s, usage.ru_maxrss / 1024


def main() -> None:
    """Five runs; the median and the range."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_run(Path(temporary) / "20260101T000000Z-zero-downtime")
        measured = sorted(measure(folder) for _ in range(5))
    seconds, megabytes = [m[0] for m in measured], max(m[1] for m in measured)
    print(
        f"| rollproof judge, {REQUESTS:,} requests | median {seconds[2]:.2f} s ({seconds[0]:.2f}-{seconds[-1]:.2f}) "
        f"| peak {megabytes:.0f} MB | limit 3 s, 500 MB |"
    )


if __name__ == "__main__":
    main()
