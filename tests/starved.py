"""Is a run INCONCLUSIVE for lack of CPU alone? It says nothing about the app or about rollproof, and may be made again.

`python -m tests.starved REPORTS`: exit code 0 if the newest run folder there is such a run, else 1. No other result is
ever tried again: not a FAIL, and not an INCONCLUSIVE with a reason of another kind beside it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["starved", "waited_us"]

# What only lack of CPU does to a sound run: a checker, and words of its verdict.
_STARVED = (
    ("load_soundness", "cannot be believed"), ("availability", "nobody was looking"), ("watches", "was away for"),
    ("watches", "was blind for"),
)  # fmt: skip
_TICKS_PER_S = 100  # of /proc/stat (USER_HZ, proc(5))


def starved(stored: dict[str, Any]) -> bool:
    """Whether the run (a verdicts.json) is INCONCLUSIVE, and every such verdict of a kind that lack of CPU causes."""
    open_ones = [v for v in stored.get("verdicts", ()) if v["result"] == "INCONCLUSIVE"]
    return stored.get("result") == "INCONCLUSIVE" and all(
        any(verdict["checker"] == checker and words in verdict["why"] for checker, words in _STARVED)
        for verdict in open_ones
    )


def waited_us() -> int:
    """Microseconds since boot in which a task of this machine waited for a CPU: for another task (PSI, cpu.some), or
    for the hypervisor (steal, per core). 0 if unknown.
    """
    try:
        pressure = Path("/proc/pressure/cpu").read_text().splitlines()[0]
        lines = Path("/proc/stat").read_text().splitlines()
        cores = sum(line.startswith("cpu") for line in lines) - 1
        steal_us = int(lines[0].split()[8]) * 1_000_000 // _TICKS_PER_S // cores
        return int(pressure.rpartition("total=")[2]) + steal_us
    except (OSError, ValueError, IndexError, ZeroDivisionError):
        return 0


def main() -> int:
    """Whether the newest run folder below the one named is starved, said and as an exit code."""
    found = sorted(Path(sys.argv[1]).glob("*/verdicts.json"), key=lambda path: path.parent.name)
    answer = bool(found) and starved(json.loads(found[-1].read_text()))
    name = found[-1].parent.name if found else "no run"
    print(f"{name}: {'INCONCLUSIVE for lack of CPU alone' if answer else 'not for lack of CPU alone'}")
    return 0 if answer else 1


if __name__ == "__main__":
    sys.exit(main())
