"""Process kill: one process that the container's supervisor runs is killed, and somebody must start it again.

It cannot clean up: the workers of a master live on as orphans of process 1, with its port or its socket.
"""

from __future__ import annotations

from rollproof.faults.ended_process import EndedProcess

__all__ = ["FAULT", "ProcessKill"]


class ProcessKill(EndedProcess):
    """SIGKILL: it ends with a code that no supervisor expects."""

    name = "process-kill"
    signal = "KILL"
    peers = "Chaos Mesh and chaosd process kill, Gremlin process killer"


FAULT = ProcessKill()
