"""Processes: those of a container, as /proc tells them to a shell in it, and which of them a supervisor runs.

To look and to signal needs shell built-ins only, so that an image needs neither ps nor cat. A process is its pid with
its start time: pids are used again.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LOOK", "NOT_THERE", "Process", "end_marked", "kill_script", "mark_of", "parse", "supervised"]

LOOK = 'for f in /proc/[0-9]*/stat; do read -r l < "$f" && echo "$l"; done 2>/dev/null; true'
NOT_THERE = 3  # exit code of `kill_script`: the process has gone, or its pid is another's
_MARK = "ROLLPROOF_FAULT"  # a variable of every process that a fault leaves behind: its undo knows them by it
_SUPERVISOR = 1  # process 1 of the container


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `started`: in clock ticks since boot (proc(5), stat, field 22). `stopped`: by a signal."""

    pid: int
    name: str
    parent: int
    started: int
    stopped: bool = False

    @property
    def who(self) -> tuple[int, int]:
        """What no other process has."""
        return self.pid, self.started


def parse(stats: str) -> tuple[Process, ...]:
    """The living processes of the lines that `LOOK` writes; lines of another form are left out, and zombies."""
    found = (_process(line) for line in stats.splitlines())
    return tuple(one for one in found if one is not None)


def _process(line: str) -> Process | None:
    head, _, rest = line.rpartition(") ")
    pid, _, name = head.partition(" (")
    fields = rest.split()
    if not pid.isdecimal() or len(fields) < 20 or not (fields[1].isdecimal() and fields[19].isdecimal()):
        return None
    if fields[0] in ("Z", "X"):
        return None
    return Process(int(pid), name, int(fields[1]), int(fields[19]), stopped=fields[0] == "T")


def supervised(processes: tuple[Process, ...], name: str) -> tuple[Process, ...]:
    """Those of that name that are children of the supervisor: its own, and orphans that it has got."""
    return tuple(one for one in processes if one.name == name and one.parent == _SUPERVISOR)


def kill_script(signal: str, pid: int, started: int) -> str:
    """Sends the signal if the pid is still that process; else ends with `NOT_THERE`."""
    gone = f"exit {NOT_THERE}"
    check = f'read -r l < /proc/{pid}/stat || {gone}; set -- ${{l##*) }}; [ "${{20}}" = {started} ] || {gone}'
    return f"{check}; kill -{signal} {pid}"


def mark_of(fault: str, pod_uid: str) -> str:
    """The variable, set, of what a fault leaves running; with the pod's uid, for a node sees all pods' processes."""
    return f"{_MARK}={fault}/{pod_uid}"


def end_marked(mark: str) -> str:
    """Ends every process that was started with the mark in its environment, such as a timer that waits."""
    listed = f"grep -lzx {mark} /proc/[0-9]*/environ 2>/dev/null"
    return f"for place in $({listed}); do kill -9 $(basename ${{place%/environ}}) 2>/dev/null; done; true"
