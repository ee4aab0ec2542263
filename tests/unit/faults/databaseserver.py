"""A stand-in for the client of MariaDB: what a fault has run in the container is run here, by the machine's own shell.

Its server is a folder: `locked` (the account is), `max` (max_connections), `holders/PID` (who holds a connection).
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rollproof.clients.execute import Executed
from rollproof.clients.kube import Kube

__all__ = ["PASSWORD", "FakeServer"]

PASSWORD = "correct horse battery"
CLIENT = """#!/bin/sh
cd "$FAKE_SERVER"
[ "$MYSQL_PWD" = "$ROOT_PASSWORD" ] || { echo 'ERROR 1045 (28000): Access denied for root' >&2; exit 1; }
[ -e broken ] && { echo 'ERROR 2002 (HY000): cannot connect' >&2; exit 1; }
statement=
for word; do case "$word" in --execute=*) statement=${word#--execute=} ;; esac; done
case "$statement" in
    "SHOW CREATE USER 'shop'@'%'")
        if [ -e locked ]; then lock=' ACCOUNT LOCK'; else lock=; fi
        echo "CREATE USER 'shop'@'%' IDENTIFIED BY PASSWORD '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'$lock" ;;
    SHOW*) echo "ERROR 1269: Can't find any matching row in the user table" >&2; exit 1 ;;
    *"ACCOUNT LOCK") [ -e frozen ] || : >locked ;;
    *"ACCOUNT UNLOCK") [ -e frozen ] || rm -f locked ;;
    "SELECT @@GLOBAL.max_connections") cat max ;;
    "SET GLOBAL max_connections = "*) echo "${statement##* }" >max ;;
    "SELECT COUNT(*)"*"USER = 'root'"*) ls holders | wc -l ;;
    "SELECT CONCAT"*"USER = 'shop'"*) echo 'KILL 7;' ;;
    "") : >holders/$$; while read -r line; do echo "$line" >>killed; done; rm -f holders/$$ ;;
esac
"""


class FakeServer:
    """Replaces pods/exec. `ran` is every command that was to be run in the container."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.ran = folder / "server", list[str]()
        (self.folder / "holders").mkdir(parents=True)
        (self.folder / "max").write_text("151\n")
        client = folder / "bin" / "mariadb"
        client.parent.mkdir()
        client.write_text(CLIENT)
        client.chmod(0o755)
        self._folder_of_commands = client.parent
        self.environ = {
            "PATH": f"{client.parent}:{os.environ['PATH']}", "FAKE_SERVER": str(self.folder),
            "ROOT_PASSWORD": PASSWORD,
        }  # fmt: skip

        def pod_exec(*words: Any, **more: Any) -> Executed:  # a function, so that it is bound to its Kube
            return self.run(*words[1:], **more)

        monkeypatch.setattr(Kube, "pod_exec", pod_exec)

    def run(self, namespace: str, pod: str, container: str, command: Sequence[str], *, timeout_s: float) -> Executed:
        assert (namespace, pod, container) == ("db", "db-0", "web")
        self.ran.append(" ".join(command))
        done = subprocess.run(
            command, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s,
            check=False,
        )  # fmt: skip
        return Executed(done.returncode, done.stdout)

    def let_the_timer_expire(self) -> None:
        """As soon as the account is locked: the timer is armed before that, and a busy machine may be slow between."""
        sleep = self._folder_of_commands / "sleep"
        sleep.write_text('#!/bin/sh\nuntil [ -e "$FAKE_SERVER/locked" ]; do /bin/sleep 0.02; done\n')
        sleep.chmod(0o755)

    @property
    def locked(self) -> bool:
        return (self.folder / "locked").exists()

    @property
    def limit(self) -> int:
        return int((self.folder / "max").read_text())

    def set_limit(self, limit: int) -> None:
        (self.folder / "max").write_text(f"{limit}\n")

    def holders(self) -> list[int]:
        """Who still runs of those that hold a connection."""
        pids = [int(one.name) for one in (self.folder / "holders").iterdir()]
        return [pid for pid in pids if _state(pid) != "Z"]

    def await_released(self) -> None:
        """Until nobody holds a connection: a process that was sent a signal takes a moment to end."""
        for pid in self.holders():
            with suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                try:
                    ended, _, _ = select.select([descriptor], [], [], 30.0)
                    assert ended, f"{pid} still holds a connection"
                finally:
                    os.close(descriptor)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"  # it ended between two looks
