"""`python -m tests.fuzz`: mutate input from outside, and count the endings. Exit code 1 if any was bad.

Seeded: the same seed gives the same cases, and `--only NUMBER` one of them alone.
"""

from __future__ import annotations

import argparse
import importlib
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from .harness import counted

_MEMORY_BYTES = 4 << 30  # a case that needs more gets a MemoryError, and the machine stays usable
PARTS = {"folders": 400, "journals": 200, "answers": 200}


def main() -> int:
    options = _options()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    work = Path(tempfile.mkdtemp(prefix="rollproof-fuzz-"))
    bad = 0
    try:
        for part in options.parts:
            began_s = time.monotonic()
            module = importlib.import_module(f"tests.fuzz.{part}")
            endings = []
            for name, ending in module.cases(options.count or PARTS[part], options.seed, work):
                endings.append((name, ending))
                if ending.wrong:
                    print(f"  {name}: {ending.wrong}", flush=True)
            print(f"{part}: {len(endings)} cases in {time.monotonic() - began_s:.0f} s: {counted(endings)}", flush=True)
            bad += sum(bool(ending.wrong) for _, ending in endings)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{bad} ended badly (seed {options.seed})")
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--count", type=int, default=0, help="cases of each part (0: what CI does)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
