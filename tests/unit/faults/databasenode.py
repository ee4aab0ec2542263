"""A stand-in for the database's node: its commands are run by this machine's shell, on a process of the test's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from rollproof.clients.nodes import NodeAccessError, NodeShell, Ran

__all__ = ["NODE", "FakeNode"]

NODE = "shop-worker"

IPTABLES = """#!/bin/sh
[ -e "$FAKE_NODE/no-iptables" ] && { echo 'iptables: Permission denied' >&2; exit 4; }
shift 2; what=$1; shift
[ "$what" = -I ] && { shift 2; echo "$*" >>"$FAKE_NODE/rules"; exit; }
shift
grep -qxF -- "$*" "$FAKE_NODE/rules" || exit 1
[ "$what" = -C ] && exit
grep -vxF -- "$*" "$FAKE_NODE/rules" >"$FAKE_NODE/left"; mv "$FAKE_NODE/left" "$FAKE_NODE/rules"
"""


class FakeNode:
    """`process` is the database's main process. `why`: why there is no way into the node. `table`: /proc/net/tcp.

    `after`: called after each command.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack) -> None:
        self.folder, self.why, self.ran, self.table = folder / "node", "", list[str](), ""
        self.after: Callable[[], None] = lambda: None
        self.folder.mkdir()
        (self.folder / "rules").touch()
        program = folder / "bin" / "iptables"
        program.parent.mkdir(exist_ok=True)
        program.write_text(IPTABLES)
        program.chmod(0o755)
        self.environ = {"PATH": f"{program.parent}:{os.environ['PATH']}", "FAKE_NODE": str(self.folder)}
        self.process = stack.enter_context(subprocess.Popen(["sleep", "300"]))
        stack.callback(self.process.kill)

        def run(_: NodeShell, node: str, argv: Sequence[str], timeout_s: float = 15.0) -> Ran:
            assert node in (NODE, ""), "the app's pods name none"
            return self.run(argv, timeout_s)

        def container_pid(_: NodeShell, node: str, uid: str, container: str) -> int:
            if uid.startswith("uid-web"):
                return 1
            if self.process.poll() is not None:
                raise NodeAccessError(f"0 processes in node {node} are the main process of {container} of {uid}")
            return self.process.pid

        monkeypatch.setattr(NodeShell, "why_not", lambda _, node: self.why.format(node=node))
        monkeypatch.setattr(NodeShell, "container_pid", container_pid)
        monkeypatch.setattr(NodeShell, "run", run)

    def run(self, argv: Sequence[str], timeout_s: float) -> Ran:
        self.ran.append(" ".join(argv))
        if "/net/tcp" in self.ran[-1]:
            return Ran(0, self.table, "")
        done = subprocess.run(
            argv, env=self.environ, capture_output=True, text=True, timeout=timeout_s, check=False
        )  # fmt: skip
        while "kill -STOP" in self.ran[-1] and done.returncode == 0 and not self.stopped:
            os.sched_yield()  # the signal was sent, and is on its way
        self.after()
        return Ran(done.returncode, done.stdout, done.stderr)

    @property
    def stopped(self) -> bool:
        """Whether the process is."""
        place = Path(f"/proc/{self.process.pid}/stat")
        return place.exists() and place.read_text().rpartition(") ")[2][0] == "T"

    @property
    def rules(self) -> list[str]:
        return (self.folder / "rules").read_text().splitlines()

    def end(self) -> None:
        """The database's process ends, as with its pod."""
        self.process.kill()
        self.process.wait()
