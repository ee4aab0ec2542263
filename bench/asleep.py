"""How late this machine wakes up an otherwise idle process: the lower bound for a generator that sleeps.

usage: asleep.py RATE_PER_S SECONDS; prints {"late_ns": [..]}. In a real-time class if permitted, like the engine.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
import time

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def main() -> None:
    """Sleep from tick to tick, and print how late each was."""
    rate_per_s, seconds = float(sys.argv[1]), float(sys.argv[2])
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    nap, moment = ctypes.CDLL(None).clock_nanosleep, _Timespec()
    period_ns, start_ns = int(1e9 / rate_per_s), time.monotonic_ns() + 200_000_000
    late_ns = []
    for k in range(int(rate_per_s * seconds)):
        due_ns = start_ns + k * period_ns
        moment.seconds, moment.nanoseconds = divmod(due_ns, 10**9)
        nap(_CLOCK_MONOTONIC, _ABSOLUTE, ctypes.byref(moment), None)
        late_ns.append(time.monotonic_ns() - due_ns)
    print(json.dumps({"late_ns": late_ns}))


if __name__ == "__main__":
    main()
