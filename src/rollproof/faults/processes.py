"""Processes: those of a container, as /proc tells them to a shell in it, and which of them a supervisor runs.

To look and to signal needs shell built-ins only, so that an image needs neither ps nor cat. A process is its pid with
its start time: pids are used again.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "LOOK", "NOT_THERE", "Process", "age_s", "end_marked", "end_timers", "kill_script", "mark_of", "parse",
    "supervised", "workers_of",
]  # fmt: skip

LOOK = 'for f in /proc/[0-9]*/stat; do read -r l < "$f" && echo "$l"; done 2>/dev/null; true'
NOT_THERE = 3  # exit code of `kill_script`: the process has gone, or its pid is another's
_MARK = "ROLLPROOF_FAULT"  # a variable of every process that a fault leaves behind: its undo knows them by it
_SUPERVISOR = 1  # process 1 of the container
_AT_ONCE_S = 5
_TICKS_PER_S = 100  # of `started`: USER_HZ, the same on every Linux that runs containers


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `started`: in clock ticks since boot (proc(5), stat, field 22). `stopped`: by a signal. `group`: its
    process group, by the pid of its leader.
    """

    pid: int
    name: str
    parent: int
    started: int
    stopped: bool = False
    group: int = 0

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
    if not pid.isdecimal() or len(fields) < 20 or not all(fields[number].isdecimal() for number in (1, 2, 19)):
        return None
    if fields[0] in ("Z", "X"):
        return None
    return Process(int(pid), name, int(fields[1]), int(fields[19]), stopped=fields[0] == "T", group=int(fields[2]))


def age_s(process: Process, processes: tuple[Process, ...]) -> float:
    """For how long a process has run (s): the shell that has listed them all began just now, on the same clock."""
    return (max(one.started for one in processes) - process.started) / _TICKS_PER_S


def supervised(processes: tuple[Process, ...], name: str = "") -> tuple[Process, ...]:
    """Those of that name, or all, that are children of the supervisor: its own, and orphans that it has got."""
    return tuple(one for one in processes if name in ("", one.name) and one.parent == _SUPERVISOR)


def workers_of(master: Process, processes: tuple[Process, ...]) -> tuple[Process, ...]:
    """Its children that it started as it began itself; later ones may be what it does, such as the jobs of cron."""
    began = master.started + _AT_ONCE_S * _TICKS_PER_S
    return tuple(one for one in processes if one.parent == master.pid and one.started <= began)


def kill_script(signal: str, pid: int, started: int, *, group: bool = False) -> str:
    """Sends the signal if the pid is still that process, else ends with `NOT_THERE`. group: to all of its group."""
    gone = f"exit {NOT_THERE}"
    check = f'read -r l < /proc/{pid}/stat || {gone}; set -- ${{l##*) }}; [ "${{20}}" = {started} ] || {gone}'
    return f"{check}; kill -{signal} {'-' if group else ''}{pid}"


def mark_of(fault: str, pod_uid: str) -> str:
    """The variable, set, of what a fault leaves running; with the pod's uid, for a node sees all pods' processes."""
    return f"{_MARK}={fault}/{pod_uid}"


def end_marked(mark: str) -> str:
    """Ends every process that was started with the mark in its environment, such as a timer that waits."""
    listed = f"grep -lzx {mark} /proc/[0-9]*/environ 2>/dev/null"
    return f"for place in $({listed}); do kill -9 $(basename ${{place%/environ}}) 2>/dev/null; done; true"


def end_timers(word: str) -> str:
    """Ends every shell that has that word in the first line of its script, but for the one that runs this.

    For a container, where there may be nothing but a shell: its `read` leaves out the zero bytes of a command line.
    """
    look = 'l=; [ "${d#/proc/}" = $$ ] || read -r l < "$d/cmdline"'
    return f'for d in /proc/[0-9]*; do {look}; case "$l" in *{word}*) kill -9 "${{d#/proc/}}";; esac; done 2>/dev/null'
