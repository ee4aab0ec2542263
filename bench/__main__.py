"""`make bench`: every benchmark in one run, its table and the machine it ran on written to bench/RESULTS.md.

Figures from a shared machine mean little by themselves: each table compares with a peer measured in the same run, or
with a limit that the project has set. Benchmarks that need the lab are left out without one, and the page says so.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
LAB = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "rollproof/lab/kubeconfig"


def newest_run(reports: Path) -> Path | None:
    """The newest run of all drills with the result PASS, for the overhead; None if there is none."""
    runs = [
        path.parent for path in reports.glob("*-all/verdicts.json") if '"result": "PASS"' in path.read_text()
    ]  # fmt: skip
    return max(runs, key=lambda path: path.name, default=None)


def machine() -> str:
    """One line about the machine that the figures come from."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown CPU",
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({model}), {memory_gib:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def run(title: str, *arguments: str) -> str:
    """One benchmark's output, as a section."""
    print(f"== {title}", flush=True)
    begin = time.monotonic()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr[-2000:], f"({time.monotonic() - begin:.0f} s)", sep="\n", flush=True)
    body = done.stdout.strip() if done.returncode == 0 else f"failed: {done.stderr.strip().splitlines()[-1:]}"
    return f"## {title}\n\n{body}\n"


def main() -> None:
    """Run all, then replace the results."""
    parts = [
        f"# Benchmark results\n\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}. Made by `make bench`.\n",
        run("Engine against what users would write, and wrk", str(HERE / "engine.py")),
        run("Engine against open-loop peers", str(HERE / "openloop.py")),
        run("`rollproof judge` on a million requests", str(HERE / "judge.py")),
    ]
    if LAB.is_file():
        parts.append(run("Drift clock against the API server's audit log", str(HERE / "drift_clock.py")))
    else:
        parts.append("## Drift clock\n\nNot run: there is no lab here (`make lab`).\n")
    passed = newest_run(HERE.parent / "reports")
    if passed is not None:
        parts.append(run("Overhead of the whole drill", str(HERE / "overhead.py"), str(passed)))
    else:
        parts.append("## Overhead of the whole drill\n\nNot run: no passed `rollproof run all` below reports/.\n")
    RESULTS.write_text("\n".join(parts))
    print(f"written: {RESULTS}")


if __name__ == "__main__":
    main()
