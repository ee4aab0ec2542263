"""The Docker daemon for the cluster: a usable one that is running, else one of our own.

Our own daemon has its own socket, data folder and pid file, writes no iptables rules (published ports go through its
proxy processes, which is all that 127.0.0.1 needs) and is the only one that this module ever starts or ends.
Must never reconfigure a daemon that it did not start.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import gobuild, settings
from lab.steps import LabError, Log

__all__ = ["Daemon", "current", "ensure", "find", "lacking_capabilities", "remove_own"]

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_SOCKET_PATH_LIMIT = 100  # the kernel allows 107 bytes; Docker appends to it

_ISOLATED = (
    "--iptables=false",
    "--ip6tables=false",
    "--ip-forward=false",
    "--dns=127.0.0.1",  # no DNS server in a node: an unknown name fails at once, inside of the lab
)


@dataclass(frozen=True, slots=True)
class Daemon:
    """A Docker daemon: ``address`` in docker's form (``unix://...``); ``own``: the lab started it."""

    address: str
    own: bool

    def env(self) -> Mapping[str, str]:
        """Environment variables for docker and kind to use this daemon and no other."""
        return {"DOCKER_HOST": self.address, "KIND_EXPERIMENTAL_DOCKER_NETWORK": settings.NETWORK}

    def docker(self, log: Log, *arguments: str | Path, **options: object) -> str:
        """One docker command against this daemon."""
        return log.run("docker", *arguments, env=self.env(), **options)  # type: ignore[arg-type]


def folder() -> Path:
    """The folder of our own daemon: socket, data, pid file, log."""
    return settings.state() / "docker"


def _isolated_note() -> Path:
    return folder() / "isolated"


def lacking_capabilities() -> int:
    """The capabilities that the kernel knows and this root lacks, as a mask; containers cannot get these."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    held = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="utf-8"))
    return ((1 << (last + 1)) - 1) & ~held


def find() -> Daemon | None:
    """The daemon that the lab would use now: its own if it runs, else another one that can run the nodes; or None."""
    own = _own()
    if _answers(own.address):
        return own
    if lacking_capabilities():
        return None  # another daemon would need our runtime shim, and we do not reconfigure it
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    return Daemon(address, own=False) if _answers(address) else None


def current() -> Daemon:
    """The daemon, which must be running. LabError if it is not."""
    found = find()
    if found is None:
        raise LabError("no Docker daemon answers for the lab; start it with: python -m lab up")
    return found


def ensure(log: Log, *, isolated: bool) -> str:
    """A daemon that answers, started if there is none; safe to call after a former one has crashed.

    ``isolated``: its containers have no network access to the outside, as the built mode needs and the public mode
    cannot use.
    """
    if (found := find()) is not None:
        if found.own and _isolated_note().exists() != isolated:
            raise LabError(
                "the lab's own Docker daemon was started for the other source of images; run `python -m lab down` first"
            )
        return "our own" if found.own else f"the one at {found.address}"
    if lacking_capabilities() and _answers("unix:///var/run/docker.sock"):
        log.say(
            "A Docker daemon runs, but this root lacks capabilities (CapEff in /proc/self/status): containers need a "
            "runtime that leaves them out. That daemon is left as it is; the lab starts its own beside it."
        )
    # What a crashed daemon leaves (containers, a bridge, sockets) is not repaired: images are in the cache.
    remove_own(log)
    _start(log, isolated=isolated)
    return "our own, started"


def remove_own(log: Log) -> None:
    """End our own daemon, if there is one, and remove its files; never another one."""
    _end_leftovers(log)
    _remove_folder(log)
    if Path("/sys/class/net", settings.BRIDGE).exists() and find() is None:
        log.run("ip", "link", "delete", settings.BRIDGE)


def _own() -> Daemon:
    return Daemon(f"unix://{folder()}/docker.sock", own=True)


def _answers(address: str) -> bool:
    if address.startswith("unix://"):
        return _ping(address.removeprefix("unix://"))
    words = ["docker", "--host", address, "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(words, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _ping(path: str) -> bool:
    """Ask the daemon itself: a socket file may be left from one that has ended."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(10)
            line.connect(path)
            line.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in line.recv(64)
    except OSError:
        return False


def _start(log: Log, *, isolated: bool) -> None:
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    door = place / "docker.sock"
    if len(str(door)) > _SOCKET_PATH_LIMIT:
        raise LabError(
            f"the path of Docker's socket is too long for the kernel: {door}; set XDG_STATE_HOME to a shorter one"
        )
    shim: Sequence[str] = ()
    if lacking_capabilities():
        runtime = gobuild.build(gobuild.BOUNDED_RUNC, log)
        shim = (f"--add-runtime=bounded-runc={runtime}", "--default-runtime=bounded-runc")
    words = [
        "dockerd",
        f"--host=unix://{door}",
        f"--data-root={place / 'data'}",
        f"--exec-root={place / 'run'}",
        f"--pidfile={place / 'docker.pid'}",
        f"--config-file={place / 'daemon.json'}",
        "--bridge=none",
        *(_ISOLATED if isolated else ()),
        *shim,
    ]
    if isolated:
        _isolated_note().touch()
    else:
        _isolated_note().unlink(missing_ok=True)
    (place / "daemon.json").write_text("{}\n", encoding="utf-8")
    log.say("$ " + " ".join(words))
    with (place / "dockerd.log").open("ab") as output:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    end_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < end_s:
        if _answers(f"unix://{door}"):
            return
        if child.poll() is not None:
            break
        time.sleep(0.2)
    tail = "\n".join((place / "dockerd.log").read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
    raise LabError(
        f"dockerd did not answer within {_START_TIMEOUT_S:.0f} s; its log {place / 'dockerd.log'} ends with:\n{tail}"
    )


def _end_leftovers(log: Log) -> None:
    """End the processes of our daemon; they are recognised by our folder in their command lines."""
    own = str(folder())
    for wanted in (_daemon_pid, _shim_pids, _shim_pids):
        pids = wanted(own)
        for pid in pids:
            log.say(f"ending process {pid}: {_command_line(pid)[:160]}")
            _end(pid)
    for name in ("docker.sock", "docker.pid"):
        (folder() / name).unlink(missing_ok=True)


def _daemon_pid(own: str) -> list[int]:
    return [
        pid
        for pid in _pids()
        if _command_line(pid).startswith("dockerd ") and f"--pidfile={own}/" in _command_line(pid)
    ]


def _shim_pids(own: str) -> list[int]:
    """containerd, its shims, and the first process of each container: a child of its shim."""
    found = [pid for pid in _pids() if f"{own}/run/" in _command_line(pid)]
    children = {pid: [c for c in _pids() if _parent(c) == pid] for pid in found}
    return [*(child for pid in found for child in children[pid]), *found]


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _end(pid: int) -> None:
    """SIGTERM, then SIGKILL if it does not end."""
    for sign, patience_s in (
        (signal.SIGTERM, _STOP_TIMEOUT_S if "dockerd" in _command_line(pid) else 3.0),
        (signal.SIGKILL, 5.0),
    ):
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return
        end_s = time.monotonic() + patience_s
        while time.monotonic() < end_s:
            if not _alive(pid):
                return
            time.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def _remove_folder(log: Log) -> None:
    """Unmount what containers left below the folder, deepest first, then remove it."""
    place = str(folder())
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(place + "/")), key=len, reverse=True):
        log.run("umount", "--lazy", mount, check=False)
    shutil.rmtree(folder(), ignore_errors=True)
    if folder().exists():
        raise LabError(f"cannot remove {folder()}; something still uses it: look at `grep {folder()} /proc/mounts`")
