"""Debian root filesystems as image layers: one base made by mmdebstrap, and layers of added packages.

A layer is the difference to its parent, found by comparing the two trees: that needs no overlay mount, so it also works
inside of a container. Must never leave a mount behind: all mounts are in a mount namespace that ends with its
command.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab import settings
from lab.steps import Log

__all__ = ["Debian", "build", "key"]

SUITE = "bookworm"

_BASE_PACKAGES = ("ca-certificates",)

# Manuals are not needed inside of a pod, and every megabyte is imported on three nodes.
_EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/i18n/*",
    "/usr/share/lintian/*",
    "/usr/share/bug/*",
    "/usr/share/icons/*",
)
_DPKG_OPTIONS = tuple(f"path-exclude={pattern}" for pattern in _EXCLUDED)

# Files that differ between two builds of the same layer, or are only for apt.
_LEFT_OUT = ("var/lib/apt/lists/", "var/cache/apt/", "var/cache/debconf/", "var/log/", "tmp/", "proc/", "sys/", "dev/")
_LEFT_OUT_FILES = frozenset(
    {"etc/resolv.conf", "etc/hostname", "usr/sbin/policy-rc.d", "etc/machine-id", "etc/ld.so.cache~"}
)


@dataclass(frozen=True, slots=True)
class Debian:
    """Packages on top of ``parent`` (None: the base root itself); ``script`` is run by sh in the root afterwards."""

    packages: tuple[str, ...] = ()
    parent: Debian | None = None
    script: str = ""


def key(layer: Debian) -> str:
    """A key of the request (suite, packages, script), not of the mirror's state: nothing is rebuilt without need."""
    below = key(layer.parent) if layer.parent else ""
    words = repr(("debian 1", SUITE, _BASE_PACKAGES, _EXCLUDED, layer.packages, layer.script, below))
    return hashlib.sha256(words.encode()).hexdigest()[:24]


def build(layer: Debian, parent: Path | None, target: Path, log: Log) -> None:
    """Write the layer's tar to ``target``; ``parent`` is the tar of the parent layer (a base has none)."""
    work = Path(tempfile.mkdtemp(prefix="build-", dir=settings.cache()))
    try:
        if layer.parent is None or parent is None:
            _bootstrap(layer, target, log)
            return
        root = work / "root"
        root.mkdir()
        for lower in _chain(layer.parent):
            log.run("tar", "--extract", "--numeric-owner", "--file", lower, "--directory", root)
        before = _survey(root)
        _install(layer, root, work, log)
        _write_difference(root, before, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _bootstrap(layer: Debian, target: Path, log: Log) -> None:
    """Make the base root of all images with mmdebstrap."""
    plain = target.with_suffix(".mmdebstrap")
    log.run(
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        f"--include={','.join((*_BASE_PACKAGES, *layer.packages))}",
        "--aptopt=Apt::Install-Recommends false",
        *(f"--dpkgopt={option}" for option in _DPKG_OPTIONS),
        "--dpkgopt=path-include=/usr/share/locale/locale.alias",
        "--customize-hook=rm -rf $1/usr/share/doc $1/usr/share/man $1/usr/share/locale $1/var/log/*.log $1/var/log/apt",
        "--format=tar",
        SUITE,
        plain,
        *_sources(),
        env={"SOURCE_DATE_EPOCH": "1735689600"},
        timeout_s=900,
    )
    with tarfile.open(plain) as given, tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as out:
        for member in given:
            member.name = member.name.removeprefix("./").strip("/")
            if not member.name or member.ischr() or member.isblk() or member.name.startswith("dev/"):
                continue
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./")
            out.addfile(member, given.extractfile(member) if member.isreg() else None)
    plain.unlink()


def _sources() -> tuple[str, ...]:
    """Debian itself, its updates and its security updates."""
    mirror = "http://deb.debian.org/debian"
    return (
        f"deb {mirror} {SUITE} main",
        f"deb {mirror} {SUITE}-updates main",
        f"deb {mirror}-security {SUITE}-security main",
    )


_INSTALL = """set -eu
root=$1; shift
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
for node in null zero random urandom tty; do touch "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
mkdir -p "$root/dev/shm" "$root/dev/pts"; chmod 1777 "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
cat /etc/resolv.conf > "$root/etc/resolv.conf"
printf '#!/bin/sh\\nexit 101\\n' > "$root/usr/sbin/policy-rc.d"; chmod 755 "$root/usr/sbin/policy-rc.d"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
if [ "$#" -gt 0 ]; then
  chroot "$root" apt-get update -q
  chroot "$root" apt-get install -q -y --no-install-recommends "$@"
fi
chroot "$root" /bin/sh -eu /script >&2
chroot "$root" apt-get clean
"""


def _install(layer: Debian, root: Path, work: Path, log: Log) -> None:
    """Install the packages and run the script. The mounts end with unshare's namespace, also after an error."""
    program = work / "install"
    program.write_text(_INSTALL, encoding="utf-8")
    script = root / "script"
    script.write_text(layer.script or ":", encoding="utf-8")
    log.run("unshare", "--mount", "--propagation", "private", "sh", program, root, *layer.packages, timeout_s=900)
    script.unlink()


def _chain(layer: Debian) -> list[Path]:
    """The tars of the parent layers, from the bottom; they are cached, because images.build builds parents first."""
    below = _chain(layer.parent) if layer.parent else []
    return [*below, settings.cache() / "layers" / f"{key(layer)}.tar"]


def _survey(root: Path) -> dict[str, tuple[object, ...]]:
    """The state of each path, sufficient to find every change that a package makes."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            about = path.lstat()
            link = str(path.readlink()) if stat.S_ISLNK(about.st_mode) else ""
            size, mtime = (0, 0) if stat.S_ISDIR(about.st_mode) else (about.st_size, about.st_mtime_ns)
            found[os.path.relpath(path, root)] = (about.st_mode, about.st_uid, about.st_gid, size, mtime, link)
    return found


def _write_difference(root: Path, before: dict[str, tuple[object, ...]], target: Path) -> None:
    after = _survey(root)
    changed = sorted(path for path, about in after.items() if before.get(path) != about and not _left_out(path))
    gone = [path for path in before if path not in after and not _left_out(path)]
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as out:
        for path in sorted(gone):
            parent = str(Path(path).parent)
            if parent in before and parent not in after:
                continue  # the whiteout of its folder covers it
            out.addfile(tarfile.TarInfo(str(Path(parent, f".wh.{Path(path).name}"))))
        for path in changed:
            out.add(root / path, arcname=path, recursive=False)


def _left_out(path: str) -> bool:
    return path in _LEFT_OUT_FILES or path.startswith(_LEFT_OUT)
