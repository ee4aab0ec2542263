"""Guard: the process between the sandbox and its command; a script of the standard library alone.

All descendants of the command stay below it, also orphaned ones, so that none can be left: neither when the command
ends, nor when the sandbox is killed. Arguments: the number of a pipe, the sandbox's process group, the command. Each
byte on the pipe is a signal for the command; its end means that the sandbox is gone.
"""

import ctypes
import os
import select
import signal
import sys
import time
from contextlib import suppress

__all__ = ["main"]

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
GONE_S = 10.0  # from SIGTERM to SIGKILL for a command whose sandbox is gone: it has nothing to undo
LEFT_S = 2.0  # the same for processes that a command has left
LOOK_S = 0.05
HANDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run the command; returns its exit code."""
    pipe, group, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    _kernel(PR_SET_CHILD_SUBREAPER, 1)
    for number in HANDED:
        signal.signal(number, signal.SIG_IGN)  # they come through the pipe, or directly to the command
    os.set_inheritable(pipe, False)
    wakes, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    command_pid = os.fork()
    if not command_pid:
        _become(command, group)
    code = _watch(command_pid, pipe, wakes)
    _end_rest(LEFT_S)
    return code


def _become(command: list[str], group: int) -> None:
    """In the child: exec the command, in the sandbox's process group, so that a terminal's Ctrl-C reaches it."""
    try:
        for number in (
            *HANDED,
            signal.SIGPIPE,
            signal.SIGXFSZ,
        ):  # Python ignores the last two, and exec would keep that
            signal.signal(number, signal.SIG_DFL)
        with suppress(OSError):  # the group is gone, as the sandbox
            os.setpgid(0, group)
        _kernel(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{command[0]} cannot be run: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _watch(command_pid: int, pipe: int, wakes: int) -> int:
    """Pass signals on until the command ends; returns its exit code."""
    watched, end_s = [pipe, wakes], float("inf")
    while True:
        wait_s = None if end_s == float("inf") else max(0.0, end_s - time.monotonic())
        ready = select.select(watched, [], [], wait_s)[0]
        if wakes in ready:
            os.read(wakes, 4096)
            if (code := _ended(command_pid)) is not None:
                return code
        if pipe in ready:
            for number in os.read(pipe, 64) or _gone(watched):
                os.kill(command_pid, number)  # our child, not waited for yet
            if pipe not in watched:
                end_s = time.monotonic() + GONE_S
        if time.monotonic() > end_s:
            _end_rest(0.0)
            return 128 + signal.SIGKILL


def _gone(watched: list[int]) -> bytes:
    """The sandbox is gone: terminate the command."""
    del watched[0]
    return bytes([signal.SIGTERM])


def _ended(command_pid: int) -> int | None:
    """The command's exit code, or None; other ended children are reaped as well."""
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return None
            if pid == command_pid:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
    return None


def _end_rest(patience_s: float) -> None:
    """End all children; the children of an ended one become ours, and are ended then."""
    kill_s = time.monotonic() + patience_s
    while children := _children():
        for pid in children:
            os.kill(pid, signal.SIGTERM if time.monotonic() < kill_s else signal.SIGKILL)
        time.sleep(LOOK_S)
        _ended(0)


def _children() -> list[int]:
    _ended(0)
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as stream:  # noqa: PTH123 - quick to start
        return [int(pid) for pid in stream.read().split()]


def _kernel(option: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
