"""Process terminate: one process that the container's supervisor runs is asked to end. Who starts it again?

One that ends with code 0 has done what it was asked to, and a supervisor may leave it at that.
"""

from __future__ import annotations

from rollproof.faults.ended_process import EndedProcess

__all__ = ["FAULT", "ProcessTerminate"]


class ProcessTerminate(EndedProcess):
    """SIGTERM: nginx and the FPM master end with code 0, Debian's cron dies by the signal."""

    name = "process-terminate"
    signal = "TERM"
    peers = "chaosd process attack with a signal; Krkn's container scenarios send SIGTERM to a pid"


FAULT = ProcessTerminate()
