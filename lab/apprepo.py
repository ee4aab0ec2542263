"""Makes the app's git history, the same on every machine: its short shas are the versions that other files name.

Works on git objects alone (fast-import), so neither the clock, nor the user's git settings, nor file modes of the clone
can change a sha. Must never touch a repository that it did not make.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.settings import SOURCES
from lab.steps import LabError

__all__ = ["RELEASES", "Edit", "ReleaseRecipe", "build", "export"]

_AUTHOR = "AngelPay Team <team@angelpay.example>"
_FIRST_COMMIT_AT = 1_767_258_000  # 2026-01-01 09:00 UTC; each release comes one day later
_DAY_S = 86_400
_MADE_OF = "rollproof-made-of"  # a file in it: the hash of its history
_EXECUTABLE = frozenset({"docker/entrypoint"})


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement in one file; ``old`` must occur there exactly once."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ReleaseRecipe:
    """One commit of the app: the release before it, plus edits. What is not on ``main`` is known to be bad."""

    name: str
    subject: str
    parent: str | None
    edits: tuple[Edit, ...] = ()
    branch: str = "main"
    architecture: str = ""  # of its image; empty: that of the nodes


_START = "exec /usr/bin/supervisord -c /srv/angelpay/docker/supervisord.conf\n"

_S390X_PROGRAM = "\x7fELF\x02\x02\x01" + "\0" * 9 + "\0\x02\0\x16\0\0\0\x01" + "\0" * 40  # e_machine 0x16 (elf.h)

RELEASES = (
    ReleaseRecipe("first", "Take payments", None),
    ReleaseRecipe(
        "second",
        "Greet the visitor",
        "first",
        (Edit("public/index.php", "<h1>AngelPay</h1>", "<h1>AngelPay</h1><p>Payments that arrive.</p>"),),
    ),
    ReleaseRecipe(
        "third",
        "Say which language the page is in",
        "second",
        (Edit("public/index.php", "<!doctype html><title>", "<!doctype html><html lang=en><title>"),),
    ),
    ReleaseRecipe(
        "exits-at-sigterm",
        "Log a farewell when the container stops",
        "third",
        # A shell as PID 1 that exits at once: the kernel then kills nginx and FPM in the middle of their requests.
        (
            Edit(
                "docker/entrypoint",
                _START,
                "trap 'echo \"AngelPay says goodbye\"; exit 0' TERM\n"
                + _START.removeprefix("exec ").rstrip()
                + " &\nwait\n",
            ),
        ),
        "exits-at-sigterm",
    ),
    ReleaseRecipe(
        "wrong-version",
        "Do not read a file for each request",
        "third",
        (
            Edit("src/app.php", "    $baked = @file_get_contents(__DIR__ . '/../VERSION');\n", ""),
            Edit("src/app.php", "$baked === false ? 'unknown' : trim($baked)", "'0ddba11'"),
        ),
        "wrong-version",
    ),
    ReleaseRecipe(
        "never-ready",
        "Count only paid orders",
        "third",
        (Edit("public/index.php", "SELECT COUNT(*) FROM orders'", "SELECT COUNT(*) FROM paid_orders'"),),
        "never-ready",
    ),
    ReleaseRecipe(
        "crashes",
        "Refuse to start without a licence",
        "third",
        (
            Edit(
                "docker/entrypoint",
                "mkdir -p /run/angelpay\n",
                'mkdir -p /run/angelpay\n[ -n "${LICENCE:-}" ] || { echo "LICENCE is not set" >&2; exit 1; }\n',
            ),
        ),
        "crashes",
    ),
    ReleaseRecipe(
        "wrong-platform",
        "Start without a shell",
        "third",
        # The header of an ELF program for s390x, which no node of the lab is. Its image says so, too: no node pulls it.
        (Edit("docker/entrypoint", "#!/bin/sh\n", _S390X_PROGRAM),),
        "wrong-platform",
        "s390x",
    ),
)


def build(repository: Path) -> dict[str, str]:
    """Create the bare app repository, if there is none of this content; the short sha of each release by its name.

    Two processes may do so at the same time (`status` while `up` works): one that is there whole is never taken away.
    """
    history = b"".join(_stream(_source_files()))
    made_of = hashlib.sha256(history).hexdigest()
    if not _is_made_of(repository, made_of):
        _make(repository, history, made_of)
    return {
        recipe.name: _git("-C", str(repository), "rev-parse", f"refs/tags/{recipe.name}^{{commit}}").decode()[:7]
        for recipe in RELEASES
    }


def _is_made_of(repository: Path, made_of: str) -> bool:
    marker = repository / _MADE_OF
    return marker.is_file() and marker.read_text(encoding="utf-8") == made_of


def _make(repository: Path, history: bytes, made_of: str) -> None:
    """Beside its place, and then there at once."""
    repository.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{repository.name}-", dir=repository.parent))
    try:
        _git("init", "--quiet", "--bare", "--initial-branch=main", str(beside))
        _git("-C", str(beside), "fast-import", "--quiet", stdin=history)
        (beside / _MADE_OF).write_text(made_of, encoding="utf-8")
        _put(beside, repository, made_of)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _put(beside: Path, repository: Path, made_of: str) -> None:
    """In the place of what is there, unless somebody else was quicker."""
    try:
        beside.rename(repository)
    except OSError:
        if _is_made_of(repository, made_of):
            return
        shutil.rmtree(repository, ignore_errors=True)
        beside.rename(repository)


def export(repository: Path, name: str, folder: Path) -> None:
    """Write the files of one release into an empty folder, as a build would check them out."""
    words = ("-c", "tar.umask=0022", "-C", str(repository))
    archive = _git(*words, "archive", "--format=tar", f"refs/tags/{name}")
    # By tar: the safe filter of Python's own is not in every 3.11 (Debian 12 has 3.11.2; PEP 706).
    _run("tar", "--extract", "--no-same-owner", "--same-permissions", f"--directory={folder}", stdin=archive)


def _source_files() -> dict[str, str]:
    root = SOURCES / "app" / "source"
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _stream(first: dict[str, str]) -> Iterator[bytes]:
    """The whole history in the format of fast-import; every commit lists all its files."""
    trees: dict[str, dict[str, str]] = {}
    for number, recipe in enumerate(RELEASES):
        files = dict(first) if recipe.parent is None else _edited(trees[recipe.parent], recipe)
        trees[recipe.name] = files
        at = f"{_FIRST_COMMIT_AT + number * _DAY_S} +0000"
        yield f"commit refs/heads/{recipe.branch}\nmark :{number + 1}\n".encode()
        yield f"author {_AUTHOR} {at}\ncommitter {_AUTHOR} {at}\n".encode()
        yield _data(f"{recipe.subject}\n")
        if recipe.parent is not None:
            yield f"from :{[r.name for r in RELEASES].index(recipe.parent) + 1}\n".encode()
        yield b"deleteall\n"
        for path, text in sorted(files.items()):
            mode = "100755" if path in _EXECUTABLE else "100644"
            yield f"M {mode} inline {path}\n".encode() + _data(text)
        yield f"reset refs/tags/{recipe.name}\nfrom :{number + 1}\n\n".encode()


def _edited(parent: dict[str, str], recipe: ReleaseRecipe) -> dict[str, str]:
    files = dict(parent)
    for edit in recipe.edits:
        found = files[edit.path].count(edit.old)
        if found != 1:
            raise LabError(
                f"release '{recipe.name}' replaces {edit.old!r} in {edit.path} once, but it occurs {found} times; "
                "bring the recipe in lab/apprepo.py in line with lab/app/source"
            )
        files[edit.path] = files[edit.path].replace(edit.old, edit.new)
    return files


def _data(text: str) -> bytes:
    raw = text.encode()
    return f"data {len(raw)}\n".encode() + raw + b"\n"


def _git(*arguments: str, stdin: bytes = b"") -> bytes:
    return _run("git", *arguments, stdin=stdin)


def _run(*words: str, stdin: bytes) -> bytes:
    """Run a command, git without the configuration of the user and the machine."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(words, input=stdin, capture_output=True, env=environment, check=False)
    if done.returncode != 0:
        failed = f"{words[0]} {words[1]} failed while the app's history was made"
        raise LabError(f"{failed}: {done.stderr.decode().strip()[:500]}")
    return done.stdout
